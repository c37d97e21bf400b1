"""Runs over real clips: resume, segments, failures, and nothing done twice."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest

CLIP = "clips/tv_whitehouse_performance.mp4"
ALL = ["test_light", "test_slow", "test_after", "test_sound"]


@pytest.fixture(scope="module")
def expected(data, tmp_path_factory):
    """The rows of an undisturbed run, made by the reference driver."""
    plugins = str(Path(__file__).parent / "plugins")
    sys.path.insert(0, plugins)
    from onlooker_test_analyzers import After, AnalyzerConfig, Light, LightConfig, Slow, Sound

    sys.path.remove(plugins)  # or the tests of other files would find these analyzers installed

    from onlooker.sources import open_source
    from onlooker.testing.drive import drive

    source = open_source(str(data(CLIP)))
    made = drive(
        [Light(LightConfig()), Slow(AnalyzerConfig()), After(AnalyzerConfig()), Sound(AnalyzerConfig())], source
    )
    source.close()
    return sorted((o.kind, round(o.span.start.seconds, 6), round(o.span.end.seconds, 6), o.score) for o in made)


def test_same_as_the_reference_driver(data, tmp_path, run, rows, expected):
    report = run(data(CLIP), tmp_path / "lib", ALL)
    assert report.exit_code == 0
    assert [s.failures for s in report.sources] == [()]
    assert report.sources[0].frames == 275
    found = sorted((r["kind"], r["start_seconds"], r["end_seconds"], r["score"]) for r in rows(tmp_path / "lib"))
    assert [f[:3] for f in found] == [e[:3] for e in expected]
    assert [f[3] for f in found] == pytest.approx([e[3] for e in expected], abs=1e-5)


def test_segments_in_worker_processes_give_the_same_rows(data, tmp_path, run, rows):
    run(data(CLIP), tmp_path / "one", ALL)
    report = run(data(CLIP), tmp_path / "two", ALL, workers=2)
    assert report.exit_code == 0
    assert report.sources[0].frames == 275
    assert rows(tmp_path / "two") == rows(tmp_path / "one")


def test_an_unchanged_run_does_nothing(data, tmp_path, run, rows):
    run(data(CLIP), tmp_path / "lib", ALL)
    before = rows(tmp_path / "lib")
    report = run(data(CLIP), tmp_path / "lib", ALL)
    assert report.sources[0].ran == ()
    assert report.sources[0].frames == 275
    assert rows(tmp_path / "lib") == before


def test_adding_an_analyzer_runs_only_that_one(data, tmp_path, run, rows):
    run(data(CLIP), tmp_path / "lib", ["test_light"])
    report = run(data(CLIP), tmp_path / "lib", ["test_light", "test_slow", "test_after"])
    assert sorted(report.sources[0].ran) == ["test_after", "test_slow"]
    run(data(CLIP), tmp_path / "whole", ["test_light", "test_slow", "test_after"])
    assert rows(tmp_path / "lib") == rows(tmp_path / "whole")


def test_a_changed_decision_needs_no_decoding(data, tmp_path, run, rows, monkeypatch):
    run(data(CLIP), tmp_path / "lib", ["test_light"])
    from onlooker_test_analyzers import Light

    def decoded(*_):
        raise AssertionError("decoded again")

    settings = {"test_light": {"step": 25}}
    with monkeypatch.context() as patch:
        patch.setattr(Light, "measure", decoded)
        report = run(data(CLIP), tmp_path / "lib", ["test_light"], settings=settings)
    assert report.exit_code == 0, report.sources[0].failures
    assert report.sources[0].ran == ("test_light",)
    assert [r["number"] for r in rows(tmp_path / "lib")] == list(range(1, 12))
    # and back again: the older results were replaced, the measurements were not lost
    report = run(data(CLIP), tmp_path / "lib", ["test_light"])
    assert len(rows(tmp_path / "lib")) == 28


def test_a_stopped_run_goes_on_where_it_was(data, tmp_path, run, rows):
    stop, seen = threading.Event(), []

    def watch(progress):
        seen.append(progress)
        if progress.phase == "read" and progress.position > 1:
            stop.set()

    report = run(data(CLIP), tmp_path / "lib", ALL, stop=stop, progress=watch)
    assert report.exit_code == 130
    assert report.stopped
    report = run(data(CLIP), tmp_path / "lib", ALL)
    assert report.exit_code == 0
    assert report.sources[0].frames == 275
    run(data(CLIP), tmp_path / "whole", ALL)
    assert rows(tmp_path / "lib") == rows(tmp_path / "whole")


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_runs_end_with_the_same_rows(data, tmp_path, run, rows, workers):
    run(data(CLIP), tmp_path / "whole", ALL)
    script = (
        "import sys; sys.path.insert(0, sys.argv[3])\n"
        "from pathlib import Path\n"
        "from onlooker.pipeline import session\n"
        "session.COMMIT_SECONDS = 0.02\n"
        "from onlooker.pipeline.run_local import RunOptions, analyze_paths\n"
        "from onlooker.pipeline.stages import select_stages\n"
        "from onlooker.sources import open_source\n"
        "from onlooker.timeline import open_store\n"
        f"stages = tuple(select_stages({{}}, 'balanced', {ALL!r}))\n"
        "if __name__ == '__main__':\n"
        "    options = RunOptions(Path(sys.argv[2]), stages, open_source, open_store)\n"
        f"    sys.exit(analyze_paths([sys.argv[1]], options, workers={workers}).exit_code)\n"
    )
    program = tmp_path / "program.py"
    program.write_text(script)
    plugins = str(Path(__file__).parent / "plugins")
    rng, kills = random.Random(workers), 0
    for _ in range(40):
        process = subprocess.Popen([sys.executable, str(program), str(data(CLIP)), str(tmp_path / "lib"), plugins])
        try:
            assert process.wait(timeout=rng.uniform(0.6, 2.5) if kills < 6 else 60) == 0
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
    assert rows(tmp_path / "lib") == rows(tmp_path / "whole")


def test_one_failing_analyzer_does_not_stop_the_rest(data, tmp_path, run, rows):
    report = run(data(CLIP), tmp_path / "lib", ["test_light", "test_breaks"])
    assert report.exit_code == 2
    (failure,) = report.sources[0].failures
    assert (failure.analyzer, failure.stage) == ("test_breaks", "analyze")
    assert "planted" in failure.message
    assert len(rows(tmp_path / "lib", kinds=("step",))) == 28


def test_several_files_in_worker_processes(data, tmp_path, run, rows):
    clips = [data(CLIP), data("clips/carphone.mp4"), tmp_path / "broken.mp4"]
    clips[2].write_bytes(b"not a video" * 100)
    report = run(clips, tmp_path / "many", ["test_light"], workers=2)
    assert report.exit_code == 2
    assert [bool(s.source) for s in report.sources] == [True, True, False]
    for clip in clips[:2]:
        run(clip, tmp_path / "single", ["test_light"])
    assert rows(tmp_path / "many") == rows(tmp_path / "single")


def test_no_source_worked(tmp_path, run):
    (tmp_path / "broken.mp4").write_bytes(b"")
    report = run(tmp_path / "broken.mp4", tmp_path / "lib", ["test_light"])
    assert report.exit_code == 3
    assert report.sources[0].failures[0].stage == "open"


def test_media_files_are_stored_beside_the_rows(data, tmp_path, run, rows):
    run(data(CLIP), tmp_path / "lib", ["test_light"])
    for row in rows(tmp_path / "lib"):
        (path,) = row["media"]
        assert float((tmp_path / "lib" / path).read_text()) == pytest.approx(row["score"], abs=1e-3)


@pytest.mark.parametrize("workers", [1, 2])
def test_copies_among_the_sources_of_one_run_are_found_on_both_sides(data, tmp_path, run, rows, workers):
    from onlooker.core.time import Span
    from onlooker.sources import open_source
    from onlooker.sources.cut import cut_exact

    original, copy = data("clips/tv_whitehouse_performance.mp4"), tmp_path / "part.mp4"
    source = open_source(str(original))
    cut_exact(source, [Span.of_seconds(1, 9)], copy, height=180)
    source.close()
    report = run([original, copy, data("clips/carphone.mp4")], tmp_path / "lib", ["duplicates"], workers=workers)
    assert report.exit_code == 0
    found = [r for r in rows(tmp_path / "lib", kinds=("duplicate",)) if r.get("other_source")]
    ids = {s.path: s.source for s in report.sources}
    pairs = {(r["source"], r["other_source"]) for r in found}
    assert pairs == {(ids[str(original)], ids[str(copy)]), (ids[str(copy)], ids[str(original)])}
    assert [s.counts.get("duplicate", 0) for s in report.sources] == [1, 1, 0]
    again = run([original, copy], tmp_path / "lib", ["duplicates"], workers=workers)
    assert [s.ran for s in again.sources] == [(), ()]


def test_what_is_wished_for_is_given_whether_fresh_or_stored(data, tmp_path, run, rows):
    settings = {"test_light": {}, "test_sound": {}, "test_wishes": {}}
    run(data(CLIP), tmp_path / "one", [], settings=settings)
    (fresh,) = rows(tmp_path / "one", kinds=("tally",))
    assert fresh["step"] == 28
    assert fresh["loudness"] > 10
    assert fresh["kinds"] == ["loudness", "step"]
    run(data(CLIP), tmp_path / "two", ["test_light", "test_sound"])
    run(data(CLIP), tmp_path / "two", [], settings=settings)
    assert rows(tmp_path / "two", kinds=("tally",)) == [fresh]


def test_a_wish_that_failed_leaves_the_stage_open(data, tmp_path, run, rows):
    settings = {"test_light": {}, "test_breaks": {}, "test_wishes": {}}
    for _ in range(2):
        report = run(data(CLIP), tmp_path / "lib", [], settings=settings)
        assert [f.analyzer for s in report.sources for f in s.failures] == ["test_breaks"]
        assert "test_wishes" in report.sources[0].ran
        (tally,) = rows(tmp_path / "lib", kinds=("tally",))
        assert tally["step"] == 28
