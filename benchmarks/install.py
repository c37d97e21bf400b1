"""What an installation costs: time of ``import onlooker``, size of a bare environment with the wheel, and which shared
libraries the packages need that a bare server does not have.

    python benchmarks/install.py

Result: results/install.json.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

from _harness import save

ROOT = Path(__file__).resolve().parents[1]
UNWANTED = ("libGL.so", "libgthread", "libcuda", "libX11.so")


def seconds(python: str, code: str) -> float:
    """Median of nine starts."""
    taken: list[float] = []
    for _ in range(9):
        begun = time.perf_counter()
        subprocess.run([python, "-c", code], check=True)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def missing_libraries(site: Path) -> dict[str, list[str]]:
    """Shared libraries that ``ldd`` does not find, and unwanted ones, by the file that needs them."""
    found: dict[str, list[str]] = {}
    for path in site.rglob("*.so*"):
        told = subprocess.run(["ldd", str(path)], capture_output=True, text=True, check=False).stdout
        lines = [line.strip() for line in told.splitlines()]
        bad = [line for line in lines if any(u in line for u in UNWANTED)]
        if bad:
            found[str(path.relative_to(site))] = bad
    return found


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="onlooker-install-") as folder:
        build = [sys.executable, "-m", "build", "--quiet", "--wheel", "--no-isolation", "--outdir", folder]
        subprocess.run([*build, str(ROOT)], check=True)
        (wheel,) = Path(folder).glob("*.whl")
        bare = Path(folder) / "venv"
        venv.create(bare, with_pip=True)
        python = str(bare / "bin" / "python")
        (site,) = (bare / "lib").glob("python*/site-packages")

        def size() -> int:
            return sum(p.stat().st_size for p in site.rglob("*") if p.is_file() and not p.is_symlink())

        before = size()
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--only-binary=:all:", str(wheel)], check=True)
        installed = (size() - before) / 1e6
        told = subprocess.run([python, "-m", "pip", "freeze"], check=True, capture_output=True, text=True).stdout
        packages = sorted(re.findall(r"^([A-Za-z0-9_.-]+)(?:==| @)", told, re.MULTILINE))
        subprocess.run([python, "-m", "onlooker", "doctor"], check=True, cwd=folder, stdout=subprocess.DEVNULL)
        start, full = seconds(python, "pass"), seconds(python, "import onlooker")
        result = {
            "wheel_kb": round(wheel.stat().st_size / 1e3),
            "installed_mb": round(installed),
            "packages": packages,
            "torch": "torch" in packages,
            "python_start_s": round(start, 4),
            "import_s": round(full - start, 4),
            "unwanted_libraries": missing_libraries(site),
        }
    print(f"wheel {result['wheel_kb']} kB, installed {result['installed_mb']} MB in {len(packages)} packages")
    print(f"import onlooker: {1000 * (full - start):.1f} ms over a bare start of {1000 * start:.1f} ms")
    print(f"unwanted libraries: {result['unwanted_libraries'] or 'none'}")
    save("install", result)


if __name__ == "__main__":
    main()
