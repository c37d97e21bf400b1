"""Settings of an added bundle; what is left out is as the bundle says."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, create_model, model_serializer, model_validator

from onlooker.core.analyzer import AnalyzerConfig, Quality

__all__ = ["HEAVY_FIELDS", "BundleConfig", "config_for"]

ADAPTIVE_FIELDS = frozenset(
    {
        "still",
        "sure",
        "sure_after",
        "sure_every",
        "stretch_seconds",
        "first",
        "first_sure",
        "region",
        "region_least",
        "exit",
    }
)
SENSE_FIELDS = frozenset({"series", "series_digest", "text_seconds"})
HEAVY_FIELDS = frozenset({"version", "rate", "runtime", "series", "series_digest"}) | ADAPTIVE_FIELDS
Part01 = Annotated[float, Field(ge=0, le=1)]

_LEAST_SIDE = 0.02


class BundleConfig(AnalyzerConfig):
    """Settings of an added bundle. Where one is None, what the bundle says holds.

    Args:
        version: the beginning of the digest of the version to run; by default the one in use.
        rate: pictures a second that are looked at; only for bundles that look at single pictures.
        runtime: the inference engine.
        series: a file of measurements, of bundles that take some; None: the one beside the video, ``NAME.series.csv``.
        series_digest: of its content; set by itself.
        text_seconds: of bundles that join texts with what is seen or heard, on cameras: so long a look waits for what
            was said or written in it. In a recording it waits for all.
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
        still: a look is skipped, and its last answer repeated, while less than this share of the picture has changed.
        sure: likewise once answers have been the same, with at least this confidence (0..1), ``sure_after`` times; then
            each ``sure_every``-th look is made, until an answer differs or is less certain.
        sure_after, sure_every: see ``sure``.
        stretch_seconds: so often, at multiples of it, a look is made in any case, and at the whole picture.
        first: an added bundle (``NAME`` or ``NAME@VERSION``) with the same labels that looks first; this one looks
            where that is less confident than ``first_sure``.
        first_sure: see ``first``; None: as accurate as this bundle was at its export.
        exit: confidence (0..1) from which the answer of a network's early exit stands; above 1: never.
        region: the part that is looked at: left, top, right, bottom in fractions of the picture; or ``motion``: of
            detections, where something changed.
        region_least: with ``motion``, the part is at least this share of the picture high or wide.

    The last group is described in docs/guides/adaptive.md.
    """

    version: str = ""
    rate: float | None = Field(default=None, gt=0, le=240)
    runtime: Literal["openvino", "onnxruntime"] | None = None
    series: str | None = None
    series_digest: str = ""
    text_seconds: float = Field(default=10.0, ge=0, le=600)
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
    still: float | None = Field(default=None, gt=0, le=1)
    sure: float | None = Field(default=None, gt=0, le=1)
    sure_after: int = Field(default=3, ge=1, le=1000)
    sure_every: int = Field(default=5, ge=2, le=1000)
    stretch_seconds: float = Field(default=5.0, ge=0.1, le=600)
    first: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9_]*(@[0-9a-fA-F]+)?$")
    first_sure: float | None = Field(default=None, gt=0, le=1)
    exit: float | None = Field(default=None, ge=0, le=2)
    region: Literal["motion"] | tuple[Part01, Part01, Part01, Part01] | None = None
    region_least: float = Field(default=0.25, gt=0, le=1)

    @model_validator(mode="after")
    def _part_of_a_picture(self) -> Self:
        if isinstance(self.region, tuple):
            left, top, right, bottom = self.region
            if right - left < _LEAST_SIDE or bottom - top < _LEAST_SIDE:
                raise ValueError(f"region: expected left < right and top < bottom, {_LEAST_SIDE} apart at least")
        return self

    @model_serializer(mode="wrap")
    def _written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # what looks as it always did keeps the digest that it always had
        written: dict[str, Any] = handler(self)
        fields = type(self).model_fields
        later = ADAPTIVE_FIELDS | SENSE_FIELDS
        return {k: v for k, v in written.items() if k not in later or getattr(self, k) != fields[k].default}

    @property
    def remembers(self) -> bool:
        """Whether a look depends on earlier ones."""
        return self.still is not None or self.sure is not None or self.region == "motion"

    @property
    def adaptive(self) -> bool:
        """Whether looks are skipped, made by another network, or at a part."""
        return self.remembers or self.first is not None or self.region is not None


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
