"""onlooker captures the key information of video: what is shown, who moves, what is said, and when.

>>> import onlooker
>>> sorted(onlooker.__all__)[:3]
['Library', 'Observation', 'OnlookerError']
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onlooker.core.version import __version__

if TYPE_CHECKING:
    from onlooker.core.errors import OnlookerError
    from onlooker.core.observation import Observation
    from onlooker.core.store import Query
    from onlooker.core.time import Span, Timestamp
    from onlooker.library import Library, analyze

__all__ = ["Library", "Observation", "OnlookerError", "Query", "Span", "Timestamp", "__version__", "analyze"]

_WHERE = {
    "Library": "onlooker.library",
    "Observation": "onlooker.core.observation",
    "OnlookerError": "onlooker.core.errors",
    "Query": "onlooker.core.store",
    "Span": "onlooker.core.time",
    "Timestamp": "onlooker.core.time",
    "analyze": "onlooker.library",
}


def __getattr__(name: str) -> Any:
    """Import the public names when they are used, so that ``import onlooker`` stays fast."""
    if name not in _WHERE:
        raise AttributeError(f"module 'onlooker' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_WHERE[name]), name)
