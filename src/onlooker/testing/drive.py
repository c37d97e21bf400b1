"""The plainest way to run analyzers over one source: one thread, no store, no resume.

It is the reference that the pipeline is compared with, and what an analyzer's author runs first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from onlooker.core.analyzer import Analyzer, Context, Window
from onlooker.core.measurement import Measurement
from onlooker.core.media import AudioBlock, Frame, Packet, ReadFailure, ReadItem, ReadRequest, Source
from onlooker.core.observation import Observation
from onlooker.core.time import Timestamp
from onlooker.pipeline.sampling import is_due
from onlooker.pipeline.stages import decoded_frames

__all__ = ["decide", "drive", "given_kinds", "measure"]


def given_kinds(analyzers: Sequence[Analyzer[Any]], analyzer: Analyzer[Any]) -> frozenset[str]:
    """Those of the kinds that ``analyzer`` asks for that the others make."""
    made = {kind for a in analyzers if a is not analyzer for kind in a.emits}
    return frozenset(made & set(analyzer.needs().kinds))


def measure(
    analyzers: Sequence[Analyzer[Any]],
    source: Source,
    *,
    start: Timestamp | None = None,
    end: Timestamp | None = None,
    threads: int = 2,
) -> dict[str, list[Measurement]]:
    """Run the heavy parts over the source, or the stretch [start, end) of it.

    Args:
        analyzers: in an order in which each comes after those it needs; they must be open.
        source: an open source.
        start: first moment to measure; frames in the look-back before it are given to ``warm``.
        end: the moment to stop before.
        threads: decoder threads.

    Returns:
        Each analyzer's measurements by its name, in order of time.
    """
    needs = {a.name: a.needs() for a in analyzers}
    hearing = [n for n in needs.values() if n.audio_rate]
    look_back = max((n.look_back for n in needs.values()), default=Fraction(0)) + 2
    request = ReadRequest(
        frames=decoded_frames(list(needs.values())),
        packets=any(n.packets for n in needs.values()),
        start=None if start is None or start.value < look_back else start - look_back,
        end=end,
        threads=threads,
    )
    if hearing and source.info.audio:
        first = hearing[0]
        request = replace(
            request, audio_rate=first.audio_rate, audio_block=first.audio_block, audio_channels=first.audio_channels
        )
    taken: dict[str, list[Measurement]] = {a.name: [] for a in analyzers}
    previous: dict[bool, Timestamp | None] = {False: None, True: None}
    for item in source.read(request):
        _dispatch(item, analyzers, taken, previous, start)
    return taken


def _dispatch(
    item: ReadItem,
    analyzers: Sequence[Analyzer[Any]],
    taken: dict[str, list[Measurement]],
    previous: dict[bool, Timestamp | None],
    start: Timestamp | None,
) -> None:
    if isinstance(item, ReadFailure):
        return
    early = start is not None and item.time < start
    given: dict[str, Measurement] = {}
    for analyzer in analyzers:
        needs = analyzer.needs()
        made: Measurement | None = None
        if isinstance(item, AudioBlock):
            made = analyzer.hear(item) if needs.audio_rate and not early else None
        elif isinstance(item, Packet):
            made = analyzer.scan(item) if needs.packets and not early else None
        elif needs.frames != "none" and (needs.frames != "key" or item.key):
            if not is_due(item.time, previous[needs.frames == "key"], needs.rate):
                continue
            if early:
                if start is not None and item.time.value >= start.value - needs.look_back:
                    analyzer.warm(item, given)
                continue
            made = analyzer.measure(item, given)
        if made is not None:
            given[analyzer.name] = made
            taken[analyzer.name].append(made)
    if isinstance(item, Frame) and not isinstance(item, AudioBlock | Packet):
        previous[False] = item.time
        if item.key:
            previous[True] = item.time


def decide(
    analyzers: Sequence[Analyzer[Any]],
    measurements: dict[str, list[Measurement]],
    *,
    window: Fraction = Fraction(1),
) -> list[Observation]:
    """Run the light parts over measurements, cut into windows of ``window`` seconds.

    Returns:
        All observations in the order in which they were made, analyzer by analyzer within a window.
    """
    made: list[Observation] = []
    at = {a.name: 0 for a in analyzers}
    last = max((m[-1].time for m in measurements.values() if m), default=Timestamp.of_seconds(0))
    end = Timestamp.of_seconds(Fraction(0))
    while end <= last:
        end = Timestamp.of_seconds(end.value + window)
        step: list[Observation] = []
        for analyzer in analyzers:
            own = measurements.get(analyzer.name, [])
            stop = at[analyzer.name]
            while stop < len(own) and own[stop].time < end:
                stop += 1
            wanted = [o for o in step if o.kind in analyzer.needs().kinds]
            step += list(analyzer.analyze(Window(own[at[analyzer.name] : stop], wanted, end)))
            at[analyzer.name] = stop
        made += step
    tail: list[Observation] = []
    for analyzer in analyzers:
        wanted = [o for o in tail if o.kind in analyzer.needs().kinds]
        if wanted:
            tail += list(analyzer.analyze(Window((), wanted, end)))
        tail += list(analyzer.flush())
    return made + tail


def drive(
    analyzers: Sequence[Analyzer[Any]],
    source: Source,
    *,
    window: Fraction = Fraction(1),
    threads: int = 2,
) -> list[Observation]:
    """Open, run and close analyzers over a whole source; see `measure` and `decide`.

    ``source`` and ``producer`` of the observations are not filled in.
    """
    context = Context(source.info, read=None if source.info.live else source.read, threads=threads)
    for analyzer in analyzers:
        analyzer.open(replace(context, kinds=given_kinds(analyzers, analyzer)))
    try:
        return decide(analyzers, measure(analyzers, source, threads=threads), window=window)
    finally:
        for analyzer in analyzers:
            analyzer.close()
