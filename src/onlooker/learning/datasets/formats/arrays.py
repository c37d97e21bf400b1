"""NumPy archives (``.npz``): pictures, JPEG bytes or sound in one array,

Labels are in others. Nothing in them is unpickled.
"""

from __future__ import annotations

import io
import wave
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from PIL import Image
from pydantic import Field

from onlooker.core.errors import ConfigError, UsageError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.formats.format import (
    FormatOptions,
    Found,
    Imported,
    Written,
    medium,
    no_label,
    parsing,
    refuse,
    wrong,
)
from onlooker.learning.datasets.manifest import KINDS, Kind, MediaKind, Sample, Task
from onlooker.learning.datasets.typed_yaml import write_whole

__all__ = ["FORMAT", "ArrayOptions", "Arrays"]


class ArrayOptions(FormatOptions):
    """Options.

    Attributes:
        data: key of the media: (n, h, w) or (n, h, w, 3) uint8 pictures, or with ``offsets`` joined bytes or samples.
        form: ``pictures``; ``encoded`` picture files as bytes; ``sound`` as int16 or float samples.
        offsets: key of the (n + 1) places where each begins and ends.
        rate: samples a second, or the key that holds it.
        labels: by task: ``key`` or ``key:kind``.
        classes: key of the class names that numbers stand for.
        limit: at most so many.
    """

    data: str = "images"
    form: Literal["pictures", "encoded", "sound"] = "pictures"
    offsets: str | None = None
    rate: str = "16000"
    labels: dict[str, str] = Field(default_factory=dict)
    classes: str | None = None
    limit: int | None = Field(default=None, ge=1)


class Arrays:
    """Media are taken out into the dataset's own folder, as PNG, as they are, or as WAV."""

    name: ClassVar[str] = "arrays"
    description: ClassVar[str] = "NumPy archives (.npz) of pictures or sound"
    holds: ClassVar[frozenset[Kind]] = frozenset()
    media: ClassVar[frozenset[MediaKind]] = frozenset()
    Options: ClassVar[type[FormatOptions]] = ArrayOptions

    def read(self, path: Path, options: ArrayOptions, media: Path | None, space: Path) -> Imported:
        """See `Format.read`."""
        held = _load(path)
        data = _key(path, held, options.data)
        count, part = _parts(path, held, data, options)
        if count < 1:
            raise wrong(path, f"{options.data}: there is nothing in it")
        made = Imported(space.parent, {}, [])
        if not options.labels:
            other = (options.data, options.classes, options.offsets or "offsets", options.rate)
            fitting = [k for k, v in held.items() if k not in other and v.ndim == 1 and len(v) == count]
            made.notes.append(no_label("KEY", fitting))
        count = min(count, options.limit or count)
        columns = {k: v for k, v in held.items() if v.ndim == 1 and len(v) >= count and k != options.data}
        named = _labels(path, held, options, count, made)
        suffix = {"pictures": ".png", "encoded": "", "sound": ".wav"}[options.form]
        digits = max(5, len(str(count - 1)))
        for n in range(count):
            body, kind, own = part(n)
            place = space / path.stem / f"{n:0{digits}d}{suffix or own}"
            _write_once(place, body)
            name = place.relative_to(space.parent).as_posix()
            labels = {task: values[n] for task, values in named.items()}
            fields = {k: str(v[n]) for k, v in columns.items()} | {"index": str(n)}
            made.found.append(Found(Sample(id=f"{path.stem}/{n}", media=(medium(name, kind),), labels=labels), fields))
        return made

    def write(self, dataset: Dataset, samples: Sequence[Sample], target: Path, options: ArrayOptions) -> Written:
        """Refuses."""
        raise refuse(self.name)


def _write_once(place: Path, body: bytes) -> None:
    """Write a file unless it is there with as many bytes."""
    if not (place.is_file() and place.stat().st_size == len(body)):
        write_whole(place, body)


def _load(path: Path) -> dict[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, AttributeError, TypeError) as error:
        raise ConfigError(f"cannot read {path}: {error}", hint="give a .npz file without pickled objects") from None


def _key(path: Path, held: dict[str, Any], key: str) -> Any:
    if key not in held:
        raise UsageError(f"{path} has no array {key!r}", hint=f"it has {', '.join(held)}")
    return held[key]


def _parts(
    path: Path, held: dict[str, Any], data: Any, options: ArrayOptions
) -> tuple[int, Callable[[int], tuple[bytes, MediaKind, str]]]:
    """How many there are, and what gives the n-th as a file: bytes, kind and suffix."""
    if options.form == "pictures":
        if data.dtype != np.uint8 or data.ndim not in (3, 4) or data.shape[3:] not in ((), (3,)) or 0 in data.shape[1:]:
            raise wrong(
                path, f"{options.data}: expected (n, h, w) or (n, h, w, 3) uint8, got {data.shape} {data.dtype}"
            )
        return len(data), lambda n: (_png(data[n]), "image", ".png")
    places = options.offsets or "offsets"
    offsets = _key(path, held, places)
    if offsets.ndim != 1 or offsets.dtype.kind not in "iu" or not len(offsets):
        raise wrong(path, f"{places}: expected (n + 1) whole numbers, got {offsets.shape} {offsets.dtype}")
    offsets = offsets.astype(np.int64)
    if data.ndim != 1 or (np.diff(offsets) < 0).any() or offsets[0] < 0 or offsets[-1] > len(data):
        raise wrong(path, f"{options.data}: its offsets do not lie inside it")
    if options.form == "encoded":

        def encoded(n: int) -> tuple[bytes, MediaKind, str]:
            body = data[offsets[n] : offsets[n + 1]].tobytes()
            return body, "image", ".png" if body.startswith(b"\x89PNG") else ".jpg"

        return len(offsets) - 1, encoded
    if data.dtype != np.int16 and data.dtype.kind != "f":
        raise wrong(path, f"{options.data}: expected int16, or floats from -1 to 1, got {data.dtype}")
    rate = _rate(path, held, options.rate)
    return len(offsets) - 1, lambda n: (_wav(data[offsets[n] : offsets[n + 1]], rate), "audio", ".wav")


def _rate(path: Path, held: dict[str, Any], said: str) -> int:
    text = str(held[said]) if said in held else said
    try:
        rate = int(float(text))
    except (ValueError, OverflowError):
        rate = 0
    if not 1000 <= rate <= 192_000:
        where = f"{path}: {said}: " if said in held else ""
        hint = "samples a second such as 16000, or the name of an array that holds them"
        raise UsageError(f"{where}not a rate of sound: {text}", hint=hint)
    return rate


def _png(picture: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "PNG")
    return out.getvalue()


def _wav(samples: Any, rate: int) -> bytes:
    if samples.dtype != np.int16:
        samples = (np.clip(samples.astype(np.float64), -1, 1) * 32767).round().astype(np.int16)
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return out.getvalue()


def _labels(
    path: Path, held: dict[str, Any], options: ArrayOptions, count: int, made: Imported
) -> dict[str, list[Any]]:
    """By task its labels in order; sets the tasks."""
    names = None if options.classes is None else _texts(path, options.classes, _key(path, held, options.classes))
    found: dict[str, list[Any]] = {}
    for task, spec in options.labels.items():
        key, _, kind_name = spec.partition(":")
        kind = next((k for k in KINDS if k == (kind_name or "class")), None)
        if kind not in ("class", "ordinal", "identity", "regression", "text"):
            raise UsageError(f"{task}: arrays hold class, ordinal, identity, regression or text, not {kind_name!r}")
        values = _key(path, held, key)
        if values.ndim != 1 or len(values) < count:
            raise wrong(path, f"{key}: expected {count} labels, got {values.shape}")
        if kind == "regression":
            with parsing(path, key):
                found[task] = [float(v) for v in values]
            if not np.isfinite(found[task][:count]).all():
                raise wrong(path, f"{key}: expected finite numbers")
        elif names is not None and kind in ("class", "ordinal") and values.dtype.kind in "iu":
            if len(values) and not (int(values.min()) >= 0 and int(values.max()) < len(names)):
                raise wrong(path, f"{key}: numbers beyond the {len(names)} classes")
            found[task] = [names[int(v)] for v in values]
        else:
            found[task] = _texts(path, key, values)
        known = list(dict.fromkeys(names)) if names is not None else sorted(set(found[task][:count]), key=_order)
        made.tasks[task] = Task(kind=kind, classes=tuple(known) if Task(kind=kind).has_classes else ())
    return found


def _texts(path: Path, key: str, values: Any) -> list[str]:
    """Values as words; bytes are UTF-8."""
    if values.ndim != 1:
        raise wrong(path, f"{key}: expected a list of names, got {values.shape}")
    if values.dtype.kind != "S":
        return [str(v) for v in values]
    made: list[str] = []
    for n, value in enumerate(values):
        try:
            made.append(value.decode())
        except UnicodeDecodeError:
            raise wrong(path, f"{key}: {n} is not UTF-8: {value!r}") from None
    return made


def _order(name: Any) -> tuple[int, int, str]:
    return (0, int(name), "") if str(name).isdecimal() else (1, 0, str(name))


FORMAT = Arrays()
