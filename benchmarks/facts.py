"""Facts on people side by side of whom known ones speak: ``python benchmarks/facts.py``.

All 21 pairs of GRID's seven people sit side by side and speak in turn; who does not speak shows its own resting
face. From the same observations facts are made with all senses, and without some.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _faces_and_voices import BOTH, LEFT, MUTED, NOBODY, PEOPLE, RIGHT, SECONDS, UNSEEN, talk
from _harness import save, timed

from onlooker.analyzers.facts.analyzer import Facts
from onlooker.analyzers.facts.config import FactsConfig
from onlooker.core.analyzer import Analyzer, Context, Window
from onlooker.core.media import SourceInfo
from onlooker.core.observation import Observation
from onlooker.core.plugins import load_plugin
from onlooker.core.time import Timestamp
from onlooker.sources import open_source
from onlooker.testing.drive import drive

MADE = {
    "faces": ("face", "face_track"),
    "attention": ("attention", "attention_state", "attention_group"),
    "speech": ("speech",),
    "speakers": ("speaker",),
    "sound_quality": ("cue",),
}
WAYS: dict[str, tuple[str, ...]] = {
    "all senses": (),
    "no lips (attention)": ("attention",),
    "no speakers, speech alone": ("speakers",),
    "no sound": ("speech", "speakers", "sound_quality"),
}


def analyzers() -> list[Analyzer[Any]]:
    """What facts rest on; speech without transcription."""
    settings: dict[str, dict[str, Any]] = {"speech": {"transcribe": False}}
    made: list[Analyzer[Any]] = []
    for name in MADE:
        cls = load_plugin("analyzers", name)
        made.append(cls(cls.Config.model_validate(settings.get(name, {}))))
    return made


def observed(path: Path) -> tuple[SourceInfo, list[Observation]]:
    """Of all analyzers but facts."""
    source = open_source(str(path))
    try:
        return source.info, drive(analyzers(), source)
    finally:
        source.close()


def facts(info: SourceInfo, observations: Sequence[Observation], without: Sequence[str] = ()) -> list[Observation]:
    """The facts that rest on them, as if the analyzers in ``without`` were not there."""
    kinds = {k for name, made in MADE.items() if name not in without for k in made}
    analyzer = Facts(FactsConfig())
    analyzer.open(Context(info, kinds=frozenset(kinds) & frozenset(analyzer.needs().kinds)))
    given = [o for o in observations if o.kind in kinds]
    made = list(analyzer.analyze(Window((), given, Timestamp.of_seconds(3600))))
    return [*made, *analyzer.flush()]


def sides(observations: Sequence[Observation]) -> dict[str, int]:
    """The side of each face track."""
    tracks = [o for o in observations if o.kind == "face_track" and o.box is not None]
    return {o.track or "": int((o.box.left + o.box.right) / 2 > 0.5) for o in tracks if o.box is not None}


def answer(part: int, side: int, observations: Sequence[Observation], made: Sequence[Observation]) -> str:
    """Whether the face that facts name for the voice of a part is the right one: ``right``, ``wrong`` or ``none``."""
    where = sides(observations)
    links = [f for f in made if f.label == "speaker_is_face"]
    named = [f for f in links if f.data.get("speaker") is not None]
    if named:
        voice = _voice(part, observations)
        links = [f for f in named if f.data["speaker"] == voice and (f.data["whole"] or _covers(f, part))]
    best = max(links, key=lambda f: f.score or 0.0, default=None)
    if best is None:
        return "none"
    faces: Any = best.data["faces"]
    return "right" if {where[t] for t in faces} == {side} else "wrong"


def _covers(fact: Observation, part: int) -> bool:
    """Whether one of its turns lies in the part for the most."""
    turns: Any = fact.data["turns"]
    return any(part * SECONDS <= (start + end) / 2 < (part + 1) * SECONDS for start, end in turns)


def _voice(part: int, observations: Sequence[Observation]) -> str | None:
    """The speaker that is heard for the longest in a part."""
    heard = [(_inside(o, part), o.track) for o in observations if o.kind == "speaker" and _inside(o, part) > 0]
    return max(heard)[1] if heard else None


def _inside(observation: Observation, part: int) -> float:
    """Seconds of it in a part."""
    start, end = part * SECONDS, (part + 1) * SECONDS
    return min(end, observation.span.end.seconds) - max(start, observation.span.start.seconds)


def _shares(counts: Counter[str]) -> dict[str, float]:
    row = {k: counts[k] / max(1, counts.total()) for k in ("right", "wrong", "none")}
    return {**row, "turns": counts.total()}


PARTS = (LEFT, RIGHT, UNSEEN, MUTED, NOBODY, LEFT, RIGHT, NOBODY, BOTH)
"""What every pair does."""
_TALK = range(PARTS.index(NOBODY) + 3)
"""The parts of a conversation in which one at a time speaks."""


def between(observations: Sequence[Observation], first: int, last: int) -> list[Observation]:
    """What was observed in these parts alone, and the face tracks."""
    start, end = first * SECONDS, (last + 1) * SECONDS
    return [o for o in observations if o.kind == "face_track" or start <= o.span.start.seconds < end]


def who_speaks(folder: Path, people: Sequence[str]) -> dict[str, Any]:
    """Which face speaks, with all senses and without some; muted microphones and voices that are not on screen."""
    tables: dict[str, Counter[str]] = {}
    events: Counter[str] = Counter()
    path = folder / "two.mp4"
    for number, pair in enumerate(itertools.combinations(people, 2)):
        left, right = pair if number % 2 else pair[::-1]
        third = next(p for p in PEOPLE if p not in pair)
        info, seen = observed(talk(path, (left, right, third), PARTS))
        talking = between(seen, _TALK[0], _TALK[-1])
        for way in ("all senses", "no lips (attention)"):
            made = facts(info, talking, WAYS[way])
            table = tables.setdefault(f"in turns, {way}", Counter())
            table.update(answer(i, PARTS[i].heard or 0, seen, made) for i in _TALK if PARTS[i] in (LEFT, RIGHT))
        _count(facts(info, talking), seen, events)
        for part in (0, 1):
            alone = between(seen, part, part)
            for way, without in WAYS.items():
                table = tables.setdefault(f"one speaks, {way}", Counter())
                table.update([answer(part, part, seen, facts(info, alone, without))])
        last = len(PARTS) - 1
        both = facts(info, between(seen, last, last))
        tables.setdefault("both mouths move", Counter()).update([answer(last, 0, seen, both)])
    print(f"{'which face speaks':38} right  wrong  none")
    for name, counts in tables.items():
        row = _shares(counts)
        print(f"{name:38} {row['right']:.3f}  {row['wrong']:.3f}  {row['none']:.3f}")
    clips = events["clips"]
    for name in ("muted_microphone", "off_screen_voice"):
        found, false = (events[f"{name} {key}"] / clips for key in ("found", "false"))
        print(f"{name}: found {found:.3f}, elsewhere {false:.3f} a clip")
    return {
        **{name: _shares(counts) for name, counts in tables.items()},
        **{
            name: {key: events[f"{name} {key}"] / clips for key in ("found", "false")}
            for name in ("muted_microphone", "off_screen_voice")
        },
        "clips": clips,
    }


def _count(made: Sequence[Observation], seen: Sequence[Observation], events: Counter[str]) -> None:
    """Count muted microphones and unseen voices that are where they should be, and those that are not."""
    where = sides(seen)
    events["clips"] += 1
    for name, part in (("muted_microphone", MUTED), ("off_screen_voice", UNSEEN)):
        mine = [f for f in made if f.label == name]
        inside = [f for f in mine if _inside(f, PARTS.index(part)) >= 0.5 * float(f.span.duration)]
        if name == "muted_microphone":
            inside = [f for f in inside if where[f.track or ""] == part.moves[0]]
        events[f"{name} found"] += bool(inside)
        events[f"{name} false"] += len(mine) - len(inside)


def cost(folder: Path) -> dict[str, float]:
    """CPU of the rules alone."""
    info, seen = observed(talk(folder / "two.mp4", (PEOPLE[0], PEOPLE[1], PEOPLE[2]), (LEFT, RIGHT) * 5))
    _, _, cpu = timed(lambda: facts(info, seen))
    seconds = float(info.duration or 1)
    print(f"CPU seconds a second of two talking faces: {cpu / seconds:.5f}")
    return {"cpu_per_second": cpu / seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("people", nargs="*", help="only these of GRID's clips; nothing is saved then")
    people = parser.parse_args().people
    with tempfile.TemporaryDirectory() as name:
        result = who_speaks(Path(name), people or PEOPLE)
        if not people:
            save("facts", {**result, **cost(Path(name))})


if __name__ == "__main__":
    main()
