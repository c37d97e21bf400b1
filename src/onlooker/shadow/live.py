"""A candidate beside the bundle in use on a camera: it sees the same frames, and both are recorded apart.

In ``LIBRARY/shadow/NAME/USED-CANDIDATE/`` each camera has a file of lines, what either observed, and a folder of small
pictures of those moments. Nothing of the candidate goes into the library, to rules or to sinks.
"""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onlooker.core.errors import ConfigError, OnlookerError, UsageError
from onlooker.core.media import AudioBlock, Frame, SourceInfo
from onlooker.core.observation import Box, Observation
from onlooker.core.store import Store
from onlooker.core.time import NANOSECONDS, Span, Timestamp
from onlooker.live.beside import Beside
from onlooker.live.sitting import Sitting
from onlooker.pipeline.fan_out import AudioFormat
from onlooker.pipeline.keeping import Keeper
from onlooker.pipeline.spent import Stopwatch
from onlooker.pipeline.stages import Stage
from onlooker.shadow.candidate import Pair, pair_of, stages_of
from onlooker.shadow.compare import Comparison, compare
from onlooker.shadow.moments import small_jpeg
from onlooker.shadow.stored import Shadow
from onlooker.timeline import open_store

__all__ = ["LiveShadow", "Watched", "recorded", "watched"]

_log = logging.getLogger("onlooker.shadow")
_STILL_EVERY = 1_000_000_000
_STILLS = 120
_MOST_PICTURES = 500
"""Of a camera and pair."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A candidate that is watched live.

    Args:
        pair: it and the bundle in use.
        stage: that runs it.
    """

    pair: Pair
    stage: Stage


def watched(candidates: Mapping[str, str], profile: str) -> tuple[Watched, ...]:
    """The candidates of a watch configuration.

    Args:
        candidates: by the name of an added bundle, a candidate (see `pair_of`).
        profile: of the camera, whose settings of the bundle the candidate gets too.

    Raises:
        ConfigError: there is no such candidate, the profile does not run the bundle, or it reads texts.
    """
    from onlooker.pipeline.profile import load_profile

    made = []
    for name, candidate in candidates.items():
        if name not in load_profile(profile).analyzers:
            raise ConfigError(f"shadow: the profile {profile} does not run {name}", hint="add it to the profile")
        try:
            pair = pair_of(name, candidate)
        except UsageError as error:
            raise ConfigError(f"shadow: {error.message}", hint=error.hint) from None
        stage = next(s for s in stages_of(pair, profile)[0] if s.name == pair.other)
        if stage.needs.kinds:
            raise ConfigError(f"shadow: {name} reads texts", hint="onlooker shadow runs it over stored video")
        made.append(Watched(pair, stage))
    return tuple(made)


def _folder(library: Path, pair: Pair) -> Path:
    return library / "shadow" / pair.name / f"{pair.used.digest[:16]}-{pair.candidate.digest[:16]}"


class LiveShadow(Beside):
    """Runs candidates beside the analysis of one camera.

    Args:
        shadows: which.
        library: the library folder.
        store: of the library, whose records analyzers may read.
        keeper: hides in pictures what the library hides.
    """

    def __init__(self, shadows: Sequence[Watched], library: Path, store: Store, keeper: Keeper | None) -> None:
        self._shadows, self._library, self._store, self._keeper = tuple(shadows), library, store, keeper
        self._sitting: Sitting | None = None
        self._source = ""
        self._stills: deque[tuple[int, bytes]] = deque(maxlen=_STILLS)
        self._watch = Stopwatch()

    @property
    def spent(self) -> Mapping[str, float]:
        """CPU seconds by analyzer."""
        return {name: spent.cpu_seconds for name, spent in self._watch.spent.items()}

    def open(self, name: str, at: Timestamp, info: SourceInfo, threads: int) -> None:
        """See `Beside`."""
        stages = [s.stage for s in self._shadows]
        self._source = info.id
        self._sitting = Sitting(name, at, info, stages, threads=threads, watch=self._watch, store=self._store)
        self._tell_failures()

    def frame(self, frame: Frame, *, heavy: bool) -> None:
        """See `Beside`."""
        if self._sitting is None:
            return
        self._keep_still(frame)
        self._sitting.frame(frame, () if heavy else self._sitting.heavy)

    def sound(self, block: AudioBlock, format: AudioFormat) -> None:
        """See `Beside`."""
        if self._sitting is not None:
            self._sitting.sound(block, format)

    def made(self, observations: Sequence[Observation]) -> None:
        """See `Beside`."""
        self._record("used", observations)
        if self._sitting is not None:
            self._record("candidate", self._sitting.step())
            self._tell_failures()

    def end(self) -> None:
        """See `Beside`."""
        sitting, self._sitting = self._sitting, None
        if sitting is not None:
            self._record("candidate", sitting.finish())
            sitting.close()

    def _tell_failures(self) -> None:
        assert self._sitting is not None
        for name, message in self._sitting.failures().items():
            _log.warning("the shadow %s could not look: %s", name, message)

    def _keep_still(self, frame: Frame) -> None:
        at = frame.time.nanoseconds
        if self._stills and at - self._stills[-1][0] < _STILL_EVERY:
            return
        try:
            picture = small_jpeg(frame, self._keeper)
        except (OSError, OnlookerError) as error:
            _log.warning("no picture for the shadow: %s", error)
            return
        if picture is not None:
            self._stills.append((at, picture))

    def _record(self, side: str, observations: Sequence[Observation]) -> None:
        for one in self._shadows:
            analyzer = one.pair.name if side == "used" else one.pair.other
            own = [o for o in observations if o.producer is not None and o.producer.analyzer == analyzer]
            if not own:
                continue
            folder = _folder(self._library, one.pair)
            try:
                folder.mkdir(parents=True, exist_ok=True)
                with (folder / f"{self._source}.jsonl").open("a", encoding="utf-8") as file:
                    file.writelines(_line(side, o) + "\n" for o in own)
                self._keep_pictures(folder / self._source, own)
            except OSError as error:
                _log.warning("the shadow of %s cannot be recorded: %s", one.pair.name, error)

    def _keep_pictures(self, folder: Path, observations: Sequence[Observation]) -> None:
        folder.mkdir(exist_ok=True)
        if not self._stills or sum(1 for _ in folder.iterdir()) >= _MOST_PICTURES:
            return
        for o in observations:
            middle = (o.span.start.nanoseconds + o.span.end.nanoseconds) // 2
            at, picture = min(self._stills, key=lambda still: abs(still[0] - middle))
            path = folder / f"{at}.jpg"
            if not path.exists():
                path.write_bytes(picture)


def _line(side: str, o: Observation) -> str:
    values: dict[str, Any] = {
        "side": side, "kind": o.kind, "label": o.label, "score": o.score,
        "start": o.span.start.nanoseconds, "end": o.span.end.nanoseconds,
        "box": None if o.box is None else [float(v) for v in o.box],
        "value": o.data.get("value"), "task": o.data.get("task"),
    }  # fmt: skip
    return json.dumps({k: v for k, v in values.items() if v is not None}, ensure_ascii=False)


def recorded(pair: Pair, library: Path, *, tolerance: float = 0.2) -> Shadow:
    """What cameras have recorded of a pair, compared.

    Raises:
        UsageError: nothing was recorded.
    """
    folder = _folder(library, pair)
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        raise UsageError(
            f"no camera has recorded {pair.name} {pair.used.digest[:16]} beside {pair.candidate.digest[:16]}",
            hint="shadow: in the watch configuration; see docs/guides/improve.md",
        )
    with closing(open_store(library, create=False, read_only=True)) as store:
        names = {s.info.id: s.info.path for s in store.sources()}
    shadow = Shadow(pair, {}, {}, live=True)
    for file in files:
        used, candidate = _read(file)
        shadow.sources[file.stem] = names.get(file.stem, file.stem)
        shadow.stills[file.stem] = folder / file.stem
        shadow.observations[file.stem] = (used, candidate)
        shadow.comparisons[file.stem] = _compared(file.stem, used, candidate, pair, tolerance)
    return shadow


def _compared(
    source: str, used: list[Observation], candidate: list[Observation], pair: Pair, tolerance: float
) -> Comparison:
    return compare(source, used, candidate, tolerance=tolerance, kinds=pair.used.manifest.kinds)


def _read(file: Path) -> tuple[list[Observation], list[Observation]]:
    sides: dict[str, list[Observation]] = {"used": [], "candidate": []}
    for values in _lines(file):
        start, end = (Timestamp(int(values[n]), NANOSECONDS) for n in ("start", "end"))
        box = values.get("box")
        data = {k: values[k] for k in ("value", "task") if k in values}
        sides[values["side"]].append(
            Observation(
                Span(start, end), values["kind"], values.get("score"), values.get("label"),
                None if box is None else Box(*box), data=data,
            )
        )  # fmt: skip
    return sides["used"], sides["candidate"]


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    """The lines; one that was being written when the process ended is no line yet."""
    for line in file.read_text(encoding="utf-8").split("\n"):
        if line:
            try:
                yield json.loads(line)
            except ValueError:
                continue
