"""The embedded store keeps the contract of stores."""

from __future__ import annotations

from onlooker.core.plugins import load_plugin, plugin_names
from onlooker.testing.store import StoreContract
from onlooker.timeline import open_store
from onlooker.timeline.stores.embedded import EmbeddedStore


class TestEmbeddedStore(StoreContract):
    opener = staticmethod(open_store)


def test_the_embedded_store_is_found_by_name():
    assert "embedded" in plugin_names("stores")
    assert load_plugin("stores", "embedded") is EmbeddedStore
