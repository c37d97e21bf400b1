"""Topics and payloads of MQTT: the shape that an open video recorder made common, and Home Assistant discovery."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from onlooker.core.event import Event
from onlooker.core.version import __version__
from onlooker.events.records import wall_end

__all__ = ["discovery", "payload", "safe", "told"]

_NOT_IN_TOPICS = re.compile(r"[+#/\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9_-]")


def safe(name: str) -> str:
    """A name as one level of a topic.

    >>> safe("yard/back +")
    'yard_back _'
    """
    return _NOT_IN_TOPICS.sub("_", name) or "_"


def _id(name: str) -> str:
    """A name as Home Assistant allows it in ids; different names stay different."""
    plain = _NOT_IN_IDS.sub("_", name)
    if plain == name:
        return plain
    return f"{plain}_{hashlib.blake2b(name.encode('utf-8', 'replace'), digest_size=3).hexdigest()}"


def payload(event: Event) -> dict[str, Any]:
    """An event's fields, and those that tools for other recorders look for: Unix times and what there is to see."""
    ended = wall_end(event)
    return {
        **event.as_dict(),
        "start_time": None if event.wall is None else event.wall.timestamp(),
        "end_time": None if ended is None else ended.timestamp(),
        "top_score": event.as_dict()["score"],
        "sub_label": None,
        "false_positive": False,
        "has_snapshot": isinstance(event.evidence.get("snapshot"), str),
        "has_clip": isinstance(event.evidence.get("clip"), str),
    }


def told(event: Event, before: Event | None) -> bytes:
    """``{"type", "before", "after"}``; of a beginning both are the same."""
    after = payload(event)
    return _json({"type": event.state, "before": after if before is None else payload(before), "after": after})


def discovery(place: str, prefix: str, camera: str, rules: Sequence[str]) -> Mapping[str, bytes]:
    """Home Assistant's discovery messages of one camera, by topic: a device with a binary sensor for each rule, a
    sensor of the last event, and a camera that shows its snapshot.
    """
    node, base = _id(camera), f"{prefix}/{safe(camera)}"
    device = {"identifiers": [f"onlooker_{node}"], "name": camera, "manufacturer": "onlooker", "model": "camera"}
    common = {
        "availability_topic": f"{prefix}/available",
        "device": device,
        "origin": {"name": "onlooker", "sw_version": __version__},
    }

    def entry(component: str, object_id: str, **more: Any) -> tuple[str, bytes]:
        values = {**common, "unique_id": f"onlooker_{node}_{object_id}", **more}
        return f"{place}/{component}/onlooker_{node}/{object_id}/config", _json(values)

    found = [
        entry(
            "binary_sensor",
            f"rule_{_id(rule)}",
            name=rule,
            state_topic=f"{base}/rules/{safe(rule)}",
            payload_on="ON",
            payload_off="OFF",
        )
        for rule in rules
    ]
    last = f"{base}/last_event"
    template = "{{ value_json.rule }}"
    found.append(
        entry(
            "sensor",
            "last_event",
            name="Last event",
            state_topic=last,
            value_template=template,
            json_attributes_topic=last,
            icon="mdi:eye",
        )
    )
    found.append(entry("camera", "snapshot", name="Last snapshot", topic=f"{base}/snapshot"))
    return dict(found)


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=True, allow_nan=False).encode()
