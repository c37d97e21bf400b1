"""Every route there is, by those who may not: a route that is added without a check fails here."""

from __future__ import annotations

import pytest
from fastapi import APIRouter
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from api.conftest import YARD
from api.routes import BODIES, QUERY, all_routes, filled, objects_of_yard
from onlooker.api.access import Role
from onlooker.api.guard import check_guarded

ROUTES = all_routes()
HTTP = [r for r in ROUTES if r.method != "WS"]
PUBLIC = {
    "/health", "/ready", "/api/openapi.json", "/", "/static/{name}", "/api/v1/login", "/api/v1/link",
}  # fmt: skip
MARKS = ("yard", YARD)


@pytest.fixture(scope="module")
def objects(served):
    return objects_of_yard(served)


@pytest.fixture(scope="module")
def clients(served):
    served.user("nobody-here", ("elsewhere", "admin"), password=None)
    served.user("front-admin", ("front", "admin"), password=None)
    served.user("front-zone", ("front", "operator", ["door"]), password=None)
    names = ("admin", "operator", "viewer", "front", "yard", "nobody-here", "front-admin", "front-zone")
    return {name: served.of(name) for name in names}


def ask(client, route, objects):
    path = filled(route.path, objects)
    body = BODIES.get(route.key)
    return client.request(route.method, path, params=QUERY.get(route.path), json=body)


def by(*keys):
    return pytest.mark.parametrize("route", keys, ids=lambda r: r.key)


def test_a_route_without_a_guard_does_not_start():
    router = APIRouter()

    @router.get("/api/v1/open")
    def everything() -> dict[str, str]:
        return {}

    with pytest.raises(RuntimeError, match="no guard"):
        check_guarded(router)


def test_only_these_routes_are_for_everybody():
    assert {r.path for r in ROUTES if r.need is None or r.need.role is None} == PUBLIC


@by(*(r for r in HTTP if r.path not in PUBLIC))
def test_nobody_gets_in_without_a_credential(served, objects, route):
    expired = served.token("admin", seconds=-1)
    revoked = served.token("admin")
    served.context.credentials.revoke(revoked.split("_")[1])
    for token in (None, "olk_000000000000_AAAA", expired, revoked):
        with served.as_token(token) as client:
            answer = ask(client, route, objects)
        assert answer.status_code == 401, (token, answer.text)
        assert all(mark not in answer.text for mark in MARKS)


@by(*(r for r in HTTP if r.need and r.need.overall))
def test_a_role_on_one_camera_is_not_one_over_everything(clients, objects, route):
    assert ask(clients["front-admin"], route, objects).status_code == 403


@by(*(r for r in HTTP if r.need and r.need.role and r.need.role > Role.viewer))
def test_a_lesser_role_is_not_enough(served, clients, objects, route):
    lesser = "viewer" if route.need.role == Role.operator else "operator"
    assert ask(clients[lesser], route, objects).status_code == 403
    capped = served.of("admin", lesser)
    assert ask(capped, route, objects).status_code == 403, "a token of an admin with a lesser role"


@by(*(r for r in HTTP if r.need and r.need.session))
def test_tokens_do_not_do_what_takes_a_login(clients, objects, route):
    assert ask(clients["admin"], route, objects).status_code == 403


@by(*(r for r in HTTP if "{" in r.path and r.path not in PUBLIC))
@pytest.mark.parametrize("who", ["front", "front-admin", "front-zone", "nobody-here"])
def test_an_object_of_another_camera_is_not_there(clients, objects, route, who):
    answer = ask(clients[who], route, objects)
    assert answer.status_code in (403, 404), answer.text
    assert all(mark not in answer.text for mark in MARKS)


@by(*(r for r in HTTP if r.method == "GET" and "{" in r.path and r.need and not r.need.session))
def test_the_objects_of_these_tests_are_really_there(clients, objects, route):
    """Otherwise a 404 above would say nothing; 409: no camera is watched by this server."""
    absent = {"/api/v1/people/{name:path}"}
    answer = ask(clients["admin"], route, objects)
    good = (404,) if route.path in absent else (200, 206, 409, 422)
    assert answer.status_code in good, answer.text


@by(*(r for r in HTTP if r.method == "GET" and "{" not in r.path and r.path not in PUBLIC))
@pytest.mark.parametrize("who", ["front", "front-zone", "nobody-here"])
def test_lists_do_not_tell_of_other_cameras(clients, objects, route, who):
    answer = ask(clients[who], route, objects)
    assert answer.status_code in (200, 403), answer.text
    assert all(mark not in answer.text for mark in MARKS)


@by(*(r for r in HTTP if r.method in ("POST", "PUT") and r.key in BODIES and "{" not in r.path))
def test_bodies_that_name_another_camera_do_nothing(served, clients, objects, route):
    answer = ask(clients["front-admin"], route, objects)
    named = any(mark in str(BODIES[route.key]) for mark in MARKS)
    assert answer.status_code in ((403, 404) if named else (200, 401, 403, 404, 409, 422)), answer.text
    assert all(mark not in answer.text for mark in MARKS)


SOCKETS = [r for r in ROUTES if r.method == "WS"]


def socket(served, route, objects, headers):
    url = served.url.replace("http", "ws") + filled(route.path, objects)
    with connect(url, additional_headers=headers, open_timeout=10):
        return 101


@by(*SOCKETS)
def test_web_sockets_ask_the_same(served, objects, route):
    def status(headers):
        try:
            return socket(served, route, objects, headers)
        except InvalidStatus as error:
            return error.response.status_code

    assert status({}) == 401
    assert status({"Authorization": "Bearer olk_000000000000_AAAA"}) == 401
    session = served.logged_in("admin")
    cookie = {"Cookie": f"onlooker={session.cookies['onlooker']}"}
    assert status(cookie) == 403, "a browser always says where a page is from"
    assert status({**cookie, "Origin": "https://evil.example"}) == 403
    good = (101, 409) if "{" in route.path else (101,)
    assert status({**cookie, "Origin": served.url}) in good
    if "{" in route.path:
        front = {"Authorization": f"Bearer {served.token('front')}"}
        assert status(front) == 404
