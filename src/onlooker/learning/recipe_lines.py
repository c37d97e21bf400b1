"""Where in a recipe a setting stands that does not fit the dataset, which is found long after the file was read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from onlooker.core.errors import UsageError
from onlooker.core.located import line_of
from onlooker.learning.datasets.typed_yaml import read_yaml

__all__ = ["telling_lines"]

_SETTING = re.compile(r"([A-Za-z_]\w*(?:\.[\w-]+)+)(?=[ :])")


@contextmanager
def telling_lines(path: Path, overrides: Sequence[str] = ()) -> Iterator[None]:
    """Errors that begin with the name of a setting, such as ``tasks.action: ...``, also tell file and line.

    Args:
        path: of the recipe.
        overrides: settings of the command line; what is among them is told as such.

    Raises:
        UsageError: the same, located; one that names no setting of the file stays as it is.
    """
    try:
        yield
    except UsageError as error:
        match = _SETTING.match(error.message)
        if match is None:
            raise
        name = match[1]
        given = next((s for s in overrides if _within(name, s.partition("=")[0])), None)
        if given is not None:
            raise UsageError(f"--set {given}: {error.message}", hint=error.hint) from None
        values, document = read_yaml(path)
        if not isinstance(values, dict) or name.split(".")[0] not in values:
            raise
        raise UsageError(
            f"{path}:{line_of(document, tuple(name.split('.')))}: {error.message}", hint=error.hint
        ) from None


def _within(name: str, other: str) -> bool:
    """Whether one of two names of settings holds the other."""
    return f"{name}.".startswith(f"{other}.") or f"{other}.".startswith(f"{name}.")
