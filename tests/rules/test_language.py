"""Rule files: what is wrong is said with file and line."""

from __future__ import annotations

import json

import pytest

from onlooker.core.errors import ConfigError
from onlooker.rules import condition_names, load_rules, parse_rules, rules_schema
from onlooker.rules.language import Camera, RuleFile
from onlooker.rules.places import Ground, Places
from rules.making import INFO, with_path

HEAD = "version: 1\nzones: {z: [[0, 0], [1, 0], [1, 1]]}\nrules:\n"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("version: 2\nrules: []\n", 1, "version"),
        ("version: 1\n", 1, "rules"),
        (HEAD + "  - id: a\n    when: {}\n", 5, "expected exactly one of"),
        (HEAD + "  - id: a\n    when:\n      objct: {}\n", 5, "no condition is called 'objct'"),
        (HEAD + "  - id: a\n    when:\n      object:\n        labl: person\n", 7, "there is no such setting here"),
        (
            HEAD + "  - id: a\n    when:\n      all:\n        - object: {}\n        - sound: {score: 2}\n",
            8,
            "less than or equal",
        ),
        (HEAD + "  - id: a\n    when: {object: {zone: y}}\n", 4, "no zone is called 'y' (known: z)"),
        (HEAD + "  - id: a\n    when: {crosses: {line: y}}\n", 4, "no line is called 'y' (known: none)"),
        (HEAD + "  - id: a\n    cameras: [door]\n    when: {object: {}}\n", 4, "no camera is called 'door'"),
        (
            HEAD + "  - id: a\n    when: {object: {}}\n  - id: a\n    when: {object: {}}\n",
            6,
            "two rules are called 'a'",
        ),
        (HEAD + "  - id: a\n    lasts: 3 weeks\n    when: {object: {}}\n", 5, "not a duration"),
        (HEAD + "  - id: a\n    when: {object: {faster: 5 km/h}}\n", 4, "needs a calibrated ground"),
        (HEAD + "  - id: a\n    when: {object: {faster: quick}}\n", 5, "not a speed"),
        (HEAD + "  - id: a\n    schedule:\n      inside: [{from: 18:00}]\n    when: {object: {}}\n", 6, "in quotes"),
        (HEAD + "  - id: a\n    schedule: {}\n    when: {object: {}}\n", 5, "inside or outside"),
        (HEAD + "  - id: bad id\n    when: {object: {}}\n", 4, "pattern"),
        ("version: 1\ntime_zone: Europe/Berln\nrules: [{id: a, when: {object: {}}}]\n", 2, "no time zone"),
        ("version: 1\nrules: [\n", 3, "not YAML"),
        ("- a\n- b\n", 1, "dictionary"),
        ("", 1, "dictionary"),
    ],
)
def test_errors_name_the_line(text, line, says):
    with pytest.raises(ConfigError) as caught:
        parse_rules(text, "yard.yaml")
    message = str(caught.value)
    assert message.startswith(f"yard.yaml:{line}:"), message
    assert says in message


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match="cannot read"):
        load_rules(tmp_path / "none.yaml")
    (tmp_path / "raw.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot read"):
        load_rules(tmp_path / "raw.yaml")


def test_the_schema_knows_every_condition_and_is_json():
    schema = json.loads(json.dumps(rules_schema()))
    assert set(schema["$defs"]["Condition"]["properties"]) == set(condition_names())
    assert all(p["description"] for p in schema["$defs"]["Condition"]["properties"].values())
    assert {"all", "any", "not", "object", "crosses", "words"} <= set(condition_names())


def test_cameras_are_found_by_path_name_or_id():
    camera = Camera(sources=("door*.mp4",))
    assert camera.shows(INFO)
    assert not camera.shows(with_path("/films/yard.mp4"))
    assert Camera(sources=("*/films/*",)).shows(INFO)
    assert Camera(sources=(INFO.id,)).shows(INFO)


def test_rules_look_at_their_cameras_only():
    file: RuleFile = parse_rules(
        "version: 1\ncameras:\n  door: {sources: ['door*']}\n  yard: {sources: ['yard*']}\n"
        "rules:\n  - {id: both, when: {object: {}}}\n  - {id: yards, cameras: [yard], when: {object: {}}}\n"
        "  - {id: unused, enabled: false, when: {object: {}}}\n"
    )
    assert [r.id for r in file.rules_for(INFO)] == ["both"]
    assert [r.id for r in file.rules_for(with_path("/x/yard.mp4"))] == ["both", "yards"]
    assert file.rules_for(with_path("/x/other.mp4")) == []


def test_ground_maps_the_picture_to_metres():
    ground = Ground(
        picture=((0.2, 0.9), (0.8, 0.9), (0.65, 0.5), (0.35, 0.5)), metres=((0, 0), (6, 0), (6, 20), (0, 20))
    )
    places = Places({}, {}, ground, 16 / 9)
    for picture, metres in zip(ground.picture, ground.metres, strict=True):
        assert places.ground(picture) == pytest.approx(metres, abs=1e-6)
    middle = places.ground((0.5, 0.7))
    assert middle[0] == pytest.approx(3)
    assert 0 < middle[1] < 10  # the far half of the road takes the smaller part of the picture
    with pytest.raises(ValueError, match="one plane"):
        Ground(picture=(*ground.picture, (0.5, 0.7)), metres=(*ground.metres, (3, 19)))
