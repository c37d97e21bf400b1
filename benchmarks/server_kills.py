"""`onlooker serve` is killed at random while a client follows its events: is each state told once, and what is left?

    python benchmarks/server_kills.py               # 30 kills, about three minutes
    python benchmarks/server_kills.py --kills 3

Another process takes events all the while, so that states come before, during and after each kill; a session and a
token of before the first kill are used to the end, and an analysis is started after each start. Every kill is SIGKILL.
Counted are states that the client was not told, or twice, or out of order; requests that a good credential was refused;
jobs left as if they ran; and how long the server took to be ready again.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from _harness import DATA, save

from onlooker.client import Client, ServerUnreachable
from onlooker.core.errors import OnlookerError

PASSWORD = "correct horse battery"
WRITER = """
import sys, time
from pathlib import Path
from onlooker.core.event import Event, event_id
from onlooker.events import Journal
with Journal.open(Path(sys.argv[1])) as journal:
    for number in range(10**9):
        for state in ("new", "update", "end"):
            made = event_id("door", "f" * 32, number, "")
            end = number + 1 if state == "end" else None
            nth = ("new", "update", "end").index(state)
            journal.take(Event(made, "door", "f" * 32, "front", state, number, end, "low", number=nth))
        time.sleep(0.05)
"""


class Server:
    """One life of the server after another, on one port."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, 0
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> tuple[str, str | None]:
        """Start it; its address, and the one-time link's secret where there is one."""
        words = ["serve", "--json", "--library", str(self.folder), "--port", str(self.port)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "onlooker", *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout is not None
        told = json.loads(self.process.stdout.readline())
        self.port = int(told["address"].rsplit(":", 1)[1])
        return told["address"], told["link"] and told["link"].split("=", 1)[1]

    def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


class Follower(threading.Thread):
    """Keeps what it is told, over all kills."""

    def __init__(self, client: Client) -> None:
        super().__init__(daemon=True)
        self.client, self.stopping = client, threading.Event()
        self.told: list[tuple[int, str, int]] = []

    def run(self) -> None:
        """Follow until asked to stop."""
        for event in self.client.stream(after=0, stop=self.stopping.is_set):
            self.told.append((event.sequence or 0, event.id, event.number))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="onlooker-server-kills-") as folder:
        result = run(Path(folder), options.kills, random.Random(options.seed))
    print(json.dumps(result, indent=1))
    save("server_kills", {"kills": options.kills, **result})


def run(folder: Path, kills: int, chance: random.Random) -> dict[str, Any]:
    """All kills; what was counted."""
    from onlooker import Library
    from onlooker.events import Journal

    clip = shutil.copy(DATA / "clips" / "traffic_car_overhead.mp4", folder / "clip.mp4")
    library = folder / "lib"
    with Library.open(library) as opened:
        opened.analyze([clip], only=["shots"], workers=1)
        source = opened.sources()[0].info.id
    Journal.open(library).close()
    server = Server(library)
    address, secret = server.start()
    session = Client(address)
    session.use_link(secret or "", PASSWORD)
    words = ["users", "token", "admin", "--role", "operator", "--library", str(library)]
    token = subprocess.check_output([sys.executable, "-m", "onlooker", *words], text=True).strip()
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(library)])
    program = Client(address, token=token)
    follower = Follower(program)
    follower.start()
    refused, ready = 0, list[float]()
    for _ in range(kills):
        with suppress(ServerUnreachable):
            program.start_job(sources=[source], only=["motion"], redo=True)
        time.sleep(chance.uniform(0.0, 2.0))
        server.kill()
        begun = time.perf_counter()
        server.start()
        ready.append(time.perf_counter() - begun)
        for client in (session, program):
            try:
                client.me()
            except OnlookerError:
                refused += 1
    writer.terminate()
    writer.wait()
    with Journal.open(library, read_only=True) as journal:
        taken = [(s, e.id, e.number) for s, e in journal.states_after(0, 10**9)]
    limit = time.monotonic() + 60
    while len(follower.told) < len(taken) and time.monotonic() < limit:
        time.sleep(0.2)
    follower.stopping.set()
    jobs = [job.state for job in program.jobs()]
    while any(state in ("queued", "running") for state in jobs) and time.monotonic() < limit + 120:
        time.sleep(0.5)
        jobs = [job.state for job in program.jobs()]
    server.kill()
    told = follower.told
    return {
        "states_taken": len(taken),
        "states_not_told": len({*taken} - {*told}),
        "states_told_twice": len(told) - len({*told}),
        "out_of_order": sum(a > b for a, b in pairwise(told)),
        "good_credentials_refused": refused,
        "jobs": {state: jobs.count(state) for state in sorted({*jobs})},
        "jobs_as_if_they_ran": sum(state == "running" for state in jobs),
        "ready_seconds_median": round(statistics.median(ready), 2),
        "ready_seconds_worst": round(max(ready), 2),
    }


if __name__ == "__main__":
    main()
