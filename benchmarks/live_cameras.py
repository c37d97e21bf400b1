"""Many cameras, a slow analyzer, and a day: what watching costs, how old pictures get, and whether memory stays flat.

cameras: 8 RTSP cameras of 1280 x 720 at 25 frames a second show quiet scenes; each is analysed 5 times a second behind
the motion gate. Their CPU stands beside that of the same links with bare decoding. Given for each: frames analysed a
second, and the age of pictures (from sending to the end of their analysis).
slow: one camera with an analyzer that takes four times as long as its frames are apart.
day: 24 hours of a camera's time as fast as they go, with rotation each hour, rules and events; resident memory and open
files after each hour.

python benchmarks/live_cameras.py [cameras] [slow] [day] [--seconds 60] [--hours 24]
"""

from __future__ import annotations

import argparse
import gc
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Iterable
from contextlib import closing, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from _harness import save, timed

from onlooker.core.media import SourceInfo
from onlooker.core.time import NANOSECONDS, Timestamp
from onlooker.events import Journal
from onlooker.events.config import Sinks
from onlooker.live.analysis import AnalysisSettings, LiveAnalysis
from onlooker.live.ledger import Ledger
from onlooker.live.link import Link
from onlooker.live.settings import GateSettings, LinkSettings
from onlooker.live.sitting import live_stages
from onlooker.pipeline.stages import select_stages
from onlooker.rules import parse_rules
from onlooker.sources.frame import DecodedFrame
from onlooker.sources.policy import AddressPolicy
from onlooker.station import Station, load_watch
from onlooker.station.telling import Evidence, Teller
from onlooker.timeline import open_store

CAMERAS, RATE, SLOW = 8, 5.0, 4.0
WARM = 8.0
PLUGIN = '''
import time
from fractions import Fraction
import numpy as np
from onlooker.core.analyzer import Analyzer, AnalyzerConfig, Needs
from onlooker.core.measurement import Measurement
from onlooker.core.observation import Box, Observation
from onlooker.testing.rtp import stamp_of

AGES = {}

class Config(AnalyzerConfig):
    seconds: float = 0.0
    camera: str = ""

class Look(Analyzer[Config]):
    """Takes its time over each picture, and notes how old it is then."""
    name, version, emits, Config = "bench_look", "1", ("seen",), Config
    def needs(self):
        return Needs(frames="all", heavy=self.config.seconds > 0)
    def measure(self, frame, given):
        time.sleep(self.config.seconds)
        sent = stamp_of(frame.coded)
        if sent is not None:
            AGES.setdefault(self.config.camera, []).append((time.monotonic_ns() - sent) / 1e6)
    def analyze(self, window):
        return ()

class Walkers(Analyzer[Config]):
    """Three tracks, of which each lasts a minute, without a look at the picture."""
    name, version, emits, Config = "bench_walkers", "1", ("object", "track"), Config
    def needs(self):
        return Needs(frames="all")
    def measure(self, frame, given):
        return Measurement(frame.time, frame.duration, np.zeros((0, 1), np.float32))
    def analyze(self, window):
        for m in window.measurements:
            second = m.time.seconds
            for n in range(3):
                minute, part = divmod(second + 20 * n, 60)
                if part < 40:
                    x = 0.1 + 0.02 * part
                    yield Observation(m.span, "object", 0.9, "person", Box(x, 0.4, x + 0.1, 0.8), f"w{int(minute)}-{n}")
'''
RULES = """
version: 1
lines: {mid: {points: [[0.5, 0], [0.5, 1]]}}
rules:
  - {id: crossing, when: {crosses: {line: mid}}}
  - {id: somebody, when: {object: {label: person}}, per: camera}
  - {id: moving, when: {motion: {}}}
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", default=["cameras", "slow", "day"])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--hours", type=int, default=24)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _install(root)
        for part in given.parts:
            if part == "cameras":
                save("live_cameras", cameras(root, given.seconds))
            elif part == "slow":
                save("live_slow", slow(root, given.seconds))
            elif part == "day":
                save("live_day", day(root, given.hours))


def _install(root: Path) -> None:
    """As if the benchmark's analyzers were installed."""
    plugins = root / "plugins"
    facts = plugins / "bench_live-1.dist-info"
    facts.mkdir(parents=True)
    (plugins / "bench_live.py").write_text(PLUGIN)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: bench-live\nVersion: 1\n")
    points = "bench_look = bench_live:Look\nbench_walkers = bench_live:Walkers\n"
    (facts / "entry_points.txt").write_text(f"[onlooker.analyzers]\n{points}")
    sys.path.insert(0, str(plugins))


def write_clip(path: Path, frames: Iterable[np.ndarray], **options: str) -> Path:
    """H.264 at 25 frames a second of (height, width, 3) uint8 pictures."""
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("libx264", rate=25)
        stream.pix_fmt, stream.options = "yuv420p", {"preset": "veryfast", "g": "50", "bf": "0", **options}
        for number, picture in enumerate(frames):
            if number == 0:
                stream.height, stream.width = picture.shape[:2]
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode())
    return path


def quiet_clip(path: Path, seconds: int = 10) -> Path:
    """A still room with the noise of a sensor, 1280 x 720, 25 frames a second."""
    chance = np.random.default_rng(1)
    y, x = np.mgrid[0:720, 0:1280]
    room = (96 + 48 * np.sin(x / 90) * np.cos(y / 70) + 40 * ((x // 160 + y // 120) % 2)).clip(0, 255)
    room = np.repeat(room[..., None], 3, axis=2)
    noisy = [(room + chance.normal(0, 1.5, room.shape)).clip(0, 255).astype(np.uint8) for _ in range(25)]
    return write_clip(path, noisy * seconds, crf="26")


@contextmanager
def served(clip: Path, count: int) -> Generator[list[str]]:
    """``count`` addresses of a server in a process of its own, which stamps each picture with its sending."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    clips = [f"cam{i}={clip}" for i in range(count)]
    command = [sys.executable, "-m", "onlooker.testing.rtsp", *clips, "--stamp", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield [server.stdout.readline().strip() for _ in range(count)]
        finally:
            server.terminate()


class _Bare:
    """Takes pictures and does nothing with them."""

    def __init__(self) -> None:
        self.count = 0

    def frame(self, frame: Any) -> None:
        self.count += 1

    def sound(self, block: Any) -> None:
        pass

    def condition(self, condition: str, reason: str, at: int) -> None:
        pass


def bare(urls: list[str], seconds: float) -> dict[str, float]:
    """CPU of links that only decode."""
    takers = [_Bare() for _ in urls]
    zero = time.time()
    links = [
        Link(f"cam{i}", LinkSettings(url), AddressPolicy(), zero, (), taker)
        for i, (url, taker) in enumerate(zip(urls, takers, strict=True))
    ]
    for link in links:
        link.start()
    time.sleep(WARM)
    before = sum(t.count for t in takers)
    _, wall, used = timed(lambda: time.sleep(seconds))
    came = sum(t.count for t in takers) - before
    for link in links:
        link.stop()
    return {"cpu_percent_each": round(100 * used / wall / len(urls), 2), "frames_a_second": round(came / wall, 1)}


def watched(root: Path, urls: list[str], analyzers: str, seconds: float, gate: bool) -> dict[str, Any]:
    """A station over the addresses."""
    import bench_live  # pyright: ignore[reportMissingImports]

    bench_live.AGES.clear()
    path = root / "watch.yaml"
    entries = ""
    for i, url in enumerate(urls):
        profile = root / f"cam{i}.profile.yaml"
        profile.write_text(f"name: cam{i}\nquality: fast\nanalyzers:\n{analyzers.replace('CAMERA', f'cam{i}')}")
        entries += f"  cam{i}: {{url: '{url}', rate: {RATE:g}, gate: {str(gate).lower()}, profile: {profile}}}\n"
    path.write_text(f"version: 1\ncameras:\n{entries}")
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(open_store(Path(folder))) as store,
        closing(Station(load_watch(path), Path(folder), store=store, deliver=False)) as station,
    ):
        station.start()
        while any(c.analysis.looked < 10 for c in station._cameras.values()):
            time.sleep(0.2)  # models are loaded
        time.sleep(WARM)
        bench_live.AGES.clear()
        looked = {n: c.analysis.looked for n, c in station._cameras.items()}
        superseded = {n: c.analysis.drops.get("superseded", 0) for n, c in station._cameras.items()}
        _, wall, used = timed(lambda: time.sleep(seconds))
        status = {c.name: c for c in station.status()}
        memory = round(_state()[0])
        made = []
        for name, camera in station._cameras.items():
            ages = np.array(bench_live.AGES.get(name) or [np.nan])
            made.append(
                {
                    "name": name,
                    "analysed_a_second": round((camera.analysis.looked - looked[name]) / wall, 2),
                    "superseded": camera.analysis.drops.get("superseded", 0) - superseded[name],
                    "age_ms": {f"p{p}": round(float(np.nanpercentile(ages, p)), 1) for p in (50, 95, 100)},
                    "allowed": round(status[name].allowed, 2),
                    "allowed_heavy": round(camera.allowed.heavy, 2),
                    "drops": dict(status[name].drops),
                    "condition": status[name].condition,
                }
            )
        assert all(c["condition"] == "watching" for c in made), made
    return {
        "cpu_percent_each": round(100 * used / wall / len(urls), 2),
        "wall_seconds": round(wall, 1),
        "memory_mb": memory,
        "cameras": made,
    }


def cameras(root: Path, seconds: float) -> dict[str, Any]:
    clip = quiet_clip(root / "quiet.mp4")
    with served(clip, CAMERAS) as urls:
        plain = bare(urls, seconds / 3)
        analyzers = "  motion: {}\n  objects: {labels: [person]}\n  bench_look: {camera: CAMERA}\n"
        result = watched(root, urls, analyzers, seconds, gate=True)
    rates = [c["analysed_a_second"] for c in result["cameras"]]
    summary = {
        "wanted_a_second": RATE,
        "least_analysed_a_second": min(rates),
        "age_p95_ms_worst": max(c["age_ms"]["p95"] for c in result["cameras"]),
        "cpu_percent_each": result["cpu_percent_each"],
        "cpu_percent_each_bare_decoding": plain["cpu_percent_each"],
    }
    print(summary)
    return {
        "what": "8 RTSP cameras, 1280x720 at 25/s, quiet, 5/s analysed behind the motion gate (motion, objects)",
        "load_average": os.getloadavg()[0],
        "summary": summary,
        "bare": plain,
        "watched": result,
    }


def slow(root: Path, seconds: float) -> dict[str, Any]:
    clip = quiet_clip(root / "quiet.mp4")
    takes = SLOW / RATE
    with served(clip, 1) as urls:
        analyzers = f"  bench_look: {{camera: CAMERA, seconds: {takes}}}\n"
        result = watched(root, urls, analyzers, seconds, gate=False)
    (camera,) = result["cameras"]
    summary = {
        "analyzer_ms": 1000 * takes,
        "age_ms": camera["age_ms"],
        "bound_ms": 2000 * takes + 250,
        "within": camera["age_ms"]["p95"] <= 2000 * takes + 250,
    }
    print(summary)
    return {
        "what": "one RTSP camera, 5/s wanted, an analyzer that takes four times as long",
        "load_average": os.getloadavg()[0],
        "summary": summary,
        "watched": result,
    }


class _At:
    """A frame at another moment."""

    def __init__(self, frame: DecodedFrame, at: int) -> None:
        self._frame, self.time = frame, Timestamp(at, NANOSECONDS)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._frame, name)


def _state() -> tuple[float, int, int]:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20, len(os.listdir("/proc/self/fd")), threading.active_count()


def day(root: Path, hours: int, rate: float = 0.05) -> dict[str, Any]:
    second = 1_000_000_000
    clip = root / "small.mp4"
    chance = np.random.default_rng(2)
    write_clip(clip, [chance.integers(0, 255, (90, 160, 3), np.uint8) for _ in range(16)])
    with av.open(str(clip)) as opened:
        frames = [DecodedFrame(f, Timestamp(0, NANOSECONDS), Fraction(1)) for f in opened.decode(video=0)]
    tags = {"creation_time": "2026-05-01T00:00:00+00:00"}
    info = SourceInfo("da" * 16, "day", "live", None, None, None, (), True, tags)
    stages = select_stages({"quality": {"camera": "fixed"}}, "fast", ["motion", "quality", "shots", "bench_walkers"])
    folder = root / "day"
    states: list[tuple[float, int, int]] = []
    begun = time.perf_counter()
    with closing(open_store(folder)) as store, closing(Journal.open(folder)) as journal:
        store.add_source(info)
        ledger = Ledger(store, info.id, 0.0)
        evidence = Evidence(lambda _: None, lambda _: None)
        holder: list[LiveAnalysis] = []
        rules = parse_rules(RULES)
        teller = Teller(store, journal, info.id, lambda: holder[0].info, rules, Sinks({}), evidence)
        analysis = LiveAnalysis(
            info,
            live_stages(stages),
            store,
            AnalysisSettings(rate, GateSettings()),
            decided=lambda d: teller.take(d.observations, d.until, d.marks),
            beat=ledger.heartbeat,
        )
        holder.append(analysis)
        teller.begin(ledger.begin(0))
        ledger.watching(0)
        count = round(hours * 3600 * rate)
        for number in range(count):
            at = round(number * second / rate)
            moving = number // 60 % 5 == 0
            analysis.frame(_At(frames[number % 16 if moving else 0], at))  # pyright: ignore[reportArgumentType]
            analysis.work()
            teller.seen(at)
            if number % 10 == 0:
                teller.tick()
            if (number + 1) % round(3600 * rate) == 0:
                states.append(_state())
        analysis.finish(hours * 3600 * second)
        teller.finish(hours * 3600 * second)
        ledger.end(hours * 3600 * second)
        counts, events = dict(store.counts()), teller.count
    wall = time.perf_counter() - begun
    memory = np.array([s[0] for s in states])
    half = len(memory) // 2
    growth = float(memory[half:].mean() - memory[: max(1, half)].mean()) if len(memory) > 1 else 0.0
    summary = {
        "hours": hours,
        "wall_seconds": round(wall, 1),
        "frames": count,
        "observations": sum(counts.values()),
        "events": events,
        "memory_mb": [round(float(m), 1) for m in memory],
        "memory_mb_growth_between_halves": round(growth, 2),
        "open_files": [s[1] for s in states],
        "threads": [s[2] for s in states],
    }
    print(summary)
    return {"what": f"{hours} h of one camera's time at {rate:g}/s, rotation each hour", "summary": summary}


if __name__ == "__main__":
    main()
