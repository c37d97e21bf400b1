"""YAML files checked by typed models, with errors that name file and line."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from onlooker.core.errors import ConfigError, UsageError
from onlooker.core.located import first_complaint, line_of, parsed

__all__ = ["load_yaml", "read_yaml", "validated", "write_whole"]

M = TypeVar("M", bound=BaseModel)


def load_yaml(path: Path, model: type[M], hint: str) -> M:
    """The file as a ``model``.

    Raises:
        ConfigError: it cannot be read or is wrong; names file and line.
    """
    values, document = read_yaml(path)
    return validated(model, values, document, path, hint)


def read_yaml(path: Path) -> tuple[Any, yaml.Node | None]:
    """A file's values, unchecked, and its nodes, which know their lines.

    Raises:
        ConfigError: it cannot be read or is not YAML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}", hint="check the path") from None
    return parsed(text, str(path))


def validated(
    model: type[M], values: Any, document: yaml.Node | None, path: Path, hint: str, overrides: Sequence[str] = ()
) -> M:
    """Values as a ``model``.

    Args:
        model: what they must be.
        values: of the file, changed by ``overrides``.
        document: the file's nodes.
        path: the file.
        hint: for errors.
        overrides: ``key.key=value`` settings of the command line, which are told by their name in place of a line.

    Raises:
        ConfigError: the file is wrong; names file and line.
        UsageError: a setting is.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        location, where, message = first_complaint(error)
        if any(where.startswith(s.partition("=")[0]) for s in overrides):
            raise UsageError(f"--set {where}: {message}", hint=hint) from None
        line = line_of(document, location)
        raise ConfigError(f"{path}:{line}: {where}: {message}" if where else f"{path}: {message}", hint=hint) from None


def write_whole(path: Path, data: str | bytes) -> None:
    """Write a file whole or not at all; what was there stays until then.

    Raises:
        UsageError: the folder cannot be written.
    """
    content: Any = data.encode("utf-8", "replace") if isinstance(data, str) else data
    name = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(prefix=f".{path.name[:40]}-", dir=path.parent)
        with open(number, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)
        os.replace(name, path)
    except OSError as error:
        if name:
            Path(name).unlink(missing_ok=True)
        raise UsageError(f"cannot write {path}: {error.strerror or error}", hint="check the folder") from None
