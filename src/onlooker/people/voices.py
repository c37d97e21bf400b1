"""Voices in sound files."""

from __future__ import annotations

from pathlib import Path

from onlooker.analyzers._sound_stream import BLOCK, RATE
from onlooker.analyzers.identity.samples import Sample
from onlooker.analyzers.speakers.analyzer import SPACE, Speakers
from onlooker.analyzers.speakers.config import SpeakersConfig
from onlooker.core.analyzer import Context, Window
from onlooker.core.errors import UsageError
from onlooker.core.measurement import Measurement
from onlooker.core.media import AudioBlock, ReadRequest
from onlooker.core.time import Timestamp
from onlooker.sources import open_source

__all__ = ["only_voice"]

_LEAST_SECONDS = 1.0
_BESIDE = 0.25
"""A second voice counts from this share of the first one's speech on."""


def only_voice(path: Path, threads: int = 2) -> Sample:
    """The one voice of a sound or video file.

    Raises:
        UsageError: no sound, hardly any speech, or several voices.
        SourceError: it cannot be opened.
    """
    source = open_source(str(path))
    analyzer = Speakers(SpeakersConfig())
    try:
        if not source.info.audio:
            raise UsageError(f"no sound in {path}", hint="give a recording of the person's voice")
        analyzer.open(Context(source.info, source.read, threads=threads))
        heard: list[Measurement] = []
        for block in source.read(ReadRequest(frames="none", audio_rate=RATE, audio_block=BLOCK)):
            made = analyzer.hear(block) if isinstance(block, AudioBlock) else None
            if made is not None:
                heard.append(made)
        end = Timestamp.of_seconds(float(source.info.duration or 0) + 1)
        found = [*analyzer.analyze(Window(heard, (), end)), *analyzer.flush()]
    finally:
        analyzer.close()
        source.close()
    spoken = [(float(str(o.data["seconds"])), o) for o in found if o.kind == "embedding" and o.vector_space == SPACE]
    spoken.sort(key=lambda pair: -pair[0])
    if not spoken or spoken[0][0] < _LEAST_SECONDS:
        raise UsageError(f"hardly any speech in {path}", hint="give some seconds of clear speech")
    if len(spoken) > 1 and spoken[1][0] > _BESIDE * spoken[0][0]:
        raise UsageError(f"several voices in {path}", hint="give a recording of one person")
    return Sample(spoken[0][1].vector)
