"""Clips with drawn text."""

from __future__ import annotations

import os
from pathlib import Path

import av
import pytest
from PIL import Image, ImageDraw, ImageFont

from onlooker.core.errors import ModelMissing
from onlooker.models import model_path


@pytest.fixture(scope="package", autouse=True)
def models():
    try:
        return [model_path(name) for name in ("ppocr-det", "ppocr-rec", "ppocr-cls")]
    except ModelMissing as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


def stamp(text: str, size: int = 30, angle: float = 0.0, dark: bool = False) -> Image.Image:
    """Text as a picture with a clear background; Pillow's own font, so that no font need be installed."""
    font = ImageFont.load_default(size)
    left, top, right, bottom = font.getbbox(text, stroke_width=2)
    made = Image.new("RGBA", (int(right - left) + 8, int(bottom - top) + 8))
    ink, edge, width = ("black", None, 0) if dark else ("white", "black", 2)
    ImageDraw.Draw(made).text((4 - left, 4 - top), text, font=font, fill=ink, stroke_width=width, stroke_fill=edge)
    return made.rotate(angle, Image.Resampling.BICUBIC, expand=True) if angle else made


def write(target: Path, pictures, rate: int = 10) -> Path:
    with av.open(str(target), "w") as out:
        stream = None
        for picture in pictures:
            if stream is None:
                stream = out.add_stream("libx264", rate=rate, options={"crf": "20", "preset": "veryfast", "g": "20"})
                stream.width, stream.height, stream.pix_fmt = *picture.size, "yuv420p"
            frame = av.VideoFrame.from_image(picture)
            out.mux(stream.encode(frame))
        assert stream is not None
        out.mux(stream.encode(None))
    return target


def moving(clip: Path, seconds: float, rate: int = 10):
    """Pictures of a clip, 640 wide, at a rate."""
    count = 0
    with av.open(str(clip)) as opened:
        for frame in opened.decode(video=0):
            while count / rate <= (frame.time or 0) and count < seconds * rate:
                count += 1
                yield frame.reformat(640, 360, "rgb24").to_image()
            if count >= seconds * rate:
                return


@pytest.fixture(scope="package")
def captioned(data, tmp_path_factory):
    """Two subtitles in a row and a corner text, on a moving picture: (clip, [(text, start, end)])."""
    truth = [
        ("Where were you last night?", 1.0, 4.0),
        ("I stayed at home, Martin.", 4.0, 7.0),
        ("CAMERA 7 NORTH", 0.0, 9.0),
    ]
    places = [(320, 320), (320, 320), (110, 30)]
    stamps = [stamp(text, size) for (text, _, _), size in zip(truth, (28, 28, 20), strict=True)]

    def pictures():
        for number, picture in enumerate(moving(data("clips/tv_whitehouse_performance.mp4"), 9)):
            for (_, start, end), (x, y), mark in zip(truth, places, stamps, strict=True):
                if start <= number / 10 < end:
                    picture.paste(mark, (x - mark.width // 2, y - mark.height // 2), mark)
            yield picture

    return write(tmp_path_factory.mktemp("text") / "captioned.mp4", pictures()), truth


SLIDES = (
    ("Introduction", "Perceptron and its limits", "Errors flow backwards", "Shared weights", "Early stopping"),
    ("Third quarter", "Revenue grew by 12 percent", "Costs stayed level", "Two new products", "Thank you all"),
)


@pytest.fixture(scope="package")
def slides(tmp_path_factory):
    """Two slides of five lines, three seconds each; the first one's last line comes a second later."""

    def pictures():
        for number in range(60):
            which = number // 30
            picture = Image.new("RGB", (640, 360), "white")
            for row, text in enumerate(SLIDES[which]):
                if which == 0 and row == 4 and number < 12:
                    continue
                mark = stamp(text, 26, dark=True)
                picture.paste(mark, (60, 30 + 60 * row), mark)
            yield picture

    return write(tmp_path_factory.mktemp("text") / "slides.mp4", pictures())
