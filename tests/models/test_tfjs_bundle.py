"""Models in JavaScript modules are read without running them, and give the graph that the plain files give."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onlooker.core.errors import ModelError
from onlooker.models.convert import conversions, convert
from onlooker.models.convert.tfjs import convert_tfjs
from onlooker.models.convert.tfjs_bundle import read_literal

WEIGHTS = np.arange(6, dtype=np.float32)
MODEL = {
    "modelTopology": {
        "node": [
            {"name": "x", "op": "Placeholder", "attr": {"dtype": {"type": "DT_FLOAT"}}},
            {"name": "w", "op": "Const", "attr": {"dtype": {"type": "DT_FLOAT"}}},
            {"name": "y", "op": "AddV2", "input": ["x", "w"], "attr": {"T": {"type": "DT_FLOAT"}}},
        ]
    },
    "weightsManifest": [
        {
            "paths": ["group1-shard1of2.bin", "group1-shard2of2.bin"],
            "weights": [{"name": "w", "shape": [6], "dtype": "float32"}],
        }
    ],
}


def module(literal: str) -> bytes:
    """As a bundler writes it."""
    return f"!function(e){{e()}}(function(){{return{{1:[function(a,n,i){{n.exports={literal}}},{{}}]}}}});".encode()


def unquoted(value: object) -> str:
    """The same as JSON in the shortest form of the language."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{k}:{unquoted(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(unquoted, value)) + "]"
    return {True: "!0", False: "!1"}[value] if isinstance(value, bool) else json.dumps(value)


def members() -> dict[str, bytes]:
    raw = WEIGHTS.tobytes()
    return {
        "package/model.min.js": module(unquoted(MODEL)),
        "package/group1-shard1of2.min.js": module(json.dumps(base64.b64encode(raw[:10]).decode())),
        "package/group1-shard2of2.min.js": module(json.dumps(base64.b64encode(raw[10:]).decode())),
    }


def test_modules_give_what_the_plain_files_give():
    raw = WEIGHTS.tobytes()
    parts = {"group1-shard1of2.bin": raw[:10], "group1-shard2of2.bin": raw[10:]}
    assert "tfjs-bundle" in conversions()
    assert convert("tfjs-bundle", members()) == convert_tfjs(json.dumps(MODEL).encode(), parts.__getitem__)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.from_regex("[a-z_]{1,6}", fullmatch=True), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(json_values)
def test_literals_are_read_as_json_is(value):
    assert read_literal(unquoted(value)) == (value, len(unquoted(value)))
    assert read_literal(json.dumps(value))[0] == value


@pytest.mark.parametrize(
    "source", ["", "{", "[1,", "{a}", "{a:}", "alert(1)", "{a:f()}", "[" * 500, '"open', "{1", "undefined"]
)
def test_what_is_no_literal_is_refused(source):
    with pytest.raises(ValueError, match=r"literal|nested|expected|name"):
        read_literal(source)


@pytest.mark.parametrize(
    "change",
    [
        {"package/model.min.js": b"export default 1"},
        {"package/model.min.js": module('{format:"graph-model"}')},
        {"package/group1-shard1of2.min.js": module('"%%%"')},
        {"package/group1-shard1of2.min.js": b"\xff\xfe"},
        {"package/model.min.js": module('"YQ=="')},
    ],
)
def test_damaged_modules_are_an_error(change):
    with pytest.raises(ModelError):
        convert("tfjs-bundle", members() | change)
