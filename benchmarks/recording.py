"""What recording costs a 720p25 camera, beside reading the same packets and nothing else, and what kills leave.

    python benchmarks/recording.py --kills 30

CPU is measured with cameras in real time (each packet wakes the writer) and as fast as the disk takes them. The bytes
that files have more than the packets are the cost of fragments. The kill test ends a recording process with SIGKILL at
random moments; then every file must decode, and index and files must agree after recovery.

Result: results/recording.json.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
from _harness import save, timed
from _media import encode
from av.bitstream import BitStreamFilterContext
from av.error import FFmpegError

from onlooker.core.live import CodedPacket, PacketTaker, StreamFormat
from onlooker.recording import Feed, Recorder, Recordings, RecordSettings, Subscription

RATE = 25
OPTIONS = {"bf": "0", "g": "50", "maxrate": "2M", "bufsize": "2M", "tune": "zerolatency"}


def packets(path: Path) -> tuple[list[StreamFormat], list[CodedPacket]]:
    """A file's stream as a camera gives it: with start codes, times in nanoseconds."""
    with av.open(str(path)) as container:
        stream: Any = container.streams.video[0]
        filter = BitStreamFilterContext("h264_mp4toannexb", stream)
        made: list[CodedPacket] = []
        for packet in container.demux(stream):
            for p in filter.filter(packet) if packet.size else []:
                at = int(p.pts * stream.time_base * 1_000_000_000)
                made.append(CodedPacket(0, bytes(p), p.pts, p.dts, p.duration or 0, p.is_keyframe, at))
        return [StreamFormat(0, "video", "h264", stream.time_base, b"", stream.width, stream.height)], made


def repeated(formats: Sequence[StreamFormat], once: Sequence[CodedPacket], times: int) -> Iterator[CodedPacket]:
    """The packets over and over."""
    ticks = (once[-1].pts or 0) + once[-1].duration
    length = int(ticks * formats[0].time_base * 1_000_000_000)
    for turn in range(times):
        for p in once:
            shift = turn * ticks
            yield replace(p, pts=(p.pts or 0) + shift, dts=(p.dts or 0) + shift, time=p.time + turn * length)


def recorder(folder: Path, name: str = "yard", **settings: Any) -> Recorder:
    values = {"mode": "continuous", "days": None, **settings}
    return Recorder(folder, name, "a" * 32, RecordSettings.model_validate(values), time.time())


def fast(formats: Sequence[StreamFormat], once: Sequence[CodedPacket], times: int, folder: Path) -> dict[str, float]:
    """CPU of a core that one camera needs when packets come as fast as they are taken, and bytes more than theirs."""
    seconds = times * len(once) / RATE
    stream = list(repeated(formats, once, times))
    made = recorder(folder)

    def run() -> None:
        made.begin(formats)
        for packet in stream:
            while made.status().waiting > 30_000_000:
                time.sleep(0.005)
            made.packet(packet)
        made.close()

    _, wall, cpu = timed(run)
    sent = sum(len(p.data) for p in stream)
    with Recordings(folder) as recordings:
        written = recordings.bytes()
        assert recordings.segments()[-1].end > (seconds - 1) * 1_000_000_000
    return {
        "seconds": seconds,
        "cpu_share": cpu / seconds,
        "speed": seconds / wall,
        "payload_bytes": sent,
        "file_bytes": written,
        "overhead": written / sent - 1,
    }


def demux(path: Path, times: int) -> float:
    """CPU of a core for reading the packets out of a file."""

    def run() -> int:
        count = 0
        for _ in range(times):
            with av.open(str(path)) as container:
                count += sum(1 for _ in container.demux(video=0))
        return count

    count, _, cpu = timed(run)
    return cpu / (count / RATE)


def ffmpeg(path: Path, folder: Path, times: int) -> dict[str, float] | None:
    """The same by ``ffmpeg -c copy``, where it is installed."""
    program = shutil.which("ffmpeg")
    if program is None:
        return None
    out = folder / "copy-%03d.mp4"
    movflags = "movflags=+frag_keyframe+empty_moov"
    command = [program, "-v", "error", "-stream_loop", str(times - 1), "-i", str(path), "-c", "copy", "-f", "segment"]
    command += ["-segment_time", "60", "-segment_format_options", movflags, str(out)]
    _, _, cpu = timed(lambda: subprocess.run(command, check=True))
    with av.open(str(path)) as container:
        seconds = times * float((container.duration or 0) / 1e6)
    return {"cpu_share": cpu / seconds, "file_bytes": sum(f.stat().st_size for f in folder.glob("copy-*.mp4"))}


def real_time(
    formats: Sequence[StreamFormat], once: Sequence[CodedPacket], takers: Sequence[PacketTaker], seconds: float
) -> float:
    """CPU of a core per taker when packets come 25 times a second."""

    def run() -> None:
        for taker in takers:
            taker.begin(formats)
        begun = time.monotonic()
        for number, packet in enumerate(repeated(formats, once, 1 + int(seconds * RATE / len(once)))):
            if number >= seconds * RATE:
                return
            time.sleep(max(0.0, begun + number / RATE - time.monotonic()))
            for taker in takers:
                taker.packet(packet)

    _, _, cpu = timed(run)
    return cpu / seconds / max(1, len(takers))


def watched(feed: Feed, formats: Sequence[StreamFormat], first: CodedPacket) -> Callable[[], None]:
    """A viewer that takes all; returns what ends it."""
    feed.begin(formats)
    feed.packet(first)
    viewer: Subscription = feed.subscribe()
    thread = threading.Thread(target=lambda: [None for _ in viewer], daemon=True)
    thread.start()
    return lambda: (viewer.close(), thread.join())[1]


def feeds(formats: Sequence[StreamFormat], once: Sequence[CodedPacket], times: int) -> dict[str, float]:
    """CPU of a core for one camera that one viewer looks at."""
    found: dict[str, float] = {}
    stream = list(repeated(formats, once, times))
    for name, low_latency in (("per_frame", True), ("per_group", False)):
        feed = Feed(low_latency=low_latency)
        end = watched(feed, formats, stream[0])

        def run(feed: Feed = feed) -> None:
            for packet in stream[1:]:
                feed.packet(packet)

        _, _, cpu = timed(run)
        end()
        found[name] = cpu / (len(stream) / RATE)
    return found


def kills(path: Path, folder: Path, count: int, seed: int) -> dict[str, int]:
    """Kill a recording process again and again; what is left."""
    rng, library = random.Random(seed), folder / "killed"
    start = unplayable = disagreements = 0
    checked: dict[Path, int] = {}
    for number in range(count):
        command = [sys.executable, __file__, "--record", str(library), str(path), str(start)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(rng.uniform(0.0, 0.5))
            process.kill()
        for file in sorted(library.glob("recordings/*/*/*.mp4")):
            if checked.get(file) != file.stat().st_size:
                unplayable += not plays(file)
                checked[file] = file.stat().st_size
        with Recordings(library) as recordings:
            recordings.recover()
            segments = recordings.segments()
            known = {library / s.path: s.bytes for s in segments}
            there = {f: f.stat().st_size for f in library.glob("recordings/*/*/*") if f.is_file()}
            disagreements += known != there or any(s.open for s in segments)
            start = max((s.end for s in segments), default=start) + 1_000_000_000
        print(f"{number + 1} kills, {len(known)} files, {unplayable} unplayable", flush=True)
    return {"kills": count, "files": len(checked), "unplayable": unplayable, "disagreements": disagreements}


def plays(path: Path) -> bool:
    try:
        with av.open(str(path)) as container:
            return sum(1 for _ in container.decode(video=0)) > 0
    except FFmpegError:
        return False


def record_until_killed(library: Path, path: Path, start: int) -> None:
    formats, once = packets(path)
    made = recorder(library, file=3, fragment=1, bytes="8MB")
    print("ready", flush=True)
    made.begin(formats)
    for number, packet in enumerate(repeated(formats, once, 10_000)):
        made.packet(replace(packet, time=packet.time + start))
        if number % 10 == 0:
            time.sleep(0.004)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seconds", type=int, default=20, help="of video that is made, and of real time")
    parser.add_argument("--cameras", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--record", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.record:
        library, clip, start = options.record
        record_until_killed(Path(library), Path(clip), int(start))
        return
    folder = Path(tempfile.mkdtemp(prefix="onlooker-recording-"))
    try:
        clip = encode(folder / "clip.mp4", seconds=options.seconds, width=1280, height=720, options=OPTIONS)
        formats, once = packets(clip)
        times = 10
        result: dict[str, Any] = {
            "load_before": os.getloadavg()[0],
            "fast": fast(formats, once, times, folder / "fast"),
        }
        result["demux_cpu_share"] = demux(clip, times)
        result["ffmpeg_copy"] = ffmpeg(clip, folder, times)
        takers = [recorder(folder / "live", f"camera {n}") for n in range(options.cameras)]
        result["real_time_cpu_share"] = real_time(formats, once, takers, options.seconds)
        for taker in takers:
            taker.close()
        result["nothing_cpu_share"] = real_time(formats, once, [], options.seconds) / options.cameras
        result["feed_cpu_share"] = feeds(formats, once, times)
        result["kills"] = kills(clip, folder, options.kills, options.seed)
        save("recording", result)
        raise SystemExit(1 if result["kills"]["unplayable"] or result["kills"]["disagreements"] else 0)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
