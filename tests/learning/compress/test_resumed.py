"""Going on with a search that was stopped, by its budget or by a kill."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from cli.sample_library import run
from onlooker.bundles import load_bundle
from onlooker.learning.compress.contract import Contract
from onlooker.learning.compress.search import Candidate, Request, Search
from onlooker.learning.run_folder import RunFolder

STEPS = ({"step": "prune", "ratio": 0.3, "epochs": 0}, {"step": "distil", "epochs": 3}, {"step": "graph"})


def told(one: Candidate) -> list[tuple[str, object]]:
    """By step of a candidate's lineage, the epochs that were learned."""
    assert one.bundle is not None, one.error
    steps = load_bundle(one.bundle).manifest.provenance.steps
    return [(s.name, s.settings.get("epochs")) for s in steps[-len(one.steps) :]]


def made_at(one: Candidate) -> int:
    """When its bundle was written."""
    assert one.bundle is not None, one.error
    return (one.bundle / "bundle.json").stat().st_mtime_ns


def test_what_the_budget_cut_short_is_told_so_and_learned_to_its_end_when_there_is_time(
    tiny_subject, tmp_path: Path
) -> None:
    subject, dataset = tiny_subject
    request = Request(str(subject.run), dataset.folder, Contract(100), tmp_path / "out", threads=1)
    search = Search(request)
    search.deadline = time.monotonic()
    one = search.tried(STEPS)
    assert one.cut_short
    assert told(one) == [("prune", 0), ("distil", 0), ("graph", None)]
    when = made_at(one)
    assert made_at(search.tried(STEPS)) == when, "where the time is up it is taken as it is"
    again = Search(request).tried(STEPS)
    assert not again.cut_short
    assert told(again) == [("prune", 0), ("distil", 3), ("graph", None)]
    assert again.bundle is not None
    distilled = Search(request).made(STEPS[:2])
    assert distilled.run is not None
    assert len(RunFolder(distilled.run).history()) == 3
    assert load_bundle(again.bundle).manifest.provenance.parent == load_bundle(distilled.bundle).digest
    when = made_at(again)
    assert made_at(Search(request).tried(STEPS)) == when, "what is whole is not made again"


def test_a_search_that_was_killed_while_the_bundle_was_copied_goes_on(tiny_subject, tmp_path: Path, capsys) -> None:
    subject, dataset = tiny_subject
    shutil.copytree(subject.bundle, tmp_path / "out" / "baseline" / "bundle")
    (tmp_path / "out" / "baseline" / "bundle" / "bundle.json").unlink()
    shutil.copytree(subject.bundle, tmp_path / "out" / "baseline" / "bundle.draft")
    given = ("compress", subject.run, "--data", dataset.folder, "--out", tmp_path / "out", "--resume")
    code = run(*given, "--steps", "graph", "--max-drop", 100, "--no-slices", "--threads", 1)
    assert code == 0, capsys.readouterr().err
    assert load_bundle(tmp_path / "out" / "baseline" / "bundle").digest == load_bundle(subject.bundle).digest
    assert not (tmp_path / "out" / "baseline" / "bundle.draft").exists()
