"""From what people said of a bundle's observations to a better version of it: feedback, labels, shadow, verdicts."""

from __future__ import annotations
