"""``onlooker export`` writes formats to files and pipes, whole or not at all."""

from __future__ import annotations

import json
import os
import threading
from contextlib import closing

import pytest

from cli.sample_library import make_library, run
from onlooker.core.plugins import plugin_names
from onlooker.core.store import Query
from onlooker.testing.store_values import SOURCE
from onlooker.timeline import open_store


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "library"
    make_library(folder)
    return folder


def test_standard_output_is_json_lines_and_nothing_else(library, capfdbinary):
    assert run("export", "街景 café.mp4", "--library", library) == 0
    said = capfdbinary.readouterr()
    with closing(open_store(library, read_only=True)) as store:
        expected = [o.as_dict() for o in store.query(Query(sources=(SOURCE,)))]
    assert [json.loads(line) for line in said.out.decode().split("\n")[:-1]] == expected
    assert len(expected) == 107
    assert said.err == b""


def test_conditions(library, capfdbinary):
    assert run("export", "--all", "--library", library, "--kind", "text", "--from", "4.5", "--to", "1:00") == 0
    rows = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert [r["text"] for r in rows] == ["Exit [bold]left[/bold]"]
    assert run("export", "--all", "--library", library, "--label", "person", "--kind", "track") == 0
    assert json.loads(capfdbinary.readouterr().out)["track"] == "person-1"


def test_a_source_named_twice_is_written_once(library, capfdbinary):
    assert run("export", SOURCE[:8], "街景 café.mp4", "--library", library, "--kind", "track") == 0
    assert len(capfdbinary.readouterr().out.splitlines()) == 1


def test_the_list_names_every_format(capsys):
    assert run("export", "--list") == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in said] == plugin_names("exports")
    assert all(len(line.split()) > 2 for line in said)


def test_a_file_and_what_has_no_place_in_it(library, tmp_path, capsys):
    target = tmp_path / "街景 tracks.txt"
    assert run("export", SOURCE, "--library", library, "--format", "mot", "-o", target, "--kind", "object",
               "--kind", "text") == 0  # fmt: skip
    said = capsys.readouterr()
    assert said.out == ""
    assert "2 of text have no place in mot" in said.err
    assert f"{target}: 100 observations" in said.err
    assert len(target.read_text().splitlines()) == 100
    assert [p.name for p in tmp_path.iterdir()] == [target.name]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--all", "--format", "srt"], "SRT holds one source, not 2"),
        (["--all", "--format", "nothing"], "no format is called 'nothing' (known: activitynet, "),
        ([], "say which sources"),
        (["x.mp4", "--all"], "say which sources"),
        (["x.mp4"], "no source is called"),
        (["--all", "--from", "2m", "--to", "1:00"], "--to 1:00 lies before --from 2m"),
        (["--all", "--from", "soon"], "not a time: 'soon'"),
    ],
)
def test_errors_leave_what_was_there(library, tmp_path, capsys, arguments, said):
    target = tmp_path / "out"
    target.write_text("before")
    assert run("export", *arguments, "--library", library, "-o", target) == 1
    assert said in capsys.readouterr().err
    assert target.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_folders_that_cannot_be_written(library, tmp_path, capsys):
    assert run("export", "--all", "--library", library, "-o", tmp_path / "no" / "out") == 1
    assert "cannot write" in capsys.readouterr().err
    assert run("export", "--all", "--library", library, "-o", tmp_path) == 1
    assert "cannot write" in capsys.readouterr().err


def test_no_library_there(tmp_path, capsys):
    assert run("export", "--all", "--library", tmp_path / "none") == 1
    assert "none" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_a_pipe_is_written_to_and_not_replaced(library, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    assert run("export", "--all", "--library", library, "--kind", "track", "-o", pipe) == 0
    reader.join(10)
    assert len(read[0].splitlines()) == 1
    assert pipe.is_fifo()
