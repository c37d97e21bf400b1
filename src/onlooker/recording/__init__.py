"""Recording of cameras: files, index, retention, export, live view and evidence."""

from onlooker.recording.config import RecordSettings
from onlooker.recording.evidence import Evidence, Subject, event_subject, make_evidence
from onlooker.recording.feed import Feed, Subscription
from onlooker.recording.index import Gap, Segment
from onlooker.recording.recorder import Recorder, RecorderStatus
from onlooker.recording.recordings import Recordings, file_sha256
from onlooker.recording.recovering import Recovered
from onlooker.recording.retention import Retained
from onlooker.recording.verify import Finding, Verdict, verify_evidence

__all__ = [
    "Evidence",
    "Feed",
    "Finding",
    "Gap",
    "RecordSettings",
    "Recorder",
    "RecorderStatus",
    "Recordings",
    "Recovered",
    "Retained",
    "Segment",
    "Subject",
    "Subscription",
    "Verdict",
    "event_subject",
    "file_sha256",
    "make_evidence",
    "verify_evidence",
]
