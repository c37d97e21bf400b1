"""Stages: analyzers chosen for a run, configured, ordered by what they need, each with its producer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from onlooker.core.analyzer import Analyzer, AnalyzerConfig, Needs, Quality
from onlooker.core.errors import ConfigError, PluginError, UsageError
from onlooker.core.media import FrameSelection
from onlooker.core.observation import Producer
from onlooker.core.plugins import load_plugin, plugin_names

__all__ = ["Stage", "StageSpec", "build_stages", "create_analyzer", "decoded_frames", "select_stages"]

_SELECTIONS: tuple[FrameSelection, ...] = ("none", "key", "reference", "all")


@dataclass(frozen=True, slots=True)
class StageSpec:
    """What is needed to make a stage's analyzer in another process."""

    name: str
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Stage:
    """One analyzer of a run.

    Args:
        spec: how to create it.
        needs: what it declared.
        emits: kinds that it makes.
        producer: what its observations are signed with in this run.
        accepts: producers whose stored results are as good as this run's (they only differ in that the frames
            offered were more or fewer than the stage asked for at least).
        heavy_digest: digest of what decides the measurements; the beginning of ``producer.config``.
        identity: digest of what was asked for, whichever frames are offered; what depends on the stage signs with it.
    """

    spec: StageSpec
    needs: Needs
    emits: tuple[str, ...]
    producer: Producer
    accepts: tuple[Producer, ...]
    heavy_digest: str
    identity: str

    @property
    def name(self) -> str:
        """The analyzer's name."""
        return self.spec.name


def create_analyzer(spec: StageSpec) -> Analyzer[Any]:
    """A new, unopened analyzer.

    Raises:
        PluginError: no such analyzer.
        ConfigError: its settings are wrong.
    """
    cls = load_plugin("analyzers", spec.name)
    if not (isinstance(cls, type) and issubclass(cls, Analyzer)):
        raise PluginError(f"the plug-in {spec.name!r} is not an Analyzer", hint="derive it from onlooker.core.Analyzer")
    config: type[AnalyzerConfig] = cls.Config  # pyright: ignore[reportUnknownMemberType]
    try:
        return cls(config.model_validate(dict(spec.settings)))  # pyright: ignore[reportUnknownVariableType]
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join([spec.name, *(str(part) for part in first["loc"])])
        known = ", ".join(config.model_fields)
        raise ConfigError(f"{where}: {first['msg']}", hint=f"settings of {spec.name}: {known}") from None


def _settings(name: str, quality: Quality, own: Mapping[str, Any]) -> StageSpec:
    cls = load_plugin("analyzers", name)
    return StageSpec(name, {**cls.Config.for_quality(quality), **own})


def _emitter(kind: str, chosen: Sequence[str], asking: str) -> str | None:
    """An analyzer that makes ``kind``: one already chosen if there is, else the first that is installed."""
    for name in dict.fromkeys([*chosen, *plugin_names("analyzers")]):
        if name == asking:
            continue
        try:
            cls = load_plugin("analyzers", name)
        except Exception:
            if name in chosen:
                raise
            continue  # a broken plug-in that nobody asked for must not get in the way
        if kind in cls.emits:
            return name
    return None


def select_stages(
    settings: Mapping[str, Mapping[str, Any] | None], quality: Quality, only: Sequence[str] = ()
) -> list[Stage]:
    """The stages of a run, those they need included, each after those it needs.

    Args:
        settings: the profile's settings by analyzer name.
        quality: fills in what the settings leave open.
        only: names to restrict the run to; what they need is added. They need not be in ``settings``.

    Raises:
        UsageError: unknown name in ``only``.
        ConfigError: settings that an analyzer refuses, or needs that go in a circle.
    """
    unknown = [name for name in only if name.partition("@")[0] not in plugin_names("analyzers")]
    if unknown:
        raise UsageError(f"no analyzer is called {unknown[0]!r}", hint=f"known: {', '.join(plugin_names('analyzers'))}")
    specs: dict[str, StageSpec] = {}
    instances: dict[str, Analyzer[Any]] = {}
    waiting = list(only or settings)
    requires: dict[str, list[str]] = {}
    while waiting:
        name = waiting.pop(0)
        if name not in specs:
            specs[name] = _settings(name, quality, settings.get(name) or {})
            instances[name] = create_analyzer(specs[name])
            # what the analyzer pinned (versions of bundles) goes to worker processes with the settings
            specs[name] = StageSpec(name, instances[name].config.model_dump(mode="json", exclude_unset=True))
            needs = instances[name].needs()
            requires[name] = list(needs.measurements)
            for kind in needs.observations:
                maker = _emitter(kind, [*specs, *waiting, *settings], name)
                if maker is None:
                    raise ConfigError(f"{name} needs observations of kind {kind!r}, which no analyzer makes")
                requires[name].append(maker)
            waiting += requires[name]
        if not waiting:
            waiting += _grant_wishes(specs, instances, requires, settings)
    return build_stages(_ordered(requires), specs, instances, requires)


def _grant_wishes(
    specs: Mapping[str, StageSpec],
    instances: Mapping[str, Analyzer[Any]],
    requires: dict[str, list[str]],
    settings: Mapping[str, Any],
) -> list[str]:
    """Let each stage come after all that make what it wishes for; returns those of the profile not yet chosen."""
    offered = {n: load_plugin("analyzers", n).emits for n in dict.fromkeys([*specs, *settings])}
    for name in specs:
        wishes = instances[name].needs().wishes
        granted = [n for n, emits in offered.items() if n != name and any(k in wishes for k in emits)]
        requires[name] += [n for n in granted if n not in requires[name]]
    return [n for n in dict.fromkeys(n for r in requires.values() for n in r) if n not in specs]


def _ordered(requires: Mapping[str, Sequence[str]]) -> list[str]:
    done: list[str] = []
    left = list(requires)
    while left:
        ready = [n for n in left if all(r in done for r in requires[n])]
        if not ready:
            raise ConfigError(f"analyzers need each other in a circle: {', '.join(left)}")
        done.append(ready[0])
        left.remove(ready[0])
    return done


def decoded_frames(needs: Sequence[Needs]) -> FrameSelection:
    """The smallest selection of frames that serves all."""
    return _SELECTIONS[max((_SELECTIONS.index(n.frames) for n in needs), default=0)]


def build_stages(
    order: Sequence[str],
    specs: Mapping[str, StageSpec],
    instances: Mapping[str, Analyzer[Any]],
    requires: Mapping[str, Sequence[str]],
) -> list[Stage]:
    """Stages with their producers' digests, which cover everything that decides the output."""
    selection = decoded_frames([a.needs() for a in instances.values()])
    stages: dict[str, Stage] = {}
    for name in order:
        analyzer = instances[name]
        needs = analyzer.needs()
        before = [stages[r] for r in requires[name]]
        offers: list[FrameSelection] = [needs.frames]
        if needs.frames == "reference":
            # all frames may be offered where only reference frames were asked for; "key" can be filtered exactly
            offers = ["all", "reference"] if selection == "all" else ["reference", "all"]
        producers = [_producer(analyzer, frames, before) for frames in offers]
        identity = producers[offers.index(needs.frames)].config
        heavy = producers[0].config[:16]
        stages[name] = Stage(specs[name], needs, tuple(analyzer.emits), producers[0], tuple(producers), heavy, identity)
    return list(stages.values())


def _producer(analyzer: Analyzer[Any], frames: FrameSelection, before: Sequence[Stage]) -> Producer:
    config: dict[str, Any] = analyzer.config.model_dump(mode="json")
    fields = type(analyzer).measurement_fields
    needs = analyzer.needs()
    heavy = {k: v for k, v in config.items() if fields is None or k in fields}
    bundle = analyzer.bundle_digest()
    base = [analyzer.name, analyzer.version, bundle, frames]
    measured = [s.heavy_digest for s in before if s.name in needs.measurements]
    heavy_digest = _digest([*base, heavy, measured])
    full_digest = _digest([*base, config, [(s.name, s.identity) for s in before]])
    return Producer(analyzer.name, analyzer.version, heavy_digest[:16] + full_digest[:16], bundle)


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
