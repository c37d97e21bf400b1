"""Speech against faster-whisper called directly, voice activity in noise, and speakers in two-voice mixtures.

``python benchmarks/speech.py [words|voice|speakers]``; needs ``requirements-speech.txt`` for ``words``.

Errors are edits over the length of the reference: words for English, characters for Chinese, after case, punctuation
and (for Chinese) the form of characters that differ between the two scripts were made equal as far as a short table
goes. The peer gets the same weights, its own defaults and the same machine.
"""

from __future__ import annotations

import itertools
import re
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _harness import DATA, save, timed
from _sound_mixtures import RATE, level, load, loud_parts, pink, rows, save_wave

from onlooker.analyzers.speakers.analyzer import Speakers
from onlooker.analyzers.speakers.config import SpeakersConfig
from onlooker.analyzers.speech.analyzer import Speech
from onlooker.analyzers.speech.config import SpeechConfig
from onlooker.core.observation import Observation
from onlooker.models import model_path
from onlooker.sources import open_source
from onlooker.testing.drive import drive

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
LETTERS = {name: str(number) for number, name in enumerate(NUMBERS)}


@dataclass(frozen=True)
class Clip:
    path: Path
    language: str
    text: str
    set: str


def clips() -> list[Clip]:
    """Every transcribed clip of speech and grid_av, and both sentences of twelve actors."""
    made: list[Clip] = []
    for line in (DATA / "speech" / "transcripts.tsv").read_text().splitlines()[1:]:
        name, language, _, text = [*line.split("\t"), ""][:4]
        if text:
            made.append(Clip(DATA / "speech" / name, language, text, "speech"))
    for line in (DATA / "grid_av" / "transcripts.tsv").read_text().splitlines()[1:]:
        name, _, text = line.split("\t")
        made.append(Clip(DATA / "grid_av" / name, "en", text, "grid_av"))
    for row in rows(DATA / "ravdess_speech"):
        if row["emotion"] in ("neutral", "angry") and row["intensity"] == "normal" and int(row["actor"]) <= 14:
            made.append(Clip(DATA / "ravdess_speech" / "audio" / row["file"], "en", row["statement"], "ravdess"))
    return made


def tokens(text: str, language: str) -> list[str]:
    """What is compared."""
    if language == "zh":
        plain = text.translate(str.maketrans("廣產協會間舉頭車絲", "广产协会间举头车丝"))
        return re.findall(r"[一-鿿]|[a-z0-9]+", plain.lower())
    return [str(LETTERS.get(w, w)) for w in re.findall(r"[a-z0-9']+", text.lower())]


def edits(found: list[str], wanted: list[str]) -> int:
    """Levenshtein distance."""
    row = list(range(len(wanted) + 1))
    for i, a in enumerate(found, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(wanted, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


def observed(analyzer: Any, path: Path) -> list[Observation]:
    source = open_source(str(path))
    try:
        return drive([analyzer], source)
    finally:
        source.close()


def peer() -> Any:
    """The same weights through the package's own loading."""
    from faster_whisper import WhisperModel

    with zipfile.ZipFile(model_path("whisper-base")) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    return WhisperModel("whisper-base", device="cpu", compute_type="int8", cpu_threads=2, files=files)


def rates(folder: Path) -> dict[str, Any]:
    """Error rates per set and over all, and time over one long recording."""
    direct, chosen = peer(), clips()

    def theirs(path: Path, **more: Any) -> str:
        segments, _ = direct.transcribe(str(path), word_timestamps=True, **more)
        return "".join(s.text for s in segments)

    def ours(path: Path, beam: int) -> str:
        return " ".join(o.text or "" for o in observed(Speech(SpeechConfig(beam=beam)), path))

    ways: dict[str, Any] = {
        "direct": theirs,
        "direct, beam 1": lambda p: theirs(p, beam_size=1),
        "onlooker": lambda p: ours(p, 5),
        "onlooker fast": lambda p: ours(p, 1),
    }
    english = [c for c in chosen if c.language == "en"]
    rng = np.random.default_rng(0)
    parts = [part for c in english for part in (load(c.path), np.zeros(int(rng.uniform(0.3, 1.5) * RATE)))]
    long = save_wave(folder / "long.wav", np.concatenate(parts))
    seconds = sum(map(len, parts)) / RATE
    script = [w for c in english for w in tokens(c.text, "en")]
    result: dict[str, Any] = {"long_seconds": seconds, "clips": len(chosen)}
    for name, way in ways.items():
        wrong: dict[str, int] = {}
        total: dict[str, int] = {}
        for clip in chosen:
            wanted = tokens(clip.text, clip.language)
            distance = edits(tokens(way(clip.path), clip.language), wanted)
            for key in (clip.set, clip.language, "all"):
                wrong[key] = wrong.get(key, 0) + distance
                total[key] = total.get(key, 0) + len(wanted)
        text, wall, cpu = timed(lambda way=way: way(long))
        result[name] = {
            "error": {key: wrong[key] / total[key] for key in total},
            "long_error": edits(tokens(text, "en"), script) / len(script),
            "real_time_factor": wall / seconds,
            "cpu_per_second": cpu / seconds,
        }
        shown = ", ".join(f"{k} {v:.3f}" for k, v in result[name]["error"].items())
        print(
            f"{name:15} {shown}; {seconds:.0f} s in one file: error {result[name]['long_error']:.3f},"
            f" real-time factor {wall / seconds:.3f}, CPU {cpu / seconds:.3f}"
        )
    for name, reference in (("onlooker", "direct"), ("onlooker fast", "direct, beam 1")):
        ratio = result[name]["cpu_per_second"] / result[reference]["cpu_per_second"]
        print(f"CPU of {name} over {reference}: {ratio:.2f}")
        result[f"cpu_ratio {name}"] = ratio
    return result


def voice(folder: Path) -> dict[str, Any]:
    """F1 of 10 ms of speech, in mixtures of spoken clips with noises of ESC-10 at several ratios."""
    rng = np.random.default_rng(0)
    spoken = [r for r in rows(DATA / "ravdess_speech") if r["emotion"] in ("neutral", "happy", "angry")]
    noisy = [
        r for r in rows(DATA / "esc10") if r["label"] in ("rain", "sea_waves", "helicopter", "chainsaw", "clock_tick")
    ]
    result: dict[str, Any] = {}
    for ratio in (None, 20, 10, 5, 0, -5):
        parts: list[np.ndarray] = []
        truth: list[np.ndarray] = []
        for _ in range(40):
            samples = load(DATA / "ravdess_speech" / "audio" / spoken[int(rng.integers(len(spoken)))]["file"])
            said = np.zeros(len(samples), bool)
            for start, end in loud_parts(samples, 30, 0.3):
                said[int(start * RATE) : int(end * RATE)] = True
            pause = int(rng.uniform(0.5, 3) * RATE)
            samples = samples * 0.05 / level(samples[said])
            parts += [samples, np.zeros(pause)]
            truth += [said, np.zeros(pause, bool)]
        clean, said = np.concatenate(parts), np.concatenate(truth)
        if ratio is not None:
            noise = np.zeros(0)
            while len(noise) < len(clean):
                noise = np.concatenate(
                    [noise, load(DATA / "esc10" / "audio" / noisy[int(rng.integers(len(noisy)))]["file"])]
                )
            noise = noise[: len(clean)]
            clean = clean + noise * (0.05 / level(noise)) * 10 ** (-ratio / 20)
        path = save_wave(folder / "voice.wav", clean)
        found = np.zeros(len(clean), bool)
        for o in observed(Speech(SpeechConfig(transcribe=False)), path):
            found[int(o.span.start.seconds * RATE) : int(o.span.end.seconds * RATE)] = True
        a, b = found[:: RATE // 100], said[:: RATE // 100]
        precision, recall = (a & b).sum() / max(1, a.sum()), (a & b).sum() / max(1, b.sum())
        f1 = 2 * precision * recall / max(1e-9, precision + recall)
        name = "clean" if ratio is None else f"{ratio} dB"
        result[name] = {"f1": float(f1), "precision": float(precision), "recall": float(recall)}
        print(f"voice activity, {name:6} F1 {f1:.3f}, precision {precision:.3f}, recall {recall:.3f}")
    return result


def conversation(
    pair: tuple[int, int], emotions: tuple[str, ...], seed: int
) -> tuple[np.ndarray, list[tuple[float, float, int]]]:
    """24 sentences of two actors in random order, and who says which when."""
    rng = np.random.default_rng(seed)
    every = [r for r in rows(DATA / "ravdess_speech") if r["emotion"] in emotions]
    parts: list[np.ndarray] = []
    true: list[tuple[float, float, int]] = []
    at = 0
    for _ in range(24):
        actor = pair[int(rng.integers(2))]
        own = [r for r in every if int(r["actor"]) == actor]
        samples = load(DATA / "ravdess_speech" / "audio" / own[int(rng.integers(len(own)))]["file"])
        stretches = loud_parts(samples, 30, 0.3)
        samples = samples[int(stretches[0][0] * RATE) : int(stretches[-1][1] * RATE)]
        true.append((at / RATE, (at + len(samples)) / RATE, actor))
        pause = np.zeros(int(rng.uniform(0.1, 0.8) * RATE))
        parts += [samples, pause]
        at += len(samples) + len(pause)
    whole = np.concatenate(parts)
    return whole + pink(len(whole), -60, rng), true


def diarization(turns: list[tuple[float, float, int]], true: list[tuple[float, float, int]]) -> np.ndarray:
    """Missed, false and confused time and all speech, in 10 ms, with a collar of 0.25 s."""
    count = int(true[-1][1] * 100) + 100
    said, found, scored = np.zeros(count, int), np.zeros(count, int), np.ones(count, bool)
    for start, end, actor in true:
        said[int(start * 100) : int(end * 100)] = actor
        for edge in (start, end):
            scored[max(0, int((edge - 0.25) * 100)) : int((edge + 0.25) * 100)] = False
    for start, end, speaker in turns:
        found[int(start * 100) : int(end * 100)] = speaker
    said, found = said[scored], found[scored]
    actors, names = sorted(set(said[said > 0].tolist())), sorted(set(found[found > 0].tolist()))
    spare = [-i for i in range(1, len(actors) + 1)]
    right = max(
        sum(int(((said == a) & (found == n)).sum()) for a, n in zip(actors, chosen, strict=True))
        for chosen in itertools.permutations(names + spare, len(actors))
    )
    both = (said > 0) & (found > 0)
    missed, false = ((said > 0) & ~both).sum(), ((found > 0) & ~both).sum()
    return np.array([missed, false, both.sum() - right, (said > 0).sum()])


def speakers(folder: Path) -> dict[str, Any]:
    """Diarization error on conversations of eight actors whose voices chose no setting."""
    actors = (3, 4, 9, 10, 15, 16, 21, 22)
    result: dict[str, Any] = {}
    for name, emotions in (("calm", ("neutral", "calm")), ("acted", ("neutral", "calm", "happy", "sad"))):
        for way, config in (
            ("number unknown", SpeakersConfig()),
            ("two told", SpeakersConfig(threshold=0.99, merge=0.99, most=2)),
        ):
            rng = np.random.default_rng(1)
            pairs = list(itertools.combinations(actors, 2))
            rng.shuffle(pairs)
            total, right = np.zeros(4), 0
            for seed, pair in enumerate(pairs[:10]):
                samples, true = conversation((int(pair[0]), int(pair[1])), emotions, seed)
                made = observed(Speakers(config), save_wave(folder / "two.wav", samples))
                turns = [o for o in made if o.kind == "speaker"]
                spans = [
                    (o.span.start.seconds, o.span.end.seconds, int((o.track or "-0").split("-")[1])) for o in turns
                ]
                total += diarization(spans, true)
                right += len({s[2] for s in spans}) == 2
            missed, false, confused = (float(v) for v in total[:3] / total[3])
            error = missed + false + confused
            print(
                f"speakers, {name}, {way}: error {error:.3f} (missed {missed:.3f}, false {false:.3f},"
                f" confused {confused:.3f}), two found in {right} of 10"
            )
            result[f"{name}, {way}"] = {
                "error": error,
                "missed": missed,
                "false": false,
                "confused": confused,
                "two_of_ten": right,
            }
    return result


PARTS = {"words": rates, "voice": voice, "speakers": speakers}


def main() -> None:
    chosen = sys.argv[1:] or list(PARTS)
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen:
            save(f"speech_{name}", PARTS[name](Path(folder)))


if __name__ == "__main__":
    main()
