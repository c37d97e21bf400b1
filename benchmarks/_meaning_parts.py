"""What benchmarks/meaning.py makes and compares with: sentences of feeling, a spoken film, TextTiling by windows."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from _harness import DATA
from _meaning_texts import Talk
from numpy.typing import NDArray

__all__ = ["sentiment_texts", "spoken_video", "windows_cut"]

_RATE, _FPS = 22_050, 10
_FILLERS = [
    "not",
    "very",
    "but",
    "never",
    "so",
    "this",
    "the",
    "is",
    "it",
    "without",
    "doubt",
    "kind",
    "of",
    "sort",
    "least",
    "at",
    "no",
    "nor",
    "or",
    "really",
    "barely",
    "VERY",
    "isn't",
    "wasn't",
    ",",
    ".",
    "!",
    "!!",
    "??",
    "???",
    "movie",
    "was",
    "bus",
    "stop",
    "to",
    "die",
    "for",
    "yeah",
    "right",
    "just",
    "enough",
    "hardly",
]


def sentiment_texts(lexicon: Path, talks: Sequence[Talk]) -> list[str]:
    """English sentences of the talks, and 3,000 strings of words that set every rule of VADER in motion."""
    words = sorted(line.split("\t")[0] for line in lexicon.read_text("utf-8").splitlines() if line)
    rng = random.Random(0)
    made = [s for language, _, sentences in talks if language == "en" for s in sentences]
    for _ in range(3000):
        row = [rng.choice(words if rng.random() < 0.35 else _FILLERS) for _ in range(rng.randint(2, 14))]
        if rng.random() < 0.2:
            row = [w.upper() if rng.random() < 0.3 else w for w in row]
        made.append(" ".join(row) + rng.choice(["", "!", "!!!", "?", "??", "."]))
    return made


def windows_cut(vectors: NDArray[np.float64], size: int, strictness: float, least: int = 3) -> list[int]:
    """TextTiling (Hearst 1997) over sentence vectors: likeness of the windows before and after each gap, depth of its
    valleys, a cut where the depth is above mean + ``strictness`` deviations.
    """
    likeness = []
    for gap in range(1, len(vectors)):
        before, after = vectors[max(0, gap - size) : gap].sum(axis=0), vectors[gap : gap + size].sum(axis=0)
        likeness.append(before @ after / np.linalg.norm(before) / np.linalg.norm(after))
    depth = np.zeros(len(likeness))
    for i, low in enumerate(likeness):
        left = right = i
        while left > 0 and likeness[left - 1] >= likeness[left]:
            left -= 1
        while right < len(likeness) - 1 and likeness[right + 1] >= likeness[right]:
            right += 1
        depth[i] = likeness[left] + likeness[right] - 2 * low
    limit, cuts = depth.mean() + strictness * depth.std(), list[int]()
    for i in np.argsort(-depth).tolist():
        if depth[i] > limit and all(abs(i + 1 - c) >= least for c in cuts):
            cuts.append(i + 1)
    return sorted(cuts)


def _spoken(folder: Path, talks: Sequence[Sequence[str]]) -> tuple[NDArray[np.int16], list[float]]:
    """The talks as samples, with half a second between sentences, and where each talk but the first begins."""
    parts: list[NDArray[np.int16]] = []
    starts: list[float] = []
    for number, sentences in enumerate(talks):
        if number:
            starts.append(sum(map(len, parts)) / _RATE)
        for sentence in sentences:
            path = folder / "line.wav"
            subprocess.run(["espeak-ng", "-v", "en-us", "-s", "150", "-w", str(path), sentence], check=True)
            parts += [np.frombuffer(path.read_bytes()[44:], "<i2"), np.zeros(_RATE // 2, np.int16)]
    return np.concatenate(parts), starts


def spoken_video(
    folder: Path, talks: Sequence[Sequence[str]]
) -> tuple[list[float], list[float], list[str | None], int] | None:
    """Found and true starts of chapters, titles, and how many words were heard; None without espeak-ng."""
    from onlooker.analyzers.keyframes.analyzer import Keyframes
    from onlooker.analyzers.keyframes.config import KeyframesConfig
    from onlooker.analyzers.scenes.analyzer import Scenes
    from onlooker.analyzers.scenes.config import ScenesConfig
    from onlooker.analyzers.shots.analyzer import Shots
    from onlooker.analyzers.shots.config import ShotsConfig
    from onlooker.analyzers.speech.analyzer import Speech
    from onlooker.analyzers.speech.config import SpeechConfig
    from onlooker.sources import open_source
    from onlooker.testing.drive import drive

    if shutil.which("espeak-ng") is None:
        return None
    samples, truth = _spoken(folder, talks)
    path = folder / "talks.mkv"
    with av.open(str(DATA / "clips" / "talking_face_man_suit.mp4")) as clip:
        pictures = [
            f.reformat(320, 180, "rgb24").to_ndarray() for f, _ in zip(clip.decode(video=0), range(100), strict=False)
        ]
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=_FPS, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 320, 180, "yuv420p"
        audio = out.add_stream("flac", rate=_RATE, layout="mono")
        for i in range(int(len(samples) / _RATE * _FPS)):
            frame = av.VideoFrame.from_ndarray(pictures[i % len(pictures)], "rgb24")
            frame.pts, frame.time_base = i, Fraction(1, _FPS)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        for at in range(0, len(samples), 4096):
            block = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None, at : at + 4096]), "s16", "mono")
            block.sample_rate, block.pts, block.time_base = _RATE, at, Fraction(1, _RATE)
            out.mux(audio.encode(block))
        out.mux(audio.encode(None))
    stages = [
        Speech(SpeechConfig()),
        Shots(ShotsConfig()),
        Keyframes(KeyframesConfig()),
        Scenes(ScenesConfig(words=True)),
    ]
    source = open_source(str(path))
    made = drive(stages, source)
    source.close()
    chapters = [o for o in made if o.kind == "chapter"]
    heard = sum(len((o.text or "").split()) for o in made if o.kind == "speech")
    return [c.span.start.seconds for c in chapters[1:]], truth, [c.text for c in chapters], heard
