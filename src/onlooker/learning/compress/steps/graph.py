"""The graph of operations is simplified, with the same answers, and the engine that is faster here is preferred.

By ONNX Runtime's optimisations of the level that every engine understands: constants are folded, doubles and what is
not used are left out, norms and additions go into convolutions and products. Operations that move no numbers are taken
out (`onnx_views`). What one engine alone understands is not taken, and the engines fuse further by themselves when they
load.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from onlooker.bundles.folder import Bundle, load_bundle
from onlooker.bundles.manifest import Step
from onlooker.learning.compress.onnx_bundle import Changed, Made, checked, cut_settings, needs_models, parts_of, remade
from onlooker.learning.compress.onnx_feed import Feeds, feeds_of
from onlooker.learning.compress.onnx_files import nodes_of, optimised, read_onnx, require_onnx
from onlooker.learning.compress.onnx_timing import milliseconds_of
from onlooker.learning.compress.step import Compression, StepConfig, Subject, Work

__all__ = ["PART", "Config", "Graph"]

_FARTHEST = 1e-3
_FEEDS = 32


class Config(StepConfig):
    """Settings of the optimisation of the graph.

    Attributes:
        engine: that the new bundle prefers: the ``measured`` faster one, the one ``as_before``, or one by name.
        samples: so many of the training part are answered to measure it.
    """

    step: Literal["graph"] = "graph"
    engine: Literal["measured", "as_before", "openvino", "onnxruntime"] = "measured"
    samples: int = Field(default=16, ge=1, le=10_000)


class Graph(Compression):
    """See the module."""

    Config: ClassVar[type[StepConfig]] = Config
    trains: ClassVar[bool] = False

    @classmethod
    def refusal(cls, subject: Subject, config: StepConfig) -> str | None:
        """See `Compression.refusal`."""
        return needs_models(subject, ("onnx",))

    @classmethod
    def apply(cls, subject: Subject, config: StepConfig, work: Work) -> Subject:
        """See `Compression.apply`."""
        assert isinstance(config, Config)
        checked("graph", cls.refusal(subject, config))
        bundle = load_bundle(subject.bundle)
        files: dict[str, Made] = {}
        before = after = 0
        for part in parts_of(bundle.manifest):
            made = optimised(bundle.path(part.file), part.shapes)
            before += len(nodes_of(read_onnx(bundle.path(part.file))))
            after += len(nodes_of(require_onnx().load_from_string(made)))
            files[part.file] = made
        runtime = None if config.engine == "as_before" else config.engine
        if runtime == "measured":
            runtime = _faster(bundle, files, feeds_of(bundle, work, samples=config.samples))
        told = cut_settings(config, engine=runtime or "as before", nodes_before=before, nodes=after)
        step = Step(name="graph", settings=told)
        return remade(subject, Changed(files, runtime), work, step, allowed=_FARTHEST, exact=True)


def _faster(bundle: Bundle, files: dict[str, Made], feeds: Feeds) -> str | None:
    """The engine in which the models together are fastest; None where none was measured."""
    total: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="onlooker-") as folder:
        for part in parts_of(bundle.manifest):
            made = files[part.file]
            if not feeds.get(part.file) or not isinstance(made, bytes):
                continue
            path = Path(folder) / part.file
            path.write_bytes(made)
            found = milliseconds_of({"": path}, feeds[part.file][:_FEEDS], part.shapes)
            for (_, engine), ms in found.items():
                total[engine] = total.get(engine, 0.0) + ms
    return min(sorted(total), key=lambda name: total[name]) if total else None


PART = Graph
