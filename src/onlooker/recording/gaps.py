"""Where a camera was not recorded, and why."""

from __future__ import annotations

from onlooker.recording.index import Gap, Index, Segment, goes_on

__all__ = ["find_gaps"]

_CLOSE = 250_000_000
_UNKNOWN = "not running"


def find_gaps(index: Index, camera: str, start: int, end: int) -> list[Gap]:
    """Stretches of ``start`` .. ``end`` (nanoseconds) that no file shows. What follows an open file is no gap yet."""
    inside = index.segments(camera, start, end)
    before, after = index.neighbours(camera, start, end)
    if before is not None and before.open and not inside:
        return []
    gaps: list[Gap] = []
    at = start
    if not inside and before is not None and after is not None and goes_on(before.end, after):
        return []
    for segment in inside:
        if not goes_on(at, segment):
            gaps += _explained(index, camera, at, segment.start, segment.cause)
        at = max(at, segment.end)
    if not (inside and inside[-1].open) and end - at >= _CLOSE:
        gaps += _explained(index, camera, at, end, _after(index, camera, after))
    return gaps


def _after(index: Index, camera: str, following: Segment | None) -> str:
    return following.cause if following is not None else index.idle_reason(camera)


def _explained(index: Index, camera: str, start: int, end: int, reason: str) -> list[Gap]:
    """The gap between two moments, cut where files were deleted."""
    gaps: list[Gap] = []
    at = start
    for first, last in index.erased(camera, start, end):
        if first - at >= _CLOSE:
            gaps.append(Gap(camera, at, first, reason or _UNKNOWN))
        if min(last, end) > max(first, at):
            gaps.append(Gap(camera, max(first, at), min(last, end), "erased"))
            at = min(last, end)
    if at == start or end - at >= _CLOSE:
        gaps.append(Gap(camera, at, end, reason or _UNKNOWN))
    return gaps
