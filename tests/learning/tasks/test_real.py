"""Heads on the labels of real sets: spans, boxes and identities."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from onlooker.learning.datasets.clips import Clip, decode, part_of_sample
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.importing import ImportRequest, import_samples
from onlooker.learning.datasets.preparation import Pictures, Preparation
from onlooker.learning.network import Features
from onlooker.learning.parts import load_part
from onlooker.learning.task import TaskFacts, as_tensor


def imported(folder, format, path, options, **more):
    dataset = Dataset.create(folder, name="it")
    import_samples(dataset, ImportRequest(format, path, options, **more))
    return Dataset.load(folder)


def clips_of(dataset: Dataset, samples, pictures: Pictures) -> list[Clip]:
    how = Preparation(pictures=pictures)
    made = []
    for sample in samples:
        arrays = decode(part_of_sample(sample, dataset.root, how), how)
        made.append(Clip(sample, arrays["pictures"], arrays["times"], None, None))
    return made


@pytest.fixture(scope="module")
def walks(data, tmp_path_factory):
    options = {"media": "test/{key}.mp4", "labels": {"odd": "abnormal_frames_1based_inclusive:spans"}}
    file = data("ucsd_ped2/frame_gt.json")
    return imported(tmp_path_factory.mktemp("ped"), "csv", file, {**options, "unit": "frames1"})


def test_spans_of_a_video_are_steps(walks):
    task = walks.info.tasks["odd"]
    # frames 61 to 180 of 180 at 10 a second are abnormal: seconds 6 to 18
    first = walks.samples[0]
    dense, events = load_part("tasks", "dense"), load_part("tasks", "events")
    for pictures, seconds, on in (
        # eighteen pictures from second 0.5 on, of a second each
        (Pictures(frames=18, width=16, height=16), 18.0, range(5, 18)),
        (Pictures(frames=9, rate=1, width=16, height=16), 9.0, range(1, 9)),
    ):
        (clip,) = clips_of(walks, [first], pictures)
        facts = TaskFacts("odd", task, task.classes, (1,), steps=pictures.frames or 1, seconds=seconds)
        values, known = dense.encode(facts, dense.Config(), [clip])
        assert known.all()
        assert np.flatnonzero(values[0, :, 0]).tolist() == [*on]
    starts, _ = events.encode(facts, events.Config(at="start"), [clip])
    assert clip.times is not None
    # the nine pictures are from second 5 on
    assert np.argwhere(starts[0] > 0).tolist() == [[1, 0]]
    assert starts.max() - 1 == pytest.approx(6.0 - clip.times[0] - 1, abs=1e-4)


@pytest.fixture(scope="module")
def scenes(data, tmp_path_factory):
    return imported(tmp_path_factory.mktemp("coco"), "yolo", data("coco128"), {"labels": "object_detection_labels"})


@pytest.mark.parametrize("crop", ["none", "centre", "pad"])
def test_boxes_lie_on_the_same_things_of_the_prepared_picture(scenes, crop):
    ((name, task),) = scenes.info.tasks.items()
    head = load_part("tasks", "detection")
    facts = TaskFacts(name, task, task.classes, crop=crop)
    samples = [s for s in scenes.samples if s.labels.get(name)][:25]
    clips = clips_of(scenes, samples, Pictures(frames=1, width=240, height=160, crop=crop))
    # only what is wholly on the picture can be compared
    values, _ = head.encode(facts, head.Config(visible=1.0), clips)
    apart = []
    for clip, rows in zip(clips, values, strict=True):
        whole = Image.open(scenes.path(clip.sample.media[0])).convert("RGB")
        assert clip.pictures is not None
        prepared = Image.fromarray(clip.pictures[0])
        for row in rows[rows[:, 4] >= 0]:
            same = [b for b in clip.sample.labels[name] if task.classes.index(b.label) == row[4]]
            if len(same) != 1 or np.prod(row[2:4] - row[:2]) < 0.05:
                continue
            cuts = []
            for picture, box in ((whole, same[0].box), (prepared, row[:4])):
                cut = picture.resize((8, 8), Image.Resampling.BOX, box=_pixels(picture, box))
                cuts.append(np.asarray(cut, np.float32))
            apart.append(np.abs(cuts[0] - cuts[1]).mean())
    assert len(apart) > 5
    assert max(apart) < 12


def _pixels(picture: Image.Image, box) -> tuple[float, float, float, float]:
    left, top, right, bottom = np.clip(np.asarray(box, np.float64), 0, 1)
    wide, high = picture.size
    return left * wide, top * high, right * wide, bottom * high


def test_a_small_network_learns_real_boxes(scenes):
    ((name, task),) = scenes.info.tasks.items()
    head_class = load_part("tasks", "detection")
    facts = TaskFacts(name, task, task.classes, crop="none")
    samples = [s for s in scenes.samples if 1 <= len(s.labels.get(name, ())) <= 3][:8]
    clips = clips_of(scenes, samples, Pictures(frames=1, width=64, height=64, crop="none"))
    values, known = head_class.encode(facts, head_class.Config(), clips)
    assert known.all()
    pictures = torch.from_numpy(np.stack([c.pictures[0] for c in clips if c.pictures is not None])).float() / 255
    pictures = pictures.permute(0, 3, 1, 2)
    stem = nn.Sequential(
        nn.Conv2d(3, 32, 4, 4),
        nn.GroupNorm(8, 32),
        nn.GELU(),
        nn.Conv2d(32, 64, 3, 1, 1),
        nn.GroupNorm(8, 64),
        nn.GELU(),
    )
    head = head_class(head_class.Config(hidden=32, depth=1), facts, 64, 64)
    parameters = [*stem.parameters(), *head.parameters()]
    optimiser = torch.optim.AdamW(parameters, 3e-3)
    steps = torch.zeros(len(clips), 1, 64)
    for _ in range(100):
        optimiser.zero_grad()
        head.loss(head(Features(steps, stem(pictures))), as_tensor(values)).mean().backward()
        optimiser.step()
    raw = head(Features(steps, stem(pictures))).detach().numpy()
    metrics = head_class.metrics(raw, values, facts, head_class.calibrate(raw, values, facts))
    assert metrics["map_50"] > 0.8
    assert metrics["f1"] > 0.8


def test_strangers_are_told_apart_by_vectors(data, tmp_path):
    options = {"media": "images/{file}", "labels": {"who": "identity:identity"}}
    groups = {"person": "{identity}"}
    faces = imported(tmp_path, "csv", data("lfw_multitask/labels.csv"), options, groups=groups)
    people = sorted({s.labels["who"] for s in faces.samples})
    known = people[: len(people) * 2 // 3]
    head_class = load_part("tasks", "embedding")
    task = faces.info.tasks["who"]
    facts = TaskFacts("who", task, tuple(known))
    clips = clips_of(faces, faces.samples, Pictures(frames=1, width=24, height=24, colour="grey"))
    values, there = head_class.encode(facts, head_class.Config(), clips)
    assert there.all()
    whose = [c.sample.labels["who"] for c in clips]
    numbers = dict(zip(values.tolist(), whose, strict=True))
    assert len(numbers) == len(people)
    assert all((v < len(known)) == (w in known) for v, w in numbers.items())
    pixels = np.stack([c.pictures[0].ravel() for c in clips if c.pictures is not None]).astype(np.float32)
    pixels = (pixels - pixels.mean(1, keepdims=True)) / pixels.std(1, keepdims=True)
    train = values < len(known)
    head = head_class(head_class.Config(size=64, hidden=256, dropout=0.3), facts, pixels.shape[1])
    features = Features(torch.from_numpy(pixels)[:, None])
    optimiser = torch.optim.AdamW(head.parameters(), 1e-3, weight_decay=0.1)
    test = ~train
    before = head_class.metrics(pixels[test], values[test], facts, {})
    for _ in range(100):
        optimiser.zero_grad()
        head.loss(head(Features(features.steps[train])), as_tensor(values[train])).mean().backward()
        optimiser.step()
    with torch.inference_mode():
        raw = head.eval()(features).numpy()
    after = head_class.metrics(raw[test], values[test], facts, {})
    assert after["verification_auc"] > before["verification_auc"] + 0.03
