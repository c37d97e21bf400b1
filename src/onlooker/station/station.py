"""A station: cameras that are watched, their rules, events and recordings."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from onlooker.core.errors import OnlookerError, UsageError
from onlooker.core.live import CameraStatus
from onlooker.core.store import Store
from onlooker.events import Journal
from onlooker.events.delivery import Delivery
from onlooker.live.beside import Beside
from onlooker.live.governor import Demand, Governor
from onlooker.live.scheduler import Scheduler
from onlooker.live.sitting import Selection, live_stages
from onlooker.pipeline.keeping import Keeper
from onlooker.recording import Feed, Recordings
from onlooker.rules import RuleFile
from onlooker.station.camera import Camera
from onlooker.station.clips import Clips
from onlooker.station.config import WatchConfig
from onlooker.station.parts import Parts
from onlooker.station.retention import forget_old

if TYPE_CHECKING:
    from onlooker.shadow.live import Watched

__all__ = ["Changes", "Station"]

_log = logging.getLogger("onlooker.station")
_TICK, _GOVERN, _CLEAN = 0.5, 1.0, 600.0
_LAST_WORDS = 5.0
_PROMPT = {"face_vectors": 3.0, "identity": 3.0, "motion": 5.0, "pose": 3.0, "quality": 10.0, "sounds": 5.0}
"""Seconds after which what lasts is told in pieces, unless the profile says otherwise: live, its end is too late."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What a reload changed.

    Args:
        started, stopped, restarted, kept: names of cameras.
        rules: whether the rules are others.
        sinks: names of sinks that were added, changed or removed.
    """

    started: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()
    restarted: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    rules: bool = False
    sinks: tuple[str, ...] = ()


class Station:
    """Watches cameras.

    Args:
        config: the watch configuration.
        folder: the library folder.
        store: its store; closed by the caller.
        deliver: whether sinks are told by this process.

    Raises:
        ConfigError: rules or profiles are wrong.
        StoreError: the library cannot be opened.

    Attributes:
        journal: the events.
        delivery: tells the sinks.
        recordings: what is recorded.
        rules: what looks at the cameras, or None.
    """

    def __init__(self, config: WatchConfig, folder: Path, *, store: Store, deliver: bool = True) -> None:
        self.config, self.folder, self.store = config, folder, store
        self.rules: RuleFile | None = config.load_rules()
        self._selections: dict[str, Selection] = {}
        for name in config.cameras:
            self._select(config.profile_of(name))
            self._watched(name, config)
        self.journal = Journal.open(folder)
        self.recordings = Recordings(folder)
        self.delivery = Delivery(self.journal, config.sinks, folder)
        self._deliver, self._delivering = deliver, False
        self._clips = Clips(self.recordings, self.journal)
        self._scheduler = Scheduler(config.workers)
        self._governor = Governor()
        self._cameras: dict[str, Camera] = {}
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._failed: dict[str, str] = {}

    # -- life --

    def start(self) -> None:
        """Begin to watch; returns at once, whether or not cameras can be reached."""
        self.recordings.recover()
        self._start_delivery()
        self._clips.start()
        self._scheduler.start()
        with self._lock:
            for name in self.config.cameras:
                self._start_camera(name)
            self._know()
        self._thread = threading.Thread(target=self._run, name="onlooker-station", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        """End in order: events are told, recordings closed; `close` follows. A second call does nothing."""
        if self._thread is None:
            return
        self._stopping.set()
        self._thread.join(timeout)
        self._thread = None
        with self._lock:
            cameras = list(self._cameras.values())
            stopping = [threading.Thread(target=self._stop_camera, args=(c, timeout)) for c in cameras]
            for thread in stopping:
                thread.start()
            for thread in stopping:
                thread.join()
        self._scheduler.stop(timeout)
        self._clips.stop(timeout)
        if self._delivering:
            self._deliver_rest(min(timeout, _LAST_WORDS))
            self.delivery.stop(timeout)
            self._delivering = False

    def close(self) -> None:
        """Let go of the library's journal and recordings; stops first if need be."""
        self.stop()
        self.recordings.close()
        self.journal.close()

    def reload(self, config: WatchConfig) -> Changes:
        """Go on with another configuration; cameras that it leaves as they are go on undisturbed.

        Raises:
            ConfigError: rules or profiles are wrong; nothing was changed.
        """
        rules = config.load_rules()
        for name in config.cameras:
            self._select(config.profile_of(name))
            self._watched(name, config)
        with self._lock:
            old, self.config = self.config, config
            whole = (old.policy, old.rotation) != (config.policy, config.rotation)
            names = {**old.cameras, **config.cameras}
            alike = [n for n in names if not whole and self._alike(n, old, config)]
            stopped = [n for n in names if n in self._cameras and n not in alike]
            for name in stopped:
                self._stop_camera(self._cameras.pop(name), 10.0)
            other_rules = rules != self.rules
            self.rules = rules
            for camera in self._cameras.values():
                camera.teller.sinks = config.sinks
                if other_rules:
                    camera.reload_rules(rules)
            for name in config.cameras:
                if name not in self._cameras:
                    self._start_camera(name)
            sinks = self.delivery.reload(config.sinks)
            self._start_delivery()
            self._know()
        return Changes(
            tuple(n for n in config.cameras if n not in old.cameras),
            tuple(n for n in old.cameras if n not in config.cameras),
            tuple(n for n in stopped if n in config.cameras),
            tuple(alike),
            other_rules,
            tuple(sinks),
        )

    @staticmethod
    def _alike(name: str, old: WatchConfig, new: WatchConfig) -> bool:
        if name not in old.cameras or name not in new.cameras:
            return False
        of = [(c.cameras[name], c.profile_of(name), c.shadow_of(name)) for c in (old, new)]
        return of[0] == of[1]

    # -- what is known --

    def status(self) -> list[CameraStatus]:
        """How each camera is doing, in the configuration's order."""
        with self._lock:
            cameras = [self._cameras[n] for n in self.config.cameras if n in self._cameras]
        return [camera.status() for camera in cameras]

    def picture(self, camera: str, width: int | None = None) -> bytes | None:
        """JPEG of the newest frame, with hidden what the library's privacy hides; None before the first.

        Raises:
            UsageError: there is no such camera.
        """
        return self._camera(camera).picture.jpeg(width)

    def feed(self, camera: str) -> Feed:
        """The live view of a camera.

        Raises:
            UsageError: there is no such camera.
        """
        return self._camera(camera).feed

    def notes(self) -> dict[str, list[str]]:
        """What people should know of each camera: analyzers left out or failing, and other trouble."""
        with self._lock:
            cameras = dict(self._cameras)
        found = {
            name: [f"{n} does not run: {why}" for n, why in c.left_out.items()]
            + [f"{n} fails: {why}" for n, why in c.analysis.failing.items()]
            + [t for t in (c.trouble, c.teller.trouble) if t]
            for name, c in cameras.items()
        }
        return {**{name: [why] for name, why in self._failed.items()}, **found}

    def events(self) -> dict[str, int]:
        """How many events of each camera began since the start."""
        with self._lock:
            return {name: camera.teller.count for name, camera in self._cameras.items()}

    @property
    def ended(self) -> bool:
        """Whether all cameras were files and have been played."""
        with self._lock:
            return bool(self._cameras) and all(c.ended for c in self._cameras.values())

    def _camera(self, name: str) -> Camera:
        with self._lock:
            if name not in self._cameras:
                known = ", ".join(self._cameras) or "none"
                raise UsageError(f"no camera is called {name!r}", hint=f"known: {known}")
            return self._cameras[name]

    # -- inside --

    def _start_delivery(self) -> None:
        """Only one process delivers: who has no sinks leaves it to others."""
        if self._deliver and not self._delivering and self.config.sinks.sections:
            self.delivery.start()
            self._delivering = True

    def _deliver_rest(self, timeout: float) -> None:
        """Wait a little for sinks that work; what they are not told now waits in the journal."""
        until = time.monotonic() + timeout
        while time.monotonic() < until and any(
            s.waiting and s.working and self.config.sinks.sections[s.name].digest is None
            for s in self.delivery.status()
        ):
            time.sleep(0.05)

    def _select(self, profile: str) -> Selection:
        """The stages of a profile that run live; the library adopts its privacy."""
        if profile not in self._selections:
            from onlooker.library import run_options
            from onlooker.pipeline.profile import load_profile

            own = load_profile(profile).analyzers
            named = {*own, "face_vectors"} if "identity" in own else {*own}
            prompt = {
                name: {"longest_seconds": seconds}
                for name, seconds in _PROMPT.items()
                if name in named and "longest_seconds" not in (own.get(name) or {})
            }
            options = run_options(self.folder, profile=profile, settings=prompt)
            if options.privacy is not None and options.adopt is not None:
                options.adopt(self.store, options.privacy)
            self._selections[profile] = live_stages(options.stages)
        return self._selections[profile]

    @staticmethod
    def _watched(name: str, config: WatchConfig) -> tuple[Watched, ...]:
        """The candidates that look on at a camera."""
        from onlooker.shadow.live import watched

        return watched(config.shadow_of(name), config.profile_of(name)) if config.shadow_of(name) else ()

    def _beside(self, name: str) -> Beside | None:
        from onlooker.shadow.live import LiveShadow

        shadows = self._watched(name, self.config)
        return LiveShadow(shadows, self.folder, self.store, self._open_keeper()) if shadows else None

    def _open_keeper(self) -> Keeper | None:
        from onlooker.redaction.policy import open_keeper

        return open_keeper(self.store, 1)

    def _start_camera(self, name: str) -> None:
        config = self.config
        parts = Parts(
            self.folder,
            self.store,
            self.journal,
            config.policy.policy,
            config.rotation,
            max(1, (os.cpu_count() or 1) // self._scheduler.workers),
            self._select,
            self._open_keeper,
            self._scheduler.wake,
            self._clips.ask,
        )
        try:
            profile, beside = config.profile_of(name), self._beside(name)
            camera = Camera(name, config.cameras[name], profile, parts, self.rules, config.sinks, beside)
            self._scheduler.add(name, camera.work, config.cameras[name].priority)
            camera.start()
        except OnlookerError as error:
            # the others are watched nevertheless
            self._scheduler.remove(name)
            self._failed[name] = str(error)
            _log.error("camera %s cannot be watched: %s", name, error)
            return
        self._failed.pop(name, None)
        self._cameras[name] = camera

    def _stop_camera(self, camera: Camera, timeout: float) -> None:
        camera.stop(partial(self._scheduler.remove, camera.name, timeout), timeout)

    def _know(self) -> None:
        self._governor.set({n: Demand(c.config.rate, c.config.priority) for n, c in self._cameras.items()})
        rules = self.rules
        self.delivery.know(
            {
                name: [r.id for r in rules.rules_for(camera.analysis.info)] if rules is not None else []
                for name, camera in self._cameras.items()
            }
        )

    def _run(self) -> None:
        governed = cleaned = time.monotonic()
        while not self._stopping.wait(_TICK):
            now = time.monotonic()
            with self._lock:
                self._guarded(self._tick_cameras)
                if now - governed >= _GOVERN:
                    self._guarded(partial(self._govern, now - governed))
                    governed = now
            if now - cleaned >= _CLEAN:
                self._guarded(self._clean)
                cleaned = now

    @staticmethod
    def _guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:
            _log.exception("a turn of the station failed")

    def _tick_cameras(self) -> None:
        for camera in self._cameras.values():
            camera.tick()

    def _govern(self, seconds: float) -> None:
        busy = self._scheduler.busy()
        loads = {n: c.loads(busy.get(n, 0.0), seconds) for n, c in self._cameras.items()}
        self._governor.step(seconds, loads, self._scheduler.workers)
        for name, camera in self._cameras.items():
            camera.allow(self._governor.allowed(name))

    def _clean(self) -> None:
        """Delete what is not to be kept any more."""
        from onlooker.redaction.policy import library_policy

        self.recordings.retain()
        policy = library_policy(self.store)
        if policy is not None and policy.retention_seconds is not None:
            with self._lock:
                cameras = [c.analysis.info for c in self._cameras.values()]
            now = datetime.now(UTC)
            forget_old(self.folder, self.store, self.journal, cameras, policy.retention_seconds, now)
