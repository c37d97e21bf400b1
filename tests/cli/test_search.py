"""``onlooker search`` finds by words, filters and likeness, and prints tables or one JSON object."""

from __future__ import annotations

import json

import numpy as np
import pytest

from cli.sample_library import make_library, run
from onlooker.testing.store_values import OTHER, SOURCE


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("search") / "library"
    make_library(folder)
    return folder


@pytest.fixture
def search(library, capsys):
    def call(*arguments):
        assert run("search", *arguments, "--library", library, "--json") == 0
        return json.loads(capsys.readouterr().out)

    return call


def test_words_are_found_in_all_sources(search):
    found = search("打架")
    assert found["count"] == 2
    assert found["query"]["text"] == "打架"
    assert {h["source"] for h in found["hits"]} == {SOURCE, OTHER}
    assert found["hits"][0]["score_search"] >= found["hits"][1]["score_search"] > 0
    assert all(h["path"].startswith("/videos/") and h["producer"].startswith("text@") for h in found["hits"])


def test_words_in_order_of_time(search):
    assert [h["source"] for h in search("打架", "--order", "time")["hits"]] == [SOURCE, OTHER]


def test_filters(search):
    hits = search("--kind", "object", "--label", "person", "--min-score", "0.9", "--order", "score")["hits"]
    assert [h["score"] for h in hits] == [i / 100 for i in range(99, 89, -1)]
    assert hits[0]["box"] == [0.1, 0.2, 0.3, 0.4]
    assert hits[0]["score_search"] is None
    assert search("--track", "person-1", "--limit", "0")["count"] == 101
    assert search("--analyzer", "shots", "--source", "街景 café.mp4")["count"] == 2
    assert search("--kind", "shot", "--kind", "keyframe", "--limit", "3", "--offset", "2")["count"] == 2


def test_time_is_half_open(search):
    hits = search("--kind", "shot", "--from", "0:04", "--to", "10s")["hits"]
    assert [h["transition"] for h in hits] == ["fade"]
    assert [h["start_seconds"] for h in search("--kind", "text", "--from", "3")["hits"]] == [4.8]


def test_like_a_moment_and_like_an_observation(search):
    hits = search("--like", "街景 café.mp4@0:05", "--limit", "1")["hits"]
    assert (hits[0]["kind"], hits[0]["start_seconds"], hits[0]["score_search"]) == ("keyframe", 2.0, 1.0)
    hits = search("--like", f"{SOURCE}@7")["hits"]
    assert [h["start_seconds"] for h in hits] == [7.0, 2.0]
    assert search("--like", hits[1]["id"][:12])["hits"][0]["start_seconds"] == 2.0
    assert search("--like", f"{SOURCE}@0")["hits"][0]["start_seconds"] == 2.0  # before the first keyframe
    # an observation without a vector stands for the keyframe before it
    text = search("Exit")["hits"][0]["id"]
    assert search("--like", text)["hits"][0]["start_seconds"] == 2.0


def test_like_an_image(tmp_path, capsys):
    descriptor = pytest.importorskip("onlooker.analyzers.keyframes.descriptor")
    image_module = pytest.importorskip("PIL.Image")
    chance = np.random.default_rng(1)
    pictures = [chance.integers(0, 255, (60, 80, 3), np.uint8), np.full((60, 80, 3), (200, 30, 30), np.uint8)]
    make_library(tmp_path / "library", look=[descriptor.describe_image(p) for p in pictures])
    image_module.fromarray(pictures[1]).save(tmp_path / "red.png")
    arguments = ("--library", tmp_path / "library", "--json")
    assert run("search", "--like-image", tmp_path / "red.png", *arguments) == 0
    assert json.loads(capsys.readouterr().out)["hits"][0]["start_seconds"] == 7.0
    (tmp_path / "broken.png").write_bytes(b"no picture")
    assert run("search", "--like-image", tmp_path / "broken.png", *arguments) == 1
    assert "cannot read the picture" in capsys.readouterr().err


def test_words_and_likeness_are_fused(search):
    hits = search("打架", "--like", f"{SOURCE}@2")["hits"]
    assert {h["kind"] for h in hits} == {"text", "keyframe"}
    assert len(hits) == 4


def test_the_table_speaks_of_each_source(library, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert run("search", "--kind", "text", "--kind", "keyframe", "--library", library) == 0
    said = capsys.readouterr().out
    for expected in ("other [1].mp4", "Exit [bold]left[/bold]", "0:00:04.800", "keyframes/000050.jpg", "5 found"):
        assert expected in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--order", "id; drop"], "--order"),
        (["--from", "soon"], "not a time"),
        (["--from", "5", "--to", "1"], "swap"),
        (["--source", "nothing.mp4"], "nothing.mp4"),
        (["--like", f"{OTHER}@0:01"], "no keyframe"),
        (["--like", "x", "--like-image", "y"], "together"),
    ],
)
def test_bad_use_is_one_clear_line(library, capsys, arguments, said):
    assert run("search", *arguments, "--library", library, "--json") == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert "Traceback" not in err


def test_no_library(tmp_path, capsys):
    assert run("search", "x", "--library", tmp_path / "none") == 1
    assert "no library" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_nothing_found(library, capsys):
    assert run("search", '"; NEAR(', "--library", library) == 0
    assert "nothing found" in capsys.readouterr().out
