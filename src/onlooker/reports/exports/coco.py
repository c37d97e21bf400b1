"""COCO JSON: one image for each analysed frame, boxes and key points in pixels (Lin et al. 2014, cocodataset.org)."""

from __future__ import annotations

import json
import math
from typing import Any, BinaryIO, ClassVar

from onlooker.core.media import VideoInfo
from onlooker.core.observation import Observation
from onlooker.reports.export import ExportRequest, ExportSummary, box_of, frame_number, frame_rate, score_of, write_text

__all__ = ["PLUGIN", "Coco"]

PLUGIN = "onlooker.reports.exports.coco:Coco"
BODY = (
    *("nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow"),
    *("right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee"),
    *("left_ankle", "right_ankle"),
)
FACE = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
"""Left and right as seen in the picture."""

SKELETON = (
    *((16, 14), (14, 12), (17, 15), (15, 13), (12, 13), (6, 12), (7, 13), (6, 7), (6, 8), (7, 9), (8, 10), (9, 11)),
    *((2, 3), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7)),
)
_SURE = 0.3
_POINTS = {"pose": ("keypoints", BODY), "face": ("points", FACE)}


class Coco:
    """Boxes as annotations, with the key points of bodies and faces; ``attributes`` keeps track and source of each."""

    name: ClassVar[str] = "coco"
    extension: ClassVar[str] = ".json"
    description: ClassVar[str] = "boxes, bodies and faces as COCO JSON, one image a frame"
    kinds: ClassVar[tuple[str, ...]] = ("object", "face", "pose")
    single: ClassVar[bool] = False

    def write(self, request: ExportRequest, out: BinaryIO) -> ExportSummary:
        """See `Export.write`; images and classes are gathered, annotations streamed."""
        summary = ExportSummary()
        images: dict[tuple[str, int], dict[str, Any]] = {}
        classes: dict[tuple[str, str], int] = {}
        write_text(out, '{"info": {"description": "made by onlooker"}, "licenses": [], "annotations": [')
        for source in request.sources:
            video = source.info.video
            if video is None or not video.frame_rate:
                summary.left_out["source without video"] += 1
                continue
            rate = frame_rate(source)
            for observation in request.of(source, self.kinds):
                box = box_of(observation)
                if box is None:
                    summary.left_out[observation.kind] += 1
                    continue
                frame = frame_number(observation, rate)
                image = images.setdefault(
                    (source.info.id, frame),
                    {
                        "id": len(images) + 1,
                        "file_name": f"{source.info.id}/{frame:08d}.jpg",
                        "width": video.width,
                        "height": video.height,
                        "video": source.info.path,
                        "frame": frame,
                        "seconds": round(observation.span.start.seconds, 6),
                    },
                )
                label = observation.label or observation.kind
                pointed = observation.kind if observation.kind in _POINTS else ""
                left, top, right, bottom = box
                width, height = (right - left) * video.width, (bottom - top) * video.height
                note = {
                    "id": summary.written + 1,
                    "image_id": image["id"],
                    "category_id": classes.setdefault((pointed, label), len(classes) + 1),
                    "bbox": [round(v, 2) for v in (left * video.width, top * video.height, width, height)],
                    "area": round(width * height, 2),
                    "iscrowd": 0,
                    "score": score_of(observation),
                    "attributes": {"track": observation.track, "observation": observation.id},
                    **(_points(observation, video) if pointed else {}),
                }
                write_text(out, ("," if summary.written else "") + "\n" + json.dumps(note, ensure_ascii=False))
                summary.written += 1
        named = [_category(number, kind, name) for (kind, name), number in classes.items()]
        rest = json.dumps({"images": list(images.values()), "categories": named}, ensure_ascii=False)
        write_text(out, f"\n], {rest[1:]}\n")
        return summary


def _category(number: int, kind: str, name: str) -> dict[str, Any]:
    category: dict[str, Any] = {"id": number, "name": name, "supercategory": "person" if kind else ""}
    if kind:
        category["keypoints"] = list(_POINTS[kind][1])
        category["skeleton"] = [list(pair) for pair in SKELETON] if kind == "pose" else []
    return category


def _points(observation: Observation, video: VideoInfo) -> dict[str, Any]:
    """``keypoints`` as x, y, v: v is 2 where it is seen, 0 where not."""
    field, names = _POINTS[observation.kind]
    told = observation.data.get(field)
    flat: list[float] = []
    for point in (told if isinstance(told, list) else [])[: len(names)]:
        match point:
            case [int() | float() as x, int() | float() as y, *rest] if _seen(x, y, rest):
                flat += [round(x * video.width, 2), round(y * video.height, 2), 2]
            case _:
                flat += [0, 0, 0]
    flat += [0, 0, 0] * (len(names) - len(flat) // 3)
    return {"keypoints": flat, "num_keypoints": sum(v > 0 for v in flat[2::3])}


def _seen(x: float, y: float, score: list[Any]) -> bool:
    sure = not score or (isinstance(score[0], int | float) and score[0] >= _SURE)
    return sure and math.isfinite(x) and math.isfinite(y)
