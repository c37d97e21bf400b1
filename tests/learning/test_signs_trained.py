"""Video and words learned together by `train`, and told of a clip whose written words the text analyzer reads."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from analyzers.conftest import read_pictures, write_clip
from learning.improve._material import onlooker, told
from onlooker.models.entries import cache_folder

pytest.importorskip("torch")

WORDS = {
    "stop": ("STOP", "HALT HERE", "DO NOT ENTER", "NO ENTRY"),
    "go": ("WELCOME", "COME IN", "PLEASE ENTER", "OPEN"),
}
PLACES = ("shots/bikes.mp4", "clips/preview_classroom.mp4", "clips/traffic_car_overhead.mp4")
NAME = "signs_of_the_test"
RECIPE = """
kind: train
name: signs
dataset: ../signs
prepare:
  pictures: {frames: 4, rate: 4, width: 32, height: 24}
inputs:
  video: {network: frame_cnn, widths: [8, 16]}
  words: {network: text_encoder, size: 16}
fusion: {kind: gated, size: 16}
tasks:
  state: {head: classification}
augment: {contrast: 0.2}
optimiser: {kind: adamw, rate: 0.01}
training: {epochs: 12, batch: 16, threads: 1, workers: 0}
"""


def at(light: str, picture):
    """A picture as it is by day or by night."""
    return picture if light == "day" else (picture * 0.3).astype(np.uint8)


def signed(picture, words):
    """A picture with a sign."""
    made = Image.fromarray(picture)
    draw = ImageDraw.Draw(made)
    draw.rectangle((40, 50, 280, 120), fill=(250, 250, 250))
    draw.text((55, 68), words, fill=(10, 10, 10), font=ImageFont.load_default(32))
    return np.asarray(made)


@pytest.fixture(scope="module")
def backgrounds(data):
    """Pictures of three places, 320 by 180."""
    return [read_pictures(data(name), 2) for name in PLACES]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A cache with the models that are there, for tests that run beside these must not see what is added."""
    folder = tmp_path_factory.mktemp("cache")
    for model in cache_folder().glob("[!.]*.*"):
        (folder / model.name).symlink_to(model)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ONLOOKER_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module")
def folder(backgrounds, cache, tmp_path_factory):
    """A dataset imported from a table, and the bundle that was trained of it and added."""
    folder = tmp_path_factory.mktemp("signs")
    rows = ["file,text,state,place,split"]
    random = np.random.default_rng(3)
    for number in range(48):
        light, say = ("day", "night")[number % 2], ("stop", "go")[number // 2 % 2]
        place = number % 3
        begin = int(random.integers(0, 20))
        shown = [at(light, p) for p in backgrounds[place][begin : begin + 25]]
        write_clip(shown, folder / f"{number}.mp4")
        # the words stand in the table alone: pictures do not tell them
        part = "test" if number >= 40 else "val" if number >= 32 else "train"
        words = random.choice(WORDS[say])
        rows.append(f"{number}.mp4,{words},{say} by {light},{place},{part}")
    (folder / "table.csv").write_text("\n".join(rows))
    (folder / "recipes").mkdir()
    (folder / "recipes" / "signs.yaml").write_text(RECIPE)
    onlooker("dataset", "import", "csv", folder / "table.csv", "--into", folder / "signs", "--label", "state=state",
             "--set", "text=text", "--group", "place={place}", "--split", "{split}")  # fmt: skip
    onlooker("train", folder / "recipes" / "signs.yaml", "--out", folder / "run")
    onlooker("models", "add", folder / "run" / "bundle", "--name", NAME)
    return folder


def test_both_are_needed_and_both_are_learned(folder):
    found = told("evaluate", folder / "run" / "bundle", folder / "signs", "--no-near")["tasks"]["state"]
    assert found["metric"] == "accuracy"
    # either alone knows a half of the four states
    assert found["value"] > 0.8


def test_words_that_a_clip_shows_are_read_and_joined(folder, backgrounds, tmp_path):
    phases = [("day", "NO ENTRY"), ("day", "WELCOME"), ("night", "NO ENTRY")]
    shown = [at(light, signed(p, words)) for light, words in phases for p in backgrounds[0][:25] * 4]
    clip = write_clip(shown, tmp_path / "door.mp4")
    told("analyze", clip, "--library", tmp_path / "lib", "--only", f"{NAME},text")
    rows = json.loads(onlooker("search", "--library", tmp_path / "lib", "--kind", "action", "--json"))["hits"]
    rows.sort(key=lambda row: row["start_seconds"])
    # a look of a second that sees both what was and what comes next may tell either
    lasting = [row for row in rows if row["end_seconds"] - row["start_seconds"] > 2]
    assert [row["label"] for row in lasting] == ["stop by day", "go by day", "stop by night"]
    assert [row["end_seconds"] for row in lasting[:2]] == pytest.approx([4, 8], abs=1)
