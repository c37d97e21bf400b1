"""``onlooker search``: find moments by words, kind, label, time, source or likeness."""

# "\b" in the docstrings is the control character by which typer keeps lines apart
# ruff: noqa: D301

from __future__ import annotations

import json
import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onlooker.cli.excerpt import excerpt, found_in
from onlooker.core.errors import UsageError
from onlooker.core.store import Hit, Query
from onlooker.core.time import Span, Timestamp, parse_seconds
from onlooker.search import LOOK, Wanted, find, search_people

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from onlooker.core.observation import Observation
    from onlooker.core.store import Store

__all__ = ["command"]

KINDS = (
    *(
        "age",
        "attention",
        "attention_group",
        "attention_state",
        "attribute",
        "chapter",
        "cue",
        "duplicate",
        "embedding",
    ),
    *("expression", "face", "face_track", "fact", "gesture", "identity", "keyframe", "keyword", "label", "motion"),
    *("object", "pose", "posture", "safety", "scene", "sentiment", "shot", "sound", "speaker", "speech", "summary"),
    *("text", "topic", "track"),
)
"""What the built-in analyzers make."""

_FAR = Fraction(10**9)
_ROOM = 72
"""Letters of a text that are shown."""

_ORDERS = ("best", "time", "score")


def _kinds(given: str) -> list[str]:
    """Kinds that begin so, for completion in a shell."""
    return [kind for kind in KINDS if kind.startswith(given)]


def command(
    text: Annotated[str | None, typer.Argument(help="Words that must all be found; a word may end in *.")] = None,
    library: Annotated[Path, typer.Option("--library", envvar="ONLOOKER_LIBRARY", help="The library folder.")] = Path(
        "onlooker-library"
    ),
    kind: Annotated[
        list[str] | None,
        typer.Option(
            "--kind",
            help="speech, text, identity, sound, topic, fact, shot, object, cue, ...; repeatable.",
            autocompletion=_kinds,
        ),
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", help="person, applause, happy, cut, ...; repeatable.")
    ] = None,
    source: Annotated[list[str] | None, typer.Option("--source", help="Id, path or file name; repeatable.")] = None,
    track: Annotated[list[str] | None, typer.Option("--track", help="Name of a track; repeatable.")] = None,
    analyzer: Annotated[list[str] | None, typer.Option("--analyzer", help="Which analyzer; repeatable.")] = None,
    start: Annotated[str | None, typer.Option("--from", help="Not before this time: 90, 1:30, 2m.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Not after this time.")] = None,
    min_score: Annotated[float | None, typer.Option("--min-score", help="Least score.")] = None,
    max_score: Annotated[float | None, typer.Option("--max-score", help="Greatest score.")] = None,
    like_image: Annotated[Path | None, typer.Option("--like-image", help="Looks like this picture file.")] = None,
    like: Annotated[
        str | None, typer.Option("--like", help="Looks like this: an observation's id, or SOURCE@TIME.")
    ] = None,
    person: Annotated[
        list[str] | None,
        typer.Option("--person", help="Somebody's name, or unknown-N: where seen or heard; repeatable."),
    ] = None,
    face: Annotated[Path | None, typer.Option("--face", help="Faces like the one in this picture file.")] = None,
    meaning: Annotated[
        bool | None,
        typer.Option(
            "--meaning/--no-meaning",
            help="Also what means the same in other words, Chinese or English; by default where the library can.",
        ),
    ] = None,
    order: Annotated[
        str | None, typer.Option("--order", help="best, time or score; best where words or a likeness are given.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="At most that many; 0 for all.")] = 20,
    offset: Annotated[int, typer.Option("--offset", min=0, help="Skip that many.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Find moments in a library.

    \b
    Examples:
      onlooker search 打架 --library films
      onlooker search "brown fox*" --kind text --from 1:30 --to 2:00
      onlooker search "two men fighting" --meaning --kind speech
      onlooker search --kind object --label person --source talk.mp4 --min-score 0.7
      onlooker search --like talk.mp4@1:23 --limit 5
      onlooker search --like-image logo.png --json
      onlooker search --person "Ann Lee" --kind speech
      onlooker search --face ann.jpg
    """
    from onlooker.timeline import open_store

    if order is not None and order not in _ORDERS:
        raise UsageError(f"--order: expected {', '.join(_ORDERS)}, got {order!r}")
    if like is not None and like_image is not None:
        raise UsageError("--like and --like-image cannot be given together", hint="leave one out")
    store = open_store(library, create=False, read_only=not os.access(library, os.W_OK))
    try:
        query = Query(
            sources=tuple(store.source(ref).info.id for ref in source or ()),
            kinds=tuple(kind or ()),
            labels=tuple(label or ()),
            tracks=tuple(track or ()),
            analyzers=tuple(analyzer or ()),
            span=_span(start, end),
            min_score=min_score,
            max_score=max_score,
            limit=limit or None,
            offset=offset,
        )
        wanted = Wanted(text, *_likeness(store, like, like_image))
        if person or face is not None:
            hits = search_people(store, person or (), face, replace(query, text=text), order)
        else:
            hits = find(store, wanted, query, order, meaning)
        paths = {i: store.source(i).info.path for i in {hit.observation.source for hit in hits}}
        if as_json:
            asked = _asked(query, text, like, like_image, order)
            asked |= {"people": person or [], "face": None if face is None else str(face)}
            typer.echo(
                json.dumps({"query": asked, "count": len(hits), "hits": _dicts(hits, paths)}, ensure_ascii=False)
            )
        else:
            _print(hits, paths, text)
    finally:
        store.close()


def _span(start: str | None, end: str | None) -> Span | None:
    if start is None and end is None:
        return None
    first = -_FAR if start is None else parse_seconds(start)
    last = _FAR if end is None else parse_seconds(end)
    if last < first:
        raise UsageError(f"--from {start} is after --to {end}", hint="swap them")
    return Span.of_seconds(first, last)


# -- likeness --


def _likeness(store: Store, like: str | None, image: Path | None) -> tuple[NDArray[Any] | None, str]:
    if image is not None:
        return _describe(image), LOOK
    if like is None:
        return None, LOOK
    observation = _moment(store, like)
    return observation.vector, observation.vector_space or LOOK


def _describe(image: Path) -> NDArray[Any]:
    import numpy as np
    from PIL import Image, ImageOps

    from onlooker.analyzers.keyframes.descriptor import describe_image

    try:
        with Image.open(image) as opened:
            pixels = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise UsageError(f"cannot read the picture {image}: {error}", hint="give a JPEG, PNG or WebP file") from None
    return describe_image(pixels)


def _moment(store: Store, like: str) -> Observation:
    """The observation whose vector stands for ``ID`` or ``SOURCE@TIME``."""
    ref, at, time = like.rpartition("@")
    if at:
        identity, moment = store.source(ref).info.id, Timestamp.of_seconds(parse_seconds(time))
    else:
        found = store.get(like)
        if found.vector is not None:
            return found
        identity, moment = found.source, found.span.start
    chosen: Observation | None = None
    for keyframe in store.query(Query(sources=(identity,), kinds=("keyframe",))):
        if keyframe.vector is None:
            continue
        if chosen is not None and keyframe.span.start > moment:
            break
        # before the first keyframe, that one stands for the first shot
        chosen = keyframe
    if chosen is None:
        raise UsageError(f"no keyframe near {like}", hint="run: onlooker analyze --only keyframes")
    return chosen


# -- printing --


def _asked(query: Query, text: str | None, like: str | None, image: Path | None, order: str | None) -> dict[str, Any]:
    return {
        "text": text,
        "like": like,
        "like_image": None if image is None else str(image),
        "sources": list(query.sources),
        "kinds": list(query.kinds),
        "labels": list(query.labels),
        "tracks": list(query.tracks),
        "analyzers": list(query.analyzers),
        "from_seconds": None if query.span is None or query.span.start.value == -_FAR else query.span.start.seconds,
        "to_seconds": None if query.span is None or query.span.end.value == _FAR else query.span.end.seconds,
        "min_score": query.min_score,
        "max_score": query.max_score,
        "order": order,
        "limit": query.limit,
        "offset": query.offset,
    }


def _dicts(hits: list[Hit], paths: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {
            **hit.observation.as_dict(),
            # NaN marks what was not ranked; JSON has no NaN
            "score_search": None if hit.score != hit.score else round(hit.score, 6),
            "path": paths.get(hit.observation.source),
        }
        for hit in hits
    ]


def _print(hits: list[Hit], paths: dict[str, str], words: str | None) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(width=200)  # a line stays a line in a pipe
    if not hits:
        console.print("nothing found")
        return
    groups: dict[str, list[Hit]] = {}
    for hit in hits:
        groups.setdefault(hit.observation.source, []).append(hit)
    for identity, members in groups.items():
        title = f"{escape(paths.get(identity, '?'))} [dim]({identity[:12]})[/dim]"
        table = Table(title=title, title_justify="left", box=None, pad_edge=False)
        for name in ("time", "kind", "what", "score", "id", "media"):
            table.add_column(name, overflow="fold", no_wrap=name in ("time", "score", "id"))
        for hit in members:
            o = hit.observation
            score = o.score if hit.score != hit.score else hit.score
            table.add_row(
                f"{o.span.start} - {o.span.end}",
                escape(o.kind),
                _marked(_what(o, words), words),
                "" if score is None else f"{score:.3f}",
                o.id[:8],
                escape(o.media[0]) if o.media else "",
            )
        console.print(table)
    console.print(f"{len(hits)} found")


def _what(observation: Observation, words: str | None) -> str:
    """Label, text and track; of a long text the part around what was searched for."""
    text = excerpt(" ".join((observation.text or "").split()), words, _ROOM)
    label = " ".join((observation.label or "").split())
    said = ["" if text.startswith(label) else label, text, " ".join((observation.track or "").split())]
    return " · ".join(p if len(p) <= _ROOM else p[: _ROOM - 1] + "…" for p in dict.fromkeys(said) if p)


def _marked(said: str, words: str | None) -> Any:
    """The words that were searched for in bold."""
    from rich.text import Text

    shown = Text(said)
    for start, end in found_in(said, words):
        shown.stylize("bold", start, end)
    return shown
