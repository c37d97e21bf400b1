"""What improving a deployed model takes of learning: samples out of feedback, and fine-tuning without forgetting."""

from __future__ import annotations
