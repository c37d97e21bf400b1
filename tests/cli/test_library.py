"""``onlooker library`` looks after a library."""

from __future__ import annotations

import json
import os
import time
from fractions import Fraction

import apsw
import pytest

from cli.sample_library import make_library, run
from onlooker.cli.commands.library import parse_age, parse_size
from onlooker.core.errors import UsageError
from onlooker.testing.store_values import OTHER, SOURCE


@pytest.fixture
def library(tmp_path):
    make_library(tmp_path / "library")
    return tmp_path / "library"


@pytest.fixture
def call(library, capsys):
    def called(*arguments, code=0):
        assert run("library", *arguments, "--library", library, "--json") == code
        out = capsys.readouterr().out
        return json.loads(out) if out else None

    return called


def test_info_and_list(call, library, capsys):
    assert call("info")["counts"]["object"] == 100
    listed = call("list")["sources"]
    assert [(s["source"], s["complete"], s["failures"]) for s in listed] == [(SOURCE, False, 1), (OTHER, True, 0)]
    assert run("library", "list", "--library", library) == 0
    assert "other [1].mp4" in capsys.readouterr().out
    assert run("library", "info", "--library", library) == 0
    assert "2 sources, 1 failures" in capsys.readouterr().out


def test_remove(call, library):
    assert call("remove", "街景 café.mp4")["removed"] == SOURCE
    assert [s["source"] for s in call("list")["sources"]] == [OTHER]
    assert not (library / "media" / SOURCE).exists()
    call("remove", "街景 café.mp4", code=1)


def test_retain(call):
    assert call("retain", "--older-than", "30d", "--max-size", "10GB")["removed"] == 0
    assert call("retain", "--older-than", "0s")["removed"] == 2
    call("retain", code=1)
    call("retain", "--max-size", "lots", code=1)


def test_check_finds_damage_and_missing_media(call, library):
    assert call("check") == {
        "ok": True,
        "observations": 108,
        "damage": [],
        "missing_media": [],
        "dangling_media": [],
    }
    (library / "media" / SOURCE / "keyframes" / "000050.jpg").unlink()
    stray = library / "media" / SOURCE / "stray.jpg"
    stray.write_bytes(b"x")
    connection = apsw.Connection(str(library / "library.sqlite"))
    connection.execute("UPDATE observation SET ordinal = 7 WHERE kind = 'track'")
    connection.execute("UPDATE pack SET body = substr(body, 1, length(body) - 9) WHERE number = 1")
    connection.close()
    found = call("check", code=1)
    assert found["missing_media"] == [f"media/{SOURCE}/keyframes/000050.jpg"]
    assert found["dangling_media"] == [f"media/{SOURCE}/stray.jpg"]
    assert len(found["damage"]) == 2


def test_vacuum_deletes_old_strays_only(call, library):
    old, young = (library / "media" / SOURCE / name for name in ("old.jpg", "young.jpg"))
    for path in (old, young):
        path.write_bytes(b"x")
    before = time.time() - 7200
    os.utime(old, (before, before))
    assert call("vacuum")["media_deleted"] == 1
    assert young.exists()
    assert not old.exists()
    assert call("check")["ok"]


def test_migrate_says_when_there_is_nothing_to_do(call):
    assert call("migrate")["migrated"] is False


def test_ages_and_sizes():
    assert parse_age("1.5h") == 5400
    assert parse_age("2w") == Fraction(14 * 86400)
    assert parse_size("10GB") == 10**10
    assert parse_size("1.5 GiB") == 3 * 2**29
    assert parse_size("12") == 12
    for wrong in ("", "30", "d", "-1d"):
        with pytest.raises(UsageError):
            parse_age(wrong)
    for wrong in ("", "GB", "10XB", "-1"):
        with pytest.raises(UsageError):
            parse_size(wrong)
