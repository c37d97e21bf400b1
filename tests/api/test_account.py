"""Logging in, sessions, CSRF, tokens, limits on guessing, and the audit log."""

from __future__ import annotations

import subprocess
import sys
import time

import httpx
import pytest

from api.conftest import FRONT
from api.served import PASSWORD, serving
from onlooker.api.accounts import digest

ACCEPTED = {"user": "admin", "password": PASSWORD}


@pytest.fixture
def fresh(folder):
    with serving(folder) as running:
        yield running


def test_the_first_start_makes_one_admin_whose_link_works_once(fresh):
    name, secret = fresh.context.accounts.first()
    assert name == "admin"
    client = fresh.as_token()
    short = client.post("/api/v1/link", json={"secret": secret, "password": "short"})
    assert short.status_code == 400, "a bad password must not use the link up"
    made = client.post("/api/v1/link", json={"secret": secret, "password": PASSWORD})
    assert (made.status_code, made.json()["roles"][0]["role"]) == (200, "admin")
    assert client.get("/api/v1/users").status_code == 200
    again = fresh.as_token().post("/api/v1/link", json={"secret": secret, "password": "another password"})
    assert again.status_code == 401
    assert fresh.context.accounts.first() is None
    assert fresh.as_token().post("/api/v1/login", json=ACCEPTED).status_code == 200


def test_a_link_grows_old_and_a_newer_one_makes_it_void(fresh):
    old = fresh.context.accounts.first()[1]
    new = fresh.context.accounts.first()[1]
    assert fresh.context.accounts.use_link(old, PASSWORD) is None
    fresh.context.database.write("UPDATE link SET expires = ?", (time.time() - 1,))
    assert fresh.context.accounts.use_link(new, PASSWORD) is None


def test_the_cookie_cannot_be_read_by_scripts_nor_sent_by_other_sites(served):
    answer = served.as_token().post("/api/v1/login", json=ACCEPTED)
    cookie = answer.headers["set-cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=strict", "Path=/"))
    secret = cookie.partition("=")[2].partition(";")[0]
    assert secret not in str(served.context.database.fetch("SELECT * FROM session")), "only its hash is kept"
    assert served.context.database.fetch("SELECT 1 FROM session WHERE hash = ?", (digest(secret),))


def test_a_planted_session_is_not_taken_over(served):
    planted = served.as_token(cookies={"onlooker": "planted-by-somebody"})
    given = planted.post("/api/v1/login", json=ACCEPTED)
    assert given.status_code == 200
    assert "planted" not in given.headers["set-cookie"]
    assert served.as_token(cookies={"onlooker": "planted-by-somebody"}).get("/api/v1/me").status_code == 401
    first = served.logged_in("admin")
    before = first.cookies["onlooker"]
    first.post("/api/v1/login", json=ACCEPTED)
    thief = served.as_token(cookies={"onlooker": before})
    assert thief.get("/api/v1/me").status_code == 401, "logging in again ends the session that was brought"


def test_what_changes_something_needs_the_token_of_the_page(served):
    client = served.logged_in("admin")
    csrf = client.headers.pop("X-CSRF-Token")
    body = {"name": "mine"}
    assert client.post("/api/v1/tokens", json=body).status_code == 403
    assert client.post("/api/v1/tokens", json=body, headers={"X-CSRF-Token": "0" * 64}).status_code == 403
    other = served.logged_in("admin").headers["X-CSRF-Token"]
    assert client.post("/api/v1/tokens", json=body, headers={"X-CSRF-Token": other}).status_code == 403
    foreign = {"X-CSRF-Token": csrf, "Origin": "https://evil.example"}
    assert client.post("/api/v1/tokens", json=body, headers=foreign).status_code == 403
    own = {"X-CSRF-Token": csrf, "Origin": served.url}
    assert client.post("/api/v1/tokens", json=body, headers=own).status_code == 201
    # a form of another site can send no JSON and no header of its own
    form = client.post("/api/v1/mutes", data={"rule": "door"})
    assert form.status_code == 403


def test_logging_out_ends_the_session_and_everywhere_ends_all(served):
    one, two = served.logged_in("admin"), served.logged_in("admin")
    kept = one.cookies["onlooker"]
    assert one.post("/api/v1/logout").status_code == 200
    assert served.as_token(cookies={"onlooker": kept}).get("/api/v1/me").status_code == 401
    assert two.delete("/api/v1/sessions").status_code == 200
    assert two.get("/api/v1/me").status_code == 401


def test_sessions_end_when_unused_and_in_any_case(served):
    client = served.logged_in("admin")
    hashed = digest(client.cookies["onlooker"])
    for column, hours in (("used", 13), ("created", 24 * 8)):
        before = served.context.database.fetch(f"SELECT {column} FROM session WHERE hash = ?", (hashed,))[0][0]
        change = f"UPDATE session SET {column} = ? WHERE hash = ?"
        served.context.database.write(change, (time.time() - hours * 3600, hashed))
        assert client.get("/api/v1/me").status_code == 401
        served.context.database.write(change, (before, hashed))
        assert client.get("/api/v1/me").status_code == 200


def test_a_new_password_ends_all_other_sessions(fresh):
    fresh.user("admin", ("*", "admin"))
    one, two = fresh.logged_in("admin"), fresh.logged_in("admin")
    wrong = one.post("/api/v1/password", json={"old": "wrong", "new": "a quite new one"})
    assert wrong.status_code == 401
    changed = one.post("/api/v1/password", json={"old": PASSWORD, "new": "a quite new one"})
    assert changed.status_code == 200
    assert one.get("/api/v1/me").status_code == 200
    assert two.get("/api/v1/me").status_code == 401
    assert fresh.as_token().post("/api/v1/login", json=ACCEPTED).status_code == 401


def test_a_token_is_shown_once_kept_as_hash_and_can_be_revoked(served):
    client = served.logged_in("admin")
    made = client.post("/api/v1/tokens", json={"name": "prometheus", "days": 1}).json()
    assert made["token"].startswith(f"olk_{made['id']}_")
    secret = made["token"].rsplit("_", 1)[1]
    assert made["token"] not in client.get("/api/v1/tokens").text
    assert secret not in str(served.context.database.fetch("SELECT * FROM token"))
    bearer = served.as_token(made["token"])
    assert bearer.get("/api/v1/sources").status_code == 200
    assert bearer.get("/api/v1/users").status_code == 403, "the token is a viewer's though its user is admin"
    assert bearer.post("/api/v1/tokens", json={"name": "more"}).status_code == 403, "tokens make no tokens"
    assert client.delete(f"/api/v1/tokens/{made['id']}").status_code == 200
    assert bearer.get("/api/v1/sources").status_code == 401
    assert client.delete(f"/api/v1/tokens/{made['id']}").status_code == 404


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t[:-1] + ("a" if t[-1] != "a" else "b"),
        lambda t: t.replace("olk_", "olk_0"),
        lambda t: t.rsplit("_", 1)[0] + "_",
        lambda t: "olk__",
        lambda t: t + "é",
        lambda t: "x" * 5000,
    ],
)
def test_a_token_that_was_changed_is_none(served, change):
    token = served.token("admin")
    header = (b"Authorization", f"Bearer {change(token)}".encode("latin-1"))
    answer = httpx.get(f"{served.url}/api/v1/me", headers=[header])
    assert answer.status_code in (400, 401)


def test_a_bad_token_is_not_made_good_by_a_cookie(served):
    client = served.logged_in("admin")
    assert client.get("/api/v1/me", headers={"Authorization": "Bearer olk_0_0"}).status_code == 401


def test_a_token_is_void_when_it_expires_and_when_its_user_may_no_more(served):
    served.user("gone", ("*", "viewer"), password=None)
    token = served.token("gone", seconds=60)
    client = served.as_token(token)
    assert client.get("/api/v1/sources").status_code == 200
    served.context.database.write("UPDATE token SET expires = ? WHERE id = ?", (time.time() - 1, token.split("_")[1]))
    assert client.get("/api/v1/sources").status_code == 401
    narrow = served.of("gone", cameras=("front",))
    assert [s["id"] for s in narrow.get("/api/v1/sources").json()["sources"]] == [FRONT]
    assert narrow.get("/metrics").status_code == 403
    served.context.accounts.remove("gone")
    assert narrow.get("/api/v1/sources").status_code == 401


def test_guessing_is_slowed_down_for_the_one_who_guesses(fresh):
    fresh.user("admin", ("*", "admin"))
    client = fresh.as_token()
    wrong = {"user": "admin", "password": "wrong password"}
    statuses = [client.post("/api/v1/login", json=wrong).status_code for _ in range(7)]
    assert statuses == [401] * 5 + [429] * 2
    refused = client.post("/api/v1/login", json=ACCEPTED)
    assert (refused.status_code, int(refused.headers["Retry-After"]) > 0) == (429, True), "even with the right one"
    assert fresh.context.attempts.enter("admin", "192.0.2.7") == 0, "others can still log in"
    fresh.context.database.write("UPDATE attempt SET at = at - 901")
    assert client.post("/api/v1/login", json=ACCEPTED).status_code == 200


def test_who_does_not_exist_is_answered_like_who_does(fresh):
    fresh.user("admin", ("*", "admin"))
    client = fresh.as_token()
    known = client.post("/api/v1/login", json={"user": "admin", "password": "wrong password"})
    unknown = client.post("/api/v1/login", json={"user": "nobody", "password": "wrong password"})
    assert (known.status_code, known.json()) == (unknown.status_code, unknown.json())


def test_admins_manage_users_and_there_is_always_one(served):
    admin = served.logged_in("admin")
    roles = [{"camera": "front", "role": "operator"}]
    made = admin.post("/api/v1/users", json={"name": "eve", "roles": roles})
    assert made.status_code == 201
    secret = made.json()["link"].removeprefix("/#link=")
    eve = served.as_token()
    assert eve.post("/api/v1/link", json={"secret": secret, "password": PASSWORD}).status_code == 200
    assert [s["path"] for s in eve.get("/api/v1/sources").json()["sources"]] == ["front"]
    more = {"roles": [{"camera": "yard", "role": "viewer"}]}
    assert admin.put("/api/v1/users/eve/roles", json=more).status_code == 200
    assert [s["path"] for s in eve.get("/api/v1/sources").json()["sources"]] == ["yard"], "it holds at once"
    assert admin.put("/api/v1/users/admin/roles", json=more).status_code == 400
    assert admin.delete("/api/v1/users/admin").status_code == 400
    assert admin.delete("/api/v1/users/eve/credentials").status_code == 200
    assert eve.get("/api/v1/me").status_code == 401
    assert admin.delete("/api/v1/users/eve").status_code == 200
    assert admin.delete("/api/v1/users/eve").status_code == 404


def test_the_audit_log_says_who_did_what_without_secrets(served):
    admin = served.logged_in("admin")
    token = admin.post("/api/v1/tokens", json={"name": "audited"}).json()
    admin.delete(f"/api/v1/tokens/{token['id']}")
    served.as_token().post("/api/v1/login", json={"user": "mallory", "password": "guessed guessed"})
    served.of("front").get("/api/v1/users")
    entries = admin.get("/api/v1/audit", params={"limit": 20}).json()["entries"]
    told = {(e["actor"], e["action"], e["status"]) for e in entries}
    assert ("admin", "DELETE /api/v1/tokens/{id}", 200) in told
    assert ("mallory", "POST /api/v1/login", 401) in told
    assert ("front", "GET /api/v1/users", 403) in told
    assert any(e["object"] == f"id={token['id']}" for e in entries)
    everything = str(served.context.database.fetch("SELECT * FROM audit"))
    for secret in (PASSWORD, token["token"], "guessed guessed", admin.cookies["onlooker"]):
        assert secret not in everything
    older = admin.get("/api/v1/audit", params={"before": entries[-1]["number"]}).json()["entries"]
    assert all(e["number"] < entries[-1]["number"] for e in older)


def test_strangers_cannot_fill_the_audit_log(fresh):
    """What they send without end would push out what users did."""
    stranger = fresh.as_token()
    for _ in range(60):
        stranger.post("/api/v1/login", json={"user": "admin", "password": "guessed"})
        stranger.post("/api/v1/mutes", json={"rule": "door"})
        stranger.delete("/api/v1/users/admin")
    entries = fresh.context.audit.entries(limit=1000)
    assert [(e["actor"], e["status"]) for e in entries] == [("admin", 401)] * 5


def test_passwords_are_hashed_with_much_work_on_purpose():
    """At least what OWASP asks of Argon2id: 19 MiB and two passes."""
    from argon2 import PasswordHasher, Type

    hasher = PasswordHasher()
    assert (hasher.type, hasher.memory_cost >= 19_456, hasher.time_cost >= 2) == (Type.ID, True, True)
    code = "from onlooker.api.accounts import _hasher; print(_hasher().memory_cost, _hasher().time_cost)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert (int(told[0]) >= 19_456, int(told[1]) >= 2) == (True, True)
