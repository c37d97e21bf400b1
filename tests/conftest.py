"""What all tests share: where the labelled sets lie, and what to do without them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# how long an example takes says nothing of what is tried; in CI the examples are the same each time
settings.register_profile("untimed", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

DATA = Path(os.environ.get("ONLOOKER_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")


@pytest.fixture(scope="session")
def data():
    """Look up a file or folder of the labelled sets: ``data("clips/carphone.mp4")``.

    Missing sets fail in CI and skip on a user's machine.
    """

    def find(relative: str) -> Path:
        path = DATA / relative
        if path.exists():
            return path
        message = f"the set {relative} is not in {DATA}; set ONLOOKER_DATA to the folder that holds it"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)

    return find


@pytest.fixture(scope="session")
def chromium():
    """The browser; missing it fails in CI and skips on a user's machine."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is not installed")
        pytest.skip("chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()
