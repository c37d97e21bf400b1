"""Makes a face unrecognisable in the pictures that a library keeps of a source."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from onlooker.analyzers.keyframes.config import KeyframesConfig
from onlooker.analyzers.keyframes.sheets import Picture, contact_sheet, shrink_jpeg
from onlooker.core.observation import Attachment, Observation
from onlooker.core.store import Query, Store
from onlooker.core.time import Timestamp
from onlooker.redaction.cover import cover, grown

if TYPE_CHECKING:
    from onlooker.people.forgetting import Path

__all__ = ["blur_pictures", "boxes_at"]

_BESIDE_SECONDS = 0.6
"""A face that was not looked for at a picture's very moment is where it was seen at most so long before or after."""
_MARGIN = 0.25
_SHEET_WIDTH = 240
_TILE = re.compile(r"(\d+):(\d\d):(\d\d)\.(\d{3}) --> .*\n(\S+)#xywh=(\d+),(\d+),(\d+),(\d+)")


def boxes_at(paths: Sequence[Path], seconds: float) -> np.ndarray:
    """(n, 4): where the faces are at a moment, between two sightings on the line between them."""
    found: list[list[float]] = []
    for path in paths:
        starts = np.array([start for start, _, _ in path])
        last = path[-1][1]
        if not starts[0] - _BESIDE_SECONDS <= seconds <= last + _BESIDE_SECONDS:
            continue
        sides = np.array([box for _, _, box in path])
        found.append([float(np.interp(seconds, starts, sides[:, k])) for k in range(4)])
    return np.array(found, np.float32).reshape(-1, 4)


def blur_pictures(store: Store, source: str, paths: Sequence[Path]) -> int:
    """Hide the faces in keyframes, contact sheet, sprites and all other pictures of the source; returns how many
    pictures changed.
    """
    if not paths:
        return 0
    changed = 0
    touched: set[str] = set()
    for o in list(store.query(Query(sources=(source,)))):
        files = [p for p in o.media if p.lower().endswith((".jpg", ".jpeg", ".png", ".webp"))]
        if not files or o.kind in ("face_track", "picture"):
            continue
        boxes = boxes_at(paths, o.span.start.seconds)
        for file in files if len(boxes) else ():
            if file not in touched:
                touched.add(file)
                changed += _cover_whole(store, source, file, boxes)
    for o in list(store.query(Query(sources=(source,), kinds=("picture",)))):
        if o.label == "sprite":
            changed += _cover_tiles(store, source, o, paths)
        elif o.label == "contact-sheet" and touched:
            changed += _new_sheet(store, source, o)
    return changed


def _write(store: Store, source: str, file: str, picture: Image.Image) -> None:
    form = {".png": "PNG", ".webp": "WEBP"}.get(PurePosixPath(file).suffix.lower(), "JPEG")
    stream = io.BytesIO()
    picture.save(stream, form, quality=85)
    name = PurePosixPath(file).relative_to(PurePosixPath("media") / source).as_posix()
    store.put_media(source, Attachment(name, stream.getvalue(), f"image/{form.lower()}"))


def _cover_whole(store: Store, source: str, file: str, boxes: np.ndarray) -> int:
    path = store.folder / file
    if not path.exists():
        return 0
    with Image.open(path) as opened:
        pixels = np.array(opened.convert("RGB"))
    cover([pixels], grown(boxes, _MARGIN), "blur")
    _write(store, source, file, Image.fromarray(pixels))
    return 1


def _cover_tiles(store: Store, source: str, sprite: Observation, paths: Sequence[Path]) -> int:
    """Tiles and their moments stand in the WebVTT file beside the sprites."""
    folder = store.folder / "media" / source
    listed = next((store.folder / f for f in sprite.media if f.endswith(".vtt")), None)
    if listed is None or not listed.exists():
        return 0
    sheets: dict[str, np.ndarray] = {}
    changed = 0
    for hours, minutes, seconds, millis, name, *place in _TILE.findall(listed.read_text(encoding="utf-8")):
        moment = int(hours) * 3600 + int(minutes) * 60 + int(seconds) + int(millis) / 1000
        boxes = boxes_at(paths, moment)
        if not len(boxes) or not (folder / name).exists():
            continue
        if name not in sheets:
            with Image.open(folder / name) as opened:
                sheets[name] = np.array(opened.convert("RGB"))
        left, top, width, height = (int(v) for v in place)
        cover([sheets[name][top : top + height, left : left + width]], grown(boxes, _MARGIN), "blur")
        changed += 1
    for name, pixels in sheets.items():
        _write(store, source, f"media/{source}/{name}", Image.fromarray(pixels))
    return changed


def _new_sheet(store: Store, source: str, sheet: Observation) -> int:
    """The contact sheet made anew of the keyframes as they are now."""
    pictures: list[Picture] = []
    for o in store.query(Query(sources=(source,), kinds=("keyframe",))):
        path = store.folder / o.media[0] if o.media else None
        if path is not None and path.exists():
            start = o.span.start
            pictures.append(
                Picture(Timestamp(start.pts, start.time_base), shrink_jpeg(path.read_bytes(), _SHEET_WIDTH, 90))
            )
    if not pictures or not sheet.media:
        return 0
    data = contact_sheet(pictures, KeyframesConfig().sheet_pictures)
    store.put_media(source, Attachment(PurePosixPath(sheet.media[0]).name, data, "image/jpeg"))
    return 1
