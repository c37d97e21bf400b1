"""A real detector of the catalogue as a bundle does what the analyzer of that detector does."""

from __future__ import annotations

from analyzers.bundle.catalogue import nanodet_facts, nanodet_file
from analyzers.conftest import read_pictures, write_clip
from onlooker.analyzers.objects.analyzer import Objects
from onlooker.analyzers.objects.config import ObjectsConfig
from onlooker.sources import open_source
from onlooker.testing.drive import drive


def plain(observations):
    return [{**o.as_dict(), "data": dict(o.data)} for o in observations]


def test_the_frozen_graph_finds_what_objects_finds(data, monkeypatch, tmp_path, watch):
    from onlooker.bundles import added, import_model, verify_bundle
    from onlooker.core.plugins import load_plugin

    # the catalogue's file is looked up before the cache is another one
    model = nanodet_file()
    shown = read_pictures(data("clips/home_indoor_one_by_one_person.mp4"), 12, width=640, height=360)
    clip = write_clip(shown, tmp_path / "people.mp4")
    source = open_source(str(clip))
    expected = plain(drive([Objects(ObjectsConfig(rate=2.5, gate=False))], source))
    source.close()
    monkeypatch.setenv("ONLOOKER_CACHE", str(tmp_path / "cache"))
    bundle = import_model(model, nanodet_facts(), tmp_path / "nanodet")
    assert bundle.manifest.networks[0].format == "tf-frozen"
    assert verify_bundle(bundle).good
    added.add(bundle.folder)
    cls = load_plugin("analyzers", "nanodet")
    assert cls.emits == ("object", "track")
    found = plain(watch(cls, clip))
    assert sum(o["kind"] == "track" and o["label"] == "person" for o in expected) >= 1
    assert found == expected
