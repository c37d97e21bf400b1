"""Every analyzer that is built in holds the contract, on a real clip with cuts, people and sound."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import av
import pytest

from onlooker.core.analyzer import Context
from onlooker.core.errors import ModelMissing
from onlooker.core.plugins import plugin_names
from onlooker.models import state
from onlooker.pipeline.stages import create_analyzer, select_stages
from onlooker.sources import open_source
from onlooker.testing.analyzer import CHECKS, AnalyzerCase


def encode(parts: list[tuple[Path, float]], target: Path, audio: Path) -> Path:
    """Join the first seconds of real clips, with a keyframe every second and B-frames, and one clip's sound."""
    with av.open(str(target), "w") as out:
        video = out.add_stream("libx264", rate=25, options={"g": "25", "bf": "2", "preset": "veryfast"})
        video.width, video.height, video.pix_fmt = 640, 360, "yuv420p"
        sound = out.add_stream("aac", rate=16000, layout="mono")
        count = 0
        for path, seconds in parts:
            with av.open(str(path)) as clip:
                shown = 0
                for frame in clip.decode(video=0):
                    while shown <= frame.time * 25 and shown < seconds * 25:
                        picture = frame.reformat(640, 360, "yuv420p")
                        picture.pts, picture.time_base, picture.pict_type = count, Fraction(1, 25), 0
                        out.mux(video.encode(picture))
                        shown, count = shown + 1, count + 1
                    if shown >= seconds * 25:
                        break
        out.mux(video.encode(None))
        resampler, heard = av.AudioResampler("fltp", "mono", 16000), 0
        with av.open(str(audio)) as clip:
            for frame in clip.decode(audio=0):
                for block in resampler.resample(frame):
                    if heard < count / 25 * 16000:
                        block.pts, block.time_base = heard, Fraction(1, 16000)
                        heard += block.samples
                        out.mux(sound.encode(block))
        out.mux(sound.encode(None))
    return target


@pytest.fixture(scope="module")
def clip(data, tmp_path_factory):
    performance = data("clips/tv_whitehouse_performance.mp4")
    parts = [
        (performance, 2.0),
        (data("clips/home_indoor_one_by_one_person.mp4"), 1.5),
        (data("clips/traffic_car_overhead.mp4"), 2.0),
    ]
    return encode(parts, tmp_path_factory.mktemp("contract") / "joined.mp4", performance)


@pytest.fixture(scope="module")
def cases(clip):
    made: dict[str, AnalyzerCase] = {}
    sources = []

    def case(name: str) -> AnalyzerCase:
        if name not in made:
            sources.append(open_source(str(clip)))
            specs = [stage.spec for stage in select_stages({name: {}}, "balanced", only=[name])]
            made[name] = AnalyzerCase(lambda: [create_analyzer(spec) for spec in specs], sources[-1])
        return made[name]

    yield case
    for source in sources:
        source.close()


def require_models(case: AnalyzerCase) -> None:
    for analyzer in case.make():
        if not analyzer.needs().models:
            continue
        try:
            analyzer.open(Context(case.source.info))
        except ModelMissing as missing:
            if "needs download" in map(state, analyzer.needs().models):
                pytest.skip(f"{missing}: on no package registry; its own tests make a small one of its form")
            if os.environ.get("CI"):
                pytest.fail(str(missing))
            pytest.skip(str(missing))
        finally:
            analyzer.close()


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", plugin_names("analyzers"))
def test_contract(name, check, cases):
    case = cases(name)
    if check not in ("declaration", "config"):
        require_models(case)
    CHECKS[check](case)
