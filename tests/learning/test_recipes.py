"""The shipped recipes say what can be trained."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from onlooker.learning.recipe import load_recipe

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))
TRAINED = [p for p in RECIPES if yaml.safe_load(p.read_text()).get("kind", "train") == "train"]


@pytest.mark.parametrize("path", TRAINED, ids=lambda p: p.stem)
def test_a_shipped_recipe_is_right_and_says_what_it_is_for(path: Path) -> None:
    recipe = load_recipe(path)
    assert path.read_text().startswith("# ")
    assert recipe.dataset.startswith("../datasets/")
    assert len(TRAINED) >= 10


def test_names_are_not_used_twice() -> None:
    names = [load_recipe(p).name for p in TRAINED]
    assert len(set(names)) == len(names)
