"""``onlooker watch``: cameras in real time: analyse, apply rules, tell, record."""

# "\b" in the docstrings is the control character by which typer keeps lines apart
# ruff: noqa: D301

from __future__ import annotations

import json
import logging
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onlooker.core.errors import OnlookerError, UsageError
from onlooker.core.time import parse_seconds

if TYPE_CHECKING:
    from onlooker.core.live import CameraStatus
    from onlooker.station import Station, WatchConfig

__all__ = ["command"]

_DEFAULT = Path("onlooker-library")


def command(
    what: Annotated[
        str | None,
        typer.Argument(metavar="CONFIG_OR_ADDRESS", help="A YAML file, or the address of one camera or file."),
    ] = None,
    library: Annotated[
        Path | None, typer.Option("--library", envvar="ONLOOKER_LIBRARY", help="The library folder.")
    ] = None,
    duration: Annotated[str | None, typer.Option("--for", help="End by itself after this time: 30s, 5m, 1h.")] = None,
    rules: Annotated[
        list[Path] | None, typer.Option("--rules", help="A rule file, beside those of the configuration; repeatable.")
    ] = None,
    profile: Annotated[str | None, typer.Option("--profile", help="Which analyzers run, over the file's.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines: events, and status each second.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of configurations.")] = False,
) -> None:
    """Watch cameras: analyse what they show, apply rules, tell of events, record.

    Ctrl-C ends in order: events are told and recordings closed; SIGHUP reads the configuration again, and cameras that
    it leaves as they are go on. Exit code: 0 all good, 1 bad use, 3 no camera showed anything, 130 stopped by Ctrl-C.

    \b
    Examples:
      onlooker watch cameras.yaml --library lib
      onlooker watch rtsp://user:password@10.0.0.5/main --rules yard.yaml --library lib
      onlooker watch clip.mp4 --for 30s --json
      onlooker watch --schema > onlooker-watch.schema.json
    """
    if schema:
        from onlooker.station import watch_schema

        print(json.dumps(watch_schema(), indent=2, ensure_ascii=False))
        return
    if what is None:
        raise UsageError("nothing to watch", hint="give a configuration, or the address of a camera")
    limit = None if duration is None else float(parse_seconds(duration))
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", stream=sys.stderr)
    config = _configuration(what, rules or [], profile)
    folder = library or config.library or _DEFAULT

    def again() -> WatchConfig:
        return _configuration(what, rules or [], profile)

    raise typer.Exit(_watch(config, folder, limit, again, as_json=as_json))


def _configuration(what: str, rules: list[Path], profile: str | None) -> WatchConfig:
    from onlooker.station import load_watch, watch_of

    path = Path(what)
    config = load_watch(path) if path.suffix.lower() in (".yaml", ".yml") else watch_of(what)
    update: dict[str, Any] = {"rules": (*config.rules, *rules)}
    if profile is not None:
        update["profile"] = profile
    return config.model_copy(update=update)


def _watch(config: WatchConfig, folder: Path, limit: float | None, again: Any, *, as_json: bool) -> int:
    from onlooker.station import Station
    from onlooker.timeline import open_store

    with _signals() as (stop, reload), closing(open_store(folder)) as store:
        station = Station(config, folder, store=store)
        begun = time.monotonic()
        shown = _Lines(station) if as_json else _Table(station, folder)
        station.start()
        try:
            with shown:
                while not stop.wait(0.25 if as_json else 0.5):
                    if reload.is_set():
                        reload.clear()
                        shown.say(_reloaded(station, again))
                    shown.show()
                    if station.ended or (limit is not None and time.monotonic() - begun >= limit):
                        break
        finally:
            seen = any(c.last_frame is not None for c in station.status())
            station.stop()
            shown.last(station.status())
            station.close()
    return 130 if stop.interrupted else 0 if seen else 3


def _reloaded(station: Station, again: Any) -> str:
    try:
        changes = station.reload(again())
    except OnlookerError as error:
        return f"the configuration was not read again: {error}"
    parts = [
        f"{sort} {', '.join(names)}"
        for sort, names in (
            ("started", changes.started),
            ("stopped", changes.stopped),
            ("restarted", changes.restarted),
            ("sinks changed:", changes.sinks),
        )
        if names
    ]
    return "read again: " + ("; ".join([*parts, *(["other rules"] if changes.rules else [])]) or "nothing changed")


class _Stop(threading.Event):
    """Set when the user or a service manager wants the end; ``interrupted`` by Ctrl-C."""

    interrupted = False


@contextmanager
def _signals() -> Iterator[tuple[_Stop, threading.Event]]:
    """Events that Ctrl-C or SIGTERM, and SIGHUP, set; a second Ctrl-C ends at once."""
    stop, reload = _Stop(), threading.Event()

    def ask(number: int, _: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.interrupted = number == signal.SIGINT
        stop.set()

    wanted: list[tuple[int, Any]] = [(signal.SIGINT, ask), (signal.SIGTERM, ask)]
    if hasattr(signal, "SIGHUP"):
        wanted.append((signal.SIGHUP, lambda *_: reload.set()))
    before = [(number, signal.signal(number, handler)) for number, handler in wanted]
    try:
        yield stop, reload
    finally:
        for number, handler in before:
            signal.signal(number, handler)


class _Events:
    """The states of events that came since the last look."""

    def __init__(self, station: Station) -> None:
        self._journal = station.journal
        self._place = station.journal.latest()

    def fresh(self) -> list[Any]:
        found = self._journal.states_after(self._place, 500)
        if found:
            self._place = found[-1][0]
        return [event for _, event in found]


class _Lines:
    """Lines of JSON: ``{"event": ...}``, ``{"cameras": [...]}``, ``{"message": ...}``, at last ``{"end": ...}``."""

    def __init__(self, station: Station) -> None:
        self._station, self._events = station, _Events(station)
        self._told = 0.0

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None

    def say(self, text: str) -> None:
        self._print({"message": text})

    def show(self) -> None:
        self._tell_events()
        if time.monotonic() - self._told >= 1.0:
            self._told = time.monotonic()
            self._print({"cameras": [_status(c, self._station) for c in self._station.status()]})

    def last(self, statuses: list[CameraStatus]) -> None:
        self._tell_events()
        self._print({"end": [_status(c, self._station) for c in statuses]})

    def _tell_events(self) -> None:
        for event in self._events.fresh():
            self._print({"event": event.as_dict()})

    @staticmethod
    def _print(value: dict[str, Any]) -> None:
        print(json.dumps(value, ensure_ascii=False), flush=True)


def _status(camera: CameraStatus, station: Station) -> dict[str, Any]:
    def number(value: float | None) -> float | None:
        return None if value is None else round(value, 3)

    return {
        "name": camera.name,
        "source": camera.source,
        "address": camera.address,
        "condition": camera.condition,
        "reason": camera.reason,
        "since": number(camera.since),
        "last_frame": number(camera.last_frame),
        "age_seconds": number(camera.age),
        "arriving": number(camera.arriving),
        "analysed": number(camera.analysed),
        "wanted": camera.wanted,
        "allowed": number(camera.allowed),
        "drops": dict(camera.drops),
        "reconnects": camera.reconnects,
        "blind_seconds": number(camera.blind_seconds),
        "watched_seconds": number(camera.watched_seconds),
        "motion": camera.motion,
        "recording": camera.recording,
        "spent_seconds": {name: number(seconds) for name, seconds in camera.spent.items()},
        "counted": {name: dict(of) for name, of in camera.counted.items()},
        "width": camera.width,
        "height": camera.height,
        "events": station.events().get(camera.name, 0),
        "notes": station.notes().get(camera.name, []),
    }


class _Table:
    """A table that is drawn anew on a terminal; elsewhere lines of events alone."""

    def __init__(self, station: Station, folder: Path) -> None:
        from rich.console import Console
        from rich.live import Live

        self._station, self._folder, self._events = station, folder, _Events(station)
        self._console = Console(highlight=False)
        self._live = Live(console=self._console, auto_refresh=False) if self._console.is_terminal else None

    def __enter__(self) -> None:
        if self._live is not None:
            self._live.start()

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, text: str) -> None:
        from rich.markup import escape

        self._console.print(escape(text), soft_wrap=True)

    def show(self) -> None:
        self._tell_events()
        if self._live is not None:
            self._live.update(_drawn(self._station), refresh=True)

    def last(self, statuses: list[CameraStatus]) -> None:
        self._tell_events()
        begun = self._station.events()
        for camera in statuses:
            blind = f", blind for {camera.blind_seconds:.1f} s" if camera.blind_seconds else ""
            self.say(
                f"{camera.name}: watched for {camera.watched_seconds:.1f} s{blind}, {begun.get(camera.name, 0)} events"
            )
            for name, of in camera.counted.items():
                self.say(f"{camera.name}: {name}: {_counts(of)}")
        for name, notes in self._station.notes().items():
            for note in notes:
                self.say(f"{name}: {note}")
        self.say(f"library: {self._folder}; next: onlooker events list, show, search --library {self._folder}")

    def _tell_events(self) -> None:
        for event in self._events.fresh():
            at = event.wall.strftime("%H:%M:%S") if event.wall is not None else f"{event.start / 1e9:.1f} s"
            what = f" {event.label}" if event.label else ""
            self.say(f"{at} {event.state:6} {event.severity:8} {event.rule}{what} [{event.camera}] {event.id[:8]}")


def _counts(counted: Mapping[str, int]) -> str:
    """What an analyzer counted, without what it did not do."""
    return ", ".join(f"{count} {what}" for what, count in counted.items() if count)


def _drawn(station: Station) -> Any:
    from rich.markup import escape
    from rich.table import Table

    table = Table(expand=False)
    for title in ("camera", "state", "picture", "fps", "analysed", "age", "dropped", "blind", "events", "looks"):
        table.add_column(title)
    events = station.events()
    for c in station.status():
        colour = {"watching": "green", "blind": "red"}.get(c.condition, "yellow")
        state = f"[{colour}]{c.condition}[/]" + (f" {escape(c.reason)}" if c.reason else "")
        drops = ", ".join(f"{n} {cause}" for cause, n in c.drops.items() if cause != "rate")
        reduced = f" [yellow](wants {c.wanted:g})[/]" if c.allowed < c.wanted * 0.99 else ""
        table.add_row(
            escape(c.name),
            state + (" ● rec" if c.recording else "") + (" motion" if c.motion else ""),
            f"{c.width}x{c.height}" if c.width else "",
            f"{c.arriving:.1f}",
            f"{c.analysed:.1f}{reduced}",
            "" if c.age is None else f"{c.age * 1000:.0f} ms",
            drops,
            f"{c.blind_seconds:.0f} s",
            str(events.get(c.name, 0)),
            "; ".join(f"{escape(name)}: {_counts(of)}" for name, of in c.counted.items()),
        )
    return table
