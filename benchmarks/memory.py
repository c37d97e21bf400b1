"""Memory of an analysis of a file of many hours: it must not grow with the length.

    python benchmarks/memory.py --hours 4

The file is 1080p H.264 at 10 frames a second (real footage, repeated by stream copy). Resident memory of the process
is sampled every two seconds. Result: results/memory.json and the curve as results/memory.png.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _harness import RESULTS, save
from _media import encode, repeat
from PIL import Image, ImageDraw

ANALYZERS = "shots,scenes,keyframes,quality,sound_quality,motion,duplicates"


def resident(pid: int) -> float:
    """Resident memory in MB of a process and its children."""
    total = 0
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                total += int(line.split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return total / 1024 + sum(resident(int(c)) for c in children)


def draw(curve: list[tuple[float, float]], path: Path) -> None:
    width, height, left = 900, 320, 60
    picture = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(picture)
    top = max(m for _, m in curve) * 1.15
    last = curve[-1][0]
    for step in range(5):
        level = top * step / 4
        y = height - 30 - (height - 50) * step / 4
        pen.line([(left, y), (width - 10, y)], fill="#dddddd")
        pen.text((5, y - 6), f"{level:.0f} MB", fill="#444444")
    points = [(left + (width - left - 10) * t / last, height - 30 - (height - 50) * m / top) for t, m in curve]
    pen.line(points, fill="#1769aa", width=2)
    pen.text((left, height - 20), f"0 .. {last:.0f} s of analysis", fill="#444444")
    picture.save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=4.0)
    parser.add_argument("--only", default=ANALYZERS)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="onlooker-memory-"))
    try:
        base = encode(folder / "base.mp4", seconds=120, rate=10)
        clip = repeat(folder / "clip.mp4", base, round(options.hours * 30))
        command = [sys.executable, "-m", "onlooker", "analyze", str(clip), "--library", str(folder / "library")]
        process = subprocess.Popen(
            [*command, "--only", options.only, "--workers", "1", "--json"], stdout=subprocess.PIPE
        )
        begun, curve = time.monotonic(), list[tuple[float, float]]()
        while process.poll() is None:
            curve.append((time.monotonic() - begun, resident(process.pid)))
            time.sleep(2)
        tail = curve[len(curve) // 10 : -1]
        quarter = max(1, len(tail) // 4)
        first = sum(m for _, m in tail[:quarter]) / quarter
        final = sum(m for _, m in tail[-quarter:]) / quarter
        wall = time.monotonic() - begun
        peak = max(m for _, m in curve)
        pace = options.hours * 3600 / wall
        print(f"{options.hours} h in {wall:.0f} s ({pace:.1f} x real time), exit {process.returncode}")
        print(f"first quarter {first:.0f} MB, last quarter {final:.0f} MB, peak {peak:.0f} MB")
        RESULTS.mkdir(exist_ok=True)
        draw(curve, RESULTS / "memory.png")
        save(
            "memory",
            {
                "hours": options.hours,
                "file_mb": round(clip.stat().st_size / 1e6),
                "library_mb": round(
                    sum(p.stat().st_size for p in (folder / "library").rglob("*") if p.is_file()) / 1e6
                ),
                "seconds": round(wall, 1),
                "first_quarter_mb": round(first),
                "last_quarter_mb": round(final),
                "growth": round(final / first, 3),
                "curve": [[round(t), round(m)] for t, m in curve[:: max(1, len(curve) // 200)]],
            },
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
