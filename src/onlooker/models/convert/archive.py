"""Several files in one: a zip archive that holds them uncompressed under their own names."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from pathlib import PurePosixPath

from onlooker.core.errors import ModelError

__all__ = ["convert"]

_PART = re.compile(r"(.+)\.part([0-9]+)")
_DATE = (1980, 1, 1, 0, 0, 0)


def convert(members: Mapping[str, bytes]) -> bytes:
    """The archive: names without folders, sorted, with a fixed date. ``x.part1``, ``x.part2``, ... are joined to ``x``.

    Raises:
        ModelError: two members would have one name, or a part is missing.
    """
    parts: dict[str, dict[int, bytes]] = {}
    for path, data in members.items():
        name = PurePosixPath(path.rpartition("!")[2]).name
        number = 0
        if found := _PART.fullmatch(name):
            name, number = found[1], int(found[2])
        if number in parts.setdefault(name, {}):
            raise ModelError(f"two members are called {name!r}")
        parts[name][number] = data
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(parts):
            numbers = sorted(parts[name])
            if numbers != [0] and numbers != list(range(1, len(numbers) + 1)):
                raise ModelError(f"the parts of {name!r} are not complete: {numbers}")
            info = zipfile.ZipInfo(name, _DATE)
            info.create_system, info.external_attr = 3, 0o644 << 16
            archive.writestr(info, b"".join(parts[name][n] for n in numbers))
    return out.getvalue()
