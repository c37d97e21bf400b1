"""A program that is started for each state, with the event as JSON on its standard input; never through a shell."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from onlooker.core.schedule import Seconds
from onlooker.events.failures import NotTaken, Refused
from onlooker.events.sink import Message, Sink, SinkContext

__all__ = ["Command", "CommandSettings"]

PLUGIN = "onlooker.events.sinks.command:Command"
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_FIELDS = (
    "id",
    "rule",
    "source",
    "camera",
    "state",
    "severity",
    "label",
    "start",
    "end",
    "wall_start",
    "key",
    "folder",
)
_TAIL = 300


class CommandSettings(BaseModel):
    """Attributes:
    argv: the program's absolute path and its arguments. ``{rule}``, ``{camera}``, ``{state}``, ... in an argument
        are replaced by the event's values, which stay within that argument whatever they hold.
    environment: variables for the program besides PATH, HOME and LANG; it sees no others.
    timeout: seconds after which it is killed, with all that it started.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    argv: tuple[str, ...] = Field(min_length=1)
    environment: Mapping[str, SecretStr] = Field(default_factory=dict)
    timeout: Annotated[Seconds, Field(gt=0)] = 30.0

    @field_validator("argv")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not os.path.isabs(value[0]) or _PLACEHOLDER.search(value[0]):
            raise ValueError("expected the absolute path of a program first")
        unknown = [m for argument in value[1:] for m in _PLACEHOLDER.findall(argument) if m not in _FIELDS]
        if unknown:
            raise ValueError(f"no placeholder is called {unknown[0]!r}; there are {', '.join(_FIELDS)}")
        if any("\0" in argument for argument in value):
            raise ValueError("expected arguments without zero bytes")
        return value


class Command(Sink):
    """Runs a program; exit code 0 means that it has taken the event."""

    kind: ClassVar[str] = "command"
    settings: ClassVar[type[BaseModel]] = CommandSettings
    digests: ClassVar[bool] = True

    def __init__(self, settings: CommandSettings, context: SinkContext) -> None:
        self._settings = settings
        self._folder = context.folder

    def deliver(self, message: Message) -> None:
        """Run it to its end."""
        told: dict[str, Any] = (
            {"key": message.key, "events": [e.as_dict() for e in message.events]}
            if message.digest
            else {"key": message.key, **message.event.as_dict()}
        )
        data = json.dumps(told, ensure_ascii=True, allow_nan=False).encode()
        values = {name: "" if told.get(name) is None else str(told[name]) for name in _FIELDS}
        argv = self._arguments({**values, "folder": str(self._folder)})
        with tempfile.TemporaryFile() as said:
            code = self._run(argv, data, said)
            if code:
                said.seek(max(0, said.seek(0, os.SEEK_END) - _TAIL))
                text = " ".join(said.read().decode("utf-8", "replace").split())
                raise NotTaken(f"{argv[0]} ended with {code}{': ' if text else ''}{text}")

    def _arguments(self, values: Mapping[str, str]) -> list[str]:
        program, *rest = self._settings.argv
        made = [program]
        for template in rest:
            argument = _PLACEHOLDER.sub(lambda m: _passable(values[m[1]]), template)
            if argument.startswith("-") and not template.startswith("-"):
                # the program would take it for an option
                raise Refused(f"the value for {template} begins with '-'", hint="put something before the placeholder")
            made.append(argument)
        return made

    def _run(self, argv: list[str], data: bytes, said: Any) -> int:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        own = {name: value.get_secret_value() for name, value in self._settings.environment.items()}
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=said,
                env={**kept, **own},
                cwd="/",
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise NotTaken(f"{argv[0]} cannot be started: {error}", hint="check the path") from None
        try:
            with contextlib.suppress(BrokenPipeError):
                process.communicate(data, timeout=self._settings.timeout)
            return process.wait(self._settings.timeout)
        except subprocess.TimeoutExpired:
            raise NotTaken(f"{argv[0]} took more than {self._settings.timeout:g} s and was killed") from None
        finally:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            if process.stdin is not None:
                with contextlib.suppress(OSError):
                    process.stdin.close()
            process.wait()


def _passable(text: str) -> str:
    """What can be an argument of a program: no zero bytes, no half characters."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "")
