"""Samples as batches of tensors: decoded once and kept in memory where they fit, else streamed by the loader."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onlooker.bundles.inputs import ClipInput, FrameInput, LogMelInput, SeriesInput, TextInput, WaveformInput
from onlooker.bundles.preprocess import series_tensor, sound_tensor
from onlooker.bundles.words import Reader, reader_of
from onlooker.core.errors import SourceError, UsageError
from onlooker.learning.datasets.clip_cache import ClipCache
from onlooker.learning.datasets.clips import Clip
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.loader import Loader
from onlooker.learning.datasets.manifest import Sample
from onlooker.learning.datasets.preparation import Preparation
from onlooker.learning.facts import Facts, InputFacts
from onlooker.learning.media_of import has_any
from onlooker.learning.parts import load_part
from onlooker.learning.task import HeadConfig, TaskFacts, as_tensor

__all__ = ["Batch", "Data", "input_array", "normalised"]

Arrays = dict[str, NDArray[Any]]
Told = Callable[[int, int], None]
"""Told how many samples of how many are ready."""


@dataclass(slots=True)
class Batch:
    """B samples.

    Args:
        inputs: by name (B, ...): pictures as bytes (B, T, C, H, W), the others as the network takes them.
        present: by name (B,), 1 where the sample has that input.
        values: by task, labels (B, ...).
        known: by task, bool (B,).
        numbers: int64 (B,), places among the split's samples.
        weights: by task (B,), how much each sample counts, 1 on average over those of the part that it is learned
            from; tasks of which all count alike are left out.
    """

    inputs: dict[str, Tensor]
    present: dict[str, Tensor]
    values: dict[str, Tensor]
    known: dict[str, Tensor]
    numbers: Tensor
    weights: dict[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.numbers)


def input_array(clip: Clip, facts: InputFacts, reader: Reader | None) -> Any:
    """One input of a sample as an array without the batch, or None where the sample lacks it.

    Args:
        clip: the sample.
        facts: of the input.
        reader: gives what is read of a text.
    """
    if isinstance(facts, FrameInput | ClipInput):
        return None if clip.pictures is None else np.ascontiguousarray(clip.pictures.transpose(0, 3, 1, 2))
    if isinstance(facts, TextInput):
        return None if clip.text is None or reader is None else reader(clip.text)[None].astype(np.float32)
    if isinstance(facts, SeriesInput):
        return None if clip.series is None else series_tensor(clip.series, facts)[0]
    if clip.sound is None:
        return None
    samples = np.zeros(facts.length, np.float32)
    samples[: min(len(samples), len(clip.sound))] = clip.sound[: facts.length, 0]
    tensor = sound_tensor(samples, facts)
    return tensor[0]


def normalised(x: Tensor, facts: InputFacts) -> Tensor:
    """An input as a network takes it: pictures as floats with the training part's mean and deviation."""
    if not isinstance(facts, FrameInput | ClipInput):
        return x
    shape = (1, 1, -1, 1, 1)
    mean, std = torch.tensor(facts.mean).view(shape), torch.tensor(facts.std).view(shape)
    return (x.float() * facts.scale - mean.to(x.device)) * (1 / std).to(x.device)


class Data:
    """One part of a dataset as batches.

    Args:
        dataset: whose.
        samples: of the part.
        preparation: how they become arrays.
        facts: of inputs and tasks.
        heads: settings of each task.
        steps: by task, T of the features.
        batch: samples of a batch.
        seed: of the order.
        shuffle: each epoch in an order of its own, the last batch left out where it is not full.
        balanced: the task whose classes are to come alike often.
        shard: which of how many equal parts of each epoch.
        workers, cache, in_memory: see `onlooker.learning.recipe.TrainingConfig`.
        progress: told while samples are decoded.
        part: its name, for errors.

    Attributes:
        samples: those that could be decoded and have any of the inputs, with in_memory; else all.
        asked: how many there were.
        failures: by sample id, why it could not be decoded; of those that were come upon so far, where they are
            streamed.
        bare: ids of samples that have none of the inputs, likewise.
        unheard: ids of samples whose sound ends before what is heard around the middle of their video, likewise.
        lacking: by task, ids of samples that have its label and not the one input that it is learned from, likewise.
        kept: inputs, presence, labels and where there are any, of all samples; None where they are streamed.
    """

    def __init__(
        self,
        dataset: Dataset,
        samples: Sequence[Sample],
        preparation: Preparation,
        facts: Facts,
        heads: Mapping[str, HeadConfig],
        *,
        tasks: Mapping[str, TaskFacts],
        batch: int,
        seed: int = 0,
        shuffle: bool = False,
        balanced: str | None = None,
        shard: tuple[int, int] = (0, 1),
        workers: int = 0,
        cache: ClipCache | None = None,
        in_memory: bool = True,
        progress: Told | None = None,
        part: str = "",
    ) -> None:
        self.dataset, self.samples, self.facts = dataset, list(samples), facts
        self.heads, self.tasks, self.asked = heads, tasks, len(samples)
        self.batch, self.seed, self.shuffle, self.shard = batch, seed, shuffle, shard
        self.bare: set[str] = set()
        self.unheard: set[str] = set()
        self.lacking: dict[str, set[str]] = {}
        self._part = part
        self._weights = {n: w for n, h in heads.items() if (w := self._weights_of(h.of or n, n)) is not None}
        self._balanced = balanced
        self._readers = {n: reader_of(f) for n, f in facts.inputs.items() if isinstance(f, TextInput)}
        self._loader = Loader(
            dataset, preparation, samples=self.samples, workers=workers, cache=cache, seed=seed, shuffle=False,
            on_error="skip",
        )  # fmt: skip
        self.failures = self._loader.failures
        self.kept: tuple[Arrays, Arrays, Arrays, Arrays] | None = None
        if in_memory:
            self._load(progress)
        else:
            self._try()

    def close(self) -> None:
        """Stop the workers."""
        self._loader.close()

    @property
    def steps(self) -> int:
        """Batches of an epoch, as many in each shard."""
        count = len(self.samples) // self.shard[1]
        return max(1, count // self.batch) if self.shuffle else -(-count // self.batch)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Places among the samples in the order of an epoch: the same for the same seed."""
        count = len(self.samples)
        random = np.random.default_rng([self.seed, epoch])
        if self._balanced is not None and self.shuffle:
            order = random.choice(count, count, p=self._chances(self._balanced))
        else:
            order = random.permutation(count) if self.shuffle else np.arange(count)
        rank, parts = self.shard
        return order[rank::parts]

    def batches(self, epoch: int = 0, *, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch; ``start`` are passed over."""
        order = self.order(epoch)[start * self.batch : self.steps * self.batch]
        if self.kept is None:
            yield from self._streamed(order)
            return
        for first in range(0, len(order), self.batch):
            yield self._taken(order[first : first + self.batch])

    def _streamed(self, order: NDArray[np.int64]) -> Iterator[Batch]:
        place = {s.id: n for n, s in enumerate(self.samples)}
        wanted = -(-len(order) // self.batch)
        for clips in itertools.islice(self._lists(order.tolist()), wanted):
            yield self._made(clips, [place[c.sample.id] for c in clips])

    def _lists(self, order: list[int]) -> Iterator[list[Clip]]:
        """The samples that can be used as lists of a batch.

        Where there are several shards, those that cannot be used are made up for by going through the order again, as
        all have to take as many steps.
        """
        held: list[Clip] = []
        given, full = 0, False
        while True:
            before = given
            for clip in self._usable(order):
                held.append(clip)
                given += 1
                if len(held) == self.batch:
                    full = True
                    yield held
                    held = []
            if self.shard[1] == 1 or given >= len(order):
                break
            if given == before:
                raise self._nothing()
        # norms over the batch cannot learn from a single sample that is left over
        if held and not (self.shuffle and full and len(held) == 1):
            yield held

    def _usable(self, order: list[int] | None = None) -> Iterator[Clip]:
        """The samples that can be decoded and have any of the inputs."""
        ears = [f.kind for f in self.facts.inputs.values() if isinstance(f, LogMelInput | WaveformInput)]
        for clip in self._loader.epoch(order=order):
            if clip.sound is None and has_any(clip.sample, ears):
                self.unheard.add(clip.sample.id)
            if any(_has(clip, facts) for facts in self.facts.inputs.values()):
                yield clip
            else:
                self.bare.add(clip.sample.id)

    def _try(self) -> None:
        """Look for one sample that can be used.

        Raises:
            SourceError: there is none.
        """
        for number, sample in enumerate(self.samples):
            try:
                clip = self._loader.clip(number)
            except SourceError as error:
                self.failures[sample.id] = error.message
                continue
            if any(_has(clip, facts) for facts in self.facts.inputs.values()):
                return
            self.bare.add(sample.id)
        raise self._nothing()

    def _nothing(self) -> SourceError:
        """That no sample can be used, and why."""
        of = f" of the part {self._part!r}" if self._part else ""
        bare = f"; {len(self.bare)} have none of the inputs {', '.join(self.facts.inputs)}" if self.bare else ""
        if not self.failures:
            return SourceError(f"no sample{of} has any of the inputs {', '.join(self.facts.inputs)}")
        said = f"no sample{of} could be decoded, such as {next(iter(self.failures.values()))}{bare}"
        return SourceError(said, hint="onlooker dataset check tells all")

    def _made(self, clips: Sequence[Clip], numbers: Sequence[int]) -> Batch:
        inputs, present = self._arrays(clips)
        values, known = self._labels(clips)
        for name, config in self.heads.items():
            seen = np.any([present[i] > 0 for i in config.inputs or present], 0)
            if (lost := known[name] & ~seen).any():
                ids = {c.sample.id for c, without in zip(clips, lost, strict=True) if without}
                self.lacking.setdefault(name, set()).update(ids)
            known[name] = known[name] & seen
        tensors = [{k: torch.from_numpy(v) for k, v in part.items()} for part in (inputs, present, values, known)]
        weights = self._counting([c.sample.id for c in clips])
        return Batch(tensors[0], tensors[1], tensors[2], tensors[3], torch.tensor(numbers), weights)

    def _weights_of(self, of: str, name: str) -> dict[str, float] | None:
        """By sample how much it counts for a task, 1 on average over those with its label; None where all count alike.

        Raises:
            UsageError: none counts, and the part is learned from.
        """
        each = {s.id: s.weight * s.weights.get(of, 1.0) for s in self.samples}
        own = [each[s.id] for s in self.samples if self._teaches(s, of, name)]
        if len(set(each.values())) < 2 and 0.0 not in own:
            return None
        alike = len(set(own)) == 1
        mean = own[0] if alike else sum(own) / len(own) if own else 0.0
        if mean == 0 and own and self.shuffle:
            part = f"the part {self._part!r}" if self._part else "the training part"
            raise UsageError(
                f"tasks.{name}: all samples of {part} have the weight 0", hint="mend the dataset's weights"
            )
        return {sample: weight / mean for sample, weight in each.items()} if mean else None

    def _teaches(self, sample: Sample, of: str, name: str) -> bool:
        """Whether a sample has a label of a task and one of the inputs that it is learned from."""
        inputs = self.heads[name].inputs or self.facts.inputs
        return of in sample.labels and has_any(
            sample, [self.facts.inputs[i].kind for i in inputs if i in self.facts.inputs]
        )

    def _counting(self, samples: Sequence[str]) -> dict[str, Tensor]:
        return {n: torch.tensor([own[s] for s in samples]) for n, own in self._weights.items()}

    def _arrays(self, clips: Sequence[Clip]) -> tuple[Arrays, Arrays]:
        inputs: Arrays = {}
        present: Arrays = {}
        for name, facts in self.facts.inputs.items():
            made = [input_array(c, facts, self._readers.get(name)) for c in clips]
            type_ = np.uint8 if isinstance(facts, FrameInput | ClipInput) else np.float32
            none = np.zeros(self.facts.shape(name), type_)
            for clip, array in zip(clips, made, strict=True):
                if array is not None and array.shape != none.shape:
                    raise SourceError(f"sample {clip.sample.id}: expected {none.shape} of {name}, got {array.shape}")
            inputs[name] = np.stack([none if a is None else a for a in made])
            present[name] = np.array([a is not None for a in made], np.float32)
        return inputs, present

    def _labels(self, clips: Sequence[Clip]) -> tuple[Arrays, Arrays]:
        values: Arrays = {}
        known: Arrays = {}
        for name, config in self.heads.items():
            part = load_part("tasks", config.head)
            array, has = part.encode(self.tasks[name], config, clips)
            values[name] = as_tensor(array).numpy()
            known[name] = np.asarray(has, np.bool_)
        return values, known

    def _load(self, progress: Told | None) -> None:
        """Decode all samples and keep them."""
        parts: list[Batch] = []
        done = 0
        place = {s.id: n for n, s in enumerate(self.samples)}
        usable = self._usable()
        while clips := list(itertools.islice(usable, 256)):
            parts.append(self._made(clips, [place[c.sample.id] for c in clips]))
            done += len(clips)
            if progress is not None:
                progress(done, len(self.samples))
        self._loader.close()
        if not parts:
            raise self._nothing()
        numbers = torch.cat([p.numbers for p in parts]).tolist()
        self.samples = [self.samples[n] for n in numbers]
        joined = [
            {k: torch.cat([getattr(p, field)[k] for p in parts]).numpy() for k in getattr(parts[0], field)}
            for field in ("inputs", "present", "values", "known")
        ]
        self.kept = (joined[0], joined[1], joined[2], joined[3])

    def _taken(self, numbers: NDArray[np.int64]) -> Batch:
        assert self.kept is not None
        where = torch.from_numpy(np.ascontiguousarray(numbers))
        parts = [{k: torch.from_numpy(v).index_select(0, where) for k, v in part.items()} for part in self.kept]
        weights = self._counting([self.samples[n].id for n in where.tolist()]) if self._weights else {}
        return Batch(parts[0], parts[1], parts[2], parts[3], where, weights)

    def _chances(self, task: str) -> NDArray[np.float64]:
        """Each sample's chance to be drawn, by how rare its class is; without a label the mean chance."""
        of = self.heads[task].of or task
        held = self.tasks[task].task
        names = [held.names(s.labels[of]) if self._teaches(s, of, task) else [] for s in self.samples]
        counts: dict[str, int] = {}
        for labels in names:
            for label in labels:
                counts[label] = counts.get(label, 0) + 1
        chances = np.array([max((1 / counts[n] for n in labels), default=np.nan) for labels in names])
        chances = np.where(np.isnan(chances), np.nanmean(chances), chances)
        return chances / chances.sum()


def _has(clip: Clip, facts: InputFacts) -> bool:
    """Whether a sample has an input."""
    if isinstance(facts, FrameInput | ClipInput):
        return clip.pictures is not None
    if isinstance(facts, TextInput):
        return clip.text is not None
    return (clip.series if isinstance(facts, SeriesInput) else clip.sound) is not None


def fits_in_memory(samples: int, facts: Facts, share: float = 1 / 3) -> bool:
    """Whether so many samples take less than a share of the machine's free memory."""
    each = sum(
        int(np.prod(facts.shape(name))) * (1 if isinstance(f, FrameInput | ClipInput) else 4)
        for name, f in facts.inputs.items()
    )
    free = _free_bytes()
    return samples * each < free * share


def _free_bytes() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 4_000_000_000
