"""The live view plays in a real browser, through Media Source Extensions."""

from __future__ import annotations

import base64
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from onlooker.recording import Feed
from recording.camera import Camera

PAGE = b"""<!doctype html><video id="video" muted></video><script>
const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
const video = document.getElementById("video");
let buffer, queue = [], next = () => { if (queue.length && !buffer.updating) buffer.appendBuffer(queue.shift()); };
function begin(codecs, initial) {
  const type = 'video/mp4; codecs="' + codecs + '"';
  if (!MediaSource.isTypeSupported(type)) return Promise.resolve("not supported: " + type);
  const source = new MediaSource();
  video.src = URL.createObjectURL(source);
  return new Promise(done => source.addEventListener("sourceopen", () => {
    buffer = source.addSourceBuffer(type);
    buffer.addEventListener("updateend", next);
    queue.push(bytes(initial)); next(); done("open");
  }));
}
function put(part) { queue.push(bytes(part)); next(); }
function state() {
  const b = video.buffered;
  return [b.length ? b.start(0) : -1, b.length ? b.end(b.length - 1) : -1, video.currentTime, video.videoWidth,
          video.error ? video.error.message : "", queue.length];
}
</script>"""


@pytest.fixture
def page(chromium):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(PAGE)

        def log_message(self, format, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    context = chromium.new_context()
    shown = context.new_page()
    shown.goto(f"http://127.0.0.1:{server.server_address[1]}/")
    yield shown
    context.close()
    server.shutdown()
    server.server_close()
    thread.join()


def text(data):
    return base64.b64encode(data).decode()


@pytest.mark.browser
@pytest.mark.parametrize("low_latency", [True, False])
@pytest.mark.parametrize("clip", ["clips/traffic_car_overhead.mp4", "clips/sport_gym.mp4"])
def test_a_browser_plays_it(page, data, clip, low_latency):
    camera = Camera(data(clip), annex_b=True)
    feed = Feed(low_latency=low_latency)
    feed.begin(camera.formats)
    third = len(camera.packets) // 3
    for packet in camera.packets[:third]:
        feed.packet(packet)
    viewer = feed.subscribe()
    assert page.evaluate("([c, i]) => begin(c, i)", [viewer.codecs, text(viewer.initial)]) == "open"
    for packet in camera.packets[third : 2 * third]:
        feed.packet(packet)
    feed.lost("closed")
    for part in viewer:
        page.evaluate("part => put(part)", text(part))
    start, end, _, width, error, waiting = page.evaluate("state()")
    for _ in range(200):
        if not waiting and end > 0:
            break
        page.wait_for_timeout(50)
        start, end, _, width, error, waiting = page.evaluate("state()")
    assert error == ""
    # the stretch in the buffer is that of the packets, from the keyframe before the viewer came
    assert end - start > (camera.end / 1e9) / 3 - 0.2
    page.evaluate("start => { video.currentTime = start; return video.play(); }", start)
    for _ in range(200):
        _, _, now, width, error, _ = page.evaluate("state()")
        if now > start + 0.5:
            break
        page.wait_for_timeout(50)
    assert error == ""
    assert now > start + 0.5
    assert width == camera.formats[0].width
