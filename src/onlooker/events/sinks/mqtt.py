"""An MQTT broker: each state on ``PREFIX/events``, and what holds now as retained topics of each camera."""

from __future__ import annotations

import contextlib
import importlib
import json
import ssl
import threading
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from onlooker.core.errors import OnlookerError, UsageError
from onlooker.core.event import Event
from onlooker.core.schedule import Seconds
from onlooker.events.addresses import resolve
from onlooker.events.failures import Unreachable
from onlooker.events.sink import Message, Sink, SinkContext, snapshot_of
from onlooker.events.sinks._topics import discovery, payload, safe, told

__all__ = ["Mqtt", "MqttSettings"]

PLUGIN = "onlooker.events.sinks.mqtt:Mqtt"
_KEEP_ALIVE = 30
_GOODBYE_SECONDS = 2.0
Publication = tuple[str, bytes, bool]


class MqttSettings(BaseModel):
    """Attributes:
    host, port: of the broker.
    user, password: where it asks for them.
    tls: whether to speak TLS; ``authority``: PEM file of who signs the broker's certificate, else the system's.
    prefix: of all topics.
    discovery: Home Assistant's discovery prefix (``homeassistant``), or none.
    snapshots: whether pictures of events are published.
    timeout: seconds for the broker to answer.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    host: str = Field(min_length=1)
    port: int = Field(default=1883, ge=1, le=65535)
    user: str | None = None
    password: SecretStr | None = None
    tls: bool = False
    authority: Path | None = None
    prefix: str = Field(default="onlooker", pattern=r"^[^+#\x00]+$")
    discovery: str | None = Field(default=None, pattern=r"^[^+#\x00]+$")
    snapshots: bool = True
    timeout: Annotated[Seconds, Field(gt=0)] = 10.0


class Mqtt(Sink):
    """Publishes with quality of service 1; says ``online`` and, by its last will, ``offline`` on ``available``."""

    kind: ClassVar[str] = "mqtt"
    settings: ClassVar[type[BaseModel]] = MqttSettings

    def __init__(self, settings: MqttSettings, context: SinkContext) -> None:
        self._settings = settings
        self._context = context
        self._client: Any = None
        self._answered = threading.Event()
        self._refusal: str | None = None
        self._cameras: dict[str, tuple[str, ...]] = {}
        self._announced: set[str] = set()
        self._mqtt = _package()
        self._where = f"the broker {settings.host}:{settings.port}"

    # -- connection --

    def open(self) -> None:
        """Connect; a connection that breaks later is made anew by itself."""
        s = self._settings
        resolve(s.host, s.port, self._context.addresses)
        version = self._mqtt.CallbackAPIVersion.VERSION2
        client = self._mqtt.Client(version, client_id=f"onlooker-{uuid.uuid4().hex[:12]}")
        client.connect_timeout = s.timeout
        client.reconnect_delay_set(1, 30)
        if not self._context.trial:
            client.will_set(f"{s.prefix}/available", b"offline", qos=1, retain=True)
        if s.user is not None:
            client.username_pw_set(s.user, None if s.password is None else s.password.get_secret_value())
        self._answered.clear()
        self._refusal = None
        client.on_connect = self._connected
        self._client = client
        try:
            if s.tls:
                client.tls_set_context(_tls(s.authority))
            client.connect(s.host, s.port, keepalive=_KEEP_ALIVE)
        except (OSError, ValueError) as error:
            raise Unreachable(f"{self._where} cannot be reached: {error}", hint="is it running?") from None
        client.loop_start()
        if not self._answered.wait(s.timeout):
            raise Unreachable(f"{self._where} does not answer", hint="is it an MQTT broker?")
        if self._refusal is not None:
            raise Unreachable(f"{self._where} refuses: {self._refusal}", hint="check user, password and its rules")

    def _connected(self, client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        """Called in the client's thread after each connection: a broker that was restarted may know nothing."""
        if reason.is_failure:
            self._refusal = str(reason)
        else:
            try:
                for topic, data, retain in self._standing():
                    client.publish(topic, data, qos=1, retain=retain)
            except (OnlookerError, OSError, ValueError) as error:
                # without the connection the next message fails, and opens the sink anew
                self._refusal = f"what holds could not be said: {type(error).__name__}"
                client.disconnect()
        self._answered.set()

    def close(self) -> None:
        """Say ``offline`` and leave."""
        client, self._client = self._client, None
        if client is None:
            return
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            if client.is_connected() and not self._context.trial:
                info = client.publish(f"{self._settings.prefix}/available", b"offline", qos=1, retain=True)
                info.wait_for_publish(_GOODBYE_SECONDS)
            client.disconnect()
        client.loop_stop()

    # -- telling --

    def know(self, cameras: Mapping[str, Sequence[str]]) -> None:
        """Announce cameras and rules; take back those that are gone."""
        self._cameras = {camera: tuple(rules) for camera, rules in cameras.items()}
        gone = self._announced - {topic for topic, *_ in self._entities()}
        self._publish([(topic, b"", True) for topic in sorted(gone)])
        self._publish(self._standing())
        self._announced -= gone

    def deliver(self, message: Message) -> None:
        """Publish the state and what holds now; return once the broker has all of it."""
        event = message.event
        sent = [(f"{self._settings.prefix}/events", told(event, message.before), False)]
        self._publish(sent if self._context.trial else [*sent, *self._holding(event)])

    def _holding(self, event: Event) -> list[Publication]:
        """What holds with this state."""
        rules = self._cameras.get(event.camera, ())
        if event.rule not in rules:
            self._cameras[event.camera] = (*rules, event.rule)
            self._publish(self._entities())
        s = self._settings
        base = f"{s.prefix}/{safe(event.camera)}"
        others = [e for e in self._context.open_events() if e.id != event.id]
        going_on = [*others, event] if event.state != "end" else others
        sent = self._states(event.camera, (event.rule,), going_on)
        sent.append((f"{base}/all", _count(e.camera == event.camera for e in going_on), True))
        if event.label is not None:
            same = (e.camera == event.camera and e.label == event.label for e in going_on)
            sent.append((f"{base}/{safe(event.label)}", _count(same), True))
        sent.append((f"{base}/last_event", _last(event), True))
        picture = snapshot_of(event, self._context.folder) if s.snapshots else None
        if picture is not None:
            sent.append((f"{base}/snapshot", picture, True))
            if event.label is not None:
                sent.append((f"{base}/{safe(event.label)}/snapshot", picture, True))
        return sent

    def _standing(self) -> list[Publication]:
        """All that a broker should know without events: that we are here, entities, the state of each rule."""
        if self._context.trial:
            return []
        going_on = self._context.open_events()
        # a copy: the client's thread comes here too
        cameras = [*self._cameras.items()]
        states = [p for camera, rules in cameras for p in self._states(camera, rules, going_on)]
        return [(f"{self._settings.prefix}/available", b"online", True), *self._entities(), *states]

    def _entities(self) -> list[Publication]:
        s = self._settings
        if s.discovery is None:
            return []
        found = [
            (topic, data, True)
            for camera, rules in [*self._cameras.items()]
            for topic, data in discovery(s.discovery, s.prefix, camera, rules).items()
        ]
        self._announced |= {topic for topic, *_ in found}
        return found

    def _states(self, camera: str, rules: Sequence[str], going_on: Sequence[Event]) -> list[Publication]:
        now = {(e.camera, e.rule) for e in going_on}
        base = f"{self._settings.prefix}/{safe(camera)}/rules"
        return [(f"{base}/{safe(rule)}", b"ON" if (camera, rule) in now else b"OFF", True) for rule in rules]

    def _publish(self, sent: Iterable[Publication]) -> None:
        if self._client is None:
            raise Unreachable(f"{self._where} is not connected", hint="open the sink first")
        try:
            infos = [self._client.publish(topic, data, qos=1, retain=retain) for topic, data, retain in sent]
            for info in infos:
                info.wait_for_publish(self._settings.timeout)
                if not info.is_published():
                    raise Unreachable(f"{self._where} does not answer within {self._settings.timeout:g} s")
        except (OSError, ValueError, RuntimeError) as error:
            raise Unreachable(f"the connection to {self._where} broke: {error}", hint="is it running?") from None


class _Socket(ssl.SSLSocket):
    """Is closed where the handshake fails, which the client leaves to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


def _tls(authority: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority)
    context.sslsocket_class = _Socket
    return context


def _count(hits: Iterable[bool]) -> bytes:
    return str(sum(hits)).encode()


def _last(event: Event) -> bytes:
    return json.dumps(payload(event), ensure_ascii=True, allow_nan=False).encode()


def _package() -> Any:
    try:
        return importlib.import_module("paho.mqtt.client")
    except ImportError:
        raise UsageError(
            "a sink of kind mqtt needs the package paho-mqtt", hint="pip install 'onlooker[server]'"
        ) from None
