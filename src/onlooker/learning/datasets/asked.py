"""What a user writes on a command line, as values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onlooker.core.errors import UsageError

if TYPE_CHECKING:
    from onlooker.learning.datasets.manifest import Task
    from onlooker.learning.datasets.preparation import Preparation

__all__ = ["bytes_of", "pairs", "preparation_of", "range_of", "seconds_of", "settings", "task_of"]


def pairs(given: Sequence[str] | None, what: str) -> dict[str, str]:
    """Values by name from ``NAME=VALUE``.

    Raises:
        UsageError: one is not of this form; ``what`` says which option.

    >>> pairs(["a=1", "b=x=y"], "--set")
    {'a': '1', 'b': 'x=y'}
    """
    found: dict[str, str] = {}
    for text in given or ():
        name, mark, value = text.partition("=")
        if not mark or not name:
            raise UsageError(f"{what}: expected NAME=VALUE, got {text!r}")
        found[name] = value
    return found


def settings(given: Sequence[str] | None) -> dict[str, Any]:
    """Values of ``--set``: text, or YAML where they are lists or objects.

    Raises:
        UsageError: one has no name or is not YAML.

    >>> settings(["media={file}", "classes={1: car}"])
    {'media': '{file}', 'classes': {1: 'car'}}
    """
    import yaml

    values: dict[str, Any] = {}
    for name, value in pairs(given, "--set").items():
        try:
            # a template such as {file} is text
            parsed = yaml.safe_load(value) if value[:1] == "[" or (value[:1] == "{" and ":" in value) else value
        except yaml.YAMLError as error:
            raise UsageError(f"--set {name}: not YAML: {error}") from None
        values[name] = parsed
    return values


def task_of(spec: str) -> Task:
    """A task from ``KIND`` or ``KIND:CLASS,CLASS``.

    Raises:
        UsageError: it is none.

    >>> task_of("class: good, bad").classes
    ('good', 'bad')
    """
    from pydantic import ValidationError

    from onlooker.learning.datasets.manifest import Task

    kind, _, classes = spec.partition(":")
    try:
        return Task.model_validate({"kind": kind, "classes": tuple(c.strip() for c in classes.split(",") if c.strip())})
    except ValidationError as error:
        message = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise UsageError(f"--task: {spec!r}: {message}", hint="NAME=class:a,b") from None


def preparation_of(file: Path | None, given: Sequence[str] | None) -> Preparation:
    """A preparation from a YAML file, changed by settings such as ``pictures.frames=16``; ``pictures=`` takes none.

    Raises:
        ConfigError: the file is wrong.
        UsageError: a setting is.
    """
    from pydantic import ValidationError

    from onlooker.learning.datasets.preparation import Preparation
    from onlooker.learning.datasets.typed_yaml import load_yaml

    base = load_yaml(file, Preparation, "see onlooker dataset schema preparation") if file else Preparation()
    values = base.model_dump()
    for name, value in pairs(given, "--set").items():
        part, _, key = name.partition(".")
        if not key:
            values[part] = value or None
            continue
        held = dict(values.get(part) or {})
        if key == "rate" and part == "pictures":
            # the default number of frames gives way to a rate
            held["frames"] = held.get("frames") if any("pictures.frames" in g for g in given or ()) else None
        held[key] = value or None
        values[part] = held
    try:
        return Preparation.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(p) for p in first["loc"])
        raise UsageError(
            f"{where}: {first['msg'].removeprefix('Value error, ')}", hint="see onlooker dataset schema preparation"
        ) from None


def bytes_of(text: str) -> int:
    """Bytes from ``500MB``, ``8GB`` or ``0``.

    Raises:
        UsageError: it is no size.

    >>> bytes_of("1.5GB")
    1500000000
    """
    units = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
    number = text.strip().upper().rstrip("BKMGT")
    unit = text.strip().upper()[len(number) :]
    if unit not in units or not number.replace(".", "", 1).isdecimal():
        raise UsageError(f"not a size: {text!r}", hint="500MB, 8GB, or 0 for none")
    return int(float(number) * units[unit])


def range_of(text: str | None) -> tuple[float, float]:
    """Two numbers from ``0.3..0.6``, which is also what None stands for.

    Raises:
        UsageError: it is no range.

    >>> range_of("0.25..0.5")
    (0.25, 0.5)
    """
    if text is None:
        return 0.3, 0.6
    low, mark, high = text.partition("..")
    try:
        if not mark:
            raise ValueError(text)
        return float(low), float(high)
    except ValueError:
        raise UsageError(f"not a range: {text!r}", hint="0.3..0.6") from None


def seconds_of(text: str, what: str) -> float:
    """Seconds of ``90s``, ``30m``, ``2h``.

    Raises:
        UsageError: it is no such time; ``what`` says which option.

    >>> seconds_of("30m", "--budget")
    1800.0
    """
    units = {"s": 1, "m": 60, "h": 3600}
    number = text[:-1] if text[-1:] in units else text
    try:
        seconds = float(number) * units.get(text[-1:], 1)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise UsageError(f"{what}: expected a time such as 90s, 30m or 2h, got {text!r}")
    return seconds
