"""Changes of training samples that leave their labels true: the same for all frames of a clip, and repeatable by seed.

Pictures are (B, T, C, H, W) with values 0..255 and log-mel spectra (B, 1, F, M).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional

__all__ = ["AugmentConfig", "augment_pictures", "augment_series", "augment_spectrum", "corrupted", "mixed", "mixing"]

Share = Field(default=0.0, ge=0, le=1)


class AugmentConfig(BaseModel):
    """What is changed; all is off by default.

    Attributes:
        flip: share of clips that are mirrored, or ``alternate``: each in every second epoch (Jordan 2024,
            arXiv 2404.00498).
        shift: pixels by which a clip is moved at most, edges mirrored.
        scale: least share of the picture's area that is cut out and enlarged; 1: none.
        rotate: degrees at most.
        brightness, contrast, saturation: by which share they change at most.
        grey: share of clips that lose their colour.
        noise: deviation of noise on pictures, in 0..255.
        cutout: side of a square that is blanked, in pixels (DeVries and Taylor 2017).
        time_shift: by how many frames a clip is moved at most, its first or last frame standing still; not for labels
            that are spans.
        drop_frames: share of frames that are replaced by the one before.
        mask_time, mask_bands: greatest share of a spectrum that is blanked in each of two stripes (SpecAugment: Park et
            al. 2019, arXiv 1904.08779).
        roll: by which share of its length a spectrum is moved in time at most, in a circle; not for labels that are
            spans.
        gain: by how much the whole spectrum is raised or lowered at most, in its normalised measure.
        sound_noise: deviation of noise on the spectrum, in its normalised measure.
        series_noise: deviation of noise on series.
        corrupt: share of samples of which one input among several is spoilt by noise, every other one wholly, so that
            fusion learns what to trust.
        mixup: alpha of Zhang et al. 2018 (arXiv 1710.09412); 0: none.
        cutmix: alpha of Yun et al. 2019 (arXiv 1905.04899), the same box in all frames; 0: none. With both, they take
            turns.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    flip: float | Literal["alternate"] = Field(default=0.0)
    shift: int = Field(default=0, ge=0, le=1000)
    scale: float = Field(default=1.0, gt=0, le=1)
    rotate: float = Field(default=0.0, ge=0, le=180)
    brightness: float = Share
    contrast: float = Share
    saturation: float = Share
    grey: float = Share
    noise: float = Field(default=0.0, ge=0)
    cutout: int = Field(default=0, ge=0)
    time_shift: int = Field(default=0, ge=0)
    drop_frames: float = Share
    mask_time: float = Share
    mask_bands: float = Share
    roll: float = Share
    gain: float = Field(default=0.0, ge=0)
    sound_noise: float = Field(default=0.0, ge=0)
    series_noise: float = Field(default=0.0, ge=0)
    corrupt: float = Share
    mixup: float = Field(default=0.0, ge=0)
    cutmix: float = Field(default=0.0, ge=0)

    def moves(self) -> str | None:
        """The first setting that moves or mixes what is on the pictures, or None."""
        moving = ("flip", "shift", "rotate", "time_shift", "drop_frames", "mixup", "cutmix")
        scaled = "scale" if self.scale < 1 else None
        return next((name for name in moving if getattr(self, name)), scaled)


def _between(low: float, high: float, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator) * (high - low) + low


def augment_pictures(
    x: Tensor, config: AugmentConfig, generator: torch.Generator, *, epoch: int = 0, numbers: Tensor | None = None
) -> Tensor:
    """Pictures (B, T, C, H, W), bytes or floats in 0..255, changed; the same type and shape.

    Args:
        x: the pictures; they are not written to.
        config: what to change.
        generator: of all chances.
        epoch: for ``flip: alternate``, its number.
        numbers: for it too, each sample's place in the dataset (B,).
    """
    count = len(x)
    if config.time_shift or config.drop_frames:
        x = _in_time(x, config, generator)
    mirrored = None
    if config.flip == "alternate":
        places = torch.arange(count) if numbers is None else numbers
        # a hash, so that neighbours in the dataset do not turn together
        mirrored = ((places * 2654435761 >> 7) + epoch) % 2 == 0
    elif config.flip:
        mirrored = torch.rand(count, generator=generator) < config.flip
    if mirrored is not None:
        x = torch.where(mirrored.view(-1, 1, 1, 1, 1), x.flip(-1), x)
    if config.shift:
        x = _shifted(x, config.shift, generator)
    if config.scale < 1 or config.rotate:
        x = _warped(x, config, generator)
    if config.brightness or config.contrast or config.saturation or config.grey or config.noise:
        x = _coloured(x, config, generator)
    if config.cutout:
        x = _cut(x, config.cutout, generator)
    return x


def _in_time(x: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    count, frames = x.shape[:2]
    places = torch.arange(frames).expand(count, -1)
    if config.time_shift:
        moved = torch.randint(-config.time_shift, config.time_shift + 1, (count, 1), generator=generator)
        places = (places + moved).clamp(0, frames - 1)
    if config.drop_frames:
        kept = torch.rand(count, frames, generator=generator) >= config.drop_frames
        kept[:, 0] = True
        last = torch.where(kept, torch.arange(frames), 0).cummax(1).values
        places = places.gather(1, last)
    return x[torch.arange(count)[:, None], places]


def _shifted(x: Tensor, most: int, generator: torch.Generator) -> Tensor:
    count, frames, channels, high, wide = x.shape
    padded = functional.pad(x.flatten(1, 2).float(), (most,) * 4, mode="reflect").to(x.dtype)
    moved = torch.randint(0, 2 * most + 1, (2, count), generator=generator)
    rows = moved[0][:, None] + torch.arange(high)
    columns = moved[1][:, None] + torch.arange(wide)
    picked = padded[torch.arange(count)[:, None, None], :, rows[:, :, None], columns[:, None, :]]
    return picked.permute(0, 3, 1, 2).reshape(count, frames, channels, high, wide)


def _warped(x: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    count, frames, channels, high, wide = x.shape
    side = _between(config.scale, 1.0, (count,), generator).sqrt()
    turn = torch.deg2rad(_between(-config.rotate, config.rotate, (count,), generator))
    place = _between(-1, 1, (2, count), generator) * (1 - side)
    ratio = high / wide
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0], theta[:, 0, 1], theta[:, 0, 2] = side * turn.cos(), -side * turn.sin() * ratio, place[0]
    theta[:, 1, 0], theta[:, 1, 1], theta[:, 1, 2] = side * turn.sin() / ratio, side * turn.cos(), place[1]
    grid = functional.affine_grid(theta, [count, channels, high, wide], align_corners=False)
    flat = x.flatten(1, 2).float()
    made = functional.grid_sample(flat, grid, padding_mode="reflection", align_corners=False)
    made = made.view(count, frames, channels, high, wide)
    return made if x.dtype.is_floating_point else made.round_().clamp_(0, 255).to(x.dtype)


def _coloured(x: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    shape = (len(x), 1, 1, 1, 1)
    y = x.float()
    if config.brightness:
        y = y * _between(1 - config.brightness, 1 + config.brightness, shape, generator)
    if config.contrast:
        mean = y.mean((1, 2, 3, 4), keepdim=True)
        y = mean + (y - mean) * _between(1 - config.contrast, 1 + config.contrast, shape, generator)
    if x.shape[2] == 3 and (config.saturation or config.grey):
        grey = y.mean(2, keepdim=True)
        keep = _between(1 - config.saturation, 1 + config.saturation, shape, generator)
        lost = torch.rand(shape, generator=generator) < config.grey
        y = grey + (y - grey) * torch.where(lost, 0.0, keep)
    if config.noise:
        y = y + torch.randn(y.shape, generator=generator) * config.noise
    y = y.clamp(0, 255)
    return y if x.dtype.is_floating_point else y.round_().to(x.dtype)


def _cut(x: Tensor, side: int, generator: torch.Generator) -> Tensor:
    count, high, wide = len(x), x.shape[-2], x.shape[-1]
    top = torch.randint(0, high, (count, 1, 1), generator=generator) - side // 2
    left = torch.randint(0, wide, (count, 1, 1), generator=generator) - side // 2
    rows, columns = torch.arange(high)[:, None], torch.arange(wide)
    inside = (rows >= top) & (rows < top + side) & (columns >= left) & (columns < left + side)
    middle = x.float().mean((0, 1, 3, 4), keepdim=True).to(x.dtype)
    return torch.where(inside[:, None, None], middle, x)


def augment_spectrum(x: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Normalised log-mel spectra (B, 1, F, M), changed."""
    count, _, frames, bands = x.shape
    if config.roll:
        most = int(config.roll * frames)
        moved = torch.randint(-most, most + 1, (count, 1), generator=generator)
        places = (torch.arange(frames) + moved) % frames
        x = x.gather(2, places[:, None, :, None].expand_as(x))
    if config.gain:
        x = x + _between(-config.gain, config.gain, (count, 1, 1, 1), generator)
    if config.sound_noise:
        x = x + torch.randn(x.shape, generator=generator) * config.sound_noise
    for share, length, dimension in ((config.mask_time, frames, 2), (config.mask_bands, bands, 3)):
        for _ in range(2 if share else 0):
            width = _between(0, share * length, (count, 1), generator)
            begin = _between(0, 1, (count, 1), generator) * (length - width)
            places = torch.arange(length)
            inside = (places >= begin) & (places < begin + width)
            x = x.masked_fill(inside[:, None, :, None] if dimension == 2 else inside[:, None, None, :], 0.0)
    return x


def augment_series(x: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Series (B, T, N), changed."""
    return x + torch.randn(x.shape, generator=generator) * config.series_noise if config.series_noise else x


def corrupted(inputs: dict[str, Tensor], share: float, generator: torch.Generator) -> dict[str, Tensor]:
    """One normalised input of a ``share`` of the samples spoilt: mixed with noise, and of every other one noise alone.

    What is wholly noise has to be known as such, which is not learned where that is the rare end of mixing.
    """
    names = list(inputs)
    count = len(inputs[names[0]])
    hit = torch.rand(count, generator=generator) < share
    which = torch.randint(0, len(names), (count,), generator=generator)
    made: dict[str, Tensor] = {}
    for place, name in enumerate(names):
        x = inputs[name]
        shape = (-1, *[1] * (x.ndim - 1))
        much = torch.rand(count, generator=generator)
        much = torch.where(torch.rand(count, generator=generator) < 0.5, 1.0, much) * (hit & (which == place))
        loud = _between(0.5, 2.0, (count,), generator)
        noise = torch.randn(x.shape, generator=generator).to(x.device) * loud.view(shape).to(x.device)
        much = much.view(shape).to(x.device)
        made[name] = torch.where(much > 0, (1 - much) * x + much * noise, x)
    return made


def mixing(config: AugmentConfig, count: int, generator: torch.Generator) -> tuple[Tensor, float, bool] | None:
    """Partners (B,), the share of its own that each sample keeps, whether by a box (cutmix); None: no mixing."""
    kinds = [k for k, alpha in (("mixup", config.mixup), ("cutmix", config.cutmix)) if alpha > 0]
    if not kinds or count < 2:
        return None
    kind = kinds[int(torch.randint(0, len(kinds), (), generator=generator))]
    alpha = config.mixup if kind == "mixup" else config.cutmix
    # two gamma draws make a beta draw; done by seeds of their own, as torch's gamma takes no generator
    seed = int(torch.randint(0, 2**62, (), generator=generator))
    share = float(np.random.default_rng(seed).beta(alpha, alpha))
    return torch.randperm(count, generator=generator), share, kind == "cutmix"


def mixed(
    inputs: dict[str, Tensor], partner: Tensor, share: float, by_box: bool, generator: torch.Generator
) -> dict[str, Tensor]:
    """Each sample with its partner's pictures in a box (cutmix), or the mean of both by ``share`` (mixup)."""
    if not by_box:
        return {n: share * x + (1 - share) * x[partner] for n, x in inputs.items()}
    made: dict[str, Tensor] = {}
    for name, x in inputs.items():
        high, wide = x.shape[-2:]
        side = (1 - share) ** 0.5
        tall, broad = round(high * side), round(wide * side)
        top = int(torch.randint(0, high - tall + 1, (), generator=generator))
        left = int(torch.randint(0, wide - broad + 1, (), generator=generator))
        made[name] = x.clone()
        made[name][..., top : top + tall, left : left + broad] = x[partner][..., top : top + tall, left : left + broad]
    return made
