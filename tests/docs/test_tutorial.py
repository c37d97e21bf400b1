"""The tutorial is followed by the letter: from a folder of real clips to an alert that a camera's picture raised."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import av
import pytest

from events.receivers import Receiver
from onlooker.testing.rtsp import RtspServer

pytest.importorskip("torch")
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "guides" / "tutorial.md").read_text(encoding="utf-8")
YAML = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = [
    line.split("  #")[0].strip()
    for block in re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("onlooker ")
]
QUICK = "--set training.epochs=8 --set training.batch=8 --set training.threads=1 --set training.workers=0"


def clips(data, folder: Path, each: int) -> None:
    """A folder of the tutorial's form, of real clips."""
    for name, other in (("fight", "fight"), ("noFight", "calm")):
        (folder / other).mkdir(parents=True)
        for path in sorted((data("fight_surv") / name).glob("*.mp4"))[:each]:
            shutil.copy(path, folder / other)


class Reader:
    """Somebody who types the tutorial's commands, one after the other, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.left = list(COMMANDS)
        self.environment = {
            **os.environ, "ONLOOKER_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1", "YARD_PASSWORD": "s3cret",
            "HOOK_SECRET": "between us",
        }  # fmt: skip

    def words(self, begin: str, *, instead: dict[str, str] | None = None, more: str = "") -> list[str]:
        """The next command, which must begin so."""
        line = self.left.pop(0)
        assert line.startswith(begin), f"the tutorial goes on with {line!r}"
        for old, new in (instead or {}).items():
            assert old in line, line
            line = line.replace(old, new)
        return [sys.executable, "-m", *shlex.split(f"{line} {more}")]

    def types(self, begin: str, *, codes: tuple[int, ...] = (0,), **more: object) -> str:
        """Run the next command, which must end with one of the codes; what it prints."""
        words = self.words(begin, **more)  # type: ignore[arg-type]
        done = subprocess.run(
            words, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode in codes, f"{words[2:]}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def reader(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tutorial")
    clips(data, folder / "clips", 16)
    recipe, rules, cameras, profile = YAML
    for name, text in (
        ("yard.yaml", recipe), ("rules.yaml", rules), ("cameras.yaml", cameras), ("yard.profile.yaml", profile),
    ):  # fmt: skip
        (folder / name).write_text(text, encoding="utf-8")
    return Reader(folder)


@pytest.mark.timeout(1500)
def test_from_a_folder_of_clips_to_a_live_alert(reader, data) -> None:
    folder = reader.folder
    reader.types("onlooker dataset import")
    reader.types("onlooker dataset split")
    reader.types("onlooker dataset check")
    reader.types("onlooker dataset show")
    assert (folder / "yard.html").stat().st_size > 10_000

    reader.types("onlooker train", more=QUICK)
    reader.types("onlooker evaluate", instead={" --slices": ""})
    assert (folder / "runs/yard_fights/report.html").exists()
    assert (folder / "judged.html").exists()
    reader.types("onlooker models add")

    steady(a_fight_that_is_seen(reader), folder / "evening.mp4")
    reader.types("onlooker analyze")
    assert "fight" in reader.types("onlooker search")
    assert "fight" in reader.types("onlooker rules test")
    alert_of_a_camera(reader, folder / "evening.mp4")

    found = stored(reader, "evening.mp4")
    assert found
    reader.types("onlooker feedback wrong", instead={"3f2a9c01": found[0]})
    reader.types("onlooker feedback missed", instead={"2:10 2:14": "0:00 0:01"})
    # so small a model on contradictory feedback may be refused: it is told what is fixed and what broken all the same
    assert "other observations are kept" in reader.types("onlooker improve", codes=(0, 4))
    reader.types("onlooker dataset from-library", instead={"0.4..0.7": "0..1"})
    reader.types("onlooker dataset export")
    assert json.loads((folder / "tasks.json").read_text(encoding="utf-8"))
    assert not reader.left


def a_fight_that_is_seen(reader: Reader) -> Path:
    """Of the clips that were learned from, one in which the short training sees a fight."""
    paths = sorted((reader.folder / "clips" / "fight").glob("*.mp4"))
    done = subprocess.run(
        [sys.executable, "-m", "onlooker", "analyze", *map(str, paths), "--library", "tried", "--only", "yard_fights"],
        cwd=reader.folder, env=reader.environment, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for path in paths:
        if stored(reader, str(path), "tried"):
            return path
    pytest.fail("the tutorial's network learned nothing: it sees no fight in what it was trained on")


def steady(clip: Path, out: Path) -> None:
    """A clip's pictures at 25 a second, as a camera sends them: those of the set all have the same time."""
    with av.open(str(clip)) as source, av.open(str(out), "w") as made:
        stream = made.add_stream("libx264", rate=25, options={"crf": "18", "g": "25", "bf": "0"})
        shape = source.streams.video[0]
        stream.width, stream.height, stream.pix_fmt = shape.width, shape.height, "yuv420p"
        for number, frame in enumerate(source.decode(video=0)):
            frame.pts, frame.time_base = number, Fraction(1, 25)
            made.mux(stream.encode(frame))
        made.mux(stream.encode(None))


def stored(reader: Reader, video: str, library: str = "lib") -> list[str]:
    """The ids of the fights that are stored of a video."""
    words = [sys.executable, "-m", "onlooker", "search", "--kind", "action", "--label", "fight", "--library", library]
    words += ["--limit", "100", "--json"]
    done = subprocess.run(words, cwd=reader.folder, env=reader.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return [hit["id"] for hit in found["hits"] if Path(hit["path"]).name == Path(video).name]


def alert_of_a_camera(reader: Reader, clip: Path) -> None:
    """The station of the tutorial on a camera that shows the clip over and over."""
    with ExitStack() as stack:
        server = stack.enter_context(RtspServer({"stream1": clip}, user="onlooker", password="s3cret"))
        said = stack.enter_context((reader.folder / "watch.txt").open("w+"))
        phone = Receiver()
        stack.callback(phone.end)
        path = reader.folder / "cameras.yaml"
        text = path.read_text(encoding="utf-8").replace("10.0.0.5", f"127.0.0.1:{server.port}")
        path.write_text(text.replace("https://example.org/alerts", phone.url), encoding="utf-8")
        station = subprocess.Popen(
            reader.words("onlooker watch"), cwd=reader.folder, env=reader.environment, stdout=subprocess.DEVNULL,
            stderr=said,
        )  # fmt: skip
        try:
            until = time.monotonic() + 120
            while not phone.received:
                assert station.poll() is None, (reader.folder / "watch.txt").read_text()
                assert time.monotonic() < until, "no alert came"
                time.sleep(0.2)
        finally:
            station.send_signal(signal.SIGINT)
            station.wait(60)
    told = json.loads(phone.received[0].body)
    assert told["data"]["rule"] == "fight"
    assert told["data"]["severity"] == "high"
