"""Derived files are written whole, inside the library, or not at all."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from onlooker.core.errors import StoreError, UsageError
from onlooker.core.observation import Attachment
from onlooker.timeline.media import delete_media, media_bytes, media_files, store_attachment

SOURCE = "ab" * 16


def attachment(name="k/1.jpg", data=b"data"):
    return Attachment(name, data, "image/jpeg")


def test_written_replaced_and_listed(tmp_path):
    path = store_attachment(tmp_path, SOURCE, attachment())
    assert path == f"media/{SOURCE}/k/1.jpg"
    assert store_attachment(tmp_path, SOURCE, attachment(data=b"other")) == path
    assert (tmp_path / path).read_bytes() == b"other"
    assert list(media_files(tmp_path)) == [path]
    assert media_bytes(tmp_path, SOURCE) == 5
    mask = os.umask(0)
    os.umask(mask)
    assert (tmp_path / path).stat().st_mode & 0o777 == 0o666 & ~mask


def test_a_link_does_not_lead_out(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    folder = tmp_path / "library"
    (folder / "media" / SOURCE).mkdir(parents=True)
    (folder / "media" / SOURCE / "k").symlink_to(outside)
    with pytest.raises(UsageError, match="leads out"):
        store_attachment(folder, SOURCE, attachment())
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("source", ["", "..", "../x", "a/b", "/x", ".hidden", "a\0b", "x" * 300])
def test_a_source_id_must_be_a_folder_name(tmp_path, source):
    with pytest.raises(UsageError, match="source id"):
        store_attachment(tmp_path, source, attachment())


def test_deleting_stays_inside(tmp_path):
    (tmp_path / "precious").write_text("x")
    (tmp_path / "media").mkdir()
    path = store_attachment(tmp_path, SOURCE, attachment())
    names = ["precious", "media/../precious", "../x", str(tmp_path / "precious"), path, "media/gone/x"]
    assert delete_media(tmp_path, names) == 1
    assert (tmp_path / "precious").exists()
    assert not (tmp_path / "media" / SOURCE / "k").exists()


def test_a_file_that_does_not_fit_leaves_the_old_one(tmp_path):
    store_attachment(tmp_path, SOURCE, attachment())
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from onlooker.core.observation import Attachment; from onlooker.timeline.media import store_attachment\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "store_attachment(Path(sys.argv[1]), sys.argv[2], Attachment('k/1.jpg', b'x' * 5000, 'image/jpeg'))"
    )
    command = [sys.executable, "-c", code, str(tmp_path), SOURCE]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert "StoreError: cannot write" in done.stderr
    assert [p.read_bytes() for p in (tmp_path / "media").rglob("*") if p.is_file()] == [b"data"]


def test_a_folder_in_the_way_is_an_error(tmp_path):
    (tmp_path / "media").write_text("a file")
    with pytest.raises(StoreError, match="cannot write"):
        store_attachment(tmp_path, SOURCE, attachment())
