"""Rankings merged, and observations as tables."""

from __future__ import annotations

import importlib
import json

import numpy as np
import pytest

from onlooker.core.errors import StoreError, UsageError
from onlooker.core.store import Batch, Hit, Query
from onlooker.testing.store_values import SOURCE, producer, some_observations, source_info
from onlooker.timeline import fuse
from onlooker.timeline.arrow import COLUMNS, to_arrow, write_parquet
from onlooker.timeline.stores.embedded import EmbeddedStore


def hits(*ticks):
    made = some_observations(10, producer())
    return [Hit(made[t], 99.0) for t in ticks]


def test_what_two_rankings_like_comes_first():
    fused = fuse([hits(1, 2, 3), hits(4, 3, 1)])
    assert [h.observation.span.start.pts for h in fused] == [1, 3, 4, 2]
    assert fused[0].score == pytest.approx(1 / 61 + 1 / 63)
    assert fuse([]) == []
    assert [h.observation for h in fuse([hits(5, 6)])] == [h.observation for h in hits(5, 6)]


def test_a_table_has_every_field():
    made = some_observations(30, producer())
    table = to_arrow(iter(made))
    assert table.column_names == [name for name, _ in COLUMNS]
    assert table["id"].to_pylist() == [o.id for o in made]
    assert table["start_ns"].to_pylist()[3] == 120_000_000
    assert table["left"].to_pylist()[:2] == [None, 0.1]
    assert json.loads(table["data"][0].as_py())["nested"]["list"] == [1, 2.5, None, "x"]
    assert to_arrow([]).num_rows == 0


def test_parquet_is_read_by_duckdb(tmp_path):
    duckdb = pytest.importorskip("duckdb")
    with EmbeddedStore(tmp_path / "library") as store:
        store.add_source(source_info())
        made = some_observations(200, producer())
        made[1] = type(made[1])(
            made[1].span, "keyframe", vector=np.arange(3), vector_space="v", source=SOURCE, producer=producer()
        )
        store.commit(Batch(SOURCE, made))
        assert write_parquet(store, tmp_path / "all.parquet") == 200
        assert write_parquet(store, tmp_path / "objects.parquet", Query(kinds=("object",))) == 67
        with pytest.raises(StoreError, match="cannot write"):
            write_parquet(store, tmp_path / "no" / "folder.parquet")
    counted = dict(duckdb.sql(f"SELECT kind, count(*) FROM '{tmp_path / 'all.parquet'}' GROUP BY kind").fetchall())
    assert counted == {"object": 67, "cue": 132, "keyframe": 1}
    ((vector,),) = duckdb.sql(f"SELECT vector FROM '{tmp_path / 'all.parquet'}' WHERE kind = 'keyframe'").fetchall()
    assert list(vector) == [0, 1, 2]
    assert not list(tmp_path.glob("*.part"))


def test_without_pyarrow_the_extra_is_named(monkeypatch):
    real = importlib.import_module

    def missing(name, *rest):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(UsageError, match=r"onlooker\[arrow\]"):
        to_arrow([])
