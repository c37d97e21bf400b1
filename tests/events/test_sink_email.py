"""The e-mail sink with a real SMTP server."""

from __future__ import annotations

import email
import email.policy
import ssl
from datetime import UTC, datetime

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from pydantic import ValidationError

from events.making import event, story, until
from events.receivers import certificate, closed_port
from onlooker.events.failures import NotTaken, Refused, Unreachable
from onlooker.events.sink import Message, SinkContext
from onlooker.events.sinks.email import Email, EmailSettings

TAKEN = datetime(2026, 5, 1, 8, 0, 1, tzinfo=UTC)


class Catcher:
    """Keeps mail; answers RCPT and DATA as it is told."""

    def __init__(self):
        self.mails, self.recipients, self.logins = [], [], []
        self.rcpt, self.data = {}, "250 good"

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802
        answer = self.rcpt.get(address, "250 good")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        if self.data.startswith("250"):
            self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
            self.recipients.append(envelope.rcpt_tos)
        return self.data

    def authenticate(self, server, session, envelope, mechanism, data):
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"pa55word", handled=False)


@pytest.fixture
def serve():
    running = []

    def start(**options):
        catcher = Catcher()
        if options.pop("auth", False):
            options |= {"authenticator": catcher.authenticate, "auth_required": True, "auth_require_tls": False}
        controller = Controller(catcher, hostname="127.0.0.1", port=closed_port(), **options)
        controller.start()
        running.append(controller)
        return catcher, controller.port

    yield start
    for controller in running:
        controller.stop()


def mail(port, folder, **more):
    values = {"host": "127.0.0.1", "port": port, "security": "none", "to": ["ann@example.org", "ben@example.org"]}
    settings = EmailSettings.model_validate({**values, "sender": "cam@example.org", "timeout": "5s", **more})
    return Email(settings, SinkContext("mail", folder))


def told(*events, key=None):
    first = events[0]
    return Message(key or f"{first.id}:{first.number}", events, None, TAKEN, digest=key is not None)


def test_text_html_and_picture(tmp_path, serve):
    (tmp_path / "events").mkdir()
    (tmp_path / "events" / "a.jpg").write_bytes(b"\xff\xd8 picture")
    catcher, port = serve()
    state = event(rule="<b>door</b>", evidence={"snapshot": "events/a.jpg"}, data={"count": 2})
    for _ in range(2):
        mail(port, tmp_path).deliver(told(state))
    first, second = catcher.mails
    assert catcher.recipients[0] == ["ann@example.org", "ben@example.org"]
    assert first["Subject"] == "[onlooker] high: <b>door</b> on front"
    assert (first["From"], first["To"]) == ("cam@example.org", "ann@example.org, ben@example.org")
    assert first["Message-ID"] == second["Message-ID"] == f"<{state.id}.0@onlooker.invalid>"
    text = first.get_body(("plain",)).get_content()
    assert "Begin: 2026-05-01 08:00:00+00:00" in text
    assert "count: 2" in text
    page = first.get_body(("html",)).get_content()
    assert "&lt;b&gt;door&lt;/b&gt;" in page
    assert "<b>" not in page
    (picture,) = [p for p in first.walk() if p.get_content_type() == "image/jpeg"]
    assert picture.get_content() == b"\xff\xd8 picture"
    assert f"cid:{picture['Content-ID'].strip('<>')}" in page


def test_a_digest_is_one_mail(tmp_path, serve):
    catcher, port = serve()
    ends = [story(start=n)[-1] for n in range(3)]
    mail(port, tmp_path).deliver(told(*ends, key="digest:mail:4"))
    (got,) = catcher.mails
    assert got["Subject"] == "[onlooker] 3 events"
    assert got.get_body(("plain",)).get_content().count("Event: ") == 3


def test_names_cannot_add_headers(tmp_path, serve):
    catcher, port = serve()
    mail(port, tmp_path).deliver(told(event(rule="a\r\nBcc: evil@example.org", camera="b\nX: y")))
    (got,) = catcher.mails
    assert got["Bcc"] is None
    assert got["X"] is None
    assert catcher.recipients[0] == ["ann@example.org", "ben@example.org"]


def test_answers_of_the_server(tmp_path, serve):
    catcher, port = serve()
    for answer, wanted in (("451 later", NotTaken), ("554 never", Refused)):
        catcher.data = answer
        with pytest.raises(wanted, match=answer[:3]):
            mail(port, tmp_path).deliver(told(event()))
    catcher.data = "250 good"
    catcher.rcpt = {"ann@example.org": "550 unknown"}
    mail(port, tmp_path).deliver(told(event()))
    assert catcher.recipients == [["ben@example.org"]]
    catcher.rcpt = dict.fromkeys(("ann@example.org", "ben@example.org"), "550 unknown")
    with pytest.raises(Refused, match="550"):
        mail(port, tmp_path).deliver(told(event()))


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
def test_login(tmp_path, serve):
    catcher, port = serve(auth=True)
    mail(port, tmp_path, user="me", password="pa55word").deliver(told(event()))
    with pytest.raises(NotTaken, match="535") as raised:
        mail(port, tmp_path, user="me", password="wr0ng").deliver(told(event()))
    assert "wr0ng" not in str(raised.value)
    assert set(catcher.logins) == {(b"me", b"pa55word"), (b"me", b"wr0ng")}
    assert len(catcher.mails) == 1


@pytest.mark.parametrize("security", ["starttls", "ssl"])
def test_tls(tmp_path, serve, security):
    pem, key = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    options = {"tls_context": context, "require_starttls": True} if security == "starttls" else {"ssl_context": context}
    catcher, port = serve(**options)
    mail(port, tmp_path, security=security, authority=str(pem)).deliver(told(event()))
    assert len(catcher.mails) == 1
    with pytest.raises(Unreachable):
        mail(port, tmp_path, security=security).deliver(told(event()))
    assert len(catcher.mails) == 1


def test_nobody_there(tmp_path):
    with pytest.raises(Unreachable):
        mail(closed_port(), tmp_path).deliver(told(event()))


def test_through_the_journal_only_beginnings_are_mailed(journal, deliver, serve):
    catcher, port = serve()
    section = {"email": {"host": "127.0.0.1", "port": port, "security": "none", "to": ["ann@example.org"]}}
    delivery = deliver(mail=section)
    sinks = delivery._sinks
    for state in story(2):
        journal.take(state, sinks.sections)
    until(lambda: len(catcher.mails) == 1 and delivery.status()[0].waiting == 0)
    assert catcher.mails[0]["From"] == "ann@example.org"


@pytest.mark.parametrize(
    "wrong", [{"to": []}, {"to": ["nobody"]}, {"sender": "a@b\r\nBcc: c@d"}, {"security": "maybe"}]
)
def test_wrong_settings(wrong):
    with pytest.raises(ValidationError):
        EmailSettings.model_validate({"host": "h", "to": ["a@example.org"], **wrong})
