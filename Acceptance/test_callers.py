"""Keys, SMTP users and settings: who may do what, from when, and until when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from conftest import live, use_smarthost
from harness.api import only_id
from harness.mail import plain, token
from harness.peers import Peer
from harness.postern import Postern
from harness.smtp import SMTPSession
from harness.tls import Authority
from harness.waiting import until

SIMPLE = {"from": "ada@example.com", "to": ["bob@receiver.test"], "subject": "Hello", "text": "Hi"}


# Keys


def test_a_key_is_shown_once(shadow: Postern) -> None:
    made = shadow.call("POST", "/v1/keys", expect=201, json={"label": "once", "kind": "tool", "scopes": ["send"]})
    listed = shadow.call("GET", "/v1/keys", params={"limit": 200})["data"]
    (row,) = [row for row in listed if row["id"] == made["id"]]
    assert (row["label"], row["scopes"]) == ("once", ["send"])
    assert made["key"].rsplit("_", 1)[1] not in str(listed)
    assert made["key"].encode() not in b"".join(p.read_bytes() for p in shadow.data.rglob("*") if p.is_file())


@pytest.mark.parametrize(
    ("scopes", "allowed", "denied"),
    [
        (["send"], [("POST", "/v1/messages")], [("POST", "/v1/keys"), ("PATCH", "/v1/settings"), ("GET", "/v1/keys")]),
        (["read"], [("GET", "/v1/messages")], [("POST", "/v1/messages"), ("POST", "/v1/keys")]),
        (["mailerq"], [], [("POST", "/v1/messages"), ("GET", "/v1/messages"), ("POST", "/v1/keys")]),
    ],
    ids=lambda value: "+".join(value) if value and isinstance(value[0], str) else None,
)  # fmt: skip
def test_a_scope_opens_its_doors_only(shadow: Postern, scopes: list, allowed: list, denied: list) -> None:
    _, caller = shadow.new_key(*scopes)
    before = shadow.message_ids()
    for method, path in denied:
        caller.problem(method, path, 403, "forbidden", json=SIMPLE if path == "/v1/messages" else {})
    assert shadow.message_ids() == before
    for method, path in allowed:
        assert caller.api(method, path, json=SIMPLE).status_code in (200, 202)
    assert set(caller.call("GET", "/v1/me")["scopes"]) == set(scopes)


def test_a_read_only_key_changes_nothing(shadow: Postern) -> None:
    _, caller = shadow.new_key("send", "read", "admin", read_only=True)
    caller.call("GET", "/v1/messages")
    caller.problem("POST", "/v1/messages", 403, "forbidden", json=SIMPLE)
    caller.problem("PATCH", "/v1/settings", 403, "forbidden", json={"default_priority": 1})


def test_a_key_can_be_held_to_some_sender_domains(shadow: Postern) -> None:
    shadow.set(allowed_sender_domains=["example.com", "*.example.net"])
    _, caller = shadow.new_key("send", sender_domains=["mail.example.net"])
    caller.call("POST", "/v1/messages", expect=202, json={**SIMPLE, "from": "ada@mail.example.net"})
    for sender in ("ada@example.com", "ada@other.example.net", "ada@example.net"):
        caller.problem("POST", "/v1/messages", 403, "sender_domain_not_allowed", json={**SIMPLE, "from": sender})
    shadow.set(allowed_sender_domains=["example.com"])
    caller.problem(
        "POST", "/v1/messages", 403, "sender_domain_not_allowed", json={**SIMPLE, "from": "ada@mail.example.net"}
    )


def test_a_revoked_key_is_dead_at_once(shadow: Postern) -> None:
    id, caller = shadow.new_key("send", "read")
    caller.call("POST", "/v1/messages", expect=202, json=SIMPLE)
    shadow.call("DELETE", f"/v1/keys/{id}", expect=204)
    caller.problem("POST", "/v1/messages", 401, "unauthorized", json=SIMPLE)
    assert shadow.api("DELETE", f"/v1/keys/{id}").status_code in (204, 404)


def test_rotation_replaces_the_secret(shadow: Postern) -> None:
    id, caller = shadow.new_key("send", "read")
    key = {"Idempotency-Key": token()}
    first = caller.call("POST", "/v1/messages", expect=202, json=SIMPLE, headers=key)
    turned = shadow.call("POST", f"/v1/keys/{id}/rotate", expect=200)
    assert turned["id"] == id
    anew = shadow.as_key(turned["key"])
    caller.problem("POST", "/v1/messages", 401, "unauthorized", json=SIMPLE)
    again = anew.call("POST", "/v1/messages", expect=202, json=SIMPLE, headers=key)
    assert again == first, "it is the same caller, also to its idempotency keys"
    # Whoever knows the key by its id ends what it has become.
    shadow.call("DELETE", f"/v1/keys/{id}", expect=204)
    anew.problem("POST", "/v1/messages", 401, "unauthorized", json=SIMPLE)
    shadow.problem("POST", f"/v1/keys/{id}/rotate", 409, "conflict")


def test_an_expired_key_is_dead(shadow: Postern) -> None:
    end = datetime.now(UTC) + timedelta(seconds=1)
    _, caller = shadow.new_key("read", expires_at=end.isoformat(timespec="milliseconds").replace("+00:00", "Z"))
    caller.call("GET", "/v1/messages")
    until(lambda: caller.api("GET", "/v1/messages").status_code == 401, "the key has expired", 5)
    assert datetime.now(UTC) >= end


def test_last_use_is_remembered(shadow: Postern) -> None:
    id, caller = shadow.new_key("read")
    assert shadow.call("GET", f"/v1/keys/{id}")["last_used_at"] is None
    began = datetime.now(UTC)
    caller.call("GET", "/v1/messages")
    ended = datetime.now(UTC)
    # It is written down once a minute, so that a use costs no write, and before the end.
    shadow.restart()
    used = datetime.fromisoformat(shadow.call("GET", f"/v1/keys/{id}")["last_used_at"].replace("Z", "+00:00"))
    assert began - timedelta(milliseconds=1) <= used <= ended


@pytest.mark.parametrize(
    "change", [{"scopes": ["everything"]}, {"scopes": "send"}, {"kind": "person"}, {"label": ""}, {"colour": "red"}]
)
def test_a_key_that_makes_no_sense_is_refused(shadow: Postern, change: dict) -> None:
    body = {"label": "x", "kind": "tool", "scopes": ["send"], **change}
    problem = shadow.problem("POST", "/v1/keys", 422, "validation_failed", json=body)
    assert any(error["pointer"].startswith("/" + next(iter(change))) for error in problem["errors"])


def test_a_caller_finds_its_own_messages(shadow: Postern) -> None:
    label = token("caller")
    made = shadow.call("POST", "/v1/keys", expect=201, json={"label": label, "kind": "agent", "scopes": ["send"]})
    id = only_id(shadow.as_key(made["key"]).call("POST", "/v1/messages", expect=202, json=SIMPLE))
    assert [row["id"] for row in shadow.all_messages(caller=label)] == [id]


# SMTP users


def test_an_smtp_user_lives_from_its_making_to_its_deletion(shadow: Postern) -> None:
    name = token("user")
    made = shadow.call("POST", "/v1/smtp-users", expect=201, json={"username": name})
    assert made["username"] == name
    listed = shadow.call("GET", "/v1/smtp-users", params={"limit": 200})["data"]
    assert name in [row["username"] for row in listed] and made["password"] not in str(listed)
    login = (made["username"], made["password"])
    with SMTPSession.opened(shadow.smtp_port, "starttls", login) as session:
        shadow.wait_status(session.submit("ada@example.com", ["bob@receiver.test"], plain()).accepted_id, "captured")
        shadow.call("DELETE", f"/v1/smtp-users/{made['id']}", expect=204)
        refused = session.submit("ada@example.com", ["bob@receiver.test"], plain()).refusal
        assert refused.code in (530, 535, 550), "revoked means now, not at the next login"
    with shadow.smtp(login=False) as session:
        session.client.user, session.client.password = login
        with pytest.raises(Exception, match="535"):
            session.client.login(*login)


def test_two_smtp_users_cannot_share_a_name(shadow: Postern) -> None:
    name = token("user")
    shadow.call("POST", "/v1/smtp-users", expect=201, json={"username": name})
    shadow.problem("POST", "/v1/smtp-users", 409, "conflict", json={"username": name})


# Settings and pools


def test_a_setting_says_where_its_value_comes_from(shadow: Postern) -> None:
    before = shadow.settings()["default_priority"]
    shadow.set(default_priority=9)
    now = shadow.settings()["default_priority"]
    assert (now["value"], now["source"]) == (9, "vault")
    shadow.set(default_priority=None)
    unset = shadow.settings()["default_priority"]
    assert unset["source"] in ("instance", "unset")
    if before["source"] == "vault":
        shadow.set(default_priority=before["value"])


@pytest.mark.parametrize(
    ("key", "value"),
    [("colour", "red"), ("default_priority", "high"), ("route", "pigeon"), ("allowed_sender_domains", ["not a domain"]),
     ("smarthost_tls", "sometimes"), ("smarthost_port", 99999), ("live_send_enabled", "yes")],
)  # fmt: skip
def test_a_setting_that_makes_no_sense_is_refused_and_nothing_changes(shadow: Postern, key: str, value: object) -> None:
    before = shadow.settings()
    problem = shadow.problem(
        "PATCH", "/v1/settings", 422, "validation_failed", json={"default_priority": 3, key: value}
    )
    assert any(error["pointer"].startswith(f"/{key}") for error in problem["errors"])
    assert shadow.settings() == before


def test_settings_hold_from_the_next_message_on(shadow: Postern) -> None:
    shadow.set(allowed_sender_domains=["example.com", "bücher.example"])
    shadow.send(sender="ada@xn--bcher-kva.example")
    shadow.send(sender="ada@BÜCHER.example")
    shadow.set(allowed_sender_domains=["example.com"])
    shadow.problem(
        "POST", "/v1/messages", 403, "sender_domain_not_allowed", json={**SIMPLE, "from": "ada@xn--bcher-kva.example"}
    )


def test_live_send_needs_the_instance_as_well_as_the_vault(shadow: Postern, peer: Peer) -> None:
    """The instance's switch is off by default: the vault alone cannot send anything to the outside."""
    use_smarthost(shadow, peer.port)
    try:
        recipient = f"{token()}@receiver.test"
        id = only_id(shadow.send(to=[recipient]))
        assert shadow.wait_status(id, {"captured", "delivered"})["status"] == "captured"
        assert not peer.attempts(recipient)
    finally:
        shadow.set(route=None, live_send_enabled=None, smarthost_host=None, smarthost_port=None, smarthost_tls=None)


def test_turning_live_send_off_captures_what_has_not_left(new_postern, authority: Authority, peer: Peer) -> None:
    postern = new_postern(**live(authority))
    postern.start()
    use_smarthost(postern, peer.port)
    recipient = f"{token()}@receiver.test"
    postern.wait_status(only_id(postern.send(to=[recipient])), "delivered")
    postern.set(live_send_enabled=False)
    id = only_id(postern.send(to=[recipient]))
    assert postern.wait_status(id, {"captured", "delivered"})["status"] == "captured"
    assert len(peer.attempts(recipient)) == 1


def test_a_setting_without_any_value_is_named_with_both_places(shadow: Postern) -> None:
    held = shadow.settings()["default_priority"]
    shadow.set(default_priority=None)
    try:
        if shadow.settings()["default_priority"]["source"] != "unset":
            assert only_id(shadow.send())
            return
        problem = shadow.problem("POST", "/v1/messages", 422, "setting_unset", json=SIMPLE)
        assert "default_priority" in str(problem) and "POSTERN_DEFAULT_DEFAULT_PRIORITY" in str(problem)
    finally:
        if held["source"] == "vault":
            shadow.set(default_priority=held["value"])


def test_ip_pools_are_made_listed_changed_and_deleted(shadow: Postern) -> None:
    made = shadow.call(
        "POST",
        "/v1/ip-pools",
        expect=201,
        json={"domain": "pool.example", "pool": "a", "ips": ["192.0.2.9", "2001:db8::9"]},
    )
    path = f"/v1/ip-pools/{made['id']}"
    listed = shadow.call("GET", "/v1/ip-pools")["data"]
    (row,) = [row for row in listed if row["id"] == made["id"]]
    assert (row["domain"], row["pool"], row["ips"]) == ("pool.example", "a", ["192.0.2.9", "2001:db8::9"])
    shadow.call("DELETE", path, expect=204)
    assert made["id"] not in [row["id"] for row in shadow.call("GET", "/v1/ip-pools")["data"]]
    shadow.problem("DELETE", path, 404, "not_found")
    wrong = {"domain": "pool.example", "pool": "a", "ips": ["192.0.2.999"]}
    shadow.problem("POST", "/v1/ip-pools", 422, "validation_failed", json=wrong)
