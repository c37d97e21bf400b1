"""Whether settings fit a bundle."""

from __future__ import annotations

from onlooker.analyzers.bundle.adaptive import check_adaptive
from onlooker.analyzers.bundle.config import BundleConfig
from onlooker.bundles.inputs import FrameInput
from onlooker.bundles.manifest import Manifest
from onlooker.core.errors import ConfigError

__all__ = ["check_settings"]


def check_settings(name: str, manifest: Manifest, config: BundleConfig) -> None:
    """Refuse what would be wrong of this bundle.

    Args:
        name: of the analyzer.
        manifest: of the bundle.
        config: its settings.

    Raises:
        ConfigError: says which setting, and why.
    """
    unknown = sorted({*config.labels, *config.thresholds} - set(manifest.labels))
    if unknown:
        raise ConfigError(f"{name}: it has no label {unknown[0]!r}", hint=f"it has {', '.join(manifest.labels)}")
    if config.rate is not None and not isinstance(manifest.pictures, FrameInput):
        raise ConfigError(f"{name}: rate: it looks at no single pictures, and its rate is part of its training")
    if config.exit is not None and not any(n.exit is not None for n in manifest.networks):
        raise ConfigError(
            f"{name}: exit: its network has no early exit",
            hint="onlooker compress BUNDLE --steps early_exit makes one",
        )
    if config.series is not None and manifest.series is None:
        raise ConfigError(f"{name}: series: the bundle takes no measurements")
    check_adaptive(name, manifest, config)
