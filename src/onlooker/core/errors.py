"""The one tree of errors that onlooker raises.

``OnlookerError``
    ``UsageError``: the caller asked for something that cannot be: a bad option, name, time or query.
    ``ConfigError``: a profile, recipe or rule file is wrong; says file, line and what was expected.
    ``SourceError``: a source cannot be opened or read.
        ``UnsupportedMedia``: it opened, but holds nothing that can be decoded.
        ``ForbiddenAddress``: the address or a nested one is not allowed by the source's policy.
    ``ModelError``: a model is missing, altered, of the wrong form, or failed to run.
        ``ModelMissing``: not in the cache; the message names the ``onlooker models pull`` to run.
    ``StoreError``: a library cannot be opened, read or written.
        ``StoreTooNew``: the library was written by a newer onlooker.
        ``StoreBusy``: another process held the library too long.
    ``PluginError``: a plug-in cannot be found or loaded, or breaks its contract.
    ``AnalyzerError``: an analyzer failed; the rest of the run goes on.
    ``SinkError``: a sink could not be told of an event; says whether trying again can help.
    ``Interrupted``: the run was stopped; what was done is kept.

Every message says what happened, where, and what to do.

>>> str(OnlookerError("cannot read x.mp4", hint="check the path"))
'cannot read x.mp4 (check the path)'
"""

from __future__ import annotations

__all__ = [
    "AnalyzerError",
    "ConfigError",
    "ForbiddenAddress",
    "Interrupted",
    "ModelError",
    "ModelMissing",
    "OnlookerError",
    "PluginError",
    "SinkError",
    "SourceError",
    "StoreBusy",
    "StoreError",
    "StoreTooNew",
    "UnsupportedMedia",
    "UsageError",
]


class OnlookerError(Exception):
    """Base of all errors that onlooker raises on purpose.

    Args:
        message: what happened and where.
        hint: what the user can do about it.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message

    def __reduce__(self) -> tuple[object, ...]:
        # keyword arguments are lost by Exception's own pickling, which worker processes rely on
        return (_rebuild, (type(self), self.message, self.hint))


def _rebuild(cls: type[OnlookerError], message: str, hint: str | None) -> OnlookerError:
    return cls(message, hint=hint)


class UsageError(OnlookerError):
    """The caller asked for something that cannot be."""


class ConfigError(OnlookerError):
    """A configuration file is wrong."""


class SourceError(OnlookerError):
    """A source cannot be opened or read."""


class UnsupportedMedia(SourceError):
    """The source opened but holds nothing that can be decoded."""


class ForbiddenAddress(SourceError):
    """The address, or one that it leads to, is not allowed."""


class ModelError(OnlookerError):
    """A model is missing, altered, of the wrong form, or failed to run."""


class ModelMissing(ModelError):
    """The model is in the catalogue but not in the cache."""


class StoreError(OnlookerError):
    """A library cannot be opened, read or written."""


class StoreTooNew(StoreError):
    """The library was written by a newer onlooker."""


class StoreBusy(StoreError):
    """Another process held the library too long."""


class PluginError(OnlookerError):
    """A plug-in cannot be found or loaded, or breaks its contract."""


class AnalyzerError(OnlookerError):
    """An analyzer failed; the rest of the run goes on."""


class SinkError(OnlookerError):
    """A sink could not be told of an event."""


class Interrupted(OnlookerError):
    """The run was stopped; what was done is kept."""
