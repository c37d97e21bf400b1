"""A backtest whose rules are shared out over processes: for weeks of observations, on machines with several cores."""

from __future__ import annotations

import gc
import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from datetime import datetime

from onlooker.core.event import Event
from onlooker.core.media import SourceInfo
from onlooker.core.store import Store
from onlooker.core.time import Span
from onlooker.rules.engine import backtest
from onlooker.rules.language import Rule, RuleFile

__all__ = ["backtest_apart"]

Opener = Callable[[], Store]


def backtest_apart(
    opener: Opener,
    rules: RuleFile,
    sources: Sequence[SourceInfo],
    span: Span | None = None,
    begin: Mapping[str, datetime] | None = None,
    *,
    workers: int,
) -> Iterator[Event]:
    """The events of `backtest`, made by several processes; each reads the library and evaluates a part of the rules.

    Args:
        opener: opens the library; goes to other processes, so a function of a module or a partial of one.
        rules: the file.
        sources: which sources.
        span: the stretch of each source, or all of it.
        begin: wall time of each source's zero, by id.
        workers: processes at most.

    Yields:
        Source by source, the states of events by their times; those of one event in order.
    """
    shares = _shares(rules.rules, workers)
    with ProcessPoolExecutor(len(shares), mp_context=multiprocessing.get_context("spawn")) as pool:
        for info in sources:
            asked = [
                pool.submit(_events, opener, rules.model_copy(update={"rules": share}), info, span, begin)
                for share in shares
            ]
            made = [event for answer in asked for event in answer.result()]
            yield from sorted(made, key=_told)


def _told(event: Event) -> tuple[int, str, int]:
    return (event.start if event.end is None else event.end, event.id, event.number)


def _shares(rules: Sequence[Rule], workers: int) -> list[tuple[Rule, ...]]:
    """The rules in at most ``workers`` parts of about equal work, by how many conditions each has."""
    parts: list[tuple[int, list[Rule]]] = [(0, []) for _ in range(max(1, min(workers, len(rules))))]
    for rule in sorted(rules, key=lambda r: -_size(r)):
        place = min(range(len(parts)), key=lambda i: parts[i][0])
        work, share = parts[place]
        parts[place] = (work + _size(rule), [*share, rule])
    return [tuple(r for r in rules if r in share) for _, share in parts]


def _size(rule: Rule) -> int:
    waiting, count = [rule.when.condition], 0
    while waiting:
        condition = waiting.pop()
        waiting += condition.parts()
        count += 1
    return count


def _events(
    opener: Opener, rules: RuleFile, info: SourceInfo, span: Span | None, begin: Mapping[str, datetime] | None
) -> list[Event]:
    gc.disable()  # observations and events form no cycles, and the process ends with its work
    with closing(opener()) as store:
        return list(backtest(store, rules, [info], span, begin))
