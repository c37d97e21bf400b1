"""Added bundles in whole runs: with one worker and several, after a change of settings, with rules, and live."""

from __future__ import annotations

import contextlib
import io
import json
import threading
import time
from contextlib import closing

import numpy as np
import pytest

from analyzers.bundle import making
from onlooker.bundles import added, import_model
from onlooker.cli.main import main
from onlooker.core.store import Query
from onlooker.timeline import open_store

RULES = """
version: 1
rules:
  - {id: green, when: {observed: {kind: colour, label: green}}}
"""


@pytest.fixture
def bundle(cache, tmp_path):
    """Names the strongest colour."""
    made = making.colour_bundle(tmp_path / "colours", output={"threshold": 0.6})
    added.add(made.folder)
    yield made
    added.remove("colours")


@pytest.fixture
def streaming(cache, tmp_path):
    """A state that goes from picture to picture."""
    made = import_model(making.window_model(tmp_path / "w.onnx"), making.window_facts(), tmp_path / "streaming")
    added.add(made.folder)
    yield made
    added.remove("smooth_light")


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory):
    """52 s that change their colour every 13 s, with a keyframe every five seconds."""
    from analyzers.conftest import write_clip

    palette = [(190, 60, 50), (50, 190, 60), (60, 50, 190), (120, 120, 118)]
    random = np.random.default_rng(5)
    shown = []
    for number in range(52 * 10):
        picture = np.full((48, 64, 3), palette[number // 130 % 4], np.int16)
        picture[:, number % 64] += 30
        shown.append(np.clip(picture + random.integers(-6, 7), 0, 255).astype(np.uint8))
    return write_clip(shown, tmp_path_factory.mktemp("long") / "long.mp4", rate=10)


def onlooker(*words):
    said = io.StringIO()
    with contextlib.redirect_stdout(said), pytest.raises(SystemExit) as code:
        main([str(w) for w in words])
    assert code.value.code == 0
    return said.getvalue()


def rows(library):
    with closing(open_store(library, read_only=True)) as store:
        return sorted((o.id, json.dumps(o.as_dict(), sort_keys=True)) for o in store.query(Query()))


def test_several_workers_see_what_one_sees(bundle, streaming, long_clip, tmp_path):
    only = ("--only", "colours,smooth_light", "--json")
    one = json.loads(onlooker("analyze", long_clip, "--library", tmp_path / "one", *only))
    onlooker("analyze", long_clip, "--library", tmp_path / "two", "--workers", "2", *only)
    assert one["sources"][0]["failures"] == []
    assert one["sources"][0]["counts"] == {"colour": 3, "measure": 104}
    assert rows(tmp_path / "one") == rows(tmp_path / "two")
    assert {json.loads(text)["producer"].split("/")[1] for _, text in rows(tmp_path / "one")} == {
        bundle.digest[:8],
        streaming.digest[:8],
    }


def test_a_threshold_needs_no_decoding_and_another_version_does(bundle, long_clip, tmp_path):
    again = ("analyze", long_clip, "--library", tmp_path / "lib", "--only", "colours", "--json")
    stricter = ("--set", "colours.minimum_seconds=20")

    def decoded(*more):
        (source,) = json.loads(onlooker(*again, *more, "--plan"))["sources"]
        return source["decode"]["frames"]

    assert decoded() == "all"
    onlooker(*again)
    assert (decoded(), decoded(*stricter)) == ("none", "none")
    onlooker(*again, *stricter)
    assert not rows(tmp_path / "lib")
    added.add(making.colour_bundle(tmp_path / "other", output={"threshold": 0.61}).folder)
    assert decoded() == "all"
    assert added.rollback("colours") == bundle.digest
    assert decoded() == "none"


def test_rules_and_search_understand_what_it_observes(bundle, long_clip, tmp_path):
    onlooker("analyze", long_clip, "--library", tmp_path / "lib", "--only", "colours")
    (tmp_path / "rules.yaml").write_text(RULES)
    events = json.loads(onlooker("rules", "test", tmp_path / "rules.yaml", "--library", tmp_path / "lib", "--json"))
    text = json.dumps(events)
    assert text.count('"rule": "green"') >= 1
    search = ("search", "--kind", "colour", "--label", "blue", "--library", tmp_path / "lib", "--json")
    found = json.loads(onlooker(*search))
    assert found


def test_it_runs_live_and_a_rule_tells_of_it(bundle, tmp_path):
    """A file that is played as a camera; the event comes while it plays."""
    from analyzers.bundle.test_answers import solid
    from analyzers.conftest import write_clip
    from onlooker.events import EventQuery
    from onlooker.station import Station, load_watch

    shown = [*solid((200, 40, 40), 2), *solid((40, 200, 40), 2), *solid((40, 40, 200), 2)]
    clip = write_clip(shown, tmp_path / "camera.mp4")
    (tmp_path / "colours.yaml").write_text("name: colours\nquality: fast\nanalyzers: {colours: {}}\n")
    (tmp_path / "rules.yaml").write_text(RULES)
    (tmp_path / "watch.yaml").write_text(
        "version: 1\nprofile: colours.yaml\nrules: [rules.yaml]\n"
        f"cameras:\n  yard:\n    url: {clip}\n    rate: 5\n    gate: false\n"
    )
    with closing(open_store(tmp_path / "lib")) as store:
        station = Station(load_watch(tmp_path / "watch.yaml"), tmp_path / "lib", store=store)
        station.start()
        try:
            until = time.monotonic() + 60
            while not station.events().get("yard"):
                assert time.monotonic() < until, "no event came"
                threading.Event().wait(0.05)
        finally:
            station.stop()
        made = list(store.query(Query(kinds=("colour",), labels=("green",))))
        events = station.journal.query(EventQuery(rules=("green",)))
    assert made
    assert all(o.producer and o.producer.bundle == bundle.digest for o in made)
    assert events
