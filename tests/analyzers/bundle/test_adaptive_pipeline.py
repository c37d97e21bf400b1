"""Skipped looks and cascades in whole runs: with several workers, after a kill, and what a user is told of them."""

from __future__ import annotations

import json
import re
from contextlib import closing

import numpy as np
import pytest

from analyzers.bundle import making
from analyzers.bundle.test_pipeline import onlooker, rows
from onlooker.bundles import added, import_model
from onlooker.cli.main import main
from onlooker.core.store import Query
from onlooker.pipeline.stages import select_stages
from onlooker.timeline import open_store

ONLY = ("--only", "colours", "--set", "colours.still=0.001", "--set", "colours.stretch_seconds=3", "--json")


def small(folder, **more):
    model = making.colour_model(folder / "s.onnx", size=4)
    return added.add(import_model(model, making.small_colour_facts(**more), folder / "b").folder)


@pytest.fixture(autouse=True)
def bundles(cache, tmp_path):
    """A large bundle and a small one."""
    made = added.add(making.colour_bundle(tmp_path / "colours", output={"threshold": 0.6}).folder)
    little = small(tmp_path / "small")
    yield made.bundle, little.bundle
    added.remove("colours")
    added.remove("small_colours")


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory):
    """44 s that change their colour every 11 s, with a keyframe every five seconds."""
    from analyzers.conftest import write_clip

    palette = [(190, 60, 50), (50, 190, 60), (60, 50, 190), (190, 70, 60)]
    shown = [np.full((48, 64, 3), palette[number // 110], np.uint8) for number in range(440)]
    return write_clip(shown, tmp_path_factory.mktemp("long") / "long.mp4", rate=10)


def run(clip, library, *more):
    (source,) = json.loads(onlooker("analyze", clip, "--library", library, *more))["sources"]
    assert source["failures"] == []
    return source


def test_a_run_tells_how_many_looks_were_skipped_with_any_number_of_workers(long_clip, tmp_path):
    one = run(long_clip, tmp_path / "one", *ONLY)
    two = run(long_clip, tmp_path / "two", *ONLY, "--workers", "2")
    assert one["counts"] == {"colour": 4}
    assert rows(tmp_path / "one") == rows(tmp_path / "two")
    # one in each of 15 stretches, and at the two of three changes that begin none
    assert one["counted"]["colours"] == {"looks": 220, "made": 17, "first": 0, "parts": 0, "repeated": 203}
    assert two["counted"] == one["counted"]
    plain = run(long_clip, tmp_path / "plain", "--only", "colours", "--json")
    assert plain["counted"] == {}


def test_a_run_that_was_stopped_goes_on_with_the_same_answers(long_clip, tmp_path):
    from onlooker.pipeline.plan import make_plan
    from onlooker.pipeline.run_source import run_source
    from onlooker.sources import open_source

    stages = select_stages({"colours": {"still": 0.001, "stretch_seconds": 7.0}}, "balanced")

    class After:
        """Says stop once it was asked three times."""

        asked = 0

        def is_set(self):
            self.asked += 1
            return self.asked >= 3

    def work(library, stop=None):
        source = open_source(str(long_clip))
        with closing(open_store(library)) as store, closing(source):
            store.add_source(source.info)
            plan = make_plan(source.info, stages, store.states(source.info.id))
            begun = [t.action for t in plan.tasks]
            return begun, run_source(source, store, plan, threads=1, stop=stop)

    _, whole = work(tmp_path / "whole")
    _, part = work(tmp_path / "part", After())
    assert part.stopped
    begun, rest = work(tmp_path / "part")
    assert begun == ["resume"]
    assert rows(tmp_path / "part") == rows(tmp_path / "whole")
    assert rest.counted == whole.counted


def test_both_bundles_of_a_cascade_decide_what_is_stale(bundles, long_clip, tmp_path):
    _, little = bundles
    settings = {"colours": {"first": "small_colours", "first_sure": 0.9}}
    (stage,) = select_stages(settings, "balanced")
    # worker processes get the version with the settings
    assert stage.spec.settings["first"] == f"small_colours@{little.digest[:16]}"
    again = ("--only", "colours", "--set", "colours.first=small_colours", "--set", "colours.first_sure=0.9", "--json")

    def decoded(*more):
        (source,) = json.loads(onlooker("analyze", long_clip, "--library", tmp_path / "lib", *again, *more, "--plan"))[
            "sources"
        ]
        return source["decode"]["frames"]

    first = run(long_clip, tmp_path / "lib", *again)
    assert first["counted"]["colours"]["first"] == 220
    assert first["counted"]["colours"]["made"] < 20
    assert decoded() == "none"
    assert decoded("--set", "colours.minimum_seconds=20") == "none"
    assert decoded("--set", "colours.first_sure=0.95") == "all"
    small(tmp_path / "other", output={"temperature": 0.7})
    assert decoded() == "all"
    (newer,) = select_stages(settings, "balanced")
    assert newer.producer.config != stage.producer.config
    assert added.rollback("small_colours") == little.digest
    assert decoded() == "none"
    with closing(open_store(tmp_path / "lib", read_only=True)) as store:
        assert {o.producer.config for o in store.query(Query()) if o.producer} == {stage.producer.config}


def test_watch_tells_how_many_looks_were_skipped(tmp_path, capsys):
    from analyzers.conftest import write_clip

    clip = write_clip([np.full((48, 64, 3), (190, 60, 50), np.uint8)] * 40, tmp_path / "still.mp4", rate=10)
    profile = tmp_path / "still.yaml"
    profile.write_text("name: still\nanalyzers: {colours: {still: 0.001}}\n")
    with pytest.raises(SystemExit) as ended:
        main(["watch", str(clip), "--profile", str(profile), "--library", str(tmp_path / "lib")])
    assert not ended.value.code
    told = re.search(r"^still: colours: (\d+) looks, (\d+) made(?:, (\d+) repeated)?$", capsys.readouterr().out, re.M)
    assert told
    looks, made, repeated = (int(n or 0) for n in told.groups())
    assert looks == made + repeated
