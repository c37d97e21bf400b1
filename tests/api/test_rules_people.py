"""Rules that are sent to be checked and tried, and people: what is good, and what would hold the server."""

from __future__ import annotations

import io
import time

import numpy as np
import pytest
from PIL import Image

from api.conftest import FRONT, YARD

GOOD = """
version: 1
zones: {left: [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}
rules:
  - {id: somebody, when: {object: {label: person}}}
  - {id: at-left, when: {object: {label: person, zone: left}}}
"""
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{n}: &{n} [{', '.join([f'*{p}'] * 9)}]\n" for p, n in zip("abcdefgh", "bcdefghi", strict=True)
)


def test_rules_are_checked_with_the_line_of_what_is_wrong(served):
    client = served.of("front")
    assert client.post("/api/v1/rules/check", json={"text": GOOD}).json() == {
        "good": True,
        "rules": ["somebody", "at-left"],
        "error": None,
    }
    wrong = client.post("/api/v1/rules/check", json={"text": GOOD.replace("zone: left", "zone: nowhere")}).json()
    assert (wrong["good"], wrong["error"].startswith("rules:6")) == (False, True)
    assert client.get("/api/v1/rules/schema").json()["properties"]["rules"]


@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        "[" * 20_000,
        "{a: " * 5_000,
        "- " * 50_000,
        "version: 1\nrules: !!python/object/apply:os.system ['true']",
        "version: 1\nrules: [{id: x, when: {object: {lasts: 1e400}}}]",
        "version: 1\nrules: [{id: x, when: {object: {lasts: .nan}}}]",
        "version: 1\nrules: " + "9" * 5_000,
        "\ufeff\x00",
        "%YAML 9.9\n---\n",
        "version: 1\nrules: [{id: x, schedule: {inside: [{from: '99:99', to: 'x'}]}, when: {object: {}}}]",
        "version: 1\nrules: [{id: x, when: {" + "not: {of: {" * 300 + "object: {}" + "}}" * 300 + "}}]",
    ],
    ids=range(12),
)
def test_files_that_would_hold_or_break_the_reader_are_told_to_be_wrong(served, text):
    begun = time.monotonic()
    answer = served.of("viewer").post("/api/v1/rules/check", json={"text": text})
    assert (answer.status_code, answer.json().get("good")) == (200, False), answer.text
    assert time.monotonic() - begun < 60
    trial = served.of("operator").post("/api/v1/rules/test", json={"text": text})
    assert trial.status_code == 422


def test_rules_are_tried_on_what_one_may_see(served):
    tried = served.of("operator").post("/api/v1/rules/test", json={"text": GOOD, "states": True}).json()
    assert (tried["complete"], {e["source"] for e in tried["events"]}) == (True, {FRONT, YARD})
    own = served.of("yard").post("/api/v1/rules/test", json={"text": GOOD}).json()
    assert {e["source"] for e in own["events"]} == {YARD}
    left = [e for e in own["events"] if e["rule"] == "at-left"]
    assert [e["box"][0] for e in left] == [0.1]
    span = {"text": GOOD, "sources": [YARD], "from": 3, "to": 10}
    assert [e["start"] for e in served.of("yard").post("/api/v1/rules/test", json=span).json()["events"]] == [4.0]
    question = {"text": GOOD, "source": YARD, "at": 0.5}
    told = served.of("yard").post("/api/v1/rules/explain", json=question).json()["rules"]
    assert [r["fires"] for r in told] == [True, True]


def picture() -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize("content", [b"", b"no picture", picture(), b"\x89PNG\r\n\x1a\n" + b"\0" * 100], ids=range(4))
def test_pictures_without_a_face_enrol_nobody(served, content):
    admin = served.of("admin")
    files = {"pictures": ("../../evil.png", content, "image/png")}
    answer = admin.post("/api/v1/people", data={"name": "Ann Lee"}, files=files)
    assert answer.status_code in (400, 409), answer.text
    assert "evil" not in answer.text
    assert admin.get("/api/v1/people").json()["people"] == []
    assert admin.post("/api/v1/people", data={"name": "Ann Lee"}).status_code == 400


def test_who_is_not_known_is_not_there(served):
    admin = served.of("admin")
    for name in ("Ann Lee", "unknown-9", "a/b", "x" * 150):
        assert admin.get(f"/api/v1/people/{name}").status_code == 404
        assert admin.delete(f"/api/v1/people/{name}").status_code == 404
    merge = admin.post("/api/v1/people/merge", json={"name": "Ann", "other": "Bob"})
    assert (merge.status_code, merge.json()["type"]) == (400, "UsageError")
