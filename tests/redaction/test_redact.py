"""No frame of a redacted video shows a face to another detector; everything else stays as it was."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest

from onlooker.core.errors import Interrupted, SourceError, UsageError
from onlooker.core.media import AudioBlock, ReadRequest
from onlooker.redaction.cover import STYLES, Style
from onlooker.redaction.redact import Redacted, Redaction, redact
from onlooker.redaction.survey import Zone
from onlooker.sources import open_source
from redaction.conftest import Judge, Pictures, frames_of, write


def redacted(path: Path, out: Path, **wish: object) -> Redacted:
    source = open_source(str(path))
    try:
        return redact(source, out, Redaction(**wish))  # pyright: ignore[reportArgumentType]
    finally:
        source.close()


@pytest.mark.parametrize("style", STYLES)
def test_no_frame_shows_a_face_to_a_detector_that_took_no_part(
    style: Style, faces: Pictures, seen: Judge, tmp_path: Path
) -> None:
    clip = write(tmp_path / "in.mp4", faces)
    assert seen(clip) == len(faces)
    done = redacted(clip, tmp_path / "out.mp4", style=style, second=False)
    assert seen(tmp_path / "out.mp4") == 0
    assert (done.frames, done.frames_hidden, done.tracks) == (20, 20, {"faces": 1})
    assert 0.1 < done.hidden_share < 0.4


def test_what_is_not_hidden_keeps_its_colours(faces: Pictures, tmp_path: Path) -> None:
    clip = write(tmp_path / "in.mp4", faces)
    redacted(clip, tmp_path / "out.mp4", hide=(), zones=(Zone((0, 0, 0.5, 0.5)),), style="fill")
    for before, after in zip(frames_of(clip), frames_of(tmp_path / "out.mp4"), strict=True):
        old, new = before.image().astype(float), after.image().astype(float)
        assert np.abs(old[80:] - new[80:]).mean() < 4
        assert new[:64, :80].max() < 40


def test_times_sound_and_size_stay_and_what_tells_of_the_video_does_not(faces: Pictures, tmp_path: Path) -> None:
    times = [0, 40, 90, 100, 300, *(300 + 37 * n for n in range(1, 16))]
    tags = {"title": "Ann at home", "comment": "by Ann", "location": "+52.5+013.4/"}
    clip = write(tmp_path / "in.mp4", faces, times=times, sound=True, tags=tags)
    done = redacted(clip, tmp_path / "out.mp4")
    assert done.sound == "copied"
    before, after = frames_of(clip), frames_of(tmp_path / "out.mp4")
    assert [f.time for f in after] == [f.time for f in before]
    assert (after[0].width, after[0].height) == (176, 144)
    assert sound_of(tmp_path / "out.mp4").tolist() == sound_of(clip).tolist()
    assert not {"title", "comment", "location"} & set(open_source(str(tmp_path / "out.mp4")).info.tags)
    assert b"Ann" not in (tmp_path / "out.mp4").read_bytes()


def test_pictures_that_begin_after_the_sound_stay_where_they_were(faces: Pictures, tmp_path: Path) -> None:
    clip = write(tmp_path / "in.mkv", faces, times=[500 + 40 * n for n in range(20)], sound=True)
    for name in ("out.mp4", "out.mkv"):
        redacted(clip, tmp_path / name, hide=(), zones=(Zone((0, 0, 0.5, 0.5)),))
        assert [f.time for f in frames_of(tmp_path / name)] == [f.time for f in frames_of(clip)]
        assert len(sound_of(tmp_path / name)) == len(sound_of(clip))


def sound_of(path: Path) -> np.ndarray:
    blocks = open_source(str(path)).read(ReadRequest(frames="none", audio_rate=16000))
    return np.concatenate([b.samples[:, 0] for b in blocks if isinstance(b, AudioBlock)])


def test_muted_means_no_sound_at_all(faces: Pictures, tmp_path: Path) -> None:
    clip = write(tmp_path / "in.mp4", faces, sound=True)
    assert redacted(clip, tmp_path / "out.mp4", hide=(), mute="all").sound == "none"
    assert not open_source(str(tmp_path / "out.mp4")).info.audio


def test_spoken_stretches_are_silent_and_the_rest_is_heard(data: Callable[[str], Path], tmp_path: Path) -> None:
    clip = data("grid_av/lbax4n.mpg")
    done = redacted(clip, tmp_path / "out.mp4", hide=(), mute="speech")
    assert done.sound == "encoded"
    assert len(done.silent) == 1
    (span,) = done.silent
    before, after = sound_of(clip), sound_of(tmp_path / "out.mp4")
    begin, end = round(span.start.seconds * 16000), round(span.end.seconds * 16000)
    # the words lie between, and are loud in the original; the encoder's edges have some room
    assert np.abs(before[begin:end]).max() > 0.05
    assert np.abs(after[begin + 1600 : end - 1600]).max() < 0.002


def test_a_turned_video_stays_upright(faces: Pictures, seen: Judge, tmp_path: Path) -> None:
    lying = [np.ascontiguousarray(np.rot90(p, k=1)) for p in faces[:8]]
    clip = write(tmp_path / "in.mp4", lying, rotation=-90)
    first = frames_of(clip)[0]
    assert (first.width, first.height) == (176, 144)
    redacted(clip, tmp_path / "out.mp4", second=False)
    after = frames_of(tmp_path / "out.mp4")
    assert (after[0].width, after[0].height, len(after)) == (176, 144, 8)
    assert seen(tmp_path / "out.mp4") == 0
    assert np.abs(after[0].image().astype(float)[:20] - first.image().astype(float)[:20]).mean() < 8


def test_odd_sizes_are_kept(faces: Pictures, seen: Judge, tmp_path: Path) -> None:
    odd = [np.ascontiguousarray(p[:143, :175]) for p in faces[:5]]
    clip = write(tmp_path / "in.mkv", odd, pixels="yuv444p")
    redacted(clip, tmp_path / "out.mp4", second=False)
    after = frames_of(tmp_path / "out.mp4")
    assert (after[0].width, after[0].height, len(after)) == (175, 143, 5)
    assert seen(tmp_path / "out.mp4") == 0


def test_nothing_to_hide_is_no_trouble(tmp_path: Path) -> None:
    grey = [np.full((96, 128, 3), 90 + n, np.uint8) for n in range(6)]
    done = redacted(write(tmp_path / "in.mp4", grey), tmp_path / "out.mp4")
    assert (done.frames, done.frames_hidden, done.hidden_share) == (6, 0, 0)


def test_a_damaged_video_is_redacted_as_far_as_it_goes(faces: Pictures, seen: Judge, tmp_path: Path) -> None:
    clip = write(tmp_path / "in.mkv", faces)
    whole = bytearray(clip.read_bytes())
    for at in range(len(whole) // 2, len(whole) // 2 + 400):
        whole[at] = (whole[at] * 7 + 3) % 256
    (tmp_path / "broken.mkv").write_bytes(whole)
    done = redacted(tmp_path / "broken.mkv", tmp_path / "out.mp4", second=False)
    assert 0 < done.frames <= 20
    assert seen(tmp_path / "out.mp4") == 0


def test_zones_are_hidden_when_they_are_meant(faces: Pictures, tmp_path: Path) -> None:
    from onlooker.core.time import Span

    clip = write(tmp_path / "in.mp4", faces)
    span = Span.of_seconds(Fraction(1, 5), Fraction(2, 5))
    done = redacted(clip, tmp_path / "out.mp4", hide=(), zones=(Zone((0, 0, 1, 1), span),), style="fill")
    dark = [f.image().mean() < 20 for f in frames_of(tmp_path / "out.mp4")]
    assert dark == [5 <= n < 10 for n in range(20)]
    assert done.frames_hidden == 5


def test_persons_are_hidden(data: Callable[[str], Path], tmp_path: Path) -> None:
    with av.open(str(data("mot_pets09_s2l1/video.mp4"))) as clip:
        pictures = [np.asarray(f.to_ndarray(format="rgb24"), np.uint8) for f in islice(clip.decode(video=0), 4)]
    done = redacted(write(tmp_path / "in.mp4", pictures), tmp_path / "out.mp4", hide=("persons", "screens"))
    assert done.tracks["persons"] >= 3
    assert done.frames_hidden == 4


def test_stopping_and_wrong_wishes(faces: Pictures, data: Callable[[str], Path], tmp_path: Path) -> None:
    source = open_source(str(write(tmp_path / "in.mp4", faces)))
    with pytest.raises(Interrupted):
        redact(source, tmp_path / "out.mp4", Redaction(), stop=lambda: True)
    with pytest.raises(UsageError, match="nothing is to be hidden"):
        redact(source, tmp_path / "out.mp4", Redaction(hide=()))
    source.close()
    with pytest.raises(SourceError):
        redacted(data("clips/README.md"), tmp_path / "out.mp4")
    with pytest.raises(UsageError, match="recorded video"):
        redacted(next(data("esc10/audio").glob("*")), tmp_path / "out.mp4")
