"""Gives samples as arrays, in a seeded order, decoded ahead by worker processes and kept in a cache.

    with Loader(dataset, preparation, split="train", workers=2, cache=ClipCache(folder, 8 << 30)) as loader:
        for epoch in range(10):
            for clip in loader.epoch(epoch):
                ...  # clip.pictures: uint8 (frames, height, width, channels)

Arrays of one clip come from one place in memory, shared with the worker that decoded it: pixels go through no pipe.
"""

from __future__ import annotations

import concurrent.futures
import mmap
import multiprocessing
import os
import shutil
import signal
import struct
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from onlooker.core.errors import OnlookerError, SourceError
from onlooker.learning.datasets.clip_cache import ClipCache, Place, pack, unpack
from onlooker.learning.datasets.clips import Clip, Part, decode, part_of_sample, text_of
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import Sample
from onlooker.learning.datasets.preparation import Preparation

__all__ = ["Loader"]

_CHUNKS = {"image": 32, "audio": 8, "video": 2, "series": 32}
_AHEAD = 3
_RESTARTS = 3
_PREFIX = "onlooker-clips-"
_LENGTH = struct.Struct("<I")

Arrays = dict[str, NDArray[Any]]


@dataclass(slots=True)
class _Job:
    """Samples that one worker decodes together."""

    numbers: list[int]
    future: concurrent.futures.Future[list[Any]] | None = None


class Loader:
    """Samples of a dataset as arrays. Use it in a ``with`` statement, or call `close`.

    Args:
        dataset: whose samples.
        preparation: how they become arrays; None takes the dataset's own.
        split: only of this split; None: all.
        samples: these in place of a split's.
        workers: processes that decode ahead; 0 decodes where it is called.
        cache: keeps what was decoded; None decodes in every epoch.
        seed: of the order.
        shuffle: whether each epoch has an order of its own.
        shard: which of how many equal parts of each epoch, for training in several processes.
        on_error: what to do with a sample that cannot be decoded: ``raise``, or ``skip`` and note it in ``failures``.

    Attributes:
        samples: those that it gives, in their order in the dataset.
        failures: by sample id, why it could not be decoded.
        decoded, cached: how many samples were decoded and how many came out of the cache.

    Raises:
        UsageError: there is no such split.
    """

    def __init__(
        self,
        dataset: Dataset,
        preparation: Preparation | None = None,
        *,
        split: str | None = None,
        samples: Sequence[Sample] | None = None,
        workers: int = 0,
        cache: ClipCache | None = None,
        seed: int = 0,
        shuffle: bool = True,
        shard: tuple[int, int] = (0, 1),
        on_error: Literal["raise", "skip"] = "raise",
    ) -> None:
        self.dataset = dataset
        self.preparation = preparation or dataset.info.prepare or Preparation()
        self.samples = list(samples) if samples is not None else dataset.of_split(split)
        self.failures: dict[str, str] = {}
        self.decoded = self.cached = 0
        self._workers, self._cache = workers, cache
        self._seed, self._shuffle, self._shard, self._on_error = seed, shuffle, shard, on_error
        root, digest = dataset.root.resolve(), self.preparation.digest()
        self._root = root
        self._parts = [part_of_sample(s, root, self.preparation) for s in self.samples]
        self._keys = [p.key(digest) for p in self._parts]
        self._pool: concurrent.futures.ProcessPoolExecutor | None = None
        self._restarts = 0
        self._transfer: Path | None = None

    def __enter__(self) -> Loader:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self.samples)

    def close(self) -> None:
        """Stop the workers; a second call does nothing. The cache stays open."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None
            if self._cache is not None:
                self._cache.tidy()
        if self._transfer is not None:
            shutil.rmtree(self._transfer, ignore_errors=True)
            self._transfer = None

    def order(self, epoch: int) -> list[int]:
        """Places in ``samples`` in the order of an epoch: the same for the same seed, whatever the workers."""
        count = len(self.samples)
        order = np.random.default_rng([self._seed, epoch]).permutation(count) if self._shuffle else np.arange(count)
        rank, parts = self._shard
        return [int(n) for n in order[rank::parts]]

    def epoch(self, epoch: int = 0, *, start: int = 0, order: Sequence[int] | None = None) -> Iterator[Clip]:
        """The clips of one epoch.

        Args:
            epoch: its number, which the order depends on.
            start: how many to pass over, to go on where a run was stopped.
            order: places in ``samples`` in place of the epoch's own order.

        Raises:
            SourceError: a sample cannot be decoded (with ``on_error="raise"``).
        """
        waiting: deque[_Job] = deque()
        chunk: list[int] = []
        limit = _AHEAD * max(1, self._workers)
        for number in (self.order(epoch) if order is None else order)[start:]:
            if self._is_cached(number):
                if chunk:
                    waiting.append(self._submit(chunk))
                    chunk = []
                waiting.append(_Job([number]))
            else:
                chunk.append(number)
                if len(chunk) >= self._chunk(number):
                    waiting.append(self._submit(chunk))
                    chunk = []
            while len(waiting) > limit * 8 or sum(j.future is not None for j in waiting) > limit:
                yield from self._finished(waiting)
        if chunk:
            waiting.append(self._submit(chunk))
        while waiting:
            yield from self._finished(waiting)

    def batches(
        self, epoch: int = 0, *, size: int, start: int = 0, keep_last: bool = True, order: Sequence[int] | None = None
    ) -> Iterator[list[Clip]]:
        """The clips of an epoch in lists of ``size``; ``start`` counts lists. The last is shorter, or left out."""
        held: list[Clip] = []
        for clip in self.epoch(epoch, start=start * size, order=order):
            held.append(clip)
            if len(held) == size:
                yield held
                held = []
        if held and keep_last:
            yield held

    def clip(self, number: int) -> Clip:
        """One sample by its place in ``samples``.

        Raises:
            SourceError: it cannot be decoded.
        """
        arrays = self._from_cache(number)
        if arrays is None:
            arrays = self._decode(number)
        return self._clip(number, arrays)

    def _chunk(self, number: int) -> int:
        kinds = {m.kind for m in self._parts[number].media}
        return min((_CHUNKS[k] for k in kinds if k in _CHUNKS), default=64)

    def _is_cached(self, number: int) -> bool:
        return self._cache is not None and self._cache.find(self._keys[number]) is not None

    def _from_cache(self, number: int) -> Arrays | None:
        arrays = None if self._cache is None else self._cache.read(self._keys[number])
        if arrays is not None:
            self.cached += 1
        return arrays

    def _decode(self, number: int) -> Arrays:
        try:
            arrays = decode(self._parts[number], self.preparation)
        except OnlookerError as error:
            raise self._named(number, error) from None
        self.decoded += 1
        if self._cache is not None:
            self._cache.put(self._keys[number], arrays)
        return arrays

    def _named(self, number: int, error: Exception) -> SourceError:
        said = error.message if isinstance(error, OnlookerError) else str(error)
        return SourceError(f"sample {self.samples[number].id}: {said}", hint="see onlooker dataset check")

    def _submit(self, numbers: list[int]) -> _Job:
        job = _Job(numbers)
        if self._workers:
            self._send(job)
        return job

    def _send(self, job: _Job) -> None:
        if self._pool is None:
            self._pool = self._started()
        work = [(self._keys[n], self._parts[n]) for n in job.numbers]
        try:
            job.future = self._pool.submit(_work, work)
        except BrokenProcessPool:
            self._restart()
            job.future = self._pool.submit(_work, work)

    def _started(self) -> concurrent.futures.ProcessPoolExecutor:
        if self._transfer is None:
            shared = Path("/dev/shm")
            room = shared if shared.is_dir() and os.access(shared, os.W_OK) else None
            _sweep(Path(room or tempfile.gettempdir()))
            self._transfer = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=room))
        kept = None if self._cache is None else (self._cache.folder, self._cache.max_bytes, self._cache.opened)
        return concurrent.futures.ProcessPoolExecutor(
            self._workers,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start,
            initargs=(self.preparation, kept, self._transfer),
        )

    def _restart(self) -> None:
        self._restarts += 1
        if self._restarts > _RESTARTS:
            raise SourceError(
                "workers were killed again and again",
                hint="see the system's log; use fewer workers; scripts need if __name__ == '__main__'",
            )
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        self._pool = self._started()

    def _finished(self, waiting: deque[_Job]) -> Iterator[Clip]:
        """The clips of the job that was sent first."""
        job = waiting.popleft()
        if job.future is None:
            for number in job.numbers:
                yield from self._guarded(number, None)
            return
        try:
            results = job.future.result()
        except BrokenProcessPool:
            self._restart()
            for sent in (job, *(j for j in waiting if j.future is not None)):
                self._send(sent)
            waiting.appendleft(job)
            return
        for number, result in zip(job.numbers, results, strict=True):
            yield from self._guarded(number, result)

    def _guarded(self, number: int, result: Any) -> Iterator[Clip]:
        try:
            yield self._clip(number, self._received(number, result))
        except SourceError as error:
            if self._on_error == "raise":
                raise
            self.failures[self.samples[number].id] = error.message

    def _received(self, number: int, result: Any) -> Arrays:
        if isinstance(result, Exception):
            raise self._named(number, result)
        arrays: Arrays | None = None
        if isinstance(result, Place) and self._cache is not None:
            self._cache.note(self._keys[number], result)
            arrays = self._cache.read(self._keys[number], result)
            self.decoded += arrays is not None
        elif isinstance(result, str):
            arrays = _received(Path(result))
            self.decoded += 1
        else:
            arrays = self._from_cache(number)
        # a record that was damaged is made anew
        return self._decode(number) if arrays is None else arrays

    def _clip(self, number: int, arrays: Arrays) -> Clip:
        sample = self.samples[number]
        words = text_of(sample, self._root)
        return Clip(
            sample, arrays.get("pictures"), arrays.get("times"), arrays.get("sound"), words, arrays.get("series")
        )


def _sweep(folder: Path) -> None:
    """Remove what killed loaders left."""
    for path in folder.glob(f"{_PREFIX}*"):
        owner = path.name.removeprefix(_PREFIX).partition("-")[0]
        if owner.isdecimal() and not Path(f"/proc/{owner}").exists() and Path("/proc/self").exists():
            shutil.rmtree(path, ignore_errors=True)


# -- in the workers --

_state: tuple[Preparation, ClipCache | None, Path] | None = None


def _start(preparation: Preparation, kept: tuple[Path, int, float] | None, transfer: Path) -> None:
    global _state
    # Ctrl-C reaches the whole process group: the parent alone decides
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _state = (preparation, None if kept is None else ClipCache(*kept), transfer)


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)


def _work(work: Sequence[tuple[bytes, Part]]) -> list[Any]:
    """For each part where its arrays are: a place in the cache, a file, or what went wrong."""
    assert _state is not None
    preparation, cache, transfer = _state
    results: list[Any] = []
    for key, part in work:
        try:
            arrays = decode(part, preparation)
        except OnlookerError as error:
            results.append(error)
            continue
        place = None if cache is None else cache.put(key, arrays)
        results.append(place or _handed(transfer, arrays))
    return results


def _handed(transfer: Path, arrays: Arrays) -> str:
    """A file in memory that the loader takes over."""
    head, parts, _ = pack(arrays)
    front = _LENGTH.pack(len(head)) + head
    front += bytes(-len(front) % 64)
    number, name = tempfile.mkstemp(dir=transfer)
    with open(number, "wb", buffering=0) as file:
        for part in (front, *parts):
            file.write(part)
    return name


def _received(path: Path) -> Arrays:
    with path.open("rb") as file:
        held = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    path.unlink()
    (length,) = _LENGTH.unpack_from(held)
    head = held[_LENGTH.size : _LENGTH.size + length]
    return unpack(held, head, -(-(_LENGTH.size + length) // 64) * 64)
