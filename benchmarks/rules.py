"""Counting on labelled tracks, and a week of a camera tried in one go.

    python benchmarks/rules.py            # both
    python benchmarks/rules.py counting   # PETS: crossings by the rules against crossings of the labelled paths
    python benchmarks/rules.py week       # a million stored rows, eight rules

*Counting*: six lines over the labelled sequence. The truth is every change of side of a labelled foot path that goes
beyond the margin. The rules count on the labelled boxes, on the same boxes with faults
(boxes missing, names changed near the line, shaking), and on the tracks that `objects` makes of the video.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

from _harness import DATA, save

from onlooker.core.media import SourceInfo, VideoInfo
from onlooker.core.observation import Box, Observation, Producer
from onlooker.core.store import Batch, Query, RunState
from onlooker.core.time import Span, Timestamp
from onlooker.rules import Engine, backtest, backtest_apart, parse_rules
from onlooker.timeline import open_store

WIDTH, HEIGHT, RATE = 768, 576, 7
VIDEO = VideoInfo("h264", WIDTH, HEIGHT, "yuv420p", Fraction(RATE), Fraction(1, RATE))
INFO = SourceInfo("cd" * 16, "pets.mp4", "mp4", Fraction(500, RATE), None, VIDEO)
LINES = {
    "middle": ((0.5, 0.1), (0.5, 1.0)),
    "left": ((0.3, 0.1), (0.3, 1.0)),
    "right": ((0.7, 0.1), (0.7, 1.0)),
    "level": ((0.0, 0.5), (1.0, 0.5)),
    "low": ((0.0, 0.65), (1.0, 0.65)),
    "slope": ((0.1, 0.9), (0.9, 0.2)),
}
Boxes = dict[str, list[tuple[int, Box]]]


def rule_file() -> Any:
    """One counting rule for each line."""
    lines = "".join(f"  {n}: {{points: {[list(p) for p in points]}}}\n" for n, points in LINES.items())
    rules = "".join(f"  - {{id: {n}, when: {{crosses: {{line: {n}, label: person}}}}}}\n" for n in LINES)
    return parse_rules(f"version: 1\nlines:\n{lines}rules:\n{rules}")


def labelled() -> Boxes:
    """The labelled boxes by person, in fractions of the picture."""
    boxes: Boxes = defaultdict(list)
    for line in (DATA / "mot_pets09_s2l1" / "gt" / "gt.txt").read_text().splitlines():
        frame, person, left, top, wide, high = (float(v) for v in line.split(",")[:6])
        box = Box(left / WIDTH, top / HEIGHT, (left + wide) / WIDTH, (top + high) / HEIGHT)
        boxes[f"p{int(person)}"].append((int(frame) - 1, box))
    return boxes


def side(line: Sequence[tuple[float, float]], x: float, y: float) -> float:
    """Distance to the line in picture heights, positive to the right of its walk."""
    aspect = WIDTH / HEIGHT
    (ax, ay), (bx, by) = ((px * aspect, py) for px, py in line)
    dx, dy = bx - ax, by - ay
    return (dx * (y - ay) - dy * (x * aspect - ax)) / (dx * dx + dy * dy) ** 0.5


def truth(boxes: Boxes, margin: float) -> dict[str, Counter[str]]:
    """Crossings of the labelled paths, by line and direction."""
    counts = {name: Counter[str]() for name in LINES}
    for path in boxes.values():
        for name, line in LINES.items():
            before = 0
            for _, box in path:
                distance = side(line, (box.left + box.right) / 2, box.bottom)
                now = 0 if abs(distance) < margin else (1 if distance > 0 else -1)
                if now and before and now != before:
                    counts[name]["in" if now > 0 else "out"] += 1
                before = now or before
    return counts


def observations(boxes: Boxes) -> list[Observation]:
    """As the analyzer of objects would give them."""
    made: list[Observation] = []
    for track, path in boxes.items():
        for frame, box in path:
            start = Timestamp(frame, Fraction(1, RATE))
            made.append(Observation(Span(start, start + Fraction(1, RATE)), "object", 0.9, "person", box, track))
    return made


def with_faults(boxes: Boxes, seed: int) -> Boxes:
    """A fifth of the boxes missing, shaking by a hundredth, and a new name twice for each person."""
    chance = random.Random(seed)
    faulty: Boxes = {}
    for name, path in boxes.items():
        cuts = sorted(chance.sample(range(len(path)), min(2, len(path))))
        for i, (frame, box) in enumerate(path):
            if chance.random() < 0.2:
                continue
            dx, dy = chance.gauss(0, 0.003), chance.gauss(0, 0.003)
            moved = Box(box.left + dx, box.top + dy, box.right + dx, box.bottom + dy)
            faulty.setdefault(f"{name}.{sum(i >= c for c in cuts)}", []).append((frame, moved))
    return faulty


def count(seen: Iterable[Observation]) -> dict[str, Counter[str]]:
    """What the rules count."""
    engine = Engine(rule_file(), INFO)
    engine.take(seen, {})
    counts = {name: Counter[str]() for name in LINES}
    for event in engine.finish(500 * 10**9 // RATE):
        if event.state == "new":
            counts[event.rule][str(event.data["direction"])] += 1
    return counts


def difference(a: dict[str, Counter[str]], b: dict[str, Counter[str]]) -> int:
    """Sum of differences over lines and directions."""
    return sum(abs(a[n][d] - b[n][d]) for n in LINES for d in ("in", "out"))


def counting() -> dict[str, Any]:
    """The table of counts."""
    boxes = labelled()
    wanted = truth(boxes, 0.01)
    rows = {"labelled boxes": count(observations(boxes))}
    for seed in range(3):
        rows[f"with faults {seed}"] = count(observations(with_faults(boxes, seed)))
    rows["tracks of objects"] = count(analysed())
    total = sum(sum(c.values()) for c in wanted.values())
    print(f"{'':20} " + " ".join(f"{n:>9}" for n in LINES) + f"   differs (of {total})")
    shown = {"truth": wanted, **rows}
    result: dict[str, Any] = {"crossings": total}
    for name, counts in shown.items():
        cells = " ".join(f"{counts[n]['in']:>4}/{counts[n]['out']:<4}" for n in LINES)
        off = difference(wanted, counts)
        print(f"{name:20} {cells}   {off}")
        result[name] = {"counts": {n: dict(counts[n]) for n in LINES}, "differs": off}
    return result


def analysed() -> list[Observation]:
    """The boxes that the analyzer of objects finds in the video."""
    from onlooker import Library

    with tempfile.TemporaryDirectory() as folder, Library.open(folder) as library:
        settings = {"objects": {"rate": float(RATE), "gate": False}}
        library.analyze([DATA / "mot_pets09_s2l1" / "video.mp4"], only=["objects"], settings=settings)
        return [o for o in library.observations(kind="object") if o.label == "person"]


# -- a week --

WEEK = parse_rules("""
version: 1
time_zone: Europe/Berlin
zones:
  yard: [[0.1, 0.4], [0.9, 0.4], [0.9, 1], [0.1, 1]]
  gate: [[0.4, 0.4], [0.6, 0.4], [0.6, 0.9], [0.4, 0.9]]
lines: {door: {points: [[0.5, 0.2], [0.5, 1]]}}
rules:
  - {id: entries, when: {crosses: {line: door, label: person}}}
  - {id: loitering, when: {object: {label: person, zone: gate, lasts: 20s}}, cooldown: 1m}
  - {id: crowd, when: {object: {label: person, zone: yard, at_least: 4, until_below: 3}}}
  - {id: night, when: {object: {label: person, zone: yard}}, per: camera,
     schedule: {inside: [{from: "22:00", to: "06:00"}]}}
  - {id: car-fast, when: {object: {label: car, faster: 0.2 widths/s}}}
  - {id: nobody, when: {not: {of: {object: {label: person}}, lasts: 1h}}}
  - id: shout-and-run
    when: {all: {of: [{sound: {label: shout}}, {object: {faster: 0.15 widths/s}}], within: 5s}}
  - id: glass-then-person
    when: {sequence: {steps: [{sound: {label: breaking}}, {object: {label: person}}], within: 30s}}
""")


def week_of(store: Any, rows: int) -> SourceInfo:
    """Fill a store with about so many boxes of passers-by over seven days; more by day than by night."""
    info = SourceInfo(
        "ef" * 16,
        "yard.mp4",
        "mp4",
        Fraction(7 * 86_400),
        None,
        VIDEO,
        tags={"creation_time": "2026-05-04T00:00:00+00:00"},
    )
    store.add_source(info)
    objects, sounds = (Producer(n, "1", "0" * 32) for n in ("objects", "sounds"))
    chance = random.Random(1)
    made, number, day = 0, 0, 86_400.0
    while made < rows:
        hour = chance.choices(range(24), [1] * 6 + [6] * 14 + [3] * 4)[0]
        begin = chance.randrange(7) * day + hour * 3600 + chance.random() * 3600
        batch = passers(chance, number, begin, objects)
        number += 8
        if chance.random() < 0.2:
            span = Span.of_seconds(begin + 2, begin + 3)
            label = chance.choice(["shout", "breaking", "dog"])
            batch.append(Observation(span, "sound", 0.8, label).of(info.id, sounds, 0))
        store.commit(Batch(info.id, batch))
        made += len(batch)
    store.commit(Batch(info.id, states=[RunState(p, Timestamp.of_seconds(7 * day), True) for p in (objects, sounds)]))
    return info


def passers(chance: random.Random, number: int, begin: float, producer: Producer) -> list[Observation]:
    """A group that goes through the picture, five boxes a second each."""
    found: list[Observation] = []
    for i in range(chance.randint(1, 6)):
        label = chance.choice(["person", "person", "person", "car"])
        x, speed = chance.choice([(0.0, 1), (1.0, -1)])
        pace = chance.uniform(0.02, 0.1) * (4 if label == "car" else 1) * speed
        y, first = chance.uniform(0.5, 0.95), round((begin + chance.random() * 5) * 5)
        for k in range(min(round(5 / abs(pace)), 600)):
            left = x + pace * k / 5
            box = Box(left - 0.03, y - 0.2, left + 0.03, y)
            start = Timestamp(5 * (first + k), Fraction(1, 25))
            o = Observation(Span(start, start + Fraction(1, 25)), "object", 0.8, label, box, f"t{number + i}")
            found.append(o.of("ef" * 16, producer, number + i))
    return found


def week(rows: int = 1_000_000) -> dict[str, Any]:
    """Time to try eight rules on a camera's week."""
    folder = Path(tempfile.mkdtemp())
    try:
        store = open_store(folder)
        begun = time.perf_counter()
        info = week_of(store, rows)
        filled = time.perf_counter() - begun
        stored = sum(store.counts(info.id).values())
        print(f"{stored} rows stored in {filled:.0f} s")
        begun = time.perf_counter()
        opener = partial(open_store, folder, create=False, read_only=True)
        apart = list(backtest_apart(opener, WEEK, [info], workers=os.cpu_count() or 1))
        seconds = time.perf_counter() - begun
        print(f"shared out over processes: {seconds:.1f} s", flush=True)
        begun = time.perf_counter()
        events = list(backtest(store, WEEK, [info]))
        alone = time.perf_counter() - begun
        begun = time.perf_counter()
        for _ in store.query(Query(sources=(info.id,), kinds=("object", "sound"))):
            pass
        reading = time.perf_counter() - begun
        live = Engine(WEEK, info)
        made = []
        chunk: list[Observation] = []
        for o in store.query(Query(sources=(info.id,), kinds=("object", "sound"))):
            chunk.append(o)
            if len(chunk) == 50:  # as a live run gives them, a little at a time
                made += live.take(chunk, dict.fromkeys(("object", "sound"), o.span.start.nanoseconds))
                chunk = []
        made += live.take(chunk, {})
        made += live.finish(7 * 86_400 * 10**9)
        lives = [sorted((e.id, e.number, e.state, e.start, e.end) for e in some) for some in (made, events, apart)]
        same = lives[0] == lives[1] == lives[2]
        store.close()
    finally:
        shutil.rmtree(folder)
    counts = Counter(e.rule for e in events if e.state == "end")
    print(
        f"eight rules over a week: {seconds:.1f} s, in one process {alone:.1f} s; reading alone takes {reading:.1f} s;"
    )
    print(f"{7 * 86_400 / seconds:.0f} x real time; events as live: {same}; {dict(counts)}")
    return {
        "rows": stored,
        "seconds": round(seconds, 2),
        "one_process_seconds": round(alone, 2),
        "reading_seconds": round(reading, 2),
        "times_real_time": round(7 * 86_400 / seconds),
        "same_as_live": same,
        "events": dict(counts),
    }


def main() -> None:
    """Run what is named, or both."""
    parts = {"counting": counting, "week": week}
    names = sys.argv[1:] or list(parts)
    save("rules", {name: parts[name]() for name in names})


if __name__ == "__main__":
    main()
