"""A candidate beside the bundle in use on a camera: it sees the same frames, and both are recorded apart.

In ``LIBRARY/shadow/NAME/USED-CANDIDATE/`` each camera has a file of lines, what either observed and when one could not
look, and a folder of small pictures of those moments. The candidate's goes into no library, rule or sink.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from onlooker.core.errors import ConfigError, OnlookerError, UsageError
from onlooker.core.media import AudioBlock, Frame, SourceInfo
from onlooker.core.observation import Observation
from onlooker.core.store import Failure, Store
from onlooker.core.time import Timestamp
from onlooker.live.beside import Beside
from onlooker.live.sitting import Sitting
from onlooker.pipeline.fan_out import AudioFormat
from onlooker.pipeline.keeping import Keeper
from onlooker.pipeline.spent import Stopwatch
from onlooker.pipeline.stages import Stage
from onlooker.shadow.candidate import Pair, pair_of, stages_of
from onlooker.shadow.compare import compare
from onlooker.shadow.moments import small_jpeg
from onlooker.shadow.record import Side, failure_line, folder_of, observation_line, read_record, sitting_line
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
        # nanoseconds: the end of what came, and until when all that looked at it answered
        self._at = self._well = 0
        self._watch = Stopwatch()

    @property
    def spent(self) -> Mapping[str, float]:
        """CPU seconds by analyzer."""
        return {name: spent.cpu_seconds for name, spent in self._watch.spent.items()}

    def open(self, name: str, at: Timestamp, info: SourceInfo, threads: int) -> None:
        """See `Beside`."""
        stages = [s.stage for s in self._shadows]
        self._source = info.id
        self._at = self._well = at.nanoseconds
        for one in self._shadows:
            self._append(one, [sitting_line("open", self._at)])
        self._sitting = Sitting(name, at, info, stages, threads=threads, watch=self._watch, store=self._store)
        self._tell_failures()

    def frame(self, frame: Frame, *, heavy: bool) -> None:
        """See `Beside`."""
        if self._sitting is None:
            return
        self._at = frame.time.nanoseconds + 1
        self._keep_still(frame)
        self._sitting.frame(frame, () if heavy else self._sitting.heavy)

    def sound(self, block: AudioBlock, format: AudioFormat) -> None:
        """See `Beside`."""
        if self._sitting is not None:
            self._at = max(self._at, (block.time + block.duration).nanoseconds)
            self._sitting.sound(block, format)

    def made(self, observations: Sequence[Observation]) -> None:
        """See `Beside`."""
        self._record("used", observations)
        if self._sitting is not None:
            self._record("candidate", self._sitting.step())
            self._tell_failures()
            self._well = self._at

    def failed(self, failures: Mapping[str, str]) -> None:
        """See `Beside`."""
        for one in self._shadows:
            if one.pair.name in failures:
                self._append(one, [failure_line("used", failures[one.pair.name], self._well)])

    def end(self) -> None:
        """See `Beside`."""
        sitting = self._sitting
        if sitting is not None:
            self._record("candidate", sitting.finish())
            self._tell_failures()
            sitting.close()
            for one in self._shadows:
                self._append(one, [sitting_line("end", self._at)])
        self._sitting = None

    def _tell_failures(self) -> None:
        assert self._sitting is not None
        failures = self._sitting.failures()
        for name, message in failures.items():
            _log.warning("the shadow %s could not look: %s", name, message)
        for one in self._shadows:
            if one.pair.other in failures:
                self._append(one, [failure_line("candidate", failures[one.pair.other], self._well)])

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

    def _record(self, side: Side, observations: Sequence[Observation]) -> None:
        for one in self._shadows:
            analyzer = one.pair.name if side == "used" else one.pair.other
            own = [o for o in observations if o.producer is not None and o.producer.analyzer == analyzer]
            if own:
                self._append(one, [observation_line(side, o) for o in own], own)

    def _append(self, one: Watched, lines: Sequence[str], pictures: Sequence[Observation] = ()) -> None:
        folder = folder_of(self._library, one.pair)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / f"{self._source}.jsonl").open("a", encoding="utf-8") as file:
                file.writelines(line + "\n" for line in lines)
            if pictures:
                self._keep_pictures(folder / self._source, pictures)
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


def recorded(pair: Pair, library: Path, *, tolerance: float = 0.2) -> Shadow:
    """What cameras have recorded of a pair, compared.

    Observations of stretches in which one of both could not look are left out.

    Raises:
        UsageError: nothing was recorded.
    """
    folder = folder_of(library, pair)
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
        found = read_record(file)
        shadow.sources[file.stem] = names.get(file.stem, file.stem)
        shadow.stills[file.stem] = folder / file.stem
        shadow.observations[file.stem] = (found.used, found.candidate)
        for blind in found.blind:
            who = pair.name if blind.side == "used" else pair.other
            shadow.failures.append(Failure(file.stem, "analyze", blind.message, blind.span, who, retryable=True))
        used, candidate = found.seen_by_both()
        if used or candidate or not found.blind:
            shadow.comparisons[file.stem] = compare(
                file.stem, used, candidate, tolerance=tolerance, kinds=pair.used.manifest.kinds
            )
    return shadow
