"""Corruptions give the same again, keep the form, and are worse the higher their severity."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from onlooker.learning.datasets.manifest import Media
from onlooker.learning.datasets.media import frames_at, look_at, read_sound
from onlooker.learning.evaluate.corruptions import (
    PICTURES,
    SEVERITIES,
    SOUNDS,
    babble,
    corrupt_pictures,
    corrupt_sound,
)

RATE = 16_000


@pytest.fixture(scope="module")
def clip(data):
    path = sorted(data("fight_surv/fight").glob("*.mp4"))[4]
    media = look_at(path.parent, Media(path=path.name, kind="video"), digest=False)
    frames = frames_at(path, [Fraction(n, 6) for n in range(9)], media)
    return np.stack([f.image(64, 48) for f in frames])


@pytest.fixture(scope="module")
def sounds(data):
    paths = sorted(data("esc10/audio").glob("*.ogg"))
    heard = [read_sound(path, RATE, 1, 0.0, 2.0)[:, 0] for path in paths[:60:10]]
    return [sound for sound in heard if np.abs(sound).mean() > 0.005][:4]


def apart(one, other):
    return float(np.abs(one.astype(np.float64) - other).mean())


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("grey", [False, True])
def test_pictures(clip, name, grey):
    pictures = clip[..., :1] if grey else clip
    before = pictures.copy()
    made = [corrupt_pictures(name, pictures, severity, 7) for severity in SEVERITIES]
    assert np.array_equal(pictures, before), "the input was changed"
    again = [corrupt_pictures(name, pictures, severity, 7) for severity in SEVERITIES]
    assert all(np.array_equal(a, b) for a, b in zip(made, again, strict=True))
    assert all((m.shape, m.dtype) == (pictures.shape, np.uint8) for m in made)
    # of what is farther away less is left; the grey around it may happen to be nearer to what was there
    wrong = [float((m == 128).mean()) if name == "farther" else apart(pictures, m) for m in made]
    assert 0 < wrong[0] < wrong[1] < wrong[2]


def test_a_clip_is_changed_as_by_one_camera(clip):
    still = np.repeat(clip[:1], 4, 0)
    for name in set(PICTURES) - {"noise"}:
        made = corrupt_pictures(name, still, 2, 3)
        assert all(np.array_equal(made[0], frame) for frame in made), name


def test_chance_hangs_on_the_seed(clip):
    one, other = (corrupt_pictures("occlusion", clip, 1, seed) for seed in (1, 2))
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("name", SOUNDS)
def test_sounds(sounds, name):
    for sound in sounds:
        made = [corrupt_sound(name, sound, RATE, severity, 5) for severity in SEVERITIES]
        assert all((m.shape, m.dtype) == (sound.shape, np.float32) for m in made)
        assert all(np.isfinite(m).all() for m in made)
        assert np.array_equal(made[1], corrupt_sound(name, sound, RATE, 2, 5))
        wrong = [apart(sound, m) for m in made]
        assert wrong[0] < wrong[1] < wrong[2]


def test_babble_is_at_the_stated_level(sounds):
    sound = sounds[0] * 0.05 / np.abs(sounds[0]).max()
    for severity, ratio in zip(SEVERITIES, (10, 0, -10), strict=True):
        added = babble(sound, sounds[1:], severity, 3) - sound
        level = 10 * np.log10(np.mean(sound.astype(np.float64) ** 2) / np.mean(added.astype(np.float64) ** 2))
        assert level == pytest.approx(ratio, abs=0.2)


def test_silence_stays_silent():
    silence = np.zeros(4000, np.float32)
    for name in SOUNDS:
        assert not corrupt_sound(name, silence, RATE, 3, 0).any(), name
    assert not babble(silence, [np.ones(10, np.float32)], 3, 0).any()
