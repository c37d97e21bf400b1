"""One camera's analysis on real frames: what is dropped, what is stored, the gate, rotation, failures, watermarks."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from onlooker.core.errors import StoreError
from onlooker.core.media import AudioBlock, AudioInfo, ReadRequest, SourceInfo
from onlooker.core.store import Query
from onlooker.core.time import NANOSECONDS, Timestamp
from onlooker.live.analysis import AnalysisSettings, LiveAnalysis
from onlooker.live.settings import GateSettings
from onlooker.live.sitting import live_stages
from onlooker.pipeline.stages import select_stages
from onlooker.sources import open_source
from onlooker.timeline import open_store

PLUGINS = str(Path(__file__).resolve().parents[1] / "pipeline" / "plugins")
SECOND = 1_000_000_000
INFO = SourceInfo("ca" * 16, "yard", "live", None, None, None, (), True, {"creation_time": "2026-05-01T08:00:00+00:00"})


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    """As if the test analyzers were installed."""
    monkeypatch.syspath_prepend(PLUGINS)
    yield
    sys.modules.pop("onlooker_test_analyzers", None)


@pytest.fixture
def store(tmp_path):
    opened = open_store(tmp_path / "lib")
    opened.add_source(INFO)
    yield opened
    opened.close()


class At:
    """A decoded frame at another moment."""

    def __init__(self, frame, seconds):
        self._frame, self.time = frame, Timestamp(round(seconds * SECOND), NANOSECONDS)

    def __getattr__(self, name):
        return getattr(self._frame, name)


def pictures(path, count) -> list[Any]:
    source = open_source(str(path))
    frames = [f for f, _ in zip(source.read(ReadRequest(frames="all")), range(count), strict=False)]
    source.close()
    return frames


@pytest.fixture(scope="session")
def people(data):
    """24 pictures, about seven a second, of people who walk."""
    return pictures(data("mot_pets09_s2l1/video.mp4"), 24)


class Camera:
    """A `LiveAnalysis` that is fed and given turns by hand."""

    def __init__(self, store, only, *, profile=None, **settings):
        self.selection = live_stages(select_stages(profile or {}, "fast", only))
        self.decided = []
        self.store = store
        self.beats = []
        keeper = settings.pop("keeper", None)
        self.analysis = LiveAnalysis(
            INFO,
            self.selection,
            store,
            AnalysisSettings(**settings),
            decided=self.decided.append,
            beat=self.beats.append,
            keeper=keeper,
        )

    def see(self, frames, begin=0.0, rate=10.0, work=True):
        for number, frame in enumerate(frames):
            self.analysis.frame(cast(Any, At(frame, begin + number / rate)))
            if work:
                while self.analysis.work():
                    pass
        return begin + len(frames) / rate

    @property
    def made(self):
        return [o for d in self.decided for o in d.observations]

    def stored(self, **conditions):
        return list(self.store.query(Query(**conditions)))


def test_every_frame_is_analysed_or_counted_by_cause(store, people):
    camera = Camera(store, ["test_light"], rate=5.0)
    camera.see(people * 3, rate=20.0)
    camera.see(people, begin=10.0, rate=20.0, work=False)
    camera.analysis.allow(2.0, 2.0)
    camera.see(people, begin=20.0, rate=20.0)
    drops = camera.analysis.drops
    assert set(drops) == {"rate", "superseded", "load"}
    assert camera.analysis.looked + sum(drops.values()) == 5 * len(people)
    assert drops["rate"] == pytest.approx(0.75 * 5 * len(people), abs=5)
    assert drops["superseded"] >= 4
    assert camera.analysis.age is not None


def test_the_newest_frame_is_looked_at_however_many_came(store, people):
    camera = Camera(store, ["test_light"], rate=100.0)
    for turn in range(4):
        camera.see(people, begin=turn * 10.0, work=False)
        assert not camera.analysis.work()
        assert camera.analysis.latest == round((turn * 10.0 + (len(people) - 1) / 10) * SECOND)
    assert camera.analysis.looked == 4
    assert camera.analysis.drops == {"superseded": 4 * (len(people) - 1)}


def test_heavy_analyzers_wait_for_motion_and_light_ones_do_not(store, people):
    gate = GateSettings(glance=4.0, hold=1.0)
    camera = Camera(store, ["test_light", "test_slow"], rate=10.0, gate=gate)
    end = camera.see([people[0]] * 80)
    assert camera.analysis.looked == 80
    assert not camera.analysis.motion
    looks = {o.span.start for o in camera.stored(kinds=("object",))}
    assert len(looks) == 2  # the first picture, and one glance
    assert camera.analysis.drops["gate"] == 78
    camera.see(people[12:], begin=end)
    assert camera.analysis.motion
    assert len({o.span.start for o in camera.stored(kinds=("object",))}) > 5
    camera.analysis.finish(round(20 * SECOND))
    assert len(camera.stored(kinds=("step",))) == (80 + 12) // 10 + 1


def test_the_governor_slows_heavy_analyzers_down_first(store, people):
    camera = Camera(store, ["test_light", "test_slow"], rate=5.0)
    camera.analysis.allow(5.0, 1.0)
    camera.see(people * 2, rate=5.0)
    assert camera.analysis.looked == 48
    assert len({o.span.start for o in camera.stored(kinds=("object",))}) == pytest.approx(10, abs=1)


def test_measurements_are_not_stored_and_observations_are_stored_at_once(store, people):
    camera = Camera(store, ["test_light"], rate=100.0)
    for number, frame in enumerate(people):
        camera.see([frame], begin=number / 10)
        assert len(camera.stored()) == len(camera.made) == (number + 1) // 10
    (stage,) = camera.selection.stages
    assert list(store.measurements(INFO.id, stage.producer)) == []
    (state,) = store.states(INFO.id)
    assert not state.complete
    assert state.position is not None
    # the ledger has passed what is stored
    assert all(max(camera.beats) >= o.span.end.nanoseconds for o in camera.stored())


def test_a_sitting_is_flushed_and_another_goes_on(store, people):
    camera = Camera(store, ["test_light", "test_wishes"], rate=100.0, rotation=10.0)
    frames = people * 13
    end = camera.see(frames, begin=100.0)
    camera.analysis.finish(round(end * SECOND))
    steps = camera.stored(kinds=("step",))
    assert sum(round(float(o.span.duration) * 10) for o in steps) >= len(frames) - 10
    files = [p for o in steps for p in o.media]
    assert len(files) == len(set(files)) == len(steps)
    assert all((store.folder / p).is_file() for p in files)
    tallies = camera.stored(kinds=("tally",))
    assert len(tallies) == 4
    assert all(o.span.start.seconds >= 100.0 for o in tallies)
    assert sum(int(o.data["step"]) for o in tallies) == len(steps)  # pyright: ignore[reportArgumentType]


def test_one_that_fails_is_left_out_reported_and_tried_again(store, people):
    camera = Camera(store, ["test_light", "test_breaks"], rate=100.0, rotation=5.0)
    camera.see(people, rate=6.0)
    assert "planted" in camera.analysis.failing["test_breaks"]
    assert [f.analyzer for f in store.failures(INFO.id)] == ["test_breaks"]
    assert len(camera.stored(kinds=("step",))) == 2
    camera.see(people, begin=4.0, rate=6.0)
    camera.see(people[:1], begin=9.0)  # a new sitting has begun
    assert len(camera.stored(kinds=("step",))) >= 4
    assert camera.analysis.drops["failed"] == 2


def test_a_store_that_cannot_be_written_loses_nothing(store, people, monkeypatch):
    camera = Camera(store, ["test_light"], rate=100.0)
    commit = store.commit

    def full(batch):
        raise StoreError("disk full")

    monkeypatch.setattr(store, "commit", full)
    camera.see(people)
    assert camera.made == []
    assert camera.analysis.failing["store"] == "disk full"
    monkeypatch.setattr(store, "commit", commit)
    camera.see(people, begin=5.0)
    assert len(camera.stored(kinds=("step",))) == len(camera.made) == 4
    assert "store" not in camera.analysis.failing


def test_sound_reaches_those_who_hear(store, people):
    camera = Camera(store, ["test_light", "test_sound"], rate=100.0)
    assert camera.selection.audio is not None
    rate, block, _ = camera.selection.audio
    camera.analysis.begin(None, [AudioInfo(0, "aac", rate, 1)])
    length = int(rate * block)
    for number in range(6):
        sound = np.full((length, 1), number / 10, np.float32)
        camera.analysis.sound(AudioBlock(Timestamp(number * length, Fraction(1, rate)), sound, rate))
        camera.analysis.work()
    assert [round(o.score or 0, 2) for o in camera.stored(kinds=("loudness",))] == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    camera.see(people, begin=3.0)
    assert len(camera.stored(kinds=("step",))) == 2


def test_another_size_of_the_picture_opens_the_analyzers_anew(store, people, data):
    camera = Camera(store, ["test_light"], rate=100.0)
    camera.see(people[:5])
    other = pictures(data("clips/carphone.mp4"), 5)
    camera.see(other, begin=1.0)
    camera.analysis.finish(2 * SECOND)
    assert [round(float(o.span.duration), 1) for o in camera.stored(kinds=("step",))] != [1.0]
    assert len(camera.stored(kinds=("step",))) == 2
    assert camera.analysis.info.video is not None
    assert camera.analysis.info.video.width == other[0].width


def test_watermarks_hold_and_what_comes_late_says_so(store, people):
    camera = Camera(store, ["objects", "motion", "shots"], rate=10.0)
    end = camera.see(people, rate=7.0)
    camera.analysis.end_sitting()
    camera.analysis.work()
    end = camera.see(people[:12], begin=end, rate=7.0)
    camera.analysis.finish(round((end + 1) * SECOND))
    marks = {}
    kinds = set()
    for decided in camera.decided:
        for o in decided.observations:
            mark = marks.get(o.kind, 0)
            kinds.add(o.kind)
            assert o.span.start.nanoseconds >= mark or o.data["told_ns"] == mark
        for kind, mark in decided.marks.items():
            assert mark >= marks.get(kind, 0)
        marks = dict(decided.marks)
    assert {"object", "track", "motion", "shot"} <= kinds
    assert not any("told_ns" in o.data for o in camera.made if o.kind in ("object", "motion", "track"))
    tracks = {o.track for o in camera.made if o.track is not None}
    assert {t.split(".")[0] for t in tracks} == {"0", "3"}
    assert marks["object"] == round((end + 1) * SECOND)


def test_when_nothing_comes_what_is_held_back_is_told_and_time_goes_on(store, people):
    camera = Camera(store, ["test_light"], rate=100.0)
    camera.see(people[:15])
    assert len(camera.stored()) == 1
    camera.analysis.idle(5 * SECOND)
    camera.analysis.work()
    assert len(camera.stored()) == 1
    for now in (12, 13, 20):
        camera.analysis.idle(now * SECOND)
        camera.analysis.work()
    assert len(camera.stored()) == 2
    assert camera.decided[-1].marks["step"] == 15 * SECOND
    # a picture that the watermark has passed is not looked at
    camera.see(people[:1], begin=14.0)
    assert camera.analysis.drops["late"] == 1
    camera.see(people[:1], begin=16.0)
    assert camera.analysis.looked == 16


def test_what_cannot_run_live_is_left_out_with_a_reason():
    stages = select_stages({}, "fast", ["duplicates", "identity", "sounds", "sound_quality", "objects", "traffic"])
    selection = live_stages(stages)
    assert {"sounds", "objects", "traffic"} <= {s.name for s in selection.stages}
    assert set(selection.left_out) == {"duplicates", "identity", "sound_quality"}
    assert "recordings" in selection.left_out["duplicates"]
    assert "16000" in selection.left_out["sound_quality"]
    assert selection.audio == (16_000, Fraction(1), 1)


def test_privacy_is_kept(store, data):
    from onlooker.pipeline.profile import Privacy
    from onlooker.redaction.policy import PolicyKeeper

    frames = pictures(data("clips/talking_face_aoc_512.mp4"), 40)
    keeper = PolicyKeeper(Privacy(hide=("faces",)))
    camera = Camera(store, ["faces"], rate=25.0, keeper=keeper)
    camera.see(frames, rate=10.0)
    camera.analysis.finish(10 * SECOND)
    keeper.close()
    assert camera.stored(kinds=("face_track",))
    assert not any(o.media for o in camera.stored())
    assert not list((store.folder / "media").rglob("*.jpg"))


def test_what_lasts_is_told_while_it_lasts(store, people):
    import av

    from onlooker.sources.frame import DecodedFrame

    settings = {"quality": {"camera": "fixed", "longest_seconds": 5.0}, "motion": {"longest_seconds": 5.0}}
    camera = Camera(store, ["quality", "motion"], profile=settings, rate=5.0)
    end = camera.see([people[0]] * 60, rate=5.0)
    grey = np.full((576, 768, 3), 70, np.uint8)
    hand = DecodedFrame(av.VideoFrame.from_ndarray(grey, format="rgb24"), people[0].time, Fraction(0))
    end = camera.see([hand] * 75, begin=end, rate=5.0)
    covered = [o.span for o in camera.stored(kinds=("cue",), labels=("camera_covered",))]
    assert len(covered) == 2
    assert covered[0].start.seconds == pytest.approx(12.0, abs=1.1)
    assert covered[0].end == covered[1].start
    end = camera.see(people * 2, begin=end, rate=5.0)
    moved = camera.stored(kinds=("motion",), labels=("active",))
    assert moved
    camera.analysis.finish(round((end + 1) * SECOND))
    assert len(camera.stored(kinds=("cue",), labels=("camera_covered",))) == 3
    assert not any("told_ns" in o.data for o in camera.made)
