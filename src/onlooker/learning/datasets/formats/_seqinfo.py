"""What ``seqinfo.ini`` of a MOTChallenge sequence says."""

from __future__ import annotations

import configparser
from fractions import Fraction
from pathlib import Path
from typing import Any

from onlooker.core.errors import ConfigError
from onlooker.learning.datasets.formats._checked import shown
from onlooker.learning.datasets.formats._kept import read_index
from onlooker.learning.datasets.formats.format import wrong

__all__ = ["LONGEST", "SEQINFO", "facts_of"]

SEQINFO = "seqinfo.ini"
LONGEST = 999_999_999  # frames
# one frame a day, and more than the cameras of laboratories take
_SLOWEST, _FASTEST, _WIDEST = 1 / 86_400, 1e7, 1e6


def facts_of(folder: Path, labels: Path) -> dict[str, Any]:
    """What ``seqinfo.ini`` says, by names in small letters, and what lies beside it.

    That is its exact ``rate``, names of ``classes`` and ``tracks``, and ``samples`` as they were written.

    Raises:
        ConfigError: it is not of that form, or says what no video has.
    """
    file = folder / SEQINFO
    facts: dict[str, Any] = _values(file)
    try:
        named = labels.read_text(encoding="utf-8-sig").splitlines() if labels.is_file() else []
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {labels}: {error}", hint="it has a name of a class in each line") from None
    held, samples = read_index(folder)
    named = [v for k, v in sorted(facts.items()) if k.startswith("class.")] or [n.strip() for n in named if n.strip()]
    facts |= {"classes": named, "samples": list(samples.values()), "tracks": held.get("tracks") or {}}
    # a whole number is all that most readers take, so the exact rate lies beside it
    facts |= {"framerate": held["rate"]} if held.get("rate") else {}
    facts |= {"video": held["video"]} if held.get("video") else {}
    length = facts.get("seqlength") or "0"
    if not length.isdecimal():
        raise wrong(file, f"seqlength: expected a number, got {length!r}")
    if len(length) > len(str(LONGEST)):
        raise wrong(file, f"seqlength: no video has {length[:20]} frames")
    if not _SLOWEST <= _number(file, facts, "framerate") <= _FASTEST:
        raise wrong(file, f"framerate: no video has {facts['framerate'][:20]} frames a second", hint="such as 25")
    facts["rate"] = Fraction(facts["framerate"])
    for side in ("imwidth", "imheight"):
        if not 0 < _number(file, facts, side) <= _WIDEST:
            raise wrong(file, f"{side}: no picture has {facts[side][:20]} pixels", hint="such as 1920")
    return facts


def _values(file: Path) -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    if not file.is_file():
        # CVAT and datumaro write none
        hint = (
            "write it: [Sequence], frameRate=25, imWidth=1920, imHeight=1080, each on a line, with what is true of it"
        )
        raise ConfigError(f"there is no {file}", hint=hint)
    try:
        parser.read_string(file.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {file}: {error}", hint="check that it is UTF-8") from None
    except configparser.MissingSectionHeaderError as error:
        raise wrong(file, "expected a line [Sequence] above the values", error.lineno, hint="put it first") from None
    except configparser.ParsingError as error:
        # the line is a text in quotes already
        line, said = error.errors[0]
        text = said.strip("'\"").removesuffix("\\n")
        raise wrong(file, f"expected NAME=VALUE, got {shown(text)}", line, hint="one value a line") from None
    except configparser.DuplicateOptionError as error:
        raise wrong(file, f"{error.option!r} is there twice", error.lineno, hint="remove one") from None
    except configparser.DuplicateSectionError as error:
        raise wrong(file, f"{error.section!r} is there twice", error.lineno, hint="remove one") from None
    return {k: v for section in parser.sections() for k, v in parser.items(section)}


def _number(file: Path, facts: dict[str, Any], name: str) -> float:
    """A number or a fraction of two; what is too large is infinite."""
    if not facts.get(name):
        raise wrong(file, f"{name} is missing", hint="MOTChallenge has it")
    try:
        # a fraction of 1e9999999999 would be made of as many digits
        return float(facts[name]) if "/" not in facts[name] else float(Fraction(facts[name]))
    except OverflowError:
        return float("inf")
    except (ValueError, ZeroDivisionError):
        raise wrong(file, f"{name}: expected a number, got {shown(facts[name])}") from None
