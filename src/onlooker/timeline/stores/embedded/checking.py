"""Looking for damage: in the file, between rows and media, and in what was packed."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass, field
from pathlib import Path

from onlooker.core.errors import StoreError
from onlooker.core.measurement import unpack_measurements
from onlooker.timeline.media import delete_media, media_files
from onlooker.timeline.stores.embedded.codec import COLUMNS, observation_from_row
from onlooker.timeline.stores.embedded.database import Connection, Database, rows
from onlooker.timeline.stores.embedded.packing import PACK_COLUMNS, read_pack
from onlooker.timeline.stores.embedded.runs import Makers

__all__ = ["Findings", "check", "sweep"]

_MOST = 100
_YOUNG_SECONDS = 3600.0


@dataclass
class Findings:
    """What a check found.

    Args:
        damage: what is wrong with the rows; at most 100 lines.
        missing_media: files that observations name and that are not there.
        dangling_media: files that no observation names.
        observations: how many were looked at.
    """

    damage: list[str] = field(default_factory=list[str])
    missing_media: list[str] = field(default_factory=list[str])
    dangling_media: list[str] = field(default_factory=list[str])
    observations: int = 0

    @property
    def ok(self) -> bool:
        """Whether nothing is lost; files too many are no damage."""
        return not self.damage and not self.missing_media

    def add(self, line: str) -> None:
        """One more line of damage."""
        if len(self.damage) < _MOST:
            self.damage.append(line)


def check(database: Database, folder: Path) -> Findings:
    """Read everything once: the file's structure, every id, every pack and chunk, every media path."""
    found = Findings()
    with database.snapshot() as connection:
        for (line,) in rows(connection, f"PRAGMA integrity_check({_MOST})"):
            if line != "ok":
                found.add(f"database: {line}")
        for table, number, parent, _ in rows(connection, "PRAGMA foreign_key_check"):
            found.add(f"database: row {number} of {table} points to a missing row of {parent}")
        _check_rows(connection, found)
        _check_packs(connection, found)
        for number, count, body in rows(connection, "SELECT number, count, body FROM measurement"):
            try:
                if sum(1 for _ in unpack_measurements(body)) != count:
                    raise StoreError("a chunk of measurements has another length than was written")
            except (StoreError, ValueError) as error:
                found.add(f"measurement chunk {number}: {error}")
        named = _named_media(connection)
    files = set(media_files(folder))
    found.missing_media = sorted(named - files)
    found.dangling_media = sorted(files - named)
    return found


def _check_rows(connection: Connection, found: Findings) -> None:
    makers = Makers(connection)
    for *columns, run in rows(connection, f"SELECT {COLUMNS}, run FROM observation"):
        found.observations += 1
        wanted = bytes(columns[0]).hex()
        try:
            if observation_from_row(columns, *makers.of(run)).id != wanted:
                found.add(f"observation {wanted}: its fields give another id")
        except (ValueError, TypeError) as error:
            found.add(f"observation {wanted}: {error}")


def _check_packs(connection: Connection, found: Findings) -> None:
    makers = Makers(connection)
    for *row, count in rows(connection, f"SELECT {PACK_COLUMNS}, o.count FROM pack AS o"):
        try:
            pack = read_pack(row, makers)
            if pack.pack.count != count:
                raise StoreError("it has another length than was written")
            for dense in pack.pack.rows:
                found.observations += 1
                if not pack.observation(dense).id.startswith(dense.mark.hex()):
                    raise StoreError("the fields of an observation give another id")
        except (StoreError, ValueError) as error:
            found.add(f"pack {row[0]}: {error}")


def _named_media(connection: Connection) -> set[str]:
    found = rows(connection, "SELECT media FROM observation WHERE media IS NOT NULL")
    return {path for (media,) in found for path in json.loads(media)}


def sweep(database: Database, folder: Path) -> int:
    """Delete media that nothing names and that are an hour old; younger ones may be about to be named."""
    with database.snapshot() as connection:
        named = _named_media(connection)
    limit, old = time.time() - _YOUNG_SECONDS, list[str]()
    for path in media_files(folder):
        with contextlib.suppress(FileNotFoundError):
            if path not in named and (folder / path).stat().st_mtime < limit:
                old.append(path)
    return delete_media(folder, old)
