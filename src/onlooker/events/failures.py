"""How telling a sink can fail."""

from __future__ import annotations

from onlooker.core.errors import SinkError

__all__ = ["NotTaken", "Refused", "Unreachable"]


class Unreachable(SinkError):
    """Nothing was reached: it is tried again until the message is too old, and counts as no attempt."""


class NotTaken(SinkError):
    """The sink was reached and did not take the message, but may later.

    Args:
        message: what happened, without secrets.
        hint: what the user can do about it.
        after: seconds for which the sink wants to be left alone, or None.
    """

    def __init__(self, message: str, *, hint: str | None = None, after: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.after = after


class Refused(SinkError):
    """The sink will never take the message: it becomes a dead letter at once."""
