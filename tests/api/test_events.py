"""Events: listed, followed over connections that break, judged, muted; and the zones that one may see."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from api.conftest import FRONT, YARD
from api.routes import events_of
from api.served import serving
from onlooker.client.sse import messages
from onlooker.core.event import Event, State, event_id
from onlooker.core.observation import Box
from onlooker.rules import parse_rules

ZONES = """
version: 1
cameras:
  front: {sources: [front], zones: {door: [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}}
  yard: {sources: [yard]}
rules:
  - id: somebody
    cameras: [front]
    when: {object: {label: person}}
  - id: secret-of-yard
    cameras: [yard]
    when: {object: {label: person}}
"""


@pytest.fixture
def fresh(folder):
    with serving(folder) as running:
        running.user("admin", ("*", "admin"))
        running.user("front", ("front", "operator"), password=None)
        running.user("viewer", ("*", "viewer"), password=None)
        yield running


def happen(served, number: int, camera="front", source=FRONT, state: State = "new", box=(0.1, 0.5, 0.2, 0.9)) -> str:
    identity = event_id("late", source, number, "")
    event = Event(
        identity,
        "late",
        source,
        camera,
        state,
        number * 10**9,
        None if state != "end" else (number + 2) * 10**9,
        "low",
        box=Box(*box),
        wall=datetime(2026, 5, 1, 9, 0, number, tzinfo=UTC),
        number={"new": 0, "update": 1, "end": 2}[state],
    )
    served.context.journal.take(event)
    return identity


def test_events_are_listed_by_condition_the_newest_first(fresh):
    events_of(fresh, FRONT, "front", 3)
    events_of(fresh, YARD, "yard", 3)
    happen(fresh, 1)
    client = fresh.of("viewer")
    found = client.get("/api/v1/events", params={"limit": 2}).json()
    assert (found["events"][0]["rule"], found["more"], len(found["events"])) == ("late", True, 2)
    assert client.get("/api/v1/events", params={"offset": 6}).json()["more"] is False
    assert len(client.get("/api/v1/events", params={"camera": "yard"}).json()["events"]) == 3
    assert len(client.get("/api/v1/events", params={"severity": "high"}).json()["events"]) == 6
    since = {"since": "2026-05-01T08:59:00+00:00", "until": "2026-05-01T10:00:00+00:00"}
    assert {e["rule"] for e in client.get("/api/v1/events", params={**since, "severity": "low"}).json()["events"]} == {
        "door",
        "late",
    }
    assert client.get("/api/v1/events", params={"since": "2026-05-01T08:59:00"}).status_code == 422, "no time zone"
    own = fresh.of("front").get("/api/v1/events").json()["events"]
    assert {e["camera"] for e in own} == {"front"}
    assert fresh.of("front").get("/api/v1/events", params={"camera": "yard", "source": YARD}).json()["events"] == []
    assert fresh.of("front").get("/api/v1/events", params={"source": YARD}).json()["events"] == []


def test_a_file_called_like_a_camera_is_not_the_camera(fresh):
    """The rules name the source of a file by its stem; who may see a camera of that name may not see the file."""
    file = fresh.of("admin").get("/api/v1/sources").json()["sources"][0]["id"]
    identity = happen(fresh, 5, "front", file)
    assert fresh.of("front").get(f"/api/v1/events/{identity}").status_code == 404
    assert fresh.of("viewer").get(f"/api/v1/events/{identity}").status_code == 200


def test_an_event_is_acknowledged_and_judged_with_the_name_of_who_did(fresh):
    (identity, *_) = events_of(fresh, FRONT, "front")
    client = fresh.of("front")
    seen = client.post(f"/api/v1/events/{identity}/acknowledge", json={"note": "went there"}).json()
    assert (seen["acknowledged"]["by"], seen["acknowledged"]["note"]) == ("front", "went there")
    judged = client.post(f"/api/v1/events/{identity}/feedback", json={"verdict": "wrong"}).json()
    assert [(f["verdict"], f["by"]) for f in judged["feedback"]] == [("wrong", "front")]
    assert client.get("/api/v1/events", params={"verdict": "wrong"}).json()["events"][0]["id"] == identity
    assert fresh.of("viewer").post(f"/api/v1/events/{identity}/acknowledge").status_code == 403
    states = client.get(f"/api/v1/events/{identity}/states").json()["states"]
    assert [s["state"] for s in states] == ["new"]


def test_mutes_are_for_cameras_that_one_operates(fresh):
    client = fresh.of("front")
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    made = client.post("/api/v1/mutes", json={"camera": "front", "until": until})
    assert (made.status_code, made.json()["by"]) == (201, "front")
    assert client.post("/api/v1/mutes", json={"camera": "yard"}).status_code == 404
    assert client.post("/api/v1/mutes", json={"rule": "door"}).status_code == 403, "on all cameras"
    assert client.post("/api/v1/mutes", json={}).status_code == 400
    identity = happen(fresh, 7)
    assert client.get(f"/api/v1/events/{identity}").json()["muted"] is True
    other = fresh.of("admin").post("/api/v1/mutes", json={"rule": "door"}).json()
    assert [m["camera"] for m in client.get("/api/v1/mutes").json()["mutes"]] == ["front"]
    assert client.delete(f"/api/v1/mutes/{other['number']}").status_code == 404
    assert client.delete(f"/api/v1/mutes/{made.json()['number']}").status_code == 200
    assert client.get("/api/v1/mutes").json()["mutes"] == []


# -- following --


def read(client, count, **more):
    """The next events of a stream, each as (id, name, data)."""
    found = []
    with client.stream("GET", "/api/v1/stream/events", **more) as answer:
        assert answer.status_code == 200, answer.read()
        for told in messages(answer.iter_lines()):
            if told.event != "begin":
                found.append((int(told.id or 0), told.event, json.loads(told.data)))
            if len(found) == count:
                return found
    return found


def test_a_stream_goes_on_where_it_was(fresh):
    client = fresh.of("viewer")
    first = happen(fresh, 1)
    happen(fresh, 1, state="update")
    (new, update) = read(client, 2, params={"after": 0})
    assert (new[1], new[2]["id"], update[1]) == ("new", first, "update")
    happen(fresh, 1, state="end")
    other = happen(fresh, 2)
    later = read(client, 2, headers={"Last-Event-ID": str(new[0] + 1)})
    assert [(name, data["id"]) for _, name, data in later] == [("end", first), ("new", other)]
    assert [number for number, _, _ in later] == sorted({number for number, _, _ in later})


def test_a_stream_tells_what_comes_while_it_is_open_and_nothing_of_other_cameras(fresh):
    client, found = fresh.of("front"), []
    begun = threading.Event()

    def follow():
        with client.stream("GET", "/api/v1/stream/events") as answer:
            for told in messages(answer.iter_lines()):
                begun.set()
                if told.event != "begin":
                    found.append(json.loads(told.data)["camera"])
                if len(found) == 2:
                    return

    thread = threading.Thread(target=follow)
    thread.start()
    assert begun.wait(10)
    happen(fresh, 1, "yard", YARD)
    happen(fresh, 2)
    happen(fresh, 3, "yard", YARD)
    happen(fresh, 4)
    thread.join(20)
    assert found == ["front", "front"]


def ended(client, begun) -> bool:
    """Whether a stream that has begun comes to its end."""
    with client.stream("GET", "/api/v1/stream/events", timeout=20) as answer:
        try:
            for _ in answer.iter_lines():
                begun.set()
        except httpx.ReadTimeout:
            return False
    return True


@pytest.mark.parametrize("way", ["revoked", "removed"])
def test_an_open_stream_ends_when_its_token_is_void(fresh, way):
    fresh.user("eve", ("front", "viewer"), password=None)
    token = fresh.token("eve")
    client, done, begun = fresh.as_token(token), [], threading.Event()
    thread = threading.Thread(target=lambda: done.append(ended(client, begun)))
    thread.start()
    assert begun.wait(20)
    if way == "revoked":
        fresh.context.credentials.revoke(token.split("_")[1])
    else:
        fresh.of("admin").delete("/api/v1/users/eve")
    thread.join(25)
    assert done == [True]


def test_nobody_can_hold_ever_more_streams(folder):
    with serving(folder, streams=2) as running:
        running.user("admin", ("*", "admin"), password=None)
        token = running.token("admin")
        clients = [running.as_token(token) for _ in range(3)]
        with clients[0].stream("GET", "/api/v1/stream/events"), clients[1].stream("GET", "/api/v1/stream/events"):
            refused = clients[2].get("/api/v1/stream/events")
            assert (refused.status_code, "Retry-After" in refused.headers) == (429, True)
        ok = clients[2].get("/api/v1/stream/events", params={"for": 0.1, "after": 0})
        assert ok.status_code in (200, 429)


def test_a_web_socket_tells_the_same(fresh):
    identity = happen(fresh, 1)
    url = fresh.url.replace("http", "ws") + "/api/v1/stream/ws?after=0"
    headers = {"Authorization": f"Bearer {fresh.token('front')}"}
    with connect(url, additional_headers=headers) as socket:
        assert json.loads(socket.recv(10))["event"]["id"] == identity
        happen(fresh, 2, "yard", YARD)
        later = happen(fresh, 3)
        told = json.loads(socket.recv(10))
        assert (told["event"]["id"], told["sequence"]) == (later, 3)
        socket.send("ignored")
        socket.send("x" * 70_000)
        with pytest.raises(ConnectionClosed):
            socket.recv(10)


def test_the_zones_that_one_may_see(fresh):
    """Somebody who may see the zone at the door sees what stands there, without pictures, and nothing else."""
    rules = parse_rules(ZONES)
    empty = SimpleNamespace(rules=rules, status=list)
    fresh.context.station = empty
    fresh.user("door", ("front", "operator", ["door"]), password=None)
    client = fresh.of("door")
    inside, outside = happen(fresh, 1), happen(fresh, 2, box=(0.7, 0.5, 0.8, 0.9))
    events = client.get("/api/v1/events").json()["events"]
    assert [e["id"] for e in events] == [inside]
    assert events[0]["evidence"]["snapshot"] is None
    assert client.get(f"/api/v1/events/{outside}").status_code == 404
    assert client.get(f"/api/v1/events/{inside}/snapshot").status_code == 404
    assert client.post(f"/api/v1/events/{inside}/acknowledge").status_code == 200
    found = client.get("/api/v1/observations", params={"source": FRONT}).json()["observations"]
    assert [(o["kind"], o["track"]) for o in found] == [("object", "person-0")]
    for path in (f"sources/{FRONT}", f"sources/{FRONT}/timeline", f"files/media/{FRONT}/keyframes/000001.jpg"):
        assert client.get(f"/api/v1/{path}").status_code == 404
    assert [r[2]["id"] for r in read(client, 1, params={"after": 0})] == [inside]
    assert [r["id"] for r in fresh.of("front").get("/api/v1/rules").json()["rules"]] == ["somebody"]
    fresh.context.station = None
