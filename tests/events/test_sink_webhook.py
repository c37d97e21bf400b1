"""The webhook sink with a real HTTP receiver: what is sent, and what comes of each answer."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import ssl
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from events.making import ZERO, event
from events.receivers import Receiver, certificate, closed_port
from onlooker.events.addresses import EVERYWHERE, Reach
from onlooker.events.failures import NotTaken, Refused, Unreachable
from onlooker.events.sink import Message, SinkContext
from onlooker.events.sinks.webhook import Webhook, WebhookSettings


def hook(folder, url, addresses=EVERYWHERE, **more):
    settings = WebhookSettings.model_validate({"url": url, "timeout": "5s", **more})
    return Webhook(settings, SinkContext("phone", folder, addresses))


def told(state=None):
    state = state or event()
    return Message(f"{state.id}:{state.number}", (state,), None, datetime(2026, 5, 1, 8, 0, 1, tzinfo=UTC))


def test_a_cloud_event_is_posted_and_its_signature_can_be_checked(tmp_path, receiver):
    hook(tmp_path, receiver.url + "?a=b", secret="s3cret", headers={"X-House": "7"}).deliver(told())
    (got,) = receiver.received
    assert got.headers["Content-Type"] == "application/cloudevents+json; charset=utf-8"
    assert got.headers["X-House"] == "7"
    assert got.headers["Idempotency-Key"] == f"{event().id}:0"
    sent = json.loads(got.body)
    # what CloudEvents 1.0 demands
    assert {"specversion", "id", "source", "type"} <= set(sent)
    assert (sent["specversion"], sent["type"], sent["id"]) == ("1.0", "onlooker.event.new", f"{event().id}:0")
    assert (sent["subject"], sent["sequence"]) == (event().id, "0000000000")
    assert datetime.fromisoformat(sent["time"]) == datetime(2026, 5, 1, 8, 0, 1, tzinfo=UTC)
    assert sent["data"]["wall_start"] == ZERO.isoformat()
    assert {"id", "rule", "source", "state", "start", "end", "severity", "evidence"} <= set(sent["data"])
    fields = dict(part.split("=", 1) for part in got.headers["Onlooker-Signature"].split(","))
    wanted = hmac.new(b"s3cret", fields["t"].encode() + b"." + got.body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(fields["v1"], wanted)


def test_without_a_secret_nothing_is_signed(tmp_path, receiver):
    hook(tmp_path, receiver.url).deliver(told())
    assert receiver.received[0].headers["Onlooker-Signature"] is None


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (500, NotTaken),
        (503, NotTaken),
        (429, NotTaken),
        (408, NotTaken),
        (400, Refused),
        (404, Refused),
        (410, Refused),
    ],
)
def test_answers(tmp_path, receiver, answer, wanted):
    receiver.answer = answer
    with pytest.raises(wanted, match=str(answer)):
        hook(tmp_path, receiver.url).deliver(told())


def test_the_receiver_says_when_to_come_again(tmp_path, receiver):
    receiver.answers.extend([(429, {"Retry-After": "120"}), (503, {"Retry-After": "Fri, 01 May 2020 08:00:00 GMT"})])
    for wanted in (120.0, 0.0):
        with pytest.raises(NotTaken) as raised:
            hook(tmp_path, receiver.url).deliver(told())
        assert raised.value.after == wanted


def test_redirects_are_not_followed(tmp_path, receiver):
    other = Receiver()
    receiver.answer = (307, {"Location": other.url})
    try:
        with pytest.raises(Refused, match="307"):
            hook(tmp_path, receiver.url).deliver(told())
        assert other.received == []
    finally:
        other.end()


@pytest.mark.parametrize("answer", ["hang", "drip"])
def test_a_receiver_that_takes_too_long_is_left(tmp_path, receiver, answer):
    receiver.answer = answer
    with pytest.raises(NotTaken, match="did not answer within"):
        hook(tmp_path, receiver.url, timeout="300ms").deliver(told())


def test_a_receiver_that_breaks_off_was_reached(tmp_path, receiver):
    receiver.answer = "drop"
    with pytest.raises(NotTaken, match="no answer"):
        hook(tmp_path, receiver.url).deliver(told())


def test_nothing_there(tmp_path):
    with pytest.raises(Unreachable, match="cannot be reached"):
        hook(tmp_path, f"http://127.0.0.1:{closed_port()}/").deliver(told())
    with pytest.raises(Unreachable, match="cannot be found"):
        hook(tmp_path, "http://no-such-host.invalid/").deliver(told())


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "[::1]", "0.0.0.0", "10.0.0.1"])
def test_internal_addresses_are_refused_where_the_policy_says_so(tmp_path, receiver, host):
    sink = hook(tmp_path, f"http://{host}:{receiver.port}/", Reach(private=False))
    with pytest.raises(Refused, match="private"):
        sink.deliver(told())
    assert receiver.received == []


def test_public_addresses_can_be_refused_too(tmp_path):
    with pytest.raises(Refused, match="public"):
        hook(tmp_path, "http://93.184.215.14/", Reach(public=False)).deliver(told())


def test_tls_is_checked(tmp_path):
    pem, key = certificate(tmp_path)
    receiver = Receiver()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    receiver.socket = context.wrap_socket(receiver.socket, server_side=True)
    url = f"https://localhost:{receiver.port}/hook"
    try:
        with pytest.raises(Unreachable, match="cannot be reached"):
            hook(tmp_path, url).deliver(told())
        hook(tmp_path, url, authority=pem).deliver(told())
        assert len(receiver.received) == 1
    finally:
        receiver.end()


def test_secrets_are_sent_but_never_shown(tmp_path, receiver):
    url = f"http://me:pa55word@127.0.0.1:{receiver.port}/t0ken?key=k3y"
    receiver.answer = 500
    sink = hook(tmp_path, url, secret="s3cret", headers={"X-Key": "h3ader"})
    with pytest.raises(NotTaken) as raised:
        sink.deliver(told())
    pair = base64.b64encode(b"me:pa55word").decode()
    assert receiver.received[0].headers["Authorization"] == f"Basic {pair}"
    shown = str(raised.value) + repr(WebhookSettings.model_validate({"url": url, "secret": "s3cret"}))
    for secret in ("pa55word", "t0ken", "k3y", "s3cret", "h3ader"):
        assert secret not in shown


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "file:///etc/passwd"},
        {"url": "ftp://a/"},
        {"url": "http://"},
        {"url": "http://a:99999999/"},
        {"url": "http://a/", "headers": {"X": "a\r\nB: c"}},
        {"url": "http://a/", "timeout": 0},
    ],
)
def test_wrong_settings(wrong):
    with pytest.raises(ValidationError):
        WebhookSettings.model_validate(wrong)
