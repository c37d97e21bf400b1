"""Key points and postures of persons: the analyzer's network on crops beside the whole picture's (MoveNet MultiPose, no
tracking) and MediaPipe's landmark network on the same crops.

    python benchmarks/pose.py

There are no labelled key points here, so what can be known is measured: how many of the certain points lie on the
person's own mask (COCO, drawn by people), whether a mirrored picture gives mirrored points, how much points tremble
on persons who sit still, and postures against pose_truth.csv, a table made by looking at each picture (``legs``:
whether hips, knees and feet can be seen). What the square around a person keeps was chosen on the masks, and the rules
of postures with an eye on the rows ``seen``; the rows ``held_out`` came afterwards. Result: results/pose.json.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _harness import DATA, save
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from onlooker.analyzers._faces import square_crop
from onlooker.analyzers.pose.body import BodyPoints
from onlooker.analyzers.pose.config import PoseConfig
from onlooker.analyzers.pose.posture import look_at
from onlooker.core.media import Frame, ReadRequest
from onlooker.models import load
from onlooker.sources import open_source

Picture = NDArray[np.uint8]
Points = NDArray[np.floating]
Find = Callable[[Picture, Points], Points | None]

TRUTH = Path(__file__).parent / "pose_truth.csv"
SURE = PoseConfig().sure
MIRROR = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]
# BlazePose's 33 points in COCO's order
_BLAZE = [0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28]


@dataclass(frozen=True)
class Person:
    source: str
    time: float
    box: Points
    body: str
    legs: bool
    arms: str
    part: str


# -- networks --


class Blaze:
    """MediaPipe's BlazePose on the square around the box."""

    def __init__(self, crop: float) -> None:
        self._model: Any = load("pose-landmark", threads=1)
        self._crop = crop

    def __call__(self, picture: Picture, box: Points) -> Points:
        crop = square_crop(picture, np.asarray(box, np.float32), self._crop, 256)
        made = self._model.run([(crop / 255).astype(np.float32)[None]])
        rows = next(m for m in made if m.shape == (1, 195)).reshape(39, 5)[_BLAZE]
        size = np.array([picture.shape[1], picture.shape[0]])
        side = float(((box[2:4] - box[:2]) * size).max()) * self._crop
        place = (box[:2] + box[2:4]) / 2 + (rows[:, :2] / 256 - 0.5) * side / size
        return np.column_stack([place, 1 / (1 + np.exp(-np.clip(rows[:, 3], -50, 50)))])


class Multi:
    """MoveNet MultiPose on the whole picture; the person whose box overlaps most."""

    def __init__(self) -> None:
        self._model: Any = load("movenet-multipose", threads=1)
        self._last: tuple[Picture, Points] | None = None

    def __call__(self, picture: Picture, box: Points) -> Points | None:
        height, width = picture.shape[:2]
        if self._last is None or self._last[0] is not picture:
            scale = 256 / max(height, width)
            small = Image.fromarray(picture).resize((round(width * scale), round(height * scale)))
            square = np.zeros((256, 256, 3), np.int32)
            square[: small.height, : small.width] = np.asarray(small)
            rows = self._model.run([square[None]])[0].reshape(6, 56)
            self._last = (picture, rows[rows[:, 55] > 0.1])
        grow = 256 / np.array([width, height]) / (256 / max(height, width))
        best, found = 0.2, None
        for row in self._last[1]:
            own = row[[52, 51, 54, 53]] * np.tile(grow, 2)
            low, high = np.maximum(own[:2], box[:2]), np.minimum(own[2:], box[2:4])
            shared = float(np.prod(np.maximum(high - low, 0)))
            union = float(np.prod(own[2:] - own[:2]) + np.prod(box[2:4] - box[:2])) - shared
            if shared / union > best:
                points = row[:51].reshape(17, 3)
                best, found = shared / union, np.column_stack([points[:, 1::-1] * grow, points[:, 2]])
        return found


# -- data --


def persons() -> list[Person]:
    with TRUTH.open() as file:
        return [
            Person(
                r["source"],
                float(r["time"]),
                np.array([float(r[k]) for k in ("left", "top", "right", "bottom")]),
                r["body"],
                r["legs"] == "1",
                r["arms"],
                r["part"],
            )
            for r in csv.DictReader(file)
        ]


def pictures(wanted: list[Person]) -> dict[tuple[str, float], Picture]:
    """The pictures of the table."""
    times: dict[str, set[float]] = defaultdict(set)
    for p in wanted:
        times[p.source].add(p.time)
    found: dict[tuple[str, float], Picture] = {}
    for name, moments in times.items():
        if name.endswith(".jpg"):
            found[name, 0.0] = np.asarray(Image.open(DATA / name).convert("RGB"))
            continue
        source, left = open_source(str(DATA / name)), set(moments)
        for frame in source.read(ReadRequest(frames="all")):
            if isinstance(frame, Frame) and round(frame.time.seconds, 3) in left:
                moment = round(frame.time.seconds, 3)
                left.discard(moment)
                found[name, moment] = frame.image(min(frame.width, PoseConfig().width), None, "rgb24").copy()
                if not left:
                    break
        source.close()
    return found


@dataclass(frozen=True)
class Masked:
    picture: Picture
    box: Points
    mask: NDArray[np.bool_]


def masked() -> list[Masked]:
    """Persons of COCO at least 100 pixels tall, with masks grown by 4 % of their height (classes count from 1 here)."""
    found: list[Masked] = []
    for path in sorted((DATA / "coco128" / "instance_segmentation_labels").glob("*.txt")):
        picture = np.asarray(Image.open(DATA / "coco128" / "images" / f"{path.stem}.jpg").convert("RGB"))
        size = np.array([picture.shape[1], picture.shape[0]])
        for line in path.read_text().splitlines():
            kind, *rest = line.split()
            outline = np.array(rest, float).reshape(-1, 2)
            low, high = outline.min(0), outline.max(0)
            tall = (high - low)[1] * size[1]
            if kind != "1" or tall < 100:
                continue
            drawn = Image.new("1", (picture.shape[1], picture.shape[0]))
            draw = ImageDraw.Draw(drawn)
            spots = [tuple(p) for p in (outline * size).tolist()]
            draw.polygon(spots, fill=1)
            draw.line([*spots, spots[0]], fill=1, width=round(0.08 * tall))
            found.append(Masked(picture, np.concatenate([low, high]), np.asarray(drawn)))
    return found


# -- measures --


def on_mask(find: Find, people: list[Masked]) -> dict[str, float]:
    """Share of certain points on the person's mask; points per person; difference to the mirrored picture."""
    hit = seen = missing = 0
    apart: list[float] = []
    for p in people:
        points, turned = (
            find(p.picture, p.box),
            find(p.picture[:, ::-1].copy(), p.box[[2, 1, 0, 3]] * [-1, 1, -1, 1] + [1, 0, 1, 0]),
        )
        if points is None or turned is None:
            missing += 1
            continue
        sure = points[:, 2] >= SURE
        height, width = p.mask.shape
        x, y = (np.clip((points[sure, i] * n).astype(int), 0, n - 1) for i, n in ((0, width), (1, height)))
        hit, seen = hit + int(p.mask[y, x].sum()), seen + int(sure.sum())
        back = turned[MIRROR] * [-1, 1, 1] + [1, 0, 0]
        both = sure & (back[:, 2] >= SURE)
        tall = (p.box[3] - p.box[1]) * height
        apart += (np.hypot(*((points - back)[both, :2] * [width, height]).T) / tall).tolist()
    found = len(people) - missing
    return {
        "persons_found": round(found / len(people), 3),
        "points_per_person": round(seen / len(people), 2),
        "on_mask": round(hit / max(seen, 1), 4),
        "mirror_median": round(float(np.median(apart)), 4),
        "mirror_over_10_percent": round(float((np.array(apart) > 0.1).mean()), 4),
    }


def judge(find: Find, table: list[Person], shown: dict[tuple[str, float], Picture]) -> list[tuple[Person, str, str]]:
    """Body and arms of each person of the table."""
    made: list[tuple[Person, str, str]] = []
    for p in table:
        picture = shown[p.source, p.time]
        points = find(picture, p.box)
        look = None if points is None else look_at(points, picture.shape[1] / picture.shape[0], SURE)
        made.append((p, look.body if look else "", look.arms if look else ""))
    return made


def postures(made: list[tuple[Person, str, str]]) -> dict[str, Any]:
    """How many bodies are named rightly, wrongly or not at all; raised arms; what was said where no legs are seen."""
    told: Counter[str] = Counter()
    confused: Counter[str] = Counter()
    for person, body, arms in made:
        if person.body and person.legs:
            told["right" if body == person.body else "silent" if not body else "wrong"] += 1
            confused[f"{person.body} > {body or '-'}"] += 1
        elif person.body:
            told["without_legs"] += 1
            told["without_legs_wrong"] += body not in ("", person.body)
        if person.arms:
            raised = person.arms != "none"
            told["raised"] += raised
            told["raised_found"] += raised and arms != ""
            told["raised_falsely"] += not raised and arms != ""
    keys = (
        "right",
        "silent",
        "wrong",
        "without_legs",
        "without_legs_wrong",
        "raised",
        "raised_found",
        "raised_falsely",
    )
    return {**{k: told[k] for k in keys}, "confusion": dict(sorted(confused.items()))}


def lying(find: Find, table: list[Person], shown: dict[tuple[str, float], Picture]) -> dict[str, int]:
    """Those who stand, with the picture laid on its side: there is no labelled set of people who lie."""
    told: Counter[str] = Counter()
    for p in table:
        if p.body != "standing" or not p.legs:
            continue
        left, top, right, bottom = p.box
        for turns, box in ((1, (top, 1 - right, bottom, 1 - left)), (3, (1 - bottom, left, 1 - top, right))):
            picture = np.ascontiguousarray(np.rot90(shown[p.source, p.time], turns))
            points = find(picture, np.array(box))
            look = None if points is None else look_at(points, picture.shape[1] / picture.shape[0], SURE)
            told[look.body if look else ""] += 1
    return {k or "silent": v for k, v in sorted(told.items())}


def trembling() -> dict[str, float]:
    """Median way of certain points of people who sit still, from moment to moment (0.2 s), in heights of the box."""
    from onlooker.analyzers.objects.analyzer import Objects
    from onlooker.analyzers.objects.config import ObjectsConfig
    from onlooker.analyzers.pose.analyzer import Pose
    from onlooker.core.analyzer import Context
    from onlooker.testing.drive import decide, measure

    source = open_source(str(DATA / "clips" / "preview_classroom.mp4"))
    video = source.info.video
    assert video is not None
    found: dict[str, float] = {}
    measured: Any = None
    for name, seconds in (("raw", 0.0), ("steadied", PoseConfig().smooth_seconds)):
        pair = [Objects(ObjectsConfig(rate=5, gate=False)), Pose(PoseConfig(smooth_seconds=seconds))]
        for analyzer in pair:
            analyzer.open(Context(source.info))
        measured = measured or measure(pair, source)
        tracks: dict[str, list[Any]] = defaultdict(list)
        for o in decide(pair, measured):
            if o.kind == "pose" and o.box is not None:
                tracks[str(o.track)].append((np.array(o.data["keypoints"]), o.box.bottom - o.box.top))
        ways: list[float] = []
        for rows in tracks.values():
            for (a, tall), (b, _) in itertools.pairwise(rows):
                sure = np.minimum(a[:, 2], b[:, 2]) >= SURE
                ways += (np.hypot(*((a - b)[sure, :2] * [video.width / video.height, 1]).T) / tall).tolist()
        found[name] = round(float(np.median(ways)), 5)
        for analyzer in pair:
            analyzer.close()
    source.close()
    return found


def per_person(find: Find, people: list[Masked]) -> float:
    """CPU milliseconds for one person, by one thread."""
    started = time.process_time()
    for p in people:
        find(p.picture, p.box)
    return round((time.process_time() - started) / len(people) * 1000, 1)


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    networks: dict[str, Find] = {
        "onlooker": BodyPoints(threads=1, crop=PoseConfig().crop).find,
        "MultiPose, whole picture": Multi(),
        "BlazePose, same boxes": Blaze(1.25),
    }
    people, table = masked(), persons()
    shown = pictures(table)
    print(f"{len(people)} persons with masks; {len(table)} persons with a posture")
    both = [p for p in people if networks["MultiPose, whole picture"](p.picture, p.box) is not None]
    result: dict[str, Any] = {"persons_with_masks": len(people), "found_by_all": len(both), "networks": {}}
    for name, find in networks.items():
        line = result["networks"][name] = {
            "points": on_mask(find, people),
            "points_on_those_found_by_all": on_mask(find, both),
            "postures": postures(judge(find, [p for p in table if p.part == "seen"], shown)),
            "postures_held_out": postures(judge(find, [p for p in table if p.part == "held_out"], shown)),
            "laid_on_their_side": lying(find, table, shown),
            "cpu_ms_per_person": per_person(find, people),
        }
        print(f"\n{name}")
        for key, value in line.items():
            print(f"  {key:30} {value}")
    result["trembling"] = trembling()
    print("\ntrembling of people who sit still:", result["trembling"])
    save("pose", result)


if __name__ == "__main__":
    main()
