"""What a network is fed with: the preprocess facts, one class for each sort of input."""

from __future__ import annotations

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from onlooker.bundles.values import MAX_ELEMENTS, Label, Part, Words, elements

__all__ = [
    "ClipInput",
    "FrameInput",
    "Input",
    "LogMelInput",
    "PictureInput",
    "SeriesInput",
    "SoundInput",
    "TextInput",
    "WaveformInput",
]

Side = Annotated[int, Field(ge=1, le=8192)]
Rate = Annotated[float, Field(gt=0, le=240)]
SampleRate = Annotated[int, Field(ge=1000, le=192_000)]
Samples = Annotated[int, Field(ge=1, le=192_000 * 60)]


def _least(shape: tuple[int, ...]) -> None:
    if elements(shape) > MAX_ELEMENTS:
        raise ValueError(f"a tensor of the shape {shape} has more than {MAX_ELEMENTS} numbers")


class _Picture(Part):
    width: Side
    height: Side
    fit: Literal["stretch", "crop", "pad", "pad_corner"] = "stretch"
    fill: float = 0.0
    colour: Literal["rgb", "bgr", "gray"] = "rgb"
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[Annotated[float, Field(gt=0)], ...] = (1.0,)
    dtype: Literal["float32", "uint8"] = "float32"

    @property
    def channels(self) -> int:
        """1 or 3."""
        return 1 if self.colour == "gray" else 3

    @property
    def sides(self) -> dict[str, int]:
        """Size of each dimension that a layout may name, pictures in order of time left out."""
        return {"N": 1, "C": self.channels, "H": self.height, "W": self.width}

    @model_validator(mode="after")
    def _channels_fit(self) -> Self:
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, self.channels):
                raise ValueError(f"{name}: expected 1 or {self.channels} numbers, got {len(values)}")
        if self.dtype == "uint8" and (self.scale, set(self.mean), set(self.std)) != (1.0, {0.0}, {1.0}):
            raise ValueError("dtype: uint8 leaves no room for scale, mean and std")
        return self


class FrameInput(_Picture):
    """One picture.

    It is resized by area as ``fit`` says, then each value v (0..255) becomes ``(v * scale - mean) / std``.

    Attributes:
        rate: pictures a second that are looked at.
        width, height: of the tensor in pixels.
        fit: ``stretch``: to exactly that size; ``crop``: the middle part, the aspect ratio kept; ``pad``: all of it in
            the middle; ``pad_corner``: all of it in the top left corner.
        fill: value of the tensor where padding leaves it empty.
        colour: order of the channels, or ``gray`` for one.
        scale, mean, std: of the normalisation; mean and std for each channel, or one for all.
        layout: order of the tensor's dimensions: N (1), C channels, H height, W width.
        dtype: of the tensor; ``uint8`` takes the values as they are.
    """

    kind: Literal["frame"]
    rate: Rate = 5.0
    layout: Literal["NCHW", "NHWC"] = "NCHW"

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the tensor."""
        return tuple(self.sides[letter] for letter in self.layout)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        _least(self.shape)
        return self


class ClipInput(_Picture):
    """Several pictures in a row: at each tick of 1/rate the one that is shown then.

    Attributes:
        rate: pictures a second of the clip.
        frames: how many make a clip.
        stride: ticks from one clip to the next.
        hold_seconds: a picture stands for at most this long; a clip with a longer gap is not looked at.
        layout: order of the tensor's dimensions; T is the pictures in order of time.

    The other attributes are those of `FrameInput`.
    """

    kind: Literal["clip"]
    rate: Rate
    frames: Annotated[int, Field(ge=1, le=1024)]
    stride: Annotated[int, Field(ge=1, le=100_000)]
    hold_seconds: Annotated[float, Field(gt=0, le=60)] = 2.0
    layout: Literal["NTCHW", "NCTHW", "NTHWC", "NCHW"] = "NTCHW"

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the tensor."""
        sides = {**self.sides, "T": self.frames}
        return tuple(sides[letter] for letter in self.layout)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if "T" not in self.layout and self.frames != 1:
            raise ValueError(f"layout: {self.layout} has no place for {self.frames} pictures")
        _least(self.shape)
        return self


class WaveformInput(Part):
    """Samples of the sound, mono, -1..1, times ``gain``.

    Attributes:
        sample_rate: samples a second.
        samples: how many make a window.
        hop: samples from one window to the next.
        gain: what they are multiplied with.
        layout: order of the tensor's dimensions; S is the samples.
    """

    kind: Literal["waveform"]
    sample_rate: SampleRate
    samples: Samples
    hop: Samples
    gain: float = 1.0
    layout: Literal["NS", "S", "N1S"] = "NS"

    @property
    def length(self) -> int:
        """Samples of a window."""
        return self.samples

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the tensor."""
        return tuple({"N": 1, "1": 1, "S": self.samples}[letter] for letter in self.layout)


class LogMelInput(Part):
    """The logarithm of a mel spectrum of mono sound.

    Hann windows of ``window`` samples every ``step`` samples, without padding; the spectrum of ``fft`` points to the
    power of ``power``, times a bank of ``bands`` triangles; then ``log(max(m, floor) + offset)``, then
    ``(x - mean) / std``.

    Attributes:
        sample_rate: samples a second.
        frames: windows of the spectrum that make a look.
        hop: samples from one look to the next.
        window, step, fft: of the spectrum, in samples.
        bands, low, high, scale: of the mel bank; ``htk``: triangles of height 1; ``slaney``: of equal area, as librosa.
        power: 1 for magnitudes, 2 for energies.
        log: ``ln``, ``log10`` or ``db`` (ten times log10).
        offset, floor, mean, std: see above.
        layout: order of the tensor's dimensions: F frames, M bands.
    """

    kind: Literal["log_mel"]
    sample_rate: SampleRate
    frames: Annotated[int, Field(ge=1, le=100_000)]
    hop: Samples
    window: Annotated[int, Field(ge=2, le=65_536)]
    step: Annotated[int, Field(ge=1, le=65_536)]
    fft: Annotated[int, Field(ge=2, le=65_536)]
    bands: Annotated[int, Field(ge=1, le=1024)]
    low: Annotated[float, Field(ge=0)] = 0.0
    high: Annotated[float, Field(gt=0)]
    scale: Literal["htk", "slaney"] = "htk"
    power: Literal[1, 2] = 1
    log: Literal["ln", "log10", "db"] = "ln"
    offset: Annotated[float, Field(ge=0)] = 0.0
    floor: Annotated[float, Field(ge=0)] = 1e-10
    mean: float = 0.0
    std: Annotated[float, Field(gt=0)] = 1.0
    layout: Literal["NFM", "NMF", "N1FM", "N1MF"] = "N1FM"

    @property
    def length(self) -> int:
        """Samples of a look."""
        return self.step * (self.frames - 1) + self.window

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the tensor."""
        return tuple({"N": 1, "1": 1, "F": self.frames, "M": self.bands}[letter] for letter in self.layout)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.fft < self.window:
            raise ValueError(f"fft: expected at least the window of {self.window} samples, got {self.fft}")
        if not self.low < self.high <= self.sample_rate / 2:
            raise ValueError(f"expected low < high <= half the sample rate, got {self.low} and {self.high}")
        if self.offset == self.floor == 0:
            raise ValueError("offset, floor: one must be above 0, or silence has no logarithm")
        _least(self.shape)
        if self.length > 192_000 * 60:
            raise ValueError("a look of more than a minute of sound")
        return self


class SeriesInput(Part):
    """A series of measurements, as even steps (see `onlooker.bundles.series.steps_of`).

    A value x becomes ``(x - mean) / std`` of its column, and 0 where it is not known.

    Attributes:
        rate: steps a second.
        steps: how many make a window.
        stride: steps from one window to the next, where nothing else sets the pace.
        columns: what was measured, in order.
        mean, std: of each column.
        hold_seconds: a value stands for at most this long.
        layout: order of the tensor's dimensions: T steps, C columns.
    """

    kind: Literal["series"]
    rate: Annotated[float, Field(gt=0, le=10_000)]
    steps: Annotated[int, Field(ge=1, le=100_000)]
    stride: Annotated[int, Field(ge=1, le=100_000)]
    columns: Annotated[tuple[Label, ...], Field(min_length=1, max_length=256)]
    mean: tuple[float, ...]
    std: tuple[Annotated[float, Field(gt=0)], ...]
    hold_seconds: Annotated[float, Field(ge=0, le=86_400)] = 5.0
    layout: Literal["NTC", "NCT"] = "NTC"

    @property
    def seconds(self) -> float:
        """Length of a window."""
        return self.steps / self.rate

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the tensor."""
        return tuple({"N": 1, "T": self.steps, "C": len(self.columns)}[letter] for letter in self.layout)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(set(self.columns)) != len(self.columns):
            raise ValueError("columns: one is there twice")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != len(self.columns):
                raise ValueError(f"{name}: expected {len(self.columns)} numbers, got {len(values)}")
        _least(self.shape)
        return self


class TextInput(Part):
    """The vector of a text by the encoder of sentences in the catalogue, or the numbers of its words.

    Attributes:
        encoder: ``sentence-encoder`` of the catalogue, or ``hashed-words``, which needs no model; see
            `onlooker.bundles.words`.
        size: length of the vector, or how many numbers of words.
        kinds: observations whose words are read.
    """

    kind: Literal["text"]
    encoder: Literal["sentence-encoder", "hashed-words"] = "sentence-encoder"
    size: Annotated[int, Field(ge=1, le=8192)]
    kinds: Annotated[tuple[Words, ...], Field(min_length=1)] = ("speech", "text")

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the tensor."""
        return (1, self.size)


PictureInput: TypeAlias = FrameInput | ClipInput
SoundInput: TypeAlias = WaveformInput | LogMelInput
Input = Annotated[FrameInput | ClipInput | WaveformInput | LogMelInput | SeriesInput, Field(discriminator="kind")]
