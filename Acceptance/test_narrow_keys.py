"""Keys that may do less: by what, from where, for how long and how often. Their children may do less again, never more,
and end with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from harness.api import Api, describe, only_id
from harness.mail import plain, token
from harness.postern import Postern
from harness.smtp import SMTPSession
from harness.waiting import until

SIMPLE = {"from": "ada@example.com", "to": ["bob@receiver.test"], "subject": "Hello", "text": "Hi"}


@pytest.fixture(autouse=True)
def domains(shadow: Postern) -> Iterator[None]:
    yield
    shadow.set(allowed_sender_domains=["example.com"])


def issue(by: Api, *scopes: str, label: str = "test", **narrowing: Any) -> dict[str, Any]:
    return by.call("POST", "/v1/keys", expect=201, json={"label": label, "scopes": list(scopes), **narrowing})


def as_key(postern: Postern, made: dict[str, Any]) -> Api:
    return Api.with_key(postern.url, made["key"])


def hence(**delta: float) -> str:
    return (datetime.now(UTC) + timedelta(**delta)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def is_dead(caller: Api) -> bool:
    return caller.api("GET", "/v1/me").status_code == 401


# What a key says of itself


def test_a_key_shows_all_of_its_bounds(shadow: Postern) -> None:
    bounds = {
        "label_prefix": "te",
        "read_only": True,
        "sender_domains": ["example.com"],
        "allowed_ips": ["127.0.0.0/8"],
        "send_rate_limit": 100,
        "burst_ceiling": 10,
        "ip_pool": "main",
        "expires_at": hence(days=1),
    }
    made = issue(shadow, "send", "read", **bounds)
    shown = shadow.call("GET", f"/v1/keys/{made['id']}")
    for row in (made, shown):
        assert row.items() >= bounds.items()
        assert (row["kind"], row["temporary"], row["revoked_at"], row["agent"]) == ("tool", False, None, None)
    assert shown["parent"] == shadow.call("GET", "/v1/me")["id"]
    assert "key" not in shown
    me = as_key(shadow, made).call("GET", "/v1/me")
    assert (me["label_prefix"], me["read_only"], me["sender_domains"]) == ("te", True, ["example.com"])


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"allowed_ips": []}, "/allowed_ips"),
        ({"allowed_ips": ["192.0.2.1/24"]}, "/allowed_ips/0"),
        ({"allowed_ips": ["192.0.2.0/33"]}, "/allowed_ips/0"),
        ({"allowed_ips": ["127.1"]}, "/allowed_ips/0"),
        ({"allowed_ips": "127.0.0.1"}, "/allowed_ips"),
        ({"sender_domains": []}, "/sender_domains"),
        ({"sender_domains": ["*.*.example.com"]}, "/sender_domains/0"),
        ({"label_prefix": ""}, "/label_prefix"),
        ({"label_prefix": "x" * 65}, "/label_prefix"),
        ({"label_prefix": "other"}, "/label"),
        ({"send_rate_limit": 0}, "/send_rate_limit"),
        ({"burst_ceiling": 5}, "/burst_ceiling"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "/expires_at"),
        ({"expires_in": 299}, "/expires_in"),
        ({"expires_in": 604_801}, "/expires_in"),
        ({"expires_in": 600, "expires_at": "2099-01-01T00:00:00Z"}, "/expires_in"),
        ({"temporary": True}, "/temporary"),
        ({"label": "a\u202egpj.exe"}, "/label"),
        ({"label": "a\nb"}, "/label"),
        ({"scopes": []}, "/scopes"),
        ({"parent": "key_0000000000000000"}, "/parent"),
        ({"agent": "x"}, "/agent"),
    ],
)
def test_a_bound_that_makes_no_sense_is_refused(shadow: Postern, change: dict, pointer: str) -> None:
    body = {"label": "test", "scopes": ["send"], **change}
    problem = shadow.problem("POST", "/v1/keys", 422, "validation_failed", json=body)
    assert pointer in [error["pointer"] for error in problem["errors"]], problem


def test_only_the_label_of_a_key_changes(shadow: Postern) -> None:
    made = issue(shadow, "send", send_rate_limit=5)
    path = f"/v1/keys/{made['id']}"
    changed = shadow.call("PATCH", path, json={"label": "renamed"})
    assert changed == {**{k: v for k, v in made.items() if k != "key"}, "label": "renamed"}
    assert as_key(shadow, made).call("GET", "/v1/me")["label"] == "renamed"
    for body in ({"scopes": ["admin"]}, {"label": "x", "read_only": False}, {"expires_at": None}, {}):
        shadow.problem("PATCH", path, 422, "validation_failed", json=body)


# From where


def test_a_key_is_good_from_its_own_networks_only(shadow: Postern) -> None:
    here = as_key(shadow, issue(shadow, "send", "read", allowed_ips=["192.0.2.0/24", "127.0.0.0/8", "2001:db8::/32"]))
    here.call("GET", "/v1/me")
    here.call("POST", "/v1/messages", expect=202, json=SIMPLE)
    elsewhere = as_key(shadow, issue(shadow, "send", "read", allowed_ips=["192.0.2.0/24", "::1"]))
    told = elsewhere.problem("GET", "/v1/me", 401, "unauthorized")
    nonsense = Api.with_key(shadow.url, "ak_00000000_" + "x" * 43).problem("GET", "/v1/me", 401, "unauthorized")
    assert told["detail"] == nonsense["detail"], "who holds a key in the wrong place learns nothing from it"
    # The header that a proxy would set is no address.
    forged = elsewhere.api("GET", "/v1/me", headers={"X-Forwarded-For": "192.0.2.7", "Forwarded": "for=192.0.2.7"})
    assert forged.status_code == 401
    assert "allowed_ips" in shadow.log_tail(), "the operator finds the reason in the log"


def test_a_login_is_good_from_its_own_networks_only(shadow: Postern) -> None:
    made = shadow.call(
        "POST", "/v1/smtp-users", expect=201, json={"username": token("u"), "allowed_ips": ["127.0.0.1"]}
    )
    login = (made["username"], made["password"])
    basic = Api.with_password(shadow.url, *login)
    with SMTPSession.opened(shadow.smtp_port, "starttls", login) as session:
        assert session.submit("ada@example.com", ["bob@receiver.test"], plain()).accepted_id
        basic.call("POST", "/v1/messages", expect=202, json=SIMPLE)
        path = f"/v1/smtp-users/{made['id']}"
        changed = shadow.call("PATCH", path, json={"allowed_ips": ["192.0.2.0/24"]})
        assert changed["allowed_ips"] == ["192.0.2.0/24"]
        # A session that is open may not go on.
        refused = session.submit("ada@example.com", ["bob@receiver.test"], plain()).refusal
        assert refused.code in (530, 535, 550)
    basic.problem("POST", "/v1/messages", 401, "unauthorized", json=SIMPLE)
    with pytest.raises(Exception, match="535"), SMTPSession.opened(shadow.smtp_port, "starttls", login):
        pass
    shadow.call("PATCH", path, json={"allowed_ips": None})
    basic.call("POST", "/v1/messages", expect=202, json=SIMPLE)


def test_a_login_is_held_to_its_sender_domains(shadow: Postern) -> None:
    shadow.set(allowed_sender_domains=["example.com", "example.net"])
    body = {"username": token("u"), "sender_domains": ["example.net"]}
    made = shadow.call("POST", "/v1/smtp-users", expect=201, json=body)
    login = (made["username"], made["password"])
    with SMTPSession.opened(shadow.smtp_port, "starttls", login) as session:
        assert session.submit("ada@example.net", ["bob@receiver.test"], plain(sender="ada@example.net")).accepted_id
        refused = session.submit("ada@example.com", ["bob@receiver.test"], plain()).refusal
        assert (refused.code, refused.enhanced) == (550, "5.7.1")
        refused = session.submit("ada@example.net", ["bob@receiver.test"], plain(sender="ada@example.com")).refusal
        assert (refused.code, refused.enhanced) == (550, "5.7.1")
    basic = Api.with_password(shadow.url, *login)
    basic.problem("POST", "/v1/messages", 403, "sender_domain_not_allowed", json=SIMPLE)


def test_a_logins_password_is_replaced(shadow: Postern) -> None:
    made = shadow.call("POST", "/v1/smtp-users", expect=201, json={"username": token("u")})
    old = (made["username"], made["password"])
    with SMTPSession.opened(shadow.smtp_port, "starttls", old) as session:
        turned = shadow.call("POST", f"/v1/smtp-users/{made['id']}/rotate")
        assert turned["id"] == made["id"] and turned["password"] != made["password"]
        refused = session.submit("ada@example.com", ["bob@receiver.test"], plain()).refusal
        assert refused.code in (530, 535, 550), "a session by the old password has ended"
    with pytest.raises(Exception, match="535"), SMTPSession.opened(shadow.smtp_port, "starttls", old):
        pass
    new = Api.with_password(shadow.url, made["username"], turned["password"])
    new.call("POST", "/v1/messages", expect=202, json=SIMPLE)


# For how long


def test_a_temporary_key_ends_by_itself_and_makes_nothing(shadow: Postern) -> None:
    began = datetime.now(UTC)
    made = issue(shadow, "send", "read", "admin", expires_in=300)
    end = datetime.fromisoformat(made["expires_at"].replace("Z", "+00:00"))
    assert made["temporary"] is True
    assert timedelta(seconds=299) < end - began < timedelta(seconds=310)
    caller = as_key(shadow, made)
    caller.call("POST", "/v1/messages", expect=202, json=SIMPLE)
    caller.problem("POST", "/v1/keys", 403, "forbidden", json={"label": "test", "scopes": ["read"], "expires_in": 300})
    caller.problem("POST", "/v1/smtp-users", 403, "forbidden", json={"username": token("u")})
    other = issue(shadow, "read")
    caller.problem("POST", f"/v1/keys/{other['id']}/rotate", 403, "forbidden")
    for by in (shadow, caller):
        by.problem("POST", f"/v1/keys/{made['id']}/rotate", {403, 409}, {"forbidden", "conflict"})
    assert issue(shadow, "read", expires_in=604_800)["temporary"] is True


def test_a_rotated_keys_old_text_goes_on_for_as_long_as_was_said(shadow: Postern) -> None:
    made = issue(shadow, "send", "read")
    path = f"/v1/keys/{made['id']}/rotate"
    old = as_key(shadow, made)
    turned = shadow.call("POST", path, json={"overlap_seconds": 2})
    new = as_key(shadow, turned)
    left = datetime.fromisoformat(turned["retiring_until"].replace("Z", "+00:00")) - datetime.now(UTC)
    assert timedelta(0) < left <= timedelta(seconds=2)
    assert old.call("GET", "/v1/me") == new.call("GET", "/v1/me"), "both are the same caller"
    until(lambda: is_dead(old), "the old text has ended", 6)
    assert datetime.now(UTC) >= datetime.fromisoformat(turned["retiring_until"].replace("Z", "+00:00"))
    new.call("GET", "/v1/me")
    assert shadow.call("GET", f"/v1/keys/{made['id']}")["retiring_until"] is None


def test_of_old_texts_only_the_last_goes_on(shadow: Postern) -> None:
    made = issue(shadow, "read")
    path = f"/v1/keys/{made['id']}/rotate"
    texts = [as_key(shadow, made)]
    texts += [as_key(shadow, shadow.call("POST", path, json={"overlap_seconds": 600})) for _ in range(2)]
    assert [is_dead(text) for text in texts] == [True, False, False]
    last = as_key(shadow, shadow.call("POST", path))
    assert [is_dead(text) for text in [*texts, last]] == [True, True, True, False]
    shadow.call("POST", path, json={"overlap_seconds": 600})
    shadow.call("DELETE", f"/v1/keys/{made['id']}", expect=204)
    assert is_dead(last), "revoking ends the old text as well"
    for wrong in (-1, 604_801, "600", 1.5):
        shadow.problem("POST", path, 422, "validation_failed", json={"overlap_seconds": wrong})


# What it sees


def test_a_key_with_a_label_prefix_sees_its_own_only(shadow: Postern) -> None:
    prefix = token("team")
    lead = as_key(shadow, issue(shadow, "send", "read", "admin", label=f"{prefix}-lead", label_prefix=prefix))
    mine = issue(lead, "send", "read", "admin", label=f"{prefix}-tool")
    assert mine["label_prefix"] == prefix, "a child has the bound of its parent"
    theirs = issue(shadow, "send", "read", label=token("other"))
    user = shadow.call("POST", "/v1/smtp-users", expect=201, json={"username": token("u")})
    own_user = lead.call("POST", "/v1/smtp-users", expect=201, json={"username": token("u"), "label": f"{prefix}-mail"})

    assert {row["id"] for row in lead.call("GET", "/v1/keys", params={"limit": 200})["data"]} >= {mine["id"]}
    assert all(row["label"].startswith(prefix) for row in lead.call("GET", "/v1/keys", params={"limit": 200})["data"])
    assert [row["id"] for row in lead.call("GET", "/v1/smtp-users", params={"limit": 200})["data"]] == [own_user["id"]]
    for method, path, body in (
        ("GET", f"/v1/keys/{theirs['id']}", None),
        ("DELETE", f"/v1/keys/{theirs['id']}", None),
        ("PATCH", f"/v1/keys/{theirs['id']}", {"label": f"{prefix}-x"}),
        ("POST", f"/v1/keys/{theirs['id']}/rotate", None),
        ("GET", f"/v1/smtp-users/{user['id']}", None),
        ("DELETE", f"/v1/smtp-users/{user['id']}", None),
        ("PATCH", f"/v1/smtp-users/{user['id']}", {"label": f"{prefix}-x"}),
        ("POST", f"/v1/smtp-users/{user['id']}/rotate", None),
    ):
        lead.problem(method, path, 404, "not_found", json=body)
    as_key(shadow, theirs).call("GET", "/v1/me")
    # It names nothing that it could not see afterwards.
    lead.problem("POST", "/v1/keys", 403, "forbidden", json={"label": "elsewhere", "scopes": ["read"]})
    lead.problem("POST", "/v1/smtp-users", 403, "forbidden", json={"username": token("u"), "label": "elsewhere"})
    lead.problem(
        "PATCH", f"/v1/keys/{mine['id']}", {403, 422}, {"forbidden", "validation_failed"}, json={"label": "elsewhere"}
    )


def test_a_key_with_a_label_prefix_sees_its_own_messages_only(shadow: Postern) -> None:
    prefix = token("team")
    lead = as_key(shadow, issue(shadow, "send", "read", label=f"{prefix}-lead", label_prefix=prefix))
    mine = only_id(lead.call("POST", "/v1/messages", expect=202, json={**SIMPLE, "send_at": hence(days=1)}))
    theirs = only_id(shadow.send(send_at=hence(days=1)))
    assert [row["id"] for row in lead.call("GET", "/v1/messages", params={"limit": 200})["data"]] == [mine]
    assert lead.call("GET", "/v1/messages", params={"q": theirs})["data"] == []
    for tail in ("", "/events", "/raw", "/mailerq"):
        assert lead.api("GET", f"/v1/messages/{mine}{tail}").status_code == 200, tail
        lead.problem("GET", f"/v1/messages/{theirs}{tail}", 404, "not_found")
    for verb in ("cancel", "retry"):
        lead.problem("POST", f"/v1/messages/{theirs}/{verb}", 404, "not_found")
    assert lead.api("GET", f"/resend/emails/{theirs}").status_code == 404
    assert lead.api("POST", f"/resend/emails/{theirs}/cancel").status_code == 404
    assert shadow.message(theirs)["status"] == "scheduled"
    assert lead.call("POST", f"/v1/messages/{mine}/cancel")["status"] == "cancelled"


def test_a_key_with_a_label_prefix_has_no_say_about_the_whole_vault(shadow: Postern) -> None:
    lead = as_key(shadow, issue(shadow, "send", "read", "admin", "amqp", label="team-lead", label_prefix="team-"))
    before = shadow.settings()
    pool = {"domain": "example.org", "pool": "p", "ips": ["192.0.2.1"]}
    for method, path, body in (
        ("PATCH", "/v1/settings", {"default_priority": 1}), ("POST", "/v1/ip-pools", pool), ("GET", "/v1/audit", None),
        ("GET", "/v1/secrets", None), ("PUT", "/v1/secrets/own", {"value": "x"}), ("POST", "/v1/secrets/rotate", None),
        ("POST", "/v1/queues/failure/drain", {}), ("POST", "/v1/queues/failure/requeue", {}),
        ("GET", "/v1/queues/failure", None),
    ):  # fmt: skip
        problem = lead.problem(method, path, 403, "forbidden", json=body)
        assert "label_prefix" in problem["fix"], f"{method} {path}: {problem}"
    assert shadow.settings() == before


# Children


def bounded(shadow: Postern, **bounds: Any) -> Api:
    made = issue(shadow, "send", "read", "admin", label="team-parent", **bounds)
    return as_key(shadow, made)


# A parent's bound, and what a child may not ask for, nor may have by leaving it out where that would be more.
WIDENING = {
    "scopes": ({}, {"scopes": ["send", "mailerq"]}),
    "read_only": ({"read_only": True}, {"read_only": False}),
    "sender_domains": ({"sender_domains": ["mail.example.com"]}, {"sender_domains": ["example.com"]}),
    "sender_domains, a wildcard": ({"sender_domains": ["mail.example.com"]}, {"sender_domains": ["*.example.com"]}),
    "sender_domains, the domain itself": ({"sender_domains": ["*.example.com"]}, {"sender_domains": ["example.com"]}),
    "sender_domains, one too many": ({"sender_domains": ["a.test"]}, {"sender_domains": ["a.test", "b.test"]}),
    "allowed_ips": ({"allowed_ips": ["127.0.0.0/8"]}, {"allowed_ips": ["127.0.0.1", "10.0.0.0/8"]}),
    "allowed_ips, everywhere": ({"allowed_ips": ["127.0.0.0/8"]}, {"allowed_ips": ["0.0.0.0/0"]}),
    "allowed_ips, the other family": ({"allowed_ips": ["127.0.0.0/8"]}, {"allowed_ips": ["::/0"]}),
    "label_prefix": ({"label_prefix": "team-"}, {"label_prefix": "tea"}),
    "expires_at": ({"expires_at": "2099-01-01T00:00:00Z"}, {"expires_at": "2099-01-01T00:00:01Z"}),
    "ip_pool": ({"ip_pool": "slow"}, {"ip_pool": "fast"}),
    "kind": ({"kind": "agent"}, {"kind": "tool"}),
}  # fmt: skip


@pytest.mark.parametrize("case", WIDENING)
def test_a_child_is_no_wider_than_its_parent(shadow: Postern, case: str) -> None:
    bounds, wider = WIDENING[case]
    field = case.partition(",")[0]
    parent = bounded(shadow, **bounds)
    body = {"label": "team-child", "scopes": ["read"], **wider}
    if field == "read_only":
        # It changes nothing, and so makes no key either.
        parent.problem("POST", "/v1/keys", 403, "forbidden", json=body)
        return
    before = {row["id"] for row in shadow.call("GET", "/v1/keys", params={"limit": 200})["data"]}
    problem = parent.problem("POST", "/v1/keys", 403, "forbidden", json=body)
    assert f"/{field}" in [error["pointer"] for error in problem["errors"]], problem
    assert {row["id"] for row in shadow.call("GET", "/v1/keys", params={"limit": 200})["data"]} == before
    # What is left out is what the parent has.
    child = parent.call("POST", "/v1/keys", expect=201, json={"label": "team-child", "scopes": ["read"]})
    for key, value in bounds.items():
        assert child[key] == value or key == "expires_at" and child[key].startswith("2099-01-01T00:00:00"), child


NARROWER = {
    "scopes": ({}, {"scopes": ["read"]}),
    "sender_domains": ({"sender_domains": ["*.example.com"]}, {"sender_domains": ["a.example.com", "*.b.example.com"]}),
    "allowed_ips": ({"allowed_ips": ["127.0.0.0/8"]}, {"allowed_ips": ["127.0.0.1", "127.1.0.0/16"]}),
    "label_prefix": ({"label_prefix": "team-"}, {"label_prefix": "team-chi"}),
    "expires_at": ({"expires_at": "2099-01-01T00:00:00Z"}, {"expires_at": "2098-12-31T23:59:59Z"}),
    "expires_in": ({"expires_at": "2099-01-01T00:00:00Z"}, {"expires_in": 300}),
    "ip_pool": ({"ip_pool": "slow"}, {"ip_pool": "slow"}),
    "kind": ({}, {"kind": "agent"}),
    "read_only": ({}, {"read_only": True}),
    "send_rate_limit": ({"send_rate_limit": 10}, {"send_rate_limit": 1000}),
}  # fmt: skip


@pytest.mark.parametrize("case", NARROWER)
def test_a_child_may_be_narrower(shadow: Postern, case: str) -> None:
    bounds, narrower = NARROWER[case]
    parent = bounded(shadow, **bounds)
    child = parent.call("POST", "/v1/keys", expect=201, json={"label": "team-child", "scopes": ["read"], **narrower})
    assert child["parent"] == parent.call("GET", "/v1/me")["id"]
    as_key(shadow, child).call("GET", "/v1/me")


def test_every_field_that_reaches_too_far_is_named_at_once(shadow: Postern) -> None:
    parent = bounded(shadow, sender_domains=["a.test"], allowed_ips=["127.0.0.1"], ip_pool="slow")
    body = {"label": "x", "scopes": ["amqp"], "sender_domains": ["b.test"], "allowed_ips": ["::1"], "ip_pool": "fast"}
    problem = parent.problem("POST", "/v1/keys", 403, "forbidden", json=body)
    assert {error["pointer"] for error in problem["errors"]} == {
        "/scopes",
        "/sender_domains",
        "/allowed_ips",
        "/ip_pool",
    }


def test_nobody_widens_himself_by_rotating_another_key(shadow: Postern) -> None:
    narrow = bounded(shadow, sender_domains=["example.com"], allowed_ips=["127.0.0.1"])
    wide = issue(shadow, "send", "admin")
    narrow.problem("POST", f"/v1/keys/{wide['id']}/rotate", 403, "forbidden")
    as_key(shadow, wide).call("GET", "/v1/me")
    narrow.call("POST", f"/v1/keys/{narrow.call('GET', '/v1/me')['id']}/rotate")


@pytest.mark.parametrize(
    "bounds",
    [{"send_rate_limit": 5}, {"expires_at": "2099-01-01T00:00:00Z"}, {"kind": "agent"}],
    ids=lambda bounds: next(iter(bounds)),
)
def test_a_login_is_no_way_around_a_bound(shadow: Postern, bounds: dict) -> None:
    """A login has neither a rate of its own nor an end."""
    parent = bounded(shadow, **bounds)
    parent.problem("POST", "/v1/smtp-users", 403, "forbidden", json={"username": token("u")})
    # Nor is another one's password.
    user = shadow.call("POST", "/v1/smtp-users", expect=201, json={"username": token("u")})
    parent.problem("POST", f"/v1/smtp-users/{user['id']}/rotate", 403, "forbidden")


def test_a_login_has_the_bounds_of_the_key_that_makes_it(shadow: Postern) -> None:
    parent = bounded(shadow, sender_domains=["example.com"], allowed_ips=["127.0.0.0/8"])
    made = parent.call("POST", "/v1/smtp-users", expect=201, json={"username": token("u")})
    assert (made["sender_domains"], made["allowed_ips"]) == (["example.com"], ["127.0.0.0/8"])
    for wider in ({"sender_domains": ["b.test"]}, {"allowed_ips": ["0.0.0.0/0"]}):
        parent.problem("POST", "/v1/smtp-users", 403, "forbidden", json={"username": token("u"), **wider})
        parent.problem("PATCH", f"/v1/smtp-users/{made['id']}", 403, "forbidden", json=wider)
        nothing = dict.fromkeys(wider)
        parent.problem("PATCH", f"/v1/smtp-users/{made['id']}", 403, "forbidden", json=nothing)


def test_revoking_a_key_ends_all_that_came_from_it(shadow: Postern) -> None:
    line = [issue(shadow, "admin", "read")]
    for _ in range(3):
        line.append(issue(as_key(shadow, line[-1]), "admin", "read"))
    cousin = issue(as_key(shadow, line[0]), "read")
    stranger = issue(shadow, "read")
    shadow.call("DELETE", f"/v1/keys/{line[1]['id']}", expect=204)
    assert [is_dead(as_key(shadow, key)) for key in line] == [False, True, True, True]
    assert not is_dead(as_key(shadow, cousin)) and not is_dead(as_key(shadow, stranger))
    ended = {shadow.call("GET", f"/v1/keys/{key['id']}")["revoked_at"] for key in line[1:]}
    assert len(ended) == 1 and None not in ended
    # Rotating is no end: what came from the key stays.
    turned = shadow.call("POST", f"/v1/keys/{line[0]['id']}/rotate")
    assert not is_dead(as_key(shadow, cousin)) and not is_dead(as_key(shadow, turned))


def test_a_child_ends_with_its_parents_time(shadow: Postern) -> None:
    parent = as_key(shadow, issue(shadow, "admin", "read", expires_at=hence(seconds=2)))
    child = as_key(shadow, issue(parent, "read"))
    child.call("GET", "/v1/me")
    until(lambda: is_dead(parent) and is_dead(child), "both have ended", 8)


def test_keys_come_from_keys_over_a_few_generations(shadow: Postern) -> None:
    key: Api = shadow
    for generation in range(20):
        answer = key.api("POST", "/v1/keys", json={"label": "g", "scopes": ["admin"]})
        if answer.status_code != 201:
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), describe(answer)
            assert "generation" in answer.json()["detail"] and 2 <= generation <= 10
            return
        key = Api.with_key(shadow.url, answer.json()["key"])
    pytest.fail("a line of twenty keys")


def test_an_agents_keys_are_the_agents(shadow: Postern) -> None:
    agent = issue(shadow, "send", "admin", kind="agent")
    assert agent["agent"] == agent["id"]
    child = issue(as_key(shadow, agent), "send")
    assert (child["kind"], child["agent"]) == ("agent", agent["id"])
    assert as_key(shadow, child).call("GET", "/v1/me")["agent"] == agent["id"]
