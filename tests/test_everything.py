"""All analyzers over a real clip of people who talk and play, as a user runs them; then again, which does nothing."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from onlooker.core.errors import ModelMissing
from onlooker.core.plugins import plugin_names
from onlooker.models import model_path
from onlooker.pipeline.profile import load_profile
from onlooker.pipeline.stages import select_stages

pytestmark = pytest.mark.timeout(1200)

PARTS = (
    "clips/tv_whitehouse_performance.mp4",
    "clips/talking_face_signer_blue.mp4",
    "clips/talking_face_man_suit.mp4",
)
"""An orchestra and the voice of a man; a woman and a man who speak to the camera; a caption is drawn under each."""
CAPTIONS = ("Central bank raises interest rates", "Inflation and the economy", "Stock markets fall")
SECONDS = 22

KINDS = (
    *("shot", "scene", "keyframe", "object", "track", "motion"),
    *("face", "face_track", "identity", "embedding", "expression", "attention", "attention_state", "pose"),
    *("text", "speech", "speaker", "sound", "label", "topic", "keyword", "summary", "sentiment", "safety", "fact"),
    *("attribute", "chapter"),
)
"""What the clip holds of the kinds that there are."""

NEEDS_DOWNLOAD = {"pictures"}


class Ran(NamedTuple):
    lines: dict[str, list[dict[str, Any]]]
    first: dict[str, Any]
    exported: str
    onlooker: Any


@pytest.fixture(scope="module")
def ran(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("everything")
    parts = tuple(str(data(part)) for part in PARTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).resolve().parents[1] / "benchmarks"))
        importlib.import_module("_talk").talk(folder / "talk.mp4", seconds=SECONDS, parts=parts, captions=CAPTIONS)
    # what the shipped profile names, and whatever else is built in
    shipped = load_profile("everything").analyzers
    names = {n: dict(shipped.get(n) or {}) for n in plugin_names("analyzers") if n not in NEEDS_DOWNLOAD}
    try:
        for stage in select_stages(names, "fast", list(names)):
            for model in stage.needs.models:
                model_path(model)
    except ModelMissing as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))
    (folder / "all.yaml").write_text(yaml.safe_dump({"name": "all", "analyzers": names}))

    def onlooker(*words):
        command = [sys.executable, "-m", "onlooker", *words, "--library", "lib"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    first = json.loads(onlooker("analyze", "talk.mp4", "--profile", "all.yaml", "--quality", "fast", "--json"))
    exported = onlooker("export", "talk.mp4", "--format", "jsonl")
    lines = defaultdict(list)
    for line in exported.splitlines():
        told = json.loads(line)
        lines[told["kind"]].append(told)
    return Ran(dict(lines), first, exported, onlooker)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_that_the_clip_holds_comes_out(ran, kind):
    assert ran.lines.get(kind), f"no {kind}; there are {sorted(ran.lines)}"
    for told in ran.lines[kind]:
        assert -0.1 <= told["start_seconds"] <= told["end_seconds"] <= SECONDS + 0.5
        assert told["producer"]
        if told["box"] is not None:
            assert all(-0.5 <= v <= 1.5 for v in told["box"])


def test_nothing_failed_and_each_analyzer_tells_its_time(ran):
    (source,) = ran.first["sources"]
    assert source["failures"] == []
    assert set(source["ran"]) == set(source["analyzers"])
    assert source["analyzers"]["objects"]["cpu_seconds"] > 0


def test_observations_name_each_other(ran):
    """Tracks that identities, states and sentences speak of are there."""
    faces = {o["track"] for o in ran.lines["face_track"]}
    voices = {o["track"] for o in ran.lines["speaker"]}
    for kind in ("identity", "expression", "attention_state"):
        assert {o["track"] for o in ran.lines[kind]} <= faces | voices, kind
    assert all(o["text"] and o["words"] for o in ran.lines["speech"])
    pictures = [o["media"] for o in ran.lines["face_track"]]
    assert any(pictures), "no track has a best picture"


def test_a_second_run_does_nothing(ran):
    again = json.loads(ran.onlooker("analyze", "talk.mp4", "--profile", "all.yaml", "--quality", "fast", "--json"))
    (source,) = again["sources"]
    assert source["ran"] == []
    assert source["counts"] == ran.first["sources"][0]["counts"]
    assert ran.onlooker("export", "talk.mp4", "--format", "jsonl") == ran.exported


def test_all_formats_and_the_report_hold_it(ran):
    insights = json.loads(ran.onlooker("export", "talk.mp4", "--format", "insights"))["videos"][0]["insights"]
    for element in ("transcript", "ocr", "faces", "speakers", "topics", "keywords", "labels", "audioEffects"):
        assert insights[element], element
    coco = json.loads(ran.onlooker("export", "talk.mp4", "--format", "coco"))
    assert {"face", "body", "person"} <= {c["name"] for c in coco["categories"]}
    assert "people" in ran.onlooker("show", "talk.mp4")
    ran.onlooker("report", "talk.mp4", "-o", "talk.html")
