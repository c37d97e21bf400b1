"""Subtitles as people read them: two lines at most, long enough on screen, with who speaks."""

from __future__ import annotations

import io
from itertools import pairwise
from typing import Any

import pysubs2
import pytest
import webvtt

from onlooker.core.observation import Box, Observation
from onlooker.core.plugins import load_plugin
from onlooker.core.store import Query
from onlooker.core.time import Span
from onlooker.reports.export import ExportRequest
from onlooker.testing.export import status
from onlooker.testing.store_values import SOURCE, producer, source_info

WORDS = (
    "And so my fellow Americans, ask not what your country can do for you, ask what you can do for your country, and"
    " remember that the energy, the faith and the devotion which we bring to this endeavour will light our country."
)


def made(kind: str, start: float, end: float, **fields: Any) -> Observation:
    return Observation(Span.of_seconds(start, end), kind, **fields).of(SOURCE, producer(), 0)


def sentence(text: str, start: float, step: float = 0.4) -> Observation:
    words: list[Any] = [[start + i * step, start + (i + 1) * step, w, 0.9] for i, w in enumerate(text.split())]
    return made("speech", start, start + step * len(words), text=text, score=0.9, data={"words": words})


def written(name: str, observations: list[Observation], kinds: tuple[str, ...] = ()) -> tuple[str, Any]:
    def query(asked: Query):
        found = [o for o in observations if not asked.kinds or o.kind in asked.kinds]
        return iter(sorted(found, key=lambda o: o.span.start.value))

    out = io.BytesIO()
    request = ExportRequest([status(source_info(SOURCE))], query, Query(kinds=kinds))
    summary = load_plugin("exports", name)().write(request, out)
    return out.getvalue().decode(), summary


def srt(observations: list[Observation], kinds: tuple[str, ...] = ()) -> list[Any]:
    return list(pysubs2.SSAFile.from_string(written("srt", observations, kinds)[0], format_="srt"))


def test_a_long_sentence_becomes_cues_of_two_short_lines_at_the_times_of_its_words():
    cues = srt([sentence(WORDS, 2.0)])
    assert " ".join(c.plaintext.replace("\n", " ") for c in cues) == WORDS
    assert len(cues) >= 3
    for cue in cues:
        lines = cue.plaintext.split("\n")
        assert len(lines) <= 2
        assert max(map(len, lines)) <= 46
        assert cue.end - cue.start <= 7000
        first = WORDS.split().index(cue.plaintext.split()[0])
        assert cue.start >= 2000
        assert abs(cue.start - (2000 + 400 * first)) < 400 or WORDS.split().count(cue.plaintext.split()[0]) > 1
    assert all(a.end <= b.start for a, b in pairwise(cues))


def test_chinese_lines_are_short_and_lose_nothing():
    text = (
        "今天我们来学习如何用视频里的声音和画面一起判断谁在说话，这样会议记录就会更清楚，大家也更容易找到想看的部分。"
    )
    cues = srt([made("speech", 0, 14, text=text)])
    assert "".join(c.plaintext.replace("\n", "") for c in cues) == text
    assert all(len(line) <= 18 for c in cues for line in c.plaintext.split("\n"))


def test_a_short_word_stays_long_enough_to_be_read_unless_the_next_one_comes():
    hurried = [
        made("speech", 1, 1.2, text="Yes, of course we will."),
        made("speech", 4, 4.2, text="No."),
        made("speech", 4.5, 6, text="Well."),
    ]
    one, two, three = srt(hurried)
    assert one.end - one.start == pytest.approx(23 / 17 * 1000, abs=60)
    assert two.end < three.start == 4500


def test_speakers_are_named_where_facts_know_them_and_where_they_change():
    said = [sentence("How do you do?", 0.0), sentence("Very well, thank you. And you?", 3.0), sentence("So am I.", 8.0)]
    turns = [("speaker-1", 0, 2), ("speaker-2", 3, 6), ("speaker-2", 8, 10)]
    speakers = [made("speaker", a, b, label=s, track=s) for s, a, b in turns]
    data: dict[str, Any] = {"speaker": "speaker-2", "person": None, "whole": True, "turns": []}
    fact = made("fact", 3, 10, label="speaker_is_face", track="face-2", score=0.9, data=data)
    named = made("identity", 0, 10, label="Ada Lovelace", track="face-2", score=0.9)
    everything = [*said, *speakers, fact, named]
    assert [c.plaintext.replace("\n", " ") for c in srt(everything)] == [
        "speaker-1: How do you do?",
        "Ada Lovelace: Very well, thank you. And you?",
        "So am I.",
    ]
    captions = webvtt.from_string(written("webvtt", everything)[0]).captions
    assert [c.voice for c in captions] == ["speaker-1", "Ada Lovelace", "Ada Lovelace"]
    assert captions[2].text == "So am I."


def test_a_sentence_of_two_voices_is_two_cues():
    both = sentence("Are you coming home tonight? No not before eleven.", 0.0)
    speakers = [made("speaker", 0, 2, label="a", track="a"), made("speaker", 2, 4, label="b", track="b")]
    assert [c.plaintext for c in srt([both, *speakers])] == [
        "a: Are you coming home tonight?",
        "b: No not before eleven.",
    ]


def test_two_lines_of_a_burnt_in_subtitle_are_one_cue():
    def line(text: str, start: float, end: float, top: float, role: str = "subtitle") -> Observation:
        return made("text", start, end, text=text, box=Box(0.3, top, 0.7, top + 0.05), data={"role": role})

    shown = [
        line("and the second one", 1.0, 3.0, 0.88),
        line("the first line", 1.0, 3.2, 0.8),
        line("alone", 4.0, 6.0, 0.88),
        line("EXIT", 0.0, 9.0, 0.1, role="scene"),
    ]
    cues = srt(shown, ("text",))
    assert [c.plaintext for c in cues] == ["the first line\nand the second one", "alone"]
    assert cues[0].start == 1000
    assert written("srt", shown, ("text",))[1].left_out == {"text": 1}
    # speech goes before what is written, unless that is asked for
    assert [c.plaintext for c in srt([*shown, made("speech", 1, 3, text="Said.")])] == ["Said."]
    assert [c.plaintext for c in srt(shown)] == [c.plaintext for c in cues]
