"""Cameras that are watched in the server's process: a real RTSP server, live view, pictures, metrics, reload."""

from __future__ import annotations

import json
import re
import time

import av
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from api.served import serving
from onlooker.api.app import watching
from onlooker.testing.rtsp import RtspServer

PROFILE = "name: light\nquality: fast\nanalyzers:\n  motion: {}\n  objects: {labels: [person]}\n"
RULES = """
version: 1
rules:
  - {id: somebody, per: camera, when: {object: {label: person}}, before: 1s, after: 1s, gap: 0.5s}
"""


def until(look, good, seconds=120.0):
    """What ``look`` gives once it is good."""
    limit = time.monotonic() + seconds
    while True:
        found = look()
        if good(found):
            return found
        assert time.monotonic() < limit, found
        time.sleep(0.1)


@pytest.fixture(scope="module")
def cameras(data):
    clip = data("mot_pets09_s2l1/video.mp4")
    with RtspServer({"front": clip, "yard": clip, "more": clip}, user="me", password="camera-secret") as server:
        yield server


@pytest.fixture(scope="module")
def watched(cameras, tmp_path_factory):
    folder = tmp_path_factory.mktemp("watched")
    (folder / "light.yaml").write_text(PROFILE)
    (folder / "yard.rules.yaml").write_text(RULES)
    config = folder / "watch.yaml"
    record = "record: {mode: continuous}"
    config.write_text(
        "version: 1\nlibrary: lib\nprofile: light.yaml\nrules: [yard.rules.yaml]\ncameras:\n"
        + "".join(f"  {n}: {{url: '{cameras.url(n)}', rate: 4, gate: false, {record}}}\n" for n in ("front", "yard"))
    )
    with watching(config) as station, serving(station.folder, station, config, private_sources=True) as running:
        running.user("admin", ("*", "admin"))
        running.user("viewer", ("*", "viewer"), password=None)
        running.user("front", ("front", "viewer"), password=None)
        running.user("zone", ("front", "viewer", ["door"]), password=None)
        client = running.of("viewer")
        until(
            lambda: client.get("/api/v1/cameras").json()["cameras"],
            lambda found: [c["condition"] for c in found] == ["watching"] * 2 and all(c["age"] for c in found),
        )
        yield running


def test_status_tells_how_cameras_do_and_no_password(watched):
    answer = watched.of("viewer").get("/api/v1/cameras")
    front = answer.json()["cameras"][0]
    assert (front["name"], front["watched"], front["recording"], front["width"]) == ("front", True, True, 768)
    assert front["address"].startswith("rtsp://127.0.0.1:")
    assert set(front["spent"]) >= {"motion"}
    assert "camera-secret" not in answer.text
    assert [c["name"] for c in watched.of("front").get("/api/v1/cameras").json()["cameras"]] == ["front"]
    assert watched.of("zone").get("/api/v1/cameras").json()["cameras"] == []
    assert watched.of("front").get("/api/v1/cameras/front").json()["source"] == front["source"]
    assert watched.of("front").get("/api/v1/cameras/yard").status_code == 404
    assert watched.of("admin").get("/api/v1/cameras/nothing").status_code == 404


def test_the_newest_picture_and_pictures_in_motion(watched):
    client = watched.of("front")
    picture = client.get("/api/v1/cameras/front/picture", params={"width": 320})
    assert (picture.headers["content-type"], picture.content[:2]) == ("image/jpeg", b"\xff\xd8")
    parts = []
    with client.stream("GET", "/api/v1/cameras/front/motion", params={"for": 3, "rate": 10, "width": 160}) as answer:
        assert answer.headers["content-type"].startswith("multipart/x-mixed-replace; boundary=picture")
        body = b"".join(answer.iter_bytes())
    for head, rest in zip(re.findall(rb"Content-Length: (\d+)", body), body.split(b"--picture")[1:], strict=True):
        parts.append(rest.split(b"\r\n\r\n", 1)[1][: int(head)])
    assert len(parts) >= 2
    assert all(p.startswith(b"\xff\xd8") and p.endswith(b"\xff\xd9") for p in parts)
    assert client.get("/api/v1/cameras/yard/picture").status_code == 404
    assert client.get("/api/v1/cameras/yard/motion").status_code == 404
    assert watched.of("zone").get("/api/v1/cameras/front/picture").status_code == 404


def live(watched, camera, token):
    url = watched.url.replace("http", "ws") + f"/api/v1/cameras/{camera}/live"
    return connect(url, additional_headers={"Authorization": f"Bearer {token}"}, max_size=1 << 24, open_timeout=20)


def test_the_live_view_plays(watched, tmp_path):
    """What comes over the WebSocket, put together, is a file that decodes to pictures."""
    data = b""
    with live(watched, "front", watched.token("front")) as socket:
        told = json.loads(socket.recv(20))
        assert re.fullmatch(r'video/mp4; codecs="avc1\.[0-9A-Fa-f]{6}"', told["mime"])
        while data.count(b"moof") < 30:
            part = socket.recv(20)
            assert isinstance(part, bytes)
            data += part
    (tmp_path / "live.mp4").write_bytes(data)
    with av.open(str(tmp_path / "live.mp4")) as container:
        frames = sum(1 for _ in container.decode(video=0))
    assert frames >= 25
    with pytest.raises(InvalidStatus) as refused:
        live(watched, "yard", watched.token("front"))
    assert refused.value.response.status_code == 404


def test_the_live_view_goes_on_when_the_camera_comes_back(watched, cameras):
    with live(watched, "yard", watched.token("viewer")) as socket:
        json.loads(socket.recv(20))
        cameras.drop()
        again = until(lambda: socket.recv(30), lambda part: isinstance(part, str))
        assert "mime" in json.loads(again)
        assert isinstance(socket.recv(20), bytes)
    until(
        lambda: watched.of("viewer").get("/api/v1/cameras").json()["cameras"],
        lambda found: all(c["condition"] == "watching" and c["reconnects"] >= 1 for c in found),
    )


@pytest.mark.timeout(600)
def test_events_come_with_snapshot_and_clip(watched, cameras):
    """What goes on when the camera cannot be seen any more ends there."""
    client = watched.of("front")
    until(lambda: client.get("/api/v1/events").json()["events"], bool)
    cameras.refuse()
    until(lambda: client.get("/api/v1/cameras/front").json(), lambda c: c["condition"] != "watching")
    time.sleep(2)
    cameras.accept()
    found = until(
        lambda: client.get("/api/v1/events", params={"state": "end"}).json()["events"],
        lambda events: any(e["evidence"].get("clip") for e in events),
        # packets that are not there are waited for: 30 s and the event's length
        seconds=200,
    )
    event = next(e for e in found if e["evidence"].get("clip"))
    assert event["camera"] == "front"
    snapshot = client.get(f"/api/v1/events/{event['id']}/snapshot")
    assert snapshot.content[:2] == b"\xff\xd8"
    clip = client.get(f"/api/v1/events/{event['id']}/clip", headers={"Range": "bytes=4-7"})
    assert (clip.status_code, clip.content) == (206, b"ftyp")
    assert watched.of("zone").get(f"/api/v1/events/{event['id']}/clip").status_code == 404


def test_recordings_are_listed_and_exported(watched, tmp_path):
    client = watched.of("front")
    assert [c["camera"] for c in client.get("/api/v1/recordings").json()["cameras"]] == ["front"]
    told = client.get("/api/v1/recordings/front").json()
    assert told["segments"]
    last = max(s["end"] for s in told["segments"])
    export = client.get("/api/v1/recordings/front/export", params={"from": 0, "to": min(last, 3.0)})
    assert export.status_code == 200, export.text
    (tmp_path / "export.mp4").write_bytes(export.content)
    with av.open(str(tmp_path / "export.mp4")) as container:
        assert next(container.decode(video=0)).width == 768
    part = client.get(f"/api/v1/files/{told['segments'][0]['path']}", headers={"Range": "bytes=4-7"})
    assert (part.status_code, part.content) == (206, b"ftyp")
    hidden = watched.of("viewer").get("/api/v1/recordings/yard").json()["segments"][0]["path"]
    assert client.get(f"/api/v1/files/{hidden}").status_code == 404
    assert client.get("/api/v1/recordings/yard").status_code == 404
    assert client.get("/api/v1/recordings/front/export", params={"from": 0, "to": 99_999}).status_code == 400


def test_metrics_are_of_each_camera_and_analyzer(watched):
    client = watched.of("viewer")
    text = until(lambda: client.get("/metrics").text, lambda t: t.count('condition="watching"} 1.0') == 2)
    for camera in ("front", "yard"):
        for name in ("arriving_fps", "frame_age_seconds", "blind_seconds_total", "reconnects_total"):
            assert re.search(rf'^onlooker_camera_{name}{{camera="{camera}"}} [0-9.e+-]+$', text, re.MULTILINE), name
        assert f'onlooker_analyzer_seconds_total{{analyzer="motion",camera="{camera}"}}' in text
    assert re.search(r'^onlooker_camera_drops_total{camera="front",cause="\w+"}', text, re.MULTILINE)
    assert "process_resident_memory_bytes" in text
    assert watched.of("front").get("/metrics").status_code == 403


def test_a_camera_is_added_and_removed_without_disturbing_others(watched, cameras):
    admin, url = watched.of("admin"), cameras.url("more")
    before = {c["name"]: c["since"] for c in admin.get("/api/v1/cameras").json()["cameras"]}
    bodies = [
        {"url": "/etc/passwd"},
        {"url": "file:///etc/passwd"},
        {"url": "webcam:0"},
        {"url": url, "profile": "/etc/passwd"},
        {"url": url, "sinks": {}},
        {"url": url, "analyse": "file:///etc/passwd"},
        {"url": ""},
    ]
    for body in bodies:
        answer = admin.put("/api/v1/cameras/more", json=body)
        assert answer.status_code in (400, 403, 422), (body, answer.text)
    assert admin.put("/api/v1/cameras/front", json={"url": url}).status_code == 409
    assert admin.put("/api/v1/cameras/..%2fx", json={"url": url}).status_code in (404, 405, 422)
    added = admin.put("/api/v1/cameras/more", json={"url": url, "rate": 2})
    assert added.status_code == 200, added.text
    assert "camera-secret" not in added.text
    until(lambda: admin.get("/api/v1/cameras/more").json(), lambda c: c["condition"] == "watching")
    changes = admin.post("/api/v1/cameras/reload").json()
    assert set(changes["kept"]) == {"front", "yard", "more"}
    after = {c["name"]: c["since"] for c in admin.get("/api/v1/cameras").json()["cameras"]}
    assert {n: after[n] for n in before} == before, "their conditions have held since before"
    assert admin.delete("/api/v1/cameras/more").status_code == 200
    assert admin.delete("/api/v1/cameras/front").status_code == 404
    assert admin.get("/api/v1/cameras/more").json()["condition"] == "stopped"


def test_a_wrong_configuration_changes_nothing(watched):
    admin, good = watched.of("admin"), watched.config.read_text()
    try:
        watched.config.write_text(good.replace("rate: 4", "rate: -4"))
        answer = admin.post("/api/v1/cameras/reload")
        assert (answer.status_code, answer.json()["type"]) == (422, "ConfigError")
        assert "camera-secret" not in answer.text
    finally:
        watched.config.write_text(good)
    assert len([c for c in admin.get("/api/v1/cameras").json()["cameras"] if c["watched"]]) == 2


def test_addresses_of_this_machine_need_to_be_allowed(watched, cameras, monkeypatch):
    monkeypatch.setattr(watched.context, "settings", type(watched.context.settings)())
    answer = watched.of("admin").put("/api/v1/cameras/more", json={"url": cameras.url("more")})
    assert (answer.status_code, answer.json()["type"]) == (403, "ForbiddenAddress")
    assert "camera-secret" not in answer.text


def test_the_rules_in_force_are_listed_and_tried(watched):
    client = watched.of("viewer")
    assert [(r["id"], r["when"]) for r in client.get("/api/v1/rules").json()["rules"]] == [("somebody", "object")]
    watched.user("operator", ("front", "operator"), password=None)
    operator = watched.of("operator")
    tried = operator.post("/api/v1/rules/test", json={}).json()
    assert (tried["rules"], tried["complete"], tried["sources"]) == (["somebody"], True, 1)
    source = operator.get("/api/v1/cameras/front").json()["source"]
    told = operator.post("/api/v1/rules/explain", json={"source": source, "at": 1}).json()
    assert told["rules"][0]["rule"] == "somebody"


def test_where_the_library_hides_faces_coded_video_is_for_admins(watched, monkeypatch):
    from onlooker.pipeline.profile import Privacy

    monkeypatch.setattr("onlooker.redaction.policy.library_policy", lambda store: Privacy(hide=("faces",)))
    client, admin = watched.of("viewer"), watched.of("admin")
    span = {"from": 0, "to": 1}
    assert client.get("/api/v1/recordings/front/export", params=span).status_code == 403
    assert admin.get("/api/v1/recordings/front/export", params=span).status_code == 200
    path = client.get("/api/v1/recordings/front").json()["segments"][0]["path"]
    assert client.get(f"/api/v1/files/{path}").status_code == 403
    with pytest.raises(InvalidStatus) as refused:
        live(watched, "front", watched.token("viewer"))
    assert refused.value.response.status_code == 403
    assert client.get("/api/v1/cameras/front/picture").status_code == 200
