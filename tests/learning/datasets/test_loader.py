"""The loader gives the right pixels in a stated order, whoever decodes, and its cache is bounded and survives kills."""

# what may be None in general is there in these tests
# pyright: reportOptionalMemberAccess=false, reportOptionalSubscript=false, reportOptionalIterable=false
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from fractions import Fraction

import numpy as np
import pytest

from learning.datasets.conftest import imported
from onlooker.core.errors import SourceError, UsageError
from onlooker.core.media import ReadRequest
from onlooker.learning.datasets.clip_cache import ClipCache
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.loader import Loader
from onlooker.learning.datasets.manifest import Media, Sample, Task
from onlooker.learning.datasets.media import frames_at, look_at, read_sound
from onlooker.learning.datasets.preparation import Pictures, Preparation, Sound
from onlooker.learning.datasets.preparing import prepare_dataset
from onlooker.sources import open_source

HOW = Preparation(pictures=Pictures(frames=4, width=48, height=32, crop="none"))
MEGABYTE = 1 << 20


def pixels(clips):
    return {c.sample.id: c.pictures.copy() for c in clips}


def same(first, second):
    assert list(first) == list(second)
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name])


def test_workers_give_what_one_process_gives(fights, tmp_path):
    with Loader(fights, HOW, seed=3) as alone:
        expected = pixels(alone.epoch(1))
        assert list(expected) == [alone.samples[n].id for n in alone.order(1)]
        assert alone.order(0) != alone.order(1)
    with Loader(fights, HOW, seed=3, workers=2) as many:
        same(pixels(many.epoch(1)), expected)
        assert (many.decoded, many.cached) == (12, 0)
        batches = list(many.batches(1, size=5))
        assert [len(b) for b in batches] == [5, 5, 2]
        # a run that was stopped goes on where it was
        assert [c.sample.id for b in many.batches(1, size=5, start=1) for c in b] == list(expected)[5:]
    with (
        ClipCache(tmp_path / "cache", 64 * MEGABYTE) as cache,
        Loader(fights, HOW, seed=3, workers=2, cache=cache) as kept,
    ):
        same(pixels(kept.epoch(1)), expected)
        same(pixels(kept.epoch(1)), expected)
        assert (kept.decoded, kept.cached) == (12, 12)
    with ClipCache(tmp_path / "cache", 64 * MEGABYTE) as cache, Loader(fights, HOW, seed=3, cache=cache) as later:
        same(pixels(later.epoch(1)), expected)
        assert (later.decoded, later.cached) == (0, 12)
    assert not list((tmp_path / "cache").glob("*.tmp"))


def test_frames_are_those_that_are_shown(data, media):
    """Each picture is the frame that a whole read shows at its time."""
    names = [
        "fight_surv/fight/fi001.mp4",
        "fight_surv/fight/fi005.mp4",
        "clips/action_exercise_kth_like.avi",
        "clips/help.mkv",
    ]
    for path in [media / "walk.mp4", media / "talk.mpg", *map(data, names)]:
        medium = look_at(path.parent, Media(path=path.name, kind="video"))
        source = open_source(str(path))
        whole = list(source.read(ReadRequest()))
        moments = [Fraction(n, 7) for n in range(3, 60, 11)]
        for moment, frame in zip(moments, frames_at(path, moments, medium), strict=True):
            shown = [f for f in whole if f.time.value <= moment + Fraction(1, 1000)][-1]
            assert frame.time == shown.time
            np.testing.assert_array_equal(frame.luma(), shown.luma())


def test_late_moments_are_found_by_seeking(media):
    medium = look_at(media, Media(path="walk.mp4", kind="video"))
    whole = list(open_source(str(media / "walk.mp4")).read(ReadRequest()))
    (frame,) = frames_at(media / "walk.mp4", [Fraction(15)], medium)
    assert frame.time == whole[150].time
    np.testing.assert_array_equal(frame.luma(), whole[150].luma())
    (last,) = frames_at(media / "walk.mp4", [Fraction(99)], medium)
    assert last.time == whole[-1].time


def one(media, tmp_path, sample, how):
    dataset = Dataset.create(tmp_path / "one", name="one", tasks={"things": Task(kind="boxes", classes=("dog",))})
    dataset.info = dataset.info.model_copy(update={"root": str(media)})
    facts = tuple(look_at(media, m) for m in sample.media)
    dataset.put([sample.model_copy(update={"media": facts})])
    with Loader(dataset, how) as loader:
        return loader.clip(0)


def test_a_span_is_cut_out_and_rates_are_kept(media, tmp_path):
    video = Media(path="walk.mp4", kind="video")
    how = Preparation(pictures=Pictures(rate=5, width=36, height=24, crop="none"))
    clip = one(media, tmp_path, Sample(id="1", media=(video,), span=(2, 4)), how)
    assert clip.pictures.shape == (10, 24, 36, 3)
    assert clip.times.tolist() == pytest.approx([2 + n / 5 for n in range(10)], abs=1e-6)


@pytest.mark.parametrize("crop", ["none", "centre", "pad", "box"])
@pytest.mark.parametrize("file", ["one.jpg", "walk.mp4"])
def test_every_crop_has_the_size_that_was_asked_for(media, tmp_path, crop, file):
    how = Preparation(pictures=Pictures(frames=2, width=40, height=64, crop=crop, colour="grey"))
    box = {"label": "dog", "box": [0.2, 0.2, 0.5, 0.6]}
    kind = "image" if file == "one.jpg" else "video"
    clip = one(media, tmp_path, Sample(id="1", media=(Media(path=file, kind=kind),), labels={"things": [box]}), how)
    assert clip.pictures.shape == (1 if kind == "image" else 2, 64, 40, 1)
    assert clip.pictures.std() > 5


def test_sound_has_the_length_that_was_asked_for(media, tmp_path):
    audio = Media(path="bark.ogg", kind="audio")
    how = Preparation(pictures=None, sound=Sound(rate=8000, seconds=6))
    clip = one(media, tmp_path, Sample(id="1", media=(audio,)), how)
    whole = read_sound(media / "bark.ogg", 8000)
    assert clip.sound.shape == (48000, 1)
    first = (48000 - len(whole)) // 2
    np.testing.assert_array_equal(clip.sound[first : first + len(whole)], whole)
    assert not clip.sound[:first].any()


def test_a_sample_that_cannot_be_decoded_is_named_or_skipped(fight_folder, tmp_path):
    dataset = imported(tmp_path / "own", "folders", fight_folder, copy=True)
    dataset.path(dataset.samples[2].media[0]).write_bytes(b"gone")
    for workers in (0, 1):
        with Loader(dataset, HOW, workers=workers) as loader, pytest.raises(SourceError, match=dataset.samples[2].id):
            list(loader.epoch())
        with Loader(dataset, HOW, workers=workers, on_error="skip") as loader:
            assert len(list(loader.epoch())) == 11
            assert list(loader.failures) == [dataset.samples[2].id]


def test_a_killed_worker_costs_nothing(fights):
    with Loader(fights, HOW) as alone:
        expected = pixels(alone.epoch())
    with Loader(fights, HOW, workers=2) as loader:
        clips = loader.epoch()
        first = next(clips)
        assert loader._pool is not None
        for process in list(loader._pool._processes.values()):
            with suppress(ProcessLookupError):  # the pool ends the others once it misses one
                os.kill(process.pid, signal.SIGKILL)
        got = {first.sample.id: first.pictures.copy(), **pixels(clips)}
        same(got, expected)


def test_shards_cover_an_epoch_once(fights):
    orders = [Loader(fights, HOW, shard=(n, 3)).order(4) for n in range(3)]
    assert sorted(n for order in orders for n in order) == list(range(12))


# -- the cache --


def array(seed, kilobytes=100):
    return {
        "pictures": np.random.default_rng(seed).integers(0, 256, (kilobytes, 32, 32), np.uint8),
        "times": np.arange(3.0),
    }


def key(n):
    return n.to_bytes(16, "big")


def test_the_cache_is_bounded_and_keeps_what_it_has(tmp_path):
    with ClipCache(tmp_path, 8 * MEGABYTE) as cache:
        kept = [n for n in range(200) if cache.put(key(n), array(n)) is not None]
        assert kept == list(range(len(kept)))
        assert 60 <= len(kept) <= 80
        assert sum(f.stat().st_size for f in tmp_path.iterdir()) <= 8 * MEGABYTE
        for n in (0, len(kept) - 1):
            np.testing.assert_array_equal(cache.read(key(n))["pictures"], array(n)["pictures"])
    # what nobody used since the cache was opened makes room, the longest unused first
    time.sleep(0.1)
    with ClipCache(tmp_path, 8 * MEGABYTE) as cache:
        assert len(cache) == len(kept)
        assert cache.read(key(0)) is not None
        new = [n for n in range(1000, 1200) if cache.put(key(n), array(n)) is not None]
        assert new
        assert cache.read(key(0)) is not None
        assert cache.read(key(40)) is None
        assert sum(f.stat().st_size for f in tmp_path.iterdir()) <= 8 * MEGABYTE


def test_arrays_stay_readable_after_the_cache_is_closed(tmp_path):
    with ClipCache(tmp_path, 8 * MEGABYTE) as cache:
        cache.put(key(1), array(1))
        held = cache.read(key(1))["pictures"]
    for file in tmp_path.glob("*.clips"):
        file.unlink()
    np.testing.assert_array_equal(held, array(1)["pictures"])
    with pytest.raises(ValueError, match="read-only"):
        held[0] = 1


def test_damage_is_seen_and_never_given(tmp_path):
    with ClipCache(tmp_path, 8 * MEGABYTE) as cache:
        places = [cache.put(key(n), array(n)) for n in range(3)]
    (file,) = tmp_path.glob("*.clips")
    body = bytearray(file.read_bytes())
    body[places[1].offset + 5000] ^= 1
    file.write_bytes(bytes(body[: places[2].offset + 9000]))
    with ClipCache(tmp_path, 8 * MEGABYTE) as cache:
        np.testing.assert_array_equal(cache.read(key(0))["pictures"], array(0)["pictures"])
        assert cache.read(key(1)) is None
        assert cache.find(key(2)) is None
        assert cache.put(key(1), array(1)) is not None
        np.testing.assert_array_equal(cache.read(key(1))["pictures"], array(1)["pictures"])


WRITER = """
import sys, time, numpy as np
from pathlib import Path
from onlooker.learning.datasets.clip_cache import ClipCache
cache = ClipCache(Path(sys.argv[1]), 64 << 20)
for n in range(300):  # the cache does not get full, however late it is killed
    data = np.random.default_rng(n).integers(0, 256, (100, 32, 32), np.uint8)
    assert cache.put(n.to_bytes(16, "big"), {"pictures": data}) is not None
    print(n, flush=True)
time.sleep(600)
"""


def test_a_killed_writer_leaves_whole_clips(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    told = [int(process.stdout.readline()) for _ in range(12)]
    process.kill()
    process.wait()
    process.stdout.close()
    with ClipCache(tmp_path, 64 * MEGABYTE) as cache:
        assert len(cache) >= len(told)
        for n in told:
            np.testing.assert_array_equal(cache.read(key(n))["pictures"], array(n)["pictures"])
        # what the writer had set aside is given back
        assert cache.bytes_used() < (len(cache) + 1) * 120_000
        assert cache.put(key(99_999), array(5)) is not None


def test_two_processes_share_a_cache(tmp_path):
    with ClipCache(tmp_path, 64 * MEGABYTE) as first, ClipCache(tmp_path, 64 * MEGABYTE) as second:
        first.put(key(1), array(1))
        second.put(key(2), array(2))
        assert second.find(key(1)) is None
        second.refresh()
        np.testing.assert_array_equal(second.read(key(1))["pictures"], array(1)["pictures"])
        assert len(list(tmp_path.glob("*.clips"))) == 2


def test_a_cache_that_is_too_small_is_refused(tmp_path):
    with pytest.raises(UsageError, match="too small"):
        ClipCache(tmp_path, 1000)


# -- prepared datasets --


def test_a_prepared_dataset_has_measured_facts_and_new_names(fights, tmp_path):
    made, report = prepare_dataset(
        fights, tmp_path / "ready", HOW, rename={"action.noFight": "calm"}, cache_bytes=64 * MEGABYTE
    )
    assert made.info.tasks["action"].classes == ("fight", "calm")
    again = Dataset.load(tmp_path / "ready")
    assert {s.labels["action"] for s in again.samples} == {"fight", "calm"}
    with Loader(fights, HOW, shuffle=False) as loader:
        whole = np.concatenate([c.pictures.reshape(-1, 3) for c in loader.epoch()]) / 255
    facts = again.info.prepare.normalise
    np.testing.assert_allclose(facts.mean, whole.mean(0), atol=1e-5)
    np.testing.assert_allclose(facts.deviation, whole.std(0), atol=1e-5)
    assert (report.decoded, report.kept, facts.samples) == (12, 12, 12)
    with ClipCache(tmp_path / "ready" / "cache", 64 * MEGABYTE) as cache, Loader(again, cache=cache) as loader:
        assert len(list(loader.epoch())) == 12
        assert (loader.decoded, loader.cached) == (0, 12)
    with pytest.raises(UsageError, match=r"there is no class 'action.x'"):
        prepare_dataset(fights, tmp_path / "other", HOW, rename={"action.x": "y"})
    dropped, _ = prepare_dataset(fights, tmp_path / "third", HOW, rename={"action.noFight": "-"})
    assert sum("action" in s.labels for s in dropped.samples) == 6
