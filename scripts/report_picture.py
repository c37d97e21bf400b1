"""Makes docs/images/report.png: a real report over free footage (CC BY 4.0) with a free voice (public domain).

python scripts/report_picture.py DATA      # the folder of labelled sets; needs Chromium and a font with Chinese
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parents[1]
WIDTH, HEIGHT, RATE = 1280, 720, 25
PARTS = (
    ("preview_head-pose-face-detection-female-and-male", 4, ""),
    ("preview_face-demographics-walking", 3, "Street, noon"),
    ("preview_classroom", 2.5, "Room 12"),
    ("preview_person-bicycle-car-detection", 3, ""),
)


def pictures(path: Path, seconds: float, caption: str) -> list[Image.Image]:
    """So much of a clip, filling the picture, with a caption."""
    with av.open(str(path)) as container:
        rate = float(container.streams.video[0].average_rate or RATE)
        shown = [f.to_image().resize((WIDTH, HEIGHT)) for f in container.decode(video=0)]
    made = [shown[min(int(i * rate / RATE), len(shown) - 1)].copy() for i in range(round(seconds * RATE))]
    if caption:
        font = ImageFont.load_default(44)
        for picture in made:
            draw = ImageDraw.Draw(picture)
            draw.text((80, HEIGHT - 110), caption, "white", font, stroke_width=3, stroke_fill="black")
    return made


def clip(data: Path, target: Path) -> None:
    """The parts one after another under the voice."""
    frames = [p for name, seconds, caption in PARTS for p in pictures(data / "clips" / f"{name}.mp4", seconds, caption)]
    with av.open(str(data / "speech" / "jfk.flac")) as voice, av.open(str(target), "w") as out:
        video = out.add_stream("libx264", rate=RATE, options={"crf": "18"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        sound = out.add_stream("aac", rate=16_000)
        for number, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.asarray(picture.convert("RGB")), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            out.mux(video.encode(frame))
        out.mux(video.encode())
        for heard in voice.decode(audio=0):
            out.mux(sound.encode(heard))
        out.mux(sound.encode())


def main() -> None:
    """Analyse with everything, write the report, and take its picture."""
    from playwright.sync_api import sync_playwright

    data = Path(sys.argv[1] if len(sys.argv) > 1 else os.environ["ONLOOKER_DATA"])
    with tempfile.TemporaryDirectory() as folder:
        clip(data, Path(folder) / "talk.mp4")
        for words in (
            ["analyze", "talk.mp4", "--library", "lib", "--profile", "everything", "--set", "speakers.most=1"],
            ["report", "talk.mp4", "--library", "lib", "-o", "talk.html", "--copy-video"],
        ):
            subprocess.run([sys.executable, "-m", "onlooker", *words], cwd=folder, check=True)
        with sync_playwright() as browser:
            chromium = browser.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            page = chromium.new_page(viewport={"width": 1200, "height": 1128})
            page.goto((Path(folder) / "talk.html").as_uri())
            page.wait_for_function("document.querySelector('video')?.readyState >= 2")
            page.evaluate("document.querySelector('video').currentTime = 4.8")
            page.wait_for_timeout(1500)
            page.screenshot(path=str(ROOT / "docs" / "images" / "report.png"))
            chromium.close()


if __name__ == "__main__":
    main()
