"""The same numbers each time."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def _steady():
    torch.manual_seed(0)
