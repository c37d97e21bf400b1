"""A station watches cameras: it runs analysis, rules, events and recording together."""

from onlooker.station.config import CameraConfig, WatchConfig, load_watch, watch_of, watch_schema
from onlooker.station.station import Changes, Station

__all__ = ["CameraConfig", "Changes", "Station", "WatchConfig", "load_watch", "watch_of", "watch_schema"]
