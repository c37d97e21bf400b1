"""Writes a video again with people and things hidden, in two passes: look at every frame, then paint and encode."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from onlooker.core.errors import Interrupted, SourceError, UsageError
from onlooker.core.media import Frame, Source
from onlooker.core.time import Span
from onlooker.redaction.cover import Style, cover
from onlooker.redaction.follow import Follow
from onlooker.redaction.follow import Path as Track
from onlooker.redaction.guard import Guard
from onlooker.redaction.look import Look, Thing
from onlooker.redaction.survey import Shown, Stop, Survey, Zone, survey

__all__ = ["Mute", "Redacted", "Redaction", "look_through", "redact"]

Mute: TypeAlias = Literal["none", "all", "speech"]
_LOOKING = 0.85
"""Share of the whole work that looking takes, for progress."""


@dataclass(frozen=True, slots=True)
class Redaction:
    """What is hidden and how.

    Args:
        hide: what is looked for; may be empty where there are zones.
        style: how it is covered.
        zones: places hidden by hand.
        mute: ``all``: no sound; ``speech``: the sound is silent where somebody speaks.
        size: see `onlooker.redaction.look.Look`.
        follow: how things are followed.
        second: whether the second face detector helps; where it does, it is no independent judge of the result.
        threads: how many a model may use.
    """

    hide: tuple[Thing, ...] = ("faces",)
    style: Style = "blur"
    zones: tuple[Zone, ...] = ()
    mute: Mute = "none"
    size: int = 640
    follow: Follow = field(default_factory=Follow)
    second: bool = True
    threads: int = 2


@dataclass(slots=True)
class Redacted:
    """What was done.

    Attributes:
        frames: how many were written, of which ``frames_hidden`` have something hidden.
        tracks: how many of each thing were followed.
        hidden_share: mean share of the picture that is hidden.
        caught: in how many frames the last look found something that was then covered too.
        shown_tracks: how many are visible after all, as asked for.
        sound: ``copied``, ``encoded`` or ``none``.
        silent: spans in which the sound was silenced.
        unread: stretches of the source that could not be read and are missing.
    """

    source: str
    frames: int
    frames_hidden: int
    tracks: dict[str, int]
    hidden_share: float
    caught: int
    shown_tracks: int
    sound: str
    silent: list[Span]
    unread: list[Span]
    seconds: float
    elapsed_seconds: float

    def as_dict(self) -> dict[str, Any]:
        """The public JSON form."""

        def pairs(spans: Sequence[Span]) -> list[list[float]]:
            return [[round(s.start.seconds, 6), round(s.end.seconds, 6)] for s in spans]

        return {
            "source": self.source,
            "frames": self.frames,
            "frames_hidden": self.frames_hidden,
            "tracks": self.tracks,
            "hidden_share": round(self.hidden_share, 4),
            "frames_caught": self.caught,
            "shown_tracks": self.shown_tracks,
            "sound": self.sound,
            "silent": pairs(self.silent),
            "unread": pairs(self.unread),
            "duration_seconds": round(self.seconds, 6),
            "elapsed_seconds": round(self.elapsed_seconds, 3),
        }


def redact(
    source: Source,
    out: Path,
    wish: Redaction,
    *,
    but: Shown | None = None,
    seen: Survey | None = None,
    progress: Callable[[float], None] | None = None,
    stop: Stop | None = None,
) -> Redacted:
    """Write ``source`` to ``out`` with what ``wish`` names hidden in every frame.

    Args:
        source: an open source with recorded video.
        out: the file to write; its suffix chooses the container.
        wish: what to hide.
        but: whose face is not hidden.
        seen: what `look_through` saw already, so that several styles cost one look.
        progress: called with the share that is done, 0..1.
        stop: asked between frames; when it says so, `Interrupted` ends the work.

    Raises:
        UsageError: the source has no video or is live, or nothing is to be hidden.
        SourceError: nothing can be read.
        Interrupted: it was stopped.
        ModelMissing: a detector is not there yet.
    """
    from onlooker.sources.rewrite import rewrite

    begun = time.monotonic()
    guard: Guard | None = None
    if source.info.video is None or source.info.live:
        raise UsageError(f"{source.info.path} is not a recorded video", hint="give a video file")
    if not wish.hide and not wish.zones and wish.mute == "none":
        raise UsageError("nothing is to be hidden", hint="give --hide, --box or --mute")
    tell = progress or _quiet
    if seen is None:
        seen = look_through(source, wish, but=but, progress=lambda share: tell(_LOOKING * share), stop=stop)
    if not seen.times:
        raise SourceError(f"{source.info.path} shows nothing", hint="check it with onlooker probe")
    tracks = seen.paths(wish.follow)
    shown = but.choose(seen, tracks) if but is not None else 0
    hidden = seen.hidden(tracks, wish.follow, wish.zones)
    if wish.second and but is None and {"faces", "persons"} & set(wish.hide):
        guard = Guard(wish.style)
    silent: list[Span] = []
    if wish.mute == "speech" and source.info.audio:
        from onlooker.redaction.voices import spoken

        silent = spoken(source, threads=wish.threads)

    def paint(frame: Frame, planes: list[Any]) -> None:
        if stop is not None and stop():
            raise Interrupted("stopped")
        cover(planes, hidden.boxes(frame.time.value), wish.style)
        if guard is not None:
            guard.look(planes)

    try:
        written = rewrite(
            source,
            out,
            paint,
            sound=wish.mute != "all",
            silent=silent,
            progress=lambda share: tell(_LOOKING + (1 - _LOOKING) * share),
        )
    finally:
        if guard is not None:
            guard.close()
    return Redacted(
        source.info.id,
        written.frames,
        hidden.frames(),
        _counted(tracks, wish.hide),
        hidden.share(),
        0 if guard is None else guard.caught,
        shown,
        written.sound,
        silent,
        [f.span for f in written.failures],
        float(seen.times[-1] - seen.times[0]),
        time.monotonic() - begun,
    )


def _quiet(_: float) -> None:
    """Nobody watches."""


def _counted(tracks: Sequence[Track], hide: Sequence[Thing]) -> dict[str, int]:
    names = list(dict.fromkeys([*hide, *(t.thing for t in tracks)]))
    return {name: sum(t.thing == name for t in tracks) for name in names}


def look_through(
    source: Source,
    wish: Redaction,
    *,
    but: Shown | None = None,
    progress: Callable[[float], None] | None = None,
    stop: Stop | None = None,
) -> Survey:
    """The first pass alone: what is seen in every frame; takes what `redact` takes."""
    look = Look(wish.hide, size=wish.size, second=wish.second, threads=wish.threads)
    try:
        recognise = but.recognise if but is not None else None
        return survey(source, look, recognise=recognise, progress=progress, stop=stop)
    finally:
        look.close()
