"""A fuzzer over every route of the OpenAPI description: whatever is sent, the server does not fail, and answers as it
says that it does.

``ONLOOKER_FUZZ=200 pytest tests/api/test_openapi.py`` tries so many requests of each route.
"""

from __future__ import annotations

import contextlib
import os

import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.conftest import FRONT
from api.routes import objects_of_yard

pytestmark = pytest.mark.timeout(3600)
EXAMPLES = int(os.environ.get("ONLOOKER_FUZZ", "6"))
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
SETTINGS = hypothesis.settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES < 50,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    phases=[hypothesis.Phase.generate],
    print_blob=False,
)


@pytest.fixture(scope="module")
def fuzzed(served):
    objects = objects_of_yard(served)
    schema = schemathesis.openapi.from_url(f"{served.url}/api/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]  # pyright: ignore[reportAttributeAccessIssue]
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {served.token('admin')}"
        # what removes things comes last
        yield sorted(operations, key=lambda o: o.method.lower() == "delete"), objects, session


def real(operation, objects):
    """The values of the path that name something which is there."""
    part = operation.path.removeprefix("/api/v1/").split("/")[0]
    return objects.get(part, {}) if "{" in operation.path else {}


def fuzz(operation, objects, session):
    """Good and bad requests to one route; returns how many there were."""
    modes = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    named, count = real(operation, objects), 0

    @SETTINGS
    @hypothesis.given(st.one_of(*(operation.as_strategy(mode) for mode in modes)), st.booleans())
    def send(case, known):
        nonlocal count
        count += 1
        if known and named:
            case.path_parameters = {**(case.path_parameters or {}), **named}
        if any(p.name == "for" for p in operation.query):
            case.query = {**(case.query or {}), "for": 0.01}
        case.headers = {k: v for k, v in (case.headers or {}).items() if k.lower() != "authorization"}
        case.cookies = {}
        answer = case.call(session=session, timeout=30)
        case.validate_response(answer, checks=CHECKS)

    with contextlib.suppress(Unsatisfiable):  # nothing can be wrong where nothing is taken
        send()
    return count


def test_every_route_stands_whatever_is_sent(fuzzed):
    operations, objects, session = fuzzed
    assert len(operations) > 60
    failed = []
    for operation in operations:
        try:
            count = fuzz(operation, objects, session)
        except (FailureGroup, Failure, ExceptionGroup) as error:
            told = error.exceptions if isinstance(error, ExceptionGroup) else [error]
            failed += [f"{operation.label}: {getattr(e, 'title', '')} {e}"[:1500] for e in told]
        else:
            assert count or "{" not in operation.path
    assert not failed, "\n\n".join(failed)


def test_the_server_is_well_after_it(served, fuzzed):
    assert served.as_token().get("/ready").status_code == 200
    assert served.of("viewer").get(f"/api/v1/sources/{FRONT}").status_code == 200
