"""The report page in a browser, opened from disk."""

from __future__ import annotations

import base64
import io
import json
import re
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from PIL import Image

from onlooker.core.observation import Box, Observation
from onlooker.core.store import Failure, Query
from onlooker.core.time import Span
from onlooker.reports.html_report import ReportInput, build_report, link_to
from onlooker.testing.export import HOSTILE, Kept, status
from onlooker.testing.store_values import SOURCE, producer, source_info
from onlooker.timeline import open_store

pytestmark = pytest.mark.browser


@pytest.fixture
def page(report, show):
    shown = show(report / "report.html")
    shown.until("document.getElementById('video').readyState >= 2")
    return shown


@pytest.fixture(scope="module")
def known(report):
    """What the library knows, by file name."""
    store = open_store(report / "library", read_only=True)
    found = {s.info.path.rsplit("/", 1)[1]: list(store.query(Query(sources=(s.info.id,)))) for s in store.sources()}
    store.close()
    return found


def shots_of(known, name="bikes.mp4"):
    return [o for o in known[name] if o.kind == "shot"]


def test_a_click_on_a_shot_goes_there(page, known):
    shots = shots_of(known)
    items = page.page.locator('.row[data-kind="shot"] .item')
    assert items.count() == len(shots) >= 3
    items.nth(2).click(position={"x": 3, "y": 5})
    page.wait_clock(shots[2].span.start.seconds)
    assert items.nth(2).get_attribute("class") == "item on"
    # the frame on show is the shot's first, not the last of the shot before
    assert page.clock() >= shots[2].span.start.seconds


def test_a_click_on_the_table_and_on_the_ruler(page, known):
    row = page.page.locator("#hits tr").nth(3)
    start = row.locator("td").first.text_content().split("\xa0")[0]
    hours, minutes, seconds = start.split(":")
    row.click()
    page.wait_clock(int(hours) * 3600 + int(minutes) * 60 + float(seconds))
    ruler = page.page.locator("#ruler")
    ruler.click(position={"x": ruler.bounding_box()["width"] / 2, "y": 5})
    page.wait_clock(5.0)


def test_search_finds_and_dims_the_rest(page, known):
    everything = [o for o in known["bikes.mp4"] if o.kind not in ("object", "picture")]
    assert page.page.locator("#found").text_content() == f"{len(everything)} of {len(everything)} observations"
    page.page.keyboard.press("/")
    page.page.keyboard.type("keyframe")
    rows = page.page.locator("#hits tr")
    wanted = [o for o in everything if o.kind == "keyframe"]
    assert rows.count() == len(wanted)
    assert page.page.locator(".item:not(.dim)").count() == len(wanted)
    page.page.locator("#search").fill("nothing is called so")
    assert rows.count() == 0
    page.page.locator("#search").fill("")
    assert rows.count() == len(everything)
    assert page.page.locator(".item.dim").count() == 0


def test_chips_hide_kinds(page):
    chip = page.page.get_by_role("button", name="shot", exact=True)
    before = page.page.locator("#hits tr").count()
    chip.click()
    assert chip.get_attribute("aria-pressed") == "false"
    assert page.page.locator('.row[data-kind="shot"]').count() == 0
    assert 0 < page.page.locator("#hits tr").count() < before
    assert "shot" not in page.page.locator("#names").text_content()
    chip.press("Space")
    assert page.page.locator("#hits tr").count() == before


def test_labels_filter(page, known, has_detector):
    label = "person" if has_detector else "active"
    page.page.locator("#label").select_option(label)
    wanted = [o for o in known["bikes.mp4"] if o.label == label and o.kind != "object"]
    assert page.page.locator("#hits tr").count() == len(wanted) > 0


def test_keyboard(page, known):
    starts = [o.span.start.seconds for o in shots_of(known)]
    page.page.keyboard.press("n")
    page.wait_clock(starts[1])
    page.page.keyboard.press("n")
    page.wait_clock(starts[2])
    page.page.keyboard.press("p")
    page.wait_clock(starts[1])
    page.page.keyboard.press("ArrowRight")
    page.wait_clock(starts[1] + 1)
    page.page.keyboard.press("Shift+ArrowLeft")
    page.wait_clock(0)
    page.page.keyboard.press("End")
    page.until("document.getElementById('video').currentTime > 9.9")
    page.page.keyboard.press("Home")
    page.wait_clock(0)
    page.page.keyboard.press("/")
    assert page.page.evaluate("document.activeElement.id") == "search"
    page.page.keyboard.type("n")  # a letter to search for, not a command
    page.page.keyboard.press("Escape")
    assert page.clock() < 0.01
    page.page.keyboard.press("Space")
    page.until("!document.getElementById('video').paused")
    page.page.keyboard.press("Space")
    page.until("document.getElementById('video').paused")


def test_zoom_keeps_the_place(page, known):
    lanes, scroll = page.page.locator("#lanes"), page.page.locator("#scroll")
    whole = lanes.bounding_box()["width"]
    page.page.locator('.row[data-kind="shot"] .item').nth(3).click(position={"x": 3, "y": 5})
    page.wait_clock(shots_of(known)[3].span.start.seconds)
    for _ in range(3):
        page.page.keyboard.press("+")
    assert lanes.bounding_box()["width"] == pytest.approx(8 * whole, rel=0.01)
    head, view = page.page.locator("#head").bounding_box()["x"], scroll.bounding_box()
    assert view["x"] <= head <= view["x"] + view["width"]
    assert page.page.locator("#ruler span").count() > 10
    page.page.keyboard.press("-")
    assert lanes.bounding_box()["width"] == pytest.approx(4 * whole, rel=0.01)
    page.page.locator("#fit").click()
    assert lanes.bounding_box()["width"] == pytest.approx(whole, rel=0.01)


def test_the_second_source(page, known):
    page.page.locator('.row[data-kind="shot"] .item').nth(1).click(position={"x": 3, "y": 5})
    page.page.locator("#source").select_option("1")
    page.until("document.getElementById('video').readyState >= 2")
    assert page.page.locator("#name").text_content() == "tv_whitehouse_performance.mp4"
    assert page.page.evaluate("document.getElementById('video').videoWidth") == 640
    shots = shots_of(known, "tv_whitehouse_performance.mp4")
    assert page.page.locator('.row[data-kind="shot"] .item').count() == len(shots)
    assert page.clock() < 0.01
    page.page.keyboard.press("n")
    # its picture begins after its sound
    page.wait_clock(next(s.span.start.seconds for s in shots if s.span.start.seconds > 0.01))


def test_boxes_are_drawn_on_the_picture(page, known, has_detector):
    if not has_detector:
        pytest.skip("the detector's weights are not pulled")
    first = next(o for o in known["bikes.mp4"] if o.kind == "object")
    page.page.evaluate("s => seek(s)", first.span.start.seconds)
    page.wait_clock(first.span.start.seconds)
    painted = """() => { const c = document.getElementById('overlay');
        return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v) => v > 0); }"""
    page.until(painted)
    page.page.locator("#boxes").uncheck()
    assert not page.page.evaluate(painted)


def test_pointing_at_a_shot_shows_its_picture(page):
    page.page.locator('.row[data-kind="shot"] .item').nth(1).hover()
    assert page.page.locator("#peek").is_visible()
    assert page.page.locator("#peek img").evaluate("i => i.naturalWidth") > 0
    page.page.mouse.move(5, 5)
    assert page.page.locator("#peek").is_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1400])
def test_nothing_sticks_out(report, show, width, scheme):
    page = show(report / "report.html", viewport={"width": width, "height": 800}, color_scheme=scheme).page
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # names stand beside their rows
    names = page.locator("#names div").evaluate_all("all => all.slice(1).map(n => n.getBoundingClientRect().top)")
    rows = page.locator(".row").evaluate_all("all => all.map(n => n.getBoundingClientRect().top)")
    assert names == pytest.approx(rows, abs=1)
    ends = page.locator(".item, #ruler span").evaluate_all("all => all.map(n => n.getBoundingClientRect().right)")
    assert max(ends) <= page.locator("#lanes").evaluate("n => n.getBoundingClientRect().right") + 1
    assert _contrast(page, "#name") > 7
    assert _contrast(page, "#about") > 4.5
    assert _contrast(page, "#names div:nth-child(2)") > 4.5


def _contrast(page, selector):
    """WCAG 2 contrast of an element's text with what lies under it."""
    colours = page.locator(selector).first.evaluate(
        """n => { let g = n; while (getComputedStyle(g).backgroundColor === 'rgba(0, 0, 0, 0)') g = g.parentElement;
            return [getComputedStyle(n).color, getComputedStyle(g).backgroundColor]; }"""
    )
    light = []
    for colour in colours:
        parts = [int(v) / 255 for v in re.findall(r"\d+", colour)[:3]]
        linear = [v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
        light.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(light) + 0.05) / (min(light) + 0.05)


def test_keyframes_and_sizes_of_the_page(report):
    text = (report / "report.html").read_text(encoding="utf-8")
    assert "http://" not in text.replace("http: https:", "")
    pictures = re.findall(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", text)
    assert pictures
    for picture in pictures:
        assert max(Image.open(io.BytesIO(base64.b64decode(picture))).size) <= 320


ATTACK = "</script><img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


def hostile_page(folder, videos=None):
    observations = [
        Observation(
            Span.of_seconds(n, n + 1), kind, score=score, label=label, text=label, track=label, box=box,
            data={"transition": ATTACK},
        ).of(SOURCE, replace(producer(), analyzer="<b>"), n)
        for n, label in enumerate([ATTACK, "<!--<script>", "@@DATA@@ @@JS@@", "\u2028'\"", *HOSTILE])
        for kind in ("shot", "text", ATTACK)
        for score, box in [(float("nan"), Box(0, 0, float("inf"), 1))]
    ]  # fmt: skip
    info = source_info(path=f"/videos/{ATTACK.replace('/', '∕')}@@JS@@@@DATA@@.mp4")
    failures = {SOURCE: [Failure(SOURCE, "read", ATTACK, Span.of_seconds(1, 2), "<i>", False)]}
    given = ReportInput([status(info)], Kept(observations).query, failures, folder, videos or {})
    path = folder / "hostile.html"
    path.write_text(build_report(given, ATTACK), encoding="utf-8")
    return path


def test_hostile_texts_stay_texts(tmp_path, show):
    shown = show(hostile_page(tmp_path))
    page = shown.page
    page.wait_for_selector("#hits tr")
    page.locator(".item").first.hover()
    page.locator("#hits tr").first.click()
    page.locator("#search").fill("onerror")
    assert page.locator("#hits tr").count() >= 3
    page.wait_for_timeout(200)
    assert "owned" not in page.title().replace("title='owned'", "")
    assert page.locator("img[src=x]").count() == 0
    assert page.locator("script").count() == 2
    assert page.locator("#hits b, #hits i, #failures i").count() == 0
    assert ATTACK in page.locator("#failures").text_content()
    assert ATTACK in page.locator("#footer").text_content()
    assert page.locator("#clock").text_content() == "0:00:00.000"


def test_without_the_video(tmp_path, show):
    page = show(hostile_page(tmp_path)).page
    assert page.locator("#novideo").is_visible()
    assert page.locator("#video").is_hidden()
    page.keyboard.press("n")
    assert page.locator("#clock").text_content() == "0:00:01.000"


def test_the_video_went_away(tmp_path, show):
    shown = show(hostile_page(tmp_path, {SOURCE: "gone.mp4"}))
    shown.page.wait_for_selector("#novideo", state="visible")
    assert shown.page.locator("#video").is_hidden()
    shown.complaints = [c for c in shown.complaints if "ERR_FILE_NOT_FOUND" not in c]


def test_videos_of_odd_names_play(tmp_path, show, data):
    name = "50% off #1? 街景 & 'x'.mp4"
    (tmp_path / name).write_bytes(data("shots/bikes.mp4").read_bytes())
    page = hostile_page(tmp_path, {SOURCE: link_to(str(tmp_path / name), tmp_path / "hostile.html")})
    show(page).until("document.getElementById('video').readyState >= 1")


# -- people, text, sound and meaning --


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
        assert _contrast(page, f"#panel {selector}") > 4.5


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
