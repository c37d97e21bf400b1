"""What files say, checked to be what is expected of it; errors are in words."""

from __future__ import annotations

from typing import Any, cast

__all__ = ["a_key", "a_number", "a_text", "an_object", "is_number", "numbers", "objects", "shown"]

_LARGEST = 1e15


def shown(value: Any) -> str:
    """A value to be told in an error: not all of a long one."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def an_object(value: Any, name: str = "") -> dict[str, Any]:
    """An object of JSON.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(value, dict):
        raise ValueError(f"{_lead(name)}expected an object, got {shown(value)}")
    return cast("dict[str, Any]", value)


def objects(value: Any, name: str) -> list[dict[str, Any]]:
    """A list of objects; None is an empty one.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(value, list | None):
        raise ValueError(f"{name}: expected a list, got {shown(value)}")
    return [an_object(v, f"{name}.{n}") for n, v in enumerate(value or ())]


def a_key(held: dict[str, Any], name: str) -> float | str:
    """A number or text of an object, by which others name something.

    Raises:
        KeyError: it is not there.
        ValueError: it is neither.
    """
    value = held[name]
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{name}: expected a number or a text, got {shown(value)}")
    return value


def a_text(held: dict[str, Any], name: str) -> str:
    """A text of an object.

    Raises:
        KeyError: it is not there.
        ValueError: it is none.
    """
    value = held[name]
    if not isinstance(value, str):
        raise ValueError(f"{name}: expected a text, got {shown(value)}")
    return value


def is_number(value: Any) -> bool:
    """Whether it is a finite number, of a size that something can be."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -_LARGEST < value < _LARGEST


def numbers(value: Any, name: str, count: int) -> list[float]:
    """A list of so many finite numbers.

    Raises:
        ValueError: it is none.
    """
    good = isinstance(value, list) and len(cast("list[Any]", value)) == count
    if not good or not all(is_number(v) for v in value):
        raise ValueError(f"{name}: expected {count} numbers, got {shown(value)}")
    return [float(v) for v in value]


def a_number(text: str, name: str) -> float:
    """A finite number out of a text.

    Raises:
        ValueError: it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = None
    if value is None or not is_number(value):
        raise ValueError(f"{name}: expected a number, got {shown(text)}")
    return value


def _lead(name: str) -> str:
    return f"{name}: " if name else ""
