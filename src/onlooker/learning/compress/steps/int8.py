"""Networks and head compute in int8, calibrated by samples of the training part, where that is faster here; layers
that cost too much accuracy on the validation part stay in full precision.

Jacob et al. 2018, arXiv 1712.05877, by ONNX Runtime's quantiser, or NNCF (Kozlov et al. 2020, arXiv 2002.08679). Which
layers stay is found as in Wu et al. 2020, Integer quantization for deep learning inference, arXiv 2004.09602: they are
ranked by the error that each makes by itself.
"""

from __future__ import annotations

import logging
from typing import ClassVar, Literal

from pydantic import Field

from onlooker.bundles.folder import load_bundle
from onlooker.bundles.manifest import Step
from onlooker.learning.compress.onnx_bundle import checked, cut_settings, needs_models, parts_of, remade
from onlooker.learning.compress.onnx_feed import feeds_of, judged_of
from onlooker.learning.compress.onnx_files import read_onnx
from onlooker.learning.compress.onnx_int8 import layers_of
from onlooker.learning.compress.onnx_search import Search
from onlooker.learning.compress.step import Compression, StepConfig, Subject, Work

__all__ = ["PART", "Config", "Int8"]

_log = logging.getLogger(__name__)
_ANY = ("onnx", "openvino-ir", "tf-frozen", "tflite")
_FARTHEST = 1.0


class Config(StepConfig):
    """Settings of int8 after training.

    Attributes:
        method: ``onnxruntime`` for ONNX; ``nncf`` for any format, with correction of biases. Models that are not ONNX
            always go by NNCF and become OpenVINO IR.
        operators: which are in int8: ``convolutions``; ``heavy``: products too; ``flow``: also what lies between them;
            ``measured``: what is fastest here.
        engine: which the new bundle prefers: the ``measured`` faster one, or one by name.
        samples: so many of the training part calibrate.
        calibration: how ranges of activations are chosen.
        per_channel: whether each channel of a weight has a scale of its own.
        reduce_range: seven bits for weights, for processors without VNNI.
        symmetric: activations lie around 0, as TensorRT asks for; here it is slower.
        max_drop: largest loss on the validation part at the output that loses most: of its main metric where higher is
            better (0.01 is one point), else the share by which its error may grow. Without labels: the largest
            difference of answers.
        max_error: a layer that changes answers by more than this alone (root of the mean square, as a share) stays in
            full precision whatever the validation part says, which may be too small to show it.
        validation: so many samples of the validation part judge.
        least_gain: a network or head that is not so many times faster stays as it is; 0: all go.
    """

    step: Literal["int8"] = "int8"
    method: Literal["onnxruntime", "nncf"] = "onnxruntime"
    operators: Literal["measured", "convolutions", "heavy", "flow"] = "measured"
    engine: Literal["measured", "openvino", "onnxruntime"] = "measured"
    samples: int = Field(default=128, ge=1, le=10_000)
    calibration: Literal["minmax", "percentile", "entropy"] = "minmax"
    per_channel: bool = True
    reduce_range: bool = False
    symmetric: bool = False
    max_drop: float = Field(default=0.01, ge=0, le=1)
    max_error: float = Field(default=0.1, gt=0, le=1e6)
    validation: int = Field(default=400, ge=1, le=100_000)
    least_gain: float = Field(default=1.05, ge=0, le=100)


class Int8(Compression):
    """See the module; what was kept, and why, is among the settings of the step in the lineage."""

    Config: ClassVar[type[StepConfig]] = Config
    trains: ClassVar[bool] = False

    @classmethod
    def refusal(cls, subject: Subject, config: StepConfig) -> str | None:
        """See `Compression.refusal`; that nothing gains is only known when it is tried."""
        assert isinstance(config, Config)
        if (no := needs_models(subject, _ANY)) is not None:
            return no
        bundle = load_bundle(subject.bundle, check=False)
        if any(step.name == "int8" for step in bundle.manifest.provenance.steps):
            return "its models are in int8 already"
        exits = any(n.exit is not None and n.format == "onnx" for n in bundle.manifest.networks)
        if config.method == "nncf" and exits:
            return "NNCF leaves branches of ONNX as they are, as of its early exit: take method onnxruntime"
        plain = [p for p in parts_of(bundle.manifest) if p.format == "onnx"]
        others = len(parts_of(bundle.manifest)) - len(plain)
        if not others and not any(layers_of(read_onnx(bundle.path(p.file))) for p in plain):
            return "it has no convolution and no product with weights"
        return None

    @classmethod
    def apply(cls, subject: Subject, config: StepConfig, work: Work) -> Subject:
        """See `Compression.apply`.

        Raises:
            ModelError: nothing gains, or too much accuracy is lost however many layers are kept.
            SourceError: no sample can be decoded.
            UsageError: a library is missing.
        """
        assert isinstance(config, Config)
        checked("int8", cls.refusal(subject, config))
        bundle = load_bundle(subject.bundle)
        _tell(work, "calibrating", 0)
        feeds = feeds_of(bundle, work, samples=config.samples)
        judged = judged_of(bundle, work, samples=config.validation)
        search = Search(bundle, feeds, judged, config, work)
        search.choose()
        _tell(work, "judging", 1)
        found = search.settle()
        for file, why in found.left.items():
            _log.info("%s: %s stays as it is: %s", bundle.manifest.name, file, why)
        for name, error in found.kept.items():
            _log.info("%s: the layer %s stays in full precision: error %.3g alone", bundle.manifest.name, name, error)
        _tell(work, "writing", 2)
        told = cut_settings(
            config, operators=found.operators, engine=found.changed.runtime or "as before", drop=round(found.drop, 6),
            layers=found.layers, kept=", ".join(found.kept) or "none",
            left="; ".join(f"{file}: {why}" for file, why in found.left.items()) or "none",
            speed_up=round(found.speed_up, 3),
        )  # fmt: skip
        step = Step(name="int8", settings=told)
        return remade(subject, found.changed, work, step, allowed=_FARTHEST, verdict=found.verdict)


def _tell(work: Work, what: str, done: int) -> None:
    if work.told is not None:
        work.told(f"int8: {what}", done, 3)


PART = Int8
