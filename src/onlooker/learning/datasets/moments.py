"""Moments of one file that are so near, or so late, that their usual ids would be the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from onlooker.learning.datasets.manifest import Sample

__all__ = ["told_apart"]


def told_apart(samples: Iterable[Sample], known: Mapping[str, Sample]) -> list[Sample]:
    """Samples with finer ids where the usual one is that of another moment.

    Usual ids end with times of six digits. A moment that is known by its usual id keeps it.

    Args:
        samples: new ones.
        known: those that are there, by id.

    >>> from onlooker.learning.datasets.manifest import Media
    >>> media = (Media(path="a.mp4", kind="video"),)
    >>> [s.id for s in told_apart([Sample(id="a.mp4#12345", media=media, at=12345 + n / 25) for n in range(2)], {})]
    ['a.mp4#12345', 'a.mp4#12345.040000']
    """
    holders = {id: sample for id, sample in known.items() if _usual(sample)}
    made: list[Sample] = []
    for sample in samples:
        if _usual(sample):
            holder = holders.setdefault(sample.id, sample)
            if (holder.at, holder.span) != (sample.at, sample.span):
                named = f"{sample.id.rpartition('#')[0]}#{_times(sample, '.6f')}"
                made.append(sample.model_copy(update={"id": named}))
                continue
        made.append(sample)
    return made


def _usual(sample: Sample) -> bool:
    """Whether an id ends with the times of its sample, as it was made of them."""
    _, mark, times = sample.id.rpartition("#")
    return bool(mark) and times == _times(sample, "g")


def _times(sample: Sample, form: str) -> str | None:
    if sample.span is not None:
        return f"{sample.span[0]:{form}}-{sample.span[1]:{form}}"
    return None if sample.at is None else f"{round(sample.at, 6):{form}}"
