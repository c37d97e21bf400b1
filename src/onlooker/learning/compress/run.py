"""Compression as a whole: from a bundle and a contract to the bundle that keeps it, or to how near one comes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from onlooker.bundles import Bundle, load_bundle
from onlooker.bundles.folder import save_bundle
from onlooker.bundles.running import engines
from onlooker.bundles.verify import verify_bundle
from onlooker.learning.compress.collapse import collapsed
from onlooker.learning.compress.contract import Costs, Worth, broken
from onlooker.learning.compress.devices import device_facts
from onlooker.learning.compress.in_pipeline import AtWork, in_pipeline
from onlooker.learning.compress.measure import costs_beside, eager_milliseconds, worth_of
from onlooker.learning.compress.plan import settings_of
from onlooker.learning.compress.report_page import compression_page
from onlooker.learning.compress.search import Candidate, Request, Search, Told
from onlooker.learning.datasets.typed_yaml import write_whole
from onlooker.learning.evaluate.run import Evaluation

__all__ = ["compress", "hopeful"]

_CONFIRMED, _NEAREST, _NARROWED = 3, 3, 3
_AS_FAST = 0.97
"""Shares of a speed from which on two are called equal: what is measured in turns differs by as much."""


def compress(request: Request, told: Told | None = None, at_work: AtWork | None = None) -> dict[str, Any]:
    """Search, confirm, and put what was chosen into ``request.out / "bundle"``.

    Candidates are judged by the validation part. Those that keep the contract are held to it on the test part, the
    three fastest first, then the one whose figures were nearest to the baseline's, beside the baseline and with the
    latency measured once more; the first that keeps it there too is chosen. A contract that none of them keeps on both
    parts is refused.

    Args:
        request: what is asked for.
        told: how it goes.
        at_work: measures the baseline and the chosen bundle in the whole pipeline; None: that is left out.

    Returns:
        The public JSON form, which is also written to ``compression.json`` and shown in ``report.html``: ``baseline``,
        ``candidates`` with ``steps``, ``accuracy`` (mean of the tasks' main metrics on the validation part, errors
        taken as negative), ``latency_ms``, ``size_mb``, ``kept``; ``chosen``, with each step ``by_step``, or None;
        ``nearest``, where none was; ``confirmed``, what the test part said, with ``leaks`` of it into what was learned
        from; ``warnings``; ``pipeline``, the clip on which ``baseline`` and ``chosen`` were measured under the
        same name, or why they were not.

    Raises:
        UsageError: bundle and dataset do not fit.
        ModelError: the bundle is damaged.
    """
    search = Search(request, told)
    say = told or (lambda what, done, of: None)
    skipped = 0
    for number, steps in enumerate(search.wanted):
        if search.late:
            skipped = len(search.wanted) - number
            break
        say("trying", number, len(search.wanted))
        search.tried(steps)
    for _ in range(_NARROWED):
        between = None if search.late else search.narrower()
        if between is None:
            break
        search.tried(between)
    for ends in (search.other_ends, search.smaller_ends):
        for steps in [] if search.late else ends():
            search.tried(steps)
    say("confirming", 0, 1)
    confirmed = _confirmed(search)
    found = _told(search, confirmed, skipped)
    say("measuring in the pipeline", 0, 1)
    _in_pipeline(search, found, at_work)
    write_whole(request.out / "compression.json", json.dumps(found, ensure_ascii=False, indent=1))
    write_whole(request.out / "report.html", compression_page(found))
    return found


def _in_pipeline(search: Search, found: dict[str, Any], at_work: AtWork | None) -> None:
    """Tell what the baseline and the chosen one cost in the whole pipeline."""
    base, chosen = found["baseline"], found["chosen"]
    bundles: dict[str, tuple[Path, str | None]] = {"baseline": (search.original.bundle, base["engine"])}
    if chosen is not None and chosen["steps"]:
        bundles["chosen"] = (Path(chosen["bundle"]), chosen["engine"])
    part = (search.dataset, search.test)
    told = in_pipeline(bundles, search.base.manifest, search.request.video, part, at_work)
    by_bundle = told.pop("bundles")
    found["pipeline"] = told
    base["pipeline"] = by_bundle.get("baseline")
    if chosen is not None:
        chosen["pipeline"] = by_bundle.get("chosen" if chosen["steps"] else "baseline")


def _fastest(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that kept the contract, the fastest first; of those that are as fast, the smaller."""
    left = sorted((c for c in candidates if c.kept and c.costs is not None), key=lambda c: -c.speed_up)
    made: list[Candidate] = []
    while left:
        alike = [c for c in left if c.speed_up >= _AS_FAST * left[0].speed_up]
        made.append(min(alike, key=lambda c: c.costs.size_mb if c.costs else 0.0))
        left.remove(made[-1])
    return made


def hopeful(candidates: Sequence[Candidate], base: dict[str, Worth]) -> list[Candidate]:
    """The fastest that kept the contract so far, then the one that changed least: a small part may have misled.

    Args:
        candidates: that were tried.
        base: how good the baseline is on the same part.
    """
    fastest = _fastest(candidates)
    return [*fastest[:_CONFIRMED], *sorted(fastest[_CONFIRMED:], key=lambda c: abs(c.drop(base)))[:1]]


def _confirmed(search: Search) -> list[dict[str, Any]]:
    """What the test part says of the hopeful; the last is the chosen one, if kept."""
    request, first = search.request, search.candidates[0].costs
    _cleared(request.out)
    tried = hopeful(search.candidates, search.base_worth)
    if not tried:
        return []
    base = worth_of(
        search.original.bundle, request.dataset, search.test, engine=first.engine if first else None,
        slices=request.slices, like=search.original.run,
    )  # fmt: skip
    made: list[dict[str, Any]] = []
    for one in tried:
        made.append(_held_to_it(search, one, *base))
        if made[-1]["kept"]:
            break
    return made


def _cleared(out: Path) -> None:
    """What an earlier contract has chosen goes: it may not keep this one."""
    shutil.rmtree(out / "bundle", ignore_errors=True)
    for name in ("compression.json", "report.html"):
        (out / name).unlink(missing_ok=True)


def _held_to_it(search: Search, one: Candidate, base: dict[str, Worth], before: Evaluation) -> dict[str, Any]:
    """What the test part says of a candidate, in the engine that it will run in; one that keeps all is put in place.

    Args:
        search: that made it.
        one: the candidate.
        base: of the baseline, on the test part.
        before: likewise.
    """
    request = search.request
    assert one.bundle is not None
    assert one.costs is not None
    engine, bundle = one.costs.engine, load_bundle(one.bundle)
    worth, after = worth_of(
        one.bundle, request.dataset, search.test, engine=engine, slices=request.slices,
        against=str(search.original.bundle), like=search.original.run,
    )  # fmt: skip
    costs = costs_beside(
        {"baseline": search.base, "it": bundle}, rounds=120, engine={"baseline": request.engine, "it": engine},
        device=request.device,
    )  # fmt: skip
    speed_up = round(costs["baseline"].latency_ms / costs["it"].latency_ms, 3)
    wrong = [f"{n} could not be measured on the part {search.test}" for n in search.base_worth if n not in base]
    wrong += broken(request.contract, base, worth, costs["it"], speed_up)
    target = request.out / "bundle"
    wrong = wrong or _put(bundle, engine, target)
    told = {
        "steps": settings_of(one.steps),
        "kept": not wrong,
        "broken": wrong,
        "cut_short": one.cut_short,
        "speed_up": speed_up,
        "latency_ms": costs["it"].latency_ms,
        "baseline_latency_ms": costs["baseline"].latency_ms,
        "engine": engine,
        "baseline_tasks": _worths(base),
        "tasks": _worths(worth),
        "leaks": [leak.as_dict() for leak in after.leaks],
        "notes": after.notes,
        "against_baseline": {name: d.as_dict() for name, d in after.against.items()},
        "collapsed": collapsed(base, worth, before.robustness, after.robustness),
    }
    return told if wrong else told | {"bundle": str(target)}


def _put(bundle: Bundle, engine: str, target: Path) -> list[str]:
    """Put a copy there that prefers the engine in which it was measured; what keeps it from working, if anything.

    Other engines may fail: the bundle is not run in them by itself.
    """
    fields = bundle.manifest.model_dump(mode="json", by_alias=True)
    fields["runtime"] = engine
    files: dict[str, Path | bytes] = {name: bundle.path(name) for name in bundle.manifest.files}
    made = save_bundle(target, fields, files)
    others = {name for name in engines(made) if name != engine}
    wrong = [f"{c.name}: {c.detail}" for c in verify_bundle(made).checks if c.state == "bad" and c.name not in others]
    if wrong:
        shutil.rmtree(target)
    return wrong


def _worths(worth: dict[str, Worth]) -> dict[str, Any]:
    return {name: asdict(one) for name, one in worth.items()}


def _told(search: Search, confirmed: list[dict[str, Any]], skipped: int) -> dict[str, Any]:
    request, base = search.request, search.candidates[0]
    rows = [_row(search, c) for c in search.candidates[1:]]
    _mark_front(rows, base)
    chosen = next((c for c in confirmed if c["kept"]), None)
    costs = search.loaded(base)
    found: dict[str, Any] = {
        "baseline": {
            "name": search.base.manifest.name,
            "digest": search.base.digest,
            "accuracy": base.accuracy,
            "tasks": _worths(base.worth or {}),
            **_costs(costs),
            "eager_ms": None if search.original.run is None else eager_milliseconds(search.original.run),
        },
        "candidates": rows,
        "chosen": chosen,
        "contract": request.contract.as_dict(),
        "confirmed": confirmed,
        "not_tried": skipped,
        "device": device_facts(request.device),
        "dataset": {
            "folder": str(request.dataset),
            "training": search.training,
            "validation": search.validation,
            "test": search.test,
        },
        "warnings": search.warnings,
        "folder": str(request.out),
    }
    if chosen is not None:
        one = next(c for c in search.candidates if settings_of(c.steps) == chosen["steps"])
        chosen |= {"accuracy": one.accuracy, "size_mb": one.costs.size_mb if one.costs else None}
        chosen |= {k: v for k, v in _costs(search.loaded(one)).items() if k in ("throughput", "memory_mb")}
        chosen["by_step"] = [_row(search, c) for c in search.along(one.steps)[1:]]
    else:
        far = sorted((c for c in search.candidates[1:] if c.costs and c.worth), key=search.how_far)
        found["nearest"] = [_row(search, c) for c in far[:_NEAREST]]
    return found


def _costs(costs: Costs) -> dict[str, Any]:
    return asdict(costs) | {"spread": list(costs.spread)}


def _row(search: Search, one: Candidate) -> dict[str, Any]:
    made: dict[str, Any] = {
        "steps": settings_of(one.steps),
        "accuracy": one.accuracy,
        "latency_ms": None,
        "size_mb": None,
        "kept": one.kept,
        "seconds": one.seconds,
        "front": False,
    }
    if one.error is not None:
        return made | {"error": one.error}
    assert one.costs is not None
    drop = round(one.drop(search.base_worth), 3)
    return made | {
        **_costs(one.costs),
        "tasks": _worths(one.worth or {}),
        "drop": drop,
        "speed_up": one.speed_up,
        "broken": one.broken or [],
        "cut_short": one.cut_short,
        "bundle": None if one.bundle is None else str(one.bundle),
    }


def _mark_front(rows: list[dict[str, Any]], base: Candidate) -> None:
    """Those that no other, and not the baseline, beats in accuracy, speed-up and size at once."""
    assert base.costs is not None
    whole = [r for r in rows if r["accuracy"] is not None]
    unchanged: dict[str, Any] = {"accuracy": base.accuracy, "speed_up": 1.0, "size_mb": base.costs.size_mb}

    def beats(a: dict[str, Any], b: dict[str, Any]) -> bool:
        pairs = [(a["accuracy"], b["accuracy"]), (a["speed_up"], b["speed_up"]), (-a["size_mb"], -b["size_mb"])]
        return all(x >= y for x, y in pairs) and any(x > y for x, y in pairs)

    for row in whole:
        row["front"] = not any(beats(other, row) for other in (*whole, unchanged))
