"""Makes one clip of people who talk, with captions drawn into the picture, out of the labelled sets."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import cycle
from pathlib import Path
from typing import Any

import av
import numpy as np
from _harness import DATA
from PIL import Image, ImageDraw, ImageFont

PARTS = (
    *("clips/tv_whitehouse_performance.mp4", "grid_av/bbaf2n.mpg", "grid_av/lrwp9a.mpg"),
    *("clips/talking_face_signer_blue.mp4", "grid_av/pwij3p.mpg", "clips/talking_face_man_suit.mp4"),
    *("clips/traffic_overhead_audio.avi", "grid_av/lbbc2a.mpg", "clips/talking_face_aoc_512.mp4"),
)
CAPTIONS = (
    "Evening news: the orchestra plays",
    "Lesson 3: letters and numbers",
    "Open questions",
    "Thank you for watching",
)
_RATE, _SOUND = 25, 48_000


def talk(
    path: Path,
    *,
    seconds: int,
    width: int = 1280,
    height: int = 720,
    parts: tuple[str, ...] = PARTS,
    captions: tuple[str, ...] = CAPTIONS,
) -> Path:
    """An H.264 file with AAC sound at 25 frames/s: ``parts`` one after another, each with its own caption.

    Pictures are scaled to fit on black; a part without sound is silent. Kept if it exists.
    """
    if path.exists():
        return path
    part = path.with_suffix(".part.mp4")
    with av.open(str(part), "w") as out:
        picture: Any = out.add_stream("libx264", rate=_RATE)
        picture.width, picture.height, picture.pix_fmt = width, height, "yuv420p"
        picture.options = {"preset": "veryfast", "crf": "23", "g": str(2 * _RATE), "bf": "2"}
        sound: Any = out.add_stream("aac", rate=_SOUND, layout="mono")
        count, heard = 0, 0
        for number, name in enumerate(cycle(parts)):
            if count >= seconds * _RATE:
                break
            caption = _caption(captions[number % len(captions)], width, height)
            first = count
            for pixels in _pictures(DATA / name, width, height):
                if count >= seconds * _RATE:
                    break
                frame: Any = av.VideoFrame.from_ndarray(np.where(caption[1], caption[0], pixels), format="rgb24")
                frame.pts, frame.time_base = count, Fraction(1, _RATE)
                out.mux(picture.encode(frame))
                count += 1
            for samples in _sounds(DATA / name, (count - first) * _SOUND // _RATE):
                block: Any = av.AudioFrame.from_ndarray(samples[None, :], format="fltp", layout="mono")
                block.sample_rate, block.pts, block.time_base = _SOUND, heard, Fraction(1, _SOUND)
                heard += len(samples)
                out.mux(sound.encode(block))
        out.mux(picture.encode())
        out.mux(sound.encode())
    part.rename(path)
    return path


def _pictures(path: Path, width: int, height: int) -> Iterator[Any]:
    """The clip's frames at 25 frames/s, scaled to fit: rgb, uint8 (height, width, 3)."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        scale = min(width / stream.width, height / stream.height)
        wide, high = (2 * round(n * scale / 2) for n in (stream.width, stream.height))
        left, top = (width - wide) // 2, (height - high) // 2
        begun, shown = None, 0
        for frame in container.decode(stream):
            begun = frame.time if begun is None else begun
            canvas = np.zeros((height, width, 3), np.uint8)
            scaled = frame.reformat(width=wide, height=high, format="rgb24", interpolation="BICUBIC")
            canvas[top : top + high, left : left + wide] = scaled.to_ndarray()
            while shown <= (frame.time - begun) * _RATE:
                shown += 1
                yield canvas


def _sounds(path: Path, samples: int) -> Iterator[Any]:
    """So many samples of the clip's sound, mono at 48 kHz, silence where it has none: float32 blocks."""
    left = samples
    with av.open(str(path)) as container:
        if container.streams.audio:
            resampler = av.AudioResampler(format="fltp", layout="mono", rate=_SOUND)
            for frame in container.decode(container.streams.audio[0]):
                for block in resampler.resample(frame):
                    given = block.to_ndarray()[0][:left]
                    left -= len(given)
                    if len(given):
                        yield given.astype(np.float32)
                if not left:
                    return
    while left:
        yield np.zeros(min(left, 1024), np.float32)
        left -= min(left, 1024)


def _caption(text: str, width: int, height: int) -> tuple[Any, Any]:
    """White letters with a black edge on the lower third, and where they cover the picture."""
    stamp = Image.new("RGBA", (width, height))
    font = ImageFont.load_default(height // 18)
    place = (width // 2, round(height * 0.9))
    ImageDraw.Draw(stamp).text(place, text, font=font, fill="white", stroke_width=3, stroke_fill="black", anchor="mm")
    pixels = np.asarray(stamp)
    return pixels[..., :3], pixels[..., 3:] > 127
