"""The conformance suite of analyzers: what every analyzer, built in or third-party, must hold.

A plug-in's author derives a test class and says how to make the analyzer and on what to try it::

    class TestMine(AnalyzerContract):
        def make(self):
            return [Mine(MineConfig())]

        def open_source(self):
            return open_source("clip.mp4")

Each check is also a function of an `AnalyzerCase`, in `CHECKS`, for use without pytest or over many analyzers.
The clip should hold something that the analyzer finds, last five seconds or more, and have several keyframes.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any, get_args

import numpy as np
from pydantic import ValidationError

from onlooker.core.analyzer import Analyzer, AnalyzerConfig, Context, Quality, Window
from onlooker.core.measurement import Measurement, pack_measurements, unpack_measurements
from onlooker.core.media import Source, SourceInfo
from onlooker.core.observation import Observation, Producer
from onlooker.core.time import Timestamp
from onlooker.testing.analyzer_agreement import plain_json, public, same_measurements, same_observations
from onlooker.testing.drive import decide, given_kinds, measure
from onlooker.testing.guard import GuardedSource

__all__ = ["CHECKS", "AnalyzerCase", "AnalyzerContract", "check_analyzer"]

_CHUNK = 64
"""Measurements packed together in the replay check."""


@dataclass
class AnalyzerCase:
    """An analyzer on trial.

    Args:
        make: gives new, unopened analyzers: the one on trial last, before it those that it needs.
        source: a real clip; read several times.
        segments: into how many parts the clip is cut for the segment check.
        tolerance: largest difference between measurements of a segmented run and a whole one (0: none, as it should
            be wherever the engine computes the same for the same picture).
    """

    make: Callable[[], Sequence[Analyzer[Any]]]
    source: Source
    segments: int = 3
    tolerance: float = 0.0
    _source: str = field(default="0" * 32, init=False)

    def one(self) -> Analyzer[Any]:
        """A new instance of the analyzer on trial."""
        return self.make()[-1]

    @cached_property
    def name(self) -> str:
        """Name of the analyzer on trial."""
        return self.one().name

    @cached_property
    def measurements(self) -> dict[str, list[Measurement]]:
        """What an undivided run measures, by analyzer."""
        return self._measure(self.source)

    @cached_property
    def observations(self) -> dict[str, dict[str, Any]]:
        """What an undivided run in windows of one second observes, by id; this analyzer's only."""
        return self.decided(self.measurements, Fraction(1))

    def decided(self, measurements: dict[str, list[Measurement]], window: Fraction) -> dict[str, dict[str, Any]]:
        """Run new light parts over measurements; the public form of the observations by id."""
        return {o.id: public(o) for o in self.signed(measurements, window)}

    def signed(self, measurements: dict[str, list[Measurement]], window: Fraction) -> list[Observation]:
        """The same as observations, in the order made, with source, producer and ordinal filled in."""
        analyzers = self.make()
        with _Opened(analyzers, self.source):
            made = decide(analyzers, measurements, window=window)
        others = {kind for a in analyzers[:-1] for kind in a.emits} - set(analyzers[-1].emits)
        producer = Producer(self.name, analyzers[-1].version, "0" * 32)
        seen: dict[tuple[Any, ...], int] = {}
        signed: list[Observation] = []
        for observation in (o for o in made if o.kind not in others):
            key = (observation.kind, observation.span)
            signed.append(observation.of(self._source, producer, seen.get(key, 0)))
            seen[key] = seen.get(key, 0) + 1
        return signed

    def _measure(self, source: Source, start: Timestamp | None = None, end: Timestamp | None = None) -> Any:
        analyzers = self.make()
        with _Opened(analyzers, source, heavy_only=True):
            return measure(analyzers, source, start=start, end=end)

    def segmented(self) -> dict[str, list[Measurement]]:
        """What separate instances on consecutive segments measure, joined."""
        cuts = self.source.cut_points(self.segments)
        if not cuts:
            times = [m.time for m in self.measurements[self.name]]
            cuts = sorted({times[len(times) * i // self.segments] for i in range(1, self.segments) if times})
        joined: dict[str, list[Measurement]] = {a.name: [] for a in self.make()}
        for start, end in zip([None, *cuts], [*cuts, None], strict=True):
            for name, part in self._measure(self.source, start, end).items():
                joined[name] += part
        return joined


class _Opened:
    """Opens analyzers for one source and closes them whatever happens."""

    def __init__(self, analyzers: Sequence[Analyzer[Any]], source: Source, *, heavy_only: bool = False) -> None:
        self._analyzers, self._source, self._heavy_only = analyzers, source, heavy_only

    def __enter__(self) -> None:
        read = None if self._source.info.live else self._source.read
        for analyzer in self._analyzers:
            kinds = given_kinds(self._analyzers, analyzer)
            analyzer.open(Context(self._source.info, read=read, heavy_only=self._heavy_only, kinds=kinds))

    def __exit__(self, *error: object) -> None:
        for analyzer in self._analyzers:
            analyzer.close()


# --- the checks -----------------------------------------------------------------------------------------------------


def check_declaration(case: AnalyzerCase) -> None:
    """Name, version, kinds, configuration and needs are declared, and known without a model or a source."""
    analyzer = case.one()
    cls = type(analyzer)
    assert re.fullmatch("[a-z][a-z0-9_]*", analyzer.name), f"name: expected lower case, got {analyzer.name!r}"
    assert isinstance(analyzer.version, str), f"version: expected a text, got {analyzer.version!r}"
    assert analyzer.version, "version: expected a text, got an empty one"
    assert isinstance(analyzer.emits, tuple), f"emits: expected a tuple of kinds, got {analyzer.emits!r}"
    assert analyzer.emits, "emits: expected kinds, got none"
    assert len(set(analyzer.emits)) == len(analyzer.emits), f"emits: one kind twice in {analyzer.emits}"
    assert issubclass(cls.Config, AnalyzerConfig), "Config: expected a subclass of AnalyzerConfig"
    fields = cls.measurement_fields
    assert fields is None or fields <= set(cls.Config.model_fields), f"measurement_fields: not all in Config: {fields}"
    needs = analyzer.needs()
    assert needs == case.one().needs(), "needs: two instances with one configuration differ"
    assert needs.rate is None or needs.rate > 0, f"needs.rate: got {needs.rate}"
    assert needs.look_back >= 0, f"needs.look_back: got {needs.look_back}"
    wanted = {"measure": needs.frames != "none", "hear": bool(needs.audio_rate), "scan": needs.packets}
    for method, asked in wanted.items():
        own = getattr(cls, method) is not getattr(Analyzer, method)
        assert own or not asked, f"needs asks for what {method}() takes, but the class has no {method}()"
    assert any(wanted.values()) or needs.kinds, "needs: it asks for nothing at all"


def check_config(case: AnalyzerCase) -> None:
    """Configurations are plain data: JSON both ways, every quality level fits, unknown fields are refused."""
    config: type[AnalyzerConfig] = type(case.one()).Config
    own = case.one().config
    assert config.model_validate(json.loads(json.dumps(own.model_dump(mode="json")))) == own
    assert config.model_json_schema()["properties"] is not None or not config.model_fields
    for quality in get_args(Quality):
        config.model_validate(config.for_quality(quality))
    try:
        config.model_validate({"surely_no_such_field": 1})
    except ValidationError:
        return
    raise AssertionError("Config: an unknown field was taken without a word")


def check_measurements(case: AnalyzerCase) -> None:
    """Measurements stand in order of time, of one form, inside the source, and are repeated by a second run."""
    made = case.measurements[case.name]
    for before, after in itertools.pairwise(made):
        assert before.time < after.time or case.one().needs().packets, f"measured {before.time}, then {after.time}"
    for m in made:
        assert isinstance(m.values, np.ndarray), f"values: expected an array, got {type(m.values)}"
        assert not m.values.dtype.hasobject, "values: expected numbers, got objects"
        assert m.values.dtype == made[0].values.dtype, "values: the dtype changes within one run"
        assert m.values.shape[1:] == made[0].values.shape[1:], "values: the form changes within one run"
        assert m.duration >= 0, f"duration: got {m.duration}"
    same_measurements(case._measure(case.source), case.measurements, 0.0, "a second run")  # pyright: ignore[reportPrivateUsage]


def check_observations(case: AnalyzerCase) -> None:
    """Observations are of declared kinds, inside the source, with plain JSON data, and their ids are their own."""
    signed = case.signed(case.measurements, Fraction(1))
    emits = case.one().emits
    duration = case.source.info.duration
    for o in signed:
        assert o.kind in emits, f"made a {o.kind!r} but declares only {emits}"
        assert o.span.start.value >= 0, f"{o.kind}: starts before the source: {o.span}"
        if duration is not None:
            assert o.span.start.value <= duration, f"{o.kind}: starts after the source's end: {o.span}"
            assert o.span.end.value <= duration + 1, f"{o.kind}: ends after the source's end: {o.span}"
        assert o.score is None or math.isfinite(o.score), f"{o.kind}: score {o.score}"
        assert o.box is None or (o.box.left >= 0 and o.box.top >= 0 and o.box.right <= 1 and o.box.bottom <= 1), o.box
        plain_json(o.data, f"{o.kind}: data")
        if o.vector is not None:
            assert np.asarray(o.vector).ndim == 1, f"{o.kind}: vector of {np.asarray(o.vector).ndim} dimensions"
            assert np.isfinite(o.vector).all(), f"{o.kind}: vector is not finite"
        for a in o.attachments:
            parts = a.name.split("/")
            assert not {"", ".."} & set(parts), f"attachment: expected a relative path, got {a.name!r}"
    ids = [o.id for o in signed]
    assert len(set(ids)) == len(ids), "two observations share an id"
    assert set(ids) == set(case.observations), "a second run gives other ids"


def check_windows(case: AnalyzerCase) -> None:
    """However the stream is cut into windows, the observations are the same."""
    for window in (Fraction(1, 24), Fraction(3, 10), Fraction(7, 2), Fraction(100_000)):
        same_observations(
            case.decided(case.measurements, window), case.observations, f"windows of {float(window):.3g} s"
        )


def check_segments(case: AnalyzerCase) -> None:
    """The heavy part, run on segments by separate instances, measures what an undivided run measures."""
    joined = case.segmented()
    same_measurements(joined, case.measurements, case.tolerance, "in segments")
    if case.tolerance == 0:
        same_observations(case.decided(joined, Fraction(1)), case.observations, "in segments")


def check_replay(case: AnalyzerCase) -> None:
    """The light part alone, run again over measurements that were packed and stored, observes the same."""
    again: dict[str, list[Measurement]] = {}
    for name, made in case.measurements.items():
        chunks = [pack_measurements(made[i : i + _CHUNK]) for i in range(0, len(made), _CHUNK)]
        again[name] = [m for chunk in chunks for m in unpack_measurements(chunk)]
    same_observations(case.decided(again, Fraction(1)), case.observations, "from stored measurements")


def check_empty(case: AnalyzerCase) -> None:
    """A source without video, sound or a known length is no error, and nothing is claimed about it."""
    nothing = SourceInfo("0" * 32, "nothing", "none", None, None, None)
    for analyzer in case.make():
        analyzer.open(Context(nothing))
        made = [*analyzer.analyze(Window((), (), Timestamp.of_seconds(0))), *analyzer.flush()]
        analyzer.close()
        assert not [o for o in made if o.span.duration > 0], f"{analyzer.name} observed something in nothing: {made}"


def check_twice(case: AnalyzerCase) -> None:
    """Flushing or closing twice does nothing more, and an instance that was never opened can be closed."""
    analyzers = case.make()
    with _Opened(analyzers, case.source):
        decide(analyzers, case.measurements)
        again = [o for a in analyzers for o in a.flush()]
    analyzers[-1].close()
    case.one().close()
    assert not again, f"a second flush made {again[:3]}"


def check_frames_untouched(case: AnalyzerCase) -> None:
    """Pictures and sound are shared with other analyzers: none is written into."""
    if not (case.one().needs().frames != "none" or case.one().needs().audio_rate):
        return
    guarded = GuardedSource(case.source, limit=60)
    case._measure(guarded)  # pyright: ignore[reportPrivateUsage]


CHECKS: dict[str, Callable[[AnalyzerCase], None]] = {
    "declaration": check_declaration,
    "config": check_config,
    "measurements": check_measurements,
    "observations": check_observations,
    "windows": check_windows,
    "segments": check_segments,
    "replay": check_replay,
    "empty": check_empty,
    "twice": check_twice,
    "frames_untouched": check_frames_untouched,
}
"""All checks by name."""


def check_analyzer(case: AnalyzerCase) -> None:
    """Run all checks.

    Raises:
        AssertionError: the first that fails; the message says what was expected and what came.
    """
    for check in CHECKS.values():
        check(case)


class AnalyzerContract:
    """The checks as pytest tests; see the module's docstring. ``make`` and ``open_source`` must be overridden."""

    _case: AnalyzerCase | None = None

    def make(self) -> Sequence[Analyzer[Any]]:
        """New, unopened analyzers: the one on trial last, before it those that it needs."""
        raise NotImplementedError

    def open_source(self) -> Source:
        """A real clip."""
        raise NotImplementedError

    def case(self) -> AnalyzerCase:
        """The analyzer on trial, opened once per class."""
        if type(self)._case is None:
            type(self)._case = AnalyzerCase(self.make, self.open_source())
        case = type(self)._case
        assert case is not None
        return case

    def test_declaration(self) -> None:
        """See `check_declaration`."""
        check_declaration(self.case())

    def test_config(self) -> None:
        """See `check_config`."""
        check_config(self.case())

    def test_measurements(self) -> None:
        """See `check_measurements`."""
        check_measurements(self.case())

    def test_observations(self) -> None:
        """See `check_observations`."""
        check_observations(self.case())

    def test_windows(self) -> None:
        """See `check_windows`."""
        check_windows(self.case())

    def test_segments(self) -> None:
        """See `check_segments`."""
        check_segments(self.case())

    def test_replay(self) -> None:
        """See `check_replay`."""
        check_replay(self.case())

    def test_empty(self) -> None:
        """See `check_empty`."""
        check_empty(self.case())

    def test_twice(self) -> None:
        """See `check_twice`."""
        check_twice(self.case())

    def test_frames_untouched(self) -> None:
        """See `check_frames_untouched`."""
        check_frames_untouched(self.case())
