"""What Prometheus reads: cameras, analyzers, sinks, jobs, and the process itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from prometheus_client import Metric

    from onlooker.api.context import Context
    from onlooker.core.live import CameraStatus

__all__ = ["CONTENT", "registry", "text_of"]

CONTENT = "text/plain; version=0.0.4; charset=utf-8"
_CONDITIONS = ("connecting", "watching", "blind", "stopped")


class _Parts(Collector):
    """Read at the moment at which somebody asks; nothing is counted twice."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def describe(self) -> list[Any]:
        """Nothing beforehand."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All of it."""
        context = self._context
        cameras = context.station.status() if context.station else []
        yield from _cameras(cameras)
        sinks = context.station.delivery.status() if context.station else context.journal.sinks()
        depth = GaugeMetricFamily("onlooker_outbox_depth", "States that wait to be told.", labels=["sink"])
        dead = GaugeMetricFamily("onlooker_outbox_dead", "States that were given up.", labels=["sink"])
        for sink in sinks:
            depth.add_metric([sink.name], sink.waiting)
            dead.add_metric([sink.name], sink.dead)
        yield from (depth, dead)
        states = CounterMetricFamily("onlooker_event_states", "States of events taken.")
        states.add_metric([], context.journal.latest())
        yield states
        jobs = GaugeMetricFamily("onlooker_jobs", "Analyses by state.", labels=["state"])
        for state, count in context.jobs.counts().items():
            jobs.add_metric([state], count)
        yield jobs
        recorded = GaugeMetricFamily("onlooker_recorded_bytes", "Bytes of recordings.", labels=["camera"])
        for camera in context.recordings.cameras():
            recorded.add_metric([camera], context.recordings.bytes(camera))
        yield recorded


def _cameras(cameras: list[CameraStatus]) -> Iterator[Metric]:
    gauges = (
        ("onlooker_camera_arriving_fps", "Frames a second that come.", "arriving"),
        ("onlooker_camera_analysed_fps", "Frames a second that are analysed.", "analysed"),
        ("onlooker_camera_allowed_fps", "Frames a second that the load lets it have.", "allowed"),
        ("onlooker_camera_frame_age_seconds", "Between a frame's coming and its analysis.", "age"),
        ("onlooker_camera_last_frame_timestamp_seconds", "When the last frame came.", "last_frame"),
        ("onlooker_camera_motion", "Whether there is motion.", "motion"),
        ("onlooker_camera_recording", "Whether it is recorded now.", "recording"),
    )
    counters = (
        ("onlooker_camera_blind_seconds", "Seconds in which it could not be watched.", "blind_seconds"),
        ("onlooker_camera_watched_seconds", "Seconds in which it was watched.", "watched_seconds"),
        ("onlooker_camera_reconnects", "Connections after the first.", "reconnects"),
    )
    for kind, table in ((GaugeMetricFamily, gauges), (CounterMetricFamily, counters)):
        for name, text, field in table:
            family = kind(name, text, labels=["camera"])
            for camera in cameras:
                value = getattr(camera, field)
                if value is not None:
                    family.add_metric([camera.name], float(value))
            yield family
    yield from _by_name(cameras)


def _by_name(cameras: list[CameraStatus]) -> Iterator[Metric]:
    drops = CounterMetricFamily("onlooker_camera_drops", "Frames not analysed.", labels=["camera", "cause"])
    spent = CounterMetricFamily("onlooker_analyzer_seconds", "CPU seconds.", labels=["camera", "analyzer"])
    condition = GaugeMetricFamily(
        "onlooker_camera_condition", "1 for the one it is in.", labels=["camera", "condition"]
    )
    for camera in cameras:
        for cause, count in camera.drops.items():
            drops.add_metric([camera.name, cause], count)
        for analyzer, seconds in camera.spent.items():
            spent.add_metric([camera.name, analyzer], seconds)
        for name in _CONDITIONS:
            condition.add_metric([camera.name, name], float(camera.condition == name))
    yield from (drops, spent, condition)


def registry(context: Context) -> CollectorRegistry:
    """The metrics of one server."""
    made = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=made)
    PlatformCollector(registry=made)
    made.register(_Parts(context))
    return made


def text_of(context: Context) -> bytes:
    """The text that Prometheus reads."""
    return generate_latest(registry(context))
