"""``bundle.json``: everything that is known of a bundle beside its files.

A bundle has one or more *networks*, each fed with one modality, and optionally a *head* that is fed with what they
give. Networks are the heavy part: they look at one picture, clip or window of sound and have no memory, or one that
reaches back a stated way. The head is the light part: it runs strictly in order of time over what the networks gave, so
its memory may reach back for ever (a recurrent network), and it joins modalities (late fusion).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from onlooker.bundles.drift import Reference
from onlooker.bundles.inputs import ClipInput, FrameInput, LogMelInput, SeriesInput, TextInput, WaveformInput
from onlooker.bundles.networks import TEXT, Exit, Head, HeadInput, Network, State, StateTensor
from onlooker.bundles.outputs import Anomaly, Dense, Detection, Events, Output, emitted, tensors
from onlooker.bundles.values import Digest, FileName, Label, Name, Part, Words
from onlooker.core.errors import ModelError

__all__ = [
    "SCHEMA",
    "Cut",
    "Exit",
    "FileFact",
    "Golden",
    "Head",
    "HeadInput",
    "Manifest",
    "Metric",
    "Network",
    "Provenance",
    "State",
    "StateTensor",
    "Step",
    "parse_manifest",
]

SCHEMA = 1
"""Version of the form of ``bundle.json``; raised when an older reader would misunderstand a newer file."""
MAX_BYTES = 4 * 1024**3
"""Largest size of a file, and of all files together."""


class FileFact(Part):
    """Size in bytes and digest of a file of the bundle."""

    sha256: Digest
    size: Annotated[int, Field(ge=0, le=MAX_BYTES)]


class Metric(Part):
    """What was measured at export.

    Attributes:
        output: name of the output, or None for all.
        name: of the metric, such as accuracy, map, mae, f1.
        value: what it was.
        ci95: its confidence interval.
        dataset: digest of the data.
        split: which part of it.
        count: samples.
    """

    output: Name | None = None
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_@.]{0,63}$")]
    value: float
    ci95: tuple[float, float] | None = None
    dataset: Digest | None = None
    split: Words = ""
    count: Annotated[int, Field(ge=0)] | None = None


class Cut(Part):
    """How the pictures of samples were cut for training, before they were brought to the size of the input.

    Attributes:
        crop: ``box``: the sample's first box alone; ``none``: bent to the size; ``centre``: the middle; ``pad``: all.
        margin: for ``box``: how much wider than the box, as a share of it.
    """

    crop: Literal["none", "centre", "pad", "box"]
    margin: Annotated[float, Field(ge=0, le=10)] = 0.0


class Step(Part):
    """One thing that was done to make the bundle from its parent: ``name`` with its ``settings``."""

    name: Name
    settings: dict[str, bool | int | float | str] = Field(default_factory=dict[str, bool | int | float | str])


class Provenance(Part):
    """Where a bundle comes from.

    Attributes:
        parent: digest of the bundle that it was made from (compressed, fine-tuned).
        steps: what was done, in order.
        recipe: digest of the recipe.
        dataset: digest of the data that it was trained on.
        software: versions by package.
        created: UTC, ISO 8601.
        source: for imported ones, what was imported.
    """

    parent: Digest | None = None
    steps: tuple[Step, ...] = ()
    recipe: Digest | None = None
    dataset: Digest | None = None
    software: dict[str, Words] = Field(default_factory=dict[str, str])
    created: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")] | None = None
    source: Words = ""


class Golden(Part):
    """The recorded run that ``verify`` replays.

    Attributes:
        file: an .npz: ``in.NETWORK`` holds the pictures (RGB bytes), samples or vectors of each step, ``out.TENSOR``
            what came out.
        tolerance: largest difference of a number, beside ``relative`` of its size.
    """

    file: FileName = "golden.npz"
    tolerance: Annotated[float, Field(ge=0)] = 1e-4
    relative: Annotated[float, Field(ge=0)] = 1e-4


class Manifest(Part):
    """See the module's docstring.

    Attributes:
        schema_version: `SCHEMA`; called ``schema`` in the file.
        name: what ``models add`` calls it unless told otherwise.
        title: one line for people.
        licence: SPDX identifier, or ``none declared``.
        networks, head: what is run.
        outputs: what comes of it.
        runtime: the engine that runs it best, or None.
        metrics, provenance, golden: see there.
        weights: a file of safetensors for fine-tuning, or None.
        cut: how the pictures that it was trained on were cut, by which labelled samples are judged; None: not known.
        reference: what inputs and scores looked like, by which drift is seen; None: it is not looked for.
        files: all files but ``bundle.json``.
    """

    schema_version: Annotated[int, Field(ge=1, alias="schema")]
    name: Name
    title: Words = ""
    licence: Label
    licence_note: Words = ""
    networks: Annotated[tuple[Network, ...], Field(max_length=8)] = ()
    head: Head | None = None
    outputs: Annotated[tuple[Output, ...], Field(min_length=1, max_length=64)]
    runtime: Literal["openvino", "onnxruntime"] | None = None
    metrics: tuple[Metric, ...] = ()
    provenance: Provenance = Provenance()
    golden: Golden | None = None
    weights: FileName | None = None
    cut: Cut | None = None
    reference: Reference | None = None
    files: Annotated[dict[FileName, FileFact], Field(min_length=1, max_length=64)]

    @field_validator("files")
    @classmethod
    def _not_itself(cls, files: dict[str, FileFact]) -> dict[str, FileFact]:
        if "bundle.json" in files:
            raise ValueError("bundle.json cannot hold its own digest")
        if sum(fact.size for fact in files.values()) > MAX_BYTES:
            raise ValueError(f"the files have more than {MAX_BYTES} bytes together")
        return files

    @model_validator(mode="after")
    def _files_are_listed(self) -> Self:
        runs = [*self.networks, *([self.head] if self.head else [])]
        for part in runs:
            if part.format == "openvino-ir" and part.file.removesuffix(".xml") + ".bin" not in self.files:
                raise ValueError(f"{part.file}: its .bin is not among files")
            if not part.file.endswith(SUFFIXES[part.format]):
                raise ValueError(f"{part.file}: a file of the format {part.format} ends with {SUFFIXES[part.format]}")
        named = [p.file for p in runs]
        named += [f for f in (self.weights, self.golden.file if self.golden else None) if f is not None]
        if missing := [f for f in named if f not in self.files]:
            raise ValueError(f"{missing[0]} is not among files")
        return self

    @model_validator(mode="after")
    def _tensors_are_given(self) -> Self:
        if not self.networks and self.reads is None:
            raise ValueError("expected a network, or a head that reads a text")
        by_name = {n.name: n for n in self.networks}
        reads = self.reads is not None
        if reads and TEXT in by_name:
            raise ValueError(f"networks: a network beside a text cannot be called {TEXT}")
        senses = {*by_name, *([TEXT] if reads else [])}
        if len(by_name) != len(self.networks):
            raise ValueError("networks: two have one name")
        if self.head is None and len(self.networks) > 1:
            raise ValueError("several networks need a head that joins them")
        others = len(self.networks) - len(self.sounds) - (self.series is not None)
        if others > 1 or len(self.sounds) > 1:
            raise ValueError("networks: expected at most one of pictures, one of sound and one of a series")
        for i in self.head.inputs if self.head else ():
            if i.network not in by_name or i.output not in by_name[i.network].outputs:
                raise ValueError(f"head: the network {i.network} gives no {i.output}")
        given = self.head.outputs if self.head else tuple(t for n in self.networks for t in n.outputs)
        for output in self.outputs:
            if missing := [t for t in tensors(output) if t not in given]:
                raise ValueError(f"output {output.name}: the tensor {missing[0]} is not among the outputs")
            if output.rests_on is not None and output.rests_on not in senses:
                raise ValueError(f"output {output.name}: rests_on: there is no network {output.rests_on}")
            if isinstance(output, Anomaly) and output.region and getattr(self.pictures, "fit", "") != "stretch":
                raise ValueError(f"output {output.name}: region: its pictures need the fit stretch")
            if isinstance(output, Detection) and (self.head or not isinstance(self.pictures, FrameInput | ClipInput)):
                raise ValueError(f"output {output.name}: boxes need a network of pictures, without a head")
        if len({o.name for o in self.outputs}) != len(self.outputs):
            raise ValueError("outputs: two have one name")
        if reads and not self.networks and any(isinstance(o, Dense | Events) for o in self.outputs):
            raise ValueError("outputs: a text has no steps")
        if sum(isinstance(o, Detection) for o in self.outputs) > 1:
            raise ValueError("outputs: one detection at most, whose tracks can be told apart")
        return self

    @property
    def pictures(self) -> FrameInput | ClipInput | None:
        """The input of the network of pictures that sets the pace, if there is one."""
        return next((n.input for n in self.networks if isinstance(n.input, FrameInput | ClipInput)), None)

    @property
    def sounds(self) -> tuple[Network, ...]:
        """The networks that hear."""
        return tuple(n for n in self.networks if isinstance(n.input, WaveformInput | LogMelInput))

    @property
    def series(self) -> Network | None:
        """The network of a series, if there is one."""
        return next((n for n in self.networks if isinstance(n.input, SeriesInput)), None)

    @property
    def reads(self) -> TextInput | None:
        """What texts its head reads, if it does."""
        return self.head.text if self.head is not None else None

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of observation that it makes."""
        return tuple(dict.fromkeys(k for o in self.outputs for k in emitted(o)))

    @property
    def labels(self) -> tuple[Label, ...]:
        """All labels of all outputs."""
        return tuple(dict.fromkeys(label for o in self.outputs for label in getattr(o, "labels", ())))


SUFFIXES: dict[str, str] = {"onnx": ".onnx", "openvino-ir": ".xml", "tf-frozen": ".pb", "tflite": ".tflite"}


def parse_manifest(data: bytes, where: str) -> Manifest:
    """A manifest from the bytes of ``bundle.json``.

    Raises:
        ModelError: it is no valid manifest; says what is wrong with which field.
    """
    import json

    hint = "see docs/guides/bundles.md for its form"
    try:
        values: Any = json.loads(data, object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{where}: not JSON: {error}", hint=hint) from None
    version: Any = values.get("schema") if isinstance(values, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if isinstance(version, int) and version > SCHEMA:
        raise ModelError(
            f"{where}: the bundle has the form {version}, this onlooker knows {SCHEMA}", hint="upgrade onlooker"
        )
    try:
        return Manifest.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(p) for p in first["loc"]) or "bundle.json"
        raise ModelError(f"{where}: {field}: {first['msg'].removeprefix('Value error, ')}", hint=hint) from None


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("one key stands twice in an object")
    return made
