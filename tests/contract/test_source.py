"""Every kind of source obeys the contract; what addresses lead to is guarded."""

from __future__ import annotations

import av
import pytest
from PIL import Image

from contract.source_servers import Camera, serve_http, serve_rtsp
from onlooker.core.errors import ForbiddenAddress, SourceError
from onlooker.core.media import ReadFailure, ReadRequest
from onlooker.sources import open_source
from onlooker.sources.policy import AddressPolicy
from onlooker.testing.source import check_live_source, check_source

MP4, HLS, TS = "video/mp4", "application/vnd.apple.mpegurl", "video/mp2t"


@pytest.fixture(scope="module")
def clip(data, tmp_path_factory):
    """Three seconds with sound: (MP4 that starts with its index, MPEG-TS)."""
    folder = tmp_path_factory.mktemp("clip")
    made = []
    for name, options in (("clip.mp4", {"movflags": "+faststart"}), ("clip.ts", {})):
        with (
            av.open(str(data("clips/tv_whitehouse_performance.mp4"))) as source,
            av.open(str(folder / name), "w", options=options) as out,
        ):
            video = out.add_stream("libx264", rate=25)
            video.width, video.height, video.pix_fmt = 320, 180, "yuv420p"
            video.options = {"preset": "ultrafast", "g": "25", "bf": "2"}
            for number, frame in enumerate(source.decode(video=0)):
                if number == 75:
                    break
                small = frame.reformat(width=320, height=180, format="yuv420p")
                small.pts, small.pict_type = number, 0
                out.mux(video.encode(small))
            out.mux(video.encode(None))
        made.append(folder / name)
    return made


def playlist(*entries):
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:4", "#EXT-X-MEDIA-SEQUENCE:0"]
    for entry in entries:
        lines += ["#EXTINF:3.0,", entry]
    return ("\n".join([*lines, "#EXT-X-ENDLIST"]) + "\n").encode()


@pytest.fixture
def web(clip):
    other_pages = {"/clip.mp4": (MP4, clip[0].read_bytes()), "/clip.ts": (TS, clip[1].read_bytes())}
    with serve_http(other_pages, {}) as (other, asked_other):
        pages = {
            **other_pages,
            "/good.m3u8": (HLS, playlist("clip.ts")),
            "/passwd.m3u8": (HLS, playlist("file:///etc/passwd")),
            "/inner.m3u8": (HLS, playlist(f"http://127.0.0.1:{other}/clip.ts")),
            "/hidden": (HLS, playlist(f"http://127.0.0.1:{other}/clip.ts")),
            "/disguised.mp4": (MP4, playlist(f"http://127.0.0.1:{other}/clip.ts")),
        }
        redirects = {
            "/moved": "/clip.mp4",
            "/inward": f"http://127.0.0.1:{other}/clip.mp4",
            "/file": "file:///etc/passwd",
        }
        redirects["/loop"] = "/loop"
        with serve_http(pages, redirects) as (port, _):
            yield f"http://127.0.0.1:{port}", asked_other


def test_file(clip, data):
    for path in (*clip, data("clips/book.mkv")):
        check_source(lambda path=path: open_source(str(path)))


def test_pictures(clip, tmp_path):
    with av.open(str(clip[0])) as container:
        for number, frame in enumerate(container.decode(video=0)):
            Image.fromarray(frame.to_ndarray(format="rgb24")).save(tmp_path / f"{number:04d}.png")
    check_source(lambda: open_source(str(tmp_path)))


@pytest.mark.parametrize("page", ["/clip.mp4", "/moved", "/good.m3u8"])
def test_web(web, page):
    check_source(lambda: open_source(web[0] + page))


@pytest.mark.parametrize("page", ["/passwd.m3u8", "/inner.m3u8", "/hidden", "/disguised.mp4", "/inward", "/file"])
def test_what_leads_inward_is_refused_and_not_asked_for(web, page):
    try:
        items = list(open_source(web[0] + page).read(ReadRequest()))
    except SourceError:
        items = []
    assert all(isinstance(i, ReadFailure) for i in items)
    assert web[1] == []


def test_web_errors_are_told(web):
    with pytest.raises(SourceError, match="answers 404"):
        open_source(web[0] + "/missing.mp4")
    with pytest.raises(SourceError, match="again and again"):
        open_source(web[0] + "/loop")
    with pytest.raises(SourceError, match="cannot open"):
        open_source("http://127.0.0.1:1/x.mp4")


def test_a_policy_refuses_private_addresses(web):
    with pytest.raises(ForbiddenAddress, match="private address"):
        open_source(web[0] + "/clip.mp4", policy=AddressPolicy(private=False))
    with pytest.raises(ForbiddenAddress):
        open_source("rtsp://me:secret@127.0.0.1/x", policy=AddressPolicy(private=False))


def test_camera_over_rtsp(clip):
    with serve_rtsp(Camera(str(clip[0]))) as port:
        check_live_source(lambda: open_source(f"rtsp://user:secret@127.0.0.1:{port}/cam"))
