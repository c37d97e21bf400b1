"""What bundles cannot hold is told before a long training, and the report is there whatever becomes of the bundle."""

from __future__ import annotations

from pathlib import Path

import pytest

from learning._tiny import tiny_dataset, tiny_recipe
from onlooker.core.errors import UsageError
from onlooker.learning.training.train import train

SMALL = {"network": "frame_cnn", "widths": [4]}
TWO = {"inputs": {"one": SMALL, "other": SMALL}, "fusion": {"kind": "late", "size": 8}}
STREAM = {"inputs": {"one": SMALL}, "export": {"streaming": True}}
FEW = {"epochs": 1, "batch": 8, "threads": 1, "workers": 0}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (TWO, r"no bundle can be made of this: the inputs one and other are both pictures.*\(--no-bundle trains"),
        (STREAM, "export.streaming: the input one is no clip.*--no-bundle .*, or --set export.streaming=false"),
    ],
)
def test_what_no_bundle_can_be_made_of_is_told_before_training(tmp_path: Path, changes: dict, said: str) -> None:
    tiny_dataset(tmp_path / "set")
    recipe = tiny_recipe(tmp_path, tmp_path / "set", training=FEW, **changes)
    with pytest.raises(UsageError, match=said):
        train(recipe, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    train(recipe, out=tmp_path / "run", bundle=False)
    assert (tmp_path / "run" / "metrics.json").is_file()


def test_a_run_whose_bundle_fails_has_its_report(tmp_path: Path) -> None:
    tiny_dataset(tmp_path / "set")
    recipe = tiny_recipe(tmp_path, tmp_path / "set", training=FEW, **TWO)
    train(recipe, out=tmp_path / "run", bundle=False)
    (tmp_path / "run" / "report.html").unlink()
    with pytest.raises(UsageError, match="both pictures"):
        train(recipe, out=tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "report.html").is_file()
