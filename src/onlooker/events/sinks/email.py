"""E-mail: text and HTML, with the event's picture inside."""

from __future__ import annotations

import html
import smtplib
import ssl
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from onlooker.core.event import Event, State
from onlooker.core.schedule import Seconds
from onlooker.events.addresses import resolve
from onlooker.events.failures import NotTaken, Refused, Unreachable
from onlooker.events.records import wall_end
from onlooker.events.sink import Message, Sink, SinkContext, snapshot_of

__all__ = ["Email", "EmailSettings", "written"]

PLUGIN = "onlooker.events.sinks.email:Email"
_PORTS = {"none": 25, "starttls": 587, "ssl": 465}
_MOST_PICTURES = 20


class EmailSettings(BaseModel):
    """Attributes:
    host, port: of the server that takes mail; without a port, the usual one of ``security``.
    security: ``starttls``, ``ssl`` or ``none``.
    authority: PEM file of who signs the server's certificate; without it the system's.
    user, password: where it asks for them.
    sender: the address that the mail comes from; without it the user where that is an address, else the first of to.
    to: addresses that it goes to.
    snapshot: whether the picture is put in.
    timeout: seconds for each answer of the server.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    host: str = Field(min_length=1)
    port: int | None = Field(default=None, ge=1, le=65535)
    security: Literal["starttls", "ssl", "none"] = "starttls"
    authority: Path | None = None
    user: str | None = None
    password: SecretStr | None = None
    sender: str | None = None
    to: tuple[str, ...] = Field(min_length=1)
    snapshot: bool = True
    timeout: Annotated[Seconds, Field(gt=0)] = 20.0

    @field_validator("sender", "to")
    @classmethod
    def _addresses(cls, value: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        for one in (value,) if isinstance(value, str) else value or ():
            if "@" not in one or any(c in one for c in "\r\n\0,"):
                raise ValueError(f"not an address of e-mail: {one!r}")
        return value

    @property
    def source(self) -> str:
        """The address that the mail comes from."""
        own = self.user if self.user is not None and "@" in self.user else self.to[0]
        return self.sender or own


class Email(Sink):
    """Sends one mail for each state, or one for a digest; by default of beginnings alone."""

    kind: ClassVar[str] = "email"
    settings: ClassVar[type[BaseModel]] = EmailSettings
    digests: ClassVar[bool] = True
    states: ClassVar[tuple[State, ...]] = ("new",)

    def __init__(self, settings: EmailSettings, context: SinkContext) -> None:
        self._settings = settings
        self._context = context

    def deliver(self, message: Message) -> None:
        """Send; a retry has the same Message-ID."""
        s = self._settings
        port = s.port or _PORTS[s.security]
        resolve(s.host, port, self._context.addresses)
        mail = written(message, s, self._context)
        try:
            with self._server(port) as server:
                if s.user is not None:
                    server.login(s.user, "" if s.password is None else s.password.get_secret_value())
                server.send_message(mail, from_addr=s.source, to_addrs=list(s.to))
        except smtplib.SMTPException as error:
            raise _failure(error, f"{s.host}:{port}") from None
        except OSError as error:
            raise Unreachable(
                f"{s.host}:{port} cannot be reached: {error}", hint="check host, port, security"
            ) from None

    def _server(self, port: int) -> smtplib.SMTP:
        s = self._settings
        context = ssl.create_default_context(cafile=s.authority)
        if s.security == "ssl":
            return smtplib.SMTP_SSL(s.host, port, timeout=s.timeout, context=context)
        server = smtplib.SMTP(s.host, port, timeout=s.timeout)
        if s.security == "starttls":
            try:
                server.starttls(context=context)
            except BaseException:
                server.close()
                raise
        return server


def written(message: Message, settings: EmailSettings, context: SinkContext) -> EmailMessage:
    """The mail of a message."""
    event = message.event
    mail = EmailMessage()
    what = f"{len(message.events)} events" if message.digest else _title(event)
    mail["Subject"] = _line(f"[onlooker] {what}")
    mail["From"] = settings.source
    mail["To"] = ", ".join(settings.to)
    mail["Date"] = format_datetime(message.taken)
    mail["Message-ID"] = f"<{message.key.replace(':', '.')}@onlooker.invalid>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(_clean("\n\n".join("\n".join(_facts(e)) for e in message.events)) + "\n")
    parts: list[str] = []
    pictures: list[tuple[str, bytes]] = []
    for number, told in enumerate(message.events):
        wanted = settings.snapshot and len(pictures) < _MOST_PICTURES
        picture = snapshot_of(told, context.folder) if wanted else None
        shown = ""
        if picture is not None:
            pictures.append((f"snapshot{number}@onlooker.invalid", picture))
            shown = f'<p><img src="cid:{pictures[-1][0]}" alt="Snapshot" style="max-width:100%"></p>'
        title, *facts = _facts(told)
        rows = "<br>\n".join(html.escape(fact) for fact in facts)
        parts.append(f"<h3>{html.escape(title)}</h3>\n<p>{rows}</p>\n{shown}")
    mail.add_alternative(_clean("<!doctype html><html><body>" + "\n<hr>\n".join(parts) + "</body></html>\n"), "html")
    body = mail.get_payload()
    for name, picture in pictures:
        body[1].add_related(picture, "image", "jpeg", cid=f"<{name}>")  # pyright: ignore
    return mail


def _title(event: Event) -> str:
    return f"{event.severity}: {event.rule} on {event.camera}" + (" (ended)" if event.state == "end" else "")


def _facts(event: Event) -> list[str]:
    begin, end = event.wall, wall_end(event)
    facts = [_title(event)]
    if begin is not None:
        facts.append(f"Begin: {begin.isoformat(sep=' ', timespec='seconds')}")
    if end is not None:
        facts.append(f"End: {end.isoformat(sep=' ', timespec='seconds')}")
    if event.label is not None:
        facts.append(f"Seen: {event.label}")
    facts += [f"{name}: {value}" for name, value in event.data.items()]
    facts.append(f"Event: {event.id}")
    return [_line(fact) for fact in facts]


def _line(text: str) -> str:
    return " ".join(_clean(text).split())[:300]


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "")


def _failure(error: smtplib.SMTPException, where: str) -> Exception:
    """What an answer of the server means: codes of 400 may pass, codes of 500 stay."""
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return NotTaken(f"{where} broke the connection", hint="look at its log")
    codes = [error.smtp_code] if isinstance(error, smtplib.SMTPResponseException) else []
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = [code for code, _ in error.recipients.values()]
    said = f"{where} answers {codes[0]}" if codes else f"{where}: {type(error).__name__}"
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return NotTaken(said, hint="check user and password")
    if codes and all(code >= 500 for code in codes):
        return Refused(said, hint="check sender and recipients")
    return NotTaken(said, hint="look at its log")
