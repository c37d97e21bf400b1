"""What a library holds of its cameras' recordings: look up, export, keep and delete, mend."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from onlooker.core.errors import SourceError, UsageError
from onlooker.core.observation import Json
from onlooker.recording.config import RecordSettings
from onlooker.recording.gaps import find_gaps
from onlooker.recording.index import Gap, Index, Segment, goes_on
from onlooker.recording.joining import Piece, join
from onlooker.recording.places import event_folder
from onlooker.recording.recovering import Recovered, recover
from onlooker.recording.retention import Retained, retain_camera

__all__ = ["Recordings", "file_sha256"]


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Recordings:
    """The recordings of a library. Thread-safe; others may record meanwhile. Times are nanoseconds of the camera.

    Args:
        folder: the library folder.
        create: whether it may be made.

    Raises:
        UsageError: there is no library there.
        StoreError: the index cannot be opened.
    """

    def __init__(self, folder: Path, *, create: bool = True) -> None:
        if not create and not folder.is_dir():
            raise UsageError(f"{folder} is no library", hint="give --library the folder that onlooker watch writes")
        self.folder = folder
        self._index = Index(folder)

    def __enter__(self) -> Recordings:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the index."""
        self._index.close()

    def cameras(self) -> dict[str, float]:
        """Names of the cameras that were ever recorded, and the wall time (Unix seconds) of their zeros."""
        return {name: zero for name, (_, zero, _) in self._index.cameras().items()}

    def source(self, camera: str) -> str:
        """Id of a camera's source.

        Raises:
            UsageError: no camera of that name was ever recorded.
        """
        return self._known(camera)[0]

    def zero(self, camera: str) -> float:
        """Wall time (Unix seconds) of a camera's zero.

        Raises:
            UsageError: no camera of that name was ever recorded.
        """
        return self._known(camera)[1]

    def _known(self, camera: str) -> tuple[str, float, str]:
        known = self._index.cameras()
        if camera not in known:
            raise UsageError(f"no camera called {camera!r} was recorded", hint="see onlooker recordings list")
        return known[camera]

    def settings(self, camera: str) -> RecordSettings:
        """What a camera was last recorded with.

        Raises:
            UsageError: no camera of that name was ever recorded.
        """
        return RecordSettings.model_validate_json(self._known(camera)[2])

    def segments(
        self, camera: str | None = None, from_ns: int | None = None, to_ns: int | None = None
    ) -> list[Segment]:
        """Files that overlap a stretch, in order; of all cameras where none is named."""
        return self._index.segments(camera, from_ns, to_ns)

    def spans(self, camera: str, from_ns: int | None = None, to_ns: int | None = None) -> list[tuple[int, int]]:
        """Stretches that are recorded without a gap, cut to what was asked for."""
        spans: list[tuple[int, int]] = []
        for s in self.segments(camera, from_ns, to_ns):
            if spans and goes_on(spans[-1][1], s):
                spans[-1] = spans[-1][0], max(spans[-1][1], s.end)
            else:
                spans.append((s.start, s.end))
        return [(max(a, from_ns or a), b if to_ns is None else min(b, to_ns)) for a, b in spans]

    def gaps(self, camera: str, from_ns: int, to_ns: int) -> list[Gap]:
        """Stretches between two moments that are not recorded, and why. What is being written now is no gap."""
        return find_gaps(self._index, camera, from_ns, to_ns)

    def bytes(self, camera: str | None = None) -> int:
        """Bytes of the files of a camera, or of all."""
        return sum(s.bytes for s in self.segments(camera))

    def export(self, camera: str, from_ns: int, to_ns: int, out: Path) -> Path:
        """Copy a stretch into one playable MP4, from the keyframe before it, without coding it anew.

        Where nothing was recorded the next picture follows at once; `gaps` tells where, and so does the file's comment.

        Raises:
            UsageError: no such camera or stretch, or the camera changed its codec or size in between.
            SourceError: nothing is recorded there, or it cannot be read or written.
        """
        self.export_pieces(camera, from_ns, to_ns, out)
        return out

    def export_pieces(self, camera: str, from_ns: int, to_ns: int, out: Path) -> list[Piece]:
        """As `export`; returns what the file shows when."""
        self._known(camera)
        if to_ns <= from_ns:
            raise UsageError("the end of the stretch is not after its start", hint="give --from before --to")
        part = out.with_name(f".{out.name}.part")
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            pieces = join(self.folder, self.segments(camera, from_ns, to_ns), from_ns, to_ns, part)
            os.replace(part, out)
        except OSError as error:
            raise SourceError(f"cannot write {out}: {error.strerror or error}", hint="check the disk") from None
        finally:
            part.unlink(missing_ok=True)
        return pieces

    def clip(self, event_id: str, camera: str, from_ns: int, to_ns: int) -> Path:
        """Cut an event's clip, ``events/<event id>/clip.mp4`` in the library, and keep its files as events are kept.

        Raises:
            UsageError, SourceError: as `export`.
        """
        path = event_folder(self.folder, event_id) / "clip.mp4"
        self.export(camera, from_ns, to_ns, path)
        self._index.hold(event_id, camera, from_ns, to_ns)
        return path

    def clip_evidence(self, event_id: str, camera: str, from_ns: int, to_ns: int) -> dict[str, Json]:
        """Cut an event's clip; what its evidence says of it: ``clip``, ``clip_sha256``, ``complete``.

        Raises:
            UsageError, SourceError: as `export`.
        """
        path = self.clip(event_id, camera, from_ns, to_ns)
        spans = self.spans(camera, from_ns, to_ns)
        covered = sum(end - start for start, end in spans)
        return {
            "clip": path.relative_to(self.folder).as_posix(),
            "clip_sha256": file_sha256(path),
            "complete": to_ns - from_ns - covered < 250_000_000,
        }

    def retain(
        self, settings: RecordSettings | None = None, cameras: Sequence[str] = (), now: float | None = None
    ) -> Retained:
        """Delete what is not to be kept.

        Args:
            settings: how long and how much; by default what each camera was last recorded with.
            cameras: which; all by default.
            now: wall time (Unix seconds); the clock's by default.
        """
        done = Retained()
        for camera in cameras or self.cameras():
            done.add(retain_camera(self._index, camera, settings or self.settings(camera), now))
        return done

    def recover(self) -> Recovered:
        """Make index and files agree after a crash; cameras that are being recorded are left alone."""
        return recover(self._index)
