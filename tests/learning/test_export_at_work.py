# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false, reportCallIssue=false
"""A bundle made of a run, at work on a real clip."""

from __future__ import annotations

import contextlib
import io
import json
from contextlib import closing

import av
import numpy as np
import pytest
import torch
from PIL import Image

from learning._runs import CLIP, TCONV, facts_of, make_run, recipe_of
from onlooker.cli.main import main
from onlooker.core.store import Query
from onlooker.learning.export.forms import Windows
from onlooker.learning.run_folder import load_model
from onlooker.timeline import open_store


def onlooker(*words):
    said = io.StringIO()
    with contextlib.redirect_stdout(said), pytest.raises(SystemExit) as code:
        main([str(w) for w in words])
    assert code.value.code == 0, said.getvalue()
    return said.getvalue()


@pytest.fixture
def long_clip(data, tmp_path):
    """45 s of real footage, small, at ten pictures a second."""
    from analyzers.conftest import read_pictures, write_clip

    shown = read_pictures(data("shots/bikes.mp4"), 18, width=40, height=32)
    return write_clip(shown, tmp_path / "long.mp4", rate=10, crf=4)


def expected_numbers(run, path):
    """The streaming form in PyTorch over the pictures shown at each tick, decoded and resized by other code."""
    model, recipe, facts = load_model(run)
    clip = facts.inputs["video"]
    with av.open(str(path)) as opened:
        shown = [(f.time, f.to_image()) for f in opened.decode(video=0)]
    form = Windows(model, "video", recipe.export.window, views=())
    state, made = tuple(form.initial_state().values()), []
    mean, std = (torch.tensor(v).reshape(1, 1, 3, 1, 1) for v in (clip.mean, clip.std))
    for tick in range(int(shown[-1][0] * clip.rate) + 1):
        picture = next(p for t, p in shown if int(t * clip.rate + 1e-6) >= tick)
        small = np.asarray(picture.resize((clip.width, clip.height), Image.Resampling.BOX), np.float32)
        x = (torch.from_numpy(small).permute(2, 0, 1)[None, None] / 255 - mean) / std
        with torch.no_grad():
            answer, *after = form(x, *state)
        state = tuple(after)
        made.append(float(answer[0, 0]))
    return made


def test_it_is_added_and_observes_a_real_clip_whole_or_in_parts(long_clip, monkeypatch, tmp_path):
    monkeypatch.setenv("ONLOOKER_CACHE", str(tmp_path / "cache"))
    recipe = recipe_of({"video": TCONV}, {"size": {"head": "regression"}})
    run = make_run(tmp_path, recipe, facts_of({"video": CLIP}, {"size": "regression"}))
    told = json.loads(onlooker("bundles", "from-run", run, "--out", tmp_path / "bundle", "--json"))
    assert told["good"]
    onlooker("models", "add", tmp_path / "bundle")
    only = ("--only", "tiny", "--json")
    one = json.loads(onlooker("analyze", long_clip, "--library", tmp_path / "one", *only))
    assert one["sources"][0]["failures"] == []
    onlooker("analyze", long_clip, "--library", tmp_path / "two", "--workers", "2", *only)
    found = observed(tmp_path / "one")
    assert [o.as_dict() for o in found] == [o.as_dict() for o in observed(tmp_path / "two")]
    values = [o.data for o in found if o.label == "size 1"]
    numbers = expected_numbers(run, long_clip)
    at = 0
    for data in values:
        part = numbers[at : at + data["looks"]]
        assert data["value"] == pytest.approx(np.mean(part), abs=0.02)
        at += data["looks"]
    assert at == len(numbers)
    assert np.std([d["value"] for d in values]) > 0.02


def observed(library):
    with closing(open_store(library, read_only=True)) as store:
        return sorted(store.query(Query()), key=lambda o: (o.span.start, o.label or ""))
