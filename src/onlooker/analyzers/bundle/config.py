"""Settings of an added bundle; what is left out is as the bundle says."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, create_model

from onlooker.core.analyzer import AnalyzerConfig, Quality

__all__ = ["HEAVY_FIELDS", "BundleConfig", "config_for"]

HEAVY_FIELDS = frozenset({"version", "rate", "runtime"})


class BundleConfig(AnalyzerConfig):
    """Settings of an added bundle. Where one is None, what the bundle says holds.

    Args:
        version: the beginning of the digest of the version to run; by default the one in use.
        rate: pictures a second that are looked at; only for bundles that look at single pictures.
        runtime: the inference engine.
        labels: only these labels; empty means all.
        thresholds: scores from which single labels are observed.
        sensitivity: scales all thresholds: 2 halves them.
        smooth_seconds, minimum_seconds, gap_seconds: how scores become spans; see docs/guides/bundles.md.
        longest_seconds: longer spans are told in pieces of this length; None: whole, when they have ended.
        false_alarms_per_hour: budget of anomalies on normal footage, by which their threshold is chosen.
        confirm: detections that make a track certain.
        lost_seconds: a track that was not seen for longer has ended.
        match: least overlap, of boxes grown by ``margin``, by which a detection goes on a track.
        margin: share of its size by which a box is grown on each side before boxes are compared.
        least_seconds: shorter tracks are not reported.
        drift_seconds: length of the windows over which inputs and scores are compared with the bundle's reference;
            0: they are not.
    """

    version: str = ""
    rate: float | None = Field(default=None, gt=0, le=240)
    runtime: Literal["openvino", "onnxruntime"] | None = None
    labels: tuple[str, ...] = ()
    thresholds: dict[str, float] = Field(default_factory=dict[str, float])
    sensitivity: float = Field(default=1.0, gt=0)
    smooth_seconds: float | None = Field(default=None, ge=0)
    minimum_seconds: float | None = Field(default=None, ge=0)
    gap_seconds: float | None = Field(default=None, ge=0)
    longest_seconds: float | None = Field(default=None, gt=0)
    false_alarms_per_hour: float | None = Field(default=None, ge=0)
    confirm: int = Field(default=3, ge=1)
    lost_seconds: float = Field(default=2.5, ge=0)
    match: float = Field(default=0.15, ge=0, le=1)
    margin: float = Field(default=0.2, ge=0, le=2)
    least_seconds: float = Field(default=0.3, ge=0)
    drift_seconds: float = Field(default=300.0, ge=0, le=86_400)


def config_for(name: str, version: str) -> type[BundleConfig]:
    """The settings of one bundle, of which ``version`` is in use."""

    class _Pinned(BundleConfig):
        @classmethod
        def for_quality(cls, quality: Quality) -> dict[str, Any]:
            # with the settings the version goes to worker processes, which may start after another was put to use
            return {"version": version}

    made: type[BundleConfig] = create_model(f"{name}_config", __base__=_Pinned, version=(str, version))
    made.__doc__ = BundleConfig.__doc__
    return made
