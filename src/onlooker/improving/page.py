"""The report of an improvement: what was said, what was learned, what was fixed and broken, and what was decided."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from onlooker.improving.feedback import Feedback
from onlooker.improving.improvement import Improvement, Round
from onlooker.improving.verdicts import Changed
from onlooker.learning.datasets.typed_yaml import write_whole
from onlooker.learning.evaluate.page import Cell, data_address, document, escaped, section, table
from onlooker.shadow.compare import Span
from onlooker.shadow.moments import moments_of
from onlooker.shadow.page import chosen, counted, differing
from onlooker.shadow.stored import keeper_of, pictured

__all__ = ["write_improvement"]

_MOST = 60


def write_improvement(made: Improvement) -> Path:
    """Write ``improve.json`` and ``report.html`` in the improvement's folder; returns the page's path."""
    folder = made.request.folder
    write_whole(folder / "improve.json", json.dumps(made.as_dict(), ensure_ascii=False, indent=1))
    parts = [_decision(made), _feedback(made)]
    if made.best is not None:
        parts += [_changes(made, made.best), _held_out(made), _rounds(made), _differences(made, made.best)]
    parts.append(_lineage(made))
    title = f"Improvement: {made.used.manifest.title or made.request.name}"
    candidate = "" if made.best is None else f" · candidate {made.best.bundle.digest[:16]}"
    about = f"{made.request.name} {made.used.digest[:16]}{candidate} · library {made.request.library}"
    write_whole(folder / "report.html", document(title, about, [p for p in parts if p]))
    return folder / "report.html"


def _decision(made: Improvement) -> str:
    said = {
        "promoted": "The candidate is in use.",
        "ready": "Nothing speaks against the candidate; it is not in use yet.",
        "left": "The candidate is not put to use by itself.",
        "nothing to learn": "Nothing was learned.",
        "nothing to do": "The version in use does already all that was asked for.",
    }[made.decision]
    name = made.request.name
    rows = [f"<li>{escaped(reason)}</li>" for reason in made.reasons]
    parts = [f"<p><b>{escaped(said)}</b></p>", f"<ul>{''.join(rows)}</ul>" if rows else ""]
    if made.decision == "promoted":
        parts.append(f"<p>Undo it: <code>onlooker models rollback {escaped(name)}</code></p>")
    elif made.best is not None:
        digest = made.best.bundle.digest[:16]
        parts.append(f"<p>Use it: <code>onlooker models promote {escaped(name)} {digest}</code></p>")
    if made.best is not None:
        v = made.best.verdicts
        head = ["feedback fixed", "of", "already so", "earlier observations kept", "lost", "new"]
        told = v.as_dict()
        parts.append(table(head, [[v.fixed, v.asked, v.already, v.kept, told["lost"], told["new"]]]))
    return section("Decision", *parts)


def _pictures(made: Improvement, places: Sequence[tuple[str, Span]]) -> Mapping[int, bytes]:
    """Pictures of the middles of stretches, by their place."""
    found: dict[int, bytes] = {}
    keeper = keeper_of(made.request.library)
    try:
        for source in dict.fromkeys(s for s, _ in places):
            own = {n: round(sum(span) / 2, 3) for n, (s, span) in enumerate(places) if s == source}
            shown = moments_of(str(made.footage.files[source][0]), own.values(), keeper)
            found |= {n: shown[at] for n, at in own.items() if at in shown}
    finally:
        if keeper is not None:
            keeper.close()
    return found


def _card(picture: bytes | None, title: str, look: str, lines: Sequence[str]) -> str:
    shown = "" if picture is None else f'<img alt="" src="{data_address(picture, "image/jpeg")}">'
    told = "".join(f"<div>{escaped(line)}</div>" for line in lines)
    return f'<article>{shown}<div><div class="id {look}">{escaped(title)}</div>{told}</div></article>'


def _feedback(made: Improvement) -> str:
    """Each piece: what was said, by whom, how many samples teach it, whether it is fixed."""
    some = made.footage.feedback[:_MOST]
    pictures = _pictures(made, [(f.said.source, f.span) for f in some])
    fixes = {f.feedback.key: f for f in (made.heeded if made.best is None else made.best.verdicts.fixes)}
    cards = []
    for place, one in enumerate(some):
        fix = fixes.get(one.key)
        state = "waits for a label" if one.key in made.waiting else "not tried" if fix is None else fix.state
        look = "good" if fix is not None and fix.fixed else "bad"
        lines = [*_told(made, one), f"{made.taught.get(one.key, 0)} samples teach it"]
        who = "the version in use" if made.best is None else "the candidate"
        lines += [f"{who} says {one.said.label} in {fix.covered:.0%} of it"] if fix is not None else []
        cards.append(_card(pictures.get(place), state, look, lines))
    unusable = [[key, Cell(why, "word")] for key, why in made.footage.unusable.items()]
    more = table(["cannot be used", Cell("why", "word")], unusable) if unusable else ""
    return section("Feedback", f'<div class="cards">{"".join(cards)}</div>', more)


def _told(made: Improvement, one: Feedback) -> list[str]:
    said = one.said
    instead = f", instead {said.instead}" if said.instead else ""
    where = f"{made.footage.files[said.source][0].name} {said.start:.2f} to {said.end:.2f} s"
    lines = [f"{said.verdict}: {said.label}{instead}", where, f"{said.by} {said.at} {said.note}".strip()]
    return [*lines, f"event {one.event[:16]}" if one.event else f"feedback {one.key}"]


def _changes(made: Improvement, best: Round) -> str:
    """What else is other than before."""
    changed = sorted(best.verdicts.changed, key=lambda c: (not c.lost, -c.score))
    if not changed:
        kept = best.verdicts.kept
        return section("Regressions", f"<p class=good>None: all {kept} other observations of stored video stay.</p>")
    some = changed[:_MOST]
    pictures = _pictures(made, [(c.source, (c.start, c.end)) for c in some])
    cards = [_card(pictures.get(n), "lost" if c.lost else "new", "bad", _changed(made, c)) for n, c in enumerate(some)]
    said = (
        "<p>Observations away from the feedback that are lost, or new. Where the candidate is right, say so "
        "(<code>onlooker feedback wrong</code> of the old one), and run it again.</p>"
    )
    return section("Regressions", said, f'<div class="cards">{"".join(cards)}</div>')


def _changed(made: Improvement, c: Changed) -> list[str]:
    where = f"{made.footage.files[c.source][0].name} {c.start:.2f} to {c.end:.2f} s"
    return [f"{c.kind} {c.label} {c.score:.2f}", where]


def _held_out(made: Improvement) -> str:
    tasks = made.held_out.get("tasks")
    if not tasks:
        why = made.held_out.get("error", "no dataset was at hand")
        return section("Held-out data", f"<p class=bad>Nothing was measured: {escaped(why)}.</p>")
    rows = [
        [
            name, t["metric"], t["other"], t["value"], t["difference"],
            "–" if t["ci95"] is None else f"{t['ci95'][0]:.3g} to {t['ci95'][1]:.3g}", t["p"],
            len(t["fixed"]), len(t["broken"]),
        ]
        for name, t in tasks.items()
    ]  # fmt: skip
    head = ["output", "metric", "before", "after", "difference", "95 % of it", "p", "fixed", "broken"]
    said = f"<p class=soft>Part {escaped(made.held_out['split'])} of {escaped(made.data)}.</p>"
    return section("Held-out data", said, table(head, rows))


def _rounds(made: Improvement) -> str:
    head = ["round", "rate", "frozen", "layer decay", "epochs", "fixed", "broken", "kept", "seconds", "candidate"]
    rows = []
    for one in made.rounds:
        s, v = one.strength, one.verdicts
        passes = f"{one.trained} of {s['epochs']}"
        rows.append([one.number, s["rate"], s["frozen"], s["layer_decay"], passes, f"{v.fixed} of {v.asked}",
                     v.broken, v.kept, round(one.seconds, 1), one.bundle.digest[:16]])  # fmt: skip
    best = None if made.best is None else made.rounds.index(made.best)
    said = (
        "<p class=soft>From the same weights each, ever farther from them; the run folders hold curves and reports.</p>"
    )
    return section("Fine-tuning", said, table(head, rows, main=best))


def _differences(made: Improvement, best: Round) -> str:
    whole = best.shadow.whole
    shown = chosen(whole.differences, 24)
    pictures = pictured(best.shadow, shown, made.request.library)
    return counted(whole) + differing(best.shadow.sources, whole.differences, shown, pictures)


def _lineage(made: Improvement) -> str:
    """What everything came from, by digest."""
    used, best = made.used, made.best
    rows = [
        ["bundle in use", used.digest],
        ["its run", str(made.run)],
        ["its dataset", used.manifest.provenance.dataset],
    ]
    rows.append(["old samples from", None if made.data is None else str(made.data)])
    if best is not None:
        facts = best.bundle.manifest.provenance
        rows += [["candidate", best.bundle.digest], ["its parent", facts.parent], ["its lessons", facts.dataset]]
        rows.append(["its run", str(made.request.folder / f"round-{best.number}" / "run")])
    rows.append(["labels", str(made.request.folder / "labels")])
    return section("Lineage", table(["what", Cell("which", "word")], [[a, Cell(b, "word")] for a, b in rows]))
