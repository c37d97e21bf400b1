"""The folder of a run: everything that is needed to repeat it, to go on with it and to look at it.

    recipe.yaml        the recipe with all defaults and overrides written out
    facts.json         form of the inputs, classes, normalisation
    environment.json   versions, machine, digests of data and recipe
    log.jsonl          a line for each epoch
    left_out.json      samples that could not be decoded or lack the inputs; only where there are any
    state.safetensors  where the run stands: weights, optimiser, running mean, best weights
    model.safetensors  the weights that are kept, once the run is over; a head with ``narrow`` in it says that they may
                       be narrower than the recipe says, see `onlooker.learning.compress.narrow`
    lineage.json       of a compressed run: the bundle that it was made of, and the steps
    calibration.json   by task
    metrics.json       by part of the dataset and task
    report.html        curves, tables, confusion
    bundle/            the model as it is deployed

Nothing in it is pickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from onlooker.core.errors import UsageError
from onlooker.core.version import __version__
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.typed_yaml import write_whole
from onlooker.learning.facts import Facts, load_facts, save_facts
from onlooker.learning.model import Model, build_model
from onlooker.learning.recipe import Recipe, load_recipe

__all__ = ["RunFolder", "dataset_digest", "load_model", "make_folder", "read_tensors", "write_tensors"]

_SOFTWARE = ("onlooker", "torch", "torchmetrics", "torchjd", "numpy", "onnx", "openvino", "onnxruntime")


def make_folder(path: Path) -> None:
    """A folder for results, with those that it is in; one that is there is fine.

    Raises:
        UsageError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make the folder {path}: {error.strerror}", hint="give another --out") from None


def write_tensors(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any] | None = None) -> None:
    """A file of safetensors with JSON facts in its head, written whole or not at all.

    Raises:
        UsageError: the folder cannot be written.
    """
    part = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        plain = {k: v.detach().to("cpu").contiguous() for k, v in tensors.items()}
        # two names for one storage are not allowed
        seen: set[int] = set()
        for name, tensor in plain.items():
            place = tensor.data_ptr()
            if place in seen:
                plain[name] = tensor.clone()
            seen.add(place)
        save_file(plain, part, metadata={"facts": json.dumps(facts or {})})
        with part.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    except (OSError, SafetensorError) as error:
        with suppress(OSError):
            part.unlink()
        raise UsageError(f"cannot write {path}: {error}", hint="check the folder and the space on its disk") from None


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors by name and the facts in the head.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        with safe_open(path, "pt") as file:
            facts = json.loads((file.metadata() or {}).get("facts", "{}"))
            return {name: file.get_tensor(name) for name in file.keys()}, facts  # noqa: SIM118
    except (OSError, SafetensorError, ValueError, RuntimeError) as error:  # RuntimeError: replaced meanwhile
        raise UsageError(f"cannot read {path}: {error}", hint="is the file damaged?") from None


def dataset_digest(dataset: Dataset) -> str:
    """SHA-256 over the samples and tasks of a dataset; media count by their digests."""
    said = hashlib.sha256(json.dumps({n: t.model_dump() for n, t in sorted(dataset.info.tasks.items())}).encode())
    for sample in sorted(dataset.samples, key=lambda s: s.id):
        said.update(sample.model_dump_json(exclude_defaults=True).encode())
    return said.hexdigest()


class RunFolder:
    """See the module's docstring.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self, recipe: Recipe, facts: Facts, dataset: Dataset, recipe_digest: str) -> None:
        """Write what does not change."""
        make_folder(self.path)
        values = recipe.model_dump(mode="json")
        values["dataset"] = str(dataset.folder.resolve())
        write_whole(self.path / "recipe.yaml", yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=110))
        save_facts(facts, self.path / "facts.json")
        write_whole(
            self.path / "environment.json",
            json.dumps(
                {
                    "onlooker": __version__,
                    "software": {n: v for n in _SOFTWARE if (v := _version(n))},
                    "python": platform.python_version(),
                    "machine": {"cpu": torch.backends.cpu.get_cpu_capability(), "cores": os.cpu_count()},
                    "recipe": recipe_digest,
                    "dataset": dataset_digest(dataset),
                },
                indent=1,
            ),
        )
        (self.path / "log.jsonl").unlink(missing_ok=True)

    @property
    def environment(self) -> dict[str, Any]:
        """What was written of versions, machine and digests."""
        return json.loads((self.path / "environment.json").read_text(encoding="utf-8"))

    @property
    def begun(self) -> bool:
        """Whether there is a run to go on with."""
        return (self.path / "state.safetensors").is_file()

    def recipe(self) -> Recipe:
        """The recipe with everything written out."""
        return load_recipe(self.path / "recipe.yaml")

    def facts(self) -> Facts:
        """Form of the inputs, classes, normalisation."""
        return load_facts(self.path / "facts.json")

    def log(self, lines: list[dict[str, Any]]) -> None:
        """Write all lines of the log, so that a resumed run holds each once."""
        write_whole(self.path / "log.jsonl", "".join(json.dumps(line) + "\n" for line in lines))

    def history(self) -> list[dict[str, Any]]:
        """The lines of the log."""
        path = self.path / "log.jsonl"
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []

    def write(self, name: str, value: Any) -> None:
        """Write a JSON file."""
        write_whole(self.path / name, json.dumps(value, ensure_ascii=False, indent=1))

    def read(self, name: str) -> Any:
        """Read a JSON file.

        Raises:
            UsageError: it is not there.
        """
        try:
            return json.loads((self.path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"cannot read {self.path / name}: {error}", hint="is the run over?") from None


def load_model(path: Path) -> tuple[Model, Recipe, Facts]:
    """The trained model of a run folder, in its deployed state; its file may say that it is narrower than the recipe.

    Raises:
        UsageError: it is no folder of a run that is over.
    """
    from onlooker.learning.compress.narrow import narrowed

    run = RunFolder(path)
    recipe, facts = run.recipe(), run.facts()
    tensors, said = read_tensors(path / "model.safetensors")
    model = build_model(recipe, facts)
    if "narrow" in said:
        narrowed(model, tensors, said["narrow"])
    else:
        model.load_state_dict(tensors)
    return model.eval(), recipe, facts


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
