"""Makes ``coco_boxes.json``: random boxes and what COCO's own evaluation says of them.

Run where pycocotools is installed: ``python make_coco_boxes.py > coco_boxes.json``.
"""

from __future__ import annotations

import contextlib
import io
import json
from importlib.metadata import version
from typing import Any

import numpy as np
from pycocotools.coco import COCO  # pyright: ignore[reportMissingModuleSource, reportMissingImports]
from pycocotools.cocoeval import COCOeval  # pyright: ignore[reportMissingModuleSource, reportMissingImports]

PICTURES, LABELS, SIDE = 12, 3, 1000.0


def boxes_of(random, count):
    corner = random.uniform(0, 0.6, (count, 2))
    return np.column_stack([corner, corner + random.uniform(0.05, 0.4, (count, 2))])


def picture(random):
    """True boxes with label and crowd; found ones with score and label: near ones, doubles, and others."""
    count = random.integers(0, 7)
    true = np.column_stack([boxes_of(random, count), random.integers(0, LABELS, count), random.random(count) < 0.15])
    kept = true[random.random(count) < 0.85]
    near = kept[:, :4] + random.normal(0, 0.02, (len(kept), 4))
    labels = np.where(random.random(len(kept)) < 0.9, kept[:, 4], random.integers(0, LABELS, len(kept)))
    double = random.random(len(near)) < 0.4
    again = near[double] + random.normal(0, 0.02, (int(double.sum()), 4))
    others = random.integers(0, 4)
    found = np.concatenate([near, again, boxes_of(random, others)])
    found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 0.01)
    labels = np.concatenate([labels, labels[double], random.integers(0, LABELS, others)])
    return true.round(3), np.column_stack([found, random.random(len(found)), labels]).round(3)


def row(number, box, label, **more):
    left, top, right, bottom = box * SIDE
    place = {"bbox": [left, top, right - left, bottom - top], "area": (right - left) * (bottom - top)}
    return {"image_id": number + 1, "category_id": int(label) + 1, **place, **more}


def main() -> None:
    random = np.random.default_rng(7)
    pictures = [picture(random) for _ in range(PICTURES)]
    true = [row(n, r[:4], r[4], iscrowd=int(r[5])) for n, (rows, _) in enumerate(pictures) for r in rows]
    found = [row(n, r[:4], r[5], score=r[4]) for n, (_, rows) in enumerate(pictures) for r in rows]
    with contextlib.redirect_stdout(io.StringIO()):
        truth: Any = COCO()
        truth.dataset = {
            "info": {},
            "images": [{"id": n + 1, "width": SIDE, "height": SIDE} for n in range(PICTURES)],
            "annotations": [{"id": n + 1, **t} for n, t in enumerate(true)],
            "categories": [{"id": n + 1, "name": str(n)} for n in range(LABELS)],
        }
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, :, 0, 2]
    made = {
        "made_by": f"pycocotools {version('pycocotools')}",
        "true": [rows.tolist() for rows, _ in pictures],
        "found": [rows.tolist() for _, rows in pictures],
        "average_precision": precision.mean(1).T.round(6).tolist(),
    }
    print(json.dumps(made))


if __name__ == "__main__":
    main()
