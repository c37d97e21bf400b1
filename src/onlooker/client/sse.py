"""Server-sent events as the standard of HTML defines their parsing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["Message", "messages"]


@dataclass(frozen=True, slots=True)
class Message:
    """One event of a stream: its name, data, and the id as of then."""

    event: str
    data: str
    id: str | None = None

    def json(self) -> Any:
        """Its data as JSON."""
        return json.loads(self.data)


def messages(lines: Iterable[str]) -> Iterator[Message]:
    r"""The events of a stream's lines.

    >>> list(messages(["id: 7", "event: new", "data: a", "data: b", "", ": quiet", ""]))
    [Message(event='new', data='a\nb', id='7')]
    """
    event, data, identity = "", list[str](), None
    for line in lines:
        if not line:
            if data:
                yield Message(event or "message", "\n".join(data), identity)
            event, data = "", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            event = value
        elif name == "data":
            data.append(value)
        elif name == "id" and "\0" not in value:
            identity = value
