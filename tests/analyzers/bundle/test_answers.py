"""What small networks answer on real videos, beside answers computed by hand from pictures decoded otherwise."""

from __future__ import annotations

import wave
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from analyzers.bundle import making
from analyzers.conftest import write_clip
from onlooker.bundles import added, export_bundle, import_model
from onlooker.core.errors import ConfigError
from onlooker.core.plugins import load_plugin
from onlooker.core.time import Timestamp


def solid(colour, seconds, height=64, width=96):
    return [np.full((height, width, 3), colour, np.uint8)] * round(seconds * 25)


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    from analyzers.conftest import write_clip

    shown = [*solid((200, 40, 40), 2), *solid((40, 200, 40), 2), *solid((40, 40, 200), 1.4)]
    return write_clip(shown, tmp_path_factory.mktemp("colours") / "colours.mp4", crf=4)


@pytest.fixture(scope="module")
def stripes(tmp_path_factory):
    """Stripes that stand still for two seconds, move for two, and stand still for two."""
    from analyzers.conftest import write_clip

    picture = np.where((np.arange(96) // 12 % 2)[None, :, None] > 0, 220, 30).repeat(64, 0).repeat(3, 2)
    shown, at = [], 0
    for number in range(150):
        at += 2 if 50 <= number < 100 else 0
        shown.append(np.roll(picture, at, 1).astype(np.uint8))
    return write_clip(shown, tmp_path_factory.mktemp("stripes") / "stripes.mp4", crf=4)


def at_ticks(path, rate, size, mode):
    """The picture shown at each tick of 1/rate, resized by area with Pillow: a reference that shares no code."""
    with av.open(str(path)) as clip:
        frames = [(f.time, f.to_image().convert(mode)) for f in clip.decode(video=0)]
    made, number = [], 0
    while number / rate <= frames[-1][0] + 1e-6:
        first = next((p for t, p in frames if int(t * rate + 1e-6) >= number), frames[-1][1])
        made.append(np.asarray(first.resize((size, size), Image.Resampling.BOX), np.float64))
        number += 1
    return made


def test_colours_are_named_when_they_are_shown(add, watch, colours, tmp_path):
    cls = add(making.colour_model(tmp_path / "c.onnx"), making.colour_facts())
    found = watch(cls, colours)
    assert [(o.kind, o.label) for o in found] == [("colour", c) for c in making.COLOURS]
    assert [o.span.start.seconds for o in found] == pytest.approx([0, 2, 4], abs=0.21)
    assert [o.span.end.seconds for o in found] == pytest.approx([2, 4, 5.4], abs=0.21)
    reds = at_ticks(colours, 5, 8, "RGB")[3].mean((0, 1)) / 25.5
    expected = np.exp(reds[0]) / np.exp(reds).sum()
    assert found[0].score == pytest.approx(expected, abs=0.002)
    assert found[0].data["task"] == "colour"


@pytest.mark.parametrize("seconds", [0.4, 1.2, 1.56, 1.6, 1.64, 2.0, 2.36, 2.4, 4.96])
def test_a_file_of_any_length_is_looked_at_from_end_to_end(add, watch, tmp_path, seconds):
    """Of a file no longer than a clip nothing was told, and of others nothing of what came after the last stride."""
    random = np.random.default_rng(0)
    shown = [random.integers(0, 255, (32, 32, 3)).astype(np.uint8) for _ in range(round(25 * seconds))]
    facts = making.motion_facts(frames=16, stride=4)
    facts["outputs"] = [{**making.NUMBER, "every_seconds": 0.1}]
    found = watch(
        add(making.motion_model(tmp_path / "m.onnx", frames=16), facts), write_clip(shown, tmp_path / "a.mp4")
    )
    times = [(o.span.start.seconds, o.span.end.seconds) for o in found]
    assert times[0][0] == 0
    assert times[-1][1] == pytest.approx(seconds, abs=0.1)
    assert [start for start, _ in times[1:]] == [end for _, end in times[:-1]]


@pytest.mark.parametrize("seconds", [0.1, 0.3, 0.9, 2.5])
def test_a_sound_of_any_length_is_heard(add, watch, tmp_path, seconds):
    """A sound shorter than a window was not heard."""
    path, times = tmp_path / "tone.wav", np.arange(round(seconds * 16_000)) / 16_000
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, 16_000, 0, "NONE", ""))
        out.writeframes((3000 * np.sin(2 * np.pi * 1000 * times)).astype("<i2").tobytes())
    facts = making.loudness_facts()
    facts["outputs"][0]["every_seconds"] = 0.1
    found = watch(add(making.loudness_model(tmp_path / "l.onnx"), facts), path)
    times = [(o.span.start.seconds, o.span.end.seconds) for o in found]
    assert times[0][0] == 0
    assert times[-1][1] == pytest.approx(seconds, abs=0.1)


def test_settings_of_a_profile_go_before_the_bundle(add, watch, colours, tmp_path):
    cls = add(making.colour_model(tmp_path / "c.onnx"), making.colour_facts())
    assert {o.label for o in watch(cls, colours, labels=["red"])} == {"red"}
    assert {o.label for o in watch(cls, colours, thresholds={"red": 0.9999})} == {"green", "blue"}
    assert not watch(cls, colours, sensitivity=0.5)
    with pytest.raises(ConfigError, match="no label 'pink'"):
        cls(cls.Config(labels=("pink",)))
    with pytest.raises(ConfigError, match="rate"):
        add(making.motion_model(tmp_path / "m.onnx"), making.motion_facts())(
            load_plugin("analyzers", "moving").Config(rate=3.0)
        )


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_a_clip_is_made_of_the_pictures_at_its_ticks(add, watch, stripes, tmp_path, runtime):
    """With every clip as a stretch of its own, each energy is compared with the reference."""
    output = {"task": "regression", "name": "energy", "labels": ["energy"], "every_seconds": 0.2, "spans": None}
    output.pop("spans")
    facts = making.motion_facts()
    facts["outputs"] = [output]
    cls = add(making.motion_model(tmp_path / "m.onnx"), facts)
    found = watch(cls, stripes, runtime=runtime)
    shown = at_ticks(stripes, 10, 16, "L")
    # a clip begins at each second tick, and speaks for its middle two ticks; the first from its beginning
    ends = [tick for tick in range(len(shown)) if tick % 2 == 1 and tick >= 3]
    clips = [np.stack(shown[end - 3 : end + 1]) for end in ends]
    expected = [np.abs(np.diff(clip, axis=0)).mean() for clip in clips]
    assert [o.span.start.value for o in found] == [0, *(Fraction(end - 2, 10) for end in ends[1:])]
    # Pillow's rounding and the video's full range are not the decoder's to the last bit
    assert [o.data["value"] for o in found] == pytest.approx(expected, abs=1.2)
    assert max(expected[:5]) < 0.5 < 20 < expected[len(expected) // 2]


def test_what_is_unusual_is_told_by_a_budget_of_false_alarms(add, watch, stripes, tmp_path):
    cls = add(making.motion_model(tmp_path / "m.onnx"), making.motion_facts())
    (found,) = watch(cls, stripes)
    assert (found.kind, found.data["threshold"]) == ("anomaly", 4.0)
    assert 0.5 < found.score <= 1
    assert found.span.start.seconds == pytest.approx(2, abs=0.3)
    assert found.span.end.seconds == pytest.approx(4, abs=0.3)
    (rare,) = watch(cls, stripes, false_alarms_per_hour=3.0)
    assert (rare.data["threshold"], rare.data["false_alarms_per_hour"]) == (6.0, 3.0)
    with pytest.raises(ConfigError, match="no threshold below"):
        watch(cls, stripes, false_alarms_per_hour=0.1)


def grey(colours):
    """Brightness at each tick; of strong colours, Pillow's grey is up to 2 % off the coded one."""
    return [picture.mean() for picture in at_ticks(colours, 10, 8, "L")]


def test_a_state_goes_from_step_to_step(add, watch, colours, tmp_path):
    cls = add(making.window_model(tmp_path / "w.onnx"), making.window_facts())
    found = watch(cls, colours)
    light = grey(colours)
    after = [np.mean(([0] * 5 + light)[n : n + 6]) for n in range(len(light))]
    expected = [np.mean(after[n : n + 5]) for n in range(0, len(after), 5)]
    assert [o.data["value"] for o in found] == pytest.approx(expected, rel=0.02)


def test_a_state_without_end_begins_anew_at_its_times(add, watch, colours, tmp_path):
    facts = making.window_facts(state={**making.FADING, "reset_seconds": 1.5})
    found = watch(add(making.fading_model(tmp_path / "f.onnx"), facts), colours)
    state, after = 0.0, []
    for number, light in enumerate(grey(colours)):
        state = 0.9 * (0.0 if number % 15 == 0 else state) + 0.1 * light
        after.append(state)
    expected = [np.mean(after[n : n + 5]) for n in range(0, len(after), 5)]
    assert [o.data["value"] for o in found] == pytest.approx(expected, rel=0.02)


@pytest.fixture
def fused(cache, tmp_path):
    """Brightness of the picture / 255, plus the level of the sound / 10 where it is there, else 100."""
    light = import_model(
        making.brightness_model(tmp_path / "light.onnx"),
        {
            "name": "light",
            "licence": "CC0-1.0",
            "input": {**making.STREAM, "stride": 5},
            "outputs": [{**making.NUMBER, "tensor": "light"}],
        },
        tmp_path / "light",
    )
    loud = import_model(making.loudness_model(tmp_path / "l.onnx"), making.loudness_facts(), tmp_path / "loud")
    shapes = {"light": (1, 1), "level": (1, 1), "there": (1, 1)}
    nodes = [
        ("Mul", ["light", "share"], ["a"], {}),
        ("Mul", ["level", "tenth"], ["b"], {}),
        ("Sub", ["one", "there"], ["missing"], {}),
        ("Mul", ["missing", "hundred"], ["c"], {}),
        ("Sum", ["a", "b", "c"], ["y"], {}),
    ]
    numbers = {"share": 1 / 255, "tenth": 0.1, "one": 1.0, "hundred": 100.0}
    constants = [making.constant(k, [[v]]) for k, v in numbers.items()]
    head = making.write(tmp_path / "head.onnx", nodes, shapes, {"y": (1, 1)}, constants)
    networks = [
        {**light.manifest.networks[0].model_dump(mode="json"), "name": "eye"},
        {**loud.manifest.networks[0].model_dump(mode="json"), "name": "ear", "file": "ear.onnx"},
    ]
    inputs = [
        {"tensor": "light", "network": "eye", "output": "light", "size": 1},
        {"tensor": "level", "network": "ear", "output": "y", "size": 1, "mask": "there"},
    ]
    fields = {"schema": 1, "name": "fused", "licence": "CC0-1.0", "networks": networks}
    number = {**making.NUMBER, "every_seconds": 0.1}
    fields["outputs"] = [number, {**number, "name": "heard", "labels": ["heard"], "rests_on": "ear"}]
    fields["head"] = {"file": "head.onnx", "inputs": inputs, "outputs": ["y"]}
    files = {"model.onnx": light.path("model.onnx"), "ear.onnx": loud.path("model.onnx"), "head.onnx": head}
    made = added.add(export_bundle(tmp_path / "fused", fields, files).folder)
    assert [c.state for c in made.verification.checks] == ["good"] * 3
    yield load_plugin("analyzers", "fused")
    added.remove("fused")


def test_picture_and_sound_are_joined_and_one_may_be_missing(fused, watch, colours, tmp_path):
    """The sound is a tone of known level in the second half."""
    path = tmp_path / "tone.mp4"
    with av.open(str(colours)) as clip, av.open(str(path), "w") as out:
        video = out.add_stream_from_template(clip.streams.video[0])
        sound = out.add_stream("aac", rate=16_000, layout="mono")
        for packet in clip.demux(video=0):
            if packet.dts is not None:
                packet.stream = video
                out.mux(packet)
        times = np.arange(round(5.4 * 16_000)) / 16_000
        tone = (np.sin(2 * np.pi * 1000 * times) * np.where(times < 2.7, 0.001, 0.3)).astype(np.float32)
        block = av.AudioFrame.from_ndarray(tone[None], "fltp", "mono")
        block.sample_rate, block.pts, block.time_base = 16_000, 0, Fraction(1, 16_000)
        for packet in [*sound.encode(block), *sound.encode(None)]:
            out.mux(packet)
    both, silent = watch(fused, path), watch(fused, colours)
    heard = [o.data["value"] for o in both if o.label == "heard"]
    both = [o for o in both if o.label == "brightness"]
    assert heard == [o.data["value"] for o in both]
    assert {o.label for o in silent} == {"brightness"}
    # at each fifth tick, and at the last one
    light = [v / 255 for v in (*grey(colours)[::5], grey(colours)[-1])]
    assert [o.data["value"] for o in silent] == pytest.approx([v + 100 for v in light], abs=0.02)
    level = [o.data["value"] - v for o, v in zip(both, light, strict=True)]
    assert len(level) == 12
    assert max(level[:4]) < min(level[7:]) - 1.5
    assert all(v < 20 for v in level)


def test_the_level_of_a_tone_is_that_of_the_formula(add, watch, tmp_path):
    """Against a mel spectrum written out anew, in double precision."""
    import wave

    rate = 16_000
    times = np.arange(rate * 6 // 5) / rate
    tone = np.round((0.5 * np.sin(2 * np.pi * 700 * times) + 0.1 * np.sin(2 * np.pi * 3100 * times)) * 32767)
    with wave.open(str(tmp_path / "tone.wav"), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(tone.astype("<i2").tobytes())
    found = watch(add(making.loudness_model(tmp_path / "l.onnx"), making.loudness_facts()), tmp_path / "tone.wav")
    samples = tone / 32768

    def to_mel(hertz):
        return 2595 * np.log10(1 + hertz / 700)

    edges = 700 * (10 ** (np.linspace(to_mel(60), to_mel(7800), 34) / 2595) - 1)
    bins = np.arange(257) * rate / 512
    waves = np.exp(-2j * np.pi * np.outer(np.arange(257), np.arange(400)) / 512)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    levels = []
    for start in range(0, len(samples) - (160 * 23 + 400) + 1, 1600):
        mels = []
        for frame in range(24):
            part = samples[start + frame * 160 : start + frame * 160 + 400]
            power = np.abs(waves @ (part * hann)) ** 2
            for low, mid, high in zip(edges, edges[1:], edges[2:], strict=False):
                weights = np.clip(np.minimum((bins - low) / (mid - low), (high - bins) / (high - mid)), 0, None)
                mels.append(10 * np.log10(max(1e-10, float(power @ weights))))
        levels.append(np.mean(mels))
    assert sum(o.data["looks"] for o in found) == len(levels)
    whole = sum(o.data["value"] * o.data["looks"] for o in found) / len(levels)
    assert whole == pytest.approx(np.mean(levels), abs=0.05)
    assert (found[0].label, found[0].data["unit"]) == ("level", "dB")


def test_held_back_moments_are_told(add, colours, tmp_path):
    """Rules over live sources wait for what lasts."""
    from onlooker.core.analyzer import Context, Window
    from onlooker.sources import open_source
    from onlooker.testing.drive import measure

    cls = add(making.colour_model(tmp_path / "c.onnx"), making.colour_facts())
    source = open_source(str(colours))
    analyzer = cls(cls.Config())
    analyzer.open(Context(source.info))
    looked = measure([analyzer], source)[analyzer.name]
    until = Timestamp.of_seconds(3)
    assert [o.label for o in analyzer.analyze(Window([m for m in looked if m.time < until], (), until))] == ["red"]
    held = analyzer.held("colour")
    assert held is not None
    assert held.seconds == pytest.approx(2, abs=0.21)
    analyzer.close()
    source.close()
