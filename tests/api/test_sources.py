"""Sources, observations, search: what is given, and to whom."""

from __future__ import annotations

import pytest

from api.conftest import FRONT, YARD


@pytest.fixture(scope="module")
def admin(served):
    return served.of("admin")


@pytest.fixture(scope="module")
def front(served):
    return served.of("front")


def clip(client):
    sources = client.get("/api/v1/sources").json()["sources"]
    return next(s for s in sources if s["path"].endswith("traffic_car_overhead.mp4"))


def test_sources_are_listed_with_what_is_known(admin):
    answer = admin.get("/api/v1/sources").json()
    assert answer["count"] == len(answer["sources"]) == 4
    found = clip(admin)
    assert found["video"]["width"] > 0
    assert found["analyzers"] == ["keyframes", "pictures", "shots"] or "shots" in found["analyzers"]
    detail = admin.get(f"/api/v1/sources/{found['id']}").json()
    assert detail["counts"]["shot"] >= 1
    assert detail["failures"] == []
    camera = admin.get(f"/api/v1/sources/{FRONT}").json()
    assert (camera["live"], camera["begins"]) == (True, "2026-05-01T08:00:00.000000+00:00")


def test_observations_fit_all_conditions_and_come_in_pages(admin):
    first = admin.get("/api/v1/observations", params={"source": FRONT, "kind": "object", "limit": 1}).json()
    rest = admin.get("/api/v1/observations", params={"source": FRONT, "kind": "object", "offset": 1}).json()
    assert (first["more"], rest["more"]) == (True, False)
    (one,), (two,) = first["observations"], rest["observations"]
    assert (one["start_seconds"], two["start_seconds"]) == (0.0, 4.0)
    assert one["box"] == [0.1, 0.5, 0.2, 0.9]
    late = admin.get("/api/v1/observations", params={"source": FRONT, "from": 3.5, "to": 60}).json()
    assert [o["id"] for o in late["observations"]] == [two["id"]]
    assert admin.get(f"/api/v1/observations/{one['id']}").json()["track"] == "person-0"
    assert admin.get("/api/v1/observations", params={"from": 5, "to": 1}).status_code == 400


def test_the_timeline_counts_by_stretch(admin):
    answer = admin.get(f"/api/v1/sources/{FRONT}/timeline", params={"from": 0, "to": 10, "buckets": 10}).json()
    rows = {r["kind"]: r["counts"] for r in answer["rows"]}
    assert answer["step_seconds"] == 1.0
    assert rows["object"][0] == rows["object"][4] == 1
    assert rows["object"][7] == 0
    assert sum(rows["keyframe"]) >= 1


def test_search_finds_words_and_likeness(admin):
    found = admin.get("/api/v1/search", params={"text": "secret", "meaning": False}).json()
    assert {h["source"] for h in found["hits"]} == {FRONT, YARD}
    assert all(h["score_search"] > 0 for h in found["hits"])
    picture = admin.get("/api/v1/observations", params={"source": YARD, "kind": "keyframe"}).json()["observations"][0]
    alike = admin.get("/api/v1/search", params={"like": picture["id"], "source": FRONT}).json()
    assert alike["hits"][0]["source"] == FRONT
    assert admin.get("/api/v1/search", params={"person": "Nobody"}).status_code == 400


def test_a_viewer_of_one_camera_sees_nothing_of_others(admin, front):
    assert [s["path"] for s in front.get("/api/v1/sources").json()["sources"]] == ["front"]
    hidden = admin.get("/api/v1/observations", params={"source": YARD}).json()["observations"][0]
    for path in (f"sources/{YARD}", f"sources/{YARD}/timeline", f"observations/{hidden['id']}"):
        missing = path.replace(YARD, "0" * 32).replace(hidden["id"], "0" * 32)
        answer, unknown = (front.get(f"/api/v1/{p}") for p in (path, missing))
        assert (answer.status_code, answer.json()) == (404, unknown.json())
    assert {o["source"] for o in front.get("/api/v1/observations").json()["observations"]} == {FRONT}
    assert front.get("/api/v1/observations", params={"source": YARD}).status_code == 404
    assert {h["source"] for h in front.get("/api/v1/search", params={"text": "secret"}).json()["hits"]} == {FRONT}
    assert front.get("/api/v1/search", params={"text": "secret", "source": YARD}).status_code == 404
    assert front.get("/api/v1/search", params={"like": hidden["id"]}).status_code == 404
    assert front.get("/api/v1/search", params={"person": "Nobody"}).json()["hits"] == []
    assert front.delete(f"/api/v1/sources/{FRONT}").status_code == 403


def test_a_viewer_of_a_zone_sees_nothing_without_rules_that_say_where_it_is(served):
    served.user("door", ("front", "viewer", ["door"]), password=None)
    door = served.of("door")
    assert door.get("/api/v1/sources").json()["sources"] == []
    assert door.get("/api/v1/observations").json()["observations"] == []
    assert door.get(f"/api/v1/sources/{FRONT}").status_code == 404


def test_errors_are_problems_that_tell_the_field(admin):
    answer = admin.get("/api/v1/observations", params={"limit": 0})
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "query.limit")
    assert admin.get("/api/v1/nothing").json()["status"] == 404
    assert admin.patch("/api/v1/sources").json()["status"] == 405
