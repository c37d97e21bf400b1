"""A real library, its report in a real browser, and what the page did behind the scenes."""

from __future__ import annotations

import shutil

import pytest

from onlooker.cli.commands.report import write_report
from onlooker.core.errors import ModelMissing
from onlooker.library import Library
from onlooker.models import load

ANALYZERS = ["shots", "keyframes", "motion", "quality"]


@pytest.fixture(scope="session")
def has_detector():
    try:
        load("nanodet-416", threads=1)
    except ModelMissing:
        return False
    return True


@pytest.fixture(scope="session")
def report(tmp_path_factory, data, has_detector):
    """Two videos, analysed, and the page of both: the folder that holds it."""
    folder = tmp_path_factory.mktemp("report")
    for name in ("shots/bikes.mp4", "clips/tv_whitehouse_performance.mp4"):
        shutil.copyfile(data(name), folder / name.rsplit("/", 1)[1])
    with Library.open(folder / "library") as library:
        library.analyze(
            [folder / "bikes.mp4", folder / "tv_whitehouse_performance.mp4"],
            only=[*ANALYZERS, *(["objects"] if has_detector else [])],
            workers=1,
        )
        write_report(library.store, library.store.sources(), folder / "report.html")
    return folder


class Opened:
    """A page with what it complained of and what it wanted from elsewhere."""

    def __init__(self, page):
        self.page = page
        self.complaints = []
        self.asked = []
        page.on("console", lambda m: self.complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: self.complaints.append(str(e)))
        page.on("dialog", lambda d: (self.complaints.append(f"dialog {d.message}"), d.dismiss()))
        page.route("**/*", self._route)

    def _route(self, route):
        if route.request.url.startswith(("file:", "data:")):
            route.continue_()
        else:
            self.asked.append(route.request.url)
            route.abort()

    def clock(self):
        return self.page.evaluate("document.getElementById('video').currentTime")

    def until(self, expression):
        """Wait for it to be true. The page forbids eval, by which playwright's own waiting works."""
        for _ in range(200):
            if self.page.evaluate(expression):
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"never came true: {expression}; the clock shows {self.clock()}")

    def wait_clock(self, seconds):
        self.until(f"Math.abs(document.getElementById('video').currentTime - {seconds}) < 0.01")


@pytest.fixture
def show(chromium):
    """Open a page from disk; a page that complains or asks the network fails its test."""
    opened = []

    def go(path, **options):
        context = chromium.new_context(viewport=options.pop("viewport", {"width": 1300, "height": 900}), **options)
        shown = Opened(context.new_page())
        opened.append((context, shown))
        shown.page.goto(path.resolve().as_uri())
        return shown

    yield go
    for context, shown in opened:
        context.close()
        assert shown.asked == []
        assert shown.complaints == []
