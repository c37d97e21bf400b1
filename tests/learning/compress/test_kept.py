"""What is put into OUT/bundle is what was held to the contract, in the engine that it was held in."""

from __future__ import annotations

from pathlib import Path

import pytest

import onlooker.learning.compress.run as module
from onlooker.bundles import load_bundle, save_bundle
from onlooker.bundles.golden import pack_golden, read_golden
from onlooker.bundles.running import engines
from onlooker.learning.compress.contract import Contract
from onlooker.learning.compress.measure import costs_beside, worth_of
from onlooker.learning.compress.run import compress
from onlooker.learning.compress.search import Request


def test_what_ships_runs_in_the_engine_in_which_the_test_part_was_answered(
    tiny_subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the other engine happens to be the faster one when it is timed again."""
    pytest.importorskip("openvino")
    pytest.importorskip("onnxruntime")
    subject, dataset = tiny_subject
    answered: dict[str, str | None] = {}

    def timed(bundles, *, engine=None, **more):
        own = engine.get("it") if isinstance(engine, dict) else engine
        other = {"openvino": "onnxruntime", "onnxruntime": "openvino"}[str(next(iter(answered.values())))]
        return costs_beside(bundles, engine={"it": own or other}, **more)

    def judged(bundle, *given, engine=None, **more):
        if more.get("against"):
            answered[str(bundle)] = engine
        return worth_of(bundle, *given, engine=engine, **more)

    monkeypatch.setattr(module, "costs_beside", timed)
    monkeypatch.setattr(module, "worth_of", judged)
    request = Request(
        str(subject.run), dataset.folder, Contract(50), tmp_path / "out", steps=("half",), slices=False, threads=1
    )
    chosen = compress(request)["chosen"]
    assert chosen is not None
    assert list(answered.values()) == [chosen["engine"]]
    assert load_bundle(tmp_path / "out" / "bundle").manifest.runtime == chosen["engine"]


def test_a_refusal_leaves_no_bundle_of_an_earlier_contract(tiny_subject, tmp_path: Path) -> None:
    subject, dataset = tiny_subject
    asked = {"steps": ("half",), "slices": False, "threads": 1}
    given = (str(subject.run), dataset.folder)
    assert compress(Request(*given, Contract(50), tmp_path / "out", **asked))["chosen"] is not None
    assert (tmp_path / "out" / "bundle" / "bundle.json").is_file()
    refused = Request(*given, Contract(50, max_size_mb=1e-4), tmp_path / "out", **asked)
    assert compress(refused)["chosen"] is None
    assert not (tmp_path / "out" / "bundle").exists()


def test_what_does_not_replay_in_the_engine_that_it_would_run_in_is_not_put_in_place(
    tiny_subject, tmp_path: Path
) -> None:
    """It was shipped with the engine left open."""
    subject, _ = tiny_subject
    whole = load_bundle(subject.bundle)
    golden = whole.manifest.golden
    assert golden is not None
    recorded = read_golden(whole.path(golden.file))
    inputs = {n: a for n, a in recorded.items() if n.startswith("in.")}
    files: dict[str, Path | bytes] = {n: whole.path(n) for n in whole.manifest.files}
    files[golden.file] = pack_golden(inputs, {n: a + 1 for n, a in recorded.items() if n not in inputs})
    other = save_bundle(tmp_path / "other", whole.manifest.model_dump(mode="json", by_alias=True), files)
    engine = engines(whole)[0]
    assert module._put(whole, engine, tmp_path / "good") == []
    assert load_bundle(tmp_path / "good").manifest.runtime == engine
    (reason,) = module._put(other, engine, tmp_path / "bad")
    assert reason.startswith(f"{engine}: ")
    assert not (tmp_path / "bad").exists()
