"""Two small networks of CLIP's form, made here: pictures are found by words, and get labels.

The picture's network gives the mean colour; the text's adds up what its words stand for.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import yaml
from pydantic import ValidationError
from typer.testing import CliRunner

from onlooker import models
from onlooker.analyzers._clip_tokens import ClipTokens
from onlooker.analyzers._clip_towers import ImageTower, TextTower
from onlooker.analyzers.keyframes.analyzer import Keyframes
from onlooker.analyzers.keyframes.config import KeyframesConfig
from onlooker.analyzers.pictures.analyzer import Pictures
from onlooker.analyzers.pictures.config import PicturesConfig
from onlooker.analyzers.pictures.names import LABELS, Label
from onlooker.analyzers.shots.analyzer import Shots
from onlooker.analyzers.shots.config import ShotsConfig
from onlooker.cli.main import app
from onlooker.core.errors import ConfigError, ModelError, ModelMissing
from onlooker.core.observation import Observation, Producer
from onlooker.core.store import Batch
from onlooker.models.convert.onnx_file import Graph
from onlooker.sources import open_source
from onlooker.testing.analyzer import AnalyzerContract
from onlooker.testing.drive import drive
from onlooker.timeline import open_store

SIZE, WIDTH = 32, 8
COLOURS = {"red": 0, "green": 1, "blue": 2}
OWN: dict[str, Any] = {
    "image_model": "tiny-image",
    "text_model": "tiny-text",
    "labels": {c: Label(f"the colour {c}", f"{c}色") for c in COLOURS},
}


def image_network() -> bytes:
    """(1, 3, h, w) to the mean colour, and a little of the last number."""
    graph = Graph({"pixel_values": (-1, 3, SIZE, SIZE)})
    mean = graph.node("ReduceMean", ["pixel_values"], axes=[2, 3], keepdims=0)
    spread = graph.constant(np.eye(3, WIDTH, dtype=np.float32))
    base = graph.constant(np.eye(WIDTH, dtype=np.float32)[-1:] * 0.1)
    return graph.finish({graph.node("Add", [graph.node("MatMul", [mean, spread]), base]): (-1, WIDTH)})


def text_network(tokens: ClipTokens) -> bytes:
    """(1, n) token numbers to the sum of what the colours among them stand for."""
    table = np.zeros((49_408, WIDTH), np.float32)
    for colour, column in COLOURS.items():
        table[tokens.encode(colour, 77)[1], column] = 1
    table[tokens.begin, -1] = 0.1
    graph = Graph({"input_ids": (1, -1)}, {"input_ids": "int64"})
    rows = graph.node("Gather", [graph.constant(table), "input_ids"], axis=0)
    axes = graph.constant(np.array([1], np.int64))
    return graph.finish({graph.node("ReduceSum", [rows, axes], keepdims=0): (1, WIDTH)})


def add_entry(folder: Path, name: str, data: bytes, **more: Any) -> None:
    """An entry that a user adds, with its file on disk."""
    path = folder / f"{name}.src"
    path.write_bytes(data)
    sha = hashlib.sha256(data).hexdigest()
    source = {"kind": "file", "location": str(path), "sha256": sha}
    entry = {"name": name, "title": name, "licence": "MIT", "file": f"{name}.onnx", "sha256": sha, "size": len(data)}
    entry |= {"sources": [source], "runtime": "onnxruntime", "status": "needs download", **more}
    (folder / "entries").mkdir(parents=True, exist_ok=True)
    (folder / "entries" / f"{name}.yaml").write_text(yaml.safe_dump(entry))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A folder of models with the two networks and CLIP's byte pairs."""
    if models.state("clip-tokens") != "pulled":
        (pytest.fail if os.environ.get("CI") else pytest.skip)("the model clip-tokens is not here")
    folder: Path = tmp_path_factory.mktemp("models")
    pairs = models.model_path("clip-tokens")
    shutil.copy(pairs, folder / pairs.name)
    space = {"space": "tiny", "dimensions": WIDTH}
    inputs = {"size": [SIZE, SIZE], "mean": [0.0] * 3, "std": [255.0] * 3}
    add_entry(folder, "tiny-image", image_network(), task="image-embedding", inputs=inputs, facts=space)
    facts = {**space, "tokens": "clip-tokens", "context": 77, "scale": 30.0, "languages": ["en"], "least": 0.8}
    add_entry(folder, "tiny-text", text_network(ClipTokens(pairs)), task="text-embedding", facts=facts)
    return folder


@pytest.fixture(autouse=True)
def _cache(cache, monkeypatch):
    monkeypatch.setenv("ONLOOKER_CACHE", str(cache))
    models.pull(["tiny-image", "tiny-text"])


@pytest.fixture
def coloured(write, tmp_path) -> str:
    """Four seconds of red, then four of blue, wider than high, with grey sides that the networks never see."""
    shown = []
    for i in range(200):
        picture = np.full((96, 192, 3), 128, np.uint8)
        picture[:, 40:152] = (220, 10, 10) if i < 100 else (10, 10, 220)
        shown.append(picture)
    return str(write(shown, tmp_path / "coloured.mp4"))


def stages(**more: Any):
    return [Shots(ShotsConfig()), Keyframes(KeyframesConfig()), Pictures(PicturesConfig(**OWN, **more))]


def observed(path: str, **more: Any) -> list[Observation]:
    source = open_source(path)
    made = [o for o in drive(stages(**more), source) if o.kind in ("embedding", "label")]
    source.close()
    return made


def test_labels_are_where_the_pictures_show_them(coloured):
    made = [o for o in observed(coloured) if o.kind == "label"]
    assert [o.label for o in made] == ["red", "blue"]
    assert made[0].span.end == made[1].span.start
    assert 3.5 <= made[0].span.end.seconds <= 4.5
    assert made[1].text == "blue · blue色"
    assert made[1].data["senses"] == {"pictures": 1.0}


def test_each_new_look_has_one_vector_and_a_long_one_another(coloured):
    made = [o for o in observed(coloured) if o.kind == "embedding"]
    assert [(o.label, o.vector_space) for o in made] == [("image", "tiny")] * 2
    assert len([o for o in observed(coloured, every_seconds=2) if o.kind == "embedding"]) == 4
    red, blue = (np.asarray(o.vector) for o in made)
    tower = TextTower("tiny-text")
    assert red @ tower.one("Something RED!") > 0.9 > 0.5 > red @ tower.one("something blue")
    assert blue @ tower.one("blue") > 0.9
    tower.close()


def test_pictures_are_found_by_words(coloured, tmp_path):
    folder = tmp_path / "library"
    made, source = observed(coloured), open_source(coloured)
    store = open_store(folder)
    store.add_source(source.info)
    producer = Producer("pictures", "1", "0" * 32)
    store.commit(Batch(source.info.id, [o.of(source.info.id, producer, i) for i, o in enumerate(made)]))
    store.close()

    def found(*words: str) -> list[tuple[str, float]]:
        result = CliRunner().invoke(app, ["search", *words, "--library", str(folder), "--json"])
        assert result.exit_code == 0, result.output
        return [(hit["kind"], hit["start_seconds"]) for hit in json.loads(result.output)["hits"]]

    (hit,) = found("a blue thing", "--meaning")
    assert hit[0] == "embedding"
    assert hit[1] >= 3.5
    assert found("green thing", "--meaning") == []
    assert found("a blue thing") == []


def test_known_token_numbers():
    tokens = ClipTokens(models.model_path("clip-tokens"))
    # as published with CLIP
    assert tokens.encode("a photo of a cat", 77) == [49406, 320, 1125, 539, 320, 2368, 49407]
    assert tokens.encode("  A  photo of a DOG ", 77) == [49406, 320, 1125, 539, 320, 1929, 49407]
    assert tokens.encode("", 77) == [49406, 49407]
    assert len(tokens.encode("word " * 100, 77)) == 77
    assert all(0 <= n < 49_408 for n in tokens.encode("中文 😀 naïve_x 12", 77))


def test_a_picture_is_cut_to_its_middle():
    tower = ImageTower("tiny-image")
    wide = np.zeros((SIZE, 3 * SIZE, 3), np.uint8)
    wide[:, SIZE : 2 * SIZE, 1] = 255
    assert tower.pixels(wide)[1] > 0.99
    tower.close()


def test_what_does_not_fit_is_said(tmp_path, cache):
    with pytest.raises(ConfigError, match="spaces clip-vit-b32 and tiny"):
        Pictures(PicturesConfig(text_model="tiny-text"))
    with pytest.raises(ValidationError, match="where the label stands"):
        PicturesConfig(templates=("a photo",))
    with pytest.raises(ModelMissing, match="models pull clip-image"):
        ImageTower("clip-image")
    (tmp_path / "pairs.gz").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="no list of byte pairs"):
        ClipTokens(tmp_path / "pairs.gz")
    two = Graph({"x": (1, 3, SIZE, SIZE)})
    flat = two.node("ReduceMean", ["x"], axes=[2, 3], keepdims=0)
    bad = two.finish({flat: (1, 3)})
    add_entry(cache, "bad-image", bad, task="image-embedding", facts={"space": "tiny", "dimensions": 5},
              inputs={"size": [SIZE, SIZE], "mean": [0.0] * 3, "std": [1.0] * 3})  # fmt: skip
    models.pull(["bad-image"])
    with pytest.raises(ModelError, match=r"expected one output \(1, 5\)"):
        ImageTower("bad-image")


def test_the_shipped_entries_are_complete_and_marked():
    for image, text in (("clip-image", "clip-text"), ("clip-image-small", "clip-text-small")):
        analyzer = Pictures(PicturesConfig(image_model=image, text_model=text))
        assert analyzer.needs().models == (image, text, "clip-tokens")
        assert {models.entry(n).status for n in (image, text)} == {"needs download"}
        assert models.state(image) == "needs download"
    assert len(LABELS) > 80
    assert all(label.english and label.chinese for label in LABELS.values())


class TestContract(AnalyzerContract):
    """On a real clip."""

    path: ClassVar[str] = ""

    @pytest.fixture(autouse=True)
    def _clip(self, data):
        type(self).path = str(data("clips/carphone.mp4"))

    def make(self):
        return stages()

    def open_source(self):
        return open_source(self.path)
