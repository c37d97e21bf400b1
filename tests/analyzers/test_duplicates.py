"""Copies are found with their offsets, other recordings are not, and the command prints what is shared."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from onlooker.analyzers.duplicates.config import DuplicatesConfig
from onlooker.analyzers.duplicates.fingerprint import ROW, Series, dump, fingerprint, load
from onlooker.analyzers.duplicates.match import Index, find_matches
from onlooker.core.errors import StoreError


@pytest.fixture
def series(observe):
    def made(path):
        files = [a for o in observe("duplicates", path, repeats=False) for a in o.attachments]
        return Series.of_rows(str(path), [load(a.data, a.name) for a in files])

    return made


@pytest.fixture
def original(data):
    return data("shots/montage_a.mp4")


def cropped(picture):
    return picture[9:-9, 16:-16]


def smaller(picture):
    return np.asarray(Image.fromarray(picture).resize((200, 112)))


def brighter(picture):
    return np.clip(picture.astype(np.float32) * 1.15 + 12, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("change", [cropped, smaller, brighter])
def test_changed_part_is_found_with_its_offset(change, original, series, pictures, write, tmp_path):
    part = [change(p) for p in pictures(original, 14)[5 * 25 :]]
    copy = series(write(part, tmp_path / "copy.mp4", crf=30))
    matches = find_matches(Index(series(original)), copy, DuplicatesConfig())
    assert matches
    longest = max(matches, key=lambda m: m.end - m.start)
    assert longest.offset == pytest.approx(5, abs=0.25)
    assert sum(m.end - m.start for m in matches) > 5


def test_other_recordings_are_no_duplicates(data, original, series):
    index = Index(series(original))
    for name in ("shots/bikes.mp4", "shots/megamind.avi", "clips/carphone.mp4"):
        assert find_matches(index, series(data(name)), DuplicatesConfig()) == []


def test_repeat_within_a_source(data, observe, pictures, write, tmp_path):
    jingle = pictures(data("shots/bikes.mp4"), 6)
    between = pictures(data("shots/megamind.avi"), 10)
    made = observe("duplicates", write(jingle + between + jingle, tmp_path / "show.mp4"))
    repeats = [o for o in made if o.kind == "duplicate"]
    assert len(repeats) == 1
    assert repeats[0].data["offset_seconds"] == pytest.approx(16, abs=0.1)
    assert repeats[0].span.start.seconds == pytest.approx(0, abs=0.5)


def test_still_pictures_are_no_evidence(series, write, tmp_path):
    still = np.random.default_rng(1).integers(0, 255, (18, 32, 3), np.uint8).repeat(10, 0).repeat(10, 1)
    one = series(write([still] * 150, tmp_path / "one.mp4"))
    two = series(write([still] * 150, tmp_path / "two.mp4", crf=30))
    assert find_matches(Index(one), two, DuplicatesConfig()) == []


def test_black_borders_do_not_change_the_bits(data, pictures):
    grey = pictures(data("shots/megamind.avi"), 0.04)[0].mean(2).astype(np.uint8)
    boxed = np.pad(grey, ((30, 30), (0, 0)))
    assert fingerprint(0, grey)["bits"][0, 0] == fingerprint(0, boxed)["bits"][0, 0]


def test_empty_and_tiny_series_match_nothing():
    none = Series.of_rows("none", [])
    one = Series.of_rows("one", [np.zeros(1, ROW)])
    for a in (none, one):
        for b in (none, one):
            assert find_matches(Index(a), b, DuplicatesConfig()) == []


def test_damaged_file_says_so():
    data = dump(np.zeros(3, ROW))
    for damaged in (data[:40], b"", dump(np.zeros(3, np.dtype([("a", "<u4")])))):
        with pytest.raises(StoreError, match="fingerprint"):
            load(damaged, "x.npy")


def test_library_relates_copies_and_the_command_prints_them(original, pictures, write, tmp_path, capsys):
    from onlooker.cli.main import main

    write(pictures(original, 12), tmp_path / "a.mp4")
    write([smaller(p) for p in pictures(original, 12)[3 * 25 :]], tmp_path / "b.mp4")
    library = str(tmp_path / "library")

    def run(*arguments):
        with pytest.raises(SystemExit) as stop:
            main([*arguments, "--library", library, "--json"])
        assert stop.value.code == 0
        return json.loads(capsys.readouterr().out)

    run("analyze", str(tmp_path / "a.mp4"), "--only", "duplicates")
    done = run("analyze", str(tmp_path / "b.mp4"), "--only", "duplicates")
    assert done["sources"][0]["counts"]["duplicate"] >= 1
    found = run("duplicates")
    assert len(found["groups"]) == 1
    assert {p["path"].split("/")[-1] for p in found["pairs"]} == {"b.mp4"}
    assert found["pairs"][0]["offset_seconds"] == pytest.approx(3, abs=0.25)
    found = run("duplicates", "a.mp4")
    assert found["pairs"][0]["offset_seconds"] == pytest.approx(-3, abs=0.25)
