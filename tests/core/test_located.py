"""Which of several complaints about settings is told."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from onlooker.core.located import first_complaint


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    weight: float
    kind: str


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    tasks: Inner
    name: str = ""


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"taks": {"weight": 1, "kind": "a"}}, "taks"),
        ({"tasks": {"weight": 1, "knid": "a"}}, "tasks.knid"),
        # what is too much elsewhere is no misspelling of what is missing here
        ({"tasks": {"weight": 1}, "nam": "a"}, "tasks.kind"),
        ({"tasks": {"weight": "much", "knid": "a"}}, "tasks.weight"),
    ],
)
def test_a_misspelt_setting_is_told_rather_than_the_one_that_is_missing(given, place):
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(given)
    assert first_complaint(caught.value)[1] == place
