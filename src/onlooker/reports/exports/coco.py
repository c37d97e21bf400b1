"""COCO detection JSON: one image for each analysed frame, boxes in pixels."""

from __future__ import annotations

import json
from typing import Any, BinaryIO, ClassVar

from onlooker.reports.export import ExportRequest, ExportSummary, box_of, frame_number, frame_rate, score_of, write_text

__all__ = ["PLUGIN", "Coco"]

PLUGIN = "onlooker.reports.exports.coco:Coco"


class Coco:
    """Boxes as annotations; ``attributes`` keeps track and source of each."""

    name: ClassVar[str] = "coco"
    extension: ClassVar[str] = ".json"
    description: ClassVar[str] = "boxes as COCO JSON, one image a frame"
    kinds: ClassVar[tuple[str, ...]] = ("object",)
    single: ClassVar[bool] = False

    def write(self, request: ExportRequest, out: BinaryIO) -> ExportSummary:
        """See `Export.write`; images and classes are gathered, annotations streamed."""
        summary = ExportSummary()
        images: dict[tuple[str, int], dict[str, Any]] = {}
        classes: dict[str, int] = {}
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
                left, top, right, bottom = box
                width, height = (right - left) * video.width, (bottom - top) * video.height
                note = {
                    "id": summary.written + 1,
                    "image_id": image["id"],
                    "category_id": classes.setdefault(label, len(classes) + 1),
                    "bbox": [round(v, 2) for v in (left * video.width, top * video.height, width, height)],
                    "area": round(width * height, 2),
                    "iscrowd": 0,
                    "score": score_of(observation),
                    "attributes": {"track": observation.track, "observation": observation.id},
                }
                write_text(out, ("," if summary.written else "") + "\n" + json.dumps(note, ensure_ascii=False))
                summary.written += 1
        named = [{"id": number, "name": name, "supercategory": ""} for name, number in classes.items()]
        rest = json.dumps({"images": list(images.values()), "categories": named}, ensure_ascii=False)
        write_text(out, f"\n], {rest[1:]}\n")
        return summary
