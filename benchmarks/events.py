"""Delivery of events under kills: the process that delivers, and the MQTT broker, are killed with SIGKILL at random
moments, the web receiver fails at random; then what each sink was told is compared with what the journal holds.

    python benchmarks/events.py --kills 30 --broker-kills 30

Result: results/events.json (kills; for each sink: events, ends told, ends lost, states twice, states out of order, ids
that the journal does not know), and what taking an event costs while sinks are dead.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import logging
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from _harness import save

from onlooker.core.event import Event, event_id
from onlooker.events import Delivery, EventQuery, Journal, Sinks

RETRY = {"first": "5ms", "most": "100ms", "attempts": 1000, "age": "1h"}
PACE_SECONDS = 0.004
Told = tuple[str, int]


def story(number: int) -> list[Event]:
    """New, update and end of the event of this number, always the same."""
    start = number * 1_000_000_000
    id = event_id("door", "s", start, "")
    wall = datetime.fromtimestamp(1_780_000_000 + number, UTC)
    new = Event(id, "door", "s", "front", "new", start, None, "high", label="person", wall=wall)
    update = replace(new, state="update", number=1)
    return [new, update, replace(new, state="end", number=2, end=start + 500_000_000)]


# -- the process that is killed --


def deliver(folder: Path, url: str, port: int, last: bool) -> None:
    """Take events one after the other and deliver them until killed; or take what is missing, and end."""
    journal = Journal.open(folder)
    sinks = Sinks.model_validate(
        {
            "web": {"webhook": {"url": url, "timeout": "5s"}, "retry": RETRY},
            "broker": {"mqtt": {"host": "127.0.0.1", "port": port, "timeout": "5s"}, "retry": RETRY},
            "file": {"file": {"path": "told.jsonl", "bytes": 10**9}, "retry": RETRY},
        }
    )
    delivery = Delivery(journal, sinks, folder)
    delivery.start()
    print("ready", flush=True)
    known = journal.count(EventQuery())
    for number in range(known) if last else itertools.count(max(0, known - 1)):
        for state in story(number):
            journal.take(state, sinks.sections)
            time.sleep(0.0 if last else PACE_SECONDS)
    while any(s.waiting for s in journal.sinks()):
        time.sleep(0.05)
    delivery.stop()


# -- receivers --


class Web(ThreadingHTTPServer):
    """Answers one in five requests with an error, or not at all."""

    daemon_threads = True

    def __init__(self, rng: random.Random) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.rng = rng
        self.told: list[Told] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_: Any) -> None:
        """A sender that was killed is no news."""


class _Answer(BaseHTTPRequestHandler):
    server: Web

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if len(body) == int(self.headers["Content-Length"]):
            id, _, number = self.headers["Idempotency-Key"].partition(":")
            self.server.told.append((id, int(number)))
        luck = self.server.rng.random()
        if luck > 0.9:
            return
        self.send_response(503 if luck > 0.8 else 204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


class Broker:
    """A mosquitto that is killed and started again, behind a door that opens only once the listener has subscribed."""

    def __init__(self, folder: Path) -> None:
        self.told: list[Told] = []
        self._folder = folder
        self._inner = free_port()
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]
        self._open = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._listener: Any = None
        threading.Thread(target=self._serve, daemon=True).start()
        self.start()

    def start(self) -> None:
        from paho.mqtt import client as mqtt

        config = self._folder / "mosquitto.conf"
        config.write_text(f"listener {self._inner} 127.0.0.1\nallow_anonymous true\npersistence false\n")
        program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin")
        assert program is not None, "mosquitto is not installed: apt install mosquitto"
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen([program, "-c", str(config)], stdout=quiet, stderr=quiet)
        subscribed = threading.Event()
        made: Any = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)  # pyright: ignore[reportPrivateImportUsage]
        made.on_connect = lambda c, *_: c.subscribe("onlooker/events", qos=1)
        made.on_subscribe = lambda *_: subscribed.set()
        made.on_message = self._hear
        while True:
            with contextlib.suppress(OSError):
                made.connect("127.0.0.1", self._inner)
                break
            time.sleep(0.01)
        made.loop_start()
        assert subscribed.wait(20)
        self._listener = made
        self._open.set()

    def _hear(self, _client: Any, _data: Any, message: Any) -> None:
        after = json.loads(message.payload)["after"]
        self.told.append((after["id"], after["number"]))

    def kill(self) -> None:
        self._open.clear()
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._listener.disconnect()
        self._listener.loop_stop()

    def _serve(self) -> None:
        while True:
            outer, _ = self._door.accept()
            if not self._open.is_set():
                outer.close()
                continue
            try:
                inner = socket.create_connection(("127.0.0.1", self._inner), 5)
            except OSError:
                outer.close()
                continue
            inner.settimeout(None)
            for a, b in ((outer, inner), (inner, outer)):
                threading.Thread(target=_pass_on, args=(a, b), daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for one in (source, target):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        return held.getsockname()[1]


# -- judging --


def judged(told: list[Told], events: list[Event]) -> dict[str, int]:
    """What a sink was told, against the journal's events."""
    wanted = {(e.id, e.number) for e in events}
    seen: dict[str, int] = {}
    disordered = 0
    for id, number in told:
        disordered += number < seen.get(id, 0)
        seen[id] = max(number, seen.get(id, 0))
    return {
        "told": len(told),
        "ends": len(wanted),
        "ends_lost": len(wanted - set(told)),
        "beginnings_lost": len({(e.id, 0) for e in events} - set(told)),
        "told_again": len(told) - len(set(told)),
        "out_of_order": disordered,
        "unknown_ids": len({id for id, _ in told} - {e.id for e in events}),
    }


def chaos(folder: Path, kills: int, broker_kills: int, rng: random.Random) -> dict[str, Any]:
    """Kill the delivering process and the broker, each at moments of its own, and judge."""
    web, broker = Web(rng), Broker(folder)
    library = folder / "lib"
    command = [
        sys.executable,
        __file__,
        "--child",
        str(library),
        f"http://127.0.0.1:{web.server_port}",
        str(broker.port),
    ]
    done = threading.Event()
    killed = itertools.count()

    def kill_broker() -> None:
        own = random.Random(rng.random())
        for _ in range(broker_kills):
            time.sleep(own.uniform(0.1, 1.5))
            broker.kill()
            next(killed)
            time.sleep(own.uniform(0.0, 0.5))
            broker.start()
        done.set()

    thread = threading.Thread(target=kill_broker)
    thread.start()
    count = 0
    while count < kills or not done.is_set():
        with subprocess.Popen([*command, "on"], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
            time.sleep(rng.uniform(0.0, 1.5))
            assert child.poll() is None, "it ended by itself"
            child.send_signal(signal.SIGKILL)
            count += 1
    thread.join()
    subprocess.run([*command, "last"], check=True, stdout=subprocess.DEVNULL, timeout=300)
    time.sleep(1.0)  # the listener's last messages are on their way
    with Journal.open(library) as journal:
        events = [r.event for r in journal.query(EventQuery(limit=None))]
        dead = len(journal.dead())
    lines = [json.loads(line)["event"] for line in (library / "told.jsonl").read_text().splitlines()]
    expected = [story(n)[0].id for n in range(len(events))]
    assert sorted(expected) == sorted(e.id for e in events), "an event has two ids"
    broker.kill()
    return {
        "kills": count,
        "broker_kills": next(killed),
        "events": len(events),
        "not_ended": sum(e.state != "end" for e in events),
        "dead_letters": dead,
        "webhook": judged(web.told, events),
        "mqtt": judged(broker.told, events),
        "file": judged([(e["id"], e["number"]) for e in lines], events),
    }


def cost(folder: Path, count: int) -> dict[str, Any]:
    """Milliseconds that taking a state costs: without sinks, and with two sinks of which nobody answers."""
    held = socket.create_server(("127.0.0.1", 0))  # accepts, and never answers
    silent = {"webhook": {"url": f"http://127.0.0.1:{held.getsockname()[1]}"}, "retry": RETRY}
    absent = {"webhook": {"url": f"http://127.0.0.1:{free_port()}"}, "retry": RETRY}
    result: dict[str, Any] = {}
    for name, section in (("no_sinks", {}), ("two_dead_sinks", {"silent": silent, "absent": absent})):
        sinks = Sinks.model_validate(section)
        with Journal.open(folder / name) as journal:
            delivery = Delivery(journal, sinks, folder / name)
            delivery.start()
            spent: list[float] = []
            for number in range(count):
                begun = time.perf_counter()
                journal.take(story(number)[0], sinks.sections)
                spent.append((time.perf_counter() - begun) * 1000)
            delivery.stop(0.1)
        cuts = statistics.quantiles(spent, n=100)
        result[name] = {"states": count, "median_ms": round(cuts[49], 3), "p95_ms": round(cuts[94], 3)}
        result[name]["most_ms"] = round(max(spent), 3)
    held.close()
    return result


def main() -> None:
    logging.disable(logging.WARNING)  # failures are what this is about
    if sys.argv[1:2] == ["--child"]:
        deliver(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5] == "last")
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--broker-kills", type=int, default=30)
    parser.add_argument("--states", type=int, default=1000, help="states whose taking is timed")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="onlooker-events-"))
    try:
        taking = cost(folder, options.states)
        result = chaos(folder, options.kills, options.broker_kills, random.Random(options.seed))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    save("events", {"seed": options.seed, **result, "taking": taking})
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
