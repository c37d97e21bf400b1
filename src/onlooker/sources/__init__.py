"""Opens files, folders of pictures, web addresses, streams and cameras, and decodes them with exact time.

>>> open_source("missing.mp4")
Traceback (most recent call last):
...
onlooker.core.errors.SourceError: cannot open 'missing.mp4': No such file or directory (check the path)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from onlooker.core.errors import SourceError, UsageError
from onlooker.core.media import Source
from onlooker.core.plugins import load_plugin, plugin_names

if TYPE_CHECKING:
    from onlooker.sources.policy import AddressPolicy

__all__ = ["expand_inputs", "open_source"]

_VIDEO = "mp4 m4v mov mkv webm avi ts m2ts mts mpg mpeg vob flv wmv asf 3gp 3g2 ogv ogg mxf gif y4m ivf nut dv"
_RAW = "h264 264 h265 265 hevc"
_SOUND = "mp3 m4a aac wav flac opus wma"
MEDIA = frozenset(f".{suffix}" for suffix in f"{_VIDEO} {_RAW} {_SOUND}".split())


def open_source(address: str, *, policy: AddressPolicy | None = None, known_id: str | None = None) -> Source:
    """Open whatever ``address`` names.

    Args:
        address: path, pattern of an image sequence, or address.
        policy: which network addresses are allowed; by default what the user names himself, and public ones.
        known_id: the source's identity if it is known already, so that the content is not digested again.

    Raises:
        SourceError: it cannot be opened.
    """
    from onlooker.sources.policy import DEFAULT_POLICY

    if not address or "\0" in address:
        raise SourceError(f"not an address: {address!r}", hint="give a path or an address")
    openers = [load_plugin("sources", name) for name in plugin_names("sources")]
    best = max(openers, key=lambda o: o.takes(address))
    if best.takes(address) <= 0:
        raise SourceError(f"nothing here opens {address!r}", hint="see onlooker plugins for the kinds of address")
    return best.open(address, policy or DEFAULT_POLICY, known_id)


def expand_inputs(paths: Sequence[str]) -> list[str]:
    """The sources that the user's paths mean: folders are searched for media, globs are expanded, addresses are kept.

    A folder that holds pictures and no other media is one image sequence. Hidden files are passed over.

    Raises:
        UsageError: a folder or glob holds nothing to analyse.
    """
    found: list[str] = []
    for text in paths:
        path = Path(text)
        if "://" in text or path.is_file():
            found.append(text)
        elif path.is_dir():
            found += _folder(path)
        elif any(mark in text for mark in "*?[") and not path.exists():
            found += _glob(text)
        else:
            found.append(text)  # a pattern, a camera, or something that opening will explain
    return list(dict.fromkeys(found))


def _folder(path: Path) -> list[str]:
    from onlooker.sources.openers.images import pictures_of

    inside = (p for p in sorted(path.rglob("*")) if not any(q.startswith(".") for q in p.relative_to(path).parts))
    media = [str(p) for p in inside if p.suffix.lower() in MEDIA and p.is_file()]
    if media:
        return media
    if pictures_of(str(path)):
        return [str(path)]
    raise UsageError(f"no video or sound in the folder {str(path)!r}", hint="give a folder with media files")


def _glob(text: str) -> list[str]:
    import glob

    matches = sorted(glob.glob(text, recursive=True))
    media = [m for m in matches if Path(m).is_file()]
    folders = [f for m in matches if Path(m).is_dir() for f in _folder(Path(m))]
    if not media and not folders:
        raise UsageError(f"nothing matches {text!r}", hint="check the pattern; quote it in the shell")
    return media + folders
