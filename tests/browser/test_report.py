"""The report page in a browser, opened from disk."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace

import pytest
from PIL import Image

from browser.looks import ATTACK, contrast
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
    assert contrast(page, "#name") > 7
    assert contrast(page, "#about") > 4.5
    assert contrast(page, "#names div:nth-child(2)") > 4.5


def test_keyframes_and_sizes_of_the_page(report):
    text = (report / "report.html").read_text(encoding="utf-8")
    assert "http://" not in text.replace("http: https:", "")
    pictures = re.findall(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", text)
    assert pictures
    for picture in pictures:
        assert max(Image.open(io.BytesIO(base64.b64decode(picture))).size) <= 320


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
