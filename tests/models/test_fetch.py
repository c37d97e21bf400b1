"""Every kind of source, served by the test itself; what is wrong is refused and leaves nothing behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from models.serving import serving, sha, tarred, wheel, zipped
from onlooker.core.errors import ModelError
from onlooker.models.entries import Entry, ModelSource
from onlooker.models.fetch import pull_entry

MODEL = bytes(range(256)) * 400


def entry_of(*sources: ModelSource, data: bytes = MODEL, file: str = "m.onnx") -> Entry:
    return Entry(
        name="m", title="t", task="t", licence="MIT", file=file, sha256=sha(data), size=len(data), sources=sources
    )


def left_over(cache) -> list[str]:
    return sorted(p.name for p in cache.rglob("*") if p.is_file() and not p.name.endswith((".lock", ".part")))


@pytest.fixture
def server():
    with serving() as state:
        yield state


def https(server, path: str, data: bytes = MODEL, **more) -> ModelSource:
    return ModelSource(kind="https", location=server.address + path, sha256=sha(data), **more)


def test_a_file_on_a_server_is_fetched_once(cache, server):
    server.files["/m"] = MODEL
    entry = entry_of(https(server, "/m"))
    assert pull_entry(entry).read_bytes() == MODEL
    assert pull_entry(entry).read_bytes() == MODEL
    assert len(server.asked) == 1
    assert left_over(cache) == ["m.onnx"]


def test_a_cut_download_goes_on_where_it_stopped(cache, server):
    server.files["/m"], server.cut["/m"] = MODEL, 1
    assert pull_entry(entry_of(https(server, "/m"))).read_bytes() == MODEL
    assert server.asked == [("/m", None), ("/m", f"bytes={len(MODEL) // 2}-")]


def test_a_download_that_stays_cut_is_never_seen_as_complete(cache, server):
    server.files["/m"], server.cut["/m"] = MODEL, 99
    entry = entry_of(https(server, "/m"))
    with pytest.raises(ModelError, match="cut off"):
        pull_entry(entry)
    assert left_over(cache) == []
    server.cut["/m"] = 0
    assert pull_entry(entry).read_bytes() == MODEL
    assert server.asked[-1][1] is not None, "the next pull starts from what is there"


def test_altered_bytes_are_refused_and_the_next_source_is_tried(cache, server):
    server.files |= {"/bad": MODEL[:-1] + b"x", "/good": MODEL}
    with pytest.raises(ModelError, match="expected sha256"):
        pull_entry(entry_of(https(server, "/bad")))
    assert left_over(cache) == []
    assert pull_entry(entry_of(https(server, "/bad"), https(server, "/good"))).read_bytes() == MODEL


def test_a_file_larger_than_named_is_not_read_to_its_end(cache, server):
    server.files["/huge"] = MODEL + bytes(8 << 20)
    with pytest.raises(ModelError, match="larger than"):
        pull_entry(entry_of(https(server, "/huge")))
    assert not list(cache.glob("*.part"))


def test_redirects_leave_https_for_nothing_else(cache, server):
    server.redirects["/m"] = "http://198.51.100.1/m"
    with pytest.raises(ModelError, match="not https"):
        pull_entry(entry_of(https(server, "/m")))
    server.redirects["/m"] = "file:///etc/passwd"
    with pytest.raises(ModelError, match="not"):
        pull_entry(entry_of(https(server, "/m")))
    server.redirects["/m"], server.files["/n"] = server.address + "/n", MODEL
    assert pull_entry(entry_of(https(server, "/m"))).read_bytes() == MODEL


@pytest.mark.parametrize("address", ["http://198.51.100.1/m", "ftp://198.51.100.1/m", "file:///etc/passwd"])
def test_plain_addresses_are_refused(cache, address):
    source = ModelSource(kind="https", location=address, sha256=sha(MODEL))
    with pytest.raises(ModelError, match="not an https address"):
        pull_entry(entry_of(source))


def test_a_hub_is_asked_by_its_usual_addresses(cache, server, monkeypatch):
    source = ModelSource(kind="hub", repository="a/b", revision="v1", location="x/m.onnx", sha256=sha(MODEL))
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    with pytest.raises(ModelError, match="HF_ENDPOINT"):
        pull_entry(entry_of(source))
    monkeypatch.setenv("HF_ENDPOINT", server.address)
    server.files["/a/b/resolve/v1/x/m.onnx"] = MODEL
    assert pull_entry(entry_of(source)).read_bytes() == MODEL


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_archives_are_read_by_name_and_never_unpacked(cache, server, pack, tmp_path):
    outside = "../../escaped"
    data = pack({outside: MODEL, "in/m.bin": MODEL})
    server.files["/a"] = data
    source = https(server, "/a", data, members={outside: sha(MODEL)})
    assert pull_entry(entry_of(source)).read_bytes() == MODEL
    assert not list(tmp_path.rglob("escaped")), "a name in an archive became a path"
    altered = https(server, "/a", data, members={"in/m.bin": sha(b"else")})
    (cache / "m.onnx").unlink()
    with pytest.raises(ModelError, match=r"in/m\.bin in .*expected sha256"):
        pull_entry(entry_of(altered))
    with pytest.raises(ModelError, match="does not hold"):
        pull_entry(entry_of(https(server, "/a", data, members={"absent": sha(MODEL)})))


def test_an_archive_within_an_archive(cache, server):
    data = zipped({"data/inner.zip": zipped({"f/m.onnx": MODEL})})
    server.files["/a"] = data
    source = https(server, "/a", data, members={"data/inner.zip!f/m.onnx": sha(MODEL)})
    assert pull_entry(entry_of(source)).read_bytes() == MODEL


def test_a_wheel_comes_through_the_users_own_pip(cache, tmp_path, monkeypatch):
    name, data = wheel("onlooker_sample", "1.0", {"onlooker_sample/m.onnx": MODEL})
    (tmp_path / name).write_bytes(data)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    members = {"onlooker_sample/m.onnx": sha(MODEL)}
    source = ModelSource(kind="wheel", package="onlooker-sample", version="1.0", sha256=sha(data), members=members)
    assert pull_entry(entry_of(source)).read_bytes() == MODEL
    absent = source.model_copy(update={"version": "2.0"})
    (cache / "m.onnx").unlink()
    with pytest.raises(ModelError, match=r"wheel onlooker-sample 2\.0"):
        pull_entry(entry_of(absent))


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_an_npm_package_comes_through_the_users_own_npm(cache, server, monkeypatch, tmp_path):
    facts = {"name": "onlooker-sample", "version": "1.0.0"}
    data = tarred({"package/package.json": json.dumps(facts).encode(), "package/m.onnx": MODEL})
    server.files["/onlooker-sample.tgz"] = data
    listed = {**facts, "dist": {"tarball": server.address + "/onlooker-sample.tgz"}}
    page = {"name": facts["name"], "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": listed}}
    server.files["/onlooker-sample"] = json.dumps(page).encode()
    monkeypatch.setenv("npm_config_registry", server.address)
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
    members = {"package/m.onnx": sha(MODEL)}
    source = ModelSource(kind="npm", package="onlooker-sample", version="1.0.0", sha256=sha(data), members=members)
    assert pull_entry(entry_of(source)).read_bytes() == MODEL


def test_without_npm_the_message_says_so(cache, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    source = ModelSource(kind="npm", package="p", version="1.0.0", sha256=sha(b""), members={"m": sha(b"")})
    with pytest.raises(ModelError, match="npm is not installed"):
        pull_entry(entry_of(source))


@pytest.mark.parametrize(
    "wrong",
    [
        {"package": "--index-url=x", "version": "1"},
        {"package": "../folder", "version": "1"},
        {"package": "p", "version": "1 --pre"},
        {"package": "p"},
    ],
)
def test_nothing_but_packages_reaches_the_clients(wrong):
    with pytest.raises(ValueError, match=r"package|version"):
        ModelSource(kind="wheel", sha256=sha(b""), members={"m": sha(b"")}, **wrong)


def test_a_full_disk_leaves_the_old_state(cache, tmp_path, monkeypatch):
    (tmp_path / "m").write_bytes(MODEL)
    source = ModelSource(kind="file", location=str(tmp_path / "m"), sha256=sha(MODEL))

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(ModelError, match="No space left"):
        pull_entry(entry_of(source))
    assert left_over(cache) == []
    monkeypatch.undo()
    monkeypatch.setenv("ONLOOKER_CACHE", str(cache))
    assert pull_entry(entry_of(source)).read_bytes() == MODEL


def test_several_processes_pull_at_once_and_fetch_once(cache, server):
    server.files["/m"] = MODEL
    entry = entry_of(https(server, "/m"))
    script = (
        "import sys; from onlooker.models.entries import Entry;"
        "from onlooker.models.fetch import pull_entry, file_sha256;"
        "print(file_sha256(pull_entry(Entry.model_validate_json(sys.argv[1]))))"
    )
    command = [sys.executable, "-c", script, entry.model_dump_json()]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [worker.communicate(timeout=60)[0].strip() for worker in workers] == [sha(MODEL)] * 3
    assert len(server.asked) == 1


def test_a_killed_pull_leaves_nothing_that_looks_complete(cache, tmp_path):
    (tmp_path / "m").write_bytes(MODEL)
    good = ModelSource(kind="file", location=str(tmp_path / "m"), sha256=sha(MODEL))
    entry = entry_of(good)
    child = os.fork()
    if child == 0:
        os.environ["ONLOOKER_CACHE"] = str(cache)

        def stuck(source, target):
            with open(target, "wb") as file:
                file.write(MODEL[: len(MODEL) // 2])
                file.flush()
                (tmp_path / "half").touch()
                time.sleep(60)

        shutil.copyfile = stuck
        pull_entry(entry)
        os._exit(1)
    while not (tmp_path / "half").exists():
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert not (cache / "m.onnx").exists()
    assert pull_entry(entry).read_bytes() == MODEL
    assert left_over(cache) == ["m.onnx"]
