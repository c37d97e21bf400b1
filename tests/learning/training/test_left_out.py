"""Samples that lack what a task is learned from, files that are broken, and who is told of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
import torch

from learning._tiny import tiny_dataset, tiny_recipe
from onlooker.cli.main import main
from onlooker.core.errors import SourceError, UsageError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import Media, Sample
from onlooker.learning.run_folder import RunFolder, load_model
from onlooker.learning.training.train import train

PICTURE = {"network": "frame_cnn", "widths": [4, 8], "stem": 1}
EAR = {"network": "audio_cnn", "widths": [4, 8]}
SIDE = {"side": {"head": "classification"}}
TRAINING = {"epochs": 2, "batch": 4, "threads": 1, "workers": 0, "cache": 0, "keep": "last", "precision": "float32"}


def heard(folder: Path, *, every: int = 1, silent_unknown: bool = False) -> Dataset:
    """The tiny dataset with a tone that tells ``side`` too, in the first two of so many samples in a row.

    Args:
        folder: where.
        every: of how many.
        silent_unknown: the samples without a tone have no labels.
    """
    made = tiny_dataset(folder, count=48)
    random = np.random.default_rng(0)
    samples = []
    for n, sample in enumerate(made.samples):
        if n % every < 2:
            tone = np.sin(2 * np.pi * (300 + 600 * (n % 2)) * np.arange(4000) / 8000) * 8000
            with wave.open(str(folder / f"{n}.wav"), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(8000)
                file.writeframes((tone + random.normal(0, 500, 4000)).astype(np.int16).tobytes())
            sound = Media(path=f"{n}.wav", kind="audio", seconds=0.5, sound=8000)
            samples.append(sample.model_copy(update={"media": (*sample.media, sound)}))
        elif silent_unknown:
            samples.append(sample.model_copy(update={"labels": {}}))
    made.put(samples)
    made.save()
    return made


def answers(run: Path, name: str = "predictions.npz") -> dict[str, np.ndarray]:
    with np.load(run / name) as held:
        return {k: held[k] for k in held.files}


@pytest.mark.parametrize("in_memory", [True, False])
def test_samples_without_any_input_are_left_out(tmp_path: Path, in_memory: bool) -> None:
    training = {**TRAINING, "in_memory": in_memory}
    changes = {"inputs": {"ear": EAR}, "tasks": SIDE, "augment": {}, "training": training}
    changes["prepare"] = {"sound": {"rate": 8000}}
    half = heard(tmp_path / "half", every=4)
    alone = heard(tmp_path / "alone", every=4, silent_unknown=True)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    train(tiny_recipe(tmp_path / "a", half.folder, **changes), out=tmp_path / "with", bundle=False)
    train(tiny_recipe(tmp_path / "b", alone.folder, **changes), out=tmp_path / "without", bundle=False)
    mixed, pure = answers(tmp_path / "with"), answers(tmp_path / "without")
    assert mixed["ids"].tolist() == pure["ids"].tolist() == ["40", "41", "44", "45"]
    if in_memory:
        # streamed, an epoch's order is that of all samples
        assert np.array_equal(mixed["raw.side"], pure["raw.side"])
    found = json.loads((tmp_path / "with" / "left_out.json").read_text())
    assert {part: (held["samples"], len(held["bare"])) for part, held in found.items()} == {
        "train": (32, 16), "val": (8, 4), "test": (8, 4)
    }  # fmt: skip
    page = (tmp_path / "with" / "report.html").read_text()
    assert "16 of 32 samples of the part" in page
    assert not (tmp_path / "without" / "left_out.json").exists()


def test_a_task_is_neither_learned_nor_judged_without_its_own_sense(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = heard(tmp_path / "half", every=4)
    recipe = tiny_recipe(
        tmp_path, data.folder, inputs={"picture": PICTURE, "ear": EAR}, fusion={"kind": "gated", "size": 8}, augment={},
        tasks={"heard": {"head": "classification", "of": "side", "inputs": ["ear"]}, **SIDE}, training=TRAINING,
        prepare={"pictures": {"frames": 1, "width": 16, "height": 16}, "sound": {"rate": 8000}},
    )  # fmt: skip
    with pytest.raises(SystemExit, match="0"):
        main(["train", str(recipe), "--out", str(tmp_path / "run"), "--no-bundle"])
    found = answers(tmp_path / "run")
    assert found["ids"].tolist() == [str(n) for n in range(40, 48)]
    assert found["known.heard"].tolist() == [n % 4 < 2 for n in range(40, 48)]
    assert found["known.side"].all()
    said = capsys.readouterr()
    told = "16 of 32 samples of the part 'train' have a label of heard and no ear, from which alone it is learned"
    assert told in said.err
    assert told in said.out


def test_what_a_task_lacks_does_not_count_in_its_weights_and_chances(tmp_path: Path) -> None:
    def silent(sample: Sample, side: dict[str, str], weights: dict[str, float]) -> Sample:
        if sample.of_kind("audio") is not None:
            return sample
        return sample.model_copy(update={"labels": {**side, "shade": 0.5}, "weights": weights})

    changes = {"left": ({"side": "left"}, {"side": 5.0}), "unknown": ({}, {})}
    for name, change in changes.items():
        data = heard(tmp_path / name, every=4)
        data.put([silent(s, *change) for s in data.samples])
        data.save()
        (tmp_path / f"{name}s").mkdir()
        recipe = tiny_recipe(
            tmp_path / f"{name}s", data.folder, inputs={"picture": PICTURE, "ear": EAR}, augment={},
            fusion={"kind": "gated", "size": 8}, training={**TRAINING, "balanced": "heard"},
            tasks={
                "heard": {"head": "classification", "of": "side", "inputs": ["ear"], "class_weights": "balanced"},
                "shade": {"head": "regression", "inputs": ["picture"], "weight": 0.0},
            },
            prepare={"pictures": {"frames": 1, "width": 16, "height": 16}, "sound": {"rate": 8000}},
            splits={"validation": None, "test": None},
        )  # fmt: skip
        train(recipe, out=tmp_path / f"{name}-run", bundle=False)
    facts = RunFolder(tmp_path / "left-run").facts().tasks["heard"]
    assert facts.counts == (8, 8)
    ours, theirs = (load_model(tmp_path / f"{name}-run")[0].state_dict() for name in ("left", "unknown"))
    assert all(torch.equal(ours[k], theirs[k]) for k in ours)


def test_a_task_that_nothing_has_the_sense_of_is_told(tmp_path: Path) -> None:
    data = heard(tmp_path / "half", every=4)
    data.put([s.model_copy(update={"labels": {"shade": 0.5}}) for s in data.samples if s.of_kind("audio") is not None])
    data.save()
    recipe = tiny_recipe(
        tmp_path, data.folder, inputs={"picture": PICTURE, "ear": EAR}, fusion={"kind": "gated", "size": 8}, augment={},
        tasks={"heard": {"head": "classification", "of": "side", "inputs": ["ear"]}, "shade": {"head": "regression"}},
        prepare={"pictures": {"frames": 1, "width": 16, "height": 16}, "sound": {"rate": 8000}}, training=TRAINING,
    )  # fmt: skip
    with pytest.raises(UsageError, match=r"tasks.heard: no sample of the training part with a label of side has ear"):
        train(recipe, out=tmp_path / "run", bundle=False)


def broken(folder: Path, numbers: range | tuple[int, ...]) -> Path:
    tiny_dataset(folder, count=24)
    for number in numbers:
        (folder / f"{number}.png").write_bytes(b"no picture")
    return folder


@pytest.mark.parametrize("in_memory", [True, False])
def test_broken_files_of_all_parts_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], in_memory: bool
) -> None:
    folder = broken(tmp_path / "data", (0, 3, 17, 21))
    recipe = tiny_recipe(tmp_path, folder, tasks=SIDE, training={**TRAINING, "in_memory": in_memory})
    with pytest.raises(SystemExit, match="0"):
        main(["train", str(recipe), "--out", str(tmp_path / "run"), "--no-bundle"])
    found = json.loads((tmp_path / "run" / "left_out.json").read_text())
    assert {part: list(held["failures"]) for part, held in found.items()} == {
        "train": ["0", "3"], "val": ["17"], "test": ["21"]
    }  # fmt: skip
    said, page = capsys.readouterr().out, (tmp_path / "run" / "report.html").read_text()
    for many, part in (("2 of 16", "train"), ("1 of 4", "val"), ("1 of 4", "test")):
        assert f"{many} samples of the part '{part}' could not be decoded, such as" in said
    assert page.count("could not be decoded") == 3


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_part_that_is_wholly_broken_is_told_before_training(tmp_path: Path, in_memory: bool) -> None:
    folder = broken(tmp_path / "data", range(20, 24))
    recipe = tiny_recipe(tmp_path, folder, tasks=SIDE, training={**TRAINING, "in_memory": in_memory})
    with pytest.raises(SourceError, match="no sample of the part 'test' could be decoded, such as sample 20: "):
        train(recipe, out=tmp_path / "run", bundle=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("lost", "in_memory"), [((), True), ((1, 3, 5), False)])
def test_processes_with_unequal_shares_of_the_samples_end_together(
    tmp_path: Path, lost: tuple[int, ...], in_memory: bool
) -> None:
    made = tiny_dataset(tmp_path / "data", count=24)
    made.put([s.model_copy(update={"split": "val"}) for s in made.samples if 11 <= int(s.id) < 16])
    made.save()
    for number in lost:
        (tmp_path / "data" / f"{number}.png").write_bytes(b"no picture")
    training = {**TRAINING, "batch": 3, "in_memory": in_memory}
    recipe = tiny_recipe(tmp_path, tmp_path / "data", tasks=SIDE, training=training, inputs={"picture": PICTURE})
    launched = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    launched += ["-m", "onlooker", "train", str(recipe), "--out", str(tmp_path / "two"), "--no-bundle", "--json"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(launched, capture_output=True, text=True, env=env, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "two" / "log.jsonl").read_text().splitlines()) == 2
