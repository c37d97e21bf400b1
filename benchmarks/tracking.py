"""The tracker of ``objects`` beside those of the `trackers` package with their published settings, on the same
detections, by the same evaluator (that of `trackers`, which follows TrackEval).

    python benchmarks/tracking.py          # needs: pip install -r benchmarks/requirements.txt

Result: results/tracking.json.
"""

# peers are installed for benchmarks only
# pyright: reportMissingImports=false

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _harness import DATA, save, timed

from onlooker.analyzers._tracking import Track, Tracker
from onlooker.analyzers.objects.config import ObjectsConfig

SET = DATA / "mot_pets09_s2l1"
RATE, FRAMES, WIDTH = 7.0, 500, 768.0
METRICS = ("HOTA", "MOTA", "IDF1", "IDSW")

Rows = list[tuple[int, str | int, Any]]


def detections() -> dict[int, np.ndarray]:
    """(n, 5) left, top, right, bottom, score by frame."""
    table = np.loadtxt(SET / "det" / "det.txt", delimiter=",")
    boxes = np.column_stack([table[:, 2:4], table[:, 2:4] + table[:, 4:6], table[:, 6]])
    return {f: boxes[table[:, 0] == f] for f in range(1, FRAMES + 1)}


def ours(found: dict[int, np.ndarray], **settings: Any) -> Rows:
    config = ObjectsConfig()
    keys = ("score", "confirm", "lost_seconds", "match", "margin")
    tracker = Tracker(**{**{k: getattr(config, k) for k in keys}, **settings})
    seen: list[tuple[int, Track, np.ndarray]] = []
    for frame, rows in found.items():
        kinds = np.zeros(len(rows), np.intp)
        tracks = tracker.update(frame / RATE, rows[:, :4] / WIDTH, rows[:, 4], kinds)
        seen += [(frame, t, row[:4]) for t, row in zip(tracks, rows, strict=True) if t is not None]
    tracker.finish()
    return [(frame, int(t.name[1:]), box) for frame, t, box in seen if t.name is not None]


def peer(name: str, **settings: Any) -> Callable[[dict[int, np.ndarray]], Rows]:
    def run(found: dict[int, np.ndarray]) -> Rows:
        import supervision
        import trackers

        tracker = getattr(trackers, name)(**settings)
        made: Rows = []
        for frame, rows in found.items():
            given = supervision.Detections(
                xyxy=rows[:, :4].astype(np.float32),
                confidence=rows[:, 4].astype(np.float32),
                class_id=np.zeros(len(rows), int),
            )
            out = tracker.update(given)
            ids = out.tracker_id if out.tracker_id is not None else []
            made += [(frame, int(i), box) for i, box in zip(ids, out.xyxy, strict=True) if i >= 0]
        return made

    return run


def write(rows: Rows, path: Path) -> None:
    lines = [
        f"{f},{i},{b[0]:.2f},{b[1]:.2f},{b[2] - b[0]:.2f},{b[3] - b[1]:.2f},1,-1,-1,-1"
        for f, i, b in sorted(rows, key=lambda r: (r[0], r[1]))
    ]
    path.write_text("\n".join(lines) + "\n")


def score(rows: Rows) -> dict[str, float]:
    from trackers.eval import evaluate_mot_sequence

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tracks.txt"
        write(rows, path)
        # the evaluator scores rows of class 1 (pedestrian); this truth holds nothing else and leaves the class open
        truth = Path(folder) / "gt.txt"
        lines = [",".join([*line.split(",")[:6], "1,1,1"]) for line in (SET / "gt" / "gt.txt").read_text().split()]
        truth.write_text("\n".join(lines) + "\n")
        result: Any = evaluate_mot_sequence(truth, path, metrics=["CLEAR", "HOTA", "Identity"])
    return {
        "HOTA": round(float(result.HOTA.HOTA), 4),
        "MOTA": round(float(result.CLEAR.MOTA), 4),
        "IDF1": round(float(result.Identity.IDF1), 4),
        "IDSW": int(result.CLEAR.IDSW),
    }


def end_to_end() -> dict[str, float]:
    """Our own detector and tracker on the video, every frame."""
    from onlooker.analyzers.objects.analyzer import Objects
    from onlooker.sources import open_source
    from onlooker.testing.drive import drive

    source = open_source(str(SET / "video.mp4"))
    config = ObjectsConfig(rate=RATE, gate=False, labels=("person",))
    made = drive([Objects(config)], source)
    source.close()
    size = np.array([768, 576, 768, 576])
    return score(
        [
            (round(o.span.start.seconds * RATE) + 1, int(o.track[1:]), np.array(o.box) * size)
            for o in made
            if o.kind == "object" and o.track and o.box
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-video", action="store_true", help="only the given detections")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    found = detections()
    contenders: dict[str, Callable[[dict[int, np.ndarray]], Rows]] = {
        "onlooker": ours,
        "ByteTrack": peer("ByteTrackTracker"),
        "OC-SORT": peer("OCSORTTracker"),
        "SORT": peer("SORTTracker"),
        "C-BIoU": peer("CBIoUTracker"),
        "ByteTrack, 7 frames/s": peer("ByteTrackTracker", frame_rate=RATE),
        "OC-SORT, 7 frames/s": peer("OCSORTTracker", frame_rate=RATE),
    }
    table: dict[str, dict[str, float]] = {}
    print(f"{'tracker':24}" + "".join(f"{m:>9}" for m in METRICS) + f"{'frames/s':>10}")
    for name, run in contenders.items():
        rows, wall, _ = timed(lambda run=run: run(found))
        table[name] = {**score(rows), "frames_per_second": round(FRAMES / wall)}
        line = table[name]
        print(f"{name:24}" + "".join(f"{line[m]:9.4g}" for m in METRICS) + f"{line['frames_per_second']:10.0f}")
    result: dict[str, Any] = {"set": "PETS09-S2L1, 500 frames, given detections", "trackers": table}
    if not options.no_video:
        result["own_detections"] = end_to_end()
        print("with own detections:", result["own_detections"])
    save("tracking", result)


if __name__ == "__main__":
    main()
