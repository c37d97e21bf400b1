from __future__ import annotations

import pytest

from events.receivers import Receiver
from onlooker.events import Delivery, Journal, Sinks

FAST = {"first": 0.01, "most": 0.05, "attempts": 3, "age": "1h"}


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.end()


@pytest.fixture
def journal(tmp_path):
    with Journal.open(tmp_path / "lib") as opened:
        yield opened


@pytest.fixture
def deliver(journal, tmp_path):
    """Start a delivery over sinks given as in a configuration, with quick retries."""
    started = []

    def start(**sinks):
        options = {name: {"retry": FAST, **section} for name, section in sinks.items()}
        delivery = Delivery(journal, Sinks.model_validate(options), tmp_path / "lib")
        delivery.start()
        started.append(delivery)
        return delivery

    yield start
    for delivery in started:
        assert delivery.stop(15)
