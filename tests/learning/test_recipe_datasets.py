"""The datasets of the shipped recipes: what is on which side, and the same on every run."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from onlooker.core.errors import UsageError
from onlooker.learning.datasets.checking import check_dataset
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.media import look_at

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))
recipe_datasets: Any = importlib.import_module("recipe_datasets")
recipe_digits: Any = importlib.import_module("recipe_digits")
recipe_moods: Any = importlib.import_module("recipe_moods")
recipe_motions: Any = importlib.import_module("recipe_motions")


def empty(folder):
    return Dataset.create(folder, name=folder.name)


def errors(dataset):
    """All that is wrong with it, leaks between sides among it."""
    report = check_dataset(dataset, near_duplicates=False)
    return [f.message for f in report.findings if f.level == "error"]


def counts(dataset):
    return {side: len(dataset.of_split(side)) for side in dataset.info.splits}


@pytest.fixture(scope="module")
def digits(data, tmp_path_factory):
    made = empty(tmp_path_factory.mktemp("sets") / "digits")
    recipe_digits.make_digits(data("av_digits").parent, made, {"train": 60, "val": 20, "test": 40})
    return made


class TestDigits:
    def test_images_and_recordings_are_on_one_side_only(self, digits):
        assert counts(digits) == {"train": 60, "val": 20, "test": 40}
        assert errors(digits) == []
        assert digits.info.overlap == ("speaker",)
        assert all(set(s.groups) == {"image", "recording", "speaker"} for s in digits.samples)

    def test_digits_are_alike_often_and_pairs_are_of_one_digit(self, digits, data):
        with np.load(data("av_digits/mnist_t10k_part.npz")) as held:
            seen = held["labels"]
        with np.load(data("av_digits/fsdd.npz")) as held:
            heard = held["digits"]
        assert set(Counter(s.labels["digit"] for s in digits.of_split("train")).values()) == {6}
        for sample in digits.samples:
            said = int(sample.labels["digit"])
            assert seen[int(sample.groups["image"])] == heard[int(sample.groups["recording"])] == said

    def test_facts_are_those_of_the_files(self, digits):
        for media in digits.samples[0].media:
            assert look_at(digits.root, media.model_copy(update={"digest": None})) == media

    def test_images_keep_a_quarter_of_the_energy(self, data):
        with np.load(data("av_digits/mnist_t10k_part.npz")) as held:
            images = held["images"][:3000]
        made = recipe_digits.degraded(images, np.arange(2000)).astype(float)
        flat = made[:2000].reshape(2000, -1)
        kept = flat.var(0).sum() / images[:2000].reshape(2000, -1).astype(float).var(0).sum()
        assert 0.22 < kept < 0.31  # whole components, and clipped to 0..255

    def test_speech_is_ten_decibels_below_the_babble(self, data):
        speech = recipe_digits.Speech(data("av_digits/fsdd.npz"))
        voices = speech.voices(np.arange(300, 700))
        said = speech.sounds[3][: recipe_digits.RATE]
        start = (recipe_digits.RATE - len(said)) // 2
        shares: list[float] = []
        for seed in range(60):
            mixed = speech.spoken(3, voices, np.random.default_rng(seed))
            assert recipe_digits.loudness(mixed) == pytest.approx(recipe_digits.LOUDNESS, rel=1e-3)
            # how much of the mixture is the recording; what babble has of it by chance averages out
            middle = mixed[start : start + len(said)]
            shares.append(float(middle @ said) / float(said @ said) * recipe_digits.loudness(said))
        share = float(np.mean(shares))
        spoken = share**2 * len(said) / recipe_digits.RATE
        ratio = 10 * np.log10(spoken / (recipe_digits.LOUDNESS**2 - spoken))
        assert ratio == pytest.approx(-10, abs=0.7)

    def test_it_goes_on_where_it_was_broken_off(self, digits, data, tmp_path):
        again = empty(tmp_path / "digits")
        recipe_digits.make_digits(data("av_digits").parent, again, {"train": 3})
        broken = again.folder / again.samples[1].media[1].path
        whole = broken.read_bytes()
        broken.write_bytes(whole[:100])
        recipe_digits.make_digits(data("av_digits").parent, again, {"train": 3})
        assert broken.read_bytes() == whole


@pytest.fixture(scope="module")
def motions(data, tmp_path_factory):
    made = empty(tmp_path_factory.mktemp("sets") / "motions")
    recipe_motions.make_motions(data("clips").parent, made, {"train": 8, "val": 8, "test": 8})
    return made


class TestMotions:
    def test_footage_is_on_one_side_only_and_motions_are_alike_often(self, motions):
        assert errors(motions) == []
        for side in ("train", "val", "test"):
            assert [s.labels["motion"] for s in motions.of_split(side)] == list(recipe_motions.MOTIONS)

    def test_clips_are_a_second_of_sixteen_frames(self, motions):
        media = motions.samples[0].media[0]
        assert (media.width, media.height, media.rate, media.seconds) == (96, 96, "16", 1.0)
        with av.open(str(motions.path(media))) as container:
            assert len(list(container.decode(video=0))) == 16

    @pytest.mark.parametrize("pair", recipe_motions.PAIRS)
    def test_the_opposite_motion_is_the_same_path_backwards(self, pair):
        frames = np.zeros((1, 160, 160, 3), np.uint8)
        first, second = (recipe_motions.clip(m, frames, np.random.default_rng(4)) for m in pair)
        assert all(np.array_equal(a, b) for a, b in zip(first, second[::-1], strict=True))
        assert not np.array_equal(first[0], first[-1])

    def test_motions_are_as_they_are_called(self):
        frames = np.zeros((1, 160, 160, 3), np.uint8)
        for seed in range(4):
            shown = {m: recipe_motions.clip(m, frames, np.random.default_rng(seed)) for m in recipe_motions.MOTIONS}
            lit = {m: [f.max(2) > 8 for f in held] for m, held in shown.items()}
            middle = {m: [np.argwhere(f).mean(0) for f in lit[m]] for m in ("right", "clockwise")}
            assert middle["right"][0][1] < middle["right"][-1][1]
            assert lit["approach"][0].sum() < lit["approach"][-1].sum()
            assert not lit["appear"][0].any() or lit["appear"][0].sum() < lit["appear"][-1].sum()
            first, second = (middle["clockwise"][n] - 47.5 for n in (0, 3))
            assert first[1] * second[0] - first[0] * second[1] > 0  # y points down


def test_expression_has_no_person_on_two_sides(data, tmp_path):
    made = recipe_datasets.make("expression", data("ckplus48").parent, tmp_path)
    assert sum(counts(made).values()) == 729
    people = {side: {s.groups["person"] for s in made.of_split(side)} for side in made.info.splits}
    assert not people["train"] & people["test"]
    assert not people["train"] & people["val"]
    assert errors(made) == []
    again = recipe_datasets.make("expression", data("ckplus48").parent, tmp_path / "again")
    assert [(s.id, s.split) for s in again.samples] == [(s.id, s.split) for s in made.samples]


def test_ped2_has_the_original_parts_with_what_is_abnormal(data, tmp_path):
    made = recipe_datasets.make("ped2", data("ucsd_ped2").parent, tmp_path)
    assert counts(made) == {"train": 16, "test": 7}
    assert all(s.labels["abnormal"] == () for s in made.of_split("train"))
    first = next(s for s in made.samples if "Test001" in s.id).labels["abnormal"][0]
    assert (first.start, first.end) == (6.0, 18.0)  # frames 61 to 180 of 10 a second
    assert errors(made) == []


def test_one_that_is_whole_is_left_as_it_is_and_one_without_sources_is_refused(data, tmp_path):
    (tmp_path / "sounds").mkdir()
    with pytest.raises(UsageError, match="holds no dataset"):
        recipe_datasets.make("sounds", data("esc10").parent, tmp_path)
    with pytest.raises(UsageError, match="there is no folder"):
        recipe_datasets.make("faces", tmp_path, tmp_path)
    made = recipe_datasets.make("ped2", data("ucsd_ped2").parent, tmp_path)
    stamp = (made.folder / "dataset.yaml").stat().st_mtime_ns
    assert recipe_datasets.make("ped2", tmp_path / "nowhere", tmp_path).samples == made.samples
    assert (made.folder / "dataset.yaml").stat().st_mtime_ns == stamp


def test_the_command_lists_and_refuses(tmp_path):
    def run(*words):
        return subprocess.run(
            [sys.executable, str(SCRIPTS / "recipe_datasets.py"), *words], capture_output=True, text=True, check=False
        )

    listed = run("--list")
    assert listed.returncode == 0
    assert [line.split()[0] for line in listed.stdout.splitlines()] == list(recipe_datasets.RECIPES)
    wrong = run("gibberish")
    assert wrong.returncode == 2
    assert "gibberish? there are cifar10, digits" in wrong.stderr
    missing = run("ped2", "--data", str(tmp_path), "--into", str(tmp_path / "made"))
    assert missing.returncode == 1
    assert "there is no folder" in missing.stderr
    assert not (tmp_path / "made" / "ped2").exists()


class TestMoods:
    def test_pairs_are_of_one_mood_and_no_person_or_actor_is_on_two_sides(self, data, tmp_path):
        root = data("ckplus48").parent
        parts = []
        for name, fill in (("faces", recipe_datasets.make_expression), ("voices", recipe_datasets.make_emotion)):
            parts.append(empty(tmp_path / "moods" / name))
            fill(root, parts[-1])
        made = empty(tmp_path / "moods")
        recipe_moods.pair_moods(made, *parts, {"train": 24, "val": 12, "test": 12})
        assert counts(made) == {"train": 24, "val": 12, "test": 12}
        assert errors(made) == []
        assert set(Counter(s.labels["mood"] for s in made.of_split("test")).values()) == {2}
        truth = [{m.path: s for s in part.samples for m in s.media} for part in parts]
        for sample in made.samples:
            face, voice = (
                held[Path(m.path).relative_to(name).as_posix()]
                for held, m, name in zip(truth, sample.media, ("faces", "voices"), strict=True)
            )
            mood = sample.labels["mood"]
            assert face.labels["expression"] == recipe_moods.FACES.get(mood, mood)
            assert voice.labels["emotion"] == recipe_moods.MOODS[mood]
