"""Plans, profiles and the choice of stages."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onlooker.core.errors import ConfigError, UsageError
from onlooker.core.plugins import plugin_names
from onlooker.core.time import Timestamp
from onlooker.pipeline.plan import make_plan
from onlooker.pipeline.profile import load_profile
from onlooker.pipeline.sampling import is_due
from onlooker.pipeline.stages import select_stages


def test_what_an_analyzer_needs_comes_along_before_it():
    names = [s.name for s in select_stages({}, "balanced", ["test_after", "test_slow"])]
    assert set(names) == {"test_light", "test_after", "test_slow"}
    assert names[0] == "test_light"


def test_a_setting_of_the_light_part_keeps_the_heavy_digest():
    (one,) = select_stages({}, "balanced", ["test_light"])
    (two,) = select_stages({"test_light": {"step": 7}}, "balanced", ["test_light"])
    assert one.heavy_digest == two.heavy_digest
    assert one.producer != two.producer


def test_unknown_names_and_settings_are_refused():
    with pytest.raises(UsageError, match=r"no analyzer is called 'shotz'.*known: .*test_light"):
        select_stages({}, "balanced", ["shotz"])
    with pytest.raises(ConfigError, match=r"test_light\.stepp.*settings of test_light: step"):
        select_stages({"test_light": {"stepp": 1}}, "balanced")


def test_a_plan_is_made_without_running(data):
    from onlooker.sources import open_source

    source = open_source(str(data("clips/carphone.mp4")))
    plan = make_plan(source.info, select_stages({}, "balanced", ["test_slow", "test_after", "test_sound"]), ())
    source.close()
    assert plan.frames == "all"
    assert plan.audio == []
    actions = {t.stage.name: t.action for t in plan.tasks}
    assert actions == {"test_light": "run", "test_slow": "run", "test_after": "run", "test_sound": "not possible"}
    text = "\n".join(plan.lines())
    assert "decode once: all frames" in text
    assert "test_slow" in text


def test_a_wrong_profile_names_file_and_line(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nquality: balanced\nanalyzers:\n  shots: {}\ncolour: red\n")
    with pytest.raises(ConfigError, match=r"mine\.yaml:5: colour"):
        load_profile(path)
    path.write_text("analyzers:\n  - shots\n")
    with pytest.raises(ConfigError, match=r"mine\.yaml:1: analyzers"):
        load_profile(path)
    path.write_text("analyzers: [\n")
    with pytest.raises(ConfigError, match="not YAML"):
        load_profile(path)
    with pytest.raises(ConfigError, match="no profile is called 'nothing'"):
        load_profile("nothing")


@given(
    steps=st.lists(st.fractions(min_value=Fraction(1, 1000), max_value=3), min_size=1, max_size=60),
    rate=st.fractions(min_value=Fraction(1, 10), max_value=30),
)
def test_every_tick_is_sampled_once(steps, rate):
    times = [Fraction(0)]
    for step in steps:
        times.append(times[-1] + step)
    stamps = [Timestamp.of_seconds(t) for t in times]
    due = [t for t, a, b in zip(times, [None, *stamps], stamps, strict=False) if is_due(b, a, rate)]
    ticks = {t * rate // 1 for t in times}
    assert len(due) == len(ticks)


def test_wishes_are_granted_by_what_is_chosen_or_in_the_profile():
    assert [s.name for s in select_stages({}, "balanced", ["test_wishes"])] == ["test_wishes"]
    names = [s.name for s in select_stages({"test_after": {}}, "balanced", ["test_wishes"])]
    assert names == ["test_wishes"]
    names = [s.name for s in select_stages({"test_wishes": {}, "test_sound": {}, "test_light": {}}, "balanced")]
    assert names[-1] == "test_wishes"
    names = [s.name for s in select_stages({"test_light": {}, "test_slow": {}}, "balanced", ["test_wishes"])]
    assert names == ["test_light", "test_wishes"]
    # also where the last that is looked at was chosen before
    names = [s.name for s in select_stages({"test_wishes": {}, "test_light": {}, "test_after": {}}, "balanced")]
    assert names.index("test_light") < names.index("test_wishes")


def test_all_built_in_analyzers_come_after_what_they_want():
    names = [n for n in plugin_names("analyzers") if not n.startswith("test_")]
    stages = select_stages({n: {} for n in names}, "fast", names)
    for number, stage in enumerate(stages):
        late = [s.name for s in stages[number + 1 :] if set(s.emits) & set(stage.needs.kinds)]
        assert not late, f"{stage.name} runs before {late}"
