"""Attention: head pose on rendered heads, closed eyes and blinks, gaze, moving mouths, stability and speed.

    python -m venv peers && peers/bin/pip install -r benchmarks/requirements-attention.txt
    python benchmarks/attention.py --peer peers/bin/python

Heads are real frontal faces on a head made of formulas, turned by known angles (see _head_render.py). Eyes, gaze and
mouths are real frames, labelled by looking (see _attention_labels.py). The method was chosen on heads of other people
(LFW, A to K) with ``--part choose``; the thresholds of eyes and mouths were set by looking at the same clips. The peer
is MediaPipe's face mesh with the usual six-point recipe for the pose; ``five points`` is the same fit as ours with the
detector's five points alone.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import tempfile
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from _attention_labels import CHEWING, EYES, GAZE, SILENT, TALKING
from _harness import DATA, save, timed
from _head_render import grounds, head_of, render
from PIL import Image

from onlooker.analyzers._faces import FRONTAL, SHARPNESS, landmarks
from onlooker.analyzers.attention.analyzer import Attention
from onlooker.analyzers.attention.config import AttentionConfig
from onlooker.analyzers.attention.geometry import angles, shape
from onlooker.analyzers.attention.network import FaceNetworks, Seen
from onlooker.analyzers.faces.analyzer import Faces
from onlooker.analyzers.faces.config import FacesConfig
from onlooker.analyzers.faces.detector import FaceDetector, quality_columns
from onlooker.core.analyzer import Context
from onlooker.core.measurement import Measurement
from onlooker.core.observation import Observation
from onlooker.pipeline.sampling import is_due
from onlooker.sources import open_source
from onlooker.testing.drive import decide, measure

Picture = np.ndarray
SIZE = 256
SWEEP = (-45, -30, -15, 15, 30, 45)
# points of the mean face where the detector's five points lie: irises, tip of the nose, corners of the mouth
FIVE = ((33, 133), (263, 362), (4,), (61,), (291,))


class Tools:
    """The detector and the networks, on one thread."""

    def __init__(self) -> None:
        self.detector = FaceDetector(size=640, threads=1, least=0.5, overlap=0.3)
        self.networks = FaceNetworks(crop=AttentionConfig().crop, threads=1)

    def face(self, picture: Picture) -> np.ndarray | None:
        """The row of the face nearest to the middle."""
        height, width = picture.shape[:2]
        shown = Image.fromarray(picture).resize(self.detector.shape(width, height))
        rows = quality_columns(picture, self.detector.detect_picture(np.asarray(shown)))
        if not len(rows):
            return None
        return rows[np.abs(rows[:, :2] + rows[:, 2:4] - 1).sum(1).argmin()]


def lfw(low: str, high: str, tools: Tools, count: int) -> list[tuple[str, Picture]]:
    """One sharp frontal face each of people whose names lie between."""
    seen: dict[str, Picture] = {}
    with (DATA / "lfw_multitask/labels.csv").open() as file:
        for row in csv.DictReader(file):
            name = row["identity"]
            if name in seen or not low <= name < high:
                continue
            picture = lfw_picture(row["file"])
            face = tools.face(picture)
            if face is not None and face[FRONTAL] > 0.97 and face[SHARPNESS] > 0.5:
                seen[name] = picture
    names = sorted(seen)
    return [(n, seen[n]) for n in names[:: max(1, len(names) // count)][:count]]


def lfw_picture(name: str) -> Picture:
    return np.array(Image.open(DATA / "lfw_multitask/images" / name).convert("RGB"))


def frames(clip: str) -> list[Picture]:
    with av.open(str(DATA / clip)) as file:
        return [f.to_ndarray(format="rgb24") for f in file.decode(video=0)]


def five_points(row: np.ndarray, size: int) -> np.ndarray:
    """Yaw, pitch and roll from the detector's five points: an affine fit, and the rotation nearest to it."""
    model = np.stack([shape()[list(p)].mean(0) for p in FIVE])
    model, seen = model - model.mean(0), landmarks(row, size, size).astype(np.float64)
    seen = seen - seen.mean(0)
    # five nearly flat points: a little regularisation keeps the depth's column in bounds
    affine = seen.T @ model @ np.linalg.inv(model.T @ model + 1e-3 * np.eye(3))
    left, _, right = np.linalg.svd(affine, full_matrices=False)
    two = left @ right
    return angles(np.vstack([two, np.cross(two[0], two[1])]))


def peer_rows(python: str | None, pictures: list[Picture], folder: Path) -> tuple[np.ndarray, float]:
    """Yaw, pitch, roll and eye ratio by the peer, NaN where it sees no face, and milliseconds a picture."""
    if python is None:
        return np.full((len(pictures), 4), np.nan), float("nan")
    np.savez(folder / "pictures.npz", pictures=np.stack(pictures))
    script = Path(__file__).with_name("_attention_peer.py")
    subprocess.run([python, script, folder / "pictures.npz", folder / "rows.npz"], check=True, capture_output=True)
    made = np.load(folder / "rows.npz")
    return made["rows"], float(made["milliseconds"])


# --- head pose --------------------------------------------------------------------------------------------------------


def rendered(part: str, tools: Tools) -> list[tuple[str, tuple[float, ...], Picture]]:
    if part == "choose":
        people = lfw("A", "L", tools, 6)
    else:
        people = lfw("L", "[", tools, 4)
        clips = {"grid_av/bbaf2n.mpg": 0, "grid_av/brbk7n.mpg": 0}
        clips |= {"clips/talking_face_aoc_512.mp4": 100, "clips/talking_face_signer_blue.mp4": 5}
        people += [(clip, frames(clip)[number]) for clip, number in clips.items()]
    backs = grounds([p for _, p in people], SIZE)
    rng = np.random.default_rng(1)
    made = []
    for number, (name, picture) in enumerate(people):
        row = tools.face(picture)
        assert row is not None, name
        head = head_of(picture, landmarks(row, picture.shape[1], picture.shape[0]).astype(np.float64))
        poses: list[tuple[float, ...]] = [(0.0, 0.0, 0.0)]
        poses += [tuple(float(v) if k == axis else 0.0 for k in range(3)) for axis in range(3) for v in SWEEP]
        poses += [tuple(float(v) for v in rng.uniform([-40, -30, -30], [40, 30, 30]).round(1)) for _ in range(8)]
        back = backs[(number + 1) % len(backs)]
        made += [(name, pose, render(head, pose, back)) for pose in poses]
    return made


def pose_errors(part: str, tools: Tools, python: str | None, folder: Path) -> dict[str, Any]:
    """Mean absolute errors in degrees: of the turn from the photograph's own pose, and of the angles as they are."""
    heads = rendered(part, tools)
    true = np.array([pose for _, pose, _ in heads])
    theirs, milliseconds = peer_rows(python, [p for *_, p in heads], folder)
    ways = {"ours": np.full((len(heads), 3), np.nan), "five points": np.full((len(heads), 3), np.nan)}
    for number, (_, _, picture) in enumerate(heads):
        row = tools.face(picture)
        if row is None:
            continue
        ways["five points"][number] = five_points(row, SIZE)
        seen = tools.networks.look(picture, row)
        if seen is not None and seen.presence >= 0.5:
            ways["ours"][number] = seen[:3]
    if python is not None:
        ways["peer"] = theirs[:, :3]
    # what all see is compared; how much each saw is told beside it
    common = np.all([np.isfinite(v[:, 0]) for v in ways.values()], axis=0)
    result: dict[str, Any] = {"heads": len(heads), "seen_by_all": int(common.sum()), "peer_ms": milliseconds}
    names = np.array([name for name, *_ in heads])
    print(f"head pose, {len(heads)} heads, {common.sum()} seen by all; degrees: yaw pitch roll")
    for way, found in ways.items():
        rest = np.full(found.shape, np.nan)
        for name in set(names):
            zero = found[(names == name) & ~true.any(1)][0]
            rest[names == name] = found[names == name] - zero - true[names == name]
        raw = (found - true + 180) % 360 - 180
        rest = (rest + 180) % 360 - 180
        good = common & np.isfinite(rest[:, 0])
        near = good & (np.abs(true) <= 30).all(1)
        entry = {
            "turn": np.abs(rest[good]).mean(0).round(2).tolist(),
            "turn_to_30": np.abs(rest[near]).mean(0).round(2).tolist(),
            "raw": np.abs(raw[good]).mean(0).round(2).tolist(),
            "seen": float(np.isfinite(found[:, 0]).mean().round(3)),
            "slope": [round(float(np.polyfit(true[good, k], (rest + true)[good, k], 1)[0]), 3) for k in range(3)],
        }
        result[way] = entry
        told = [f"{key} {entry[key]}" for key in ("turn", "turn_to_30", "raw", "slope", "seen")]
        print(f"  {way:12}", *told, sep="  ")
    return result


# --- eyes, gaze, mouths -----------------------------------------------------------------------------------------------


class Clips:
    """Clips measured once, in every frame, and decided at any rate: as a run at that rate would, without the gate."""

    def __init__(self) -> None:
        self._measured: dict[str, dict[str, list[Measurement]]] = {}

    def observed(self, clip: str, rate: float) -> list[Observation]:
        source = open_source(str(DATA / clip))
        analyzers = [Faces(FacesConfig(rate=120.0, gate=False)), Attention(AttentionConfig())]
        try:
            for analyzer in analyzers:
                analyzer.open(Context(source.info))
            if clip not in self._measured:
                self._measured[clip] = measure(analyzers, source)
            return decide(analyzers, {k: sampled(v, Fraction(rate)) for k, v in self._measured[clip].items()})
        finally:
            for analyzer in analyzers:
                analyzer.close()
            source.close()


def sampled(measurements: list[Measurement], rate: Fraction) -> list[Measurement]:
    """The first at or after each tick of 1/rate."""
    return [m for i, m in enumerate(measurements) if is_due(m.time, measurements[i - 1].time if i else None, rate)]


def states(made: Iterable[Observation], label: str) -> list[Observation]:
    return [o for o in made if o.kind == "attention_state" and o.label == label]


def eyes(clips: Clips, python: str | None, folder: Path) -> dict[str, Any]:
    """Per frame at the clips' own rate, and blinks at several rates."""
    closed, opened, scores, theirs, true = 0, 0, [], [], []
    wrong: list[str] = []
    for clip, label in EYES.items():
        made = clips.observed(clip, 60.0)
        pictures = frames(clip)
        rows, _ = peer_rows(python, pictures, folder)
        with av.open(str(DATA / clip)) as file:
            rate = Fraction(file.streams.video[0].average_rate or 25)
        skip = {n for a, b in label.half for n in range(a, b + 1)} - set(label.closed)
        own = rows[:, 3] / np.nanpercentile(rows[:, 3], 70) if python else rows[:, 3]
        for o in made:
            number = round(o.span.start.value * rate)
            if o.kind != "attention" or number in skip:
                continue
            is_closed = number in label.closed
            value = float(cast(float, o.data["eyes_open"]))
            true.append(is_closed)
            scores.append(value)
            theirs.append(own[number])
            closed, opened = closed + is_closed, opened + (not is_closed)
            if is_closed != (o.label == "eyes_closed"):
                wrong.append(f"{clip} {number}")
    result: dict[str, Any] = {
        "closed": closed,
        "open": opened,
        "accuracy": round(1 - len(wrong) / len(true), 4),
        "auc": area(np.array(scores), np.array(true)),
        "peer_auc": area(np.array(theirs), np.array(true)) if python else None,
        "wrong": wrong,
    }
    print(f"closed eyes: {closed} closed and {opened} open frames: {result['accuracy']:.3f} right")
    print(f"  area under the curve {result['auc']}, peer {result['peer_auc']}")
    result["blinks"] = {f"{rate:g}": blinks(clips, rate) for rate in (5.0, 10.0, 15.0, 60.0)}
    return result


def area(values: np.ndarray, closed: np.ndarray) -> float:
    """Probability that a closed eye has a lower value than an open one (area under the ROC curve)."""
    low, high = values[closed & np.isfinite(values)], values[~closed & np.isfinite(values)]
    return round(float((low[:, None] < high).mean() + (low[:, None] == high).mean() / 2), 4)


def blinks(clips: Clips, rate: float) -> dict[str, Any]:
    found = total = false = 0
    for clip, label in EYES.items():
        with av.open(str(DATA / clip)) as file:
            tick = 1 / float(Fraction(file.streams.video[0].average_rate or 25))
        made = clips.observed(clip, rate)
        told = [(o.span.start.seconds, o.span.end.seconds) for o in states(made, "blink") + states(made, "eyes_closed")]
        real = [(a * tick, (b + 1) * tick) for a, b in label.blinks]
        total += len(real)
        found += sum(any(a < d and c < b for c, d in told) for a, b in real)
        false += sum(not any(a < d and c < b for a, b in real) for c, d in told)
    print(f"  blinks at {rate:g} frames a second: {found} of {total} found, {false} false")
    return {"found": found, "of": total, "false": false}


def gaze(tools: Tools) -> dict[str, Any]:
    """Faces that look into the camera: how far gaze and head are from it; those that look aside: the gaze's sign."""
    off: list[tuple[float, float]] = []
    right: list[bool] = []
    for label, files in GAZE.items():
        for name in files:
            picture = lfw_picture(f"{name}.jpg")
            row = tools.face(picture)
            seen = tools.networks.look(picture, row) if row is not None else None
            assert seen is not None, name
            if label == "camera":
                off.append((float(np.hypot(seen.gaze_yaw, seen.gaze_pitch)), float(np.hypot(seen.yaw, seen.pitch))))
            else:
                right.append((seen.gaze_yaw > 10) if label == "right" else (seen.gaze_yaw < -10))
    means = np.mean(off, axis=0).round(1).tolist()
    print(f"gaze: {len(off)} faces that look into the camera: gaze off by {means[0]}, head by {means[1]} degrees")
    print(f"  {sum(right)} of {len(right)} that look aside are told so")
    aside = {"aside": len(right), "aside_right": sum(right)}
    return {"camera": len(off), "gaze_off": means[0], "head_off": means[1], **aside}


def mouths(clips: Clips) -> dict[str, Any]:
    """Share of the time in which the mouth is told to move, and yawns told, in clips with and without speech."""
    result: dict[str, Any] = {}
    for rate in (5.0, 15.0):
        for part, names in (("talking", TALKING), ("silent", SILENT), ("chewing", CHEWING)):
            shares = []
            yawns = 0
            for clip in names:
                made = clips.observed(clip, rate)
                whole = sum(float(o.span.duration) for o in made if o.kind == "face_track")
                shares.append(sum(float(o.span.duration) for o in states(made, "talking_mouth")) / max(whole, 1e-3))
                yawns += len(states(made, "yawning"))
            shares = [round(s, 2) for s in shares]
            result[f"{part}_{rate:g}"] = {"share": shares, "yawns": yawns}
            print(f"mouths, {part} at {rate:g} a second: share of time moving {shares}, yawns {yawns}")
    return result


# --- stability and speed ----------------------------------------------------------------------------------------------


def stability(tools: Tools) -> dict[str, Any]:
    """Standard deviation over noisy, shifted and recoded copies of still faces."""
    rng = np.random.default_rng(0)
    spread = []
    for _, picture in lfw("L", "[", tools, 10):
        seen = []
        for _ in range(10):
            dx, dy = rng.integers(0, 5, 2)
            copy = np.roll(picture, (dy, dx), (0, 1)).astype(np.float64) + rng.normal(0, 4, picture.shape)
            copy = np.clip(copy, 0, 255).astype(np.uint8)
            row = tools.face(copy)
            look = tools.networks.look(copy, row) if row is not None else None
            if look is not None:
                seen.append(look)
        spread.append(np.std(seen, axis=0))
    mean: dict[str, float] = dict(zip(Seen._fields, np.mean(spread, axis=0).round(4).tolist(), strict=True))
    print("stability on still faces (standard deviation):", mean)
    return mean


def speed(tools: Tools) -> float:
    picture = frames("grid_av/bbaf2n.mpg")[0]
    row = tools.face(picture)
    assert row is not None
    tools.networks.look(picture, row)
    _, wall, cpu = timed(lambda: [tools.networks.look(picture, row) for _ in range(200)])
    print(f"speed: {cpu / 200 * 1000:.2f} ms of CPU for each face, {wall / 200 * 1000:.2f} ms by the clock, one thread")
    return round(cpu / 200 * 1000, 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", help="a Python with requirements-attention.txt; without it ours alone is measured")
    parser.add_argument("--part", choices=["choose", "report"], default="report", help="the heads to render")
    args = parser.parse_args()
    tools, clips = Tools(), Clips()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pose = pose_errors(args.part, tools, args.peer, folder)
        if args.part == "choose":
            return
        result = {
            "pose": pose,
            "eyes": eyes(clips, args.peer, folder),
            "gaze": gaze(tools),
            "mouths": mouths(clips),
            "stability": stability(tools),
            "milliseconds": speed(tools),
        }
    save("attention", result)


if __name__ == "__main__":
    main()
