"""What a library remembers of its privacy setting, and how the setting is carried out.

The setting is the library's: it holds for all its sources, and each run can only tighten it. Who wants to keep more
again says so (`forget_policy`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from onlooker.core.errors import StoreError
from onlooker.core.measurement import Measurement
from onlooker.core.observation import Attachment, Observation
from onlooker.core.store import Query, Store
from onlooker.models import model_path
from onlooker.pipeline.profile import Privacy
from onlooker.redaction.look import models_for
from onlooker.redaction.pictures import PictureCover, is_picture

__all__ = ["PolicyKeeper", "adopt", "forget_policy", "library_policy", "open_keeper"]

_COLLECTION, _KEY = "privacy", "policy"
_OF_FACES = frozenset({"face_track", "face", "identity"})
_OF_WHAT_IS_SAID = frozenset({"text", "image"})
"""Labels of embeddings that tell what something means, not whose face or voice it is."""
_UNKNOWN_PEOPLE = "people.unknown"


def library_policy(store: Store) -> Privacy | None:
    """The library's setting, or None.

    Raises:
        StoreError: it was written by something else; nothing may be shown then.
    """
    found = store.records(_COLLECTION).get(_KEY)
    if found is None:
        return None
    try:
        return Privacy.model_validate(found)
    except ValidationError as error:
        raise StoreError(
            f"the privacy setting of {store.folder} cannot be read: {error.errors()[0]['msg']}",
            hint="use the onlooker that wrote it",
        ) from None


def forget_policy(store: Store) -> None:
    """Keep everything from now on; what was hidden or erased stays so until it is analysed again."""
    store.put_records(_COLLECTION, {_KEY: None})


def adopt(store: Store, privacy: Privacy, threads: int = 2) -> None:
    """Remember a setting, joined with the one that is there, and carry it out on what the library holds already.

    Raises:
        ModelMissing: what hides is not there yet; nothing was remembered or changed.
    """
    before = library_policy(store) or Privacy()
    now = before.joined(privacy)
    for name in models_for(now.hide):
        model_path(name)
    store.put_records(_COLLECTION, {_KEY: now.model_dump(mode="json")})
    if set(now.hide) - set(before.hide) or (before.best_shots and not now.best_shots):
        _hide_stored(store, now, before, threads)
    if before.keep_embeddings and not now.keep_embeddings:
        _erase_vectors(store, ())
        _erase_vector_measurements(store)


def open_keeper(store: Store, threads: int) -> PolicyKeeper | None:
    """See `onlooker.pipeline.keeping.OpenKeeper`."""
    policy = library_policy(store)
    return None if policy is None or policy == Privacy() else PolicyKeeper(policy, threads)


class PolicyKeeper:
    """Carries a setting out while a run stores; see `onlooker.pipeline.keeping.Keeper`. Detectors are loaded when the
    first picture comes.
    """

    def __init__(self, policy: Privacy, threads: int = 2) -> None:
        self._policy, self._threads = policy, threads
        self._pictures: PictureCover | None = None

    def observation(self, observation: Observation) -> Observation:
        """Without its vector, where it tells whose face or voice it is and that is not kept."""
        o = observation
        if o.kind != "embedding" or self._policy.keep_embeddings or o.label in _OF_WHAT_IS_SAID:
            return o
        return replace(o, vector=None, vector_space=None)

    def attachment(self, observation: Observation, attachment: Attachment) -> Attachment | None:
        """Pictures with everything hidden; no pictures of single faces, and no video, which nobody looked through."""
        of_face = observation.kind in _OF_FACES
        if of_face and not self._policy.best_shots:
            return None
        if not self._policy.hide:
            return attachment
        if is_picture(attachment.data) or attachment.mime.startswith("image/"):
            return replace(attachment, data=self._cover().covered(attachment.data, whole=of_face))
        return None if attachment.mime.startswith("video/") else attachment

    def measurement(self, measurement: Measurement) -> Measurement:
        """With its picture covered, where it has one."""
        blob = measurement.blob
        if not self._policy.hide or blob is None or not is_picture(blob):
            return measurement
        covered = self._cover().covered(blob)
        return measurement if covered is blob else replace(measurement, blob=covered)

    def ended(self, store: Store, source: str) -> None:
        """Vectors go."""
        if not self._policy.keep_embeddings:
            _erase_vectors(store, (source,))

    def retain(self, store: Store) -> int:
        """Old sources go."""
        age = self._policy.retention_seconds
        return 0 if age is None else store.retain(older_than_seconds=age)

    def file(self, data: bytes, *, whole: bool) -> bytes:
        """A stored picture with everything hidden."""
        return self._cover().covered(data, whole=whole)

    def _cover(self) -> PictureCover:
        if self._pictures is None:
            self._pictures = PictureCover(self._policy.hide, self._policy.style, threads=self._threads)
        return self._pictures

    def close(self) -> None:
        """Release the detectors."""
        if self._pictures is not None:
            self._pictures.close()
            self._pictures = None


def _hide_stored(store: Store, now: Privacy, before: Privacy, threads: int) -> None:
    """Cover the pictures that are in the library, and those that wait in measurements of unfinished runs."""
    keeper = PolicyKeeper(now, threads)
    try:
        for status in store.sources():
            source = status.info.id
            faces = _media_of_faces(store, source)
            for path in _files(store.folder, source):
                name = path.relative_to(store.folder / "media" / source).as_posix()
                whole = path.relative_to(store.folder).as_posix() in faces
                with contextlib.suppress(FileNotFoundError):
                    data = path.read_bytes()
                    if now.hide and is_picture(data):
                        store.put_media(source, Attachment(name, keeper.file(data, whole=whole), "image/jpeg"))
                    elif whole and is_picture(data):
                        only = PictureCover((), now.style)
                        store.put_media(source, Attachment(name, only.covered(data, whole=True), "image/jpeg"))
            if set(now.hide) - set(before.hide):
                for analyzer in {s.producer.analyzer for s in status.states}:
                    store.edit_measurements(source, analyzer, keeper.measurement)
    finally:
        keeper.close()


def _files(folder: Path, source: str) -> Sequence[Path]:
    base = folder / "media" / source
    return [p for p in sorted(base.rglob("*")) if p.is_file() and not p.is_symlink()]


def _media_of_faces(store: Store, source: str) -> set[str]:
    kinds = tuple(_OF_FACES - {"face"})  # single faces are dense rows, which have no media
    return {path for o in store.query(Query(sources=(source,), kinds=kinds)) for path in o.media}


def _erase_vectors(store: Store, sources: tuple[str, ...]) -> None:
    """Vectors of faces and voices; those of meaning and of whole pictures name nobody."""
    labels = {o.label for o in store.query(Query(sources=sources, kinds=("embedding",)))}
    biometric = tuple(sorted(label for label in labels if label is not None and label not in _OF_WHAT_IS_SAID))
    if biometric:
        store.erase_vectors(Query(sources=sources, kinds=("embedding",), labels=biometric))
    unknown = store.records(_UNKNOWN_PEOPLE)
    if unknown:
        store.put_records(_UNKNOWN_PEOPLE, dict.fromkeys(unknown))


def _erase_vector_measurements(store: Store) -> None:
    """Measurements that vectors can be made of again: their analyzers' results go with them, to be made anew."""
    for status in store.sources():
        source = status.info.id
        found = store.query(Query(sources=(source,), kinds=("embedding",)))
        makers = {o.producer for o in found if o.label not in _OF_WHAT_IS_SAID and o.producer is not None}
        for state in status.states:
            if state.producer in makers and next(store.measurements(source, state.producer), None) is not None:
                store.discard(source, state.producer)
