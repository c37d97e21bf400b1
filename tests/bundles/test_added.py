"""Bundles that were added: verified first, kept by version, put to use, taken back and removed."""

from __future__ import annotations

import json

import pytest

from analyzers.bundle import making
from onlooker.bundles import added, import_model
from onlooker.cli.main import main
from onlooker.core.errors import ModelError, PluginError, UsageError
from onlooker.core.plugins import load_plugin, plugin_names
from onlooker.pipeline.stages import create_analyzer, select_stages


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ONLOOKER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def first(tmp_path):
    return making.colour_bundle(tmp_path / "first")


@pytest.fixture
def second(tmp_path):
    return making.colour_bundle(tmp_path / "second", output={"threshold": 0.6})


def onlooker(capsys, *words):
    with pytest.raises(SystemExit) as code:
        main([str(w) for w in words])
    said = capsys.readouterr()
    return code.value.code, said.out, said.err


def test_an_added_bundle_is_an_analyzer_and_a_removed_one_is_none(first):
    assert "colours" not in plugin_names("analyzers")
    assert added.add(first.folder).name == "colours"
    (stage,) = select_stages({"colours": {"labels": ["red"]}}, "balanced", only=["colours"])
    assert stage.producer.bundle == first.digest
    assert stage.emits == ("colour",)
    added.remove("colours")
    assert "colours" not in plugin_names("analyzers")
    with pytest.raises(PluginError, match="no analyzer is called 'colours'"):
        load_plugin("analyzers", "colours")


def test_a_removed_version_between_two_uses_of_another_leaves_no_change(first, second):
    added.add(first.folder)
    added.add(second.folder)
    added.promote("colours", first.digest)
    added.remove("colours", second.digest)
    assert added.versions("colours")[1] == first.digest
    with pytest.raises(UsageError, match="no other version was in use before"):
        added.rollback("colours")


def test_what_was_compared_with_another_version_is_not_promoted(first, second, tmp_path):
    third = making.colour_bundle(tmp_path / "third", output={"threshold": 0.7})
    for bundle in (first, second, third):
        added.add(bundle.folder, use=False)
    added.promote("colours", second.digest, after=first.digest)
    said = f"{second.digest[:16]} came into use meanwhile, in place of {first.digest[:16]}"
    with pytest.raises(UsageError, match=said):
        added.promote("colours", third.digest, after=first.digest)
    assert added.versions("colours")[1] == second.digest


def test_versions_are_promoted_and_rolled_back(first, second):
    added.add(first.folder)
    assert not added.add(second.folder, use=False).in_use
    assert select_stages({"colours": {}}, "fast")[0].producer.bundle == first.digest
    added.promote("colours", second.digest[:8])
    (stage,) = select_stages({"colours": {}}, "fast")
    assert stage.producer.bundle == second.digest
    assert added.rollback("colours") == first.digest
    # a stage that was planned before runs the version that it was planned with, in another process too
    assert create_analyzer(stage.spec).bundle_digest() == second.digest
    with pytest.raises(UsageError, match="no other version was in use"):
        added.rollback("colours")
    with pytest.raises(UsageError, match="is in use"):
        added.remove("colours", first.digest[:10])
    added.remove("colours", second.digest[:10])
    assert [v.digest for v in added.versions("colours")[0]] == [first.digest]


def test_a_version_may_be_pinned_in_a_profile(first, second):
    added.add(first.folder)
    added.add(second.folder)
    (stage,) = select_stages({"colours": {"version": first.digest[:12]}}, "fast")
    assert stage.producer.bundle == first.digest
    with pytest.raises(UsageError, match="0 versions begin with"):
        select_stages({"colours": {"version": "0000"}}, "fast")


def test_adding_the_same_again_changes_nothing(first):
    assert not added.add(first.folder).known
    assert added.add(first.folder).known
    assert len(added.versions("colours")[0]) == 1


def test_what_does_not_do_what_it_did_is_not_added(tmp_path):
    facts = making.window_facts(4)
    bundle = import_model(making.window_model(tmp_path / "w.onnx"), facts, tmp_path / "b")
    with pytest.raises(ModelError, match="reaches back further than 4 steps"):
        added.add(bundle.folder)
    assert added.added_names() == []


def test_a_name_keeps_what_it_makes(first, tmp_path):
    added.add(first.folder)
    other = making.motion_bundle(tmp_path / "other")
    with pytest.raises(UsageError, match="colours makes colour; this bundle makes anomaly"):
        added.add(other.folder, "colours")
    with pytest.raises(UsageError, match="an analyzer is called objects already"):
        added.add(first.folder, "objects")
    for name in ("../x", "A", "1a", ""):
        with pytest.raises(UsageError):
            added.add(first.folder, name or "no name")


def test_an_added_bundle_that_was_altered_is_not_run(first, cache):
    folder = added.add(first.folder).bundle.folder
    data = bytearray((folder / "model.onnx").read_bytes())
    data[-1] ^= 1
    (folder / "model.onnx").write_bytes(data)
    cls = load_plugin("analyzers", "colours")
    from onlooker.core.analyzer import Context
    from onlooker.core.media import SourceInfo

    with pytest.raises(ModelError, match="was altered"):
        cls(cls.Config()).open(Context(SourceInfo("0" * 32, "x", "none", None, None, None)))
    # adding it again mends it
    assert not added.add(first.folder).known
    assert added.added_bundle("colours", check=True).digest == first.digest
    (folder / "bundle.json").write_text("{")
    with pytest.raises(PluginError, match="the bundle colours cannot be used"):
        load_plugin("analyzers", "colours")
    assert "colours" in plugin_names("analyzers")
    added.remove("colours")


def test_the_commands(first, second, tmp_path, capsys):
    code, out, _ = onlooker(capsys, "models", "add", first.folder, "--json")
    assert (code, json.loads(out)["version"], json.loads(out)["good"]) == (0, first.digest, True)
    code, out, _ = onlooker(capsys, "models", "add", second.folder, "--candidate")
    assert (code, "not in use; run: onlooker models promote colours" in out) == (0, True)
    assert onlooker(capsys, "models", "promote", "colours", second.digest[:8])[0] == 0
    rows = json.loads(onlooker(capsys, "models", "versions", "colours", "--json")[1])
    assert [(r["digest"], r["in_use"]) for r in rows] == [(first.digest, False), (second.digest, True)]
    assert onlooker(capsys, "models", "rollback", "colours")[0] == 0
    assert f"* colours {first.digest[:16]}" in onlooker(capsys, "models", "versions")[1]
    code, out, _ = onlooker(capsys, "bundles", "show", "colours")
    assert (code, "classification, observed as colour" in out, "CC0-1.0" in out) == (0, True, True)
    assert json.loads(onlooker(capsys, "bundles", "show", first.folder, "--json")[1])["digest"] == first.digest
    code, out, _ = onlooker(capsys, "bundles", "verify", "colours", "--json")
    assert (code, {c["state"] for c in json.loads(out)["checks"]}) == (0, {"good"})
    assert onlooker(capsys, "models", "remove", "colours")[0] == 0
    code, _, err = onlooker(capsys, "models", "versions", "colours")
    assert (code, "no added bundle is called 'colours'" in err) == (1, True)
    code, _, err = onlooker(capsys, "models", "add", tmp_path / "nothing")
    assert (code, "there is no bundle" in err) == (1, True)


def test_a_model_file_becomes_an_analyzer_by_two_commands(tmp_path, capsys):
    import yaml

    model = making.colour_model(tmp_path / "colour.onnx")
    (tmp_path / "facts.yaml").write_text(yaml.safe_dump(making.colour_facts()))
    code, out, _ = onlooker(
        capsys, "bundles", "import-onnx", model, "--facts", tmp_path / "facts.yaml", "--out", tmp_path / "made"
    )
    assert (code, "run: onlooker models add" in out) == (0, True)
    assert onlooker(capsys, "models", "add", tmp_path / "made")[0] == 0
    assert "colours" in plugin_names("analyzers")
    (tmp_path / "facts.yaml").write_text("name: [")
    code, _, err = onlooker(
        capsys, "bundles", "import-tf", model, "--facts", tmp_path / "facts.yaml", "--out", tmp_path / "other"
    )
    assert (code, "not YAML" in err) == (1, True)
