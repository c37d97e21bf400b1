"""Tables as people keep them: names of columns that mean something else here, encodings, paths, ids and errors."""

from __future__ import annotations

import json

import pytest

from learning.datasets.conftest import imported
from onlooker.core.errors import ConfigError, UsageError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.formats import format_of
from onlooker.learning.datasets.importing import ImportRequest, import_samples
from onlooker.learning.datasets.manifest import LabelledBox, Sample, Task

WORDS = {"labels": {"mood": "mood"}, "media": ""}


def table(folder, body, name="table.csv"):
    path = folder / name
    path.write_bytes(body if isinstance(body, bytes) else body.encode())
    return path


def by_text(dataset, field):
    return {s.text: getattr(s, field) for s in dataset.samples}


def test_groups_come_from_the_columns_of_a_table_whatever_they_are_called(tmp_path):
    path = table(tmp_path, "text,mood,name,path,folder,stem\nlovely,good,Ann,p1,f1,s1\nawful,bad,Bob,p2,f2,s2\n")
    groups = {sort: f"{{{sort}}}" for sort in ("name", "path", "folder", "stem")}
    made = imported(tmp_path / "set", "csv", path, WORDS, groups=groups)
    assert by_text(made, "groups") == {
        "lovely": {"name": "Ann", "path": "p1", "folder": "f1", "stem": "s1"},
        "awful": {"name": "Bob", "path": "p2", "folder": "f2", "stem": "s2"},
    }


def test_a_column_of_labels_is_no_input_by_itself(tmp_path, media):
    (tmp_path / "one.jpg").write_bytes((media / "one.jpg").read_bytes())
    path = table(tmp_path, "file,text\none.jpg,hello\n")
    made = imported(tmp_path / "set", "csv", path, {"labels": {"words": "text:text"}})
    assert made.samples[0].text is None
    assert made.samples[0].labels == {"words": "hello"}


def test_an_id_that_repeats_is_no_id_of_a_sample(tmp_path):
    path = table(tmp_path, "id,text,mood\n7,lovely,good\n7,fine,good\n8,awful,bad\n")
    made = imported(tmp_path / "set", "csv", path, WORDS, groups={"person": "{id}"})
    assert [s.id for s in made.samples] == ["lovely", "fine", "awful"]
    assert [s.groups["person"] for s in made.samples] == ["7", "7", "8"]


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ("\ufefftext;mood\r\nlovely, really;good\r\nawful;bad\r\n", "semicolons.csv"),
        ("text\tmood\nlovely, really\tgood\nawful\tbad\n", "tabs.txt"),
        ('{"text": "lovely, really", "mood": "good"}\r\n{"text": "awful", "mood": "bad"}\r\n', "lines.jsonl"),
    ],
)
def test_tables_as_other_programs_write_them(body, name, tmp_path):
    made = imported(tmp_path / "set", "csv", table(tmp_path, body, name), WORDS)
    assert {s.text: s.labels["mood"] for s in made.samples} == {"lovely, really": "good", "awful": "bad"}


def test_a_line_separator_inside_of_a_string_ends_no_line(tmp_path):
    body = json.dumps({"text": "one\u2028two\x85three", "mood": "good"}, ensure_ascii=False) + "\n"
    made = imported(tmp_path / "set", "csv", table(tmp_path, body, "lines.jsonl"), WORDS)
    assert [s.text for s in made.samples] == ["one\u2028two\x85three"]


def test_absolute_paths_below_the_media_are_taken(tmp_path, media):
    path = table(tmp_path, f"clip,kind\n{media}/one.jpg,a\n{media}/two.jpg,b\n")
    options = {"media": "{clip}", "labels": {"kind": "kind"}}
    made = imported(tmp_path / "set", "csv", path, options, media=media)
    assert [s.media[0].path for s in made.samples] == ["one.jpg", "two.jpg"]
    with pytest.raises(ConfigError, match=r"table.csv:2: .*one.jpg.* is not below .*--media"):
        format_of("csv").read(path, format_of("csv").Options(**options), tmp_path, tmp_path)


def test_a_record_without_the_file_is_told_and_the_rest_taken(tmp_path, media):
    body = '{"file": "one.jpg", "kind": "a"}\n{"note": "nothing", "kind": "b"}\n'
    dataset = Dataset.create(tmp_path / "set", name="set")
    options = {"labels": {"kind": "kind"}}
    request = ImportRequest("csv", table(tmp_path, body, "x.jsonl"), options, media, {"who": "{note}"})
    report = import_samples(dataset, request)
    assert (report.new, report.as_dict()["left_out"]) == (1, {"rows that name no medium": 1})
    assert dataset.samples[0].groups == {}


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"split": "{side}"}, r"split: 'train/1' is no name"),
        ({"groups": {"a/b": "{side}"}}, r"groups.*'a/b' is no name"),
        ({"labels": {"act/ion": "mood"}}, r"'act/ion' is no name"),
        ({"start": "begin", "end": "side"}, r"table.csv:2: row: begin: expected a number, got '0:01'"),
    ],
)
def test_what_is_no_name_or_number_is_refused_in_words(request_, expected, tmp_path):
    path = table(tmp_path, "text,mood,side,begin\nlovely,good,train/1,0:01\n")
    settings = {k: request_.pop(k) for k in ("labels", "start", "end") if k in request_}
    dataset = Dataset.create(tmp_path / "set", name="set")
    with pytest.raises((ConfigError, UsageError), match=expected) as error:
        import_samples(dataset, ImportRequest("csv", path, {**WORDS, **settings}, **request_))
    assert "\n" not in str(error.value)
    assert Dataset.load(tmp_path / "set").samples == []


def test_a_table_of_files_that_are_not_there_is_refused(tmp_path):
    path = table(tmp_path, "file,mood\ngone.mp4,good\nlost.mp4,bad\n")
    with pytest.raises(ConfigError, match=r"none of its 2 samples can be used; gone.mp4: .* is not there .*--media"):
        imported(tmp_path / "set", "csv", path, {"labels": {"mood": "mood"}})


def test_grades_in_numbers_are_in_their_order_and_words_are_asked_about(tmp_path):
    path = table(tmp_path, "text,mood\n" + "".join(f"t{n},{n}\n" for n in (10, 9, 2, 1)))
    made = imported(tmp_path / "set", "csv", path, {**WORDS, "labels": {"mood": "mood:ordinal"}})
    assert made.info.tasks["mood"].classes == ("1", "2", "9", "10")
    path = table(tmp_path, "text,mood\na,low\nb,high\n")
    with pytest.raises(UsageError, match=r"the order of high, low .*--task mood=ordinal:"):
        imported(tmp_path / "words", "csv", path, {**WORDS, "labels": {"mood": "mood:ordinal"}})
    known = Dataset.create(
        tmp_path / "known", name="known", tasks={"mood": Task(kind="ordinal", classes=("low", "high"))}
    )
    import_samples(known, ImportRequest("csv", path, {**WORDS, "labels": {"mood": "mood:ordinal"}}))
    assert known.info.tasks["mood"].classes == ("low", "high")


def test_a_written_table_brings_back_all_that_samples_say(tmp_path, media):
    many = tuple(LabelledBox(label="car", box=(0.1, 0.2, 0.3, 0.4), at=n / 25, track="7") for n in range(4000))
    tasks = {"things": Task(kind="boxes", classes=("car",)), "words": Task(kind="text")}
    dataset = Dataset.create(tmp_path / "set", name="set", tasks=tasks)
    strange = tmp_path / "files" / "a;b, 'c' {d}.jpg"
    strange.parent.mkdir()
    strange.write_bytes((media / "one.jpg").read_bytes())
    (tmp_path / "files" / "walk.mp4").write_bytes((media / "walk.mp4").read_bytes())
    first = Sample.model_validate(
        {
            "id": "first", "media": [{"path": strange.name, "kind": "image"}], "status": "proposed", "weight": 0.5,
            "weights": {"words": 2.0}, "origin": {"source": "x"}, "notes": "blurred", "labels": {"words": "a\r\nb"},
        }
    )  # fmt: skip
    second = Sample.model_validate(
        {"id": "second", "media": [{"path": "walk.mp4", "kind": "video"}], "labels": {"things": many}}
    )
    dataset.put([first, second])
    table_ = tmp_path / "out.csv"
    format_of("csv").write(dataset, dataset.samples, table_, format_of("csv").Options())
    again = imported(tmp_path / "again", "csv", table_, media=tmp_path / "files")
    for old, new in zip(dataset.samples, again.samples, strict=True):
        bare = [m.path for m in new.media]
        assert bare == [m.path for m in old.media]
        assert new.model_dump(exclude={"media"}) == old.model_dump(exclude={"media"})


@pytest.mark.parametrize(
    ("body", "name", "expected"),
    [
        ("clip,mood\na.mp4,good\n", "t.csv", r"t.csv has no column 'file' .*it has clip, mood; --set media=\{COLUMN\}"),
        ("text,mood,start,end\na,good,5,\n", "t.csv", r"t.csv:2: row: start is 5, but end is empty"),
        ("text,mood,start,end\na,good,,5\n", "t.csv", r"t.csv:2: row: end is 5, but start is empty"),
        (
            '[{"text": "a", "mood": "b"}, {"text": "c", "mood": {"x": 1}}]',
            "t.json",
            r"record 2: mood: .*got \{'x': 1\}",
        ),
        ('[{"text": "a", "mood": "\\ud800"}]', "t.json", r"t.json: record 1: mood: "),
    ],
)
def test_what_is_wrong_with_a_row_is_said_with_its_column(body, name, expected, tmp_path):
    options = {"labels": {"mood": "mood"}} if "clip" in body else WORDS
    with pytest.raises((ConfigError, UsageError), match=expected):
        imported(tmp_path / "set", "csv", table(tmp_path, body, name), options)


def test_a_number_that_is_none_is_said_with_its_task(tmp_path):
    path = table(tmp_path, "text,pulse\na,61\nb,nan\n")
    with pytest.raises(ConfigError, match=r"table.csv:3: row: pulse: .*finite number"):
        imported(tmp_path / "set", "csv", path, {**WORDS, "labels": {"pulse": "pulse"}})


def test_yes_and_no_of_json_are_classes(tmp_path):
    body = '{"text": "a", "mood": true}\n{"text": "b", "mood": false}\n'
    made = imported(tmp_path / "set", "csv", table(tmp_path, body, "t.jsonl"), WORDS)
    assert made.info.tasks["mood"].kind == "class"
    assert {s.text: s.labels["mood"] for s in made.samples} == {"a": "true", "b": "false"}


def test_empty_lines_before_the_head_are_passed_over(tmp_path):
    made = imported(tmp_path / "set", "csv", table(tmp_path, "\n\r\ntext,mood\nlovely,good\n"), WORDS)
    assert by_text(made, "labels") == {"lovely": {"mood": "good"}}


def test_one_file_by_two_spellings_of_its_path_is_one_file(tmp_path, media):
    path = table(tmp_path, "file,mood\n./one.jpg,good\none.jpg,bad\n")
    with pytest.raises(ConfigError, match=r"two samples are called 'one.jpg'"):
        imported(tmp_path / "set", "csv", path, {"labels": {"mood": "mood"}}, media=media)


@pytest.mark.parametrize(
    ("body", "name", "options", "expected"),
    [
        (
            "file,id,split,mood,group:who,notes,pulse,empty\none.jpg,1,train,good,Ann,dark,61,\n",
            "t.csv",
            {},
            ["no label was taken; --label TASK=COLUMN takes one: mood, pulse"],
        ),
        (
            "clip,begin,end,words,mood\none.jpg,0,1,hello,good\n",
            "t.csv",
            {"media": r"clip~(.*)", "start": "begin", "text": "words"},
            ["no label was taken; --label TASK=COLUMN takes one: mood"],
        ),
        (
            '{"one.jpg": {"mood": "good"}}',
            "t.json",
            {"media": "{key}"},
            ["no label was taken; --label TASK=COLUMN takes one: mood"],
        ),
        ("file\none.jpg\n", "t.csv", {}, ["no label was taken"]),
        ("file,label:mood:class\none.jpg,good\n", "t.csv", {}, []),
        ("file,mood\none.jpg,good\n", "t.csv", {"labels": {"mood": "mood"}}, []),
    ],
)
def test_that_no_label_was_taken_is_told_with_columns_that_could_be_one(body, name, options, expected, media, tmp_path):
    dataset = Dataset.create(tmp_path / "set", name="set")
    report = import_samples(dataset, ImportRequest("csv", table(tmp_path, body, name), options, media))
    assert report.notes == expected
    assert [bool(s.labels) for s in dataset.samples] == [not expected]


def test_columns_that_could_be_labels_are_not_all_told_where_they_are_many(media, tmp_path):
    head = ",".join(f"c{n}" for n in range(30))
    path = table(tmp_path, f"file,{head}\none.jpg,{head}\n")
    report = import_samples(Dataset.create(tmp_path / "set", name="set"), ImportRequest("csv", path, media=media))
    assert report.notes[0].endswith("c11 and 18 more")


def test_a_column_split_is_the_split_whatever_labels_are_asked_for(tmp_path):
    body = "text,mood,split\na,good,training\nb,bad,valid\nc,bad,fold-3\nd,bad,\ne,good,Test\nf,bad,1/5\n"
    expected = {"a": "train", "b": "val", "c": "fold-3", "d": None, "e": "test", "f": None}
    path = table(tmp_path, body)
    made = format_of("csv").read(path, format_of("csv").Options(**WORDS), None, tmp_path)
    assert {f.sample.text: f.sample.split for f in made.found} == expected
    assert made.left_out == {"splits that are no names": 1}
    short = table(tmp_path, body.rpartition("f,")[0], "short.csv")
    for name, options, more in (
        ("bare", {"media": ""}, {}), ("asked", WORDS, {"split": "{split}"}), ("other", WORDS, {"split": "x{mood}"}),
    ):  # fmt: skip
        made = imported(tmp_path / name, "csv", short, options, **more)
        wanted = {t: s for t, s in expected.items() if t != "f"}
        if name == "other":
            wanted = dict.fromkeys("ae", "xgood") | dict.fromkeys("bcd", "xbad")
        assert by_text(made, "split") == wanted
    # as a label it is none
    made = imported(tmp_path / "label", "csv", short, {"media": "", "labels": {"part": "split"}})
    assert {s.split for s in made.samples} == {None}


def test_splits_of_a_written_table_are_not_renamed(tmp_path):
    dataset = Dataset.create(tmp_path / "set", name="set")
    dataset.put([Sample(id=s, text=s, split=s) for s in ("dev", "validation", "val")])
    format_of("csv").write(dataset, dataset.samples, tmp_path / "out.csv", format_of("csv").Options())
    assert by_text(imported(tmp_path / "again", "csv", tmp_path / "out.csv"), "split") == {
        s: s for s in ("dev", "validation", "val")
    }


def test_values_that_mean_no_label_make_no_class_of_numbers(tmp_path):
    path = table(tmp_path, "text,angle\na,1.5\nb,NA\nc,2.5\nd,3\n")
    made = imported(tmp_path / "set", "csv", path, {"media": "", "labels": {"angle": "angle"}, "missing": "NA;?"})
    assert made.info.tasks["angle"].kind == "regression"
    assert by_text(made, "labels") == {"a": {"angle": 1.5}, "b": {}, "c": {"angle": 2.5}, "d": {"angle": 3.0}}


def test_decimal_commas_are_read_where_no_comma_parts_columns(tmp_path):
    body = "text;angle;code;mixed;begin;until\na;-0,25;1,5x;1,234;0,5;1\nb;NA;2,5;0.5;0;2,5\nc;3;2;7;;\n"
    options = {
        "media": "", "labels": {n: n for n in ("angle", "code", "mixed")}, "missing": "NA", "start": "begin",
        "end": "until",
    }  # fmt: skip
    made = imported(tmp_path / "set", "csv", table(tmp_path, body), options)
    assert {n: t.kind for n, t in made.info.tasks.items()} == {"angle": "regression", "code": "class", "mixed": "class"}
    assert {t: h.get("angle") for t, h in by_text(made, "labels").items()} == {"a": -0.25, "b": None, "c": 3.0}
    assert by_text(made, "span") == {"a": (0.5, 1.0), "b": (0.0, 2.5), "c": None}
    # what could be thousands is not guessed at
    with pytest.raises(ConfigError, match=r"table.csv:2: row: m: .*'1,234'"):
        imported(tmp_path / "again", "csv", tmp_path / "table.csv", {**options, "labels": {"m": "mixed:regression"}})


@pytest.mark.parametrize("name", ["t.parquet", "t.xlsx"])
def test_tables_that_are_no_text_are_refused_in_words(name, tmp_path):
    (tmp_path / name).write_bytes(b"PAR1\xd0")
    with pytest.raises(ConfigError, match=f"{name}: tables are CSV, TSV or JSON"):
        format_of("csv").read(tmp_path / name, format_of("csv").Options(), None, tmp_path)


@pytest.mark.parametrize("name", ["t.json", "t.jsonl", "t.parquet"])
def test_a_table_is_not_written_under_the_name_of_another_kind(name, tmp_path):
    dataset = Dataset.create(tmp_path / "set", name="set")
    with pytest.raises(UsageError, match="writes CSV, or TSV"):
        format_of("csv").write(dataset, [], tmp_path / name, format_of("csv").Options())
    assert not (tmp_path / name).exists()
