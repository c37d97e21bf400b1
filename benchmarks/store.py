"""The embedded store: how dense observations are kept best, and how fast it writes, finds and ranks.

    python benchmarks/store.py            # under a minute
    python benchmarks/store.py --scale 10 # more of everything

Writes results/store.json. Dense: boxes of six tracks at 5 a second over an hour, committed ten seconds at a time,
once as rows, once packed with windows of several lengths.
"""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from _harness import save, timed

from onlooker.core.observation import Box, Observation, Producer
from onlooker.core.store import Batch, Query
from onlooker.core.time import Span, Timestamp
from onlooker.testing.store import StoreContract
from onlooker.testing.store_values import SOURCE, source_info
from onlooker.timeline import open_store
from onlooker.timeline.stores.embedded import EmbeddedStore

PACKING = "onlooker.timeline.stores.embedded"
BASE = Fraction(1, 12800)
OBJECTS = Producer("objects", "1", "c" * 32, "b" * 64)
TEXTS = Producer("text", "1", "c" * 32)
LOOKS = Producer("keyframes", "1", "c" * 32)


@contextmanager
def library() -> Iterator[EmbeddedStore]:
    """A fresh store with one source."""
    folder = Path(tempfile.mkdtemp(prefix="onlooker-bench-"))
    try:
        with EmbeddedStore(folder) as store:
            store.add_source(source_info())
            yield store
    finally:
        shutil.rmtree(folder)


def boxes(seconds: int, rate: int = 5, tracks: int = 6) -> Iterator[list[Observation]]:
    """Ten seconds at a time: wandering boxes with scores as a float32 model gives them."""
    chance = np.random.default_rng(0)
    places = chance.uniform(0.2, 0.6, (tracks, 2))
    for at in range(0, seconds, 10):
        made: list[Observation] = []
        for frame in range(at * rate, (at + 10) * rate):
            places = np.clip(places + chance.normal(0, 0.004, places.shape), 0, 0.8)
            scores = chance.uniform(0.4, 1, tracks).astype(np.float32)
            span = Span(Timestamp(frame * 2560, BASE), Timestamp((frame + 1) * 2560, BASE))
            for i, (x, y) in enumerate(places.astype(np.float32).tolist()):
                made.append(
                    Observation(
                        span,
                        "object",
                        score=float(scores[i]),
                        label=("person", "car", "dog")[i % 3],
                        box=Box(x, y, x + 0.1, y + 0.2),
                        # people come and go: a track lives for two minutes
                        track=f"{i}-{at // 120}",
                        source=SOURCE,
                        producer=OBJECTS,
                        ordinal=i,
                    )
                )
        yield made


def median_ms(work: Callable[[], Any], times: int = 9) -> float:
    """Median wall time of a call in milliseconds."""
    taken: list[float] = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        taken.append((time.perf_counter() - begun) * 1000)
    return round(sorted(taken)[times // 2], 2)


def dense(seconds: int, window: int | None) -> dict[str, Any]:
    """One form of keeping dense observations; ``window`` None: as rows."""
    batches = list(boxes(seconds))
    count = sum(map(len, batches))

    def write(store: EmbeddedStore) -> None:
        for batch in batches:
            store.commit(Batch(SOURCE, batch))

    forms = [mock.patch(f"{PACKING}.packing.WINDOW_NS", (window or 1) * 10**9)]
    if window is None:
        forms = [mock.patch(f"{PACKING}.writing.is_dense", return_value=False)]
    with library() as store, forms[0]:
        _, wall, cpu = timed(lambda: write(store))
        store.vacuum()
        middle = Span.of_seconds(seconds // 2, seconds // 2 + 10)
        wanted = batches[len(batches) // 2][7]
        return {
            "form": "rows" if window is None else f"packed {window} s",
            "observations": count,
            "bytes_each": round(store.sizes()["database_bytes"] / count, 1),
            "write_cpu_us_each": round(cpu / count * 1e6, 1),
            "written_a_second": round(count / wall),
            "query_ten_seconds_ms": median_ms(lambda: list(store.query(Query(span=middle)))),
            "query_one_track_ms": median_ms(lambda: list(store.query(Query(tracks=(wanted.track or "",))))),
            "query_best_20_ms": median_ms(lambda: list(store.query(Query(order="score", limit=20))), 3),
            "query_text_first_20_ms": median_ms(lambda: list(store.query(Query(text="person", limit=20)))),
            "get_by_id_ms": median_ms(lambda: store.get(wanted.id)),
            "counts_ms": median_ms(store.counts),
            "stream_all_us_each": round(timed(lambda: sum(1 for _ in store.query(Query())))[2] / count * 1e6, 1),
        }


WORDS = "the quick brown fox jumps over a lazy dog while people watch from street corner signs read open sale"
HAN = "".join(chr(0x4E00 + i) for i in range(0, 6000, 7))


def rows_and_words(count: int) -> dict[str, Any]:
    """Sparse observations with text, in batches of 50, and how fast words are found among them."""
    chance = random.Random(0)
    every: list[Observation] = []
    for i in range(count):
        chinese, english = "".join(chance.choices(HAN, k=20)), " ".join(chance.choices(WORDS.split(), k=8))
        text = chinese if i % 2 else english
        span = Span(Timestamp(i * 12800, BASE), Timestamp((i + 2) * 12800, BASE))
        every.append(Observation(span, "text", score=0.9, text=text, source=SOURCE, producer=TEXTS))

    def write(store: EmbeddedStore, size: int) -> None:
        for at in range(0, count, size):
            store.commit(Batch(SOURCE, every[at : at + size]))

    with library() as store:
        _, wall, cpu = timed(lambda: write(store, 50))
        pair = every[count // 2 | 1].text or ""
        return {
            "observations": count,
            "written_a_second": round(count / wall),
            "write_cpu_us_each": round(cpu / count * 1e6, 1),
            "chinese_pair_ms": median_ms(lambda: store.search_text(pair[4:6], Query(limit=20))),
            "chinese_single_ms": median_ms(lambda: store.search_text(pair[4], Query(limit=20))),
            "english_two_words_ms": median_ms(lambda: store.search_text("fox sale", Query(limit=20))),
            "kind_and_span_ms": median_ms(
                lambda: list(store.query(Query(kinds=("text",), span=Span.of_seconds(count // 2, count // 2 + 20))))
            ),
            "write_again_cpu_us_each": round(timed(lambda: write(store, 50))[2] / count * 1e6, 1),
        }


def vectors(count: int, size: int = 256) -> dict[str, Any]:
    """Exact nearest vectors among ``count``."""
    values = np.random.default_rng(0).normal(size=(count, size)).astype(np.float32)
    every = [
        Observation(
            Span(Timestamp(i, Fraction(1)), Timestamp(i + 1, Fraction(1))),
            "keyframe",
            label="day" if i % 10 else "night",
            vector=value,
            vector_space="look-1",
            source=SOURCE,
            producer=LOOKS,
        )
        for i, value in enumerate(values)
    ]
    with library() as store:
        _, wall, _ = timed(lambda: [store.commit(Batch(SOURCE, every[i : i + 500])) for i in range(0, count, 500)])
        wanted = values[count // 3]
        return {
            "vectors": count,
            "size": size,
            "written_a_second": round(count / wall),
            "nearest_20_ms": median_ms(lambda: store.search_vector("look-1", wanted, Query(limit=20)), 5),
            "nearest_20_of_a_tenth_ms": median_ms(
                lambda: store.search_vector("look-1", wanted, Query(labels=("night",), limit=20)), 5
            ),
        }


class _Suite(StoreContract):
    opener = staticmethod(open_store)


def kills(count: int) -> dict[str, Any]:
    """Kill a writer ``count`` times at random moments, in rounds of ten, each compared with an undisturbed run."""
    met = 0
    for seed in range(0, count, 10):
        with tempfile.TemporaryDirectory() as folder:
            met += _Suite().kill_and_compare(Path(folder), kills=10, count=200, size=60, seed=seed)
    return {"kills": count, "met_a_writer_at_work": met, "rounds_equal": -(-count // 10)}


def main() -> None:
    """Measure and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--kills", type=int, default=0, help="kill a writer so many times and compare, instead")
    arguments = parser.parse_args()
    if arguments.kills:
        save("store_kills", kills(arguments.kills))
        return
    scale = arguments.scale
    forms = [dense(int(1200 * scale) // 120 * 120, window) for window in (None, 5, 10, 30, 60)]
    result = {
        "dense": forms,
        "text": rows_and_words(int(20_000 * scale)),
        "vectors": vectors(int(10_000 * scale)),
    }
    for form in forms:
        print(form)
    print(result["text"])
    print(result["vectors"])
    save("store", result)


if __name__ == "__main__":
    main()
