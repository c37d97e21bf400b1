"""Settings by which an analyzer tells live what otherwise waits for an end."""

from __future__ import annotations

from typing import Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from onlooker.core.analyzer import AnalyzerConfig

__all__ = ["LiveSettings"]


class LiveSettings(AnalyzerConfig):
    """Base of settings with ``longest_seconds``, which the result over a recording does not depend on where it is None:
    it is written down only where it is set, so that what was stored before stays valid.
    """

    longest_seconds: float | None = Field(default=None, gt=0)

    @model_serializer(mode="wrap")
    def _written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = handler(self)
        if self.longest_seconds is None:
            written.pop("longest_seconds", None)
        return written
