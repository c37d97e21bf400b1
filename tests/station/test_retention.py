"""What privacy lets a library keep only for a while is deleted, of cameras too."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from onlooker.core.event import Event
from onlooker.core.observation import Observation, Producer
from onlooker.core.store import Batch, Query
from onlooker.core.time import Span
from onlooker.events import Journal
from onlooker.live.ledger import Ledger, ledger_report
from onlooker.station.parts import camera_source
from onlooker.station.retention import forget_old
from onlooker.timeline import open_store

SECOND = 1_000_000_000


def test_what_a_camera_saw_longer_ago_is_deleted_and_its_ledger_stays(tmp_path):
    made = Producer("objects", "1", "0" * 32)
    with closing(open_store(tmp_path)) as store, closing(Journal.open(tmp_path)) as journal:
        info, zero = camera_source(store, "yard", "rtsp://host/a")
        ledger = Ledger(store, info.id, zero)
        ledger.begin(0)
        ledger.watching(20 * SECOND)
        ledger.end(100 * SECOND)
        seen = [Observation(Span.of_seconds(t, t + 1), "object", track=f"t{t}") for t in (10, 30, 80)]
        store.commit(Batch(info.id, [o.of(info.id, made, 0) for o in seen]))
        begin = datetime.fromtimestamp(zero, UTC)
        for number, start in enumerate((10, 80)):
            wall = begin + timedelta(seconds=start)
            new = Event(f"{number:032x}", "r", info.id, "yard", "new", start * SECOND, None, "low", wall=wall)
            journal.take(new)
            journal.take(replace(new, state="end", end=new.start, number=1))
            (tmp_path / "events" / f"{number:032x}").mkdir(parents=True)

        now = begin + timedelta(seconds=100)
        assert forget_old(tmp_path, store, journal, [info], Fraction(50), now) == 3
        assert [o.track for o in store.query(Query(kinds=("object",)))] == ["t80"]
        assert [r.event.start // SECOND for r in journal.query()] == [80]
        assert [p.name[-1] for p in (tmp_path / "events").iterdir()] == ["1"]
        report = ledger_report(store, info.id)
        assert (report.watched, report.blind) == (80 * SECOND, {"connecting": 20 * SECOND})

        # a library's age deletes whole sources, but no camera
        assert store.retain(older_than_seconds=Fraction(0)) == 0
        assert camera_source(store, "yard", "rtsp://host/b")[1] == zero
