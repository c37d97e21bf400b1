"""What the tests of stations share: a clip with people, analyzers for them, rules, and a look at what came of it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from onlooker.events import Journal
from onlooker.rules import backtest, load_rules
from onlooker.timeline import open_store

PROFILE = """
name: people
quality: fast
analyzers:
  motion: {}
  objects: {labels: [person]}
"""
RULES = """
version: 1
lines: {mid: {points: [[0.5, 0], [0.5, 1]]}}
rules:
  - {id: somebody, when: {object: {label: person}}, per: camera, before: 2s, after: 1s}
  - {id: each, when: {object: {label: person}}}
  - {id: crowd, when: {object: {label: person, at_least: 4}}, severity: high}
  - {id: crossing, when: {crosses: {line: mid, label: person}}}
  - {id: moving, when: {motion: {}}}
  - {id: nobody, when: {not: {of: {object: {label: person}}, lasts: 1s}}, gap: 0s}
  - {id: unseen, when: {camera: {}}, severity: low}
"""


@pytest.fixture
def scene(tmp_path, data):
    """``scene(**settings of the camera)`` writes a configuration of one camera, ``yard``, and gives its path."""
    clip = data("mot_pets09_s2l1/video.mp4")
    (tmp_path / "people.yaml").write_text(PROFILE)
    (tmp_path / "yard.rules.yaml").write_text(RULES)

    def written(more="", cameras=""):
        path = tmp_path / "watch.yaml"
        path.write_text(
            "version: 1\nprofile: people.yaml\nrules: [yard.rules.yaml]\n"
            f"cameras:\n  yard:\n    url: {clip}\n    rate: 4\n{more}{cameras}"
        )
        return path

    return written


def told(folder: Path):
    """All states that the journal took, in no order: id, rule, state, number, start, end, tracks, observations."""
    with closing(Journal.open(folder, read_only=True)) as journal:
        return sorted(_plain(e) for _, e in journal.states_after(0, 100_000))


def retold(folder: Path, rules: Path):
    """The same of `onlooker rules test` over what is stored."""
    with closing(open_store(folder, read_only=True)) as store:
        infos = [s.info for s in store.sources()]
        return sorted(_plain(e) for e in backtest(store, load_rules(rules), infos))


def _plain(e):
    return (e.rule, e.start, e.id, e.number, e.state, e.end, e.camera, e.tracks, e.observations)
