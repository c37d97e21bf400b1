"""Technical cues against planted truth: each defect is planted into real clips, and clean clips count false alarms.

python benchmarks/cues.py [--only blur,frozen]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from _harness import DATA, save
from PIL import Image, ImageFilter

from onlooker.analyzers.quality.analyzer import Quality
from onlooker.analyzers.quality.config import CUES, QualityConfig
from onlooker.core.observation import Observation
from onlooker.sources import open_source
from onlooker.testing.drive import drive

RATE = 25
SHOWN = [
    "shots/bikes.mp4",
    "shots/hamilton.mp4",
    "shots/megamind.avi",
    "shots/rings_195.mp4",
    "clips/sport_gym.mp4",
    "clips/traffic_highway.avi",
    "clips/home_indoor_one_by_one_person.mp4",
    "clips/talking_face_aoc_512.mp4",
]
FIXED = ["clips/home_indoor_one_by_one_person.mp4", "clips/traffic_highway.avi", "clips/action_exercise_kth_like.avi"]
Picture = np.ndarray
Defect = Callable[[Picture, int, Picture], Picture]
"""Makes a defective picture of one, its number within the defect, and the defect's first picture."""
RNG = np.random.default_rng(3)


def pictures(path: Path, seconds: float) -> Iterator[Picture]:
    """RGB pictures at 25 a second; a clip that is too short starts again backwards, without a cut."""
    seen: list[Picture] = []
    with av.open(str(path)) as clip:
        first = None
        for frame in clip.decode(video=0):
            first = frame.time if first is None else first
            picture = frame.to_ndarray(format="rgb24")
            while len(seen) / RATE <= frame.time - first and len(seen) < seconds * RATE:
                seen.append(picture)
            if len(seen) >= seconds * RATE:
                break
    forward = True
    given = 0
    while given < seconds * RATE:
        for picture in seen if forward else seen[-2:0:-1]:
            if given < seconds * RATE:
                yield picture
                given += 1
        forward = not forward


def black(picture: Picture, i: int, first: Picture) -> Picture:
    return np.zeros_like(picture)


def frozen(picture: Picture, i: int, first: Picture) -> Picture:
    return first


def noisy_freeze(picture: Picture, i: int, first: Picture) -> Picture:
    return np.clip(first + RNG.normal(0, 1.5, first.shape), 0, 255).astype(np.uint8)


def ebu(picture: Picture, i: int, first: Picture) -> Picture:
    colours = [(191, 191, 191), (191, 191, 0), (0, 191, 191), (0, 191, 0), (191, 0, 191), (191, 0, 0), (0, 0, 191)]
    row = np.array([*colours, (0, 0, 0)], np.uint8)[np.arange(picture.shape[1]) * 8 // picture.shape[1]]
    return np.broadcast_to(row, picture.shape).copy()


def smpte(picture: Picture, i: int, first: Picture) -> Picture:
    colours = [(191, 191, 191), (191, 191, 0), (0, 191, 191), (0, 191, 0), (191, 0, 191), (191, 0, 0), (0, 0, 191)]
    columns = np.arange(picture.shape[1]) * 7 // picture.shape[1]
    made = np.broadcast_to(np.array(colours, np.uint8)[columns], picture.shape).copy()
    low = [(0, 0, 191), (19, 19, 19), (191, 0, 191), (19, 19, 19), (0, 191, 191), (19, 19, 19), (191, 191, 191)]
    height = picture.shape[0]
    made[height * 2 // 3 : height * 3 // 4] = np.array(low, np.uint8)[columns]
    made[height * 3 // 4 :] = np.array([(0, 33, 76), (255,) * 3, (50, 0, 106), (19,) * 3], np.uint8)[
        np.arange(picture.shape[1]) * 4 // picture.shape[1]
    ]
    return made


def gain(picture: Picture, factor: float) -> Picture:
    return np.clip(picture.astype(np.float32) * factor, 0, 255).astype(np.uint8)


def flicker_5(picture: Picture, i: int, first: Picture) -> Picture:
    return gain(picture, 1 + 0.06 * np.sin(2 * np.pi * 5 * i / RATE))


def flicker_12(picture: Picture, i: int, first: Picture) -> Picture:
    return gain(picture, 1.05 if i % 2 else 0.95)


def blur(picture: Picture, i: int, first: Picture) -> Picture:
    radius = picture.shape[1] / 160
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(radius)))


def over(picture: Picture, i: int, first: Picture) -> Picture:
    return gain(picture.astype(np.float32) + 60, 1.8)


def under(picture: Picture, i: int, first: Picture) -> Picture:
    return gain(picture, 0.18)


def moved_by(picture: Picture, x: float, y: float) -> Picture:
    """A view of nine tenths of the picture, shifted by shares of it."""
    height, width = picture.shape[:2]
    left, top = round(width * (0.05 + x)), round(height * (0.05 + y))
    return picture[top : top + height * 9 // 10, left : left + width * 9 // 10]


def shake(picture: Picture, i: int, first: Picture) -> Picture:
    return moved_by(picture, *(a * np.sin(2 * np.pi * f * i / RATE) for a, f in ((0.008, 3.1), (0.01, 2.3))))


def still(picture: Picture, i: int, first: Picture) -> Picture:
    return moved_by(picture, 0, 0)


def turned(picture: Picture, i: int, first: Picture) -> Picture:
    height, width = picture.shape[:2]
    return picture[height // 10 : height // 10 + height * 3 // 4, width // 4 :]


def before_turn(picture: Picture, i: int, first: Picture) -> Picture:
    height, width = picture.shape[:2]
    return picture[: height * 3 // 4, : width * 3 // 4]


def covered(picture: Picture, i: int, first: Picture) -> Picture:
    near = np.full(picture.shape, (52, 34, 28), np.float32) + np.linspace(0, 12, picture.shape[1])[None, :, None]
    return np.clip(near + RNG.normal(0, 2, picture.shape), 0, 255).astype(np.uint8)


def none(picture: Picture, i: int, first: Picture) -> Picture:
    return picture


PLANTED: list[tuple[str, str, Defect, Defect, list[str], float, float, float]] = [
    # label, name, defect, what the rest goes through, clips, start, end, length
    ("black", "black", black, none, SHOWN, 3, 5, 9),
    ("frozen", "frozen", frozen, none, SHOWN, 3, 6.5, 9),
    ("frozen", "frozen, noise of 1.5 levels", noisy_freeze, none, SHOWN, 3, 6.5, 9),
    ("colour_bars", "EBU bars", ebu, none, SHOWN, 3, 6, 9),
    ("colour_bars", "SMPTE bars", smpte, none, SHOWN, 3, 6, 9),
    ("flicker", "flicker, 5 Hz, 6 %", flicker_5, none, SHOWN, 3, 7, 9),
    ("flicker", "flicker, 12.5 Hz, 5 %", flicker_12, none, SHOWN, 3, 7, 9),
    ("blur", "Gaussian blur, width / 160", blur, none, SHOWN, 3, 7, 9),
    ("overexposed", "overexposed", over, none, SHOWN, 3, 6, 9),
    ("underexposed", "underexposed", under, none, SHOWN, 3, 6, 9),
    ("camera_shake", "shake of 1 %, 2-3 Hz", shake, still, SHOWN, 3, 7, 9),
    ("camera_moved", "view turned by a quarter", turned, before_turn, FIXED, 12, 22, 22),
    ("camera_covered", "lens covered", covered, none, FIXED, 12, 16, 22),
]


def plant(path: Path, target: Path, defect: Defect, rest: Defect, start: float, end: float, length: float) -> None:
    first: Picture | None = None
    with av.open(str(target), "w") as out:
        stream = None
        for i, picture in enumerate(pictures(path, length)):
            if start * RATE <= i < end * RATE:
                first = picture if first is None else first
                shown = defect(picture, i - round(start * RATE), first)
            else:
                shown = rest(picture, i, picture)
            height, width = (n // 2 * 2 for n in shown.shape[:2])
            if stream is None:
                stream = out.add_stream("libx264", rate=RATE, options={"crf": "23", "preset": "veryfast", "g": "50"})
                stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(shown[:height, :width]), "rgb24")
            frame.pts, frame.time_base = i, Fraction(1, RATE)
            out.mux(stream.encode(frame.reformat(stream.width, stream.height, "yuv420p")))
        if stream is not None:
            out.mux(stream.encode(None))


def cues(path: Path) -> list[Observation]:
    source = open_source(str(path))
    try:
        return drive([Quality(QualityConfig())], source)
    finally:
        source.close()


def fits(o: Observation, label: str, start: float, end: float) -> bool:
    a, b = o.span.start.seconds, o.span.end.seconds
    if o.label != label:
        return False
    if label == "camera_moved":
        return abs(a - start) <= 1.5
    return (min(b, end) - max(a, start)) / (max(b, end) - min(a, start)) >= 0.5


def describe(o: Observation) -> str:
    return f"{o.label} {o.span.start.seconds:.2f}-{o.span.end.seconds:.2f} {dict(o.data)}"


def clean(only: tuple[str, ...]) -> tuple[dict[str, int], float]:
    """Cues on the clips as they are, by label, and the hours looked at."""
    counts = dict.fromkeys(only, 0)
    hours = 0.0
    for folder in ("clips", "shots"):
        for path in sorted((DATA / folder).iterdir()):
            if path.suffix not in (".mp4", ".avi", ".mkv"):
                continue
            hours += (av.open(str(path)).duration or 0) / 3.6e9
            for o in cues(path):
                if o.label in counts:
                    counts[o.label] += 1
                    print("  clean", path.name, describe(o))
    return counts, hours


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default=",".join(CUES))
    only = tuple(parser.parse_args().only.split(","))
    rows: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        for label, name, defect, rest, clips, start, end, length in PLANTED:
            if label not in only:
                continue
            found, others, late = 0, 0, []
            for clip in clips:
                target = Path(folder) / "planted.mp4"
                plant(DATA / clip, target, defect, rest, start, end, length)
                made = cues(target)
                good = [o for o in made if fits(o, label, start, end)]
                found += bool(good)
                late += [abs(good[0].span.start.seconds - start)] if good else []
                known = {o.label for o in cues(DATA / clip)}
                besides = [o for o in made if o not in good and o.label not in known]
                others += len(besides)
                if not good or besides:
                    print(f"  {name} in {clip}:", "found" if good else "MISSED", [describe(o) for o in besides])
            rows[name] = {
                "label": label,
                "clips": len(clips),
                "recall": round(found / len(clips), 3),
                "median_start_error_seconds": round(float(np.median(late)), 3) if late else None,
                "other_cues": others,
            }
            print(name, rows[name], flush=True)
    counts, hours = clean(only)
    print(counts, round(hours, 3), "hours")
    if only == CUES:
        save("cues", {"planted": rows, "cues_on_clean_clips": counts, "clean_hours": round(hours, 3)})


if __name__ == "__main__":
    main()
