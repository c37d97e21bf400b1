"""Takes secrets out of what is shown or handed on."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["without_secrets"]

_NAMES = re.compile(
    r"pass(word|wd|phrase)?$|pwd|secret|token|credential|private|api_?key|^key$|authorization", re.IGNORECASE
)
_USER = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)[^/?#\s]*@")
_QUERY = re.compile(
    r"(?P<name>[?&;][^=&?#\s]*(?:pass|pwd|secret|token|key|auth|sig|user)[^=&#\s]*=)[^&#\s]*", re.IGNORECASE
)
_HIDDEN = "***"


def without_secrets(value: Any, name: str = "") -> Any:
    """The same value, at any depth, without passwords, tokens and the credentials of addresses.

    >>> without_secrets({"url": "rtsp://ann:pw@10.0.0.5/main?token=1", "secret": "abc", "rate": 5})
    {'url': 'rtsp://***@10.0.0.5/main?token=***', 'secret': '***', 'rate': 5}
    """
    if isinstance(value, dict):
        return {str(k): without_secrets(v, str(k)) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [without_secrets(v, name) for v in value]
    if value is not None and not isinstance(value, bool) and _NAMES.search(name):
        return _HIDDEN
    if isinstance(value, str):
        return _QUERY.sub(rf"\g<name>{_HIDDEN}", _USER.sub(rf"\g<scheme>{_HIDDEN}@", value))
    return value if isinstance(value, bool | int | float) or value is None else str(value)
