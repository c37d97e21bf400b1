"""The plan of a run: what will be decoded, for whom, and what is done already. Made and printed without running."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from onlooker.core.media import FrameSelection, SourceInfo
from onlooker.core.observation import Producer
from onlooker.core.store import RunState
from onlooker.core.time import Timestamp
from onlooker.pipeline.fan_out import AudioFormat, audio_format
from onlooker.pipeline.stages import Stage, decoded_frames

__all__ = ["Plan", "Task", "make_plan"]

Action = Literal["run", "resume", "decide again", "done", "not possible"]


@dataclass(frozen=True, slots=True)
class Task:
    """What happens with one stage.

    Args:
        stage: the stage.
        action: ``run`` from the start, ``resume`` at ``begin``, ``decide again`` from measurements stored by ``reuse``,
            ``done`` already, or ``not possible`` because the source lacks what it needs.
        begin: measured from this moment on; None: from the start.
        reuse: the producer whose stored measurements are read again, or None.
        state: what the store knows of its earlier work.
    """

    stage: Stage
    action: Action
    begin: Timestamp | None = None
    reuse: Producer | None = None
    state: RunState | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """One pass over one source."""

    source: SourceInfo
    tasks: tuple[Task, ...]

    @property
    def todo(self) -> list[Task]:
        """Tasks that work in this run, each after those it needs."""
        return [t for t in self.tasks if t.action in ("run", "resume", "decide again")]

    @property
    def reading(self) -> list[Task]:
        """Tasks that need the source to be read."""
        return [t for t in self.todo if t.action != "decide again"]

    @property
    def frames(self) -> FrameSelection:
        """Which frames are decoded for all."""
        return decoded_frames([t.stage.needs for t in self.reading]) if self.source.video else "none"

    @property
    def packets(self) -> bool:
        """Whether packets are looked at."""
        return self.source.video is not None and any(t.stage.needs.packets for t in self.reading)

    @property
    def audio(self) -> list[AudioFormat]:
        """The distinct audio formats that are decoded."""
        if not self.source.audio:
            return []
        return list(dict.fromkeys(f for t in self.reading if (f := audio_format(t.stage))))

    @property
    def begin(self) -> Timestamp | None:
        """The moment from which frames are read; None: from the start."""
        begins = [t.begin for t in self.reading if t.stage.needs.frames != "none"]
        known = [b for b in begins if b is not None]
        return min(known) if known and len(known) == len(begins) else None

    def as_dict(self) -> dict[str, Any]:
        """The public JSON form."""
        return {
            "source": self.source.id,
            "path": self.source.path,
            "decode": {
                "frames": self.frames,
                "from_seconds": self.begin.seconds if self.begin else 0.0,
                "packets": self.packets,
                "audio": [{"rate": r, "block_seconds": float(b), "channels": c} for r, b, c in self.audio],
            },
            "conversions": [{"image": image, "asked_by": names} for image, names in self._conversions().items()],
            "stages": [_task_dict(t) for t in self.tasks],
        }

    def _conversions(self) -> dict[str, list[str]]:
        shared: dict[str, list[str]] = {}
        for task in self.reading:
            for width, height, form in dict.fromkeys(task.stage.needs.image):
                size = f"{width or 'auto'}x{height or 'auto'} " if width or height else ""
                shared.setdefault(f"{size}{form}", []).append(task.stage.name)
        return shared

    def lines(self) -> list[str]:
        """The plan as text for people."""
        video = self.source.video
        what = f"{video.codec} {video.width}x{video.height}" if video else "no video"
        rate = f" {float(video.frame_rate):.3g} frames/s" if video and video.frame_rate else ""
        begin = f" from {self.begin}" if self.begin else ""
        lines = [f"{self.source.path} ({what}{rate})", f"  decode once: {self.frames} frames{begin}"]
        if self.packets:
            lines.append("  packets: all")
        lines += [
            f"  audio: {rate} Hz, {ch} channel{'s'[: ch > 1]}, blocks of {float(b):g} s" for rate, b, ch in self.audio
        ]
        lines += [f"  convert once: {image} for {', '.join(names)}" for image, names in self._conversions().items()]
        counts = Counter(t.action for t in self.tasks)
        lines.append(f"  stages: {', '.join(f'{n} {a}' for a, n in counts.items())}")
        for task in self.tasks:
            needs = task.stage.needs
            after = [*needs.measurements, *needs.kinds]
            pace = "every frame" if needs.rate is None else f"{float(needs.rate):g} frames/s"
            parts = [pace if needs.frames != "none" else "observations only" if not needs.audio_rate else "sound"]
            parts += [f"after {', '.join(after)}"] if after else []
            parts += [f"needs {Path(self.source.path).with_suffix(suffix).name}" for suffix in needs.beside]
            parts += ["own thread"] if needs.heavy else []
            parts += [f"model {', '.join(needs.models)}"] if needs.models else []
            lines.append(
                f"    {task.stage.name:14} {task.action:12} {'; '.join(parts)} -> {', '.join(task.stage.emits)}"
            )
        return lines


def _task_dict(task: Task) -> dict[str, Any]:
    needs = task.stage.needs
    return {
        "name": task.stage.name,
        "action": task.action,
        "begin_seconds": task.begin.seconds if task.begin else 0.0,
        "producer": str(task.stage.producer),
        "frames": needs.frames,
        "rate": float(needs.rate) if needs.rate else None,
        "heavy": needs.heavy,
        "needs": [*needs.measurements, *needs.kinds],
        "models": list(needs.models),
        "emits": list(task.stage.emits),
    }


def make_plan(source: SourceInfo, stages: Sequence[Stage], states: Sequence[RunState]) -> Plan:
    """Decide for every stage what is left to do, from what the store says of earlier runs."""
    by_producer = {s.producer: s for s in states}
    tasks: list[Task] = []
    for stage in stages:
        finished = [by_producer[p] for p in stage.accepts if p in by_producer and by_producer[p].complete]
        tasks.append(_task(source, stage, finished, by_producer, states))
    return Plan(source, tuple(tasks))


def _task(
    source: SourceInfo,
    stage: Stage,
    finished: Sequence[RunState],
    by_producer: dict[Producer, RunState],
    states: Sequence[RunState],
) -> Task:
    needs = stage.needs
    on_frames = needs.frames != "none" or needs.packets
    if (on_frames and not source.video) or (needs.audio_rate and not on_frames and not source.audio):
        return Task(stage, "not possible")
    if needs.beside and (source.live or not any(Path(source.path).with_suffix(s).is_file() for s in needs.beside)):
        return Task(stage, "not possible")
    if finished:
        return Task(stage, "done", state=finished[0])
    own = by_producer.get(stage.producer)
    if own is not None and own.position is not None and not source.live:
        return Task(stage, "resume", own.position, stage.producer, own)
    if on_frames or needs.audio_rate:
        for state in states:
            made = state.producer
            same = (made.analyzer, made.version, made.bundle) == (
                stage.name,
                stage.producer.version,
                stage.producer.bundle,
            )
            if same and state.complete and needs.keep != "run" and made.config[:16] == stage.heavy_digest:
                return Task(stage, "decide again", None, made, state)
    return Task(stage, "run")
