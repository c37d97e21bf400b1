"""A package of evidence shows any change, and says which."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import time
import zipfile
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onlooker.cli.main import main
from onlooker.core.errors import SourceError, UsageError
from onlooker.core.event import Event
from onlooker.core.observation import Observation, Producer
from onlooker.core.store import Batch
from onlooker.core.time import Span
from onlooker.events import Journal
from onlooker.recording import (
    Recorder,
    Recordings,
    RecordSettings,
    Subject,
    event_subject,
    make_evidence,
    verify_evidence,
)
from onlooker.recording.manifest import public_key_of
from onlooker.recording.secrets import without_secrets
from onlooker.testing.store_values import source_info
from onlooker.timeline.stores.embedded import EmbeddedStore
from recording.camera import digests
from recording.conftest import SECOND

SOURCE = "a" * 32
EVENT = "ab12cd34" * 4
MADE = datetime(2026, 5, 1, tzinfo=UTC)
CONFIGURATION = {
    "cameras": {"yard": {"url": "rtsp://ann:sesame@10.0.0.5/main?token=sesame", "rate": 5}},
    "sinks": {"phone": {"webhook": {"url": "https://example.org/h", "secret": "sesame"}}},
}


@pytest.fixture(scope="module")
def library(tmp_path_factory, home):
    """A camera's recordings, observations and one event."""
    folder = tmp_path_factory.mktemp("evidence")
    recorder = Recorder(folder, "yard", SOURCE, RecordSettings(mode="continuous", file=20), time.time() - 600)
    home.play(recorder)
    recorder.close()
    producer = Producer("motion", "1", "c" * 32, "d" * 64)
    with EmbeddedStore(folder) as store:
        store.add_source(source_info(SOURCE, "yard"))
        seen = [Observation(Span.of_seconds(t, t + 1), "motion", score=0.5).of(SOURCE, producer, 0) for t in range(60)]
        store.commit(Batch(SOURCE, seen))
    evidence = {"from_seconds": 25.0, "to_seconds": 42.0, "snapshot": f"events/{EVENT}/snapshot.jpg"}
    with Recordings(folder) as recordings:
        evidence |= recordings.clip_evidence(EVENT, "yard", 25 * SECOND, 42 * SECOND)
    (folder / f"events/{EVENT}/snapshot.jpg").write_bytes(b"\xff\xd8picture")
    journal = Journal.open(folder)
    begun = Event(EVENT, "door", SOURCE, "yard", "new", 30 * SECOND, None, "high", evidence=evidence)
    journal.take(begun)
    journal.take(replace(begun, state="end", end=40 * SECOND, number=1))
    journal.close()
    return folder


@pytest.fixture(scope="module")
def package(library, tmp_path_factory):
    """The event's package."""
    out = tmp_path_factory.mktemp("package") / "case.zip"
    journal = Journal.open(library, create=False, read_only=True)
    with Recordings(library) as recordings, EmbeddedStore(library) as store:
        subject = event_subject(journal.get(EVENT).as_dict())
        make_evidence(recordings, store, subject, out, version="1.0", configuration=CONFIGURATION, now=MADE)
    journal.close()
    return out


def problems(path, **options):
    return [(f.problem, f.path) for f in verify_evidence(path, **options).findings]


def test_everything_is_in_it_and_no_secret(library, package, home):
    with zipfile.ZipFile(package) as archive:
        files = {n: archive.read(n) for n in archive.namelist()}
    assert list(files) == [
        "manifest.json", "clip.mp4", "recording.json", "snapshot.jpg", "event.json", "observations.jsonl",
        "producers.json", "models.json", "configuration.json", "software.json",
    ]  # fmt: skip
    clip = digests(io.BytesIO(files["clip.mp4"]))
    expected = [d for t, d in home.pictures if 25 <= t < 42]
    assert clip[: len(expected)] == expected
    assert json.loads(files["event.json"])["id"] == EVENT
    seen = [json.loads(line)["start_seconds"] for line in files["observations.jsonl"].splitlines()]
    assert seen == [float(t) for t in range(25, 42)]
    assert json.loads(files["producers.json"]) == [
        {"analyzer": "motion", "version": "1", "config": "c" * 32, "models": "d" * 64}
    ]
    manifest = json.loads(files["manifest.json"])
    assert manifest["made"] == "2026-05-01T00:00:00+00:00"
    assert manifest["subject"]["event"] == EVENT
    assert b"sesame" not in package.read_bytes()
    assert b"10.0.0.5/main" in files["configuration.json"]


def test_an_untouched_package_is_intact_wherever_it_lies(package, tmp_path):
    copy = tmp_path / "copy.zip"
    shutil.copyfile(package, copy)
    verdict = verify_evidence(copy)
    assert verdict.intact
    assert verdict.files == 9
    assert problems(copy, root=verdict.root.upper()) == []
    assert problems(copy, root="0" * 64) == [("manifest", "manifest.json")]


def test_the_same_is_the_same_to_the_byte(library, package, tmp_path):
    journal = Journal.open(library, create=False, read_only=True)
    with Recordings(library) as recordings, EmbeddedStore(library) as store:
        subject = event_subject(journal.get(EVENT).as_dict())
        out = tmp_path / "again.zip"
        make_evidence(recordings, store, subject, out, version="1.0", configuration=CONFIGURATION, now=MADE)
    journal.close()
    assert out.read_bytes() == package.read_bytes()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255), near_an_end=st.sampled_from([0, 3000, -3000]))
def test_a_changed_byte_anywhere_is_found(package, tmp_path, place, flip, near_an_end):
    data = bytearray(package.read_bytes())
    at = int(place * (abs(near_an_end) or len(data))) + (len(data) - 3000 if near_an_end < 0 else 0)
    data[at] ^= flip
    path = tmp_path / "changed.zip"
    path.write_bytes(data)
    assert not verify_evidence(path).intact, (at, flip)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.floats(0, 1), cut=st.integers(0, 2000), put=st.binary(max_size=50))
def test_bytes_that_are_missing_or_added_are_found(package, tmp_path, at, cut, put):
    data = package.read_bytes()
    start = int(at * len(data))
    changed = data[:start] + put + data[start + cut :]
    path = tmp_path / "changed.zip"
    path.write_bytes(changed)
    assert verify_evidence(path).intact == (changed == data)


def packed(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files:
            archive.writestr(name, data)
    return path


def test_it_says_what_was_done(package, tmp_path):
    with zipfile.ZipFile(package) as archive:
        files = [(n, archive.read(n)) for n in archive.namelist()]
    path = tmp_path / "other.zip"
    assert problems(packed(path, [(n, d) for n, d in files if n != "event.json"])) == [("missing", "event.json")]
    assert problems(packed(path, [*files, ("extra.txt", b"x")])) == [("added", "extra.txt")]
    swapped = [*files[:2], files[3], files[2], *files[4:]]
    assert problems(packed(path, swapped)) == [("reordered", "snapshot.jpg"), ("reordered", "recording.json")]
    other = [(n, d.replace(b"door", b"gate") if n == "event.json" else d) for n, d in files]
    assert problems(packed(path, other)) == [("changed", "event.json")]
    longer = [(n, d + b"\n" if n == "clip.mp4" else d) for n, d in files]
    assert problems(packed(path, longer)) == [("changed", "clip.mp4")]
    # all files as they were, in another wrapping
    assert {p for p, _ in problems(packed(path, files))} == {"container"}
    assert problems(packed(path, files[1:])) == [("manifest", "manifest.json")]
    path.write_bytes(package.read_bytes() + b"\0")
    assert {p for p, _ in problems(path)} == {"container"}
    path.write_bytes(b"no package")
    assert problems(path) == [("container", "other.zip")]


def test_a_manifest_that_was_made_to_fit_has_another_root(package, tmp_path):
    noted = verify_evidence(package).root
    with zipfile.ZipFile(package) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    manifest["software"]["version"] = "2.0"
    data = json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()
    with zipfile.ZipFile(package) as archive:
        files = [(n, data if n == "manifest.json" else archive.read(n)) for n in archive.namelist()]
    verdict = verify_evidence(packed(tmp_path / "forged.zip", files))
    assert [f.detail for f in verdict.findings] == ["its root does not fit what it says"]
    assert noted


def keys(folder, name):
    private, public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(private)], check=True)
    subprocess.run(["openssl", "pkey", "-in", str(private), "-pubout", "-out", str(public)], check=True)
    return private, public


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_signatures(library, tmp_path):
    (key, public), (_, other) = keys(tmp_path, "mine"), keys(tmp_path, "other")
    out = tmp_path / "signed.zip"
    with Recordings(library) as recordings:
        subject = Subject("yard", 5 * SECOND, 8 * SECOND)
        made = make_evidence(recordings, None, subject, out, version="1.0", key=key)
    assert made.public_key == public_key_of(public) == public_key_of(key)
    assert problems(out, public_key=made.public_key) == []
    assert problems(out, public_key=public_key_of(other)) == [("signature", "signature")]
    with zipfile.ZipFile(out) as archive:
        files = [(n, archive.read(n)) for n in archive.namelist()]
    broken = [(n, d[:-1] + bytes([d[-1] ^ 1]) if n == "signature" else d) for n, d in files]
    assert problems(packed(tmp_path / "broken.zip", broken)) == [("signature", "signature")]
    assert problems(packed(tmp_path / "less.zip", [f for f in files if f[0] != "signature"])) == [
        ("missing", "signature")
    ]
    with Recordings(library) as recordings, pytest.raises(UsageError, match="cannot read the key"):
        make_evidence(recordings, None, subject, tmp_path / "no.zip", version="1.0", key=tmp_path / "none.pem")
    assert not (tmp_path / "no.zip").exists()


def test_a_clip_that_was_changed_is_no_evidence(library, tmp_path):
    copy = tmp_path / "library"
    shutil.copytree(library, copy)
    clip = copy / f"events/{EVENT}/clip.mp4"
    clip.write_bytes(clip.read_bytes() + b"\0")
    journal = Journal.open(copy, create=False, read_only=True)
    event = journal.get(EVENT).as_dict()
    journal.close()
    with Recordings(copy) as recordings, pytest.raises(SourceError, match="not as it was cut"):
        make_evidence(recordings, None, event_subject(event), tmp_path / "out.zip", version="1.0")


def test_an_event_that_lasts_has_no_package_yet():
    with pytest.raises(UsageError, match="not ended"):
        event_subject({"id": EVENT, "camera": "yard", "start": 1.0, "end": None, "evidence": {}})
    with pytest.raises(UsageError, match="which camera"):
        event_subject({"id": EVENT, "start": 1.0, "end": 2.0})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            {"password": 1234, "private": True, "token": None},
            {"password": "***", "private": True, "token": None},
        ),
        ("http://u:p@h/x?a=1&api_key=z#f", "http://h/x"),
        ({"headers": {"Authorization": ["Bearer x"]}}, {"headers": {"Authorization": ["***"]}}),
        ("see rtsp://u:p@h/a and rtsp://[u:p@h", "see rtsp://h/a and ***"),
    ],
)
def test_secrets_are_taken_out(value, expected):
    assert without_secrets(value) == expected


def run(*arguments):
    with pytest.raises(SystemExit) as ended:
        main([str(a) for a in arguments])
    return ended.value.code


def test_commands(library, tmp_path, capsys):
    out = tmp_path / "case.zip"
    config = tmp_path / "watch.yaml"
    config.write_text("cameras: {yard: {url: 'rtsp://ann:sesame@h/main'}}\n")
    options = ("--out", out, "--config", config, "--library", library, "--json")
    assert run("evidence", "export", "--event", EVENT[:8], *options) == 0
    root = json.loads(capsys.readouterr().out)["root"]
    assert b"sesame" not in out.read_bytes()
    assert run("evidence", "verify", out, "--root", root, "--json") == 0
    assert json.loads(capsys.readouterr().out)["intact"] is True
    data = bytearray(out.read_bytes())
    data[len(data) // 2] ^= 1
    out.write_bytes(data)
    assert run("evidence", "verify", out) == 1
    assert "changed: clip.mp4" in capsys.readouterr().out
    span = ("--camera", "yard", "--from", "0:05", "--to", "0:09", "--out", out, "--library", library)
    assert run("evidence", "export", *span) == 0
    assert "root " in capsys.readouterr().out
    assert run("evidence", "verify", out) == 0
    assert run("evidence", "export", "--out", out, "--library", library) == 1
    assert run("evidence", "export", "--event", "ffffffff", "--out", out, "--library", library) == 1
    assert run("evidence", "verify", tmp_path / "none.zip") == 1
    assert "is no file" in capsys.readouterr().err
