"""Sounds against clips of ESC-10 placed at known times in noise: ``python benchmarks/sounds.py [--fit]``.

Thresholds are chosen on folds 1 and 2 (``--fit`` prints them) and the figures are of folds 3 and 4. An event is found
if one of its label begins within a second of it; the segment F1 compares whole seconds, as sed_eval does.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from _harness import DATA, save, timed
from _sound_mixtures import RATE, Event, load, loud_parts, pink, rows, save_wave

from onlooker.analyzers.sounds.analyzer import Sounds
from onlooker.analyzers.sounds.config import SoundsConfig
from onlooker.analyzers.sounds.labels import LABELS, THRESHOLDS
from onlooker.core.analyzer import Context
from onlooker.core.measurement import Measurement
from onlooker.core.observation import Observation
from onlooker.sources import open_source
from onlooker.testing.drive import decide, measure

OURS = {
    "dog_bark": "dog",
    "chainsaw": "tool",
    "fire_crackling": "fire",
    "helicopter": "aircraft",
    "rain": "rain",
    "baby_cry": "baby_cry",
    "clock_tick": "clock",
    "person_sneeze": "sneeze",
    "rooster": "bird",
    "sea_waves": "water",
}
COLLAR = 1.0
NOISES = (None, -60.0, -45.0)


def mixture(fold: str, noise: float | None, seed: int) -> tuple[np.ndarray, list[Event]]:
    """All clips of a fold in random order, 2 to 4 s apart, over pink noise of a level in dB."""
    rng = np.random.default_rng(seed)
    chosen = [row for row in rows(DATA / "esc10") if row["fold"] == fold]
    parts: list[np.ndarray] = [np.zeros(2 * RATE)]
    events: list[Event] = []
    at = 2.0
    for i in rng.permutation(len(chosen)):
        samples = load(DATA / "esc10" / "audio" / chosen[i]["file"])
        label = OURS[chosen[i]["label"]]
        events += [Event(at + a, at + b, label) for a, b in loud_parts(samples)]
        pause = int(rng.uniform(2, 4) * RATE)
        parts += [samples, np.zeros(pause)]
        at += (len(samples) + pause) / RATE
    whole = np.concatenate(parts)
    return (whole if noise is None else whole + pink(len(whole), noise, rng)), events


def heard(samples: np.ndarray, folder: Path) -> tuple[dict[str, list[Measurement]], Path]:
    """What the heavy part measures."""
    path = save_wave(folder / "mixture.wav", samples)
    analyzer = Sounds(SoundsConfig())
    with_source = open_source(str(path))
    analyzer.open(Context(with_source.info))
    try:
        return measure([analyzer], with_source), path
    finally:
        analyzer.close()
        with_source.close()


def decided(measured: dict[str, list[Measurement]], path: Path, thresholds: dict[str, float]) -> list[Observation]:
    """The spans, with other thresholds."""
    analyzer = Sounds(SoundsConfig(thresholds=thresholds))
    source = open_source(str(path))
    analyzer.open(Context(source.info))
    try:
        return decide([analyzer], measured)
    finally:
        analyzer.close()
        source.close()


def counts(found: list[Event], true: list[Event], seconds: int) -> dict[str, np.ndarray]:
    """By label: found, missed and false events, then seconds."""
    by_label: dict[str, np.ndarray] = {}
    for label in sorted({e.label for e in true} | {e.label for e in found}):
        got, wanted = [e for e in found if e.label == label], [e for e in true if e.label == label]
        free = list(wanted)
        hits = 0
        for event in got:
            match = [w for w in free if abs(w.start - event.start) <= COLLAR]
            if match:
                free.remove(min(match, key=lambda w: abs(w.start - event.start)))
                hits += 1
        active = np.zeros((2, seconds), bool)
        for row, events in enumerate((got, wanted)):
            for event in events:
                active[row, int(event.start) : int(np.ceil(event.end))] = True
        both = int((active[0] & active[1]).sum())
        by_label[label] = np.array(
            [hits, len(wanted) - hits, len(got) - hits, both, *(int(a.sum()) - both for a in active[::-1])]
        )
    return by_label


def f1(count: np.ndarray) -> tuple[float, float]:
    """Of events and of seconds."""
    return tuple(float(2 * h / max(1, 2 * h + m + f)) for h, m, f in (count[:3], count[3:]))  # pyright: ignore


def events_of(observations: list[Observation]) -> list[Event]:
    return [Event(o.span.start.seconds, o.span.end.seconds, o.label or "") for o in observations]


def fit(sets: list[tuple[dict[str, list[Measurement]], Path, list[Event], int]]) -> dict[str, float]:
    """For labels with clips the threshold of the best F1; for the others the least one that is hardly ever reached.

    Both within limits: ten classes of clips are not the world.
    """
    chosen: dict[str, float] = {}
    steps = [round(float(t), 2) for t in np.geomspace(0.05, 0.8, 20)]
    scores: dict[str, dict[float, np.ndarray]] = {label: {} for label in LABELS}
    for step in steps:
        for measured, path, true, seconds in sets:
            found = events_of(decided(measured, path, dict.fromkeys(LABELS, step)))
            for label, count in counts(found, true, seconds).items():
                scores[label][step] = scores[label].get(step, np.zeros(6)) + count
    minutes = sum(seconds for *_, seconds in sets) / 60
    for label in LABELS:
        by_step = {s: scores[label].get(s, np.zeros(6)) for s in steps}
        if label in OURS.values():
            best = max(sum(f1(c)) for c in by_step.values())
            good = [s for s, c in by_step.items() if sum(f1(c)) >= best - 0.02]
            chosen[label] = min(0.5, good[len(good) // 2])
        else:
            quiet = [s for s, c in by_step.items() if c[2] / minutes <= 0.1]
            chosen[label] = min(0.4, max(0.2, min(quiet, default=0.4)))
    return chosen


def prepared(folds: str, folder: Path) -> list[tuple[dict[str, list[Measurement]], Path, list[Event], int]]:
    sets = []
    for fold in folds:
        for number, noise in enumerate(NOISES):
            samples, true = mixture(fold, noise, int(fold) * 10 + number)
            place = folder / f"{fold}-{number}"
            place.mkdir()
            sets.append((*heard(samples, place), true, len(samples) // RATE))
    return sets


def report(sets: list[tuple[dict[str, list[Measurement]], Path, list[Event], int]]) -> dict[str, object]:
    total: dict[str, np.ndarray] = {}
    alarms: Counter[str] = Counter()
    for measured, path, true, seconds in sets:
        for label, count in counts(events_of(decided(measured, path, {})), true, seconds).items():
            if label in OURS.values():
                total[label] = total.get(label, np.zeros(6)) + count
            else:
                alarms[label] += int(count[2])
    minutes = sum(seconds for *_, seconds in sets) / 60
    every = f1(sum(total.values(), np.zeros(6)))
    print(f"{'label':10} event F1  segment F1")
    for label, count in sorted(total.items()):
        print(f"{label:10} {f1(count)[0]:8.3f}  {f1(count)[1]:10.3f}")
    print(f"{'all':10} {every[0]:8.3f}  {every[1]:10.3f}; other labels reported a minute: "
          f"{ {k: round(v / minutes, 2) for k, v in alarms.most_common(8)} }")  # fmt: skip
    return {
        "event_f1": every[0],
        "segment_f1": every[1],
        "by_label": {k: f1(v) for k, v in total.items()},
        "other_labels_a_minute": {k: v / minutes for k, v in alarms.items()},
        "minutes": minutes,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fit", action="store_true", help="choose thresholds on folds 1 and 2, and print them")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        if arguments.fit:
            print(fit(prepared("12", Path(name))))
            return
        sets, _, cpu = timed(lambda: prepared("34", Path(name)))
        seconds = sum(s for *_, s in sets)
        result = report(sets)
        print(f"CPU seconds a second of sound: {cpu / seconds:.4f}")
        save("sounds", {**result, "thresholds": THRESHOLDS, "cpu_per_second": cpu / seconds})


if __name__ == "__main__":
    main()
