"""Anomaly learning on real footage: from people who walk to a bundle that finds who does not."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Literal

import av
import numpy as np
import pytest
import torch
import yaml

from cli.sample_library import run
from onlooker.bundles import load_bundle, verify_bundle
from onlooker.core.errors import ConfigError
from onlooker.learning.anomaly import load_anomaly_recipe
from onlooker.learning.anomaly.budget import past_mean
from onlooker.learning.anomaly.motion import cell_grid
from onlooker.learning.anomaly.neighbours import REASONS, NeighbourScore
from onlooker.learning.anomaly.recipe import Neighbours, Pictures
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import LabelledSpan, Media, Sample, Task
from onlooker.learning.datasets.media import look_at

DATA = Path(os.environ.get("ONLOOKER_DATA") or Path(__file__).parents[4] / "shared" / "data") / "ucsd_ped2"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """Four normal videos and two with something unusual."""
    if not DATA.is_dir():
        if os.environ.get("CI"):
            pytest.fail("the set ucsd_ped2 is missing")
        pytest.skip("the set ucsd_ped2 is not here")
    tasks = {"abnormal": Task(kind="spans", classes=("abnormal",))}
    dataset = Dataset.create(tmp_path / "set", name="walk", tasks=tasks, root=str(DATA))
    ranges = json.loads((DATA / "frame_gt.json").read_text())

    def sample(path: Path, split: str, labels: dict[str, object]) -> Sample:
        media = look_at(DATA, Media(path=path.relative_to(DATA).as_posix(), kind="video"))
        return Sample(id=path.stem, media=(media,), split=split, labels=labels)

    videos = sorted((DATA / "train").glob("*.mp4"))[:4]
    samples = [sample(v, "train", {"abnormal": ()}) for v in videos]
    for name in ("Test002", "Test004"):
        first, last = ranges[name]["abnormal_frames_1based_inclusive"]
        span = LabelledSpan(label="abnormal", start=(first - 1) / 10, end=last / 10)
        samples.append(sample(DATA / "test" / f"{name}.mp4", "test", {"abnormal": (span,)}))
    dataset.put(samples)
    dataset.save()
    values = yaml.safe_load((Path(__file__).parents[3] / "recipes" / "anomaly_ped2.yaml").read_text())
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({**values, "dataset": str(dataset.folder)}))
    return path


def test_a_bundle_finds_what_normal_footage_did_not_hold(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("train", str(recipe), "--out", str(tmp_path / "run"), "--set", "method.memory=500", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["metrics"]["test"]["anomaly"]["auc"] > 0.9
    assert (tmp_path / "run" / "report.html").is_file()
    bundle = load_bundle(tmp_path / "run" / "bundle")
    assert verify_bundle(bundle).good
    assert run("evaluate", str(tmp_path / "run"), str(tmp_path / "set"), "--json") == 0
    values = next(iter(json.loads(capsys.readouterr().out)["tasks"].values()))
    assert values["metric"] == "auc"
    assert values["value"] == pytest.approx(told["metrics"]["test"]["anomaly"]["auc"], abs=1e-6)
    assert run("evaluate", str(tmp_path / "run"), str(tmp_path / "set"), "--at-least", "anomaly=0.9999") == 1
    capsys.readouterr()
    assert run("evaluate", str(tmp_path / "run"), str(tmp_path / "set"), "--slices", "--by", "source") == 1
    assert "--slices, --by: not for what tells how unusual moments are" in capsys.readouterr().err
    assert run("train", str(recipe), "--out", str(tmp_path / "run")) == 1, "a run is not overwritten"


def test_a_wrong_recipe_is_told_with_its_line(recipe: Path) -> None:
    recipe.write_text(recipe.read_text().replace("false_alarms_per_hour: 1", "false_alarms_per_hour: -1"))
    with pytest.raises(ConfigError, match=r"recipe.yaml:\d+: budget.false_alarms_per_hour"):
        load_anomaly_recipe(recipe)


def test_the_mean_of_the_past_looks_at_the_past_alone() -> None:
    values = np.array([0.0, 0.0, 4.0, 0.0, 0.0])
    assert past_mean(values, 2).tolist() == [0.0, 0.0, 2.0, 2.0, 0.0]


def test_what_is_not_compared_has_no_share_in_why() -> None:
    clip = torch.zeros(1, 4, 1, 64, 96)
    walker = torch.rand(20, 12, generator=torch.Generator().manual_seed(0))
    for number in range(4):
        clip[0, number, 0, 20:40, 30 + 2 * number : 42 + 2 * number] = walker
    pictures = Pictures(width=96, height=64)
    shares: dict[tuple[str, ...], dict[str, float]] = {}
    choices: tuple[tuple[Literal["motion", "size"], ...], ...] = (("motion", "size"), ("motion",), ("size",))
    for attributes in choices:
        config = Neighbours(attributes=attributes, least=0.01, memory=16)
        scale = np.ones(cell_grid(96, 64)[0], np.float32)
        score, _, reasons = NeighbourScore(config, pictures, scale)(clip)
        assert float(score) > 0
        shares[attributes] = dict(zip(REASONS, reasons[0].tolist(), strict=True))
        assert sum(shares[attributes].values()) == pytest.approx(1, abs=1e-4)
    assert shares["motion",]["size"] == 0
    assert shares["size",]["size"] == pytest.approx(1, abs=1e-4)
    assert 0 < shares["motion", "size"]["size"] < 1


def made_set(folder: Path, tasks: dict[str, Task], videos: list[tuple[str, dict[str, object]]]) -> Path:
    """Six seconds each of a bar that goes across; the recipe that learns them."""
    folder.mkdir()
    dataset = Dataset.create(folder, name="bars", tasks=tasks)
    random = np.random.default_rng(0)
    back = random.integers(60, 90, (64, 96, 3), np.uint8)
    for number, (split, labels) in enumerate(videos):
        with av.open(str(folder / f"{number}.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=10)
            stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
            for at in range(60):
                picture = back.copy()
                picture[20:40, (at + number) % 80 : (at + number) % 80 + 10] = 230
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())
        media = look_at(folder, Media(path=f"{number}.mp4", kind="video"))
        dataset.put([Sample(id=str(number), media=(media,), split=split, labels=labels).with_labels(tasks)])
    dataset.save()
    recipe = folder.parent / "bars.yaml"
    method = {"method": "neighbours", "memory": 200}
    values = {"kind": "anomaly", "name": "bars", "dataset": str(folder), "method": method}
    recipe.write_text(yaml.safe_dump({**values, "pictures": {"width": 96, "height": 64}}))
    return recipe


ODD = {"odd": Task(kind="spans", classes=("odd",))}


def test_what_is_labelled_as_abnormal_is_not_learned_as_normal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def odd(start: float, end: float) -> dict[str, object]:
        return {"odd": ({"label": "odd", "start": start, "end": end},)}

    normal: tuple[str, dict[str, object]] = ("train", {"odd": ()})
    recipe = made_set(tmp_path / "set", ODD, [normal, ("train", odd(2.0, 3.0)), ("train", odd(0.0, 6.0))])
    assert run("train", str(recipe), "--out", str(tmp_path / "run"), "--json") == 0
    told = capsys.readouterr()
    assert "2: 6 s are labelled as abnormal: not learned from" in told.err
    fit = json.loads((tmp_path / "run" / "fit.json").read_text())
    assert fit["left_out"] == {"1": 1.0, "2": 6.0}
    # of 60 pictures three are needed before the first look; the cut takes its ten and the three looks after it
    assert fit["hours"] == pytest.approx((57 + 57 - 13) / 10 / 3600, abs=1e-4)
    assert "labelled as abnormal: 1 1 s, 2 6 s" in (tmp_path / "run" / "report.html").read_text()
    dataset = Dataset.load(tmp_path / "set")
    dataset.put(
        [dataset.samples[1].model_copy(update={"labels": {"odd": (LabelledSpan(label="odd", start=0, end=6),)}})]
    )
    dataset.save()
    assert run("train", str(recipe), "--out", str(tmp_path / "other")) == 1
    assert "one clip of normal footage; all of 1, 2 is labelled as abnormal" in capsys.readouterr().err


def test_a_run_goes_on_with_its_own_recipe_and_dataset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = made_set(tmp_path / "set", ODD, [("train", {}), ("train", {}), ("test", {"odd": ()})])
    command = ["train", str(recipe), "--out", str(tmp_path / "run")]
    assert run(*command) == 0
    assert run(*command, "--resume", "--set", "threads=2") == 0
    before = (tmp_path / "run" / "metrics.json").read_bytes()
    capsys.readouterr()
    assert run(*command, "--resume", "--set", "budget.false_alarms_per_hour=3", "--set", "pictures.rate=5") == 1
    said = capsys.readouterr().err
    assert "was begun by another recipe: budget.false_alarms_per_hour was 1.0 and is 3.0, pictures.rate was" in said
    dataset = Dataset.load(tmp_path / "set")
    dataset.put([dataset.samples[0].model_copy(update={"weight": 0.5})])
    dataset.save()
    assert run(*command, "--resume") == 1
    assert "is not what it was when" in capsys.readouterr().err
    assert (tmp_path / "run" / "metrics.json").read_bytes() == before


def test_a_test_part_that_cannot_be_judged_is_told_before_anything_is_learned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mood = {"mood": Task(kind="class", classes=("calm",))}
    parts: list[tuple[str, dict[str, object]]] = [("train", {}), ("train", {}), ("test", {"mood": "calm"})]
    recipe = made_set(tmp_path / "set", mood, parts)
    assert run("train", str(recipe), "--out", str(tmp_path / "run")) == 0
    assert "no task of spans says what is abnormal: the part test is not measured" in capsys.readouterr().err
    assert "the part test is not measured." in (tmp_path / "run" / "report.html").read_text()
    assert "test" not in json.loads((tmp_path / "run" / "metrics.json").read_text())
    for setting, said in (("task=odd", "no task 'odd' of spans"), ("splits.test=tets", "has no split 'tets'")):
        assert run("train", str(recipe), "--out", str(tmp_path / "other"), "--set", setting) == 1
        assert said in capsys.readouterr().err
        assert not (tmp_path / "other" / "bundle").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("train", "--no-bundle"), "--no-bundle: anomaly learning makes the bundle alone"),
        (("train", "--against-single"), "--against-single: anomaly learning has one task"),
        (("tune",), "is a recipe of anomaly learning, which this does not take"),
    ],
)
def test_what_is_of_other_recipes_is_refused(
    words: tuple[str, ...], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("kind: anomaly\nname: walk\ndataset: .\n")
    assert run(words[0], path, *words[1:], "--out", tmp_path / "run") == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
