"""YOLO text files: one for each image, ``class x y width height`` in fractions of the picture."""

from __future__ import annotations

import filecmp
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import yaml

from onlooker.core.errors import ConfigError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.formats._kept import INDEX, kept, read_index, restored, tell_losses, write_index
from onlooker.learning.datasets.formats._pictures import pictures_of
from onlooker.learning.datasets.formats.format import (
    FormatOptions,
    Found,
    Imported,
    Written,
    kind_of,
    media_files,
    medium,
    only_task,
    parsing,
    part_of,
    sample_id,
    wrong,
)
from onlooker.learning.datasets.manifest import Kind, LabelledBox, MediaKind, Sample, Task
from onlooker.learning.datasets.typed_yaml import write_whole

__all__ = ["FORMAT", "Yolo", "YoloOptions"]

_YAML = (".yaml", ".yml")
_SIDES = ("train", "val", "test")


class YoloOptions(FormatOptions):
    """Options.

    Attributes:
        task: name of the task.
        images: folder of the images below the path.
        labels: folder of the text files below the path.
        names: class names: a text file with one a line, or a YAML file with ``names``; without it ``data.yaml`` of the
            path, and where there is none, the numbers. What a YAML file calls train, val and test becomes splits.
    """

    task: str = "objects"
    images: str = "images"
    labels: str = "labels"
    names: Path | None = None


class Yolo:
    """An image without a text file, or with an empty one, shows nothing of the classes.

    The path is the folder of ``images`` and ``labels``, of sides (``train``, ``valid``, ...) that each have both, or
    the YAML file in it. Outlines become the boxes around them.
    """

    name: ClassVar[str] = "yolo"
    description: ClassVar[str] = "YOLO text files: boxes of images"
    holds: ClassVar[frozenset[Kind]] = frozenset(("boxes",))
    media: ClassVar[frozenset[MediaKind]] = frozenset(("image",))
    Options: ClassVar[type[FormatOptions]] = YoloOptions

    def read(self, path: Path, options: YoloOptions, media: Path | None, space: Path) -> Imported:
        """See `Format.read`."""
        file = path if path.suffix in _YAML else options.names or path / "data.yaml"
        path = path.parent if path.suffix in _YAML else path
        facts = _facts(file, asked=options.names is not None)
        names, sides = _names(file, facts), _sides(file, facts, path)
        places = _places(path, options, media)
        root = media if media and len(places) == 1 else path
        made = Imported(root, {}, [])
        used: set[int] = set()
        _, known = read_index(path)
        by_file = {_plain(str(held["file"])): name for name, held in known.items() if held.get("file")}
        indexed, pose = bool(known), "kpt_shape" in facts
        for folder, labels in places:
            for picture in (f for f in media_files(folder) if kind_of(f) == "image"):
                name, inside = picture.relative_to(root).as_posix(), picture.relative_to(folder)
                key, text = name, inside.with_suffix(".txt").as_posix()
                if name not in known and text in by_file:
                    key = by_file[text]
                    if (root / key).is_file():
                        continue  # it stands for a picture that comes by itself
                held = known.pop(key, None)
                if held is None and indexed and not (labels / text).is_file():
                    made.left_out["pictures that were not exported"] += 1
                    continue
                if held is None:
                    above = folder.relative_to(path).parts[:1] if len(places) > 1 else ()
                    parts = (*above, *inside.parts[:-1])
                    split = next(filter(None, map(part_of, parts)), None) or _side(name, sides)
                else:
                    split, text = None, _plain(str(held.get("file") or text))
                boxes = _boxes(labels / text, names, used, made, held or {}, pose=pose)
                made.found.append(_sample(path, name, root, options.task, split, boxes, held or {}))
        for key, held in known.items():
            # frames lie in the videos that they were taken from
            text = _plain(str(held.get("file") or Path(key).with_suffix(".txt")))
            name = key if kind_of(key) == "image" else f"{options.images}/{Path(text).with_suffix('.jpg').as_posix()}"
            boxes = _boxes(places[0][1] / text, names, used, made, held, pose=False)
            made.found.append(_sample(path, name, root, options.task, None, boxes, held))
        if not made.found:
            raise wrong(places[0][0], "no pictures")
        known = names.values() if names else [str(n) for n in range(max(used, default=-1) + 1)]
        made.tasks[options.task] = Task(kind="boxes", classes=tuple(dict.fromkeys(known)))
        return made

    def write(self, dataset: Dataset, samples: Sequence[Sample], target: Path, options: YoloOptions) -> Written:
        """Text files, pictures and ``data.yaml``, as Ultralytics looks for them: in folders of train, val and test.

        Labels are found by the place of a picture, so that images are linked there; where links cannot be, copied.
        """
        wanted = options.task if "task" in options.model_fields_set else None
        name, task = only_task(dataset, ("boxes",), wanted, self.name)
        done, index, taken = Written(), dict[str, Any](), set[PurePosixPath]()
        tell_losses(dataset, samples, done, [name])

        def folder(sample: Sample) -> Path:
            return target / options.images / _side_of(sample)

        for sample, picture in pictures_of(dataset, samples, target / "data.yaml", done, folder):
            side = _side_of(sample)
            key = picture if sample.of_kind("image") else sample_id(sample.media[0].path, at=sample.at)
            if key in index:
                done.left_out["another sample has that picture"] += 1
                continue
            inside = PurePosixPath(side, PurePosixPath(picture).name)
            if sample.of_kind("image"):
                inside = _laid(dataset.root / picture, PurePosixPath(picture), side, target, options, taken, done)
            taken.add(inside.with_suffix(""))
            lines: list[str] = []
            more: dict[str, Any] = {}
            for box in sample.labels.get(name, ()):
                left, top, right, bottom = box.box
                sides = ((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)
                lines.append(f"{task.classes.index(box.label)} " + " ".join(f"{v:.7f}" for v in sides) + "\n")
                said = box.model_dump(mode="json", exclude={"label", "box"}, exclude_defaults=True)
                more |= {lines[-1].strip(): said} if said else {}
            file = inside.with_suffix(".txt")
            write_whole(target / options.labels / file, "".join(lines))
            done.files.append(target / options.labels / file)
            done.samples += 1
            index[key] = {**kept(sample, name), "file": file.as_posix(), **({"boxes": more} if more else {})}
        facts: dict[str, Any] = {"path": str(target.resolve()), "names": dict(enumerate(task.classes))}
        _clear(target, options, index, done)
        # those of earlier exports too, such as of other splits
        facts |= {s: f"{options.images}/{s}" for s in _SIDES if (target / options.images / s).is_dir()}
        write_whole(target / "data.yaml", yaml.safe_dump(facts, allow_unicode=True, sort_keys=False))
        done.files.append(target / "data.yaml")
        write_index(target, {"samples": index}, done)
        return done


def _side_of(sample: Sample) -> str:
    """The folder of a sample's side; none for splits that Ultralytics does not know."""
    return sample.split if sample.split in _SIDES else ""


def _sample(
    path: Path, name: str, root: Path, task: str, split: str | None, boxes: tuple[LabelledBox, ...], held: Any
) -> Found:
    """The sample of a picture, as it was before it was written."""
    with parsing(path / INDEX if held else root / name, name if held else "picture"):
        one = Sample(id=name, media=(medium(name, "image"),), split=split, labels={task: boxes})
        return Found(restored(one, held, root, task))
    raise AssertionError


def _laid(
    source: Path,
    picture: PurePosixPath,
    side: str,
    target: Path,
    options: YoloOptions,
    taken: Collection[PurePosixPath],
    done: Written,
) -> PurePosixPath:
    """Link an image to its place, and give that below the folder of images: one that no other picture has.

    In its path from the root, folders of images or of its side go: readers replace the last of them.
    """
    parts = [p for p in picture.parts[:-1] if p not in ("images", "labels", options.images, options.labels)]
    parts = parts[1:] if parts[:1] == [side] else parts
    inside = base = PurePosixPath(side, *parts, picture.name)
    number = 1
    while inside.with_suffix("") in taken or _is_another(target / options.images / inside, source):
        number += 1
        inside = base.with_name(f"{base.stem}-{number}{base.suffix}")
    place = target / options.images / inside
    if not source.is_file():
        done.left_out["pictures that are not there: of them, labels alone are written"] += 1
        return inside
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_symlink():
        place.unlink()
    if not place.exists():
        try:
            place.symlink_to(source.resolve())
        except OSError:
            shutil.copyfile(source, place)
    done.files.append(place)
    return inside


def _clear(target: Path, options: YoloOptions, index: Mapping[str, Any], done: Written) -> None:
    """Remove what an earlier export wrote of the same pictures elsewhere, such as on another side."""
    written = set(done.files)
    for key, held in read_index(target)[1].items():
        file = _plain(str(held.get("file") or ""))
        if key not in index or not file or index[key]["file"] == file:
            continue
        now = target / options.images / index[key]["file"]
        for place in ((target / options.images / file).parent).glob("*"):
            if place.with_suffix(".txt") == target / options.images / file and place not in written:
                same = now.with_suffix(place.suffix)
                if place.is_symlink() or (same.is_file() and filecmp.cmp(place, same, shallow=False)):
                    place.unlink()
        if target / options.labels / file not in written:
            (target / options.labels / file).unlink(missing_ok=True)


def _is_another(place: Path, source: Path) -> bool:
    """Whether a file that is not the source, nor a link, lies at a place."""
    if place.is_symlink() or not place.exists():
        return False
    return not (source.is_file() and (place.samefile(source) or filecmp.cmp(place, source, shallow=False)))


def _places(path: Path, options: YoloOptions, media: Path | None) -> list[tuple[Path, Path]]:
    """Folders of pictures with those of their labels: ``images`` and ``labels``, or such a pair for each side."""
    labels = path / options.labels
    if labels.is_dir():
        return [(media or path / options.images, labels)]
    sides = sorted(p.parent for p in path.glob(f"*/{options.labels}") if p.is_dir())
    pairs = [(side / options.images, side / options.labels) for side in sides if (side / options.images).is_dir()]
    if not pairs:
        raise wrong(labels, "no folder of labels", hint="--set labels=FOLDER")
    return pairs


def _facts(file: Path, *, asked: bool) -> dict[str, Any]:
    """What a YAML file says, or a list of names; nothing where there is none."""
    if not asked and not file.is_file():
        return {}
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {file}: {error}", hint="check --set names=FILE") from None
    if file.suffix not in _YAML:
        return {"names": [line.strip() for line in text.splitlines() if line.strip()]}
    try:
        facts = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise wrong(file, f"not YAML: {error}".replace("\n", " ")) from None
    if not isinstance(facts, dict) or "names" not in facts:
        raise wrong(file, "names: 'names' is missing", hint="names: [person, car]")
    return facts


def _names(file: Path, facts: dict[str, Any]) -> dict[int, str]:
    """Class names by number."""
    names: Any = facts.get("names") or {}
    if not isinstance(names, dict | list):
        raise wrong(file, f"names: expected a list of them, or names by number, got {names!r}")
    with parsing(file, "names"):
        return {int(n): str(v) for n, v in (names.items() if isinstance(names, dict) else enumerate(names))}
    return {}


def _sides(file: Path, facts: dict[str, Any], path: Path) -> dict[str, str]:
    """The split of each folder, and of each picture of a list, that a YAML file names; without dots in front."""
    made: dict[str, str] = {}
    for split in _SIDES:
        named: Any = facts.get(split) or ()
        if not isinstance(named, str | list | tuple):
            raise wrong(file, f"{split}: expected a folder, a list, or several, got {named!r}")
        for entry in [named] if isinstance(named, str) else [str(n) for n in named]:
            held = [entry]
            listed = next((p for p in (path / entry, path / _plain(entry)) if p.suffix == ".txt" and p.is_file()), None)
            if listed is not None:
                held = listed.read_text(encoding="utf-8", errors="replace").split("\n")
            for one in held:
                if one.strip():
                    made.setdefault(_plain(one.strip()), split)
    return made


def _plain(path: str) -> str:
    return "/".join(p for p in PurePosixPath(path.replace("\\", "/")).parts if p not in ("..", ".", "/"))


def _side(name: str, sides: dict[str, str]) -> str | None:
    """By the picture itself, else by the folder that it lies in; of absolute paths the end counts."""
    for wanted in (name, str(PurePosixPath(name).parent)):
        for place, split in sides.items():
            if wanted != "." and (place == wanted or place.endswith(f"/{wanted}")):
                return split
    return None


def _boxes(
    path: Path, names: Mapping[int, str], used: set[int], made: Imported, held: Mapping[str, Any], *, pose: bool
) -> tuple[LabelledBox, ...]:
    if not path.is_file():
        return ()
    boxes: list[LabelledBox] = []
    with parsing(path, "box"):
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    for line, text in enumerate(lines, 1):
        if not text.strip():
            continue
        with parsing(path, "box", line):
            number, *values = text.split()
            at = _whole(number)
            if len(values) < 4 or at is None:
                raise ValueError(f"expected a class and at least 4 numbers, got {text.strip()[:80]!r}")
            if at < 0 or (names and at not in names):
                raise ValueError(f"there is no class {at}")
            used.add(at)
            label = names[at] if names else str(at)
            score = float(values[4]) if len(values) == 5 else None
            box = _box([float(v) for v in values], pose, made)
            said = (held.get("boxes") or {}).get(text.strip(), {})
            boxes.append(LabelledBox.model_validate({"score": score, **said, "label": label, "box": box}))
    return tuple(boxes)


def _whole(text: str) -> int | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return int(value) if value.is_integer() else None


def _box(values: Sequence[float], pose: bool, made: Imported) -> Any:
    """Middle and size, perhaps with a score or key points after them; or corners, and the box around them."""
    if len(values) >= 6 and len(values) % 2 == 0 and not pose:
        made.left_out["outlines, of which the box is taken"] += 1
        sides = min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])
    else:
        x, y, wide, high = values[:4]
        sides = x - wide / 2, y - high / 2, x + wide / 2, y + high / 2
    return tuple(round(v, 7) for v in sides)


FORMAT = Yolo()
