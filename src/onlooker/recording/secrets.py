"""Takes secrets out of what is handed on."""

from __future__ import annotations

import re
from typing import Any

from onlooker.sources.policy import without_credentials

__all__ = ["without_secrets"]

_NAMES = re.compile(
    r"pass(word|wd|phrase)?$|pwd|secret|token|credential|private|api_?key|^key$|authorization", re.IGNORECASE
)
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
_HIDDEN = "***"


def without_secrets(value: Any, name: str = "") -> Any:
    """The same value, at any depth, without passwords, tokens and the credentials of addresses.

    >>> without_secrets({"url": "rtsp://ann:pw@10.0.0.5/main?token=1", "secret": "abc", "rate": 5})
    {'url': 'rtsp://10.0.0.5/main', 'secret': '***', 'rate': 5}
    """
    if isinstance(value, dict):
        return {str(k): without_secrets(v, str(k)) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [without_secrets(v, name) for v in value]
    if value is not None and not isinstance(value, bool) and _NAMES.search(name):
        return _HIDDEN
    if isinstance(value, str):
        return _ADDRESS.sub(_address, value)
    return value if isinstance(value, bool | int | float) or value is None else str(value)


def _address(found: re.Match[str]) -> str:
    try:
        return without_credentials(found[0])
    except ValueError:
        # what cannot be taken apart cannot be cleaned
        return _HIDDEN
