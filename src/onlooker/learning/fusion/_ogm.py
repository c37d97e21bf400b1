"""Balance between inputs while training: those that learn faster are held back.

Peng et al., "Balanced Multimodal Learning via On-the-fly Gradient Modulation", 2022 (arXiv 2203.15332): OGM-GE.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

__all__ = ["scale_gradients"]


def scale_gradients(
    encoders: Mapping[str, nn.Module],
    confidences: Mapping[str, Tensor],
    strength: float,
    generator: torch.Generator | None = None,
) -> dict[str, float]:
    """Scale the gradients of the encoders that are ahead, after the backward pass and before the step.

    An input is ahead where its confidence is above the mean of the others', by a ratio r > 1; its gradients are
    multiplied by ``1 - tanh(strength * r)``, and noise of the deviation that they had is added to those of weights, so
    that generalisation does not suffer from smaller gradients (the paper's GE). With two inputs these are the paper's
    formulas.

    Args:
        encoders: by input, with gradients.
        confidences: by input (B,) or fewer: the probability that a head on that input alone gives to the truth, of
            those samples where the input is there; inputs with none are left as they are.
        strength: alpha, at least 0; 0 leaves all as it is.
        generator: of the noise; None: torch's own, which is seeded with the run.

    Returns:
        By input, what its gradients were multiplied by.
    """
    scales = dict.fromkeys(encoders, 1.0)
    means = {n: float(c.detach().float().mean()) for n, c in confidences.items() if c.numel()}
    if strength <= 0 or len(means) < 2:
        return scales
    for name, own in means.items():
        others = [v for other, v in means.items() if other != name]
        ratio = own / max(sum(others) / len(others), 1e-8)
        if ratio > 1:
            scales[name] = 1 - float(torch.tanh(torch.tensor(strength * ratio)))
            _modulate(encoders[name], scales[name], generator)
    return scales


def _modulate(encoder: nn.Module, scale: float, generator: torch.Generator | None) -> None:
    for parameter in encoder.parameters():
        grad = parameter.grad
        if grad is None:
            continue
        deviation = float(grad.std()) if parameter.ndim > 1 and grad.numel() > 1 else 0.0
        grad.mul_(scale)
        if deviation:
            noise = torch.empty(grad.shape, dtype=grad.dtype).normal_(0, deviation, generator=generator)
            grad.add_(noise.to(grad.device))
