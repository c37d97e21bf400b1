"""Redaction: does another detector find a face in what ``redact`` wrote, how much is hidden, and at which speed.

Judges: BlazeFace full range (whole frames, score 0.5), which took part in the redaction, so that a run without its help
stands beside; and, with ``--peer``, OpenCV's Haar cascade of frontal faces, which took part in nothing. The peer is
deface, which has the same first detector and looks at each frame by itself.

    python benchmarks/redaction.py --peer PYTHON      # an environment with benchmarks/requirements-redaction.txt

``--clips`` measures some again and keeps the rows of the others. ``--library`` judges every picture, clip, reel and
report of a library whose profile hides faces. ``--lines`` compares hiding text, plates and screens with looking for
them in every frame, and with hiding faces, in one run; a reader then judges what can be read.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from _harness import DATA, RESULTS, save, timed
from numpy.typing import NDArray
from PIL import Image

from onlooker.analyzers.text.detector import LineDetector
from onlooker.analyzers.text.recogniser import LineReader
from onlooker.core.media import Frame, ReadRequest
from onlooker.core.time import Timestamp
from onlooker.redaction.look import Look, Thing, things
from onlooker.redaction.redact import Redaction, look_through, redact
from onlooker.redaction.second import SecondDetector
from onlooker.redaction.survey import Survey, survey
from onlooker.sources import open_source

CLIPS = (
    "clips/preview_face-demographics-walking.mp4",
    "clips/preview_head-pose-face-detection-female-and-male.mp4",
    "clips/carphone.mp4",
    "grid_av/lrwp9a.mpg",
    "grid_av/bbaf2n.mpg",
    "clips/preview_classroom.mp4",
    "clips/talking_face_man_suit.mp4",
    "clips/talking_face_aoc_512.mp4",
    "clips/film_chaplin.mp4",
    "clips/talking_face_signer_blue.mp4",
    "clips/tv_whitehouse_performance.mp4",
)
CHOSEN_ON = ("tv_whitehouse_performance", "carphone", "bbaf2n")
"""The clips on which thresholds, cells and margins were chosen; the others were not looked at before."""

LINES = (
    ("shots/rings_195.mp4", "text"),
    ("shots/hamilton.mp4", "text"),
    ("clips/sport_gym.mp4", "text"),
    ("clips/traffic_car_overhead.mp4", "plates,screens"),
    ("clips/preview_person-bicycle-car-detection.mp4", "plates,screens"),
)
LINE_SECONDS = 6

_HAAR = """
import sys, json, cv2, numpy
cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
def judge(path):
    video, frames, found = cv2.VideoCapture(path), 0, 0
    while True:
        good, picture = video.read()
        if not good:
            break
        frames += 1
        grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        found += len(cascade.detectMultiScale(grey, 1.1, 6, minSize=(24, 24))) > 0
    return [frames, found]
print(json.dumps([judge(p) for p in sys.argv[1:]]))
"""


def frames_of(path: Path) -> Iterator[Frame]:
    """All frames of a video."""
    source = open_source(str(path))
    for item in source.read(ReadRequest()):
        if isinstance(item, Frame):
            yield item
    source.close()


def with_faces(path: Path, judge: SecondDetector) -> tuple[int, int]:
    """Frames, and those in which the judge finds a face."""
    frames = found = 0
    for frame in frames_of(path):
        frames += 1
        found += len(judge.detect(frame.image())) > 0
    return frames, found


def haar(peer: str, *paths: Path) -> list[int]:
    """Frames with a face by OpenCV's cascade."""
    done = subprocess.run([peer, "-c", _HAAR, *map(str, paths)], capture_output=True, text=True, check=True)
    return [found for _, found in json.loads(done.stdout)]


def deface(peer: str, clip: Path, out: Path) -> float:
    """Seconds that the peer takes."""
    command = [peer, "-m", "deface.deface", str(clip), "-o", str(out), "--backend", "onnxrt"]
    _, seconds, _ = timed(lambda: subprocess.run(command, capture_output=True, check=True))
    return seconds


def first_alone(seen: Survey) -> Survey:
    """Without the faces that only the second detector saw: those have no points."""
    faces = [rows[np.isfinite(rows).all(1)] for rows in seen.seen["faces"]]
    return replace(seen, seen={"faces": faces})


def of_clip(clip: Path, folder: Path, judge: SecondDetector, peer: str | None) -> dict[str, Any]:
    """One row of the table."""
    source = open_source(str(clip))
    length = float(source.info.duration or Fraction(1))
    outs = {n: folder / f"{clip.stem}-{n}.mp4" for n in ("both", "one", "peer")}
    seen, looked, looked_cpu = timed(lambda: look_through(source, Redaction()))
    both, wall, cpu = timed(lambda: redact(source, outs["both"], Redaction(), seen=seen))
    wall, cpu = wall + looked, cpu + looked_cpu
    one = redact(source, outs["one"], Redaction(second=False), seen=first_alone(seen))
    source.close()
    frames, original = with_faces(clip, judge)
    row: dict[str, Any] = {
        "clip": clip.stem,
        "chosen_on": clip.stem in CHOSEN_ON,
        "frames": frames,
        "faces_original": original,
        "faces_redacted": with_faces(outs["both"], judge)[1],
        "faces_redacted_one_detector": with_faces(outs["one"], judge)[1],
        "hidden_share": round(both.hidden_share, 4),
        "hidden_share_one_detector": round(one.hidden_share, 4),
        "frames_caught": both.caught,
        "real_time": round(length / wall, 2),
        "real_time_per_core": round(length / cpu, 2),
    }
    if peer is not None:
        seconds = deface(peer, clip, outs["peer"])
        row["faces_peer"] = with_faces(outs["peer"], judge)[1]
        row["real_time_peer"] = round(length / seconds, 2)
        names = ("haar_original", "haar_redacted", "haar_one_detector", "haar_peer")
        row.update(zip(names, haar(peer, clip, outs["both"], outs["one"], outs["peer"]), strict=True))
    return row


def pictures_of_page(page: Path) -> Iterator[NDArray[np.uint8]]:
    """The pictures inside an HTML page."""
    import io

    for found in re.findall(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", page.read_text(encoding="utf-8")):
        with Image.open(io.BytesIO(base64.b64decode(found))) as picture:
            yield np.asarray(picture.convert("RGB"))


def of_library(folder: Path, judge: SecondDetector) -> list[dict[str, Any]]:
    """What two profiles, of which one hides faces, leave in a library, and what is made of it."""
    rows: list[dict[str, Any]] = []
    clips = [DATA / c for c in (CLIPS[-1], *CLIPS[:5])]
    body = "quality: fast\nanalyzers: {shots: {}, keyframes: {}, faces: {}}\n"
    for name, privacy in (("open", ""), ("hiding", "privacy: {hide: [faces]}\n")):
        profile, library = folder / f"{name}.yaml", folder / name
        profile.write_text(f"name: {name}\n{body}{privacy}")
        at = ["--library", str(library)]
        _, wall, _ = timed(lambda a=at, p=profile: _run("analyze", *map(str, clips), *a, "--profile", str(p)))
        pictures = [np.asarray(Image.open(p).convert("RGB")) for p in sorted((library / "media").rglob("*.jpg"))]
        _run("report", *at, "-o", str(folder / f"{name}.html"))
        pictures += list(pictures_of_page(folder / f"{name}.html"))
        row = {"library": name, "pictures": len(pictures), "seconds": round(wall, 1)}
        row["pictures_with_faces"] = sum(len(judge.detect(p)) > 0 for p in pictures)
        cut, reel = folder / f"{name}-clip.mp4", folder / f"{name}-reel.mp4"
        _run("clip", clips[0].name, *at, "--from", "1", "--to", "5", "-o", str(cut), "--exact")
        _run("highlights", clips[0].name, *at, "--seconds", "6", "-o", str(reel))
        row["clip_frames"], row["clip_with_faces"] = with_faces(cut, judge)
        row["reel_frames"], row["reel_with_faces"] = with_faces(reel, judge)
        rows.append(row)
    return rows


def of_lines(path: str, hide: tuple[Thing, ...], folder: Path) -> dict[str, Any]:
    """Processor time of looking through a clip's first seconds, and lines that a reader finds in each fifth frame."""
    source, out = open_source(str(DATA / path)), folder / f"{Path(path).stem}-{'-'.join(hide)}.mp4"
    stretch = ReadRequest(end=Timestamp.of_seconds(LINE_SECONDS))

    def through(things: tuple[Thing, ...]) -> tuple[Survey, float]:
        look = Look(things)
        look.at(next(f for f in source.read(ReadRequest()) if isinstance(f, Frame)))
        seen, _, cpu = timed(lambda: survey(source, look, request=stretch))
        look.close()
        return seen, 1000 * cpu / len(seen.times)

    seen, ours = through(hide)
    _, faces = through(("faces",))
    look = Look(hide)
    some = [f for f in source.read(stretch) if isinstance(f, Frame)][::5]
    look.at(some[0])
    _, _, each = timed(lambda: [look.at(f) for f in some])
    look.close()
    done = redact(source, out, Redaction(hide=hide), seen=seen)
    source.close()
    row = {"clip": Path(path).stem, "hide": ",".join(hide), "frames": len(seen.times)}
    row |= {"ms_a_frame": round(ours, 1), "ms_each_frame_looked_at": round(1000 * each / len(some), 1)}
    row |= {"ms_faces": round(faces, 1), "hidden_share": round(done.hidden_share, 4)}
    if hide == ("text",):
        row["lines_read"] = sum(read(f) for f in some)
        after = islice(frames_of(out), 0, len(seen.times), 5)
        row["lines_read_redacted"] = sum(read(f) for f in after)
    return row


@cache
def _reader() -> tuple[LineDetector, LineReader]:
    detector = LineDetector("ppocr-det", threads=2, threshold=0.3, least=0.5, grow=1.6)
    return detector, LineReader("ppocr-rec", "ppocr-cls", threads=2)


def read(frame: Frame) -> int:
    """How many lines of at least two letters are read in a picture a third larger than the redaction looks at."""
    detector, reader = _reader()
    picture = Image.fromarray(frame.image())
    told = [reader.read(picture, region) for region in detector.find(frame, 1280)]
    return sum(score >= 0.7 and sum(c.isalnum() for c in text) >= 2 for text, score in told)


def _run(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "onlooker", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"onlooker {' '.join(arguments)}: {done.stderr}")


def table(rows: list[dict[str, Any]]) -> None:
    """Print rows with all columns."""
    names = list(dict.fromkeys(n for row in rows for n in row))
    print(" | ".join(names))
    for row in rows:
        print(" | ".join(str(row.get(n, "")) for n in names))


def totals(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Sums over all clips, and over those on which nothing was chosen."""
    numbers = [n for n in rows[0] if n.startswith(("faces_", "haar_", "frames"))]
    held_out = [row for row in rows if not row["chosen_on"]]
    return {
        "all": {n: sum(row.get(n, 0) for row in rows) for n in numbers},
        "held_out": {n: sum(row.get(n, 0) for row in held_out) for n in numbers},
    }


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", help="a Python with deface and OpenCV")
    parser.add_argument("--clips", nargs="*", default=CLIPS, help="instead of all")
    parser.add_argument("--library", action="store_true", help="judge the derived files of a library too")
    parser.add_argument("--lines", action="store_true", help="measure text, plates and screens too")
    given = parser.parse_args()
    judge = SecondDetector()
    saved = RESULTS / "redaction.json"
    before: dict[str, Any] = json.loads(saved.read_text()) if saved.exists() else {}
    result = {name: part for name, part in before.items() if name not in ("benchmark", "machine")}
    with tempfile.TemporaryDirectory() as name:
        kept = {row["clip"]: row for row in before.get("clips", [])} if given.clips != CLIPS else {}
        for clip in given.clips:
            row = of_clip(DATA / clip, Path(name), judge, given.peer)
            kept[row["clip"]] = row
            table([row])
            sys.stdout.flush()
            rows = [kept[Path(c).stem] for c in CLIPS if Path(c).stem in kept]
            result = {**result, "clips": rows, **totals(rows)}
            save("redaction", result)  # after each, since it takes long
        if given.clips:
            table([result["all"], result["held_out"]])
        if given.lines:
            result["lines"] = [of_lines(path, things(hide.split(",")), Path(name)) for path, hide in LINES]
            table(result["lines"])
            save("redaction", result)
        if given.library:
            result["libraries"] = of_library(Path(name), judge)
            table(result["libraries"])
    save("redaction", result)


if __name__ == "__main__":
    main()
