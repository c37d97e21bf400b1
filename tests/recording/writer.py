"""Records a file over and over, at many times its speed, until it is killed: ``writer.py LIBRARY CLIP ZERO START``."""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from onlooker.recording import Recorder, RecordSettings
from recording.camera import Camera


def main() -> None:
    library, clip, zero, start = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    camera = Camera(clip, start=start)
    settings = RecordSettings.model_validate({"mode": "continuous", "file": 2, "fragment": 0.5, "bytes": "3MB"})
    recorder = Recorder(library, "yard", "a" * 32, settings, zero)
    print("ready", flush=True)
    recorder.begin(camera.formats)
    for number, packet in enumerate(camera.loop(1000)):
        recorder.packet(packet)
        if number % 20 == 0:
            time.sleep(0.002)


if __name__ == "__main__":
    main()
