"""The added bundles as analyzers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from onlooker.core.errors import ModelError, PluginError, UsageError

__all__ = ["AddedBundles"]


class AddedBundles:
    """See `onlooker.core.plugins.Family`."""

    def names(self) -> Sequence[str]:
        """The names under which bundles were added."""
        from onlooker.models.entries import cache_folder

        if not (cache_folder() / "bundles").is_dir():
            return ()
        from onlooker.bundles.added import added_names

        return added_names()

    def load(self, name: str) -> Any:
        """The analyzer of the version in use, or of the version ``V`` for ``NAME@V``."""
        from onlooker.bundles.added import added_bundle

        called, _, version = name.partition("@")
        try:
            bundle = added_bundle(called, version or None)
        except (ModelError, UsageError) as error:
            raise PluginError(
                f"the bundle {name} cannot be used: {error.message}", hint="see onlooker models versions"
            ) from error
        return _analyzer(name, bundle.folder, bundle.digest)


@lru_cache(maxsize=64)
def _analyzer(name: str, folder: Path, digest: str) -> Any:
    """The class, made once for each version."""
    from onlooker.analyzers.bundle.analyzer import analyzer_for
    from onlooker.bundles import load_bundle

    return analyzer_for(name, load_bundle(folder, check=False))
