"""Pictures of a sequence that has no video, and the frames that they are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from onlooker.learning.datasets.formats._seqinfo import SEQINFO
from onlooker.learning.datasets.formats.format import Imported, kind_of, wrong

__all__ = ["numbered_pictures"]

_DIGITS = re.compile(r"[0-9]+")


def numbered_pictures(sequence: Path, inside: str, count: int, made: Imported) -> list[tuple[int, Path]]:
    """The pictures of a sequence in order, with their frames from 0.

    The numbers in their names count as those of the boxes do, from 1, or from 0 where there is a 0. Where they count on
    from before the sequence, its first is the first frame. Without numbers, the order of their names is theirs.

    Args:
        sequence: its folder.
        inside: the folder of pictures in it; hidden files are passed over.
        count: of its frames.
        made: counts pictures beyond them, and has a note of another first number.

    Raises:
        ConfigError: there are none, two have one number, or their numbers are not those of the sequence.
    """
    pictures = sorted(p for p in (sequence / inside).glob("*") if kind_of(p) == "image" and p.name[0] != ".")
    if not pictures:
        raise wrong(sequence, "no video and no pictures (img1)", hint=f"name the video in {SEQINFO}: video=FILE")
    numbers = _numbers(sequence / inside, pictures)
    first, last = min(numbers), max(numbers)
    start = min(first, 1)
    whole = last - first + 1 == len(numbers)
    if whole and first > 1 and (len(numbers) == count or first > count):
        start = first
        made.notes.append(f"{sequence / inside}: picture {first} is taken for the first frame of the sequence")
    if first - start >= count > 0:
        said = f"pictures are numbered {first} to {last}, but frames 1 to {count}"
        raise wrong(sequence / inside, said, hint=f"check seqLength in {SEQINFO}, or number them as frames")
    frames = sorted((number - start, picture) for number, picture in zip(numbers, pictures, strict=True))
    made.left_out["pictures after the end of their sequence"] += sum(frame >= count for frame, _ in frames)
    return [(frame, picture) for frame, picture in frames if frame < count]


def _numbers(folder: Path, pictures: Sequence[Path]) -> Sequence[int]:
    """The number of each: the last in their names that differs from each to each."""
    held = [[int(n) for n in _DIGITS.findall(p.stem)] for p in pictures]
    places = range(len(held[0])) if len({len(h) for h in held}) == 1 else ()
    for place in reversed(places):
        if len({h[place] for h in held}) == len(held):
            return [h[place] for h in held]
    if all(h == held[0] for h in held) and len({p.stem for p in pictures}) == len(pictures):
        return range(1, len(pictures) + 1)
    raise wrong(folder, "the numbers in the names of its pictures do not tell them apart", hint="such as 000001.jpg")
