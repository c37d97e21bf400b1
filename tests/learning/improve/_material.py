"""What the tests of improving share: a command run in this process, small bundles, a clip of plain pictures."""

from __future__ import annotations

import contextlib
import io
import json
from contextlib import closing

import pytest

from analyzers.bundle import making
from onlooker.cli.main import main
from onlooker.core.observation import Observation
from onlooker.core.store import Query
from onlooker.core.time import Span
from onlooker.timeline import open_store


def onlooker(*words, code=0):
    """What a command printed."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), pytest.raises(SystemExit) as ended:
        main([str(w) for w in words])
    assert ended.value.code == code, said.getvalue()
    return said.getvalue()


def told(*words, code=0):
    """The JSON that it printed."""
    return json.loads(onlooker(*words, "--json", code=code))


def labelled(library):
    """The actions in a library: seconds of begin and end, and label."""
    with closing(open_store(library)) as store:
        found = store.query(Query(kinds=("action",)))
        return sorted((o.span.start.seconds, o.span.end.seconds, o.label) for o in found)


def colours(folder, name="model", **output):
    """A bundle that tells the strongest colour of a picture; ``output`` changes how it tells it."""
    from onlooker.bundles import import_model

    facts = making.colour_facts(output=output)
    return import_model(making.colour_model(folder / f"{name}.onnx"), facts, folder / name)


def seen(start, end, label, score: float | None = 0.9, kind="action", **more):
    """An observation."""
    return Observation(Span.of_seconds(start, end), kind, score, label, **more)
