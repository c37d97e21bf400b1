"""The report of a shadow: one HTML file with pictures of the moments that differ, and the same as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from onlooker.core.observation import Observation
from onlooker.learning.datasets.typed_yaml import write_whole
from onlooker.learning.evaluate.page import Cell, data_address, document, escaped, section, table
from onlooker.shadow.compare import Comparison, Difference
from onlooker.shadow.stored import Shadow, pictured

__all__ = ["card", "chosen", "counted", "shadow_page", "write_shadow"]

_MOST = 60
_SORTS = ("label", "only used", "only candidate", "value", "score")


def chosen(differences: Sequence[Difference], most: int = _MOST) -> list[Difference]:
    """Those to be shown: of each sort in turn the ones that differ most."""
    queues = [sorted((d for d in differences if d.sort == s), key=lambda d: -d.by) for s in _SORTS]
    made: list[Difference] = []
    while any(queues) and len(made) < most:
        for queue in queues:
            if queue and len(made) < most:
                made.append(queue.pop(0))
    return sorted(made, key=lambda d: (d.source, d.start))


def write_shadow(shadow: Shadow, folder: Path, library: Path | None = None) -> Path:
    """Write ``shadow.json`` and ``shadow.html``; returns the page's path.

    Args:
        shadow: what came of it.
        folder: where to.
        library: whose privacy setting holds for the pictures.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shown = chosen(shadow.whole.differences)
    write_whole(folder / "shadow.json", json.dumps(shadow.as_dict(), ensure_ascii=False, indent=1))
    write_whole(folder / "shadow.html", shadow_page(shadow, shown, pictured(shadow, shown, library)))
    return folder / "shadow.html"


def shadow_page(shadow: Shadow, shown: Sequence[Difference], pictures: Mapping[int, bytes]) -> str:
    """The page as HTML.

    Args:
        shadow: what came of it.
        shown: the differences with cards.
        pictures: JPEG by the place among them.
    """
    whole, pair = shadow.whole, shadow.pair
    title = f"Shadow: {pair.used.manifest.title or pair.name}"
    about = (
        f"in use {pair.name} {pair.used.digest[:16]} · candidate {pair.other.partition('@')[0]} "
        f"{pair.candidate.digest[:16]} · {len(shadow.comparisons)} {'cameras' if shadow.live else 'videos'} · "
        f"{len(whole.differences)} differences"
    )
    parts = [counted(whole), _sources(shadow), differing(shadow.sources, whole.differences, shown, pictures)]
    if shadow.failures:
        rows = [[f.source[:16], f.analyzer or "", Cell(f.message, "word")] for f in shadow.failures[:100]]
        parts.insert(0, section("Could not look", table(["source", "analyzer", Cell("why", "word")], rows)))
    return document(title, about, [p for p in parts if p])


def counted(whole: Comparison) -> str:
    """Counts and agreement, by kind and label."""
    rows = [
        [kind, whole.agreement[kind], counts["used"], counts["candidate"], counts["paired"]]
        for kind, counts in whole.counts.items()
    ]
    head = ["kind", "agreement", "in use", "candidate", "paired"]
    parts = [
        "<p class=soft>Agreement: of the time in which either tells a label, the share in which both tell the same."
        " Paired: observations of one label that overlap.</p>",
        table(head, rows),
    ]
    times = [
        [f"{kind}: {label}" if label else kind, *(round(values[n], 2) for n in ("both", "used", "candidate"))]
        for kind, labels in whole.seconds.items()
        for label, values in labels.items()
    ]
    if times:
        parts.append(table(["seconds of", "both", "only in use", "only candidate"], times[:200]))
    return section("Counts and agreement", *parts)


def _sources(shadow: Shadow) -> str:
    rows = [
        [Path(shadow.sources[s]).name, len(c.differences), *(c.agreement.get(k) for k in shadow.whole.counts)]
        for s, c in shadow.comparisons.items()
    ]
    head = ["source", "differences", *(f"agreement of {k}" for k in shadow.whole.counts)]
    return section("Sources", table(head, rows[:500])) if rows else ""


def differing(
    sources: Mapping[str, str],
    differences: Sequence[Difference],
    shown: Sequence[Difference],
    pictures: Mapping[int, bytes],
) -> str:
    """Cards of the moments that differ."""
    if not differences:
        return section("Differences", "<p>There are none.</p>")
    counts = {s: sum(d.sort == s for d in differences) for s in _SORTS}
    said = ", ".join(f"{n} {s}" for s, n in counts.items() if n)
    more = f" {len(shown)} of them are shown; shadow.json holds all." if len(shown) < len(differences) else ""
    cards = [card(d, sources[d.source], pictures.get(place)) for place, d in enumerate(shown)]
    return section("Differences", f"<p>{escaped(said)}.{more}</p>", f'<div class="cards">{"".join(cards)}</div>')


def card(d: Difference, path: str, picture: bytes | None) -> str:
    """One moment."""
    shown = "" if picture is None else f'<img alt="" src="{data_address(picture, "image/jpeg")}">'
    where = f"{Path(path).name} {d.start:.2f} to {d.end:.2f} s"
    return (
        f"<article>{shown}<div><div class=id>{escaped(d.sort)}</div><div class=soft>{escaped(where)}</div>"
        f"<div>in use: <b>{escaped(_said(d.used))}</b></div>"
        f"<div>candidate: <b>{escaped(_said(d.candidate))}</b></div></div></article>"
    )


def _said(o: Observation | None) -> str:
    if o is None:
        return "nothing"
    value = o.data.get("value")
    parts = [o.label or o.kind]
    parts += [f"{value:g}"] if isinstance(value, int | float) else []
    parts += [f"{o.score:.2f}"] if o.score is not None else []
    return " ".join(parts)
