"""Test analyzers as an installed plug-in package, and shorthands to run them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from onlooker.core.store import Query
from onlooker.pipeline.run_local import RunOptions, analyze_paths
from onlooker.pipeline.stages import select_stages
from onlooker.sources import open_source
from onlooker.timeline import open_store

PLUGINS = str(Path(__file__).parent / "plugins")


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    """As if the test analyzers were installed, in worker processes too."""
    monkeypatch.syspath_prepend(PLUGINS)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([PLUGINS, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep))
    yield
    sys.modules.pop("onlooker_test_analyzers", None)


@pytest.fixture
def run():
    """Analyse: ``run(clip, folder, ["test_light"], workers=1, stop=..., settings=...)`` -> RunReport."""

    def analyze(clip, folder, only, *, workers=1, stop=None, progress=None, settings=None, redo=False):
        stages = tuple(select_stages(settings or {}, "balanced", only))
        options = RunOptions(Path(folder), stages, open_source, open_store, redo=redo)
        paths = [str(p) for p in clip] if isinstance(clip, list) else [str(clip)]
        return analyze_paths(paths, options, workers=workers, stop=stop, progress=progress)

    return analyze


@pytest.fixture
def rows():
    """All observations of a library as sorted JSON dicts."""

    def read(folder, **conditions):
        store = open_store(Path(folder), read_only=True)
        try:
            found = [o.as_dict() for o in store.query(Query(**conditions))]
        finally:
            store.close()
        return sorted(found, key=lambda o: (o["kind"], o["start_seconds"], o["id"]))

    return read
