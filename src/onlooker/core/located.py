"""Where in a YAML file something is wrong, and what: the same words for all files that are checked by models."""

from __future__ import annotations

from typing import Any, TypeAlias

import yaml
from pydantic import ValidationError

from onlooker.core.errors import ConfigError

__all__ = ["Location", "first_complaint", "line_of", "parsed"]

Location: TypeAlias = tuple[int | str, ...]
"""Keys and numbers on the way to a value."""


def parsed(text: str, where: str) -> tuple[Any, yaml.Node | None]:
    """A YAML text's values, unchecked, and its nodes, which know their lines.

    Args:
        text: what stands in the file.
        where: what errors call the file.

    Raises:
        ConfigError: it is not YAML; names file and line.

    >>> parsed("a: [1, 2]", "x.yaml")[0]
    {'a': [1, 2]}
    """
    try:
        return yaml.safe_load(text), yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        raise ConfigError(f"{where}{line}: not YAML: {getattr(error, 'problem', error)}") from None


def line_of(document: yaml.Node | None, location: Location) -> int:
    r"""Line (from 1) of the innermost node on the way to ``location``; parts that are not in the file are passed over.

    Args:
        document: what ``yaml.compose`` gave.
        location: of a value, as pydantic's errors tell it; it also holds names of variants, and what short forms leave
            out.

    >>> line_of(yaml.compose("a: 1\nb:\n  - c: 2"), ("b", 0, "variant", "c"))
    3
    """
    node, line = document, 1
    for part in location:
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        elif isinstance(node, yaml.MappingNode):
            pairs: list[tuple[yaml.ScalarNode, yaml.Node]] = node.value
            match = [(key, value) for key, value in pairs if key.value == str(part)]
            if match:
                line, node = match[0][0].start_mark.line + 1, match[0][1]
    return line


def first_complaint(
    error: ValidationError, unknown: str = "there is no such setting here"
) -> tuple[Location, str, str]:
    """The first thing that a model says is wrong: its location, the same written with dots, and what; never the value.

    Of a field that is missing, a field beside it that the model does not have is told instead: it is the same misspelt.

    Args:
        error: of the model.
        unknown: what to say of a field that the model does not have.
    """
    told = error.errors(include_input=False, include_url=False)
    first = told[0]
    if first["type"] == "missing":
        first = next((t for t in told if t["type"] == "extra_forbidden" and t["loc"][:-1] == first["loc"][:-1]), first)
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        message = unknown
    return first["loc"], ".".join(str(part) for part in first["loc"]), message
