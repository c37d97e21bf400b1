"""The clips of the benchmark of faces: faces pasted over what holds none, and shows of pictures."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFilter

RATE = 5
WIDTH, HEIGHT, FPS, SECONDS = 1280, 720, 10, 4
SIZES = (24, 32, 45, 64, 90, 130, 200)


def sampled(path: str) -> Any:
    """(seconds from the start, RGB picture) of the first frame at or after each tick."""
    with av.open(path) as clip:
        first = tick = None
        for frame in clip.decode(video=0):
            time = Fraction(frame.pts or 0) * (frame.time_base or 0)
            first = time if first is None else first
            number = int((time - first) * RATE)
            if number != tick:
                tick = number
                yield float(time - first), frame.to_ndarray(format="rgb24")


def backgrounds(data: Path, number: int) -> Any:
    """Endless pictures without faces: a road clip to and fro, or a photograph that is moved over."""
    from _face_truth import FACELESS

    if number % 2 == 0:
        path = str(data / FACELESS[number // 2 % len(FACELESS)])
        with av.open(path) as clip:
            held = []
            for frame in clip.decode(video=0):
                held.append(frame.reformat(WIDTH, HEIGHT, "rgb24").to_image())
                if len(held) == FPS * SECONDS:
                    break
        while True:
            yield from held
            yield from held[::-1]
    photographs = peopleless(data)
    with Image.open(photographs[number * 7 % len(photographs)]) as image:
        wide = image.convert("RGB").resize((WIDTH + 200, HEIGHT + 100))
    step = 0
    while True:
        x, y = round(100 + 99 * np.sin(step / 11)), round(50 + 49 * np.cos(step / 9))
        yield wide.crop((x, y, x + WIDTH, y + HEIGHT))
        step += 1


def peopleless(data: Path) -> list[str]:
    """The photographs of coco128 without a labelled person."""
    found: list[str] = []
    for path in sorted((data / "coco128" / "images").rglob("*.jpg")):
        labels = data / "coco128" / "object_detection_labels" / f"{path.stem}.txt"
        lines = labels.read_text().splitlines() if labels.exists() else []
        if not any(line.split()[0] == "0" for line in lines):
            found.append(str(path))
    return found


def paste_clip(data: Path, number: int, target: Path) -> list[list[tuple[float, ...]]]:
    """Write one clip; returns for each frame the true boxes (pixels) with the size that they stand for."""
    rng = np.random.default_rng(number)
    pictures = sorted((data / "lfw_multitask" / "images").glob("*.jpg"))
    lanes: list[dict[str, Any]] = []
    left = 20.0
    for size in rng.permutation(SIZES).tolist():
        # a face is about half as high as its picture
        side = size * 2
        with Image.open(pictures[int(rng.integers(len(pictures)))]) as image:
            face = image.convert("RGB").resize((side, side), Image.Resampling.LANCZOS)
        mask = Image.new("L", (side, side))
        ImageDraw.Draw(mask).ellipse((side * 0.1, side * 0.06, side * 0.9, side * 1.3), fill=255)
        mask = mask.filter(ImageFilter.GaussianBlur(side / 40))
        top = rng.uniform(0, max(1, HEIGHT - side))
        turn, phase, light = rng.uniform(-12, 12), rng.uniform(0, 6), rng.uniform(0.6, 1.1)
        lanes.append({"size": int(size), "face": face, "mask": mask, "left": left, "top": top, "turn": turn,
                      "phase": phase, "light": light})  # fmt: skip
        left += side * 0.6 + 28
    truth: list[list[tuple[float, ...]]] = []
    with av.open(str(target), "w") as out:
        stream = out.add_stream("libx264", rate=FPS, options={"crf": "24", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        source = backgrounds(data, number)
        for step in range(FPS * SECONDS):
            picture, boxes = next(source).copy(), list[tuple[float, ...]]()
            for lane in lanes:
                side = lane["face"].width
                x = min(lane["left"] + 8 * np.sin(step / 7 + lane["phase"]) - side * 0.2, WIDTH - side * 0.8)
                y = float(
                    np.clip(lane["top"] + side * 0.3 * np.sin(step / 9 + lane["phase"]), 0, max(0, HEIGHT - side))
                )
                x, y = round(x), round(y)
                turn = lane["turn"] + 6 * np.sin(step / 5)
                face = lane["face"].rotate(turn, Image.Resampling.BILINEAR)
                face = face.point(lambda v, light=lane["light"]: v * light)
                picture.paste(face, (x, y), lane["mask"].rotate(turn))
                half = side / 2.2 / 2
                middle = x + side / 2, y + side / 2
                boxes.append((middle[0] - half, middle[1] - half, middle[0] + half, middle[1] + half, lane["size"]))
            truth.append(boxes)
            out.mux(stream.encode(av.VideoFrame.from_image(picture)))
        out.mux(stream.encode(None))
    return truth


def show(paths: list[str], target: Path) -> None:
    """Each photograph for two sampled moments."""
    shown: list[Any] = []
    for path in paths:
        with Image.open(path) as image:
            small = image.convert("RGB")
            small.thumbnail((640, 480))
            slide = Image.new("RGB", (640, 480))
            slide.paste(small, ((640 - small.width) // 2, (480 - small.height) // 2))
        shown += [np.asarray(slide)] * 2
    write_small(shown, target)


def write_small(shown: list[Any], path: Path) -> None:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=RATE, options={"crf": "18", "preset": "veryfast"})
        (stream.height, stream.width), stream.pix_fmt = shown[0].shape[:2], "yuv420p"
        for picture in shown:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format="yuv420p")))
        out.mux(stream.encode(None))
