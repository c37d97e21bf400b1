"""Bundles of every sort hold the analyzers' contract on a real clip: split equals whole, windows do not matter."""

from __future__ import annotations

import pytest

from analyzers.bundle import making
from onlooker.bundles import added, export_bundle, import_model
from onlooker.core.plugins import load_plugin
from onlooker.sources import open_source
from onlooker.testing.analyzer import CHECKS, AnalyzerCase


def headed(folder):
    """A network that looks at single pictures, and a head that never forgets."""
    plain = import_model(
        making.brightness_model(folder / "light.onnx"),
        {
            "name": "fading_head",
            "licence": "CC0-1.0",
            "input": making.STREAM,
            "outputs": [{**making.NUMBER, "tensor": "light"}],
        },
        folder / "plain",
    )
    network = plain.manifest.networks[0].model_dump(mode="json")
    head = {
        "file": "head.onnx",
        "inputs": [{"tensor": "x", "network": "model", "output": "light", "size": 1}],
        "outputs": ["y"],
        "state": making.FADING,
    }
    fields = {"schema": 1, "name": "fading_head", "licence": "CC0-1.0", "outputs": [making.NUMBER]}
    fields |= {"networks": [{**network, "speaks": "end"}], "head": head}
    files = {
        "model.onnx": plain.path("model.onnx"),
        "head.onnx": making.fading_model(folder / "head.onnx", {"x": (1, 1)}),
    }
    return export_bundle(folder / "bundle", fields, files)


def window(folder):
    return import_model(making.window_model(folder / "w.onnx"), making.window_facts(), folder / "bundle")


def reset(folder):
    facts = making.window_facts(name="reset_light", state={**making.FADING, "reset_seconds": 1.5})
    return import_model(making.fading_model(folder / "f.onnx"), facts, folder / "bundle")


def loudness(folder):
    return import_model(making.loudness_model(folder / "l.onnx"), making.loudness_facts(), folder / "bundle")


MAKERS = {
    "colour": lambda folder: making.colour_bundle(folder, output={"threshold": 0.35}),
    "motion": making.motion_bundle,
    "window": window,
    "reset": reset,
    "head": headed,
    "loudness": loudness,
}


@pytest.fixture(scope="module")
def clip(data, tmp_path_factory):
    """A real clip with sound, a keyframe every second."""
    from contract.test_analyzer import encode

    performance = data("clips/tv_whitehouse_performance.mp4")
    parts = [(performance, 2.5), (data("clips/traffic_car_overhead.mp4"), 3.5)]
    return encode(parts, tmp_path_factory.mktemp("bundles") / "clip.mp4", performance)


@pytest.fixture(scope="module")
def cases(clip, cache, tmp_path_factory):
    made, sources = {}, []

    def case(which):
        if which not in made:
            name = added.add(MAKERS[which](tmp_path_factory.mktemp(which)).folder).name
            cls = load_plugin("analyzers", name)
            sources.append(open_source(str(clip)))
            made[which] = AnalyzerCase(lambda: [cls(cls.Config())], sources[-1])
        return made[which]

    yield case
    for case in made.values():
        added.remove(case.name)
    for source in sources:
        source.close()


@pytest.mark.parametrize("which", MAKERS)
@pytest.mark.parametrize("check", CHECKS)
def test_contract(which, check, cases):
    CHECKS[check](cases(which))


@pytest.mark.parametrize("which", MAKERS)
def test_it_finds_something_in_that_clip(which, cases):
    assert cases(which).observations
