"""The two files of a dataset: what is written comes back, and what is wrong is named by file and line."""

from __future__ import annotations

import json

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onlooker.core.errors import ConfigError, UsageError
from onlooker.learning.datasets.dataset import MANIFEST, Dataset
from onlooker.learning.datasets.manifest import Media, Sample, Task, info_schema, sample_schema
from onlooker.learning.datasets.targets import targets_of

TASKS = {
    "action": Task(kind="class", classes=("run", "走")),
    "tags": Task(kind="multi-label", classes=("a", "b", "c")),
    "things": Task(kind="boxes", classes=("car", "dog")),
    "events": Task(kind="spans", classes=("fall",)),
    "age": Task(kind="regression", unit="years"),
    "who": Task(kind="identity"),
    "words": Task(kind="text"),
    "grade": Task(kind="ordinal", classes=("low", "high")),
}
numbers = st.floats(-1e6, 1e6)
words = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=20)
box = st.tuples(*[st.floats(0, 1)] * 4).map(
    lambda v: [min(v[0], v[2]), min(v[1], v[3]), max(v[0], v[2]), max(v[1], v[3])]
)
LABELS = {
    "action": st.sampled_from(["run", "走"]),
    "tags": st.lists(st.sampled_from("abc"), unique=True),
    "things": st.lists(
        st.fixed_dictionaries(
            {"label": st.sampled_from(["car", "dog"]), "box": box},
            optional={"at": st.floats(0, 99), "track": words, "crowd": st.booleans(), "score": numbers},
        ),
        max_size=3,
    ),
    "events": st.lists(
        st.tuples(st.floats(0, 50), st.floats(0, 50)).map(lambda p: {"label": "fall", "start": min(p), "end": max(p)}),
        max_size=3,
    ),
    "age": st.one_of(numbers, st.lists(numbers, min_size=1, max_size=3)),
    "who": words.filter(bool),
    "words": words,
    "grade": st.sampled_from(["low", "high"]),
}
samples = st.builds(
    Sample,
    id=words.filter(bool),
    media=st.just((Media(path="a/b.mp4", kind="video", rate="30000/1001", seconds=9.5),)),
    text=st.none() | words,
    groups=st.dictionaries(st.sampled_from(["source", "person"]), words),
    split=st.none() | st.sampled_from(["train", "val"]),
    weight=st.floats(0, 10),
    notes=words,
    status=st.sampled_from(["labelled", "proposed"]),
    labels=st.fixed_dictionaries({}, optional=LABELS),
)


@pytest.mark.parametrize("file", ["samples.jsonl", "samples.parquet"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=st.lists(samples, max_size=5, unique_by=lambda s: s.id))
def test_what_is_saved_is_loaded(tmp_path_factory, file, made):
    folder = tmp_path_factory.mktemp("d") / "set"
    dataset = Dataset.create(folder, name="set", tasks=TASKS)
    dataset.info = dataset.info.model_copy(update={"samples": file, "splits": ("train", "val")})
    dataset.put(made)
    dataset.save()
    again = Dataset.load(folder)
    assert again.samples == dataset.samples
    assert again.info == dataset.info
    if file.endswith("jsonl"):
        validator = jsonschema_rs.validator_for(sample_schema())
        for line in (folder / file).read_text(encoding="utf-8").split("\n")[:-1]:
            validator.validate(json.loads(line))


def written(tmp_path, *lines, manifest="version: 1\nname: x\ntasks:\n  t: {kind: class, classes: [a, b]}\n"):
    (tmp_path / MANIFEST).write_text(manifest, encoding="utf-8")
    (tmp_path / "samples.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return tmp_path


GOOD = '{"id": "1", "text": "x", "labels": {"t": "a"}}'


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "samples.jsonl:2: Invalid JSON"),
        ('{"id": "2"}', "samples.jsonl:2: media: expected a file, or a text"),
        ('{"id": "2", "text": "x", "lable": {}}', "samples.jsonl:2: lable: there is no such field"),
        (
            '{"id": "2", "text": "x", "labels": {"t": "c"}}',
            "samples.jsonl:2: labels.t: there is no class 'c'; there are a, b",
        ),
        (
            '{"id": "2", "text": "x", "labels": {"u": "c"}}',
            "samples.jsonl:2: labels.u: there is no such task; there are t",
        ),
        ('{"id": "2", "text": "x", "labels": {"t": 3}}', "samples.jsonl:2: labels.t: Input should be a valid string"),
        ('{"id": "1", "text": "x"}', "samples.jsonl:2: the id '1' was used at"),
        ('{"id": "2", "text": "x", "split": "train"}', "samples.jsonl:2: split: dataset.yaml knows no 'train'"),
        ('{"id": "2", "media": [{"path": "../../etc/passwd", "kind": "text"}]}', "samples.jsonl:2: media.0.path"),
        ('{"id": "2", "media": [{"path": "/etc/passwd", "kind": "text"}]}', "samples.jsonl:2: media.0.path"),
        ('{"id": "2", "media": [{"path": "a", "kind": "text"}], "span": [2, 1]}', "expected 0 <= start < end"),
        ('{"id": "2", "text": "x", "weight": NaN}', "samples.jsonl:2:"),
    ],
)
def test_errors_name_file_and_line(tmp_path, line, said):
    with pytest.raises(ConfigError) as error:
        Dataset.load(written(tmp_path, GOOD, line))
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        ("version: 1\nname: x\ntasks:\n  t:\n    kind: klass\n", "dataset.yaml:5: tasks.t.kind"),
        ("version: 1\nname: x\nsplit: [a]\n", "dataset.yaml:3: split: there is no such setting here"),
        ("version: 1\nname: x\ntasks:\n  t: {kind: class, classes: [a, a]}\n", "'a' is there twice"),
        ("version: 2\nname: x\n", "dataset.yaml:1: version"),
        ("name: [x\n", "not YAML"),
        ("version: 1\nname: x\ntasks:\n  t: {kind: text, classes: [a]}\n", "a task of kind text has none"),
    ],
)
def test_errors_of_the_manifest_name_the_line(tmp_path, manifest, said):
    with pytest.raises(ConfigError) as error:
        Dataset.load(written(tmp_path, manifest=manifest))
    assert said in str(error.value)


def test_no_dataset_and_a_second_one(tmp_path):
    with pytest.raises(ConfigError, match="holds no dataset"):
        Dataset.load(tmp_path)
    Dataset.create(tmp_path / "a", name="a")
    with pytest.raises(UsageError, match="holds a dataset already"):
        Dataset.create(tmp_path / "a", name="a")


def test_a_null_label_is_a_missing_one(tmp_path):
    dataset = Dataset.load(written(tmp_path, '{"id": "1", "text": "x", "labels": {"t": null}}'))
    assert dataset.samples[0].labels == {}


def test_the_schema_of_the_manifest_holds_for_one(tmp_path):
    import yaml

    Dataset.create(tmp_path / "set", name="set", tasks=TASKS)
    values = yaml.safe_load((tmp_path / "set" / MANIFEST).read_text(encoding="utf-8"))
    validator = jsonschema_rs.validator_for(info_schema())
    validator.validate(values)
    assert not validator.is_valid({**values, "tasks": {"t": {"kind": "klass"}}})


def test_labels_as_arrays_with_masks():
    def labelled(**labels):
        return Sample(id=str(labels), text="x", labels=labels).with_labels(TASKS)

    rows = [
        labelled(action="走", tags=["c", "a"], age=[1, 2], who="b", grade="high"),
        labelled(who="a"),
        labelled(action="run", tags=[], who="z"),
    ]
    made = targets_of(rows, TASKS, {"who": ["a", "b"]})
    assert made["action"].values.tolist() == [1, -1, 0]
    assert made["action"].known.tolist() == [True, False, True]
    assert made["tags"].values.tolist() == [[1, 0, 1], [0, 0, 0], [0, 0, 0]]
    assert made["tags"].known.tolist() == [True, False, True]
    assert made["age"].values.tolist() == [[1, 2], [0, 0], [0, 0]]
    assert made["who"].values.tolist() == [1, 0, -1]
    assert made["who"].known.tolist() == [True, True, False]
    assert made["grade"].weights.tolist() == [1, 0, 0]
    assert set(made) == {"action", "tags", "age", "who", "grade"}
