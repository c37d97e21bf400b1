"""The page of samples in a real browser: hostile names do nothing, filters work, nothing is fetched."""

# what may be None in general is there in these tests
# pyright: reportOptionalMemberAccess=false, reportOptionalSubscript=false, reportOptionalIterable=false
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false

from __future__ import annotations

import pytest

from onlooker.core.errors import UsageError
from onlooker.learning.datasets.balance_picture import draw_balance
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import Media, Sample, Task
from onlooker.learning.datasets.media import look_at
from onlooker.learning.datasets.page import PageRequest, build_page
from onlooker.learning.datasets.statistics import statistics_of

EVIL = "</script><img src=x onerror=alert(1)>@@JS@@\u2028${1}"


@pytest.fixture
def dataset(media, tmp_path):
    tasks = {
        "things": Task(kind="boxes", classes=("dog", EVIL)),
        "events": Task(kind="spans", classes=("fall",)),
        "mood": Task(kind="class", classes=("good", "坏")),
        EVIL.replace("=", "").replace("/", "").replace(":", ""): Task(kind="text"),
    }
    made = Dataset.create(tmp_path / "set", name=EVIL, tasks=tasks, description=EVIL)
    made.info = made.info.model_copy(update={"root": str(media)})

    def file(path, kind):
        return look_at(media, Media(path=path, kind=kind))

    image, video, sound = file("one.jpg", "image"), file("walk.mp4", "video"), file("bark.ogg", "audio")
    box = {"label": EVIL, "box": [0.1, 0.1, 0.5, 0.5]}
    made.put(
        [
            Sample(id="image", media=(image,), split="train", labels={"things": [box], "mood": "good"}),
            Sample(
                id="video", media=(video,), split="val", labels={"events": [{"label": "fall", "start": 3, "end": 9}]}
            ),
            Sample(id="frame", media=(video,), at=3.0, labels={"things": [{**box, "at": 3.0, "track": "1"}]}),
            Sample(id="sound", media=(sound,), status="proposed", labels={"mood": "坏"}),
            Sample(id=EVIL, text=EVIL, notes=EVIL, groups={"source": EVIL}),
            Sample(id="gone", media=(image.model_copy(update={"path": "gone.jpg"}),)),
        ]
    )
    return made


@pytest.mark.browser
def test_the_page_shows_all_and_does_nothing_else(dataset, chromium, tmp_path):
    page_text, shown = build_page(dataset, PageRequest())
    assert shown == 6
    (tmp_path / "page.html").write_text(page_text, encoding="utf-8")
    page = chromium.new_page(viewport={"width": 1200, "height": 900})
    complaints, asked = [], []
    page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda e: complaints.append(str(e)))
    page.on("dialog", lambda d: (complaints.append("dialog"), d.dismiss()))
    page.on("request", lambda r: asked.append(r.url) if not r.url.startswith(("file:", "data:")) else None)
    page.goto((tmp_path / "page.html").as_uri())
    assert page.inner_text("#name") == EVIL.replace("\u2028", "\u2028")
    assert page.locator("article:visible").count() == 6
    assert page.locator("article img").count() == 5
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 20)")
    image = page.locator("article", has_text="image 480").first
    box = image.locator("rect").bounding_box()
    picture = image.locator("img").bounding_box()
    assert box["x"] - picture["x"] == pytest.approx(0.1 * picture["width"], abs=2)
    assert box["width"] == pytest.approx(0.4 * picture["width"], abs=3)
    assert page.locator("article", has_text="cannot read the picture").count() == 1
    assert page.evaluate("document.querySelector('audio').play().then(() => true)")
    page.select_option("#split", "val")
    assert page.locator("article:visible .id").all_inner_texts() == ["val\nvideo"]
    page.select_option("#split", "")
    page.select_option("#task", "mood")
    page.select_option("#label", "坏")
    assert page.locator("article:visible").count() == 1
    page.select_option("#label", label="no label")
    assert page.locator("article:visible").count() == 4
    page.select_option("#task", "")
    page.fill("#words", "onerror")
    assert page.locator("article:visible").count() == 3
    page.fill("#words", "")
    page.select_option("#status", "problem")
    assert page.locator("article:visible").count() == 1
    assert complaints == []
    assert asked == []
    page.close()


def test_samples_can_be_chosen(dataset):
    assert build_page(dataset, PageRequest(split="val"))[1] == 1
    assert build_page(dataset, PageRequest(label="mood=坏"))[1] == 1
    assert build_page(dataset, PageRequest(ids=("frame", "sound")))[1] == 2
    assert build_page(dataset, PageRequest(limit=2))[1] == 2
    with pytest.raises(UsageError, match="mood has no class 'x'"):
        build_page(dataset, PageRequest(label="mood=x"))


def test_counts_and_their_picture(dataset, tmp_path):
    import io

    from PIL import Image

    facts = statistics_of(dataset)
    assert facts["splits"] == {"train": 1, "val": 1, "": 4}
    assert facts["tasks"]["mood"]["classes"] == {
        "good": {"train": 1, "val": 0, "": 0},
        "坏": {"train": 0, "val": 0, "": 1},
    }
    assert facts["tasks"]["events"]["seconds"] == 6
    assert facts["tasks"]["things"]["boxes"] == 2
    assert facts["media"]["video"]["files"] == 1
    picture = Image.open(io.BytesIO(draw_balance(facts)))
    colours = {c for _, c in picture.convert("RGB").getcolors(100_000)}
    assert (0x17, 0x69, 0xAA) in colours


def test_that_there_is_nothing_to_show_is_said(tmp_path):
    with pytest.raises(UsageError, match="has no such sample to show"):
        build_page(Dataset.create(tmp_path / "set", name="set"), PageRequest())
