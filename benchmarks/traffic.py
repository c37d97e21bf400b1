"""Traffic: type, colour and direction of vehicles against a table made by looking at a highway clip; directions of
persons against the hand-drawn tracks of PETS; counts of cars seen from straight above.

    python benchmarks/traffic.py

Beside it a plain peer on the same detections: colour of the mean pixel of the box in one frame, and the direction by
steps of a second. The levels of colours were chosen on the rows ``fit`` of traffic_truth.csv; more than one name in
``colours`` means that people would not agree. Result: results/traffic.json.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter, defaultdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from _harness import DATA, save, timed

from onlooker.analyzers.objects.analyzer import Objects
from onlooker.analyzers.objects.config import ObjectsConfig
from onlooker.analyzers.traffic.analyzer import Traffic
from onlooker.analyzers.traffic.colours import COLOURS, colour_votes
from onlooker.analyzers.traffic.config import TrafficConfig
from onlooker.analyzers.traffic.movement import movement
from onlooker.core.media import Frame, ReadRequest
from onlooker.core.observation import Box, Observation
from onlooker.sources import open_source
from onlooker.testing.drive import drive

TRUTH = Path(__file__).parent / "traffic_truth.csv"
HIGHWAY, OVERHEAD = "clips/traffic_highway.avi", "clips/traffic_car_overhead.mp4"
PETS, PETS_RATE, PETS_SIZE = "mot_pets09_s2l1", 7.0, (768, 576)
OVERHEAD_CARS = {"up": 2, "down": 2}
"""Seen by eye: a white and a red car drive up, a blue-grey and a white one down."""


def run(name: str, rate: float, **settings: Any) -> list[Observation]:
    source = open_source(str(DATA / name))
    made = drive([Objects(ObjectsConfig(rate=rate, gate=False)), Traffic(TrafficConfig(**settings))], source)
    source.close()
    return made


def iou(a: Any, b: Any) -> float:
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(wide, 0) * max(high, 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def plain_colours(name: str, boxes: dict[Fraction, list[tuple[int, Box]]]) -> dict[int, str]:
    """The peer: the named colour of the mean pixel of the whole box in one frame."""
    found: dict[int, str] = {}
    source = open_source(str(DATA / name))
    for frame in source.read(ReadRequest(frames="all")):
        if isinstance(frame, Frame):
            for row, box in boxes.get(frame.time.value, []):
                picture = frame.image(640, None, "rgb24") if frame.width > 640 else frame.image(None, None, "rgb24")
                high, wide = picture.shape[:2]
                part = picture[
                    int(box.top * high) : int(box.bottom * high), int(box.left * wide) : int(box.right * wide)
                ]
                mean = np.full((4, 4, 3), part.reshape(-1, 3).mean(0), np.uint8)
                found[row] = COLOURS[int(colour_votes(mean).argmax())]
    source.close()
    return found


def vehicles(made: list[Observation]) -> dict[str, Any]:
    """Colour, type and depth of the table's vehicles."""
    with TRUTH.open() as file:
        table = list(csv.DictReader(file))
    objects = [o for o in made if o.kind == "object" and o.box is not None]
    attributes = {o.track: o for o in made if o.kind == "attribute"}
    told: Counter[str] = Counter()
    confused: Counter[str] = Counter()
    single: dict[Fraction, list[tuple[int, Box]]] = defaultdict(list)
    for number, row in enumerate(table):
        box = [float(row[k]) for k in ("left", "top", "right", "bottom")]
        near = [o for o in objects if abs(o.span.start.seconds - float(row["time"])) < 0.02]
        best = max(near, key=lambda o: iou(o.box, box), default=None)
        if best is None or best.box is None or iou(best.box, box) < 0.5 or best.track not in attributes:
            told["not_found"] += 1
            continue
        single[best.span.start.value].append((number, best.box))
        data = attributes[best.track].data
        right = data.get("colour") in row["colours"].split()
        told[f"{row['part']}_colour_right"] += right
        told[row["part"]] += 1
        told["depth_right"] += data.get("depth") == row["depth"]
        told["depth_wrong"] += data.get("depth") not in (None, row["depth"])
        # the detector has no class for vans
        kinds = {"car": ("car",), "van": ("car", "truck", "bus"), "truck": ("truck",)}[row["type"]]
        told["type_right"] += data["type"] in kinds
        if not right:
            confused[f"{row['colours'].replace(' ', '/')} > {data.get('colour')}"] += 1
    plain = plain_colours(HIGHWAY, single)
    told["peer_colour_right"] = sum(name in table[row]["colours"].split() for row, name in plain.items())
    whole = next(o for o in made if o.kind == "fact" and o.data["period"] == "source")
    return {"vehicles": len(table), **dict(told), "confused": dict(confused), "counts": dict(whole.data)}


def pets(made: list[Observation]) -> dict[str, Any]:
    """Directions of persons, ours and the peer's, against the drawn tracks."""
    truth = np.loadtxt(DATA / PETS / "gt" / "gt.txt", delimiter=",")
    size = np.array([*PETS_SIZE, *PETS_SIZE], float)
    drawn: dict[int, dict[int, Any]] = defaultdict(dict)
    for row in truth:
        drawn[int(row[0])][int(row[1])] = np.array([row[2], row[3], row[2] + row[4], row[3] + row[5]]) / size
    seen: dict[str, list[tuple[int, Any]]] = defaultdict(list)
    for o in made:
        if o.kind == "object" and o.track and o.box is not None:
            seen[o.track].append((round(o.span.start.seconds * PETS_RATE) + 1, o.box))
    config, aspect = TrafficConfig(), PETS_SIZE[0] / PETS_SIZE[1]

    def direction(first: Any, last: Any, seconds: float) -> str:
        ends = {"first_box": list(first), "last_box": list(last)}
        return movement(ends, seconds, aspect, config.still, config.growth).direction

    told: Counter[str] = Counter()
    for attribute in (o for o in made if o.kind == "attribute" and o.label == "person"):
        votes: Counter[int] = Counter()
        rows = seen[str(attribute.track)]
        for frame, box in rows:
            best = max(drawn[frame].items(), key=lambda pair: iou(pair[1], box), default=None)
            if best is not None and iou(best[1], box) >= 0.5:
                votes[best[0]] += 1
        told["tracks"] += 1
        if not votes or votes.most_common(1)[0][1] < 0.5 * len(rows):
            told["without_truth"] += 1
            continue
        person = votes.most_common(1)[0][0]
        frames = [f for f, _ in rows if person in drawn[f]]
        right = direction(drawn[frames[0]][person], drawn[frames[-1]][person], (frames[-1] - frames[0]) / PETS_RATE)
        told["judged"] += 1
        told["right"] += attribute.data["direction"] == right
        steps = Counter(direction(a, b, 1.0) for (_, a), (_, b) in zip(rows, rows[7:], strict=False))
        told["peer_right"] += bool(steps) and steps.most_common(1)[0][0] == right
    return {**dict(told), "persons_drawn": len({i for people in drawn.values() for i in people})}


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    highway, _, used = timed(lambda: run(HIGHWAY, 10.0))
    result: dict[str, Any] = {"highway": vehicles(highway), "pets": pets(run(f"{PETS}/video.mp4", PETS_RATE))}
    print("highway:", result["highway"], f"({used:.0f} s of CPU with objects)")
    print("PETS, directions of persons:", result["pets"])
    for name, also in (("overhead", {}), ("overhead_also", {"cell phone": "car"})):
        facts = [o for o in run(OVERHEAD, 10.0, also=also) if o.kind == "fact" and o.data["period"] == "source"]
        result[name] = {"cars_by_eye": OVERHEAD_CARS, "also": also, "counts": dict(facts[0].data)}
        print(f"{name}: {result[name]}")
    save("traffic", result)


if __name__ == "__main__":
    main()
