"""Evidence: a stretch of a camera, or an event, in one package that shows any later change."""

from __future__ import annotations

import json
import platform
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from onlooker.core.errors import SourceError, UsageError
from onlooker.core.observation import Json, Observation
from onlooker.core.store import Query, Store
from onlooker.core.time import NANOSECONDS, Span, Timestamp
from onlooker.recording.manifest import FORMAT, Manifest, canonical, chained, public_key_of, sign
from onlooker.recording.package import Member, measure, write_package
from onlooker.recording.places import event_folder
from onlooker.recording.recordings import Recordings, file_sha256
from onlooker.recording.secrets import without_secrets

__all__ = ["Evidence", "Subject", "event_subject", "make_evidence"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Subject:
    """What is to be shown.

    Args:
        camera: its name.
        start, end: nanoseconds of the camera.
        event: an event's public form (`Event.as_dict` and what the journal adds), or None for a stretch.
    """

    camera: str
    start: int
    end: int
    event: Mapping[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was written: the package, its root hash, and the files in it."""

    path: Path
    root: str
    files: tuple[str, ...]
    public_key: str | None = None

    def as_dict(self) -> dict[str, Json]:
        """The public JSON form."""
        return {
            "path": str(self.path),
            "root": self.root,
            "files": [*self.files],
            "public_key": self.public_key,
        }


@dataclass(slots=True)
class _Contents:
    members: list[tuple[Member, Path | bytes]] = field(default_factory=list[tuple[Member, Path | bytes]])

    def add(self, name: str, content: Path | bytes) -> None:
        self.members.append((measure(name, content), content))

    def add_json(self, name: str, value: Any) -> None:
        self.add(name, json.dumps(value, indent=1, sort_keys=True).encode() + b"\n")


def event_subject(event: Mapping[str, Json]) -> Subject:
    """The stretch that an event's evidence wants kept, else from its start to its end.

    Args:
        event: its public form; times in seconds of the camera.

    Raises:
        UsageError: it does not say which camera or when.
    """
    said = event.get("evidence")
    evidence: Mapping[str, Any] = said if isinstance(said, dict) else {}
    start = evidence.get("from_seconds", event.get("start"))
    end = evidence.get("to_seconds") or event.get("end")
    if not isinstance(start, int | float) or not isinstance(event.get("camera"), str):
        raise UsageError("the event does not say of which camera it is, or when it began", hint="export a stretch")
    if not isinstance(end, int | float):
        raise UsageError("the event has not ended yet", hint="export a stretch with --camera, --from and --to")
    return Subject(str(event["camera"]), round(start * 1e9), max(round(end * 1e9), round(start * 1e9) + 1), event)


def make_evidence(
    recordings: Recordings,
    store: Store | None,
    subject: Subject,
    out: Path,
    *,
    version: str,
    configuration: Mapping[str, Any] | None = None,
    models: Sequence[Mapping[str, Json]] = (),
    key: Path | None = None,
    now: datetime | None = None,
) -> Evidence:
    """Write a package: clip, event, observations, what made them, configuration and version, under one manifest.

    Args:
        recordings: of the library.
        store: of its observations; None leaves them out.
        subject: what is to be shown.
        out: the package to write, a ZIP file.
        version: of onlooker.
        configuration: what the cameras were watched with; secrets are taken out of it.
        models: the models at hand, with their digests.
        key: PEM file of an Ed25519 private key that signs the manifest.
        now: the time to write into it; the clock's by default.

    Raises:
        UsageError: no such camera, or the key cannot be used.
        SourceError: nothing is recorded there, a clip is not as it was cut, or the package cannot be written.
    """
    public_key = public_key_of(key) if key is not None else None
    contents = _Contents()
    with tempfile.TemporaryDirectory(prefix="onlooker-evidence-") as scratch:
        try:
            _media(contents, recordings, subject, Path(scratch))
            if subject.event is not None:
                contents.add_json("event.json", without_secrets(dict(subject.event)))
            if store is not None:
                _observations(contents, store, recordings.source(subject.camera), subject)
            contents.add_json("models.json", list(models))
            contents.add_json("configuration.json", _configuration(recordings, subject.camera, configuration))
            software = {"onlooker": version, "python": platform.python_version(), "system": platform.platform()}
            contents.add_json("software.json", software)
            members = [m for m, _ in contents.members]
            manifest = _manifest(recordings, subject, members, version, public_key, now or datetime.now(UTC))
            data = manifest.bytes()
            front: list[tuple[Member, Path | bytes]] = [(measure("manifest.json", data), data)]
            if key is not None:
                signature = sign(data, key)
                front.append((measure("signature", signature), signature))
            write_package(out, [*front, *contents.members])
        except OSError as error:
            raise SourceError(f"cannot write {out}: {error.strerror or error}", hint="check the disk") from None
    return Evidence(out, manifest.root, tuple(f.path for f in manifest.files), public_key)


def _manifest(
    recordings: Recordings,
    subject: Subject,
    members: Sequence[Member],
    version: str,
    public_key: str | None,
    now: datetime,
) -> Manifest:
    zero = recordings.zero(subject.camera)
    said: dict[str, Json] = {
        "event": None if subject.event is None else subject.event.get("id"),
        "camera": subject.camera,
        "source": recordings.source(subject.camera),
        "from_seconds": round(subject.start / 1e9, 6),
        "to_seconds": round(subject.end / 1e9, 6),
        "wall_from": _wall(zero, subject.start),
        "wall_to": _wall(zero, subject.end),
    }
    manifest = Manifest(
        format=FORMAT,
        made=now.astimezone(UTC).isoformat(timespec="seconds"),
        software={"name": "onlooker", "version": version},
        subject=json.loads(canonical(said)),
        files=chained(members),
        public_key=public_key,
        root="0" * 64,
    )
    return manifest.model_copy(update={"root": manifest.right_root()})


def _wall(zero: float, time: int) -> str:
    return (_EPOCH + timedelta(seconds=zero, microseconds=time // 1000)).isoformat(timespec="milliseconds")


def _media(contents: _Contents, recordings: Recordings, subject: Subject, scratch: Path) -> None:
    clip = _kept_clip(recordings, subject)
    if clip is None:
        clip = scratch / "clip.mp4"
        pieces = recordings.export_pieces(subject.camera, subject.start, subject.end, clip)
        shown: Json = [{"at": p.at / 1e9, "start": p.start / 1e9, "end": p.end / 1e9} for p in pieces]
    else:
        shown = None
    contents.add("clip.mp4", clip)
    segments = recordings.segments(subject.camera, subject.start, subject.end)
    gaps = recordings.gaps(subject.camera, subject.start, subject.end)
    zero = recordings.zero(subject.camera)
    contents.add_json(
        "recording.json",
        {
            "camera": subject.camera,
            "wall_zero": _wall(zero, 0),
            "clip_pieces": shown,
            "files": [s.as_dict() for s in segments],
            "gaps": [g.as_dict() for g in gaps],
        },
    )
    if subject.event is not None:
        snapshot = event_folder(recordings.folder, str(subject.event.get("id", ""))) / "snapshot.jpg"
        if snapshot.is_file():
            contents.add("snapshot.jpg", snapshot)


def _kept_clip(recordings: Recordings, subject: Subject) -> Path | None:
    """The event's clip, if one was cut and is as it was."""
    if subject.event is None:
        return None
    path = event_folder(recordings.folder, str(subject.event.get("id", ""))) / "clip.mp4"
    if not path.is_file():
        return None
    evidence = subject.event.get("evidence")
    noted = evidence.get("clip_sha256") if isinstance(evidence, dict) else None
    if isinstance(noted, str) and noted != file_sha256(path):
        hint = "it is no evidence; export the stretch with --camera, --from and --to"
        raise SourceError(f"{path} is not as it was cut", hint=hint)
    return path


def _observations(contents: _Contents, store: Store, source: str, subject: Subject) -> None:
    span = Span(Timestamp(subject.start, NANOSECONDS), Timestamp(subject.end, NANOSECONDS))
    found = [] if all(s.info.id != source for s in store.sources()) else list(store.query(Query((source,), span=span)))
    lines = [json.dumps(o.as_dict(), ensure_ascii=False, sort_keys=True) for o in found]
    contents.add("observations.jsonl", "".join(line + "\n" for line in lines).encode())
    contents.add_json("producers.json", _producers(found))


def _producers(observations: Iterable[Observation]) -> list[Json]:
    known = {o.producer for o in observations if o.producer is not None}
    return [
        {"analyzer": p.analyzer, "version": p.version, "config": p.config, "models": p.bundle}
        for p in sorted(known, key=lambda p: (p.analyzer, p.version, p.config, p.bundle or ""))
    ]


def _configuration(recordings: Recordings, camera: str, given: Mapping[str, Any] | None) -> Json:
    return {
        "recording": recordings.settings(camera).model_dump(mode="json"),
        "watch": None if given is None else without_secrets(dict(given)),
    }
