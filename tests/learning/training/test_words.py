"""Texts learned by their words: training, bundle, evaluation and the analyzer see the same numbers."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from learning._tiny import tiny_recipe
from onlooker.bundles import added
from onlooker.core.analyzer import Context, Window
from onlooker.core.errors import UsageError
from onlooker.core.media import SourceInfo
from onlooker.core.observation import Observation
from onlooker.core.plugins import load_plugin
from onlooker.core.time import Span, Timestamp
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import Sample, Task
from onlooker.learning.evaluate.run import EvaluationRequest, evaluate
from onlooker.learning.run_folder import RunFolder
from onlooker.learning.training.train import train

WORDS = {
    "complaint": ("late", "broken", "never came", "damaged", "wrong size"),
    "praise": ("lovely", "in time", "wonderful", "well made", "just right"),
}
SETTINGS: dict[str, Any] = {
    "prepare": {},
    "inputs": {"words": {"network": "text_encoder", "embedding": "learned", "size": 16, "places": 12, "buckets": 500}},
    "tasks": {"mood": {"head": "classification"}},
    "augment": {},
    "optimiser": {"rate": 0.03},
    "training": {"epochs": 12, "batch": 8, "threads": 1, "workers": 0},
}


def spoken(folder: Path) -> Path:
    """What is said of parcels; no sentence of the test part is in the training part, each word is."""
    dataset = Dataset.create(folder, name="spoken", tasks={"mood": Task(kind="class", classes=tuple(WORDS))})
    samples: list[Sample] = []
    for mood, words in WORDS.items():
        for number, (a, b) in enumerate(itertools.permutations(words, 2)):
            split = ("train", "train", "val", "train", "test")[number % 5]
            said = f"The parcel was {a}, and it is {b}."
            samples.append(Sample(id=f"{mood} {number}", text=said, labels={"mood": mood}, split=split))
    dataset.put(samples)
    dataset.save()
    return folder


def test_a_model_of_words_is_learned_and_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the catalogue is asked for."""
    monkeypatch.setenv("ONLOOKER_CACHE", str(tmp_path / "cache"))
    run = tmp_path / "run"
    train(tiny_recipe(tmp_path, spoken(tmp_path / "set"), **SETTINGS, name="parcels"), out=run)
    found = evaluate(EvaluationRequest(str(run / "bundle"), tmp_path / "set", draws=100)).tasks["mood"]
    assert found.value is not None
    assert found.value >= 0.75, "sentences that were not learned"
    assert found.value == RunFolder(run).read("metrics.json")["test"]["mood"]["accuracy"]
    added.add(run / "bundle")
    try:
        one = load_plugin("analyzers", "parcels")
        analyzer = one(one.Config())
        assert not analyzer.needs().models
        assert analyzer.needs().wishes == ("speech", "text")
        analyzer.open(Context(SourceInfo("0" * 32, "x", "none", None, None, None), kinds=frozenset({"speech"})))
        texts = ("the parcel was broken and it is late", "THE PARCEL WAS LOVELY AND IT IS WONDERFUL")
        said = [
            Observation(Span.of_seconds(Fraction(n), Fraction(n + 1)), "speech", text=t) for n, t in enumerate(texts)
        ]
        made = list(analyzer.analyze(Window((), said, Timestamp.of_seconds(3))))
        assert [o.label for o in made] == ["complaint", "praise"]
        analyzer.close()
    finally:
        added.remove("parcels")


@pytest.mark.parametrize("setting", ["mixup", "cutmix", "corrupt"])
def test_numbers_of_words_are_not_mixed(setting: str, tmp_path: Path) -> None:
    changes = SETTINGS | {"augment": {setting: 0.5}}
    recipe = tiny_recipe(tmp_path, spoken(tmp_path / "set"), **changes)
    with pytest.raises(UsageError, match=f"augment.{setting}: numbers of words"):
        train(recipe, out=tmp_path / "run", bundle=False)
