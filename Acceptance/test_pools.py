"""IP pools: the sending addresses of a message that names none: by From domain, by name, by caller, in order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from harness.api import Api, only_id
from harness.cli import Cli
from harness.mail import plain, token
from harness.postern import Postern

SIMPLE = {"from": "ada@example.com", "to": ["bob@receiver.test"], "subject": "Hello", "text": "Hi"}


@pytest.fixture(autouse=True)
def clean(shadow: Postern) -> Iterator[None]:
    yield
    shadow.set(ip_pool_strategy=None, ip_pool_missing=None, allowed_sender_domains=["example.com"])
    for pool in shadow.call("GET", "/v1/ip-pools", params={"limit": 200})["data"]:
        shadow.call("DELETE", f"/v1/ip-pools/{pool['id']}", expect=204)


def make(postern: Postern, domain: str, pool: str, *ips: str) -> dict:
    return postern.call("POST", "/v1/ip-pools", expect=201, json={"domain": domain, "pool": pool, "ips": list(ips)})


def addresses(caller: Api, **changes: Any) -> tuple[list[str], dict]:
    """The sending addresses that a message would get, and where they come from."""
    answer = caller.call("POST", "/v1/map/simple", json={**SIMPLE, **changes})
    ((envelope,), (origins,)) = (answer["envelopes"], answer["origins"])
    return envelope.get("ips", []), origins["ips"]


# Which one


def test_from_domain(shadow: Postern) -> None:
    shadow.set(ip_pool_strategy="from_domain", allowed_sender_domains=["example.com", "*.example.com"])
    make(shadow, "Example.COM", "main", "192.0.2.1", "2001:db8::1", "192.0.2.2")
    make(shadow, "news.example.com", "news", "192.0.2.9")
    assert addresses(shadow) == (["192.0.2.1", "2001:db8::1", "192.0.2.2"], {"from": "ip_pool", "at": "example.com"})
    assert addresses(shadow, **{"from": "Ada <ADA@News.Example.com>"})[0] == ["192.0.2.9"]
    # A pool is for its own domain, and not for those below.
    assert addresses(shadow, **{"from": "ada@other.example.com"})[0] == []
    id = only_id(shadow.send())
    assert shadow.message(id)["envelope"]["ips"] == ["192.0.2.1", "2001:db8::1", "192.0.2.2"]
    assert shadow.call("GET", f"/v1/messages/{id}/mailerq")["ips"] == ["192.0.2.1", "2001:db8::1", "192.0.2.2"]


def test_addresses_that_the_message_names_go_before_every_pool(shadow: Postern) -> None:
    make(shadow, "example.com", "main", "192.0.2.1")
    canonical = {"recipient": "bob@receiver.test", "ips": ["198.51.100.7"],
                 "mime": {"to": "bob@receiver.test", "from": {"address": "ada@example.com"}, "text": "x"}}  # fmt: skip
    answer = shadow.call("POST", "/v1/map", json=canonical)
    assert answer["envelopes"][0]["ips"] == ["198.51.100.7"]
    assert answer["origins"][0]["ips"] == {"from": "payload", "at": "/ips"}


def test_an_international_domain_has_its_pool_in_both_forms(shadow: Postern) -> None:
    shadow.set(allowed_sender_domains=["bücher.example"])
    made = make(shadow, "BÜCHER.example", "books", "192.0.2.3")
    assert made["domain"] == "xn--bcher-kva.example"
    for sender in ("ada@bücher.example", "ada@xn--bcher-kva.example", "ada@Bücher.Example"):
        assert addresses(shadow, **{"from": sender})[0] == ["192.0.2.3"]


def test_fixed(shadow: Postern) -> None:
    shadow.set(allowed_sender_domains=["example.com", "example.net", "example.org"])
    make(shadow, "example.com", "main", "192.0.2.1")
    make(shadow, "example.net", "slow lane", "192.0.2.5", "192.0.2.6")
    make(shadow, "example.org", "slow lane", "192.0.2.6", "192.0.2.7")
    shadow.set(ip_pool_strategy="fixed:slow lane")
    for sender in ("ada@example.com", "ada@example.net"):
        ips, origin = addresses(shadow, **{"from": sender})
        # Several domains of one name are one pool, each address once.
        assert (ips, origin) == (["192.0.2.5", "192.0.2.6", "192.0.2.7"], {"from": "ip_pool", "at": "slow lane"})


def test_the_pool_that_all_mail_leaves_from_stays(shadow: Postern) -> None:
    pool = make(shadow, "example.com", "only", "192.0.2.1")
    shadow.set(ip_pool_strategy="fixed:only")
    path = f"/v1/ip-pools/{pool['id']}"
    for method, body in (("DELETE", None), ("PATCH", {"pool": "other"})):
        problem = shadow.problem(method, path, 409, "conflict", json=body)
        assert "ip_pool_strategy" in problem["detail"] + problem["fix"]
    shadow.call("PATCH", path, json={"ips": ["192.0.2.2"]})
    assert addresses(shadow)[0] == ["192.0.2.2"]
    shadow.set(ip_pool_strategy=None)
    shadow.call("DELETE", path, expect=204)


def test_caller(shadow: Postern) -> None:
    make(shadow, "example.com", "main", "192.0.2.1")
    make(shadow, "example.net", "vip", "192.0.2.8")
    shadow.set(ip_pool_strategy="caller")
    _, vip = shadow.new_key("send", ip_pool="vip")
    assert addresses(vip) == (["192.0.2.8"], {"from": "ip_pool", "at": "vip"})
    made = shadow.call("POST", "/v1/smtp-users", expect=201, json={"username": token("user"), "ip_pool": "vip"})
    login = Api.with_password(shadow.url, made["username"], made["password"])
    assert addresses(login)[0] == ["192.0.2.8"]
    # A caller without one, and one whose pool is not there.
    assert addresses(shadow)[0] == []
    _, lost = shadow.new_key("send", ip_pool="nowhere")
    assert addresses(lost)[0] == []
    shadow.set(ip_pool_missing="refuse")
    for caller in (shadow, lost):
        caller.problem("POST", "/v1/messages", 422, "no_ip_pool", json=SIMPLE)
    assert addresses(vip)[0] == ["192.0.2.8"]
    # The pool of the caller says nothing under another strategy.
    shadow.set(ip_pool_strategy="from_domain")
    assert addresses(vip)[0] == ["192.0.2.1"]


def test_none(shadow: Postern) -> None:
    make(shadow, "example.com", "main", "192.0.2.1")
    shadow.set(ip_pool_strategy="none", ip_pool_missing="refuse")
    ips, origin = addresses(shadow)
    assert (ips, origin) == ([], {"from": "setting", "setting": "ip_pool_strategy", "source": "vault"})
    shadow.send()


# Where there is none


def test_no_pool_is_a_clear_refusal_or_mailerqs_choice(shadow: Postern) -> None:
    before = shadow.message_ids()
    shadow.set(ip_pool_missing="refuse")
    for path in ("/v1/messages", "/v1/map/simple"):
        problem = shadow.problem("POST", path, 422, "no_ip_pool", json=SIMPLE)
        assert "example.com" in problem["detail"] and "ip_pool_missing" in problem["detail"] + problem["fix"]
    with shadow.smtp() as session:
        refused = session.submit("ada@example.com", ["bob@receiver.test"], plain()).refusal
        assert (refused.code, refused.enhanced) == (451, "4.3.5") and "no_ip_pool" in refused.text
    assert shadow.message_ids() == before
    shadow.set(ip_pool_missing="default")
    ips, origin = addresses(shadow)
    assert (ips, origin) == ([], {"from": "setting", "setting": "ip_pool_missing", "source": "vault"})
    id = shadow.submit(plain(), ["bob@receiver.test"])
    assert not shadow.message(id)["envelope"].get("ips")


# Making and changing


@pytest.mark.parametrize(
    ("given", "kept"),
    [("2001:DB8:0:0:0:0:0:10", "2001:db8::10"), ("2001:db8:0:1:0:0:0:0", "2001:db8:0:1::"), ("::1", "::1"),
     ("192.0.2.10", "192.0.2.10")],
)  # fmt: skip
def test_an_address_is_kept_in_one_way_of_writing(shadow: Postern, given: str, kept: str) -> None:
    assert make(shadow, "example.com", "main", given)["ips"] == [kept]


@pytest.mark.parametrize(
    ("change", "pointers"),
    [
        ({"ips": []}, {"/ips"}),
        ({"ips": ["192.0.2.1", "192.0.2.256"]}, {"/ips/1"}),
        ({"ips": ["192.0.2.01"]}, {"/ips/0"}),
        ({"ips": ["192.0.2.1", "192.0.2.1"]}, {"/ips/1"}),
        ({"ips": ["2001:db8::1", "2001:DB8:0::1"]}, {"/ips/1"}),
        ({"ips": ["fe80::1%eth0"]}, {"/ips/0"}),
        ({"ips": ["192.0.2.0/24"]}, {"/ips/0"}),
        ({"ips": ["localhost"]}, {"/ips/0"}),
        ({"ips": ["192.0.2.1\x00"]}, {"/ips/0"}),
        ({"ips": "192.0.2.1"}, {"/ips"}),
        ({"domain": "no domain"}, {"/domain"}),
        ({"domain": "*.example.com"}, {"/domain"}),
        ({"pool": ""}, {"/pool"}),
        ({"pool": " a"}, {"/pool"}),
        ({"pool": "a\nb"}, {"/pool"}),
        ({"colour": "red"}, {"/colour"}),
        ({"ips": [f"192.0.2.{n}" for n in range(1, 102)]}, {"/ips"}),
    ],
    ids=lambda value: json.dumps(value)[:40] if isinstance(value, dict) else None,
)
def test_a_pool_that_makes_no_sense_is_refused(shadow: Postern, change: dict, pointers: set[str]) -> None:
    body = {"domain": "example.com", "pool": "main", "ips": ["192.0.2.1"]} | change
    problem = shadow.problem("POST", "/v1/ip-pools", 422, "validation_failed", json=body)
    assert {error["pointer"] for error in problem["errors"]} == pointers
    pool = make(shadow, "example.com", "main", "192.0.2.1")
    problem = shadow.problem("PATCH", f"/v1/ip-pools/{pool['id']}", 422, "validation_failed", json=change)
    assert {error["pointer"] for error in problem["errors"]} == pointers
    assert shadow.call("GET", f"/v1/ip-pools/{pool['id']}") == pool


def test_a_domain_has_one_pool(shadow: Postern) -> None:
    pool = make(shadow, "example.com", "main", "192.0.2.1")
    other = make(shadow, "example.net", "main", "192.0.2.2")
    body = {"domain": "EXAMPLE.com", "pool": "second", "ips": ["192.0.2.2"]}
    shadow.problem("POST", "/v1/ip-pools", 409, "conflict", json=body)
    shadow.problem("PATCH", f"/v1/ip-pools/{other['id']}", 409, "conflict", json={"domain": "example.com"})
    assert shadow.call("GET", f"/v1/ip-pools/{pool['id']}") == pool


def test_a_change_names_what_changes_and_nothing_else(shadow: Postern) -> None:
    pool = make(shadow, "example.com", "main", "192.0.2.1", "192.0.2.2")
    path = f"/v1/ip-pools/{pool['id']}"
    changed = shadow.call("PATCH", path, json={"pool": "renamed"})
    assert (changed["domain"], changed["pool"], changed["ips"]) == (
        "example.com",
        "renamed",
        ["192.0.2.1", "192.0.2.2"],
    )
    for nothing in ({}, {"pool": None}, {"ips": None}):
        shadow.problem("PATCH", path, 422, "validation_failed", json=nothing)
    whole = {"domain": "example.com", "pool": "whole", "ips": ["192.0.2.3"]}
    assert shadow.call("PUT", path, json=whole)["ips"] == ["192.0.2.3"]
    shadow.problem("PUT", path, 422, "validation_failed", json={"pool": "half"})


def test_a_new_order_holds_from_the_next_message_on(shadow: Postern, cli: Cli) -> None:
    pool = make(shadow, "example.com", "main", "192.0.2.1", "192.0.2.2", "2001:db8::3")
    before = only_id(shadow.send())
    path = f"/v1/ip-pools/{pool['id']}"
    shadow.call("PATCH", path, json={"ips": ["2001:db8::3", "192.0.2.1", "192.0.2.2"]})
    assert addresses(shadow)[0] == ["2001:db8::3", "192.0.2.1", "192.0.2.2"]
    assert shadow.message(before)["envelope"]["ips"] == ["192.0.2.1", "192.0.2.2", "2001:db8::3"]
    moved = cli.answered("pool", "move-ip", pool["id"], "192.0.2.2", "--to", "1")
    assert moved["ips"] == ["192.0.2.2", "2001:db8::3", "192.0.2.1"]
    assert cli.answered("pool", "add-ip", pool["id"], "2001:DB8::4")["ips"][-1] == "2001:db8::4"
    assert cli.answered("pool", "remove-ip", pool["id"], "2001:db8:0::3")["ips"] == [
        "192.0.2.2",
        "192.0.2.1",
        "2001:db8::4",
    ]
    assert "192.0.2.99" in cli.refused("pool", "remove-ip", pool["id"], "192.0.2.99")
    assert addresses(shadow)[0] == ["192.0.2.2", "192.0.2.1", "2001:db8::4"]
    shadow.call("DELETE", path, expect=204)
    assert addresses(shadow)[0] == []
