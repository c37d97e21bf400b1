"""A text is found by what it means, in the other language too; the encoder computes what its package computes."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from typer.testing import CliRunner

from analyzers.script import Script, said, seen, shown, silence, told
from onlooker import models
from onlooker.analyzers._sentence_words import letters, words_of
from onlooker.analyzers.embeddings.analyzer import Embeddings
from onlooker.analyzers.embeddings.config import EmbeddingsConfig
from onlooker.analyzers.speech.analyzer import Speech
from onlooker.analyzers.speech.config import SpeechConfig
from onlooker.cli.main import app
from onlooker.core.errors import ModelError
from onlooker.core.observation import Producer
from onlooker.core.store import Batch
from onlooker.models.sentence_tokens import Pieces
from onlooker.models.sentences import MODELS, SPACE, shared_encoder
from onlooker.sources import open_source
from onlooker.testing.analyzer import AnalyzerContract
from onlooker.testing.drive import drive
from onlooker.timeline import open_store

LINES = [
    said(0, 2, "Two men are fighting in the street."),
    said(2, 4, "今天天气很好，适合出去散步。", "zh"),
    said(4, 6, "The company reported higher profits this quarter."),
    shown(1, 5, "医生正在给病人做手术", language="zh"),
    shown(1, 5, "OK"),
    seen(0, 6, "person", "person-1"),
]


@pytest.fixture(autouse=True)
def _models():
    for name in MODELS:
        if models.state(name) != "pulled":
            (pytest.fail if os.environ.get("CI") else pytest.skip)(f"the model {name} is not here")


def test_texts_get_vectors_and_short_ones_and_things_none():
    made = told(Embeddings(EmbeddingsConfig()), LINES)
    assert [o.data["words"] for o in made] == [o.text for o in LINES[:4]]
    assert {(o.kind, o.label, o.vector_space) for o in made} == {("embedding", "text", SPACE)}
    assert [o.span for o in made] == [o.span for o in LINES[:4]]
    assert all(abs(float(np.linalg.norm(o.vector)) - 1) < 1e-5 for o in made)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("violence between people", 0),
        ("打架", 0),
        ("sunny weather", 1),
        ("公司盈利增长", 2),
        ("surgery in a hospital", 3),
    ],
)
def test_a_question_finds_its_answer_in_either_language(question, answer):
    encoder = shared_encoder()
    near = encoder.many([str(o.text) for o in LINES[:4]]) @ encoder.one(question)
    assert int(near.argmax()) == answer


def test_a_vector_does_not_depend_on_what_was_encoded_before():
    encoder = shared_encoder()
    texts = ["one", "a longer text about trains", "火车"]
    assert np.array_equal(encoder.many(texts), encoder.many(texts[::-1])[::-1])
    assert encoder.one("").shape == (512,)


def test_pieces_cover_the_text_and_every_character_is_read():
    pieces = shared_encoder().pieces
    made = pieces.split("  Ｆｕｌｌ　width, ﬁne ① 神经网络\t再见 ")
    assert "".join(p for p, _ in made) == "▁Full▁width,▁fine▁1▁神经网络▁再见"
    random.seed(3)
    for _ in range(100):
        text = "".join(
            chr(random.choice([random.randrange(32, 0x500), random.randrange(0x3000, 0xFFEF)])) for _ in "x" * 20
        )
        assert all(0 <= number < 128_010 for _, number in pieces.split(text))
    assert pieces.split("") == []


def test_a_damaged_vocabulary_is_an_error(tmp_path):
    whole = models.model_path("sentence-tokens").read_bytes()
    for name, data in {"empty": b"", "text": b"hello", "cut": whole[:5000]}.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ModelError, match="no SentencePiece model"):
            Pieces(tmp_path / name)


def test_words_are_cut_in_both_languages():
    words = words_of("今天我们学习lion's Neural Networks，don’t worry", shared_encoder().pieces.split)
    assert words[:2] == ["今天", "我们"]
    assert words[-5:] == ["lion", "neural", "networks", "don't", "worry"]
    assert letters("今天 ok!") == 6


def library(tmp_path: Path) -> Path:
    """A library whose only source was analysed."""
    folder = tmp_path / "library"
    store = open_store(folder)
    analyzers: dict[str, Any] = {"speech": LINES, "embeddings": told(Embeddings(EmbeddingsConfig()), LINES)}
    source = open_source(str(tmp_path / "clip.mp4"))
    store.add_source(source.info)
    for name, lines in analyzers.items():
        producer = Producer(name, "1", "0" * 32)
        store.commit(Batch(source.info.id, [o.of(source.info.id, producer, i) for i, o in enumerate(lines)]))
    source.close()
    store.close()
    return folder


def test_search_finds_by_word_and_by_meaning(tmp_path, data):
    (tmp_path / "clip.mp4").write_bytes(data("clips/carphone.mp4").read_bytes())
    folder = str(library(tmp_path))

    def texts(*arguments: str) -> list[str]:
        result = CliRunner().invoke(app, ["search", *arguments, "--library", folder, "--json"])
        assert result.exit_code == 0, result.output
        return [hit["text"] for hit in json.loads(result.output)["hits"]]

    assert texts("fighting") == [LINES[0].text]
    assert texts("打架")[0] == LINES[0].text
    assert texts("打架", "--no-meaning") == []
    assert texts("operation by a doctor", "--kind", "text") == [LINES[3].text]
    assert texts("operation by a doctor", "--kind", "speech") == []
    assert texts("打架", "--from", "3") == []
    assert texts("打架", "--limit", "1", "--meaning") == [LINES[0].text]


def test_search_by_meaning_says_what_is_missing(tmp_path):
    open_store(tmp_path / "library").close()
    result = CliRunner().invoke(app, ["search", "x", "--library", str(tmp_path / "library"), "--meaning"])
    assert result.exit_code != 0
    result = CliRunner().invoke(app, ["search", "x", "--library", str(tmp_path / "library")])
    assert result.exit_code == 0


def test_a_real_speech_is_found_in_the_other_language(data):
    pytest.importorskip("faster_whisper")
    for name in ("silero-vad", "whisper-base"):
        if models.state(name) != "pulled":
            (pytest.fail if os.environ.get("CI") else pytest.skip)(f"the model {name} is not here")
    source = open_source(str(data("speech/jfk.flac")))
    made = [o for o in drive([Speech(SpeechConfig()), Embeddings(EmbeddingsConfig())], source) if o.kind == "embedding"]
    source.close()
    near = np.stack([o.vector for o in made]) @ shared_encoder().many(["你能为国家做什么", "今天晚饭吃什么"]).T
    assert near[:, 0].max() > 0.3 > 0.2 > near[:, 1].max()


class TestContract(AnalyzerContract):
    """Over a script of sentences and captions."""

    path: ClassVar[str] = ""

    @pytest.fixture(autouse=True)
    def _clip(self, tmp_path):
        if not type(self).path:
            type(self).path = silence(tmp_path / "silence.wav", 8)

    def make(self):
        return [Script(LINES), Embeddings(EmbeddingsConfig())]

    def open_source(self):
        return open_source(self.path)
