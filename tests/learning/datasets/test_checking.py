"""``check`` finds each defect that is planted, and nothing in a sound dataset; ``split`` makes no leak."""

# what may be None in general is there in these tests
# pyright: reportOptionalMemberAccess=false, reportOptionalSubscript=false, reportOptionalIterable=false
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false

from __future__ import annotations

import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from learning.datasets.conftest import imported
from onlooker.core.errors import UsageError
from onlooker.learning.datasets.checking import check_dataset
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.likeness import near_pairs, prints_of
from onlooker.learning.datasets.manifest import LabelledBox, LabelledSpan, Media, Sample, Task
from onlooker.learning.datasets.media import look_at
from onlooker.learning.datasets.splitting import families_of, split_dataset


def codes(report, level=None):
    return {f.code for f in report.findings if level in (None, f.level)}


def changed(dataset, number, **fields):
    dataset.samples[number] = dataset.samples[number].model_copy(update=fields)


@pytest.fixture
def copied(fight_folder, tmp_path):
    """The clips in the dataset's own folder, where they can be damaged."""
    return imported(tmp_path / "own", "folders", fight_folder, {"task": "action"}, copy=True)


def test_a_sound_dataset_is_good(fights):
    pairs = near_pairs(prints_of(fights, fights.samples))
    split_dataset(fights, {"train": 0.5, "val": 0.5}, pairs=pairs)
    report = check_dataset(fights, deep=True)
    assert report.good
    assert codes(report) <= {"near-duplicates"}
    assert report.looked_at == {"files": 12, "groups": 0, "compared": 12, "near_duplicates": len(pairs), "samples": 12}


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lambda p: p.unlink(), "missing-file"),
        (lambda p: p.write_bytes(p.read_bytes()[: p.stat().st_size // 2]), "broken-file"),
        (lambda p: p.write_bytes(b"nothing"), "broken-file"),
        (lambda p: p.write_bytes(p.read_bytes() + b"\0" * 64), "changed-file"),
    ],
)
def test_files_are_decoded(copied, damage, code):
    victim = copied.samples[3]
    damage(copied.path(victim.media[0]))
    report = check_dataset(copied, near_duplicates=False)
    assert [(f.code, f.samples) for f in report.findings if f.level == "error"] == [(code, (victim.id,))]
    assert not report.good


def test_a_long_video_damaged_behind_its_beginning(data, tmp_path):
    folder = tmp_path / "clips" / "x"
    folder.mkdir(parents=True)
    shutil.copy(data("clips/carphone.mp4"), folder / "a.mp4")
    dataset = imported(tmp_path / "set", "folders", tmp_path / "clips")
    path = folder / "a.mp4"
    body = bytearray(path.read_bytes())
    middle = len(body) // 2
    body[middle : middle + 60_000] = bytes(60_000)
    path.write_bytes(bytes(body))
    report = check_dataset(dataset, deep=True, near_duplicates=False)
    assert "broken-file" in codes(report, "error")


def test_conflicts_repeats_and_leaks(fights):
    one, two = fights.samples[0], fights.samples[1]
    fights.put([one.model_copy(update={"id": "again", "labels": {"action": "noFight"}})])
    fights.put([two.model_copy(update={"id": "same"})])
    assert {"label-conflict", "repeated"} <= codes(check_dataset(fights, near_duplicates=False))
    changed(fights, 0, split="train", groups={"source": "cam"})
    changed(fights, 2, split="val", groups={"source": "cam"})
    changed(fights, 12, split="val")
    report = check_dataset(fights, near_duplicates=False)
    assert {"group-on-two-sides", "content-on-two-sides"} <= codes(report, "error")
    fights.info = fights.info.model_copy(update={"overlap": ("source",)})
    assert "group-on-two-sides" not in codes(check_dataset(fights, near_duplicates=False))


def test_near_duplicates_on_two_sides(fight_folder, data, tmp_path):
    """A clip encoded again, smaller and darker, is told; another scene is not."""
    pictures = sorted(data("coco128/images").glob("*.jpg"))[:6]
    folder = tmp_path / "pictures" / "x"
    folder.mkdir(parents=True)
    for picture in pictures:
        shutil.copy(picture, folder / picture.name)
    with Image.open(pictures[0]) as image:
        small = image.resize((image.width * 2 // 3, image.height * 2 // 3)).point([v * 9 // 10 for v in range(256)] * 3)
        small.save(folder / "copy.jpg", quality=40)
    dataset = imported(tmp_path / "set", "folders", tmp_path / "pictures")
    pairs = near_pairs(prints_of(dataset, dataset.samples))
    found = {frozenset((dataset.samples[p.first].id, dataset.samples[p.second].id)) for p in pairs}
    assert found == {frozenset(("x/copy.jpg", f"x/{pictures[0].name}"))}
    for number, sample in enumerate(dataset.samples):
        changed(dataset, number, split="val" if sample.id == "x/copy.jpg" else "train")
    dataset.info = dataset.info.model_copy(update={"splits": ("train", "val")})
    assert "near-duplicate-on-two-sides" in codes(check_dataset(dataset), "error")
    split_dataset(dataset, {"train": 0.5, "val": 0.5}, pairs=pairs)
    assert "near-duplicate-on-two-sides" not in codes(check_dataset(dataset))


def test_sounds_that_are_encoded_again_are_near(data, tmp_path):
    import av

    folder = tmp_path / "sounds" / "x"
    folder.mkdir(parents=True)
    clips = sorted(data("esc10/audio").glob("*.ogg"))[:8]
    for clip in clips:
        shutil.copy(clip, folder / clip.name)
    with av.open(str(clips[0])) as source, av.open(str(folder / "copy.mp3"), "w") as target:
        stream = target.add_stream("libmp3lame", rate=22050)
        for frame in source.decode(audio=0):
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    dataset = imported(tmp_path / "set", "folders", tmp_path / "sounds")
    pairs = near_pairs(prints_of(dataset, dataset.samples))
    found = {frozenset((dataset.samples[p.first].id, dataset.samples[p.second].id)) for p in pairs}
    assert found == {frozenset(("x/copy.mp3", f"x/{clips[0].name}"))}


def test_places_and_balance(media, tmp_path):
    tasks = {
        "things": Task(kind="boxes", classes=("dog", "cat")),
        "events": Task(kind="spans", classes=("fall",)),
        "mood": Task(kind="class", classes=("good", "bad")),
        "age": Task(kind="regression"),
    }
    dataset = Dataset.create(tmp_path / "set", name="set", tasks=tasks)
    dataset.info = dataset.info.model_copy(update={"root": str(media)})
    image, video = (look_at(media, Media(path=p, kind=k)) for p, k in (("one.jpg", "image"), ("walk.mp4", "video")))

    def box(*sides, at=None):
        return LabelledBox(label="dog", box=sides, at=at)

    rows = [
        Sample(id="off", media=(image,), labels={"things": [box(1.1, 0, 1.2, 1)]}),
        Sample(id="over", media=(image,), labels={"things": [box(-0.1, 0, 0.5, 1), box(0.1, 0.1, 0.1, 0.5)]}),
        Sample(id="late", media=(video,), labels={"things": [box(0, 0, 1, 1, at=40)]}),
        Sample(id="span", media=(video,), labels={"events": [LabelledSpan(label="fall", start=17, end=20)]}),
        Sample(id="part", media=(video,), span=(17, 30)),
        Sample(id="frame", media=(video,), at=18.5),
        *[Sample(id=f"g{n}", text=str(n), labels={"mood": "good"}) for n in range(21)],
        Sample(id="b", text="b", labels={"mood": "bad"}),
    ]
    dataset.put(rows)
    report = check_dataset(dataset, near_duplicates=False)
    by_code = {f.code: f.samples for f in report.findings}
    assert by_code["box-outside"] == ("off",)
    assert by_code["box-over-edge"] == by_code["box-empty"] == ("over",)
    assert by_code["box-beyond-end"] == ("late",)
    assert by_code["span-beyond-end"] == ("span",)
    assert {s for f in report.findings if f.code == "beyond-end" for s in f.samples} == {"part", "frame"}
    assert {"empty-class", "uneven", "empty-task", "missing-labels"} <= set(by_code)


# -- splitting --

rows = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8), st.sampled_from("abc")), min_size=4, max_size=60)


@settings(max_examples=60, deadline=None)
@given(rows=rows, seed=st.integers(0, 99), folds=st.none() | st.integers(2, 5))
def test_no_group_is_on_two_sides_whatever_the_groups(tmp_path_factory, rows, seed, folds):
    made = [
        Sample(id=str(n), text=str(n), groups={"source": f"s{a}", "person": f"p{b}"}, labels={"t": c})
        for n, (a, b, c) in enumerate(rows)
    ]
    dataset = Dataset.create(
        tmp_path_factory.mktemp("s") / "d", name="d", tasks={"t": Task(kind="class", classes=("a", "b", "c"))}
    )
    dataset.put(made)
    shares = {} if folds else {"train": 0.7, "val": 0.3}
    split_dataset(dataset, shares, seed=seed, folds=folds)
    for sort in ("source", "person"):
        sides: dict[str, set] = {}
        for sample in dataset.samples:
            sides.setdefault(sample.groups[sort], set()).add(sample.split)
        assert all(len(s) == 1 for s in sides.values())
    assert check_dataset(dataset, near_duplicates=False).looked_at["groups"] == len(
        {(k, v) for s in dataset.samples for k, v in s.groups.items()}
    )
    assert "group-on-two-sides" not in codes(check_dataset(dataset, near_duplicates=False))
    first = [s.split for s in dataset.samples]
    split_dataset(dataset, shares, seed=seed, folds=folds)
    assert [s.split for s in dataset.samples] == first


def test_classes_and_shares_are_kept(tmp_path):
    chance = np.random.default_rng(1)
    made = [
        Sample(id=str(n), text=str(n), groups={"person": str(n // 5)}, labels={"t": "rare" if n % 10 == 0 else "usual"})
        for n in chance.permutation(1000)
    ]
    dataset = Dataset.create(tmp_path / "d", name="d", tasks={"t": Task(kind="class", classes=("rare", "usual"))})
    dataset.put(made)
    report = split_dataset(dataset, {"train": 0.7, "val": 0.2, "test": 0.1}, seed=5)
    assert report.samples == {"train": 700, "val": 200, "test": 100}
    assert report.classes["t"]["rare"] == {"train": 70, "val": 20, "test": 10}
    assert report.families == 200
    other = [s.split for s in dataset.samples]
    split_dataset(dataset, {"train": 0.7, "val": 0.2, "test": 0.1}, seed=6)
    assert [s.split for s in dataset.samples] != other


def test_people_of_real_faces_stay_together(data, tmp_path):
    dataset = imported(
        tmp_path / "faces", "csv", data("lfw_multitask/labels.csv"),
        {"media": "images/{file}", "labels": {"gender": "gender"}}, groups={"person": "{identity}"},
    )  # fmt: skip
    split_dataset(dataset, {"train": 0.8, "test": 0.2})
    sides = {s.groups["person"]: s.split for s in dataset.samples}
    assert all(sides[s.groups["person"]] == s.split for s in dataset.samples)
    share = sum(s.split == "train" for s in dataset.samples) / len(dataset.samples)
    assert share == pytest.approx(0.8, abs=0.005)


def test_families_join_over_chains():
    made = [
        Sample(id="1", text="1", groups={"source": "a"}),
        Sample(id="2", text="2", groups={"source": "a", "person": "x"}),
        Sample(id="3", text="3", groups={"person": "x"}),
        Sample(id="4", text="4"),
    ]
    assert families_of(made, None).all() == [[0, 1, 2], [3]]
    assert families_of(made, ("person",)).all() == [[0], [1, 2], [3]]


def test_splits_that_cannot_be(fights):
    for shares, more, said in [
        ({"train": 1.0}, {}, "cannot split into"),
        ({"train": 1.0, "val": -1.0}, {}, "cannot split into"),
        ({"train": 1.0, "val": 1.0}, {"by": ["person"]}, "no sample has a group 'person'"),
        ({"train": 1.0, "val": 1.0}, {"stratify": "x"}, "cannot stratify by 'x'"),
    ]:
        with pytest.raises(UsageError, match=said):
            split_dataset(fights, shares, **more)
