"""The audit log: every administrative change, by whom and from where, with before and after, never with a secret."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from harness.api import Api
from harness.cli import Cli
from harness.mail import token
from harness.postern import Postern
from harness.vaults import move_in


@pytest.fixture(autouse=True)
def as_before(shadow: Postern) -> Iterator[None]:
    yield
    shadow.set(default_priority=None, default_tags=None, send_rate_limit=None)


def entries(caller: Api, **query: Any) -> list[dict[str, Any]]:
    """All of them, newest first, page after page."""
    rows: list[dict[str, Any]] = []
    query.setdefault("limit", 200)
    while True:
        page = caller.call("GET", "/v1/audit", params=query)
        rows += page["data"]
        if not page["next_cursor"]:
            return rows
        query["cursor"] = page["next_cursor"]


def caused(postern: Postern, change: Callable[[], Any]) -> list[dict[str, Any]]:
    """What a change wrote, in the order in which it was written; each entry checked for what all of them say.

    Refusals are written down a moment later, and stand in between.
    """
    known = {row["id"] for row in entries(postern)}
    began = datetime.now(UTC) - timedelta(milliseconds=1)
    change()
    fresh = [row for row in reversed(entries(postern, outcome="done")) if row["id"] not in known]
    me = postern.call("GET", "/v1/me")
    for row in fresh:
        assert began <= datetime.fromisoformat(row["at"].replace("Z", "+00:00")) <= datetime.now(UTC)
        assert (row["actor"], row["actor_label"], row["door"], row["address"]) == (
            me["id"], me["label"], "http", "127.0.0.1",
        )  # fmt: skip
        assert row["request_id"]
    return fresh


def only(rows: list[dict[str, Any]]) -> dict[str, Any]:
    (single,) = rows
    return single


def test_a_change_of_settings(shadow: Postern) -> None:
    first = only(caused(shadow, lambda: shadow.set(default_priority=3, default_tags=["a"])))
    assert first["action"] == "settings.write"
    assert first["before"] == {"default_priority": None, "default_tags": None}
    assert first["after"] == {"default_priority": 3, "default_tags": ["a"]}
    second = only(caused(shadow, lambda: shadow.set(default_priority=4)))
    assert (second["before"], second["after"]) == ({"default_priority": 3}, {"default_priority": 4})
    third = only(caused(shadow, lambda: shadow.set(default_priority=None)))
    assert (third["before"], third["after"]) == ({"default_priority": 4}, {"default_priority": None})


def test_what_was_refused_is_no_change(shadow: Postern) -> None:
    def refused() -> None:
        shadow.api("PATCH", "/v1/settings", json={"default_priority": 3, "colour": "red"})
        shadow.api("PATCH", "/v1/settings", json={"burst_ceiling": 3})
        shadow.api("POST", "/v1/keys", json={"label": "x", "scopes": ["everything"]})
        shadow.api("DELETE", "/v1/ip-pools/pool_0000000000000000")
        shadow.api("DELETE", "/v1/secrets/no_such_secret")
        shadow.as_key(narrow["key"]).api("PATCH", "/v1/settings", json={"default_priority": 3})

    narrow = shadow.call("POST", "/v1/keys", expect=201, json={"label": "r", "scopes": ["read"]})
    assert caused(shadow, refused) == []
    assert caused(shadow, lambda: shadow.call("GET", "/v1/settings")) == [], "nor is reading"


def test_a_request_id_leads_from_the_answer_to_the_entry(shadow: Postern) -> None:
    own = token("request")
    body = {"default_priority": 8}
    row = only(caused(shadow, lambda: shadow.call("PATCH", "/v1/settings", json=body, headers={"X-Request-Id": own})))
    assert row["request_id"] == own


def test_the_life_of_a_key(shadow: Postern) -> None:
    made: dict[str, Any] = {}

    def make() -> None:
        body = {"label": "audited", "scopes": ["send"], "sender_domains": ["example.com"], "send_rate_limit": 5}
        made.update(shadow.call("POST", "/v1/keys", expect=201, json=body))

    row = only(caused(shadow, make))
    assert (row["action"], row["resource"], row["before"]) == ("key.write", made["id"], None)
    assert row["after"].items() >= {"label": "audited", "scopes": ["send"], "send_rate_limit": 5}.items()
    path = f"/v1/keys/{made['id']}"
    row = only(caused(shadow, lambda: shadow.call("PATCH", path, json={"label": "renamed"})))
    assert (row["before"]["label"], row["after"]["label"]) == ("audited", "renamed")
    turned: dict[str, Any] = {}
    row = only(
        caused(shadow, lambda: turned.update(shadow.call("POST", f"{path}/rotate", json={"overlap_seconds": 60})))
    )
    assert row["before"]["prefix"] != row["after"]["prefix"] == turned["prefix"]
    row = only(caused(shadow, lambda: shadow.call("DELETE", path, expect=204)))
    assert row["before"]["revoked_at"] is None and row["after"]["revoked_at"]
    assert caused(shadow, lambda: shadow.call("DELETE", path, expect=204)) == [], "ending it twice changes nothing"
    everything = json.dumps(entries(shadow))
    for secret in (made["key"], turned["key"]):
        assert secret.rsplit("_", 1)[1] not in everything


def test_a_family_of_keys_ends_with_an_entry_for_each(shadow: Postern) -> None:
    parent = shadow.call("POST", "/v1/keys", expect=201, json={"label": "parent", "scopes": ["admin"]})
    body = {"label": "child", "scopes": ["admin"]}
    child = shadow.as_key(parent["key"]).call("POST", "/v1/keys", expect=201, json=body)
    rows = caused(shadow, lambda: shadow.call("DELETE", f"/v1/keys/{parent['id']}", expect=204))
    assert [row["resource"] for row in rows] == [parent["id"], child["id"]]
    assert all(row["after"]["revoked_at"] for row in rows)


def test_the_life_of_a_login(shadow: Postern) -> None:
    made: dict[str, Any] = {}
    body = {"username": token("u"), "label": "printer"}
    row = only(caused(shadow, lambda: made.update(shadow.call("POST", "/v1/smtp-users", expect=201, json=body))))
    assert (row["action"], row["resource"], row["before"]) == ("smtp_user.write", made["id"], None)
    assert row["after"]["username"] == body["username"]
    path = f"/v1/smtp-users/{made['id']}"
    row = only(caused(shadow, lambda: shadow.call("PATCH", path, json={"allowed_ips": ["127.0.0.1"]})))
    assert (row["before"]["allowed_ips"], row["after"]["allowed_ips"]) == (None, ["127.0.0.1"])
    turned: dict[str, Any] = {}
    assert only(caused(shadow, lambda: turned.update(shadow.call("POST", f"{path}/rotate"))))["resource"] == made["id"]
    row = only(caused(shadow, lambda: shadow.call("DELETE", path, expect=204)))
    assert row["before"]["username"] == body["username"] and row["after"] is None
    everything = json.dumps(entries(shadow))
    assert made["password"] not in everything and turned["password"] not in everything


def test_the_life_of_a_pool(shadow: Postern) -> None:
    made: dict[str, Any] = {}
    body = {"domain": "audit.example", "pool": "p", "ips": ["192.0.2.1"]}
    row = only(caused(shadow, lambda: made.update(shadow.call("POST", "/v1/ip-pools", expect=201, json=body))))
    assert (row["action"], row["resource"], row["before"], row["after"]) == ("pool.write", made["id"], None, body)
    path = f"/v1/ip-pools/{made['id']}"
    row = only(caused(shadow, lambda: shadow.call("PATCH", path, json={"ips": ["192.0.2.2", "192.0.2.1"]})))
    assert (row["before"]["ips"], row["after"]["ips"]) == (["192.0.2.1"], ["192.0.2.2", "192.0.2.1"])
    row = only(caused(shadow, lambda: shadow.call("DELETE", path, expect=204)))
    assert row["before"]["ips"] == ["192.0.2.2", "192.0.2.1"] and row["after"] is None


def test_secrets_are_written_down_as_set_or_not(shadow: Postern) -> None:
    value = token("planted")
    path = "/v1/secrets/audited"
    row = only(caused(shadow, lambda: shadow.call("PUT", path, json={"value": value})))
    assert (row["action"], row["before"], row["after"]) == ("secret.write", {"set": False}, {"set": True})
    assert "audited" in row["resource"]
    row = only(caused(shadow, lambda: shadow.call("PUT", path, json={"value": value + "2"})))
    assert (row["before"], row["after"]) == ({"set": True}, {"set": True})
    assert only(caused(shadow, lambda: shadow.call("POST", "/v1/secrets/rotate")))["action"] == "secret.write"
    row = only(caused(shadow, lambda: shadow.call("DELETE", path, expect=204)))
    assert (row["before"], row["after"]) == ({"set": True}, {"set": False})
    row = only(caused(shadow, lambda: shadow.set(smarthost_password=value)))
    assert row["after"] == {"smarthost_password": {"set": True}}
    shadow.set(smarthost_password=None)
    assert value not in json.dumps(entries(shadow))


def test_what_the_program_itself_did_is_there_too(shadow: Postern) -> None:
    """The vault with its first member, its first settings, its first key and its first login."""
    oldest = list(reversed(entries(shadow)))[:5]
    made = {"vault.create", "member.write", "settings.write", "key.write", "smtp_user.write"}
    assert {row["action"] for row in oldest} == made
    assert {row["door"] for row in oldest} == {"cli"} and {row["address"] for row in oldest} == {None}


# Reading it


def test_entries_are_found(shadow: Postern, cli: Cli) -> None:
    label = token("actor")
    body = {"label": label, "scopes": ["admin", "read"]}
    made = shadow.call("POST", "/v1/keys", expect=201, json=body)
    other = shadow.as_key(made["key"])
    began = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    for priority in (1, 2, 3):
        other.call("PATCH", "/v1/settings", json={"default_priority": priority})
    pool = {"domain": f"{token()}.example", "pool": "p", "ips": ["192.0.2.1"]}
    pool_id = other.call("POST", "/v1/ip-pools", expect=201, json=pool)["id"]
    ours = [row["id"] for row in entries(shadow, actor=label)]
    assert len(ours) == 4 and ours == [row["id"] for row in entries(shadow, actor=made["id"])]
    assert ours == sorted(ours, reverse=True), "newest first"
    assert [row["id"] for row in entries(shadow, actor=label, limit=1)] == ours, "page after page"
    assert [row["after"]["default_priority"] for row in entries(shadow, actor=label, action="settings.write")] == [
        3,
        2,
        1,
    ]
    assert only(entries(shadow, resource=pool_id))["action"] == "pool.write"
    assert {row["id"] for row in entries(shadow, since=began)} >= set(ours)
    assert not {row["id"] for row in entries(shadow, until=began)} & set(ours)
    assert cli.answered("audit", "list", "--actor", label, "--all")["data"] == entries(shadow, actor=label)
    table = cli.said("audit", "list", "--actor", label)
    assert label in table and "settings.write" in table and pool_id in table


@pytest.mark.parametrize(
    "query",
    [
        {"colour": "red"}, {"action": "everything"}, {"action": "everything."}, {"action": "."}, {"outcome": "maybe"},
        {"since": "yesterday"}, {"cursor": "x"}, {"limit": 0},
    ],
)  # fmt: skip
def test_a_question_that_makes_no_sense_is_refused(shadow: Postern, query: dict) -> None:
    shadow.problem("GET", "/v1/audit", 422, "validation_failed", params=query)


def test_it_is_for_administrators_and_changes_for_nobody(shadow: Postern) -> None:
    for scopes in (["read"], ["send"], ["amqp", "mailerq"]):
        shadow.new_key(*scopes)[1].problem("GET", "/v1/audit", 403, "forbidden")
    owner = shadow.owner()
    for path in ("", "/verify", "/export"):
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            shadow.problem(method, f"/v1/audit{path}", 405, "method_not_allowed")
            owner.problem(method, f"/api/audit{path}", 405, "method_not_allowed")
    row = entries(shadow, limit=1)[0]
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        assert shadow.api(method, f"/v1/audit/{row['id']}").status_code in (404, 405)


def test_another_vault_sees_nothing_of_it(new_postern: Callable[..., Postern]) -> None:
    postern = new_postern()
    postern.start()
    neighbour = move_in(postern)
    postern.set(default_priority=2)
    neighbour.api.call("PATCH", "/v1/settings", json={"default_priority": 3})
    ours, theirs = entries(postern), entries(neighbour.api)
    assert ours and theirs and not {row["id"] for row in ours} & {row["id"] for row in theirs}
    assert theirs[0]["after"] == {"default_priority": 3} and ours[0]["after"] == {"default_priority": 2}
    assert entries(postern, actor=theirs[0]["actor"]) == []
