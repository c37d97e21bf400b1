"""Bundles of small networks, added to a cache of their own."""

from __future__ import annotations

import pytest

from onlooker.bundles import added, import_model
from onlooker.core.plugins import load_plugin
from onlooker.sources import open_source
from onlooker.testing.drive import drive


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ONLOOKER_CACHE", str(folder))
        yield folder


@pytest.fixture
def add(cache, tmp_path):
    """``add(model, facts)`` makes a bundle, adds it and gives the class of its analyzer; it is removed at the end."""
    names = []

    def make(model, facts, name=None):
        bundle = import_model(model, facts, tmp_path / f"bundle-{len(names)}")
        made = added.add(bundle.folder, name)
        names.append(made.name)
        return load_plugin("analyzers", made.name)

    yield make
    for name in dict.fromkeys(names):
        added.remove(name)


@pytest.fixture
def watch():
    """``watch(cls, path, **settings)``: the observations of one analyzer on one file."""

    def run(cls, path, **settings):
        source = open_source(str(path))
        try:
            return drive([cls(cls.Config(**settings))], source)
        finally:
            source.close()

    return run
