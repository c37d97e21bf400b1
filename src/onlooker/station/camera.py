"""One camera at work: its link, ledger, analysis, rules, recording and live view."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction

from onlooker.core.errors import StoreError
from onlooker.core.event import Event
from onlooker.core.live import CameraStatus, CodedPacket, Condition, PacketTaker, StreamFormat
from onlooker.core.media import AudioBlock, AudioInfo, Frame, VideoInfo
from onlooker.core.observation import Observation, Producer
from onlooker.core.time import NANOSECONDS, Span, Timestamp
from onlooker.events.config import Sinks
from onlooker.live.analysis import AnalysisSettings, Decided, LiveAnalysis
from onlooker.live.beside import Beside
from onlooker.live.clock import CameraTime
from onlooker.live.governor import Allowance, Load
from onlooker.live.ledger import Ledger
from onlooker.live.link import Link, LinkTaker
from onlooker.live.settings import LinkSettings
from onlooker.recording import Feed, Recorder
from onlooker.rules import RuleFile
from onlooker.station.config import CameraConfig
from onlooker.station.parts import CameraLock, Parts, camera_source
from onlooker.station.pictures import NewestPicture
from onlooker.station.telling import Evidence, Teller

__all__ = ["Camera"]

_log = logging.getLogger("onlooker.station")
_SECOND = 1_000_000_000
_BLIND_LAG = 2 * _SECOND
"""A blind stretch is told this much later: the first picture after it may be dated a little before it came."""
_LOAD_EVERY = 60 * _SECOND
LOAD = Producer("load", "1", hashlib.blake2b(b"load", digest_size=16).hexdigest())
"""What makes the observations ``load``."""


class Camera(LinkTaker, PacketTaker):
    """A camera of a station. `tick` is called once a second or more often, `work` by the scheduler.

    Args:
        name: of the camera.
        config: its settings.
        profile: which analyzers run.
        parts: what it shares with others.
        rules: what looks at it, or None.
        sinks: who is told of its events.
        beside: looks on at what the analyzers look at.

    Raises:
        ConfigError: the profile is wrong.
        StoreError, StoreBusy: the library cannot be written, or another process records the camera.
    """

    def __init__(
        self, name: str, config: CameraConfig, profile: str, parts: Parts, rules: RuleFile | None, sinks: Sinks,
        beside: Beside | None = None,
    ) -> None:  # fmt: skip
        self.name, self.config, self.profile = name, config, profile
        self._parts = parts
        selection = parts.select(profile)
        self.left_out = dict(selection.left_out)
        self._info, self.zero = camera_source(parts.store, name, config.address)
        self.source = self._info.id
        self._held = CameraLock(parts.folder, name, self.source)
        self._ledger = Ledger(parts.store, self.source, self.zero)
        self._clock = CameraTime(self.zero, self._ledger.position)
        self._keeper = parts.open_keeper()
        self.picture = NewestPicture(parts.open_keeper())
        self.feed = Feed()
        self.recorder: Recorder | None = None
        if config.record.mode != "off":
            try:
                self.recorder = Recorder(parts.folder, name, self.source, config.record, self.zero)
            except BaseException:
                self._held.close()
                raise
        self.analysis = LiveAnalysis(
            self._info,
            selection,
            parts.store,
            AnalysisSettings(config.rate, config.gate_settings, parts.rotation, parts.threads),
            decided=self._decided,
            beat=self._ledger.heartbeat,
            keeper=self._keeper,
            notify=lambda: parts.wake(name),
            beside=beside,
        )
        evidence = Evidence(self._event_begun, self._event_ended)
        self.teller = Teller(
            parts.store, parts.journal, self.source, lambda: self.analysis.info, rules, sinks, evidence
        )
        self._audio = selection.audio if config.audio else None
        self._conditions: deque[tuple[Condition, str, int]] = deque()
        self._lock = threading.Lock()
        self._condition: tuple[Condition, str, int] = ("stopped", "", self._ledger.position)
        self._unseen: tuple[str, int] | None = None
        self._formats: tuple[StreamFormat, ...] | None = None
        self._load: tuple[int, Allowance] | None = None
        self.allowed = Allowance(config.rate, config.rate)
        self._counted: tuple[int, int, float] = (0, 0, 0.0)
        self._links: list[Link] = []
        self.trouble = ""

    # -- life --

    def start(self) -> None:
        """Recover what an earlier run left, and connect."""
        before = self._ledger.position
        begin = self._ledger.begin(self._clock.now())
        self.teller.begin(begin, earlier=before)
        self._unseen, self._condition = ("connecting", begin), ("connecting", "", begin)
        self._links = self._made_links(begin)
        for link in self._links:
            link.start()

    def _made_links(self, begin: int) -> list[Link]:
        config, policy = self.config, self._parts.policy
        takers: list[PacketTaker] = [self.feed, *([self.recorder] if self.recorder is not None else [])]
        rate, block = (self._audio[0], self._audio[1]) if self._audio is not None else (None, Fraction(1))
        main = LinkSettings(
            config.url.get_secret_value(),
            transport=config.transport,
            timeout=config.timeout,
            stall=config.stall,
            audio_rate=rate,
            audio_block=block,
            loop=config.loop,
        )
        if config.analyse is None:
            return [Link(self.name, main, policy, self.zero, (self, *takers), self, after=begin, clock=self._clock)]
        small = replace(main, address=config.analyse.get_secret_value())
        main = replace(main, decode=False, audio_rate=None)
        return [
            Link(self.name, small, policy, self.zero, (self,), self, after=begin, clock=self._clock),
            Link(f"{self.name} (main)", main, policy, self.zero, takers, _Nobody(), after=begin, clock=self._clock),
        ]

    def stop(self, finished: Callable[[], bool], timeout: float = 10.0) -> None:
        """End in order: nothing comes any more, what is held back is told, events end, files are closed.

        Args:
            finished: takes the camera out of the scheduler.
            timeout: seconds that each part may take.
        """
        for link in self._links:
            link.stop(timeout)
        finished()
        self.tick(last=True)
        at = max(self._clock.now(), self.analysis.latest + 1)
        self._note_load(at, None)
        self.analysis.finish(at)
        self.teller.finish(at)
        try:
            self._ledger.end(at)
        except StoreError as error:
            _log.warning("camera %s: %s", self.name, error)
        if self.recorder is not None:
            self.recorder.close(timeout)
        if self._keeper is not None:
            self._keeper.close()
        self._held.close()
        self._condition = ("stopped", self._condition[1], at)

    def reload_rules(self, rules: RuleFile | None) -> None:
        """Other rules from now on."""
        self.teller.reload(rules, max(self._clock.now(), self.analysis.latest + 1))

    @property
    def ended(self) -> bool:
        """Whether it was a file and has been played."""
        return self._condition[:2] == ("stopped", "ended")

    # -- the link's threads --

    def frame(self, frame: Frame) -> None:
        """See `LinkTaker`."""
        self.picture.put(frame)
        self.analysis.frame(frame)

    def sound(self, block: AudioBlock) -> None:
        """See `LinkTaker`."""
        self.analysis.sound(block)

    def condition(self, condition: Condition, reason: str, at: int) -> None:
        """See `LinkTaker`."""
        self._conditions.append((condition, reason, at))

    def begin(self, formats: Sequence[StreamFormat]) -> None:
        """See `PacketTaker`."""
        video = next((f for f in formats if f.kind == "video"), None)
        audio = [f for f in formats if f.kind == "audio"] if self._audio is not None else []
        self.analysis.begin(
            None if video is None else _video(video),
            [AudioInfo(i, f.codec, f.rate, f.channels) for i, f in enumerate(audio)],
        )
        self._formats = tuple(formats)

    def packet(self, packet: CodedPacket) -> None:
        """See `PacketTaker`."""

    def lost(self, reason: str) -> None:
        """See `PacketTaker`."""

    # -- the worker's thread --

    def work(self) -> bool:
        """One turn of the analysis."""
        return self.analysis.work()

    def _decided(self, decided: Decided) -> None:
        self.teller.take(decided.observations, decided.until, decided.marks)

    def _event_begun(self, event: Event) -> str | None:
        if self.recorder is not None:
            self.recorder.hold(event.id, _nanoseconds(event, "from_seconds", event.start), None)
        try:
            return self.picture.save(self._parts.folder, event.id)
        except OSError as error:
            _log.warning("camera %s: no snapshot of %s: %s", self.name, event.id, error)
            return None

    def _event_ended(self, event: Event) -> None:
        if self.recorder is not None:
            self.recorder.release(event.id, _nanoseconds(event, "to_seconds", event.end or event.start))
            self._parts.clip(event, self.name)

    # -- the station's thread --

    def tick(self, *, last: bool = False) -> None:
        """Keep the ledger, tell of blindness, and see to what waits."""
        try:
            self._keep_ledger()
            self.teller.tick()
            self.trouble = ""
        except StoreError as error:
            if self.trouble != str(error):
                _log.warning("camera %s: %s", self.name, error)
            self.trouble = str(error)
        if self._formats is not None:
            self._formats = None
            self._parts.store.add_source(self.analysis.info)
        now = self._clock.now()
        if self.recorder is not None:
            self.recorder.motion(now, self.analysis.motion)
        if not last:
            self.analysis.idle(now)

    def _keep_ledger(self) -> None:
        while self._conditions:
            condition, reason, at = self._conditions[0]
            if condition == "watching":
                self._ledger.watching(at)
                self._tell_unseen(at)
                self._unseen = None
            elif condition == "blind" or (condition == "stopped" and reason):
                self._ledger.blind(at, reason)
                if self._unseen is None:
                    self.teller.seen(at)
                else:
                    self._tell_unseen(at)
                self._unseen = (reason, at)
            self._condition = (condition, reason or (self._condition[1] if condition == "stopped" else ""), at)
            self._conditions.popleft()
        now, newest = self._clock.now(), self._links[0].last_frame if self._links else None
        if self._unseen is None:
            if newest is not None:
                self._ledger.heartbeat(newest)
                self.teller.seen(newest)
        else:
            self._ledger.heartbeat(now)
            self._tell_unseen(now - _BLIND_LAG)

    def _tell_unseen(self, until: int) -> None:
        if self._unseen is not None and until > self._unseen[1]:
            reason, since = self._unseen
            self.teller.unseen(reason, since, until)
            self._unseen = (reason, until)

    def loads(self, busy: float, seconds: float) -> Load:
        """How it fared since the last call.

        Args:
            busy: seconds of workers on it so far.
            seconds: since the last call.
        """
        looked, superseded, before = self._counted
        now = (self.analysis.looked, self.analysis.drops.get("superseded", 0), busy)
        self._counted = now
        late, due = now[1] - superseded, now[0] - looked + now[1] - superseded
        return Load(min(1.0, (busy - before) / seconds), late / due if due else 0.0)

    def allow(self, allowed: Allowance) -> None:
        """What the governor allows now; a lower rate than wanted is an observation ``load``."""
        self.allowed = allowed
        self.analysis.allow(allowed.rate, allowed.heavy)
        reduced = allowed if allowed.heavy < self.config.rate * 0.99 else None
        self._note_load(self._clock.now(), reduced)

    def _note_load(self, now: int, reduced: Allowance | None) -> None:
        if self._load is not None:
            since, before = self._load
            alike = reduced is not None and abs(reduced.heavy - before.heavy) < 0.2 * before.heavy
            if alike and now - since < _LOAD_EVERY:
                return
            span = Span(Timestamp(since, NANOSECONDS), Timestamp(max(now, since), NANOSECONDS))
            data = {
                "wanted": self.config.rate,
                "allowed": round(before.rate, 2),
                "allowed_heavy": round(before.heavy, 2),
            }
            self.analysis.note(Observation(span, "load", label="reduced", data=data).of(self.source, LOAD, 0))
        self._load = None if reduced is None else (now, reduced)

    # -- what is known of it --

    def status(self) -> CameraStatus:
        """How it is doing."""
        link = self._links[0] if self._links else None
        condition, reason, at = self._condition
        watched, blind = self._ledger.totals(self._clock.now())
        video = self.analysis.info.video
        newest = None if link is None else link.last_frame
        drops = {**self.analysis.drops}
        for cause, count in (link.drops if link is not None else {}).items():
            drops[cause] = drops.get(cause, 0) + count
        return CameraStatus(
            self.name,
            self.source,
            self.config.address,
            condition,
            reason,
            self.zero + at / 1e9,
            None if newest is None else self.zero + newest / 1e9,
            self.analysis.age,
            self.analysis.arriving,
            self.analysis.analysed,
            self.config.rate,
            self.allowed.rate,
            {cause: count for cause, count in drops.items() if count},
            sum(link.reconnects for link in self._links),
            sum(blind.values()),
            watched,
            self.analysis.motion,
            self.recorder is not None and self.recorder.recording,
            self.analysis.spent,
            video.width if video is not None else 0,
            video.height if video is not None else 0,
            self.analysis.counted,
        )


class _Nobody(LinkTaker):
    """Takes nothing of a link that is only recorded."""

    def frame(self, frame: Frame) -> None:
        """Nothing."""

    def sound(self, block: AudioBlock) -> None:
        """Nothing."""

    def condition(self, condition: Condition, reason: str, at: int) -> None:
        """Nothing."""


def _video(f: StreamFormat) -> VideoInfo:
    return VideoInfo(f.codec, f.width, f.height, "yuv420p", None, f.time_base)


def _nanoseconds(event: Event, name: str, otherwise: int) -> int:
    value = event.evidence.get(name)
    return round(value * 1e9) if isinstance(value, int | float) else otherwise
