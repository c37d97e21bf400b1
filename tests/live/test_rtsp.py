"""The RTSP server of the tests: what the standards say of requests and packets, by a client of bare sockets."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import struct
import subprocess
import sys

import av
import pytest

from onlooker.core.errors import UnsupportedMedia
from onlooker.testing.rtp import Clip, Sender, stamp_of
from onlooker.testing.rtsp import RtspServer


class Client:
    """Speaks RTSP over one connection; interleaved packets that come between answers are kept."""

    def __init__(self, server):
        self._socket = socket.create_connection((server.host, server.port), timeout=20)
        self._file = self._socket.makefile("rb")
        self.base = f"rtsp://{server.host}:{server.port}"
        self._sequence = 0
        self.packets: list[tuple[int, bytes]] = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()
        self._socket.close()

    def ask(self, method, path="/front", **headers):
        self._sequence += 1
        lines = [f"{method} {self.base}{path} RTSP/1.0", f"CSeq: {self._sequence}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self._socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        while (line := self._line()) is None:
            pass
        status, fields = int(line.split()[1]), {}
        while pair := self._file.readline().strip().decode():
            name, _, value = pair.partition(":")
            fields[name.lower()] = value.strip()
        assert fields["cseq"] == str(self._sequence)
        body = self._file.read(int(fields.get("content-length", "0"))).decode()
        return status, fields, body

    def _line(self):
        first = self._file.read(1)
        if first == b"$":
            channel, length = struct.unpack("!BH", self._file.read(3))
            self.packets.append((channel, self._file.read(length)))
            return None
        return (first + self._file.readline()).decode()

    def packet(self):
        if not self.packets:
            assert self._line() is None
        return self.packets.pop(0)

    def setup(self, track=0, **headers):
        transport = f"RTP/AVP/TCP;unicast;interleaved={2 * track}-{2 * track + 1}"
        return self.ask("SETUP", f"/front/trackID={track}", Transport=transport, **headers)


@pytest.fixture
def server(walk_clip):
    with RtspServer({"front": walk_clip}) as running:
        yield running


def test_requests_are_answered_as_the_standard_says(server):
    with Client(server) as client:
        status, fields, _ = client.ask("OPTIONS")
        assert status == 200
        assert {"DESCRIBE", "SETUP", "PLAY", "TEARDOWN"} <= set(fields["public"].split(", "))
        assert client.ask("RECORD")[0] == 501
        assert client.ask("DESCRIBE", "/back")[0] == 404
        status, fields, _ = client.ask("DESCRIBE", Require="funky-feature")
        assert (status, fields["unsupported"]) == (551, "funky-feature")
        status, fields, body = client.ask("DESCRIBE", Accept="application/sdp")
        assert (status, fields["content-type"]) == (200, "application/sdp")
        assert fields["content-base"].endswith("/front/")
        assert [line for line in body.split("\r\n") if line.startswith("m=")] == [
            "m=video 0 RTP/AVP 96",
            "m=audio 0 RTP/AVP 97",
        ]
        assert client.ask("PLAY", Session="none")[0] == 454
        assert client.ask("SETUP", "/front", Transport="RTP/AVP/TCP;interleaved=0-1")[0] == 459
        assert client.ask("SETUP", "/front/trackID=0", Transport="RAW/RAW/UDP;unicast")[0] == 461
        status, fields, _ = client.setup()
        assert status == 200
        assert fields["transport"] == "RTP/AVP/TCP;unicast;interleaved=0-1"
        session = fields["session"].partition(";")[0]
        status, fields, _ = client.ask("PLAY", Session=session)
        assert status == 200
        assert re.fullmatch(r"url=rtsp://.*/front/trackID=0;seq=\d+;rtptime=\d+", fields["rtp-info"])
        assert client.setup(track=1)[0] == 455
        assert client.ask("GET_PARAMETER", Session=session)[0] == 200
        assert client.ask("TEARDOWN", Session=session)[0] == 200


def test_packets_put_together_again_are_the_clip(server, walk_clip):
    with Client(server) as client:
        session = client.setup()[1]["session"].partition(";")[0]
        client.setup(track=1)
        info = client.ask("PLAY", Session=session)[1]["rtp-info"]
        begins = {int(n): (int(q), int(t)) for n, q, t in re.findall(r"trackID=(\d);seq=(\d+);rtptime=(\d+)", info)}
        pictures, sounds, reports, buffer, last = [], [], [], [], dict[int, int]()
        while len(pictures) < 25:
            channel, packet = client.packet()
            if channel % 2:
                reports.append(packet)
                continue
            first, second, sequence, stamp, _ = struct.unpack("!BBHII", packet[:12])
            track = channel // 2
            assert first == 0x80
            assert second & 127 == (96, 97)[track]
            assert sequence == ((last[track] + 1) & 0xFFFF if track in last else begins[track][0])
            last[track] = sequence
            seconds = ((stamp - begins[track][1]) & 0xFFFFFFFF) / (90_000, 16_000)[track]
            payload, marked = packet[12:], bool(second & 128)
            if track == 1:
                assert struct.unpack("!HH", payload[:4]) == (16, (len(payload) - 4) << 3)
                assert marked
                sounds.append((round(seconds, 3), payload[4:]))
                continue
            if payload[0] & 31 != 28:
                buffer.append(payload)
            elif payload[1] & 0x80:
                buffer.append(bytes([(payload[0] & 0xE0) | (payload[1] & 31)]) + payload[2:])
            else:
                buffer[-1] += payload[2:]
            if marked:
                pictures.append((round(seconds, 3), tuple(b for b in buffer if b[0] & 31 not in (7, 8))))
                buffer = []
    sent = [u for u in walk_clip.units if u.track == 0][:25]
    assert pictures == [(round(u.shown, 3), tuple(p for p in u.parts if p[0] & 31 not in (7, 8))) for u in sent]
    heard = [u for u in walk_clip.units if u.track == 1][: len(sounds)]
    assert sounds == [(round(u.shown, 3), u.parts[0]) for u in heard]
    assert len(sounds) > 10
    assert all(r[:2] == b"\x80\xc8" and len(r) % 4 == 0 for r in reports)
    assert len(reports) == 2


def test_authentication(walk_clip):
    with (
        RtspServer({"front": walk_clip}, user="me", password="secret", authentication="basic") as server,
        Client(server) as client,
    ):
        status, fields, _ = client.ask("DESCRIBE")
        assert (status, fields["www-authenticate"]) == (401, 'Basic realm="onlooker"')
        for pair, wanted in (("me:secret", 200), ("me:wrong", 401), ("you:secret", 401)):
            login = base64.b64encode(pair.encode()).decode()
            assert client.ask("DESCRIBE", Authorization=f"Basic {login}")[0] == wanted
    with RtspServer({"front": walk_clip}, user="me", password="secret") as server, Client(server) as client:
        assert client.ask("OPTIONS")[0] == 200
        nonce = re.findall(r'nonce="(\w+)"', client.ask("DESCRIBE")[1]["www-authenticate"])[0]
        uri = f"{client.base}/front"

        def digest(password, nonce=nonce, uri=uri):
            def md5(text):
                return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

            answer = md5(f"{md5(f'me:onlooker:{password}')}:{nonce}:{md5(f'DESCRIBE:{uri}')}")
            fields = {"username": "me", "realm": "onlooker", "nonce": nonce, "uri": uri, "response": answer}
            return "Digest " + ", ".join(f'{n}="{v}"' for n, v in fields.items())

        assert client.ask("DESCRIBE", Authorization=digest("secret"))[0] == 200
        assert client.ask("DESCRIBE", Authorization=digest("wrong"))[0] == 401
        assert client.ask("DESCRIBE", Authorization=digest("secret", nonce="0" * 32))[0] == 401
        assert client.ask("DESCRIBE", Authorization=digest("secret", uri=uri + "2"))[0] == 401


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_another_client_plays_it_over_the_clips_end(walk_clip, transport):
    with (
        RtspServer({"front": walk_clip}, transports=[transport], stamp=True) as server,
        av.open(server.url("front"), options={"rtsp_transport": transport}, timeout=(20, 20)) as container,
    ):
        stamps = [stamp_of(frame) for frame, _ in zip(container.decode(video=0), range(60), strict=False)]
    known = [s for s in stamps if s is not None]
    assert len(known) == 60
    assert known == sorted(set(known))


def test_a_transport_that_is_not_offered_is_refused(walk_clip):
    with RtspServer({"front": walk_clip}, transports=["udp"]) as server, Client(server) as client:
        assert client.setup()[0] == 461


def test_rtp_time_wraps(walk_clip):
    sender = Sender(walk_clip.tracks[0], 1, 65_535, 0xFFFFFFFF)
    picture = next(u for u in walk_clip.units if u.track == 0)
    numbers = [struct.unpack("!BBHI", p[:8])[2:] for p in sender.packets(picture, 1.0)]
    assert numbers[:2] == [(65_535, 89_999), (0, 89_999)]


def test_only_what_can_be_sent_is_loaded(data):
    with pytest.raises(UnsupportedMedia):
        Clip.load(data("clips/traffic_highway.avi"))


def test_it_runs_as_a_program(walk):
    command = [sys.executable, "-m", "onlooker.testing.rtsp", f"front={walk}", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        try:
            with av.open(address, options={"rtsp_transport": "tcp"}, timeout=(20, 20)) as container:
                assert container.streams.video[0].codec_context.width == 320
        finally:
            process.terminate()
