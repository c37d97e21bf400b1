"""People, texts, sounds and meaning on the report page in a browser."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from PIL import Image

from browser.looks import ATTACK, contrast
from onlooker.core.observation import Box, Observation
from onlooker.core.time import Span
from onlooker.reports.html_report import ReportInput, build_report
from onlooker.testing.export import HOSTILE, Kept, status
from onlooker.testing.store_values import SOURCE, producer, source_info

pytestmark = pytest.mark.browser


def said(kind, start, end, number=0, **fields):
    return Observation(Span.of_seconds(start, end), kind, **fields).of(SOURCE, producer(kind), number)


SENTENCES = ("Good evening and welcome.", "今晚天气很好。", "The bank says no.", "Thank you.")


@pytest.fixture(scope="module")
def talk_page(tmp_path_factory, data):
    """A page of made-up observations of all kinds that lists are made of, over a real video."""
    folder = tmp_path_factory.mktemp("talk")
    (folder / "talk.mp4").write_bytes(data("clips/tv_whitehouse_performance.mp4").read_bytes())
    picture = io.BytesIO()
    Image.new("RGB", (300, 300), "#d03020").save(picture, "JPEG")
    (folder / "face.jpg").write_bytes(picture.getvalue())
    found = [
        said("summary", 0, 10, text="The bank says no."),
        said("chapter", 0, 5, text="Welcome"),
        said("chapter", 5, 10, text="The bank"),
        *(said("topic", 0, 10, n, label=t) for n, t in enumerate(("weather", "banking"))),
        *(said("speech", 2 * n, 2 * n + 1.5, text=t) for n, t in enumerate(SENTENCES)),
        said("speaker", 0, 4, label="speaker-1", track="speaker-1"),
        said("speaker", 4, 8, label="speaker-2", track="speaker-2"),
        said("identity", 0, 4, label="Ada", track="speaker-1", score=0.9),
        said("identity", 1, 3, label="Ada", track="face-1", score=0.8),
        said("identity", 6, 9, label="Ada", track="face-3", score=0.7),
        said("face_track", 1, 3, label="face", track="face-1", data={"quality": 0.5}, media=("face.jpg",)),
        said("face_track", 6, 9, label="face", track="face-3", data={"quality": 0.4}),
        said("face_track", 3, 9, label="face", track="face-2", data={"quality": 0.9}),
        said("sentiment", 4, 5.5, label="negative", score=0.8),
        said("safety", 4, 5.5, label="threat", score=0.6),
        said("text", 2, 6, text="EVENING NEWS", data={"role": "subtitle"}),
        *(said("face", n, n + 1, track="face-1", box=Box(0.1, 0.1, 0.3, 0.4), score=0.9) for n in range(3)),
        said("pose", 0, 1, data={"keypoints": [[0.1 + n / 50, 0.5, 0.9] for n in range(17)]}, track="t1"),
        *(said("sound", n / 2, n / 2 + 0.4, label=f"sound {n:02}") for n in range(15)),
        said("fact", 4, 8, label="speaker_is_face", data={"senses": {"sound": 0.6, "picture": 0.4}}),
        *(said("expression", n, n + 1, label="happy", track="face-1", score=0.6) for n in range(3)),
    ]
    found.sort(key=lambda o: (o.span.start, o.span.end))
    info = replace(source_info(path=str(folder / "talk.mp4")), duration=Fraction(10))
    given = ReportInput([status(info)], Kept(found).query, {}, folder, {SOURCE: "talk.mp4"})
    (folder / "talk.html").write_text(build_report(given, "made"), encoding="utf-8")
    return folder / "talk.html"


@pytest.fixture
def talk(talk_page, show):
    shown = show(talk_page)
    shown.until("document.getElementById('video').readyState >= 2")
    return shown


def test_the_transcript_goes_there_and_follows(talk):
    entries = talk.page.locator("#panel .entry")
    assert [e.split("\n")[0] for e in talk.page.locator("#panel .words").all_text_contents()] == [
        SENTENCES[0], SENTENCES[1], f"{SENTENCES[2]}negative⚠ threat", SENTENCES[3],
    ]  # fmt: skip
    # a voice that was named is called so
    assert talk.page.locator("#panel .speaker").all_text_contents() == ["Ada", "speaker-2"]
    entries.nth(2).click()
    talk.wait_clock(4.001)
    assert entries.nth(2).get_attribute("aria-current") == "true"
    assert talk.page.locator("#said").text_content() == "speaker-2: The bank says no."
    talk.page.evaluate("video.muted = true; video.play()")
    talk.until("document.querySelector('#panel .entry:nth-of-type(4)').classList.contains('now')")
    talk.page.evaluate("video.pause()")
    assert talk.page.locator("#panel .now").count() == 1


def test_search_in_the_transcript(talk):
    talk.page.locator("#within").fill("天气")
    assert talk.page.locator("#panel .entry").count() == 1
    assert talk.page.locator("#panel mark").all_text_contents() == ["天气"]
    assert talk.page.locator("#matches").text_content() == "1 found"
    talk.page.locator("#within").press("Enter")
    talk.wait_clock(2.001)
    talk.page.locator("#within").fill("nobody said this")
    assert talk.page.locator("#panel").text_content() == "nothing found"


def test_people_with_picture_and_when(talk):
    talk.page.get_by_role("tab", name="People").click()
    people = talk.page.locator("#panel .person")
    assert people.locator("strong").all_text_contents() == ["Ada", "face-2"]
    assert people.first.locator("small").text_content() == "5.0 s, 2 times, from 0:01"
    assert people.first.locator("img").evaluate("i => [i.naturalWidth, i.complete]") == [160, True]
    spans = people.first.locator(".when button")
    assert spans.count() == 2
    spans.nth(1).click()
    talk.wait_clock(6.001)


def test_texts_and_tabs_by_keyboard(talk):
    talk.page.get_by_role("tab", name="Transcript").press("ArrowRight")
    talk.page.get_by_role("tab", name="People").press("ArrowRight")
    assert talk.page.locator("[aria-selected=true]").text_content() == "On screen 1"
    assert "EVENING NEWS" in talk.page.locator("#panel").text_content()
    talk.page.locator("#panel .entry").click()
    talk.wait_clock(2.001)
    talk.page.get_by_role("tab", name="About").click()
    assert "speech4" in talk.page.locator("#counts").text_content()


def test_summary_chapters_topics_at_the_top(talk):
    assert talk.page.locator("#summary").text_content() == "The bank says no."
    assert talk.page.locator("#tags .tag").all_text_contents() == ["⚠ threat", "weather", "banking"]
    talk.page.locator(".chapter").nth(1).click()
    talk.wait_clock(5.001)


def test_lanes_for_persons_and_labels_fold(talk):
    row = talk.page.locator('.row[data-kind="speaker"]')
    names = talk.page.locator("#names div", has=talk.page.locator("text=speaker (2)"))
    assert names.locator(".lane").all_text_contents() == ["Ada", "speaker-2"]
    high = row.bounding_box()["height"]
    talk.page.get_by_role("button", name="fold speaker").click()
    assert row.bounding_box()["height"] < high
    assert row.locator(".item").count() == 0
    # what is folded can still be clicked
    strip = row.locator("canvas")
    strip.click(position={"x": strip.bounding_box()["width"] * 0.45, "y": 5})
    talk.wait_clock(4.001)
    talk.page.get_by_role("button", name="unfold speaker").click()
    assert row.locator(".item").count() == 2
    # fifteen sounds share ten lanes
    talk.page.evaluate("foldedNow().delete('sound'); buildRows()")
    sounds = talk.page.locator("#names div", has=talk.page.locator("text=sound (15)"))
    assert sounds.locator(".lane").count() == 10
    assert sounds.locator(".lane").last.text_content() == "6 more"
    assert talk.page.locator('.row[data-kind="sound"] .item').count() == 15
    talk.page.keyboard.press("f")
    assert talk.page.locator(".item").count() == 0


def test_search_dims_what_is_folded(talk):
    talk.page.evaluate("foldedNow().add('sound'); buildRows()")
    faint = (
        "[...document.querySelector('.row[data-kind=sound] canvas').getContext('2d').getImageData(0, 5, 9999, 1).data]"
    )
    darkest = f"Math.max(...{faint}.filter((v, n) => n % 4 === 3))"
    before = talk.page.evaluate(darkest)
    talk.page.locator("#search").fill("welcome")
    assert talk.page.evaluate(darkest) < before / 3
    assert talk.page.locator("#hits tr").count() == 2  # the sentence and the chapter


def test_faces_and_bodies_are_drawn(talk):
    painted = """(y) => { const c = document.getElementById('overlay'); const w = c.width, h = c.height;
        const d = c.getContext('2d').getImageData(0, Math.round(h * y), w, 2).data; return d.some((v) => v > 0); }"""
    talk.page.evaluate("seek(0.5)")
    talk.wait_clock(0.501)
    assert talk.page.evaluate(painted, 0.25)  # sides of the face's box
    assert talk.page.evaluate(painted, 0.5)  # key points of the body
    talk.page.locator("#boxes").uncheck()
    assert not talk.page.evaluate(painted, 0.25)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1400])
@pytest.mark.parametrize("tab", ["Transcript", "People", "On screen"])
def test_lists_stay_inside_and_readable(talk_page, show, width, scheme, tab):
    page = show(talk_page, viewport={"width": width, "height": 800}, color_scheme=scheme).page
    page.get_by_role("tab", name=tab).click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    side, panel = page.locator(".side").bounding_box(), page.locator("#panel").bounding_box()
    assert panel["y"] + panel["height"] <= side["y"] + side["height"] + 1
    assert page.locator("#panel").evaluate("p => p.scrollWidth <= p.clientWidth + 1")
    for selector in {"Transcript": (".entry .at", ".mood"), "People": (".person small",)}.get(tab, (".entry small",)):
        assert contrast(page, f"#panel {selector}") > 4.5


@pytest.mark.parametrize("tab", ["Transcript", "People", "On screen"])
def test_hostile_names_and_sentences_stay_texts(tmp_path, show, tab):
    texts = [ATTACK, "__proto__", "constructor", *(t for t in HOSTILE if t.strip())]
    written = ("speech", "text", "summary", "chapter")
    found = [
        said(kind, n, n + 1, label=t, text=t if kind in written else None, track=t)
        for n, t in enumerate(texts)
        for kind in (*written, "topic", "speaker", "identity", "face_track", "fact", "safety")
    ]
    info = source_info(path="/videos/x.mp4")
    given = ReportInput([status(info)], Kept(found).query, {}, tmp_path, {})
    (tmp_path / "x.html").write_text(build_report(given, "made"), encoding="utf-8")
    page = show(tmp_path / "x.html").page
    page.get_by_role("tab", name=tab).click()
    assert page.locator("#panel .entry, #panel .person").count() == len(texts)
    for query in ("onerror", "<", "("):
        page.locator("#within").fill(query)
        assert page.locator("#panel .entry, #panel .person").count() >= 1
    page.locator(".item").first.hover()
    page.wait_for_timeout(100)
    assert "owned" not in page.title()
    assert page.locator("img[src=x]").count() == 0
    assert ATTACK in page.locator("#summary").text_content()


def test_hours_stay_a_small_page():
    """Four hours of states and faces: rare kinds whole, the rest evenly chosen, and told."""
    blinks = [said("attention_state", n / 4, n / 4 + 0.1, label="blink", track="face-1") for n in range(57_600)]
    faces = [said("face", n / 5, (n + 1) / 5, k, track=f"face-{k}", box=Box(0, 0, 0.1, 0.1), score=0.9)
             for n in range(40_000) for k in range(2)]  # fmt: skip
    speech = [said("speech", 4 * n, 4 * n + 3, text=f"sentence {n}") for n in range(3_600)]
    info = replace(source_info(path="/videos/long.mp4"), duration=Fraction(14_400))
    kept = Kept([*speech, *blinks, *faces])
    page = build_report(ReportInput([status(info)], kept.query, {}, Path("/nowhere"), {}), "made")
    assert len(page) < 9_000_000
    (inside,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    (source,) = json.loads(inside)["sources"]
    kinds = Counter(i["kind"] for i in source["items"])
    assert kinds["speech"] == 3_600
    assert 20_000 < kinds["attention_state"] <= 30_000
    assert source["items"][-1]["start"] > 14_350
    assert source["counts"] == {"attention_state": 57_600, "face": 80_000, "speech": 3_600}
    (layer,) = source["layers"]
    assert layer["times"][-1] > 7_990
    assert sum(map(len, layer["rows"])) <= 60_000
    for told in (r"attention_state: \d+ of 57600 are listed", "face: one moment in 2 is drawn"):
        assert re.search(told, source["left_out"])
