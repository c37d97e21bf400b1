"""Facts of two senses: right on real faces, voices and sounds; still there with a sense missing; whatever the order."""

from __future__ import annotations

import random
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from pydantic import ValidationError

from onlooker.analyzers.facts.analyzer import Facts
from onlooker.analyzers.facts.config import FactsConfig
from onlooker.analyzers.facts.memory import BIN, Lips
from onlooker.analyzers.facts.rule import rule_names
from onlooker.core.analyzer import Analyzer, Context, Window
from onlooker.core.media import AudioInfo, SourceInfo
from onlooker.core.observation import Observation
from onlooker.core.plugins import load_plugin
from onlooker.core.time import Span, Timestamp
from onlooker.sources import open_source
from onlooker.testing.analyzer import AnalyzerContract
from onlooker.testing.drive import drive

SETTINGS: dict[str, dict[str, Any]] = {"speech": {"transcribe": False}}
PEOPLE = ("faces", "attention", "speech", "speakers", "sound_quality")


def analyzers(names: Sequence[str], **settings: Any) -> list[Analyzer[Any]]:
    """These, and facts after them."""
    made: list[Analyzer[Any]] = []
    for name in names:
        cls = load_plugin("analyzers", name)
        made.append(cls(cls.Config.model_validate(SETTINGS.get(name, {}))))
    return [*made, Facts(FactsConfig(**settings))]


@pytest.fixture(autouse=True, scope="module")
def _models():
    import os

    from onlooker import models

    for name in ("centerface", "face-landmark", "silero-vad", "speaker", "yamnet"):
        if models.state(name) != "pulled":
            (pytest.fail if os.environ.get("CI") else pytest.skip)(f"the model {name} is not here")


def observed(path: Path, names: Sequence[str] = PEOPLE, **settings: Any) -> list[Observation]:
    source = open_source(str(path))
    try:
        return drive(analyzers(names, **settings), source)
    finally:
        source.close()


def facts(observations: Sequence[Observation], label: str) -> list[Observation]:
    return [o for o in observations if o.kind == "fact" and o.label == label]


def given(
    observations: Sequence[Observation], kinds: Sequence[str], *, sound: bool = True, **settings: Any
) -> list[Observation]:
    """What facts makes of observations, in a source with or without sound."""
    analyzer = Facts(FactsConfig(**settings))
    info = SourceInfo("0" * 32, "x", "file", None, None, None)
    if sound:
        info = SourceInfo("0" * 32, "x", "file", None, None, None, audio=(AudioInfo(0, "aac", 16_000, 1),))
    analyzer.open(Context(info, kinds=frozenset(kinds)))
    made = list(analyzer.analyze(Window((), observations, Timestamp.of_seconds(0))))
    return [*made, *analyzer.flush()]


def senses_of(fact: Observation) -> set[str]:
    senses: Any = fact.data["senses"]
    return set(senses)


def at(start: float, end: float, kind: str, label: str | None = None, **more: Any) -> Observation:
    data = more.pop("data", {})
    return Observation(Span.of_seconds(start, end), kind, label=label, data=data, **more)


@pytest.fixture(scope="module")
def conversation(talk) -> list[Observation]:
    """Left, right, a third voice, the right one unheard, nobody."""
    return observed(talk("L", "R", "u", "r", "-"))


def side(observations: Sequence[Observation], track: str | None) -> int:
    """0: the face is on the left."""
    (face,) = [o for o in observations if o.kind == "face_track" and o.track == track]
    assert face.box is not None
    return int((face.box.left + face.box.right) / 2 > 0.5)


class TestContract(AnalyzerContract):
    """With everything that it can use of people."""

    clip: ClassVar[Path] = Path()

    @pytest.fixture(autouse=True)
    def _clip(self, talk):
        if not TestContract.clip.name:
            TestContract.clip = talk("L", "r", "u")

    def make(self):
        return analyzers(PEOPLE)

    def open_source(self):
        return open_source(str(self.clip))


def test_each_voice_is_the_face_whose_lips_move_with_it(conversation):
    links = facts(conversation, "speaker_is_face")
    assert len(links) == 2
    for link in links:
        turns: Any = link.data["turns"]
        assert side(conversation, link.track) == int(turns[0][0] >= 3)
        assert (link.score or 0) > 0.7


def test_a_fact_says_what_it_rests_on_and_how_much_each_sense_gave(conversation):
    made = [o for o in conversation if o.kind == "fact"]
    known = {o.id for o in conversation}
    assert made
    for fact in made:
        senses: Any = fact.data["senses"]
        assert sum(senses.values()) == pytest.approx(1)
        assert all(v > 0 for v in senses.values())
        rests: Any = fact.data["rests_on"]
        assert rests
        for one in rests:
            assert one in known if isinstance(one, str) else {"kind", "track", "start_seconds"} <= one.keys()
    (link, *_) = facts(conversation, "speaker_is_face")
    assert senses_of(link) == {"voice", "lips"}


def test_a_mouth_that_talks_unheard_is_a_muted_microphone(conversation):
    (muted,) = facts(conversation, "muted_microphone")
    assert muted.span.start.seconds >= 9
    assert muted.span.end.seconds <= 12.5
    assert side(conversation, muted.track) == 1
    assert muted.data["sound"] == "silent"


def test_a_voice_without_a_moving_mouth_is_not_on_screen(conversation):
    (unseen,) = facts(conversation, "off_screen_voice")
    assert 6 <= unseen.span.start.seconds < 8
    assert unseen.data["faces"] == sorted({o.track for o in conversation if o.kind == "face_track"})


def test_without_lips_a_face_alone_is_taken_for_the_speaker_with_less_certainty(data):
    path = data("clips/talking_face_man_suit.mp4")
    (sure,) = facts(observed(path), "speaker_is_face")
    (unsure,) = facts(observed(path, ("faces", "speech", "speakers")), "speaker_is_face")
    assert unsure.data["missing"] == ["lips"]
    assert senses_of(unsure) == {"voice", "face"}
    assert 0.5 < (unsure.score or 0) < (sure.score or 0)
    assert sure.data["missing"] == []


def test_without_lips_nobody_is_chosen_between_two(talk):
    made = observed(talk("L", "R"), ("faces", "speech", "speakers"))
    assert facts(made, "speaker_is_face") == []


def test_without_sound_it_says_who_talks(talk):
    made = observed(talk("L", "-", sound=False), PEOPLE[:2])
    (talks,) = facts(made, "speaker_is_face")
    assert side(made, talks.track) == 0
    assert talks.data["missing"] == ["voice"]
    assert talks.data["senses"] == {"lips": 1.0}
    # and a source without a sound track has no microphone
    assert facts(made, "muted_microphone") == []


def test_without_speakers_all_speech_is_one_voice(talk):
    made = observed(talk("R", "-"), ("faces", "attention", "speech"))
    (link,) = facts(made, "speaker_is_face")
    assert link.data["speaker"] is None
    assert side(made, link.track) == 1
    assert link.data["missing"] == ["speakers"]


@pytest.mark.parametrize(("bark", "expected"), [(4.0, 1), (0.5, 0)])
def test_a_sound_and_a_sudden_motion_together(data, tmp_path, pictures, sound_of, film, bark, expected):
    moving = pictures(data("fight_surv/fight/fi041.mp4"), 4.0, width=320, height=240)
    barking = sound_of(sorted(data("esc10/audio").glob("1-110389-A*"))[0])[:32_000]
    sound = np.zeros(8 * 16_000)
    sound[int(bark * 16_000) : int(bark * 16_000) + len(barking)] = barking
    path = film(tmp_path / "sudden.mp4", [moving[0]] * 100 + moving, sound)
    labels = {"shout_and_motion": {"labels": ["dog"]}}
    names = ("motion", "sounds")
    found = facts(observed(path, names, settings=labels), "shout_and_motion")
    assert len(found) == expected
    if expected:
        assert 3 <= found[0].span.start.seconds <= 4.5
        assert senses_of(found[0]) == {"sound", "motion"}
        (alone,) = facts(observed(path, ("sounds",), settings=labels), "shout_and_motion")
        assert alone.data["missing"] == ["motion"]
        assert (alone.score or 0) < (found[0].score or 0)
    assert facts(observed(path, names), "shout_and_motion") == []  # a dog is no shout


def test_what_is_said_stands_on_the_screen(data, tmp_path, sound_of, film):
    pytest.importorskip("faster_whisper")

    slide = Image.new("RGB", (640, 360), "white")
    font = ImageFont.load_default(32)
    ImageDraw.Draw(slide).text((40, 60), "Kids are talking by the door", font=font, fill="black")
    other = Image.new("RGB", (640, 360), "white")
    ImageDraw.Draw(other).text((40, 60), "Quarterly results of the harbour", font=font, fill="black")
    voice = sound_of(data("ravdess_speech/audio/03-01-01-01-01-01-01.ogg"), 4 * 16_000)
    shown = [np.asarray(slide)] * 100 + [np.asarray(other)] * 100
    path = film(tmp_path / "read.mp4", shown, np.concatenate([voice, np.zeros(4 * 16_000)]))
    speech, text = load_plugin("analyzers", "speech"), load_plugin("analyzers", "text")
    source = open_source(str(path))
    made = drive([speech(speech.Config(beam=1)), text(text.Config()), Facts(FactsConfig())], source)
    source.close()
    (read,) = facts(made, "reading_aloud")
    assert "Kids" in (read.text or "")
    assert senses_of(read) == {"speech", "text"}


def test_the_name_of_a_face_is_written_or_said():
    face = at(2, 8, "identity", "Ada Lovelace", score=0.8, track="face-1")
    nobody = at(2, 8, "identity", "unknown-3", score=0.8, track="face-2")
    title = at(3, 5, "text", text="ADA LOVELACE, mathematician", score=0.9)
    said = at(0.5, 1.5, "speech", text="Please welcome Ms Lovelace.", score=0.7)
    late = at(30, 32, "speech", text="Ada Lovelace was here.", score=0.7)
    found = facts(given([face, nobody, title, said, late], ("identity", "text", "speech")), "named_on_screen")
    assert sorted(str(f.data["how"]) for f in found) == ["said", "written"]
    assert {f.track for f in found} == {"face-1"}
    assert all((f.score or 0) > 0.8 for f in found)
    (one,) = facts(given([face, title], ("identity", "text")), "named_on_screen")
    assert one.data["missing"] == ["speech"]


def test_applause_soon_after_a_slide():
    slide = at(10, 10.5, "cue", "slide_change", score=0.9)
    cut = at(40, 40.5, "cue", "black", score=0.9)
    clapping = [at(t, t + 2, "sound", "applause", score=0.8) for t in (13, 41, 90)]
    (found,) = facts(given([slide, cut, *clapping], ("cue", "sound")), "applause_after_slide")
    assert found.data["seconds_after"] == 3
    assert senses_of(found) == {"sound", "slide"}


def test_a_name_makes_one_of_a_persons_tracks(conversation):
    tracks = [o for o in conversation if o.kind == "face_track"]
    (left,) = [o for o in tracks if side(conversation, o.track) == 0]
    named = at(0, 15, "identity", "Ada", track=left.track, score=0.9)
    links = facts(
        given([*conversation, named], ("attention", "face_track", "speaker", "speech", "identity")), "speaker_is_face"
    )
    assert [f.data["person"] for f in links if f.track == left.track] == ["Ada"]
    assert all("is Ada" in (f.text or "") for f in links if f.track == left.track)


def test_the_order_of_arrival_of_the_kinds_changes_nothing(conversation):
    kinds = sorted({o.kind for o in conversation} - {"fact"})
    more = [
        at(3, 4, "sound", "shout", score=0.6),
        at(3.2, 9, "motion", "active", score=0.4),
        at(8, 9, "cue", "slide_change", score=0.9),
        at(9.5, 12, "sound", "applause", score=0.6),
    ]
    everything = [*(o for o in conversation if o.kind != "fact"), *more]
    kinds += ["sound", "motion"]

    def made(order: list[str]) -> list[dict[str, Any]]:
        arrived = [o for kind in order for o in everything if o.kind == kind]
        return sorted((f.as_dict() for f in given(arrived, kinds)), key=str)

    expected = made(kinds)
    assert {f["label"] for f in expected} >= {"speaker_is_face", "muted_microphone", "shout_and_motion"}
    for seed in range(5):
        order = list(kinds)
        random.Random(seed).shuffle(order)
        assert made(order) == expected, order


def test_memory_is_bounded():
    analyzer = Facts(FactsConfig(memory_hours=0.1))
    info = SourceInfo("0" * 32, "x", "file", None, None, None)
    analyzer.open(Context(info, kinds=frozenset(("attention", "face_track", "speech", "speaker"))))
    sizes: list[int] = []
    for minute in range(60):
        begin = 60.0 * minute
        batch = [
            at(begin + i / 5, begin + (i + 1) / 5, "attention", track=f"face-{minute // 10}", data={"mouth_open": 0.1})
            for i in range(300)
        ]
        batch.append(at(begin, begin + 5, "speech", text="yes"))
        batch.append(at(begin, begin + 5, "speaker", "speaker-1", track="speaker-1"))
        if minute % 10 == 9:
            batch.append(at(begin - 540, begin + 60, "face_track", "face", track=f"face-{minute // 10}"))
        list(analyzer.analyze(Window((), batch, Timestamp.of_seconds(Fraction(begin + 60)))))
        memory = analyzer._memory
        sizes.append(len(memory.turns) + len(memory.sentences) + sum(len(f.times) for f in memory.faces.values()))
    assert max(sizes[30:]) <= max(sizes[:30]) < 10_000


def test_lips_that_move_talk_and_lips_that_rest_do_not():
    lips = Lips(0.12, 2.5, 0.6, 2.5)
    times = np.arange(0, 10, 0.2, dtype=np.float64)
    moving = 0.05 + 0.1 * (np.arange(50, dtype=np.float64) % 2)
    middles = (np.arange(50, dtype=np.float64) + 0.5) * BIN
    assert (lips.talking(times, moving, middles) > 0.9).all()
    assert (lips.talking(times, np.full(50, 0.3), middles) < 0.1).all()
    # a face that was not looked at for long is not known to be silent
    gone = np.concatenate([times[:10], times[:10] + 8])
    assert np.isnan(lips.talking(gone, np.full(20, 0.3), np.array([5.0]))).all()


def test_rules_are_found_by_their_place_and_their_settings_are_checked():
    assert {"speaker_is_face", "muted_microphone", "off_screen_voice", "shout_and_motion"} <= set(rule_names())
    with pytest.raises(ValidationError, match="no rule 'nonsense'"):
        FactsConfig(rules=("nonsense",))
    with pytest.raises(ValidationError, match="least_words"):
        FactsConfig(settings={"reading_aloud": {"least_words": 0}})
    assert Facts(FactsConfig(rules=("shout_and_motion",))).needs().wishes[-2:] == ("sound", "motion")
