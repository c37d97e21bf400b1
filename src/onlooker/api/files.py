"""Files over HTTP: one range at a time, entity tags, conditions (RFC 9110), and no way out of a folder."""

from __future__ import annotations

import mimetypes
import os
import stat
from collections.abc import Callable
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

import anyio
from starlette.responses import Response

from onlooker.api.problems import not_found, problem

if TYPE_CHECKING:
    from starlette.datastructures import Headers
    from starlette.types import Receive, Scope, Send

__all__ = ["RangedFile", "inside", "parse_range"]

_CHUNK: Final = 1 << 18


def inside(folder: Path, relative: str) -> Path:
    """A regular file inside a folder, however its path is written; links are not followed out of it.

    Raises:
        ProblemError: 404.
    """
    if not relative or "\0" in relative or "\\" in relative or len(relative) > 1000:
        raise not_found("file")
    base = folder.resolve()
    try:
        path = (base / relative).resolve(strict=True)
    except (OSError, RuntimeError, ValueError):
        raise not_found("file") from None
    if not path.is_relative_to(base) or not path.is_file():
        raise not_found("file")
    return path


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """First byte and the one after the last of a ``Range`` header with one range of bytes.

    Returns:
        None where the header is to be ignored: another unit, several ranges, or not well-formed.

    Raises:
        ValueError: no byte of the file is in the range.

    >>> parse_range("bytes=0-9", 100), parse_range("bytes=-5", 100), parse_range("bytes=90-", 100)
    ((0, 10), (95, 100), (90, 100))
    """
    unit, equals, text = header.partition("=")
    first, dash, last = text.strip().partition("-")
    digits = [t.strip() for t in (first, last)]
    if unit.strip().lower() != "bytes" or not equals or not dash or "," in text or not any(digits):
        return None
    if any(t and (not t.isascii() or not t.isdigit() or len(t) > 18) for t in digits):
        return None
    if not digits[0]:
        begin, end = max(0, size - int(digits[1])), size
    else:
        begin, end = int(digits[0]), min(size, int(digits[1]) + 1 if digits[1] else size)
        if digits[1] and int(digits[1]) < begin:
            return None
    if begin >= size or begin >= end:
        raise ValueError(header)
    return begin, end


class RangedFile(Response):
    """A file, or the part of it that is asked for. It is opened once: replaced or deleted meanwhile, it stays whole.

    Args:
        path: the file.
        mime: its type; from its name by default.
        name: under which it is saved; None: it is shown.
        private: whether it may be kept by the browser alone for a while; otherwise nowhere.
        after: called when it is sent or given up.
    """

    def __init__(
        self,
        path: Path,
        *,
        mime: str | None = None,
        name: str | None = None,
        private: bool = True,
        after: Callable[[], None] | None = None,
    ) -> None:
        self._path, self._after = path, after
        super().__init__(None, media_type=mime or mimetypes.guess_type(path.name)[0] or "application/octet-stream")
        del self.headers["content-length"]
        self.headers["accept-ranges"] = "bytes"
        self.headers["cache-control"] = "private, no-cache" if private else "no-store"
        if name is not None:
            plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in name)
            self.headers["content-disposition"] = f'attachment; filename="{plain}"'

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI interface."""
        try:
            with await anyio.to_thread.run_sync(self._open) as file:
                await self._answer(file, scope, receive, send)
        except FileNotFoundError:
            await problem(404, "there is no such file")(scope, receive, send)
        finally:
            if self._after is not None:
                await anyio.to_thread.run_sync(self._after)

    def _open(self) -> BinaryIO:
        file = open(os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")  # noqa: SIM115
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise FileNotFoundError(self._path)
        return file

    async def _answer(self, file: BinaryIO, scope: Scope, receive: Receive, send: Send) -> None:
        from starlette.datastructures import Headers

        status = os.fstat(file.fileno())
        asked, size = Headers(scope=scope), status.st_size
        tag = f'"{status.st_mtime_ns:x}-{size:x}-{status.st_ino:x}"'
        self.headers["etag"], self.headers["last-modified"] = tag, formatdate(status.st_mtime, usegmt=True)
        if _unchanged(asked, tag, status.st_mtime):
            self.status_code = 304
            await send({"type": "http.response.start", "status": 304, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": b""})
            return
        begin, end, code = 0, size, 200
        wanted = asked.get("range")
        if wanted is not None and _if_range(asked.get("if-range"), tag, self.headers["last-modified"]):
            try:
                part = parse_range(wanted, size)
            except ValueError:
                refusal = problem(416, f"it has {size} bytes", headers={"Content-Range": f"bytes */{size}"})
                await refusal(scope, receive, send)
                return
            if part is not None:
                (begin, end), code = part, 206
                self.headers["content-range"] = f"bytes {begin}-{end - 1}/{size}"
        self.headers["content-length"] = str(end - begin)
        await send({"type": "http.response.start", "status": code, "headers": self.raw_headers})
        if scope["method"] == "HEAD" or begin == end:
            await send({"type": "http.response.body", "body": b""})
            return
        file.seek(begin)
        while begin < end:
            chunk = await anyio.to_thread.run_sync(file.read, min(_CHUNK, end - begin))
            if not chunk:
                raise RuntimeError(f"{self._path} became shorter while it was sent")
            begin += len(chunk)
            await send({"type": "http.response.body", "body": chunk, "more_body": begin < end})


def _unchanged(asked: Headers, tag: str, modified: float) -> bool:
    none_match = asked.get("if-none-match")
    if none_match is not None:
        tags = [t.strip().removeprefix("W/") for t in none_match.split(",")]
        return "*" in tags or tag in tags
    since = asked.get("if-modified-since")
    if since is None:
        return False
    try:
        return int(modified) <= parsedate_to_datetime(since).timestamp()
    except (ValueError, TypeError, OverflowError):
        return False


def _if_range(condition: str | None, tag: str, modified: str) -> bool:
    return condition is None or condition in (tag, modified)
