"""``onlooker clip`` and ``onlooker highlights`` give files that hold what was asked for, to the frame."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest

from cli.sample_library import run
from onlooker.core.media import Frame, ReadRequest
from onlooker.core.observation import Observation
from onlooker.core.store import Batch, Query, RunState
from onlooker.core.time import Span
from onlooker.reports.highlights import choose_highlights
from onlooker.sources import open_source
from onlooker.testing.export import Kept, status
from onlooker.testing.store_values import SOURCE, producer, source_info
from onlooker.timeline import open_store

BY = producer("made")


@pytest.fixture(scope="module")
def library(tmp_path_factory, data):
    """A library that knows shots of a silent and of a speaking video, beside the videos."""
    folder = tmp_path_factory.mktemp("clip")
    with closing(open_store(folder / "library")) as store:
        for name in ("shots/bikes.mp4", "clips/film_chaplin.mp4"):
            path = folder / name.rsplit("/", 1)[1]
            shutil.copyfile(data(name), path)
            source = open_source(str(path))
            store.add_source(source.info)
            found = [
                Observation(Span.of_seconds(Fraction(a), Fraction(b)), kind, label=label).of(source.info.id, BY, 0)
                for a, b, kind, label in (
                    (0, 3, "shot", None),
                    (3, 6, "shot", None),
                    (6, 9, "shot", None),
                    (1, 2, "track", "car"),
                    (Fraction(3, 2), 3, "track", "car"),
                    (5, 6, "track", "car"),
                    (6, 9, "cue", "black"),
                    (7, 7, "cue", "flash"),
                )
            ]
            store.commit(Batch(source.info.id, found, states=[RunState(BY, complete=True)]))
            source.close()
    return folder


def frames_of(path, start=None, end=None):
    """Times and pictures."""
    source = open_source(str(path))
    try:
        items = [i for i in source.read(ReadRequest()) if isinstance(i, Frame)]
        first, last = Fraction(start or 0), Fraction(end or 10**6)
        return [(i.time.value, np.array(i.image(), np.int16)) for i in items if first <= i.time.value < last]
    finally:
        source.close()


def same_picture(a, b, tolerance=6.0):
    return float(np.abs(a - b).mean()) < tolerance


def clip(library, *arguments):
    return run("clip", *arguments, "--library", library / "library")


@pytest.mark.parametrize(("start", "end"), [("2.52", "4.52"), ("0", "1"), ("9.52", "10")])
def test_exact_holds_the_frames_of_the_span(library, tmp_path, start, end):
    out = tmp_path / "part.mp4"
    assert clip(library, "bikes.mp4", "--from", start, "--to", end, "--exact", "-o", out) == 0
    expected = frames_of(library / "bikes.mp4", start, end)
    got = frames_of(out)
    assert len(got) == len(expected)
    for n in (0, 1, len(got) // 2, -1):
        assert same_picture(got[n][1], expected[n][1])
    assert [float(t) for t, _ in got] == pytest.approx([float(t) - float(start) for t, _ in expected], abs=1e-3)


def test_exact_begins_with_the_picture_on_show(library, tmp_path):
    """2.5 s lies within the frame of 2.48 s: it stands for the 20 ms that are left of it."""
    out = tmp_path / "part.mp4"
    assert clip(library, "bikes.mp4", "--from", "2.5", "--to", "3.5", "--exact", "-o", out) == 0
    expected, got = frames_of(library / "bikes.mp4", "2.48", "3.5"), frames_of(out)
    assert len(got) == len(expected)
    assert [float(t) for t, _ in got[:3]] == pytest.approx([0, 0.02, 0.06], abs=1e-3)
    assert same_picture(got[0][1], expected[0][1])


def test_exact_cuts_between_shots(library, tmp_path):
    """3.04 s is the first frame of another shot: none of it shows in a clip that ends there."""
    whole = frames_of(library / "bikes.mp4", 2, 4)
    cut = next(t for (t, a), (_, b) in zip(whole[1:], whole, strict=False) if not same_picture(a, b, 25))
    out = tmp_path / "shot.mp4"
    assert clip(library, "bikes.mp4", "--from", "2", "--to", str(float(cut)), "--exact", "-o", out) == 0
    pictures = [p for _, p in frames_of(out)]
    assert all(same_picture(a, b, 25) for a, b in zip(pictures[1:], pictures, strict=False))


def loudness(path, start=0.0, end=1e9):
    """Root mean square of each tenth of a second."""
    with av.open(str(path)) as opened:
        resampler = av.AudioResampler("flt", "mono", 16000)
        parts, at = [], None
        for frame in opened.decode(audio=0):
            if at is None:
                at = float(frame.time or 0)
            parts += [r.to_ndarray()[0] for r in resampler.resample(frame)]
    sound = np.concatenate([np.zeros(round(max(0.0, at or 0) * 16000), np.float32), *parts])
    sound = sound[round(start * 16000) : round(min(end, 1e4) * 16000)]
    sound = sound[: len(sound) // 160 * 160].reshape(-1, 160)
    return np.sqrt((sound**2).mean(1))


def lag(a, b):
    """By how many steps ``a`` comes later than ``b``."""
    n = min(len(a), len(b))
    a, b = a[:n] - a[:n].mean(), b[:n] - b[:n].mean()
    steps = range(-40, 41)
    return max(steps, key=lambda s: float(np.dot(a[max(0, s) : n + min(0, s)], b[max(0, -s) : n - max(0, s)])))


@pytest.mark.parametrize("how", [["--exact"], []])
def test_sound_stays_with_the_picture(library, tmp_path, how):
    out = tmp_path / "part.mp4"
    assert clip(library, "film_chaplin.mp4", "--from", "2.2", "--to", "5.2", *how, "-o", out) == 0
    first = frames_of(out)[0][1]
    # where the clip's first picture stands in the original
    source = frames_of(library / "film_chaplin.mp4", 0, 6)
    begin = min(source, key=lambda f: float(np.abs(f[1] - first).mean()))[0]
    if how:
        assert abs(float(begin) - 2.2) < 0.05
    lead = float(frames_of(out)[0][0])
    expected = loudness(library / "film_chaplin.mp4", float(begin) - lead, 5.2)
    assert abs(lag(loudness(out), expected)) <= 4  # hundredths of a second


def test_copy_plays_and_starts_at_a_keyframe(library, tmp_path, capsys):
    out = tmp_path / "part.mp4"
    assert clip(library, "bikes.mp4", "--from", "5.5", "--to", "7", "-o", out, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    (start, end) = told["spans"][0]
    assert not told["exact"]
    assert start <= 5.5
    assert end >= 7 - 0.04
    with av.open(str(out)) as opened:
        packets = [p for p in opened.demux(video=0) if p.size]
        assert packets[0].is_keyframe
    got, expected = frames_of(out), frames_of(library / "bikes.mp4", Fraction(str(start)), Fraction(str(end)))
    assert got[0][0] == 0
    for (_, a), (_, b) in zip(got, expected, strict=False):
        assert np.array_equal(a, b)  # packets are copied: the same pixels
    assert abs(len(got) - len(expected)) <= 1


def test_copy_says_that_it_is_not_exact(library, tmp_path, capsys):
    assert clip(library, "bikes.mp4", "--from", "5.5", "--to", "7", "-o", tmp_path / "a.mp4") == 0
    assert "--exact cuts to the frame" in capsys.readouterr().err


def test_spans_of_a_label_are_joined(library, tmp_path, capsys):
    out = tmp_path / "cars.mp4"
    assert clip(library, "bikes.mp4", "--kind", "track", "--label", "car", "--exact", "-o", out, "--json") == 0
    assert json.loads(capsys.readouterr().out)["spans"] == [[1, 3], [5, 6]]
    expected = [*frames_of(library / "bikes.mp4", 1, 3), *frames_of(library / "bikes.mp4", 5, 6)]
    got = frames_of(out)
    assert len(got) == len(expected)
    for n in (0, 49, 50, -1):
        assert same_picture(got[n][1], expected[n][1])


def test_several_copied_spans_play_through(library, tmp_path):
    out = tmp_path / "cars.mkv"
    assert clip(library, "bikes.mp4", "--label", "car", "-o", out) == 0
    times = [t for t, _ in frames_of(out)]
    assert times == sorted(set(times))
    assert max(b - a for a, b in pairwise(times)) < Fraction(1, 5)


def test_an_observation_by_its_id(library, tmp_path, capsys):
    with closing(open_store(library / "library", read_only=True)) as store:
        shot = next(iter(store.query(Query(kinds=("shot",), span=Span.of_seconds(4, 5)))))
        moment = next(iter(store.query(Query(labels=("flash",)))))
    assert clip(library, shot.id[:10], "--exact", "-o", tmp_path / "a.mp4", "--json") == 0
    assert json.loads(capsys.readouterr().out)["spans"] == [[3, 6]]
    assert clip(library, moment.id, "-o", tmp_path / "b.mp4") == 1
    assert "a moment, not a span" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bikes.mp4"], "say what to cut"),
        (["bikes.mp4", "--from", "3", "--to", "2"], "the span to cut is empty"),
        (["bikes.mp4", "--label", "zebra"], "no observation fits"),
        (["nothing.mp4", "--from", "1"], "no source is called"),
        (["bikes.mp4", "--from", "11", "--to", "12", "--exact"], "nothing to show between"),
        (["bikes.mp4", "--from", "11", "--to", "12"], "nothing to show between"),
    ],
)
def test_errors(library, tmp_path, capsys, arguments, said):
    assert clip(library, *arguments, "-o", tmp_path / "out.mp4") == 1
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_container_that_cannot_be_written(library, tmp_path, capsys):
    for how in ([], ["--exact"]):
        assert clip(library, "bikes.mp4", "--to", "1", *how, "-o", tmp_path / "out.nothing") == 1
        assert "no container has the suffix '.nothing'" in capsys.readouterr().err
        assert clip(library, "bikes.mp4", "--to", "1", *how, "-o", tmp_path / "out.webm") == 1
        assert "cannot make a " in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_original_is_gone_or_another(library, tmp_path, capsys, data):
    shutil.copytree(library / "library", tmp_path / "library")
    moved = library / "moved.mp4"
    (library / "bikes.mp4").rename(moved)
    try:
        assert clip(tmp_path, "bikes.mp4", "--to", "1", "-o", tmp_path / "o.mp4") == 1
        assert "is gone (put it back" in capsys.readouterr().err
        (library / "bikes.mp4").write_bytes(moved.read_bytes()[:-100])
        assert clip(tmp_path, "bikes.mp4", "--to", "1", "-o", tmp_path / "o.mp4") == 1
        assert "was changed since it was analysed" in capsys.readouterr().err
    finally:
        moved.replace(library / "bikes.mp4")


# -- highlights --


def test_a_reel_is_short_explained_and_without_black(library, tmp_path, capsys):
    out = tmp_path / "reel.mp4"
    arguments = ("bikes.mp4", "--library", library / "library", "--seconds", "4", "--height", "120", "-o", out)
    assert run("highlights", *arguments, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert all(end <= 6 for part in told["parts"] for end in part["span"])
    assert all(part["why"] for part in told["parts"])
    assert "car" in told["parts"][0]["why"]
    got = frames_of(out)
    assert len(got) <= 100
    assert len(got) == sum(round((b - a) * 25) for a, b in (p["span"] for p in told["parts"]))
    assert got[0][1].shape[0] == 120
    assert run("highlights", *arguments) == 0
    assert "car" in capsys.readouterr().out


def test_a_reel_needs_shots(tmp_path, data, capsys):
    source = open_source(str(data("shots/bikes.mp4")))
    with closing(open_store(tmp_path / "library")) as store:
        store.add_source(source.info)
    source.close()
    assert run("highlights", "bikes.mp4", "--library", tmp_path / "library", "-o", tmp_path / "r.mp4") == 1
    assert "has no shots to choose from" in capsys.readouterr().err


def seen(start, end, kind="shot", **fields):
    return Observation(Span.of_seconds(start, end), kind, **fields).of(SOURCE, BY, 0)


def chosen(observations, seconds):
    return choose_highlights(status(source_info()), Kept(observations).query, seconds)


def test_choice_prefers_what_happens_and_what_is_rare():
    shots = [seen(n * 4, n * 4 + 4) for n in range(6)]
    cars = [seen(n * 4, n * 4 + 4, "track", label="car", track=f"c{n}") for n in range(4)]
    dog = seen(8, 12, "track", label="dog", track="d")
    (best,) = chosen([*shots, *cars, dog], 4)
    assert best.span == Span.of_seconds(8, 12)
    assert best.why == ["car", "dog"]


def test_choice_avoids_bad_pictures_and_keeps_within_the_length():
    shots = [seen(n * 4, n * 4 + 4) for n in range(6)]
    black = [seen(0, 8, "cue", label="black"), seen(8, 9, "cue", label="frozen")]
    parts = chosen([*shots, *black], 11)
    assert sum(p.span.duration for p in parts) <= 11
    assert all(p.span.start.seconds >= 12 for p in parts)
    assert [p.span.start for p in parts] == sorted(p.span.start for p in parts)
    for a, b in pairwise(parts):
        assert a.span.end <= b.span.start


def test_choice_goes_around_black_within_a_shot():
    (part,) = chosen([seen(0, 60), seen(25, 35, "cue", label="black")], 6)
    assert part.span.duration == 6
    assert not part.span.overlaps(Span.of_seconds(25, 35))


def test_all_is_black():
    parts = chosen([seen(0, 4), seen(0, 4, "cue", label="black")], 10)
    assert len(parts) == 1  # better than nothing
    assert chosen([], 10) == []
