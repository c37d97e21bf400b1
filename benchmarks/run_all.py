"""Runs the benchmarks one after another and goes on after a failure.

    python benchmarks/run_all.py                 # all; about fourteen hours, most of it training, kills and memory
    python benchmarks/run_all.py shots one_pass  # only these

Those that need packages of others for comparison get them in environments of their own (.venv-bench): some run there,
others call a peer there, in Python or in Node.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from pathlib import Path

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent
PEERS = ROOT / ".venv-bench"
RUNS: dict[str, list[list[str]]] = {
    "install": [[]],
    "store": [[]],
    "runtimes": [[]],
    "signal_pass": [[]],
    "one_pass": [[]],
    "cues": [[]],
    "duplicates": [[]],
    "mutations": [["--count", "1000"]],
    "shots": [["speed"]],
    "tracking": [[]],
    "kills": [["--kills", "200"]],
    "memory": [["--hours", "4"]],
    "text": [[], ["--held-out"]],
    "speech": [["words"], ["voice"], ["speakers"]],
    "sounds": [[]],
    "faces": [[]],
    "expression": [[]],
    "identity": [[]],
    "attention": [[]],
    "pose": [[]],
    "traffic": [[]],
    "meaning": [[]],
    "facts": [[]],
    "redaction": [["--library"]],
    "everything": [[]],
    "rules": [[]],
    "live_age": [[]],
    "live_cameras": [[]],
    "events": [[]],
    "recording": [[]],
    "chaos": [[]],
    "dataset_loader": [[]],
    "bundles": [[]],
    "server_kills": [["--kills", "30"]],
    "recipes": [[]],
    "training_loop": [[]],
    "jpeg_limit": [[]],
    "anomaly": [[], ["--method", "prediction"]],
    "anomaly_settings": [[]],
    "compress": [
        ["cifar10_three", "fights", "motions", "digits_fused", "--budget", "3600"],
        ["families"],
        ["expression", "--contracts", "30"],
    ],
    "adaptive": [[]],
    "cascade": [[]],
    "early_exit": [["runs/benchmarks/cifar10_three_deployed/0"]],
    "detector_int8": [[]],
    "improve": [[]],
}
WITH_PEERS = {"shots": "requirements.txt", "tracking": "requirements-tracking.txt"}
PYTHON_PEERS = {
    "text": "requirements-text.txt",
    "faces": "requirements-faces.txt",
    "attention": "requirements-attention.txt",
    "meaning": "requirements-meaning.txt",
    "redaction": "requirements-redaction.txt",
}
NODE_PEERS = {"expression": "package-expression.json", "identity": "package-identity.json"}


def python_for(name: str) -> str:
    """The interpreter for a benchmark, with its peers installed."""
    wanted = WITH_PEERS.get(name)
    if wanted is None:
        return sys.executable
    folder = PEERS / name
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        install = [str(python), "-m", "pip", "install", "--quiet"]
        subprocess.run([*install, "-r", str(FOLDER / wanted), "-e", str(ROOT)], check=True)
    return str(python)


def peer_of(name: str) -> list[str]:
    """Arguments that name the peer that a benchmark calls, which is installed first."""
    folder = PEERS / f"{name}-peer"
    if requirements := PYTHON_PEERS.get(name):
        python = folder / "bin" / "python"
        if not python.exists():
            venv.create(folder, with_pip=True)
            subprocess.run(
                [str(python), "-m", "pip", "install", "--quiet", "-r", str(FOLDER / requirements)], check=True
            )
        return ["--peer", str(python)]
    if package := NODE_PEERS.get(name):
        if not (folder / "node_modules").is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(FOLDER / package, folder / "package.json")
            subprocess.run(["npm", "install", "--no-audit", "--no-fund"], cwd=folder, check=True)
        return ["--peer", str(folder)]
    return []


def main() -> None:
    """Run the named benchmarks, or all."""
    names = sys.argv[1:] or list(RUNS)
    unknown = [n for n in names if n not in RUNS]
    if unknown:
        raise SystemExit(f"no benchmark is called {unknown[0]!r}; known: {', '.join(RUNS)}")
    failed: list[str] = []
    for name in names:
        for arguments in RUNS[name]:
            print(f"\n== {name} {' '.join(arguments)}", flush=True)
            try:
                command = [python_for(name), str(FOLDER / f"{name}.py"), *arguments, *peer_of(name)]
                subprocess.run(command, check=True, cwd=ROOT)
            except (subprocess.CalledProcessError, OSError) as error:
                print(f"failed: {error}")
                failed.append(name)
    print(
        f"\n{len(names) - len(failed)} of {len(names)} benchmarks ran"
        + (f"; failed: {', '.join(failed)}" if failed else "")
    )
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
