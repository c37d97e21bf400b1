"""A web address that gets each state as a CloudEvent (CloudEvents 1.0, structured JSON), signed.

The signature is ``HMAC-SHA256(secret, TIMESTAMP + "." + body)`` in the header
``Onlooker-Signature: t=TIMESTAMP,v1=HEX``; a receiver also checks that the timestamp is recent, so that a recorded
request is worth nothing later. ``Idempotency-Key`` is the same for each attempt.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from onlooker.core.schedule import Seconds
from onlooker.events.addresses import Addresses, resolve
from onlooker.events.failures import NotTaken, Refused, Unreachable
from onlooker.events.sink import Message, Sink, SinkContext

__all__ = ["Webhook", "WebhookSettings", "cloud_event", "signature"]

PLUGIN = "onlooker.events.sinks.webhook:Webhook"
_MAY_PASS = (408, 425, 429)


class WebhookSettings(BaseModel):
    """Attributes:
    url: http or https; a user and password in it are sent as a header.
    secret: signs what is sent; without it nothing is signed.
    headers: sent besides.
    authority: PEM file of who signs the server's certificate; without it the system's.
    timeout: seconds for the whole request.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    url: SecretStr
    secret: SecretStr | None = None
    headers: Mapping[str, SecretStr] = Field(default_factory=dict)
    authority: Path | None = None
    timeout: Annotated[Seconds, Field(gt=0)] = 10.0

    @field_validator("url")
    @classmethod
    def _web(cls, value: SecretStr) -> SecretStr:
        parts = urlsplit(value.get_secret_value())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("expected an address that begins with http:// or https://")
        _ = parts.port
        return value

    @field_validator("headers")
    @classmethod
    def _plain(cls, value: Mapping[str, SecretStr]) -> Mapping[str, SecretStr]:
        if any(c in name + text.get_secret_value() for name, text in value.items() for c in "\r\n\0"):
            raise ValueError("expected headers without line breaks")
        return value


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """The value of ``Onlooker-Signature``.

    >>> signature("s", 1, b"{}")[:10]
    't=1,v1=b25'
    """
    signed = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={signed}"


def cloud_event(message: Message) -> dict[str, Any]:
    """The CloudEvent of a message; ``data`` is the event, or of a digest ``{"events": [...]}``."""
    event = message.event
    common: dict[str, Any] = {
        "specversion": "1.0",
        "id": message.key,
        "time": message.taken.isoformat(),
        "datacontenttype": "application/json",
    }
    if message.digest:
        data = {"events": [e.as_dict() for e in message.events]}
        return {**common, "source": "/onlooker", "type": "onlooker.digest", "data": data}
    return {
        **common,
        "source": f"/onlooker/sources/{event.source}",
        "type": f"onlooker.event.{event.state}",
        "subject": event.id,
        # of the sequence extension: orders the states of one subject as text
        "sequence": f"{event.number:010d}",
        "data": event.as_dict(),
    }


class Webhook(Sink):
    """Posts CloudEvents."""

    kind: ClassVar[str] = "webhook"
    settings: ClassVar[type[BaseModel]] = WebhookSettings
    digests: ClassVar[bool] = True

    def __init__(self, settings: WebhookSettings, context: SinkContext) -> None:
        self._settings = settings
        self._addresses = context.addresses
        self._url = urlsplit(settings.url.get_secret_value())
        self._shown = f"{self._url.scheme}://{self._url.hostname}"

    def deliver(self, message: Message) -> None:
        """Post once; redirects are not followed."""
        body = json.dumps(cloud_event(message), ensure_ascii=True, allow_nan=False).encode()
        headers = {
            "Content-Type": "application/cloudevents+json; charset=utf-8",
            "User-Agent": "onlooker",
            "Idempotency-Key": message.key,
            **{name: value.get_secret_value() for name, value in self._settings.headers.items()},
            **_authorization(self._url),
        }
        if self._settings.secret is not None:
            headers["Onlooker-Signature"] = signature(self._settings.secret.get_secret_value(), int(time.time()), body)
        status, reason, after = self._post(body, headers)
        if 200 <= status < 300:
            return
        said = f"{self._shown} answers {status} {reason}"
        if status >= 500 or status in _MAY_PASS:
            raise NotTaken(said, after=_seconds(after))
        if 300 <= status < 400:
            raise Refused(said, hint="redirects are not followed; configure the address that it leads to")
        raise Refused(said, hint="check the address, the secret and the headers")

    def _post(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, str, str | None]:
        timeout = self._settings.timeout
        connection = _Connection(self._url, self._settings, self._addresses)
        # a server that sends a byte now and then would never run into the time-out of a socket
        watch = threading.Timer(timeout, connection.cut)
        watch.daemon = True
        watch.start()
        try:
            connection.connect()
            target = (self._url.path or "/") + (f"?{self._url.query}" if self._url.query else "")
            connection.request("POST", target, body=body, headers=dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.reason[:80], answer.headers.get("Retry-After")
        except (OSError, ValueError, http.client.HTTPException) as error:
            if connection.was_cut or isinstance(error, TimeoutError):
                raise _late(self._shown, timeout, connection) from None
            what = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
            if not connection.reached:
                raise Unreachable(f"{self._shown} cannot be reached: {what}", hint="is it running?") from None
            raise NotTaken(f"{self._shown} gives no answer: {what}", hint="look at its log") from None
        finally:
            watch.cancel()
            connection.close()


def _late(shown: str, timeout: float, connection: _Connection) -> NotTaken | Unreachable:
    if not connection.reached:
        return Unreachable(f"{shown} cannot be reached within {timeout:g} s", hint="is it running?")
    return NotTaken(f"{shown} did not answer within {timeout:g} s", hint="raise the sink's timeout, or look at its log")


class _Connection(http.client.HTTPConnection):
    """Connects to an address that was checked, whatever the name leads to a moment later."""

    def __init__(self, url: SplitResult, settings: WebhookSettings, addresses: Addresses) -> None:
        port = url.port or (443 if url.scheme == "https" else 80)
        super().__init__(url.hostname or "", port, timeout=settings.timeout)
        if url.scheme == "https":
            self.default_port = 443  # pyright: ignore[reportAttributeAccessIssue]
        self._secure = url.scheme == "https"
        self._authority = settings.authority
        self._addresses = addresses
        self.was_cut = self.reached = False

    def connect(self) -> None:
        error: OSError | None = None
        for address in resolve(self.host, self.port, self._addresses):
            try:
                raw = socket.create_connection((address, self.port), self.timeout)
            except OSError as caught:
                error = caught
                continue
            self.sock = self._wrapped(raw)
            self.reached = True
            return
        raise error or OSError(f"no address of {self.host}")

    def _wrapped(self, raw: socket.socket) -> socket.socket:
        if not self._secure:
            return raw
        try:
            return ssl.create_default_context(cafile=self._authority).wrap_socket(raw, server_hostname=self.host)
        except BaseException:
            raw.close()
            raise

    def cut(self) -> None:
        """End the request from another thread."""
        self.was_cut = True
        if self.sock is not None:
            with contextlib.suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)


def _authorization(url: SplitResult) -> dict[str, str]:
    if url.username is None:
        return {}
    pair = f"{unquote(url.username)}:{unquote(url.password or '')}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def _seconds(text: str | None) -> float | None:
    """Seconds of a ``Retry-After``, which is a number or a date."""
    if text is None:
        return None
    if text.strip().isdecimal():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None
