"""Reads a YAML file into a model; errors name file and line, and never show a value."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml
from pydantic import BaseModel, ValidationError

from onlooker.core.errors import ConfigError
from onlooker.core.located import Location, first_complaint, line_of, parsed

__all__ = ["read_model"]

M = TypeVar("M", bound=BaseModel)
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def read_model(model: type[M], path: Path, *, hint: str) -> M:
    """A file as a model; ``${NAME}`` in a text stands for a variable of the environment.

    Args:
        model: what it must be.
        path: of the file.
        hint: where to look when it is wrong.

    Raises:
        ConfigError: it cannot be read or is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}", hint="check the path") from None
    values, document = parsed(text, str(path))
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected a mapping, got {type(values).__name__}", hint=hint)
    values = _expanded(values, (), path, document)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        location, shown, message = first_complaint(error)
        raise ConfigError(f"{path}:{line_of(document, location)}: {shown}: {message}", hint=hint) from None


def _expanded(value: Any, location: Location, path: Path, document: yaml.Node | None) -> Any:
    if isinstance(value, dict):
        known = cast(dict[Any, Any], value)
        return {k: _expanded(v, (*location, str(k)), path, document) for k, v in known.items()}
    if isinstance(value, list):
        return [_expanded(v, (*location, i), path, document) for i, v in enumerate(cast(list[Any], value))]
    if not isinstance(value, str):
        return value

    def variable(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            line = line_of(document, location)
            raise ConfigError(f"{path}:{line}: the variable {match[1]} is not set", hint=f"export {match[1]}=...")
        return os.environ[match[1]]

    return _VARIABLE.sub(variable, value)
