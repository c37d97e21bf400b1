"""What every store must do: derive a test class from `StoreContract` and say how to make a store.

    class TestMyStore(StoreContract):
        opener = staticmethod(open_my_store)  # a function of an installed module: other processes call it

or, for a store that one process alone may open, override ``make_store``; the tests with processes are then skipped.

Needs pytest and hypothesis.
"""

# the names of the tests say what they are about
# ruff: noqa: D102

from __future__ import annotations

import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from onlooker.core.errors import PluginError, UsageError
from onlooker.core.measurement import Measurement
from onlooker.core.observation import Attachment, Observation, Producer
from onlooker.core.store import Batch, Failure, Query, RunState, Store
from onlooker.core.time import Span, Timestamp
from onlooker.testing.store_erasing import ErasingContract
from onlooker.testing.store_finding import FindingContract
from onlooker.testing.store_values import (
    OTHER,
    SOURCE,
    TICK,
    moment,
    producer,
    same_observation,
    some_observations,
    source_info,
    time_key,
)

__all__ = ["StoreContract"]


class StoreContract(FindingContract, ErasingContract):
    """The suite; ``opener`` or ``make_store`` say what is tested."""

    # -- sources --

    def test_a_source_is_known_by_id_path_and_name(self, store: Store) -> None:
        store.add_source(source_info(path="/elsewhere/copy.mp4"))
        store.add_source(source_info(OTHER, "/videos/other.mp4"))
        assert [s.info.id for s in store.sources()] == [SOURCE, OTHER]
        assert store.sources()[0].paths == ("/videos/街景 café.mp4", "/elsewhere/copy.mp4")
        assert replace(store.source(SOURCE).info, path="") == replace(source_info(), path="")
        for ref in (SOURCE, SOURCE[:6], "/videos/街景 café.mp4", "街景 café.mp4", "copy.mp4"):
            assert store.source(ref).info.id == SOURCE
        for ref in ("", "nothing", "%", "_____", "' OR 1=1 --"):
            with pytest.raises(UsageError):
                store.source(ref)

    def test_an_ambiguous_reference_is_refused(self, store: Store) -> None:
        store.add_source(source_info(OTHER, "/elsewhere/街景 café.mp4"))
        with pytest.raises(UsageError, match="several"):
            store.source("街景 café.mp4")

    def test_digests_are_cached_by_path_size_and_time(self, store: Store) -> None:
        assert store.cached_id("/a", 1, 2) is None
        store.cache_id("/a", 1, 2, SOURCE)
        assert store.cached_id("/a", 1, 2) == SOURCE
        assert store.cached_id("/a", 1, 3) is None
        store.cache_id("/a", 1, 3, OTHER)
        assert store.cached_id("/a", 1, 3) == OTHER

    def test_writing_about_an_unknown_source_is_refused(self, store: Store) -> None:
        with pytest.raises(UsageError):
            store.commit(Batch(OTHER, some_observations(1, producer(), OTHER)))

    def test_removing_a_source_leaves_nothing_of_it(self, store: Store) -> None:
        store.add_source(source_info(OTHER, "/videos/other.mp4"))
        for identity in (SOURCE, OTHER):
            made = some_observations(50, producer(), identity)
            made[1] = replace(made[1], attachments=(Attachment("k/1.jpg", b"x", "image/jpeg"),))
            store.commit(Batch(identity, made, failures=[Failure(identity, "read", "bad")]))
        store.remove_source(SOURCE)
        assert [s.info.id for s in store.sources()] == [OTHER]
        assert {o.source for o in store.query(Query())} == {OTHER}
        assert {h.observation.source for h in store.search_text("打架", Query())} == {OTHER}
        assert store.failures(SOURCE) == []
        assert not (store.folder / "media" / SOURCE).exists()
        assert (store.folder / "media" / OTHER / "k" / "1.jpg").read_bytes() == b"x"
        store.add_source(source_info())
        assert store.counts(SOURCE) == {}

    # -- writing and reading back --

    def test_what_was_written_comes_back_equal(self, store: Store) -> None:
        made = some_observations(120, producer())
        made[1] = replace(made[1], vector=np.arange(4, dtype=np.float32), vector_space="test-4")
        store.commit(Batch(SOURCE, made))
        found = list(store.query(Query()))
        expected = sorted(made, key=time_key)
        assert all(same_observation(a, b) for a, b in zip(found, expected, strict=True))
        assert sum(store.counts().values()) == len(made)
        for observation in made:
            assert same_observation(store.get(observation.id), observation)
        assert store.get(made[0].id[:12].upper()).id == made[0].id
        for ref in ("", "1234567", "zzzzzzzzzz", "0" * 32, "0" * 33):
            with pytest.raises(UsageError):
                store.get(ref)

    def test_writing_twice_stores_once(self, store: Store) -> None:
        made = some_observations(90, producer())
        measured = [Measurement(o.span.start, TICK, np.arange(4)) for o in made]
        for cut in (30, 7, 90, 1):
            for at in range(0, 90, cut):
                part = slice(max(0, at - 3), at + cut)
                store.commit(Batch(SOURCE, made[part], [(producer(), measured[part], "always")]))
        assert [o.id for o in store.query(Query())] == [o.id for o in sorted(made, key=time_key)]
        assert sum(store.counts().values()) == 90
        assert [m.time for m in store.measurements(SOURCE, producer())] == [m.time for m in measured]
        assert len(store.search_text("打架", Query())) == sum(o.text is not None for o in made)

    def test_a_batch_that_fails_leaves_nothing(self, store: Store) -> None:
        made = some_observations(10, producer())
        broken = replace(made[-1], source=OTHER)
        with pytest.raises(UsageError):
            store.commit(Batch(SOURCE, [*made[:-1], broken], states=[RunState(producer(), complete=True)]))
        clash = [
            replace(made[1], vector=np.ones(3, np.float32), vector_space="one"),
            replace(made[2], vector=np.ones(4, np.float32), vector_space="one"),
        ]
        with pytest.raises(UsageError):
            store.commit(Batch(SOURCE, clash, states=[RunState(producer(), complete=True)]))
        assert store.counts() == {}
        assert store.states(SOURCE) == []

    def test_values_that_are_not_json_are_refused_whole(self, store: Store) -> None:
        made = some_observations(6, producer())
        for broken in (made[0], made[1]):
            wrong = replace(broken, data={"count": np.float32(1)})  # type: ignore[dict-item]
            with pytest.raises(PluginError, match="not JSON"):
                store.commit(Batch(SOURCE, [*made[2:], wrong]))
        assert store.counts() == {}

    def test_huge_and_odd_texts(self, store: Store) -> None:
        texts = ["x" * 1_000_000, "监控录像" * 50_000, "a\0b", "\N{PILE OF POO} \u200b\ufeff", "'\"%_;--", "İstanbul ﬁ"]
        made = [Observation(moment(i), "text", text=t).of(SOURCE, producer(), 0) for i, t in enumerate(texts)]
        store.commit(Batch(SOURCE, made))
        assert [o.text for o in store.query(Query())] == texts
        assert [h.observation.text for h in store.search_text("istanbul FI", Query())] == [texts[5]]
        assert len(store.search_text("录像", Query())) == 1

    def test_attachments_are_written_and_named(self, store: Store) -> None:
        picture = Attachment("keyframes/000001.jpg", b"\xff\xd8", "image/jpeg")
        path = store.put_media(SOURCE, picture)
        assert (store.folder / path).read_bytes() == b"\xff\xd8"
        shot = Observation(moment(0), "keyframe", attachments=(replace(picture, name="b.jpg"),), media=(path,))
        store.commit(Batch(SOURCE, [shot.of(SOURCE, producer(), 0)]))
        (found,) = store.query(Query())
        assert found.attachments == ()
        assert found.media[0] == path
        assert [(store.folder / m).is_file() for m in found.media] == [True, True]
        for name in ("../x", "/etc/x", "a/../../x", "a\\..\\x", "", "a//b", "c:x", "a/\0", "./x", "nul"):
            with pytest.raises(UsageError):
                store.put_media(SOURCE, replace(picture, name=name))
        with pytest.raises(UsageError):
            store.put_media("../outside", picture)

    # -- states, visibility --

    def test_states_replace_each_other(self, store: Store) -> None:
        state = RunState(producer(), Timestamp(10**15, Fraction(1, 90000)), False, 7, 1.5)
        store.commit(Batch(SOURCE, states=[state]))
        done = replace(state, position=Timestamp(3, TICK), complete=True, frames=9)
        other = RunState(producer("other", bundle="b" * 64))
        store.commit(Batch(SOURCE, states=[done, other]))
        assert store.states(SOURCE) == [done, other]
        assert store.source(SOURCE).states == (done, other)

    def test_a_newer_complete_producer_takes_the_place_of_the_older(self, store: Store) -> None:
        old, new, other = producer(config="old"), producer(config="new"), producer("other")
        measured = [Measurement(Timestamp(i, TICK), TICK, np.arange(2)) for i in range(5)]

        def write(by: Producer, count: int, complete: bool) -> None:
            states = [RunState(by, complete=complete)]
            store.commit(Batch(SOURCE, some_observations(count, by), [(by, measured, "always")], states=states))

        write(old, 30, complete=False)
        assert sum(store.counts().values()) == 30  # nothing is complete: the one under way is seen
        write(old, 40, complete=True)
        write(other, 7, complete=True)
        write(new, 10, complete=False)
        assert sum(store.counts().values()) == 47
        assert {o.producer for o in store.query(Query(analyzers=("shots",)))} == {old}
        assert len(list(store.measurements(SOURCE, new))) == 5
        first = some_observations(1, new)[0]
        with pytest.raises(UsageError):
            store.get(first.id)
        write(new, 20, complete=True)
        assert {o.producer for o in store.query(Query(analyzers=("shots",)))} == {new}
        assert sum(store.counts().values()) == 27
        assert len(store.search_text("打架", Query(analyzers=("shots",)))) == 3
        assert list(store.measurements(SOURCE, old)) == []
        assert [s.producer for s in store.states(SOURCE)] == [other, new]
        write(old, 5, complete=True)  # back to the first configuration
        assert {o.producer for o in store.query(Query(analyzers=("shots",)))} == {old}
        assert sum(store.counts().values()) == 12

    def test_of_a_live_source_all_that_was_seen_is_shown(self, store: Store) -> None:
        store.add_source(replace(source_info("live" * 8), live=True))
        old, new = producer(config="old"), producer(config="new")
        for by, at in ((old, 0), (new, 5), (old, 9)):
            seen = Observation(moment(at), "object").of("live" * 8, by, 0)
            store.commit(Batch("live" * 8, [seen], states=[RunState(by, moment(at).end)]))
        assert [o.producer for o in store.query(Query())] == [old, new, old]
        store.commit(Batch("live" * 8, states=[RunState(new, moment(9).end, True)]))
        assert [o.producer for o in store.query(Query())] == [new]

    def test_discarding_shows_what_is_left(self, store: Store) -> None:
        old, new = producer(config="old"), producer(config="new")
        store.commit(Batch(SOURCE, some_observations(10, old), states=[RunState(old, complete=True)]))
        store.commit(Batch(SOURCE, some_observations(4, new), states=[RunState(new)]))
        store.discard(SOURCE, old)
        store.discard(SOURCE, producer("unknown"))
        assert {o.producer for o in store.query(Query())} == {new}
        assert [s.producer for s in store.states(SOURCE)] == [new]
        store.commit(Batch(SOURCE, some_observations(3, old)))
        assert len(list(store.query(Query(analyzers=("shots",))))) in (3, 4)

    def test_superseded_media_go_unless_still_named(self, store: Store) -> None:
        old, new = producer(config="old"), producer(config="new")

        def keyframe(by: Producer, tick: int, name: str) -> Observation:
            picture = Attachment(name, name.encode(), "image/jpeg")
            return Observation(moment(tick), "keyframe", attachments=(picture,)).of(SOURCE, by, 0)

        first = [keyframe(old, 0, "k/0.jpg"), keyframe(old, 1, "k/1.jpg")]
        store.commit(Batch(SOURCE, first, states=[RunState(old, complete=True)]))
        store.commit(Batch(SOURCE, [keyframe(new, 0, "k/0.jpg")], states=[RunState(new, complete=True)]))
        assert [p.name for p in sorted((store.folder / "media" / SOURCE).rglob("*.jpg"))] == ["0.jpg"]

    # -- measurements, failures --

    def test_measurements_come_in_order_by_span(self, store: Store) -> None:
        measured = [
            Measurement(Timestamp(i, TICK), TICK, np.full((i % 3, 6), i, np.float32), bytes([i]) if i % 2 else None)
            for i in range(50)
        ]
        for part in (measured[20:40], measured[:10], measured[40:], measured[10:20], measured[5:25]):
            store.commit(Batch(SOURCE, measurements=[(producer(), part, "always")]))
        found = list(store.measurements(SOURCE, producer()))
        assert [m.time for m in found] == [m.time for m in measured]
        assert all(
            np.array_equal(a.values, b.values) and a.blob == b.blob for a, b in zip(found, measured, strict=True)
        )
        span = Span(Timestamp(7, TICK), Timestamp(12, TICK))
        assert [m.time.pts for m in store.measurements(SOURCE, producer(), span)] != []
        assert [m.time for m in store.measurements(SOURCE, producer(), span)] == [m.time for m in measured[7:12]]

    def test_measurements_of_the_run_go_when_it_is_complete(self, store: Store) -> None:
        measured = [Measurement(Timestamp(i, TICK), TICK, np.arange(2)) for i in range(6)]
        run, kept = producer("heavy"), producer("light")
        batch = Batch(SOURCE, measurements=[(run, measured[:3], "run"), (kept, measured, "always")])
        store.commit(batch)
        assert len(list(store.measurements(SOURCE, run))) == 3
        states = [RunState(run, complete=True), RunState(kept, complete=True)]
        store.commit(Batch(SOURCE, measurements=[(run, measured[3:], "run")], states=states))
        assert list(store.measurements(SOURCE, run)) == []
        assert len(list(store.measurements(SOURCE, kept))) == 6

    def test_values_stay_without_their_blobs_when_the_run_is_complete(self, store: Store) -> None:
        measured = [Measurement(Timestamp(i, TICK), TICK, np.arange(2) + i, b"face" * i) for i in range(6)]
        faces = producer("heavy")
        store.commit(Batch(SOURCE, measurements=[(faces, measured[:3], "values")]))
        assert [m.blob for m in store.measurements(SOURCE, faces)] == [b"face" * i for i in range(3)]
        states = [RunState(faces, complete=True)]
        store.commit(Batch(SOURCE, measurements=[(faces, measured[3:], "values")], states=states))
        found = list(store.measurements(SOURCE, faces))
        assert [m.blob for m in found] == [None] * 6
        assert [m.values.tolist() for m in found] == [m.values.tolist() for m in measured]

    def test_failures_are_kept_once_and_cleared_by_analyzer(self, store: Store) -> None:
        failures = [
            Failure(SOURCE, "read", "坏帧", Span.of_seconds(Fraction(1, 3), 2), None, True),
            Failure(SOURCE, "analyze", "out of memory", None, "objects"),
        ]
        unopened = Failure("/videos/broken.mp4", "open", "no such codec")
        store.commit(Batch(SOURCE, failures=failures))
        store.commit(Batch(SOURCE, failures=failures[:1]))
        store.commit(Batch("/videos/broken.mp4", failures=[unopened]))
        assert store.failures(SOURCE) == failures
        assert store.failures() == [*failures, unopened]
        store.clear_failures(SOURCE, ["objects", "nobody"])
        assert store.failures(SOURCE) == failures[:1]
        store.clear_failures(SOURCE, [None])
        assert store.failures() == [unopened]

    # -- records --

    def test_records_are_replaced_together_and_deleted_for_good(self, store: Store) -> None:
        assert store.records("people") == {}
        store.put_records("people", {"ann": {"faces": [0.5, None]}, "李雷": ["secret-9f3c"]})
        store.put_records("others", {"ann": 1})
        store.put_records("people", {"ann": {"faces": []}, "李雷": None, "nobody": None})
        assert store.records("people") == {"ann": {"faces": []}}
        assert store.records("others") == {"ann": 1}
        store.close()
        assert not any(b"secret-9f3c" in f.read_bytes() for f in store.folder.iterdir() if f.is_file())

    # -- keeping --

    def test_retention_by_bytes_removes_the_oldest(self, store: Store) -> None:
        for i in range(4):
            identity = f"{i:032x}"
            store.add_source(source_info(identity, f"/{i}.mp4"))
            picture = Attachment("sheet.jpg", os.urandom(400_000), "image/jpeg")
            made = Observation(moment(0), "sheet", attachments=(picture,)).of(identity, producer(), 0)
            store.commit(Batch(identity, [made]))
        store.remove_source(SOURCE)
        assert store.retain() == 0
        assert store.retain(older_than_seconds=Fraction(3600), max_bytes=10**9) == 0
        assert store.retain(max_bytes=1_100_000) == 2
        assert [s.paths[0] for s in store.sources()] == ["/2.mp4", "/3.mp4"]
        assert store.retain(older_than_seconds=Fraction(0)) == 2
        assert list(store.query(Query())) == []

    def test_closing_twice(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path / "library")
        store.close()
        store.close()
