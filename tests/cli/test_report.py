"""``onlooker report`` writes a page or a picture."""

from __future__ import annotations

import json
import re
import shutil
from contextlib import closing
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from cli.sample_library import make_library, run
from onlooker.core.observation import Attachment, Observation
from onlooker.core.store import Batch
from onlooker.core.time import Span
from onlooker.reports.html_report import link_to
from onlooker.sources import open_source
from onlooker.testing.export import HOSTILE
from onlooker.testing.store_values import SOURCE, producer
from onlooker.timeline import open_store


def read(page):
    """The data that a page carries."""
    text = page.read_text(encoding="utf-8")
    (inside,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    return json.loads(inside)


@pytest.fixture
def library(tmp_path, data):
    """A library with one video that is there, and one that is not."""
    shutil.copyfile(data("shots/bikes.mp4"), tmp_path / "bikes.mp4")
    make_library(tmp_path / "library")
    source = open_source(str(tmp_path / "bikes.mp4"))
    with closing(open_store(tmp_path / "library")) as store:
        store.add_source(source.info)
        by = producer("made")
        found = [
            Observation(Span.of_seconds(n, n + 1), kind, label=text, text=text).of(source.info.id, by, n)
            for n, text in enumerate(HOSTILE[:10])
            for kind in ("shot", "text")
        ]
        picture = Attachment("keyframes/0.jpg", _jpeg(), "image/jpeg")
        found.append(
            Observation(Span.of_seconds(2, Fraction(51, 25)), "keyframe", attachments=(picture,)).of(
                source.info.id, by, 0
            )
        )
        store.commit(Batch(source.info.id, found))
    source.close()
    return tmp_path


def _jpeg():
    import io

    out = io.BytesIO()
    Image.new("RGB", (640, 272), "#d03020").save(out, "JPEG")
    return out.getvalue()


def test_a_page_of_all(library, capsys):
    page = library / "out" / "all.html"
    page.parent.mkdir()
    assert run("report", "--library", library / "library", "-o", page) == 0
    assert capsys.readouterr().out.strip() == str(page)
    told = read(page)
    assert [s["name"] for s in told["sources"]] == ["街景 café.mp4", "other [1].mp4", "bikes.mp4"]
    first, _, bikes = told["sources"]
    assert first["counts"] == {"keyframe": 2, "object": 100, "shot": 2, "text": 2, "track": 1}
    assert "3 frames are damaged" in first["failures"][0]
    assert sum(len(r) for layer in first["layers"] for r in layer["rows"]) == 100
    assert {i["kind"] for i in first["items"]} == {"keyframe", "shot", "text", "track"}
    assert "(not finished)" in " ".join(first["producers"])
    assert (first["video"], bikes["video"]) == ("", "../bikes.mp4")
    assert next(i for i in bikes["items"] if i["kind"] == "keyframe")["picture"].startswith("data:image/jpeg;base64,")
    assert [p.name for p in page.parent.iterdir()] == ["all.html"]


def test_copies_of_videos_lie_beside_the_page(library):
    page = library / "out.html"
    assert run("report", "bikes.mp4", "--library", library / "library", "-o", page, "--copy-video") == 0
    (source,) = read(page)["sources"]
    assert (library / source["video"]).read_bytes() == (library / "bikes.mp4").read_bytes()


def test_a_picture_that_is_no_picture_is_left_out(library):
    """The sample library's keyframes are two bytes long."""
    page = library / "out.html"
    assert run("report", SOURCE, "--library", library / "library", "-o", page) == 0
    assert all("picture" not in i for i in read(page)["sources"][0]["items"])


def test_links(tmp_path):
    assert link_to("rtsp://cam/1", tmp_path / "a.html") == "rtsp://cam/1"
    assert link_to(str(tmp_path / "50% #1?.mp4"), tmp_path / "a.html") == "50%25%20%231%3F.mp4"
    assert link_to(str(tmp_path / "a:b.mp4"), tmp_path / "a.html") in ("a%3Ab.mp4", "./a:b.mp4")
    assert link_to("/elsewhere/x.mp4", tmp_path / "a" / "b" / "c" / "d.html").startswith("file:///elsewhere/x.mp4")


def test_a_picture_of_the_timeline(library, capsys):
    target = library / "timeline.png"
    assert run("report", "bikes.mp4", "--library", library / "library", "--picture", target) == 0
    assert capsys.readouterr().out.strip() == str(target)
    with Image.open(target) as image:
        assert image.format == "PNG"
        assert image.width == 1400
        pixels = np.array(image.convert("RGB")).reshape(-1, 3)
    colours, counts = np.unique(pixels, axis=0, return_counts=True)
    # the keyframe's red, and bars in the colours of two labels at least
    assert (np.abs(colours.astype(int) - (208, 48, 32)).max(1) < 12).any()
    assert sum(n > 500 and int(max(c)) - int(min(c)) > 40 for c, n in zip(colours, counts, strict=True)) >= 3


def test_a_picture_of_a_source_without_pictures(library):
    assert run("report", SOURCE, "--library", library / "library", "--picture", library / "t.png") == 0
    with Image.open(library / "t.png") as image:
        assert image.size[0] == 1400


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--picture", "t.png"], "a picture shows one source, not 3"),
        (["nothing.mp4"], "no source is called"),
        (["-o", "no/such/folder.html"], "cannot write"),
    ],
)
def test_errors(library, capsys, monkeypatch, arguments, said):
    monkeypatch.chdir(library)
    before = sorted(p.name for p in library.iterdir())
    assert run("report", *arguments, "--library", "library") == 1
    assert said in capsys.readouterr().err
    assert sorted(p.name for p in library.iterdir()) == before


def test_an_empty_library(tmp_path, capsys):
    open_store(tmp_path / "library").close()
    assert run("report", "--library", tmp_path / "library", "-o", tmp_path / "r.html") == 1
    assert "holds no source" in capsys.readouterr().err
