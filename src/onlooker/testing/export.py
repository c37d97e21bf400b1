"""What every export must do, whoever wrote it. A plug-in author runs it in one test:

    from onlooker.testing.export import check_export

    def test_my_export():
        check_export(MyExport())

The sources and observations are made here, with what real libraries hold and with what breaks formats: texts of many
scripts, markup, line breaks, formulas, half surrogates, and numbers that are none.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from onlooker.core.errors import UsageError
from onlooker.core.media import SourceInfo
from onlooker.core.observation import Box, Observation, Producer
from onlooker.core.store import Query, SourceStatus
from onlooker.core.time import Span
from onlooker.reports.export import Export, ExportRequest, ExportSummary
from onlooker.testing.store_values import OTHER, SOURCE, fits, producer, source_info

__all__ = ["HOSTILE", "Kept", "check_export", "exported", "varied"]

HOSTILE = (
    "两个男人在街上打架",
    "نص عربي \u200d مع وصل",
    "\N{FAMILY} 👩\u200d👩\u200d👧 e\u0301",
    "line\nbreak\r\nand\ttab",
    "00:00:01,000 --> 00:00:02,000",
    "WEBVTT",
    "NOTE a & b < c > d </script><img src=x onerror=alert(1)>",
    '=HYPERLINK("http://x")',
    "a;b=c#d\\e",
    'quotes " and , commas',
    "\x00\x07\x1b[31m control",
    "half \ud800 surrogate",
    "\u2028 separators \u2029",
    "   ",
    "",
)
"""Texts that break formats."""

_KINDS = ("shot", "scene", "chapter", "keyframe", "object", "track", "cue", "motion", "speech", "text", "sound")


def varied(source: str = SOURCE, made_by: Producer | None = None) -> list[Observation]:
    """Observations of every common kind in order of time, each hostile text among them."""
    made: list[Observation] = []
    maker = made_by or producer("varied", "b" * 32)
    for n, text in enumerate(HOSTILE):
        for kind in _KINDS:
            made.append(
                Observation(
                    Span.of_seconds(n * 0.5, n * 0.5 + 0.5),
                    kind,
                    score=(None, 0.5, float("nan"), float("inf"), -2.0)[n % 5],
                    label=text if n % 2 else "person",
                    box=(Box(0.1, 0.2, 0.3, 0.4), None, Box(0.0, 0.0, float("inf"), 1.0))[n % 3],
                    track=f"t{n % 4}" if n % 4 else None,
                    text=text if kind in ("speech", "text", "chapter") else None,
                    data={
                        "odd": float("nan"),
                        "list": [1, {"deep": float("-inf")}],
                        "kind": "hidden",
                        "path": "hidden",
                    },
                    media=(f"media/{source}/{n}.jpg",) if kind == "keyframe" else (),
                ).of(source, maker, 0)
            )
    # a moment, and one that starts before the source does
    made.append(Observation(Span.of_seconds(20, 20), "cue", label="moment").of(source, maker, 0))
    made.append(Observation(Span.of_seconds(-0.02, 0.4), "text", text="early").of(source, maker, 0))
    return sorted(made, key=lambda o: (o.span.start, o.span.end, o.kind))


class Kept:
    """Observations in memory that answer queries by source, kind, label, score and span, as a store does."""

    def __init__(self, observations: Sequence[Observation]) -> None:
        self.observations = list(observations)
        self.given = 0

    def query(self, query: Query) -> Iterator[Observation]:
        """See `Store.query`."""
        for observation in self.observations:
            if fits(observation, query):
                self.given += 1
                yield observation


def status(info: SourceInfo) -> SourceStatus:
    """A source as a store knows it."""
    return SourceStatus(info, (info.path,))


def exported(
    export: Export,
    observations: Sequence[Observation],
    sources: Sequence[SourceStatus] | None = None,
    query: Query | None = None,
) -> tuple[bytes, ExportSummary]:
    """What an export writes of observations (of the made-up source, unless others are given), and its summary."""
    out = io.BytesIO()
    chosen = [status(source_info())] if sources is None else sources
    summary = export.write(ExportRequest(chosen, Kept(observations).query, query or Query()), out)
    return out.getvalue(), summary


def check_export(export: Export) -> None:
    """Run all checks.

    Raises:
        AssertionError: the export breaks the contract; the message says how.
    """
    for check in (_declares, _writes_nothing, _holds_anything, _counts, _streams, _several, _leaves_open):
        check(export)


def _declares(export: Export) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_-]*", export.name), f"name: expected lower case letters, got {export.name!r}"
    assert re.fullmatch(r"\.[a-z0-9]+", export.extension), f"extension: expected a dot first, got {export.extension!r}"
    assert export.description.strip() == export.description != "", "description: expected one line for people"
    assert "\n" not in export.description, "description: expected one line"
    assert isinstance(export.kinds, tuple), "kinds: expected a tuple"
    assert all(isinstance(k, str) and k for k in export.kinds), f"kinds: expected names, got {export.kinds!r}"
    assert isinstance(export.single, bool), "single: expected whether a file holds one source only"


def _writes_nothing(export: Export) -> None:
    written, summary = exported(export, [])
    assert summary.written == 0, f"a source without observations: expected none written, got {summary.written}"
    _readable(export, written)


def _holds_anything(export: Export) -> None:
    written, summary = exported(export, varied())
    assert summary.written > 0, "nothing of what was given was written"
    _readable(export, written)
    again, _ = exported(export, varied())
    assert again == written, "the same observations gave different files"


def _counts(export: Export) -> None:
    given = varied()
    for kinds in ((), *(((k,)) for k in _KINDS)):
        taken = [o for o in given if o.kind in (kinds or export.kinds or _KINDS)]
        _, summary = exported(export, given, query=Query(kinds=kinds))
        total = summary.written + summary.left_out.total()
        assert total == len(taken), (
            f"kinds {kinds}: {len(taken)} observations were given, but {summary.written} written"
            f" and {dict(summary.left_out)} left out"
        )


def _streams(export: Export) -> None:
    """The request's conditions reach the query: nothing is read that the user did not ask for."""
    kept = Kept(varied())
    asked: list[Query] = []

    def query(conditions: Query) -> Iterator[Observation]:
        asked.append(conditions)
        return kept.query(conditions)

    span = Span.of_seconds(1, 2)
    wanted = Query(labels=("person",), span=span)
    export.write(ExportRequest([status(source_info())], query, wanted), io.BytesIO())
    assert asked, "the observations were never asked for"
    for conditions in asked:
        assert conditions.sources == (SOURCE,), f"expected the query to name the source, got {conditions.sources}"
        assert conditions.labels == ("person",), "the user's labels did not reach the query"
        assert conditions.span == span, "the user's span did not reach the query"


def _several(export: Export) -> None:
    sources = [status(source_info()), status(source_info(OTHER, "/videos/other.mp4"))]
    given = [*varied(), *varied(OTHER)]
    if export.single:
        for chosen in (sources, []):
            try:
                exported(export, given, chosen)
            except UsageError as error:
                _helps(error)
            else:
                raise AssertionError(f"single: expected a UsageError for {len(chosen)} sources, got none")
        return
    both, summary = exported(export, given, sources)
    _readable(export, both)
    _, one = exported(export, given)
    assert summary.written == 2 * one.written, f"two sources: expected {2 * one.written}, got {summary.written}"
    _readable(export, exported(export, given, [])[0])


def _leaves_open(export: Export) -> None:
    out = io.BytesIO()
    no_video = status(replace(source_info(), video=None, duration=None))
    write: Callable[[SourceStatus], Any] = lambda s: export.write(ExportRequest([s], Kept(varied()).query), out)  # noqa: E731
    write(status(source_info()))
    assert not out.closed, "the file belongs to the caller and was closed"
    try:
        write(no_video)
    except UsageError as error:
        _helps(error)
    assert not out.closed, "the file belongs to the caller and was closed"

    def broken(_: Query) -> Iterator[Observation]:
        yield varied()[0]
        raise OSError("the library is gone")

    try:
        export.write(ExportRequest([status(source_info())], broken), out)
    except OSError:
        assert not out.closed, "the file belongs to the caller and was closed after an error"
    else:
        raise AssertionError("an error of the library was swallowed")


def _helps(error: UsageError) -> None:
    assert error.hint, f"the error says nothing of what to do: {error}"


def _readable(export: Export, written: bytes) -> None:
    text = written.decode("utf-8")  # fails where a half surrogate came through
    if export.extension == ".json":
        json.loads(text, parse_constant=_refuse)
    if export.extension == ".jsonl":
        for line in text.split("\n")[:-1]:
            json.loads(line, parse_constant=_refuse)
    assert not text or text.endswith("\n"), "expected a line break at the end"


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON: write null")
