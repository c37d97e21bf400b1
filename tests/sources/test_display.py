"""Pictures as they are displayed: turned, deinterlaced, brought down from high dynamic range."""

# PyAV's stubs do not tell the sorts of streams and items apart
# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false

from __future__ import annotations

import numpy as np
import pytest

from onlooker.core.media import ReadFailure, ReadRequest
from onlooker.sources import open_source
from onlooker.sources.frame import one_field
from onlooker.sources.tone import tone_map


def frames(path):
    source = open_source(str(path))
    found = [f for f in source.read(ReadRequest()) if not isinstance(f, ReadFailure)]
    source.close()
    return source.info, found


def test_a_turned_picture_stands_upright(more_media, pictures):
    info, shown = frames(more_media["rotated.mp4"])
    assert info.video.rotation in (90, 270)
    assert (info.video.width, info.video.height) == (240, 320)
    frame = shown[30]
    assert frame.luma().shape == (320, 240)
    assert frame.image().shape == (320, 240, 3)
    turns = [np.rot90(pictures[30], k) for k in (1, 3)]
    errors = [np.abs(frame.image().astype(int) - turn).mean() for turn in turns]
    assert min(errors) < 9
    # counter-clockwise by the matrix' 90 degrees, as players do
    assert int(np.argmin(errors)) == (0 if info.video.rotation == 270 else 1)
    planes = np.abs(frame.luma().astype(int) - frame.image(format="gray")).mean()
    assert planes < 25


def test_fields_of_different_moments_do_not_comb():
    """Two fields, one white and one black, woven: the picture shows one of them."""
    woven = np.zeros((65, 64, 3), np.uint8)
    woven[0::2] = 255
    shown = one_field(woven)
    assert shown.shape == woven.shape
    assert shown.min() == 255


def test_an_interlaced_file_is_shown_without_combs(more_media, pictures):
    info, shown = frames(more_media["interlaced.mkv"])
    assert len(shown) > 20
    picture = shown[20].image(format="gray").astype(int)
    rows = np.abs(np.diff(picture, axis=0)).mean()
    columns = np.abs(np.diff(picture, axis=1)).mean()
    assert rows < 2.5 * columns
    assert info.video.interlaced


@pytest.mark.parametrize("transfer", [16, 18])
def test_high_dynamic_range_becomes_an_ordinary_picture(transfer):
    class Picture:
        color_trc = transfer

    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    shown = tone_map(ramp, Picture())[0, :, 0].astype(int)
    assert shown[0] == 0
    assert (np.diff(shown) >= 0).all()
    assert shown[-1] > 220
    # diffuse white (203 cd/m2) is coded as 58 % in PQ and 75 % in HLG, and must look white, not glaring
    white = shown[148 if transfer == 16 else 191]
    assert 150 < white < 235
