"""People: who is who over the whole library. Everything here takes a role over everything."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, File, Form, Path, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from onlooker.api.guard import AdminOverall, OperatorOverall, Ours, ViewerOverall
from onlooker.api.models import Strict
from onlooker.api.problems import not_found, responses
from onlooker.core.errors import UsageError

if TYPE_CHECKING:
    from onlooker.people import People, Redecided

__all__ = ["router"]

router = APIRouter(prefix="/api/v1/people", tags=["people"])
PersonName = Annotated[str, Path(max_length=200, pattern=r"^[^\x00-\x1f]{1,200}$")]
_Text = Annotated[str, Field(min_length=1, max_length=300)]
_MOST = 20


class Person(BaseModel):
    """Somebody of the library."""

    model_config = ConfigDict(extra="allow")
    name: str
    unknown: bool
    enrolled_faces: int
    enrolled_voices: int
    tracks: int
    sources: int
    seconds: float
    picture: str | None


class PersonDetail(Person):
    """Somebody with all appearances: observations with ``path`` and ``picture``."""

    appearances: list[dict[str, Any]]


class PeopleList(BaseModel):
    """Those with a name, then the unknown ones."""

    people: list[Person]


class Decided(BaseModel):
    """What a change came to: tracks that were decided anew, and those that changed."""

    tracks_decided: int
    tracks_changed: int
    sources_without_identity: int


class Enrolled(Decided):
    """Somebody enrolled."""

    name: str
    enrolled_faces: int
    enrolled_voices: int
    warnings: list[str]


class SplitOff(Decided):
    """Who was split off."""

    split: str


class Forgotten(BaseModel):
    """What was removed for good; ``copies`` are old copies of the database that hold it still."""

    forgotten: str
    tracks: int
    observations: int
    measurements: int
    pictures: int
    copies: list[str]
    texts_with_the_name: int


class Naming(Strict):
    """Who somebody is: ``what`` is ``unknown-N``, ``SOURCE@TRACK`` or an observation's id."""

    what: _Text
    name: _Text


class Merging(Strict):
    """Two who are one."""

    name: _Text
    other: _Text


class Splitting(Strict):
    """Tracks (``SOURCE@TRACK``) that are somebody else; none: the two groups that are the least alike."""

    name: _Text
    tracks: list[_Text] = Field(default_factory=list, max_length=1000)


class Rejecting(Strict):
    """A track that is not this person."""

    name: _Text
    track: _Text


def _people(context: Ours) -> People:
    from onlooker.people import People

    return People(context.store)


def _decided(done: Redecided) -> dict[str, Any]:
    return {
        "tracks_decided": done.tracks,
        "tracks_changed": done.changed,
        "sources_without_identity": done.undecided,
    }


@router.get("", response_model=PeopleList)
def list_people(context: Ours, _: ViewerOverall) -> dict[str, Any]:
    """The people of the library, those without a name too."""
    return {"people": [p.as_dict() for p in _people(context).list()]}


@router.post("", response_model=Enrolled, responses=responses(400, 409))
def enroll(
    context: Ours,
    _: AdminOverall,
    name: Annotated[str, Form(min_length=1, max_length=100)],
    pictures: Annotated[list[UploadFile], File(max_length=_MOST, description="With this face alone.")] = [],  # noqa: B006
    voices: Annotated[list[UploadFile], File(max_length=_MOST, description="With this voice alone.")] = [],  # noqa: B006
) -> dict[str, Any]:
    """Enrol somebody by pictures of the face, recordings of the voice, or both; again to add more."""
    with _written(pictures, "picture") as faces, _written(voices, "voice") as heard:
        done = _people(context).enroll(name, faces, heard)
    return {
        "name": done.name,
        "enrolled_faces": done.faces,
        "enrolled_voices": done.voices,
        "warnings": list(done.warnings),
        **_decided(done.redecided),
    }


@contextmanager
def _written(uploads: Sequence[UploadFile], stem: str) -> Iterator[list[str]]:
    """The uploads as files; the names that the caller gave them are not used."""
    with tempfile.TemporaryDirectory(prefix="onlooker-enroll-") as folder:
        paths: list[str] = []
        for number, upload in enumerate(uploads):
            path = FilePath(folder) / f"{stem}-{number}"
            with path.open("wb") as file:
                shutil.copyfileobj(upload.file, file)
            paths.append(str(path))
        yield paths


@router.post("/name", response_model=Decided, responses=responses(400))
def name_somebody(context: Ours, _: OperatorOverall, body: Naming) -> dict[str, Any]:
    """Say who an unknown person or a track is."""
    return _decided(_people(context).name(body.what, body.name))


@router.post("/merge", response_model=Decided, responses=responses(400))
def merge(context: Ours, _: OperatorOverall, body: Merging) -> dict[str, Any]:
    """Say that two are one person; the first name stays."""
    return _decided(_people(context).merge(body.name, body.other))


@router.post("/split", response_model=SplitOff, responses=responses(400))
def split(context: Ours, _: OperatorOverall, body: Splitting) -> dict[str, Any]:
    """Say that some of a person's tracks are somebody else."""
    fresh, done = _people(context).split(body.name, body.tracks)
    return {"split": fresh, **_decided(done)}


@router.post("/reject", response_model=Decided, responses=responses(400))
def reject(context: Ours, _: OperatorOverall, body: Rejecting) -> dict[str, Any]:
    """Say that a track is not this person; it is remembered."""
    return _decided(_people(context).reject(body.name, body.track))


@router.get("/{name:path}", response_model=PersonDetail, responses=responses(404))
def get_person(context: Ours, _: ViewerOverall, name: PersonName) -> dict[str, Any]:
    """Somebody with all appearances."""
    try:
        found = _people(context).show(name)
    except UsageError:
        raise not_found("person") from None
    return {**found.as_dict(), "appearances": [a.as_dict() for a in found.appearances]}


@router.delete("/{name:path}", response_model=Forgotten, responses=responses(404))
def forget(context: Ours, _: AdminOverall, name: PersonName) -> dict[str, Any]:
    """Remove somebody from the library for good: name, vectors, tracks, and the face in its pictures."""
    people = _people(context)
    try:
        people.check_known(name)
    except UsageError:
        raise not_found("person") from None
    done = people.forget(name)
    return {
        "forgotten": done.name,
        "tracks": done.tracks,
        "observations": done.observations,
        "measurements": done.measurements,
        "pictures": done.pictures,
        "copies": [str(c) for c in done.copies],
        "texts_with_the_name": done.said,
    }
