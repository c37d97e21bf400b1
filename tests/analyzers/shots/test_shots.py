"""What a user would miss: boundaries on real clips, to the frame, and none where a picture is only disturbed."""

from __future__ import annotations

import itertools
import json
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from analyzers.shots.conftest import mix, picture
from onlooker.analyzers.shots.analyzer import Shots
from onlooker.analyzers.shots.config import ShotsConfig
from onlooker.core.media import Frame, ReadRequest
from onlooker.sources import open_source
from onlooker.testing.analyzer import AnalyzerCase, check_analyzer
from onlooker.testing.drive import drive


def run(path, **config) -> list[Any]:
    return drive([Shots(ShotsConfig(**config))], open_source(str(path)))


def starts(path, **config):
    return [(o.span.start.seconds, o.data["transition"]) for o in run(path, **config) if o.kind == "shot"][1:]


def frames(path, **config):
    return [(round(at * 25), kind) for at, kind in starts(path, **config)]


def scores(found, truth):
    """(right, false, missed) with a tolerance of one frame."""
    spans = [(c, c) for c in truth["cuts"]] + [(a, b) for _, a, b in truth["gradual"]]
    right = sum(any(a - 1 <= at <= b + 1 for at in found) for a, b in spans)
    return right, len(found) - right, len(spans) - right


@pytest.mark.parametrize("level", ["exact", "fast"])
@pytest.mark.parametrize(
    "name", ["bikes.mp4", "rings_195.mp4", "megamind.avi", "hamilton.mp4", "montage_a.mp4", "montage_b.mp4"]
)
def test_labelled_clips_are_cut_as_labelled(data, name, level):
    path = data(f"shots/{name}")
    truth = json.loads(data("shots/gt.json").read_text())[name]
    source = open_source(str(path))
    times = [f.time.seconds for f in source.read(ReadRequest()) if isinstance(f, Frame)]
    found = [times.index(at) for at, _ in starts(path, level=level)]
    right, false, missed = scores(found, truth)
    if level == "exact":
        assert (false, missed) == (0, 0)
    else:
        assert false + missed <= 1
    assert right > 0


def test_shots_cover_the_whole_video_without_gap(data):
    path = data("shots/montage_b.mp4")
    shots = [o for o in run(path) if o.kind == "shot"]
    assert shots[0].span.start.value == 0
    assert shots[0].data["transition"] is None
    for number, (before, after) in enumerate(itertools.pairwise(shots)):
        assert before.span.end == after.span.start
        assert (before.data["index"], after.data["index"]) == (number, number + 1)
        assert after.data["transition"] in ("cut", "fade", "dissolve")
    assert shots[-1].span.end.value == pytest.approx(Fraction(795, 25))


def test_gradual_transitions_say_their_ends(data):
    shots = [o for o in run(data("shots/montage_a.mp4")) if o.data.get("transition") == "fade"]
    gradual = json.loads(data("shots/gt.json").read_text())["montage_a.mp4"]["gradual"]
    truth = [(first, last) for kind, first, last in gradual if kind == "fade_out_in"]
    for shot, (first, last) in zip(shots, truth, strict=True):
        assert abs(shot.data["transition_start_seconds"] * 25 - first) <= 6
        assert abs(shot.data["transition_end_seconds"] * 25 - last) <= 6
        assert first <= shot.span.start.seconds * 25 <= last


def test_a_dissolve_on_an_s_curve_is_one_boundary_in_its_middle(write):
    a, b = picture(1), picture(2)
    curve = [t * t * (3 - 2 * t) for t in np.linspace(0, 1, 22)[1:-1]]
    path = write([a] * 40 + [mix(a, b, t) for t in curve] + [b] * 40)
    ((at, kind),) = frames(path)
    assert kind == "dissolve"
    assert abs(at - 50) <= 1


@pytest.mark.parametrize("colour", [0, 255])
def test_a_fade_out_and_in_is_one_boundary(write, colour):
    a, b, flat = picture(3), picture(4), np.full_like(picture(3), colour)
    out = [mix(a, flat, t) for t in np.linspace(0, 1, 12)]
    into = [mix(flat, b, t) for t in np.linspace(0, 1, 12)]
    ((at, kind),) = frames(write([a] * 30 + out + [flat] * 10 + into + [b] * 30))
    assert kind == "fade"
    assert 30 <= at <= 64


def test_a_fade_through_minutes_of_black_is_one_boundary(write):
    a, b, black = picture(3), picture(4), np.zeros_like(picture(3))
    out = [mix(a, black, t) for t in np.linspace(0, 1, 12)]
    into = [mix(black, b, t) for t in np.linspace(0, 1, 12)]
    found = frames(write([a] * 30 + out + [black] * 1000 + into + [b] * 30))
    assert [kind for _, kind in found] == ["fade"]


def disturbed(name):
    """Pictures of one shot with something that fools detectors."""
    a = picture(5)
    black, white = np.zeros_like(a), np.full_like(a, 255)
    ramp = np.arange(256) / 255
    wide = np.concatenate([picture(6), picture(7)[:, ::-1], picture(6)[:, ::-1]], axis=1)
    return {
        "still": [a] * 60,
        "one frame": [a],
        "two frames": [a, picture(9)],
        "flash": [a] * 30 + [mix(a, white, 0.8)] * 2 + [a] * 30,
        "dropped frame": [a] * 30 + [black] + [a] * 30,
        "starts black": [black] * 2 + [a] * 60,
        "starts with a long black": [black] * 40 + [a] * 60,
        "fades in at the start": [mix(black, a, t) for t in np.linspace(0, 1, 20)] + [a] * 40,
        "fades out at the end": [a] * 40 + [mix(a, black, t) for t in np.linspace(0, 1, 20)],
        "exposure step": [a] * 30 + [(255 * ramp**1.3).astype(np.uint8)[a]] * 30,
        "exposure drift": [(255 * ramp ** (1 + i / 60)).astype(np.uint8)[a] for i in range(60)],
        "pan": [wide[:, i * 8 : i * 8 + 320] for i in range(70)],
        "all grey": [np.full_like(a, 90)] * 60,
    }[name]


@pytest.mark.parametrize(
    "name",
    [
        "still", "one frame", "two frames", "flash", "dropped frame", "starts black", "starts with a long black",
        "fades in at the start", "fades out at the end", "exposure step", "exposure drift", "pan",
        "all grey",
    ],
)  # fmt: skip
def test_what_only_disturbs_a_shot_does_not_end_it(write, name):
    assert frames(write(disturbed(name))) == []


def test_grey_video_is_cut_by_its_luma(write):
    pictures = [picture(1)] * 30 + [picture(2)] * 30
    assert frames(write(pictures, pix_fmt="gray", codec="ffv1", options={})) == [(30, "cut")]


def test_variable_frame_rate_keeps_exact_times(write):
    times = list(np.cumsum([0.0] + [0.04, 0.02, 0.1] * 20))[:60]
    found = starts(write([picture(1)] * 25 + [picture(2)] * 35, times=times))
    assert [kind for _, kind in found] == ["cut"]
    assert found[0][0] == pytest.approx(times[25], abs=0.0011)


def test_short_shots_are_kept_down_to_the_shortest_allowed(write):
    pictures = [p for seed in range(6) for p in [picture(seed)] * 10]
    path = write(pictures)
    assert [at for at, _ in frames(path)] == [10, 20, 30, 40, 50]
    assert len(frames(path, min_shot_seconds=1.0)) < 5


def test_fast_finds_the_exact_frame_of_a_cut_among_frames_that_it_skips(write):
    # scene-cut detection off: the cut falls between two reference frames
    options = {"preset": "medium", "bf": "3", "g": "250", "sc_threshold": "0", "b-adapt": "0"}
    for cut in (41, 42, 43):
        moving = [np.roll(picture(1), i, axis=1) for i in range(cut)]
        moving += [np.roll(picture(2), i, axis=1) for i in range(90 - cut)]
        assert frames(write(moving, options=options), level="fast") == [(cut, "cut")]


def keyframed(write, regular):
    pictures = []
    for seed, length in enumerate((61, 35, 83, 47, 72, 90)):
        pictures += [np.roll(picture(seed), i, axis=1) for i in range(length)]
    fixed = {"preset": "veryfast", "g": "25", "keyint_min": "25", "sc_threshold": "0"}
    return write(pictures, options=fixed if regular else {"preset": "veryfast", "g": "250"})


def test_index_claims_no_shots_where_keyframes_come_regularly(write):
    made = run(keyframed(write, regular=True), level="index")
    assert [(o.kind, o.label) for o in made] == [("cue", "keyframes_regular")]
    assert made[0].data["shots_claimed"] is False


def test_index_finds_the_cuts_where_keyframes_follow_them(write):
    made = run(keyframed(write, regular=False), level="index")
    assert made[0].label == "keyframes_follow_cuts"
    shots = [o for o in made if o.kind == "shot"]
    found = {round(o.span.start.seconds * 25) for o in shots}
    assert found <= {0, 61, 96, 179, 226, 298}
    assert len(found) >= 4
    assert shots[-1].span.end.seconds == pytest.approx(388 / 25, abs=0.1)


def test_measurements_are_small(data):
    analyzer = Shots(ShotsConfig())
    case = AnalyzerCase(lambda: [analyzer], open_source(str(data("shots/hamilton.mp4"))))
    for m in case.measurements["shots"][:3]:
        assert m.values.dtype == np.uint8
        assert m.values.nbytes < 900


@pytest.mark.parametrize("level", ["exact", "fast", "index"])
def test_contract(data, level):
    source = open_source(str(data("shots/montage_a.mp4")))
    check_analyzer(AnalyzerCase(lambda: [Shots(ShotsConfig(level=level))], source))
