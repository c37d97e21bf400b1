"""Which bundles a shadow compares, and the stages that run them side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onlooker.bundles.added import add, added_bundle, added_names, versions
from onlooker.bundles.folder import Bundle
from onlooker.core.errors import UsageError
from onlooker.pipeline.profile import load_profile
from onlooker.pipeline.stages import Stage, select_stages

__all__ = ["Pair", "pair_of", "stages_of"]

_SHORT = 16


@dataclass(frozen=True, slots=True)
class Pair:
    """The bundle in use and its candidate.

    Args:
        name: under which the one in use was added, and the analyzer that runs it.
        used: it.
        other: name of the analyzer that runs the candidate, ``NAME@VERSION``.
        candidate: it.
    """

    name: str
    used: Bundle
    other: str
    candidate: Bundle

    def as_dict(self) -> dict[str, str]:
        """The public JSON form."""
        return {"name": self.name, "used": self.used.digest, "candidate": self.candidate.digest}


def pair_of(name: str, candidate: str) -> Pair:
    """The bundle in use and the candidate that is meant.

    Args:
        name: of an added bundle.
        candidate: the beginning of the digest of one of its versions, the name of another added bundle, or a bundle's
            folder or zip, which is added as a version that is not in use.

    Raises:
        UsageError: there is no such bundle, it is the one in use, or it makes other kinds of observation.
        ModelError: it is damaged, or does not do here what it did where it was made.
    """
    used = added_bundle(name)
    called, other = _found(name, candidate)
    if other.digest == used.digest:
        raise UsageError(f"{candidate} is the version of {name} in use", hint=f"see onlooker models versions {name}")
    if set(other.manifest.kinds) != set(used.manifest.kinds):
        raise UsageError(
            f"{name} makes {', '.join(used.manifest.kinds)}; {candidate} makes {', '.join(other.manifest.kinds)}",
            hint="a candidate makes the same kinds of observation",
        )
    return Pair(name, used, f"{called}@{other.digest[:_SHORT]}", other)


def _found(name: str, candidate: str) -> tuple[str, Bundle]:
    known = [v.digest for v in versions(name)[0]]
    if any(digest.startswith(candidate.lower()) for digest in known):
        return name, added_bundle(name, candidate)
    if candidate in added_names():
        return candidate, added_bundle(candidate)
    if Path(candidate).exists():
        return name, add(candidate, name, use=False).bundle
    raise UsageError(
        f"there is no candidate {candidate!r}",
        hint=f"give a version of {name} (onlooker models versions {name}), another added bundle, or a folder",
    )


def stages_of(
    pair: Pair, profile: str | None = None, settings: Mapping[str, Any] | None = None
) -> tuple[tuple[Stage, ...], frozenset[str]]:
    """The stages that run both, with what they need, and the names of those two.

    Args:
        pair: the bundles.
        profile: whose settings of ``pair.name`` both get; analyzers of it that they wish for come along.
        settings: over the profile's.

    Raises:
        ConfigError: a setting is wrong, for one of both.
    """
    chosen = load_profile(profile) if profile is not None else None
    given: dict[str, Mapping[str, Any] | None] = dict(chosen.analyzers) if chosen is not None else {}
    own = {**(given.get(pair.name) or {}), **(settings or {})}
    own.pop("version", None)
    given |= {pair.name: own, pair.other: own}
    both = (pair.name, pair.other)
    return tuple(select_stages(given, chosen.quality if chosen else "balanced", both)), frozenset(both)
