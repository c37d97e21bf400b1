"""Opening what is there, and refusing what is not a library, damaged, newer, or not writable."""

from __future__ import annotations

import hashlib
import importlib.util
import multiprocessing
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from onlooker.core.errors import PluginError, StoreBusy, StoreError, StoreTooNew
from onlooker.core.store import Batch, Query, RunState
from onlooker.testing.store_values import SOURCE, producer, same_observation, some_observations, source_info, time_key
from onlooker.timeline import open_store
from onlooker.timeline.stores.embedded import EmbeddedStore
from onlooker.timeline.stores.embedded.codec import info_to_json
from onlooker.timeline.stores.embedded.migrations import CURRENT


def old_library():
    spec = importlib.util.spec_from_file_location("old_library", Path(__file__).parent / "old_library.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def digests(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir() if p.is_file()}


def run_code(code, folder):
    command = [sys.executable, "-c", code, str(folder)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


@pytest.fixture
def library(tmp_path):
    folder = tmp_path / "library"
    with EmbeddedStore(folder) as store:
        store.add_source(source_info())
        store.commit(Batch(SOURCE, some_observations(300, producer()), states=[RunState(producer(), complete=True)]))
    return folder


def test_no_library_is_made_unless_asked(tmp_path):
    with pytest.raises(StoreError, match="no library"):
        open_store(tmp_path / "nothing", create=False)
    with pytest.raises(StoreError, match="no library"):
        open_store(tmp_path / "nothing", read_only=True)
    assert not (tmp_path / "nothing").exists()


def test_an_unknown_kind_of_store(tmp_path):
    with pytest.raises(PluginError, match="embedded"):
        open_store(tmp_path, kind="stone-tablets")


def test_a_file_is_not_a_library(tmp_path):
    (tmp_path / "x").write_text("hello")
    with pytest.raises(StoreError, match="is a file"):
        open_store(tmp_path / "x")


@pytest.mark.parametrize("content", [b"not a database, but long enough to look like a file" * 50, b"x"])
def test_what_is_not_a_database_is_left_alone(tmp_path, content):
    (tmp_path / "library.sqlite").write_bytes(content)
    with pytest.raises(StoreError, match="not a library"):
        open_store(tmp_path)
    assert (tmp_path / "library.sqlite").read_bytes() == content


def test_a_database_of_something_else_is_left_alone(tmp_path):
    connection = apsw.Connection(str(tmp_path / "library.sqlite"))
    connection.execute("CREATE TABLE customers (name)")
    connection.close()
    before = digests(tmp_path)
    with pytest.raises(StoreError, match="not a library"):
        open_store(tmp_path)
    assert digests(tmp_path) == before


def test_a_newer_library_is_refused_and_not_touched(library):
    connection = apsw.Connection(str(library / "library.sqlite"))
    connection.execute(f"PRAGMA user_version={CURRENT + 1}")
    connection.close()
    before = digests(library)
    for read_only in (False, True):
        with pytest.raises(StoreTooNew, match="upgrade"):
            open_store(library, read_only=read_only)
    assert digests(library) == before


def test_an_older_library_is_migrated_after_a_copy(tmp_path):
    folder = tmp_path / "library"
    made = [replace(o, text=None) for o in some_observations(200, producer())]
    old_library().make(folder, info_to_json(source_info()), SOURCE, "/old.mp4", made)
    with pytest.raises(StoreError, match="migrate"):
        open_store(folder, read_only=True)
    with EmbeddedStore(folder) as store:
        assert store.migrated_copy is not None
        found = list(store.query(Query()))
        assert all(same_observation(a, b) for a, b in zip(found, sorted(made, key=time_key), strict=True))
        dense = sum(o.kind == "object" for o in made)
        assert store.database.fetch("SELECT sum(count) FROM pack") == [(dense,)]
        assert store.database.fetch("SELECT count(*) FROM observation") == [(len(made) - dense,)]
        # writing again finds everything there, rows and packs alike
        store.commit(Batch(SOURCE, made))
        assert sum(store.counts().values()) == len(made)
        assert len(store.search_text("person", Query())) == sum(o.label == "person" for o in made)
        assert store.check().ok
        copy = apsw.Connection(str(store.migrated_copy))
        assert copy.execute("PRAGMA user_version").fetchall() == [(1,)]
        assert copy.execute("SELECT count(*) FROM observation").fetchall() == [(len(made),)]
        copy.close()
    with EmbeddedStore(folder) as store:
        assert store.migrated_copy is None


def test_a_migration_that_fails_leaves_the_old_library(tmp_path, monkeypatch):
    folder = tmp_path / "library"
    made = [replace(o, text=None) for o in some_observations(30, producer())]
    old_library().make(folder, info_to_json(source_info()), SOURCE, "/old.mp4", made)

    def fail(*_):
        raise apsw.FullError("disk")

    monkeypatch.setattr("onlooker.timeline.stores.embedded.packing.pack_rows", fail)
    with pytest.raises(StoreError, match="full"):
        EmbeddedStore(folder)
    monkeypatch.undo()
    assert list(folder.glob("*.backup-*")) == []
    with EmbeddedStore(folder) as store:
        assert len(list(store.query(Query()))) == 30


def _open_and_count(folder):
    with EmbeddedStore(folder) as store:
        assert sum(store.counts().values()) in (0, 30)


@pytest.mark.parametrize("old", [False, True])
def test_several_processes_open_at_once(tmp_path, old):
    folder = tmp_path / "library"
    if old:
        made = [replace(o, text=None) for o in some_observations(30, producer())]
        old_library().make(folder, info_to_json(source_info()), SOURCE, "/old.mp4", made)
    code = (
        "import sys; from onlooker.timeline import open_store\n"
        "s = open_store(sys.argv[1]); print(sum(s.counts().values())); s.close()"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    results = [child.communicate(timeout=120) for child in children]
    assert [out.decode().strip() for out, _ in results] == ["30" if old else "0"] * 4, results
    assert len(list(folder.glob("*.backup-*"))) == int(old)


def test_a_damaged_library_says_so(library):
    path = library / "library.sqlite"
    content = bytearray(path.read_bytes())
    for at in range(8192, len(content), 4096):
        content[at : at + 2048] = os.urandom(2048)
    path.write_bytes(content)
    with pytest.raises(StoreError, match="damaged") as caught:
        use_all(library)
    assert caught.value.hint


def test_a_truncated_library_says_so(library):
    path = library / "library.sqlite"
    os.truncate(path, path.stat().st_size // 2 + 100)
    with pytest.raises(StoreError, match="damaged"):
        use_all(library)


def use_all(folder):
    with EmbeddedStore(folder) as store:
        list(store.query(Query()))
        found = store.check()
        if not found.ok:
            raise StoreError(f"damaged: {found.damage[0]}", hint="seen by check")


def test_reading_from_a_folder_that_cannot_be_written(library, tmp_path):
    """As another user, since nothing is forbidden to root."""
    code = (
        "import os, sys\n"
        "from onlooker.timeline import open_store\n"
        "import onlooker.timeline.stores.embedded\n"
        "from onlooker.core.store import Query, Batch\n"
        "from onlooker.core.errors import StoreError\n"
        "if os.getuid() == 0: os.setgid(65534); os.setuid(65534)\n"
        "store = open_store(sys.argv[1], read_only=True)\n"
        "print(len(list(store.query(Query()))), len(store.search_text('打架', Query())))\n"
        "for write in (lambda: store.cache_id('a', 1, 2, 'b'), lambda: open_store(sys.argv[1])):\n"
        "    try: write()\n"
        "    except StoreError as error: print('refused')\n"
    )
    for folder in (library, *list(library.parents)[:3]):
        folder.chmod(0o555 if folder == library else 0o755)
    (library / "library.sqlite").chmod(0o444)
    try:
        done = run_code(code, library)
    finally:
        library.chmod(0o755)
    if "Permission denied" in done.stderr:
        pytest.skip("another user may not read this interpreter")
    assert done.stdout.split() == ["300", "43", "refused", "refused"], done.stderr


def test_reading_only_changes_nothing(library):
    before = digests(library)
    with EmbeddedStore(library, read_only=True) as store:
        assert len(list(store.query(Query()))) == 300
        with pytest.raises(StoreError, match="reading only"):
            store.commit(Batch(SOURCE, some_observations(1, producer("other"))))
    assert digests(library)["library.sqlite"] == before["library.sqlite"]


def test_a_full_disk_leaves_the_last_state(library):
    with EmbeddedStore(library) as store:
        ((pages,),) = store.database.writer.execute("PRAGMA page_count")
        list(store.database.writer.execute(f"PRAGMA max_page_count={pages + 5}"))
        more = [replace(o, text="x" * 5000) for o in some_observations(200, producer("other"))]
        with pytest.raises(StoreError, match="disk is full"):
            store.commit(Batch(SOURCE, more))
        assert sum(store.counts().values()) == 300
        list(store.database.writer.execute("PRAGMA max_page_count=1000000"))
        store.commit(Batch(SOURCE, more))
        assert sum(store.counts().values()) == 500
        assert store.check().ok


def test_a_file_size_limit_is_an_error_and_no_damage(library):
    code = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))\n"
        "from onlooker.timeline import open_store\n"
        "from onlooker.core.store import Batch\n"
        "from onlooker.core.errors import StoreError\n"
        "from onlooker.testing.store_values import SOURCE, producer, some_observations\n"
        "from dataclasses import replace\n"
        "store = open_store(sys.argv[1])\n"
        "try:\n"
        "    for i in range(100):\n"
        "        made = some_observations(200, producer('other'))\n"
        "        store.commit(Batch(SOURCE, [replace(o, text='word ' * 100, ordinal=i) for o in made]))\n"
        "except StoreError as error: print('StoreError', error)\n"
    )
    done = run_code(code, library)
    assert done.stdout.startswith("StoreError"), done.stderr
    with EmbeddedStore(library) as store:
        assert len(list(store.query(Query(analyzers=("shots",))))) == 300
        assert sum(store.counts().values()) % 200 == 100  # whole batches only
        assert store.check().ok


def test_a_library_that_is_held_too_long(library):
    with EmbeddedStore(library) as first, EmbeddedStore(library, busy_seconds=0.1) as second:
        with first.database.transaction():
            with pytest.raises(StoreBusy, match="held"):
                second.cache_id("/a", 1, 2, SOURCE)
            assert len(list(second.query(Query()))) == 300  # readers do not wait
        second.cache_id("/a", 1, 2, SOURCE)


def test_a_reading_thread_does_not_wait_for_a_writing_one(library):
    with EmbeddedStore(library) as store:
        found = []
        with store.database.transaction():
            thread = threading.Thread(target=lambda: found.append(sum(store.counts().values())))
            thread.start()
            thread.join(20)
        assert found == [300]


def test_a_forked_child_has_connections_of_its_own(library):
    with EmbeddedStore(library) as store:
        next(store.query(Query()))
        code = multiprocessing.get_context("fork").Process(target=_write_in_child, args=(store,))
        code.start()
        code.join(60)
        assert code.exitcode == 0
        assert store.cached_id("/child", 1, 2) == SOURCE
        assert store.check().ok


def _write_in_child(store):
    assert len(list(store.query(Query()))) == 300
    store.cache_id("/child", 1, 2, SOURCE)


def test_a_moved_library_keeps_its_media_paths(library, tmp_path):
    shutil.move(library, tmp_path / "elsewhere")
    with EmbeddedStore(tmp_path / "elsewhere") as store:
        assert len(list(store.query(Query()))) == 300


def test_using_a_closed_store(library):
    store = EmbeddedStore(library)
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.counts()
