"""Watch configurations: what is wrong is told with file and line, and secrets are never shown."""

from __future__ import annotations

import json

import pytest

from onlooker.core.errors import ConfigError
from onlooker.station import load_watch, watch_of, watch_schema

GOOD = """\
version: 1
library: lib
profile: home
time_zone: Europe/Berlin
rules: [yard.rules.yaml]
policy: {private: true, public: false, files: false}
cameras:
  front:
    url: rtsp://user:${FRONT_PASSWORD}@10.0.0.5/main
    analyse: rtsp://user:${FRONT_PASSWORD}@10.0.0.5/sub
    rate: 8
    priority: 3
    gate: {glance: 20, hold: 2}
    timeout: 5s
    record: {mode: motion, days: 7, bytes: 20GB}
  back:
    url: clips/back.mp4
    gate: false
sinks:
  log: {file: {path: events.jsonl}, severity: high, schedule: {inside: [{from: "20:00", to: "06:00"}]}}
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.setenv("FRONT_PASSWORD", "hunter2")

    def made(text):
        path = tmp_path / "watch.yaml"
        path.write_text(text)
        return path

    return made


def test_a_good_file_is_read_and_paths_are_relative_to_it(write, tmp_path):
    config = load_watch(write(GOOD))
    front, back = config.cameras["front"], config.cameras["back"]
    assert front.url.get_secret_value() == "rtsp://user:hunter2@10.0.0.5/main"
    assert front.address == "rtsp://10.0.0.5/main"
    assert (front.timeout, front.record.bytes) == (5.0, 20_000_000_000)
    assert front.gate_settings is not None
    assert front.gate_settings.glance == 20
    assert back.url.get_secret_value() == str(tmp_path / "clips/back.mp4")
    assert back.gate_settings is None
    assert config.library == tmp_path / "lib"
    assert config.rules == (tmp_path / "yard.rules.yaml",)
    assert config.sinks.sections["log"].time_zone == "Europe/Berlin"
    assert not config.policy.policy.public


def test_passwords_are_not_shown(write):
    config = load_watch(write(GOOD))
    for shown in (repr(config), str(config), config.model_dump_json(), repr(config.cameras)):
        assert "hunter2" not in shown


@pytest.mark.parametrize(
    ("old", "new", "line", "part"),
    [
        ("rate: 8", "rate: -1", 11, "cameras.front.rate"),
        ("priority: 3", "priorty: 3", 12, "no such setting"),
        ("timeout: 5s", "timeout: soon", 14, "not a duration"),
        ("Europe/Berlin", "Europe/Berln", 4, "no time zone"),
        ("${FRONT_PASSWORD}@10.0.0.5/sub", "${BACK_PASSWORD}@10.0.0.5/sub", 10, "BACK_PASSWORD is not set"),
        ("glance: 20", "glance: -20", 13, "gate"),
        ("mode: motion", "mode: sometimes", 15, "record.mode"),
        ("severity: high", "severity: awful", 20, "sinks"),
        ("  front:", "  fr/ont:", 8, "cameras"),
        ("version: 1", "version: [1", 2, "not YAML"),
        ("    url: rtsp://user:${FRONT_PASSWORD}@10.0.0.5/main\n", "", 8, "url"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(write, old, new, line, part):
    assert old in GOOD
    path = write(GOOD.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        load_watch(path)
    assert str(caught.value).startswith(f"{path}:{line}"), caught.value
    assert part in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_not_a_mapping_and_not_there(write, tmp_path):
    with pytest.raises(ConfigError, match="expected a mapping"):
        load_watch(write("- a\n"))
    with pytest.raises(ConfigError, match="cannot read"):
        load_watch(tmp_path / "nowhere.yaml")


def test_an_address_alone_is_one_camera():
    config = watch_of("rtsp://user:secret@10.0.0.5/live/main stream")
    (name,) = config.cameras
    assert name == "main-stream"
    assert "secret" not in repr(config)
    (name,) = watch_of("/clips/front door.mp4").cameras
    assert name == "front-door"


def test_the_schema_knows_every_section():
    schema = watch_schema()
    text = json.dumps(schema)
    assert {"cameras", "sinks", "rules", "policy"} <= set(schema["properties"])
    for word in ("RecordSettings", "GateSettings", "webhook", "mqtt"):
        assert word in text


RULES = "version: 1\nzones: {{z: [[0, 0], [{x}, 0], [1, 1]]}}\nrules: [{{id: {id}, when: {{object: {{zone: z}}}}}}]\n"


def test_rule_files_are_joined(write, tmp_path):
    (tmp_path / "a.yaml").write_text(RULES.format(x=1, id="one"))
    (tmp_path / "b.yaml").write_text(RULES.format(x=1, id="two"))
    (tmp_path / "c.yaml").write_text(RULES.format(x=0.5, id="three"))
    base = GOOD.replace("[yard.rules.yaml]", "[{}]")
    rules = load_watch(write(base.replace("{}", "a.yaml, b.yaml", 1))).load_rules()
    assert rules is not None
    assert [r.id for r in rules.rules] == ["one", "two"]
    with pytest.raises(ConfigError, match="zones z is another one"):
        load_watch(write(base.replace("{}", "a.yaml, c.yaml", 1))).load_rules()
    (tmp_path / "again.yaml").write_text(RULES.format(x=1, id="one"))
    with pytest.raises(ConfigError, match="two rules are called 'one'"):
        load_watch(write(base.replace("{}", "a.yaml, again.yaml", 1))).load_rules()
