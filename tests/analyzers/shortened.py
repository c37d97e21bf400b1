"""The beginnings of clips, for tests that need no whole one."""

from __future__ import annotations

from pathlib import Path

import av


def first_seconds(clip: Path, seconds: float, folder: Path) -> Path:
    """A file of the clip's first packets of video, as they are."""
    path = folder / f"first_{seconds:g}_{clip.name}"
    with av.open(str(clip)) as source, av.open(str(path), "w") as out:
        video = source.streams.video[0]
        stream = out.add_stream_from_template(video)
        for packet in source.demux(video):
            if packet.dts is None:
                continue
            if float(packet.dts * (packet.time_base or 0)) >= seconds:
                break
            packet.stream = stream
            out.mux(packet)
    return path
