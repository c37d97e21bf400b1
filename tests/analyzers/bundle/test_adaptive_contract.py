"""Bundles that skip looks, ask another bundle or look at parts hold the analyzers' contract on a real clip."""

from __future__ import annotations

import pytest

from analyzers.bundle import making
from onlooker.bundles import added, import_model
from onlooker.core.plugins import load_plugin
from onlooker.sources import open_source
from onlooker.testing.analyzer import CHECKS, AnalyzerCase


def small(folder):
    return import_model(making.colour_model(folder / "s.onnx", size=4), making.small_colour_facts(), folder / "small")


def spots(folder):
    return import_model(making.spot_model(folder / "d.onnx"), making.spot_facts(threshold=0.6), folder / "bundle")


def colours(folder):
    return making.colour_bundle(folder, output={"threshold": 0.35})


FIRST = {"first": "small_colours", "first_sure": 0.85}
CASES = {
    "still": (colours, {"still": 0.05}),
    "still_clip": (making.motion_bundle, {"still": 0.02}),
    "sure": (colours, {"sure": 0.34, "sure_after": 2, "sure_every": 3}),
    "sure_clip_first": (colours, {"sure": 0.34, "still": 0.01, "region": (0.1, 0.2, 0.7, 0.9), **FIRST}),
    "motion": (spots, {"region": "motion", "still": 0.002}),
}


@pytest.fixture(scope="module")
def clip(data, tmp_path_factory):
    """A real clip with a keyframe every second, of which the first part stands nearly still."""
    from contract.test_analyzer import encode

    performance = data("clips/tv_whitehouse_performance.mp4")
    parts = [(data("clips/home_indoor_one_by_one_person.mp4"), 3.5), (performance, 2.5)]
    return encode(parts, tmp_path_factory.mktemp("bundles") / "clip.mp4", performance)


@pytest.fixture(scope="module")
def cases(clip, cache, tmp_path_factory):
    made, sources, names = {}, [], [added.add(small(tmp_path_factory.mktemp("small")).folder).name]

    def case(which):
        if which not in made:
            maker, settings = CASES[which]
            name = added.add(maker(tmp_path_factory.mktemp(which)).folder).name
            names.append(name)
            cls = load_plugin("analyzers", name)
            sources.append(open_source(str(clip)))
            config = cls.Config(stretch_seconds=1.5, **settings)
            made[which] = AnalyzerCase(lambda: [cls(config)], sources[-1])
        return made[which]

    yield case
    for name in dict.fromkeys(names):
        added.remove(name)
    for source in sources:
        source.close()


@pytest.mark.parametrize("which", CASES)
@pytest.mark.parametrize("check", CHECKS)
def test_contract(which, check, cases):
    CHECKS[check](cases(which))


@pytest.mark.parametrize("which", CASES)
def test_it_skips_some_looks_in_that_clip_and_makes_others(which, cases):
    from onlooker.testing.analyzer import _Opened
    from onlooker.testing.drive import decide

    case = cases(which)
    analyzers = case.make()
    with _Opened(analyzers, case.source):
        decide(analyzers, case.measurements)
        counted = analyzers[-1].counted
    assert case.observations
    assert counted["repeated"] >= 3
    assert counted["made"] >= 3
    assert ("first" not in CASES[which][1]) == (counted["first"] == 0)
