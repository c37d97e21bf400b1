"""Analyses in processes of their own: queued, run, watched, cancelled; known again after a restart."""

from __future__ import annotations

import contextlib
import json
import logging
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from onlooker.core.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from onlooker.api.database import ServerDatabase

__all__ = ["Job", "JobState", "Jobs", "Task"]

JobState = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
ENDED: Final = frozenset(("done", "failed", "cancelled", "interrupted"))
_LOG = logging.getLogger("onlooker.jobs")
_STOPPED: Final = "the server ended; start it again to go on where it was"
_GRACE: Final = 20.0
_WAITING: Final = 100
_KEPT: Final = 1000


@dataclass(frozen=True, slots=True)
class Task:
    """What to analyse.

    Args:
        addresses: checked already.
        sources: ids of those that the library knows.
        profile, only, quality, redo: as in ``onlooker analyze``.
    """

    addresses: tuple[str, ...]
    sources: tuple[str, ...] = ()
    profile: str = "default"
    only: tuple[str, ...] = ()
    quality: str | None = None
    redo: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """An analysis: times are Unix seconds."""

    id: str
    owner: str
    task: Task
    state: JobState
    created: float
    started: float | None = None
    ended: float | None = None
    progress: Mapping[str, Any] | None = None
    result: Mapping[str, Any] | None = None
    error: str | None = None


class Jobs:
    """The analyses of one server; at most ``most`` run at once, in the order in which they came.

    Args:
        database: where they are kept.
        folder: the library.
        most: how many at once.
        private: whether a source may be of this machine or of internal networks, redirects included.
        shown: an address as it may be stored and shown.
    """

    def __init__(
        self, database: ServerDatabase, folder: Path, most: int, private: bool, shown: Callable[[str], str]
    ) -> None:
        self._database, self._folder, self._most, self._private, self._shown = database, folder, most, private, shown
        self._lock = threading.Condition()
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self._cancelled: set[str] = set()
        self._secret: dict[str, tuple[str, ...]] = {}
        self._closed = False
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Take up what an earlier server left: what waited is run, what ran is marked as interrupted."""
        sql = "UPDATE job SET state = 'interrupted', ended = ?, error = ? WHERE state = ? AND (? OR request LIKE ?)"
        for state, reason in (("running", _STOPPED), ("queued", "its address had a password, which is not kept")):
            self._database.write(sql, (time.time(), reason, state, state == "running", '%"whole": false%'))
        for number in range(self._most):
            thread = threading.Thread(target=self._work, name=f"jobs-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    # -- what is known --

    def get(self, identity: str) -> Job | None:
        """One job, or None."""
        found = self._database.fetch("SELECT * FROM job WHERE id = ?", (identity,))
        return _job(found[0]) if found else None

    def list(self, limit: int = 200) -> list[Job]:
        """The newest first."""
        return [_job(r) for r in self._database.fetch("SELECT * FROM job ORDER BY created DESC LIMIT ?", (limit,))]

    def counts(self) -> dict[str, int]:
        """How many there are in each state."""
        return dict(self._database.fetch("SELECT state, COUNT(*) FROM job GROUP BY state"))

    # -- starting and ending --

    def add(self, owner: str, task: Task) -> Job:
        """Queue an analysis.

        Raises:
            UsageError: too many wait.
        """
        identity = secrets.token_hex(8)
        kept = replace(task, addresses=tuple(self._shown(a) for a in task.addresses))
        with self._lock:
            ((waiting,),) = self._database.fetch("SELECT COUNT(*) FROM job WHERE state = 'queued'")
            if waiting >= _WAITING:
                raise UsageError(f"{waiting} analyses wait already", hint="cancel some, or wait")
            with self._database.transaction() as connection:
                connection.execute(
                    "INSERT INTO job VALUES (?, ?, ?, 'queued', ?, NULL, NULL, '{}', NULL, NULL)",
                    (identity, owner, json.dumps({**_task_dict(kept), "whole": kept == task}), time.time()),
                )
                connection.execute(
                    "DELETE FROM job WHERE ended IS NOT NULL AND id NOT IN"
                    " (SELECT id FROM job ORDER BY created DESC LIMIT ?)",
                    (_KEPT,),
                )
            # passwords stay in memory: after a restart such a job cannot go on by itself
            self._secret[identity] = task.addresses
            self._lock.notify()
        job = self.get(identity)
        assert job is not None
        return job

    def cancel(self, identity: str) -> bool:
        """Stop a job, keeping what it did; False where it had ended."""
        with self._lock:
            sql = "UPDATE job SET state = 'cancelled', ended = ? WHERE id = ? AND state = 'queued'"
            if self._database.write(sql, (time.time(), identity)):
                self._secret.pop(identity, None)
                return True
            process = self._processes.get(identity)
            if process is None:
                return False
            self._cancelled.add(identity)
        threading.Thread(target=_end, args=(process,), daemon=True).start()
        return True

    def close(self) -> None:
        """Stop all, keeping what they did."""
        with self._lock:
            self._closed = True
            self._lock.notify_all()
            running = list(self._processes.values())
        for process in running:
            _end(process)
        for thread in self._threads:
            thread.join(_GRACE)

    # -- working --

    def _work(self) -> None:
        while True:
            with self._lock:
                job = None if self._closed else self._next()
                while job is None:
                    if self._closed:
                        return
                    self._lock.wait()
                    job = None if self._closed else self._next()
            try:
                self._run(job)
            except Exception as error:  # the thread must go on to the next
                _LOG.exception("the job %s failed", job.id)
                self._end(job.id, "failed", error=f"unexpected {type(error).__name__}")

    def _next(self) -> Job | None:
        found = self._database.fetch("SELECT * FROM job WHERE state = 'queued' ORDER BY created LIMIT 1")
        if not found:
            return None
        job = _job(found[0])
        self._database.write("UPDATE job SET state = 'running', started = ? WHERE id = ?", (time.time(), job.id))
        return job

    def _run(self, job: Job) -> None:
        task = job.task
        addresses = self._secret.pop(job.id, task.addresses)
        message = {
            **_task_dict(task),
            "addresses": list(addresses),
            "labels": dict(zip(addresses, task.addresses, strict=True)),
            "library": str(self._folder),
            "private": self._private,
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "onlooker.api.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        with self._lock:
            self._processes[job.id] = process
            closed = self._closed
        if closed:
            _end(process)
        last = self._follow(job.id, process, message)
        code = process.wait()
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
        with self._lock:
            del self._processes[job.id]
            cancelled = job.id in self._cancelled
            self._cancelled.discard(job.id)
        if cancelled:
            self._end(job.id, "cancelled", result=last.get("result"))
        elif self._closed:
            self._end(job.id, "interrupted", error=_STOPPED)
        elif "result" in last:
            good = last["result"]["exit_code"] in (0, 2)
            self._end(job.id, "done" if good else "failed", result=last["result"])
        else:
            self._end(job.id, "failed", error=last.get("error") or f"the process ended with {code}")

    def _follow(self, identity: str, process: subprocess.Popen[str], message: dict[str, Any]) -> dict[str, Any]:
        assert process.stdin is not None
        assert process.stdout is not None
        last: dict[str, Any] = {}
        with process.stdout as lines:
            try:
                process.stdin.write(json.dumps(message) + "\n")
                process.stdin.flush()
            except (OSError, ValueError):
                pass  # it ended before it began, which its exit code tells
            for line in lines:
                told = json.loads(line)
                if "progress" in told:
                    sql = "UPDATE job SET progress = ? WHERE id = ?"
                    self._database.write(sql, (json.dumps(told["progress"]), identity))
                else:
                    last = told
        return last

    def _end(
        self, identity: str, state: JobState, *, result: Mapping[str, Any] | None = None, error: str | None = None
    ) -> None:
        self._database.write(
            "UPDATE job SET state = ?, ended = ?, result = ?, error = ? WHERE id = ?",
            (state, time.time(), None if result is None else json.dumps(result), error, identity),
        )


def _end(process: subprocess.Popen[str]) -> None:
    """Ask a process to end by closing its input; one that does not is killed."""
    try:
        assert process.stdin is not None
        process.stdin.close()
    except OSError:
        pass
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        process.kill()


def _task_dict(task: Task) -> dict[str, Any]:
    names = ("addresses", "sources", "profile", "only", "quality", "redo")
    return {name: getattr(task, name) for name in names}


def _job(row: Sequence[Any]) -> Job:
    identity, owner, request, state, created, started, ended, progress, result, error = row
    task: dict[str, Any] = json.loads(request)
    made = Task(
        tuple(task["addresses"]),
        tuple(task["sources"]),
        task["profile"],
        tuple(task["only"]),
        task["quality"],
        task["redo"],
    )
    return Job(
        identity,
        owner,
        made,
        state,
        created,
        started,
        ended,
        json.loads(progress) or None,
        None if result is None else json.loads(result),
        error,
    )
