"""Writes requirements.lock: the exact versions of everything that development and tests need.

It installs pyproject.toml's dependencies, extras and the dev group into a throw-away environment and notes what came.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Resolve and write."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    for extra in project["project"]["optional-dependencies"].values():
        wanted += extra
    wanted += project["build-system"]["requires"]
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder) / "bin" / "python")
        subprocess.run([python, "-m", "pip", "install", "--quiet", *sorted(set(wanted))], check=True)
        frozen = subprocess.run([python, "-m", "pip", "freeze"], check=True, capture_output=True, text=True).stdout
    # a build's local label (2.13.0+cpu) is not on every registry; the version alone fits it too
    frozen = re.sub(r"(?m)^([^=\n]+==[^+\n]+)\+\S+$", r"\1", frozen)
    head = f"# made by `make lock` with Python {sys.version_info.major}.{sys.version_info.minor}; do not edit\n"
    (ROOT / "requirements.lock").write_text(head + frozen)
    print(f"requirements.lock: {len(frozen.splitlines())} packages")


if __name__ == "__main__":
    main()
