"""One pass with all analyzers against the same analyzers one after another, each with its own decode.

    python benchmarks/one_pass.py

Prints wall and CPU seconds and these ratios, all measured in this run on one 1080p file:
- speed of the one pass / speed of the slowest part alone (limit 1);
- time of separate runs / time of the one pass (bound: (N decodes + sum of work) / (one decode + sum of work));
- speed of all analyzers without a neural network / bare decode.

Result: results/one_pass.json.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import av
from _harness import save, timed
from _media import encode

PLAIN = ("shots", "scenes", "keyframes", "quality", "sound_quality", "motion", "duplicates")
ALL = (*PLAIN, "objects")
PARTS = ("shots", "keyframes", "quality", "motion", "duplicates", "objects")


def bare(clip: Path) -> int:
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.codec_context.thread_count = "AUTO", 2
        return sum(1 for _ in container.decode(stream))


def analyze(clip: Path, folder: Path, names: tuple[str, ...]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    script = (
        "import sys; from onlooker.library import Library\n"
        "with Library.open(sys.argv[1]) as lib:\n"
        "    r = lib.analyze([sys.argv[2]], only=sys.argv[3].split(','), workers=1)\n"
        "assert r.exit_code == 0, r.as_dict()"
    )
    subprocess.run([sys.executable, "-c", script, str(folder), str(clip), ",".join(names)], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="onlooker-pass-"))
    try:
        clip = encode(folder / "clip.mp4", seconds=options.seconds, options={"preset": "medium", "crf": "20"})
        print(f"1920x1080, {clip.stat().st_size * 8 / options.seconds / 1e6:.1f} Mbit/s")
        library = folder / "library"
        best: dict[str, tuple[float, float]] = {}

        def note(name: str, wall: float, cpu: float) -> None:
            old = best.get(name, (wall, cpu))
            best[name] = (min(old[0], wall), min(old[1], cpu))

        for _ in range(options.rounds):
            _, wall, cpu = timed(lambda: bare(clip))
            note("bare decode", wall, cpu)
            for name in PARTS:
                _, wall, cpu = timed(lambda name=name: analyze(clip, library, (name,)))
                note(name, wall, cpu)
            for label, names in (("all without network", PLAIN), ("one pass", ALL)):
                _, wall, cpu = timed(lambda names=names: analyze(clip, library, names))
                note(label, wall, cpu)
        frames = options.seconds * 25
        print(f"{'what':22} {'wall s':>8} {'CPU s':>8} {'frames/s':>9}")
        for name, (wall, cpu) in best.items():
            print(f"{name:22} {wall:8.2f} {cpu:8.2f} {frames / wall:9.0f}")
        slowest = max(best[n][0] for n in PARTS)
        separate = sum(best[n][0] for n in PARTS)
        ratios = {
            "one_pass_vs_slowest_part": round(slowest / best["one pass"][0], 3),
            "separate_vs_one_pass": round(separate / best["one pass"][0], 3),
            "plain_vs_bare_decode_wall": round(best["bare decode"][0] / best["all without network"][0], 3),
            "plain_vs_bare_decode_cpu": round(best["bare decode"][1] / best["all without network"][1], 3),
        }
        for name, value in ratios.items():
            print(f"{name}: {value}")
        seconds = {k: {"wall": round(w, 3), "cpu": round(c, 3)} for k, (w, c) in best.items()}
        save("one_pass", {"frames": frames, "size": "1920x1080", "seconds": seconds, **ratios})
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
