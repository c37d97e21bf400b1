"""Everything is killed at random while a camera is watched: the camera, the broker, `onlooker watch`, `onlooker serve`.

    python benchmarks/chaos.py               # 30 kills of each, about 12 minutes
    python benchmarks/chaos.py --kills 3

A real RTSP server plays a clip in a process of its own, a real broker and a real web receiver are told of the events of
real analyzers, and all of it is recorded. Every kill is SIGKILL. Afterwards it is counted:

- *events*: how many have no end, how many ends a receiver was never told of, how many ids it was told of that the
  journal does not know, how many events were told out of order, and whether the backtest over what is stored has the
  same ids;
- *recordings*: how many files cannot be decoded to their end;
- *ledger*: whether watched and blind time add up to all of the time since the camera's zero.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
from _harness import DATA, save
from av.error import FFmpegError

from onlooker import Library
from onlooker.core.time import Span, Timestamp
from onlooker.events import EventQuery, Journal
from onlooker.live.ledger import ledger_report
from onlooker.rules import backtest, load_rules

CLIP = DATA / "mot_pets09_s2l1" / "video.mp4"
ONLOOKER = Path(sys.executable).with_name("onlooker")
MOSQUITTO = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
RULES = """
version: 1
lines: {middle: {points: [[0.5, 0.0], [0.5, 1.0]]}}
rules:
  - {id: somebody, when: {object: {label: person}}, before: 1s, after: 1s, update: 1s}
  - {id: crossing, when: {crosses: {line: middle, label: person}}, before: 1s, after: 1s}
"""
WATCH = """
version: 1
profile: chaos.profile.yaml
rules: [chaos.rules.yaml]
cameras:
  yard: {{url: "rtsp://127.0.0.1:{rtsp}/yard", rate: 5, timeout: 2s, stall: 2s, record: {{mode: continuous, file: 10}}}}
sinks:
  hook: {{webhook: {{url: "http://127.0.0.1:{hook}/"}}, retry: {{first: 200ms, most: 2s, attempts: 1000}}}}
  broker: {{mqtt: {{host: 127.0.0.1, port: {broker}}}, retry: {{first: 200ms, most: 2s, attempts: 1000}}}}
  log: {{file: {{path: events.jsonl}}}}
"""


def as_camera(path: Path) -> Path:
    """The labelled clip coded as cameras do: a key picture each second, none that refer to later ones."""
    with av.open(str(CLIP)) as clip, av.open(str(path), "w") as out:
        rate = int(clip.streams.video[0].average_rate or 7)
        made = out.add_stream("libx264", rate=rate, options={"g": str(rate), "bf": "0", "preset": "ultrafast"})
        assert isinstance(made, av.VideoStream)
        made.width, made.height, made.pix_fmt = 768, 576, "yuv420p"
        for frame in clip.decode(video=0):
            out.mux(made.encode(frame))
        out.mux(made.encode(None))
    return path


def free_port() -> int:
    """A port on loopback that is free now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class Receiver:
    """Takes webhooks and notes (id, number, state) in the order in which they came."""

    def __init__(self) -> None:
        told: list[tuple[str, int, str]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["data"]
                told.append((event["id"], event["number"], event["state"]))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                return

        self.told = told
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


@dataclass
class Part:
    """A process that is killed and started again."""

    name: str
    command: Sequence[str | os.PathLike[str]]
    folder: Path
    kills: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start it; what it says goes into a file of its own."""
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(self.command, cwd=self.folder, stdout=log, stderr=log)

    def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None
        self.kills += self.process.poll() is None
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        """Ask it to end, and wait."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def parts(folder: Path, hook: int) -> dict[str, Part]:
    """The processes, not yet started."""
    rtsp, broker = free_port(), free_port()
    (folder / "chaos.profile.yaml").write_text("name: chaos\nanalyzers: {motion: {}, objects: {}}\n")
    (folder / "chaos.rules.yaml").write_text(RULES)
    (folder / "watch.yaml").write_text(WATCH.format(rtsp=rtsp, hook=hook, broker=broker))
    (folder / "broker.conf").write_text(f"listener {broker} 127.0.0.1\nallow_anonymous true\n")
    library = ["--library", folder / "lib"]
    commands: dict[str, Sequence[str | os.PathLike[str]]] = {
        "camera": [
            sys.executable,
            "-m",
            "onlooker.testing.rtsp",
            f"yard={as_camera(folder / 'yard.mp4')}",
            "--port",
            str(rtsp),
        ],
        "broker": [MOSQUITTO, "-c", folder / "broker.conf"],
        "watch": [ONLOOKER, "watch", folder / "watch.yaml", *library, "--json"],
        "serve": [ONLOOKER, "serve", *library, "--config", folder / "watch.yaml", "--port", "0"],
    }
    return {name: Part(name, command, folder) for name, command in commands.items()}


def torment(all_parts: dict[str, Part], kills: int, chance: random.Random) -> None:
    """Kill each part ``kills`` times; `watch` in the first half of the time, `serve` in the second."""
    for outer in ("watch", "serve"):
        victims = ["camera"] * (kills // 2) + ["broker"] * (kills // 2) + [outer] * kills
        chance.shuffle(victims)
        all_parts[outer].start()
        for done, name in enumerate(victims, 1):
            # long enough for onlooker to come up and for events to begin and end, now and then too short
            time.sleep(chance.choice([1.0, 5.0, 9.0, 12.0]) if name == outer else chance.choice([0.3, 1.0, 3.0]))
            all_parts[name].kill()
            time.sleep(chance.choice([0.0, 0.5, 1.5]))
            all_parts[name].start()
            print(f"\r{outer}: {done} of {len(victims)} kills", end="", flush=True)
        print()
        time.sleep(6)
        code = all_parts[outer].end()
        print(f"{outer} ended with {code}")


def judge(folder: Path, told: Sequence[tuple[str, int, str]]) -> dict[str, Any]:
    """What was lost, doubled or broken."""
    with Library.open(folder / "lib") as library, Journal.open(folder / "lib") as journal:
        (camera,) = library.store.sources()
        report = ledger_report(library.store, camera.info.id)
        position = report.spans[-1].end
        events = journal.query(EventQuery(limit=1_000_000))
        ids = {e.event.id for e in events}
        ended = {e.event.id for e in events if e.event.state == "end"}
        rules = load_rules(folder / "chaos.rules.yaml")
        span = Span(Timestamp.of_seconds(0), Timestamp.of_seconds(position / 1e9))
        again = {e.id for e in backtest(library.store, rules, [camera.info], span)}
        waiting = {s.name: (s.waiting, s.dead) for s in journal.sinks()}
    firsts: dict[str, list[int]] = {}
    for id, number, _ in told:
        seen = firsts.setdefault(id, [])
        if number not in seen:
            seen.append(number)
    states = Counter(state for _, _, state in told)
    return {
        "events": len(events),
        "without_end": len(ids - ended),
        "ends_not_told": len(ended - {id for id, _, state in told if state == "end"}),
        "told_but_unknown": len({id for id, _, _ in told} - ids),
        "out_of_order": sum(numbers != sorted(numbers) for numbers in firsts.values()),
        "deliveries": dict(states),
        "repeated": len(told) - len({(id, number) for id, number, _ in told}),
        "backtest_only": len(again - ids),
        "journal_only": len(ids - again),
        "waiting_and_dead": waiting,
        "ledger_seconds": round(position / 1e9, 3),
        "ledger_watched": round(report.watched / 1e9, 3),
        "ledger_blind": {reason: round(ns / 1e9, 3) for reason, ns in report.blind.items()},
        "ledger_adds_up": report.watched + sum(report.blind.values()) == position,
        **recordings(folder / "lib" / "recordings"),
    }


def recordings(folder: Path) -> dict[str, Any]:
    """Decode all files to their end."""
    broken: list[str] = []
    frames = 0
    files = sorted(folder.rglob("*.mp4"))
    for path in files:
        try:
            with av.open(str(path)) as container:
                own = sum(1 for _ in container.decode(video=0))
        except (FFmpegError, IndexError) as error:
            broken.append(f"{path.name}: {error}")
            continue
        frames += own
        if not own:
            broken.append(f"{path.name}: no frames")
    return {"files": len(files), "frames": frames, "unplayable": broken}


def main() -> None:
    """Run it."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--kills", type=int, default=30)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--keep", type=Path, help="work in this folder and leave it")
    chosen = options.parse_args()
    folder = chosen.keep or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    receiver = Receiver()
    running = parts(folder, receiver.port)
    try:
        running["camera"].start()
        running["broker"].start()
        torment(running, chosen.kills, random.Random(chosen.seed))
        result = {"kills": {name: part.kills for name, part in running.items()}, **judge(folder, receiver.told)}
        print(json.dumps(result, indent=1))
        save("chaos", result)
    finally:
        for part in running.values():
            if part.process is not None and part.process.poll() is None:
                part.process.kill()
        receiver.close()
        if chosen.keep is None:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
