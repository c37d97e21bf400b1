"""The embedded store: one SQLite file (WAL, FTS5, sqlite-vec) and a folder of media.

Parts: ``database`` (connections, errors), ``migrations`` (schema), ``codec`` (values to rows and back), ``runs``
(who wrote what, and what is visible), ``writing``, ``reading``, ``searching``, ``keeping`` (removal and retention),
``checking``, and ``store``, which joins them behind the protocol.
"""

from __future__ import annotations

from onlooker.timeline.stores.embedded.store import EmbeddedStore

__all__ = ["EmbeddedStore"]

PLUGIN = "onlooker.timeline.stores.embedded.store:EmbeddedStore"
