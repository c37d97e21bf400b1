"""How well copies are found, how often others are taken for copies, and how fast whole archives are compared.

Copies of real clips are encoded anew, scaled, cropped, brightened, given a logo, another frame rate, or set as a part
into another clip. All of them are compared with all originals, and the originals with each other.

    python benchmarks/duplicates.py [--seconds 12] [--hours 200]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from _harness import DATA, save
from PIL import Image

from onlooker.analyzers.duplicates.analyzer import Duplicates
from onlooker.analyzers.duplicates.config import DuplicatesConfig
from onlooker.analyzers.duplicates.fingerprint import ROW, Series
from onlooker.analyzers.duplicates.match import Index, Match, find_matches
from onlooker.core.analyzer import Context
from onlooker.core.media import Frame, ReadRequest
from onlooker.sources import open_source
from onlooker.testing.drive import measure

ORIGINALS = [
    "clips/action_arm_wrestling.mp4",
    "clips/action_exercise_kth_like.avi",
    "clips/film_chaplin.mp4",
    "clips/home_indoor_one_by_one_person.mp4",
    "clips/sport_gym.mp4",
    "clips/talking_face_aoc_512.mp4",
    "clips/traffic_car_overhead.mp4",
    "clips/traffic_highway.avi",
    "clips/traffic_overhead_audio.avi",
    "clips/tv_whitehouse_performance.mp4",
    "shots/bikes.mp4",
    "shots/megamind.avi",
    "shots/montage_a.mp4",
    "shots/rings_195.mp4",
]
"""From different recordings; montage_b shares footage with montage_a, hamilton is the television clip."""
STRANGERS = ["shots/montage_b.mp4", *(f"clips/{name}" for name in ("book.mkv", "walk.mkv", "help.mkv", "carphone.mp4"))]
Pictures = Iterator[np.ndarray]


def pictures(path: Path, start: float, seconds: float, rate: Fraction) -> Pictures:
    """RGB pictures of a stretch at a steady rate."""
    shown = 0
    source = open_source(str(path))
    for frame in source.read(ReadRequest()):
        if not isinstance(frame, Frame):
            continue
        at = frame.time.seconds - start
        while at >= 0 and shown / rate <= at and shown < seconds * rate:
            yield frame.image()
            shown += 1
        if shown >= seconds * rate:
            break
    source.close()


def encode(shown: Pictures, target: Path, rate: Fraction, crf: int = 23) -> Path:
    """Write pictures as H.264."""
    with av.open(str(target), "w") as out:
        stream = None
        for i, picture in enumerate(shown):
            height, width = (n // 2 * 2 for n in picture.shape[:2])
            if stream is None:
                stream = out.add_stream("libx264", rate=rate, options={"crf": str(crf), "preset": "veryfast"})
                stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[:height, :width]), "rgb24")
            frame.pts, frame.time_base = i, 1 / rate
            out.mux(stream.encode(frame))
        if stream is not None:
            out.mux(stream.encode(None))
    return target


def scaled(picture: np.ndarray, factor: float) -> np.ndarray:
    size = (round(picture.shape[1] * factor), round(picture.shape[0] * factor))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))


def cropped(picture: np.ndarray, share: float) -> np.ndarray:
    y, x = (round(n * share) for n in picture.shape[:2])
    return picture[y : picture.shape[0] - y, x : picture.shape[1] - x]


def brighter(picture: np.ndarray) -> np.ndarray:
    return np.clip(picture.astype(np.float32) * 1.15 + 12, 0, 255).astype(np.uint8)


def logo(picture: np.ndarray) -> np.ndarray:
    marked = picture.copy()
    height, width = picture.shape[:2]
    marked[height // 20 : height // 6, -width // 5 : -width // 30] = (230, 40, 40)
    return marked


def letterboxed(picture: np.ndarray) -> np.ndarray:
    return np.pad(picture, ((picture.shape[0] // 8,) * 2, (0, 0), (0, 0)))


COPIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "encoded again (crf 34)": lambda p: p,
    "half size": lambda p: scaled(p, 0.5),
    "cropped 2.5 % each side": lambda p: cropped(p, 0.025),
    "cropped 5 % each side": lambda p: cropped(p, 0.05),
    "brighter": brighter,
    "logo": logo,
    "letterboxed": letterboxed,
    "15 frames a second": lambda p: p,
    "5 s of it": lambda p: p,
    "5 s set into another clip": lambda p: p,
}


def series(path: Path, name: str) -> Series:
    """Fingerprints of a file."""
    source = open_source(str(path))
    analyzer = Duplicates(DuplicatesConfig())
    analyzer.open(Context(source.info))
    rows = [np.frombuffer(m.values.tobytes(), ROW) for m in measure([analyzer], source)["duplicates"]]
    source.close()
    return Series.of_rows(name, rows)


def make(how: str, path: Path, other: Path, target: Path, seconds: float) -> tuple[Path, float, float]:
    """A copy, with where it starts in the original and in the copy."""
    rate = Fraction(15) if how.startswith("15") else Fraction(25)
    change = COPIES[how]
    if how.startswith("5 s"):
        part = pictures(path, 3.1, 5, rate)
        if "another" not in how:
            return encode(part, target, rate), 3.1, 0.0

        def joined() -> Pictures:
            size = None
            for picture in pictures(other, 0, 4, rate):
                size = picture.shape
                yield picture
            for picture in part:
                assert size is not None
                yield np.asarray(Image.fromarray(picture).resize((size[1], size[0])))
            yield from pictures(other, 4, 4, rate)

        return encode(joined(), target, rate), 3.1, 4.0
    crf = 34 if "34" in how else 23
    return encode((change(p) for p in pictures(path, 0, seconds, rate)), target, rate, crf), 0.0, 0.0


def right(match: Match, start: float, at: float, length: float) -> bool:
    """Whether a match has the true offset (to a quarter of a second) and half of the true length."""
    return abs(match.offset - (start - at)) <= 0.25 and match.end - match.start >= length / 2


def quality(seconds: float, config: DuplicatesConfig) -> dict[str, object]:
    originals = {n: series(DATA / n, n) for n in (*ORIGINALS, *STRANGERS)}
    indexes = {n: Index(s) for n, s in originals.items()}
    result: dict[str, object] = {}
    wrong: list[str] = []
    compared = 0
    with tempfile.TemporaryDirectory() as folder:
        for how in COPIES:
            found, offsets, movements = 0, [], []
            for i, name in enumerate(ORIGINALS):
                other = ORIGINALS[(i + 5) % len(ORIGINALS)]
                path, start, at = make(how, DATA / name, DATA / other, Path(folder) / "copy.mp4", seconds)
                copy = series(path, "copy")
                length = 5.0 if how.startswith("5 s") else min(seconds, float(originals[name].times[-1]))
                for candidate, index in indexes.items():
                    matches = find_matches(index, copy, config)
                    if candidate == name:
                        good = [m for m in matches if right(m, start, at, length)]
                        found += bool(good)
                        offsets += [abs(good[0].offset - (start - at))] if good else []
                        movements += [good[0].movement] if good else []
                        if not good:
                            print("missed", how, name, matches)
                    elif not ("another" in how and candidate == other):
                        compared += 1
                        wrong += [f"{how}: {name} in {candidate}: {m}" for m in matches]
            result[how] = {
                "recall": round(found / len(ORIGINALS), 3),
                "lowest_movement": round(min(movements, default=0.0), 3),
                "median_offset_error_seconds": round(float(np.median(offsets)), 3) if offsets else None,
            }
            print(how, result[how], flush=True)
    for a in originals:
        for b in originals:
            if a < b and not {a, b} <= {"shots/montage_a.mp4", "shots/montage_b.mp4"}:
                compared += 1
                wrong += [f"{a} in {b}: {m}" for m in find_matches(indexes[b], originals[a], config)]
        for m in find_matches(indexes[a], originals[a], config, same=True):
            wrong.append(f"repeat in {a}: {m}")
    for line in wrong:
        print("wrong", line)
    return {"copies": result, "wrong_matches": len(wrong), "pairs_of_different_clips": compared}


def speed(hours: int, config: DuplicatesConfig) -> dict[str, float]:
    """Comparing one hour with an archive of fingerprints made of the real ones, shuffled and with bits turned over."""
    rng = np.random.default_rng(0)
    real = [series(DATA / n, n) for n in ORIGINALS]
    bits, parts = np.concatenate([s.bits for s in real]), np.concatenate([s.parts for s in real])

    def hour(name: str) -> Series:
        # scenes of 2 to 12 samples, each another picture of its own
        lengths = rng.integers(2, 12, 4000)
        at = np.concatenate([np.arange(n) + rng.integers(0, len(bits) - 12) for n in lengths])[: 4 * 3600]
        turned = np.repeat(rng.integers(0, 2**63, len(lengths), dtype=np.uint64), lengths)[: len(at), None]
        return Series(name, np.arange(len(at)) / 4, bits[at] ^ turned, parts[at])

    mine = hour("query")
    began = time.process_time()
    index = Index(mine)
    built = time.process_time() - began
    archive = [hour(str(i)) for i in range(hours)]
    began = time.process_time()
    found = sum(len(find_matches(index, other, config)) for other in archive)
    used = time.process_time() - began
    return {
        "index_seconds_per_hour": round(built, 4),
        "compare_ms_per_pair_of_hours": round(used / hours * 1000, 3),
        "archive_hours": hours,
        "matches": found,
        "kilobytes_per_hour": round(ROW.itemsize * 4 * 3600 / 1000, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=12)
    parser.add_argument("--hours", type=int, default=200)
    arguments = parser.parse_args()
    config = DuplicatesConfig()
    result = {**quality(arguments.seconds, config), "speed": speed(arguments.hours, config)}
    print(result)
    save("duplicates", result)


if __name__ == "__main__":
    main()
