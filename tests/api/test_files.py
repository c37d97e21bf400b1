"""Files over HTTP: ranges, conditions, and no way out of a folder."""

from __future__ import annotations

import http.client
import os

import pytest

from api.conftest import FRONT, YARD
from api.routes import events_of
from onlooker.api.files import parse_range


@pytest.fixture(scope="module")
def clip(served):
    """Path and bytes of an event's clip of the camera front."""
    identity = events_of(served, FRONT, "front")[0]
    path = f"events/{identity}/clip.mp4"
    return path, (served.context.folder / path).read_bytes()


def test_a_file_is_given_whole_and_in_parts(served, clip):
    path, data = clip
    client = served.of("front")
    whole = client.get(f"/api/v1/files/{path}")
    assert (whole.status_code, whole.content) == (200, data)
    assert (whole.headers["accept-ranges"], whole.headers["content-type"]) == ("bytes", "video/mp4")
    for header, first, last in (("bytes=0-0", 0, 1), ("bytes=100-199", 100, 200), ("bytes=-10", -10, None)):
        part = client.get(f"/api/v1/files/{path}", headers={"Range": header})
        assert (part.status_code, part.content) == (206, data[first:last])
        begin = first if first >= 0 else len(data) + first
        assert part.headers["content-range"] == f"bytes {begin}-{begin + len(part.content) - 1}/{len(data)}"
    rest = client.get(f"/api/v1/files/{path}", headers={"Range": f"bytes={len(data) - 5}-999999"})
    assert rest.content == data[-5:]
    head = client.head(f"/api/v1/files/{path}")
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(data)), b"")


@pytest.mark.parametrize("header", ["bytes=10240-", "bytes=-0", "bytes=99999-100000"])
def test_a_range_beyond_the_end_cannot_be_satisfied(served, clip, header):
    path, data = clip
    answer = served.of("front").get(f"/api/v1/files/{path}", headers={"Range": header})
    assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{len(data)}")


@pytest.mark.parametrize("header", ["lines=1-2", "bytes=5-1", "bytes=a-b", "bytes=0-1,5-6", "bytes=--5", "bytes=²-3"])
def test_a_range_that_is_not_understood_is_ignored(served, clip, header):
    path, data = clip
    answer = served.of("front").get(f"/api/v1/files/{path}", headers={"Range": header.encode()})
    assert (answer.status_code, answer.content) == (200, data)


def test_conditions_spare_what_one_has(served, clip):
    path, data = clip
    client, url = served.of("front"), f"/api/v1/files/{path}"
    first = client.get(url)
    tag, since = first.headers["etag"], first.headers["last-modified"]
    assert client.get(url, headers={"If-None-Match": f'"other", W/{tag}'}).status_code == 304
    assert client.get(url, headers={"If-Modified-Since": since}).status_code == 304
    assert client.get(url, headers={"If-None-Match": '"other"'}).status_code == 200
    same = client.get(url, headers={"Range": "bytes=5-", "If-Range": tag})
    changed = client.get(url, headers={"Range": "bytes=5-", "If-Range": '"other"'})
    assert (same.status_code, changed.status_code, changed.content) == (206, 200, data)


@pytest.mark.parametrize(
    ("header", "expected"),
    [("bytes=0-", (0, 50)), ("BYTES = 3 - 4", (3, 5)), ("bytes=-100", (0, 50)), ("bytes=", None), ("bytes", None)],
)
def test_ranges_are_read_as_the_standard_says(header, expected):
    assert parse_range(header, 50) == expected


def test_snapshots_and_derived_pictures_are_shown(served):
    client = served.of("front")
    event = client.get("/api/v1/events").json()["events"][0]
    picture = client.get(f"/api/v1/events/{event['id']}/snapshot")
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/jpeg")
    assert client.get(f"/api/v1/files/{event['evidence']['snapshot']}").content == picture.content
    keyframe = client.get("/api/v1/observations", params={"kind": "keyframe"}).json()["observations"][0]
    assert client.get(f"/api/v1/files/{keyframe['media'][0]}").content.endswith(FRONT.encode())


def raw(served, token, path):
    """A request whose path is sent as it is written."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
    try:
        connection.putrequest("GET", path, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", "localhost")
        connection.putheader("Authorization", f"Bearer {token}")
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


WAYS_OUT = [
    "../server.sqlite",
    "%2e%2e/server.sqlite",
    "server.sqlite",
    "library.sqlite",
    "media/../server.sqlite",
    f"media/{FRONT}/../../server.sqlite",
    f"media/{FRONT}/%2e%2e/%2e%2e/server.sqlite",
    f"media/{FRONT}/..%2f..%2fserver.sqlite",
    f"media/{FRONT}/..\\..\\server.sqlite",
    f"media/{FRONT}/..%5c..%5cserver.sqlite",
    f"media/{FRONT}/%2fetc%2fpasswd",
    f"media/{FRONT}//etc/passwd",
    f"media/{FRONT}/keyframes/000001.jpg%00.txt",
    f"media/{FRONT}/../{YARD}/keyframes/000001.jpg",
    f"media/{FRONT}/..%2f{YARD}%2fkeyframes%2f000001.jpg",
    f"media/{FRONT}/link/server.sqlite",
    f"media/{FRONT}/link-to-file",
    f"media/{FRONT}/keyframes",
    f"media/{FRONT}/fifo",
    f"media/{FRONT}",
    "media/..",
    "media/./x",
    "events/../server.sqlite",
    "recordings/../server.sqlite",
    "%252e%252e/server.sqlite",
    "....//server.sqlite",
    "/etc/passwd",
    "file:///etc/passwd",
    "media/" + "a/" * 400 + "x",
]


@pytest.fixture(scope="module")
def planted(served):
    """Links out of a source's folder, and a pipe in it that would hold whoever opens it."""
    folder = served.context.folder / "media" / FRONT
    (folder / "link").symlink_to(served.context.folder)
    (folder / "link-to-file").symlink_to(served.context.folder / "server.sqlite")
    os.mkfifo(folder / "fifo")
    return folder


@pytest.mark.parametrize("way", WAYS_OUT)
@pytest.mark.parametrize("who", ["front", "admin"])
def test_there_is_no_way_out_of_the_folders(served, planted, way, who):
    status, body = raw(served, served.token(who), f"/api/v1/files/{way}")
    assert status in (404, 400), way
    assert b"SQLite" not in body
    assert b"root:" not in body
    assert YARD.encode() not in body


def test_evidence_that_names_another_file_is_not_followed(served):
    (identity, *_) = events_of(served, FRONT, "front")
    for path in ("server.sqlite", "../server.sqlite", f"events/{identity}/../../server.sqlite", f"media/{YARD}/x"):
        served.context.journal.attach(identity, {"snapshot": path})
        assert served.of("admin").get(f"/api/v1/events/{identity}/snapshot").status_code == 404


def test_the_video_of_a_source_and_clips_of_it(served):
    client = served.of("viewer")
    source = next(s for s in client.get("/api/v1/sources").json()["sources"] if "overhead" in s["path"])
    part = client.get(f"/api/v1/sources/{source['id']}/video", headers={"Range": "bytes=0-99"})
    assert (part.status_code, part.headers["content-range"]) == (206, f"bytes 0-99/{source['size']}")
    clip = client.get(f"/api/v1/sources/{source['id']}/clip", params={"from": 0, "to": 2})
    assert (clip.status_code, clip.content[4:8]) == (200, b"ftyp")
    assert client.get(f"/api/v1/sources/{source['id']}/clip", params={"from": 2, "to": 1}).status_code == 400
    assert client.get(f"/api/v1/sources/{FRONT}/video").status_code == 409
