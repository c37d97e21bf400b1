"""Recording of cameras: files, index, retention, export, live view and evidence."""

from onlooker.recording.config import RecordSettings
from onlooker.recording.feed import Feed, Subscription
from onlooker.recording.index import Gap, Segment
from onlooker.recording.recorder import Recorder, RecorderStatus
from onlooker.recording.recordings import Recordings, file_sha256
from onlooker.recording.recovering import Recovered
from onlooker.recording.retention import Retained

__all__ = [
    "Feed",
    "Gap",
    "RecordSettings",
    "Recorder",
    "RecorderStatus",
    "Recordings",
    "Recovered",
    "Retained",
    "Segment",
    "Subscription",
    "file_sha256",
]
