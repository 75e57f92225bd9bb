"""Alerts as people deal with them: rules, who is told, who may say what, and that nobody is flooded.

Conditions that are quick to bring about stand for all: refusals and failed sign-ins. A round takes five seconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import finish, live, use_smarthost
from harness.api import Api
from harness.cli import Cli
from harness.mail import header, token
from harness.peers import Peer
from harness.people import Person, join, try_to_sign_in
from harness.postern import Postern
from harness.receiver import Receiver
from harness.tls import Authority
from harness.vaults import move_in
from harness.waiting import until

# Probes look every 5 to 15 seconds, and refusals are written down a second after they happened.
SOON = 60.0


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def mailbox() -> Iterator[Peer]:
    """Where letters about alerts arrive."""
    with Peer() as server:
        yield server


@pytest.fixture(scope="module")
def watched(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority, receiver: Receiver, mailbox: Peer
) -> Iterator[Postern]:
    """An instance that tells its alerts to a webhook, and sends its mail to `mailbox`."""
    environment = live(authority, POSTERN_ALERT_WEBHOOK_URL=receiver.url, POSTERN_ALERT_WEBHOOK_SECRET="s3cret-of-alerts")
    with Postern(tmp_path_factory.mktemp("watched"), **environment) as postern:
        use_smarthost(postern, mailbox.port, tls="none")
        yield postern
        assert "s3cret-of-alerts" not in postern.log_tail(most=10_000_000)
        finish(postern)


def notices(receiver: Receiver, kind: str) -> list[dict[str, Any]]:
    """What the webhook was told about that kind, also in digests."""
    documents = [one.document for one in receiver.posted]
    flat = [notice for document in documents for notice in document.get("alerts", [document])]
    return [notice for notice in flat if notice["kind"] == kind]


def be_refused(postern: Postern, times: int = 8) -> str:
    """Asks for what a key may not do. Returns the key's id."""
    id, key = postern.new_key("read")
    for _ in range(times):
        key.problem("POST", "/v1/keys", 403, "forbidden", json={"label": "x", "kind": "tool", "scopes": ["read"]})
    return id


def found(api: Api, path: str, word: str, **params: str) -> dict[str, Any] | None:
    rows = api.call("GET", path, params={"state": "all", "limit": "200", **params})["data"]
    return next((row for row in rows if word in row["subject"] + row["detail"]), None)


def wait_for(api: Api, path: str, word: str, wanted: Callable[[dict[str, Any]], bool] | None = None) -> dict[str, Any]:
    def seen() -> dict[str, Any] | None:
        row = found(api, path, word)
        return row if row and (wanted is None or wanted(row)) else None

    row = until(seen, f"there is an alert about {word}", SOON)
    assert row is not None
    return row


@pytest.fixture
def rules(watched: Postern) -> Iterator[Callable[..., str]]:
    """Writes rules, of the vault or of the instance, that are gone after the test. Returns their ids."""
    made: list[tuple[Api, str]] = []

    def make(condition: str, *, owner: Person | None = None, **fields: Any) -> str:
        (api, path) = (owner, "/api/alert-rules") if owner else (watched, "/v1/alert-rules")
        rule = api.call("POST", path, expect=201, json={"condition": condition, **fields})
        made.append((api, f"{path}/{rule['id']}"))
        return rule["id"]

    yield make
    for api, path in made:
        api.api("DELETE", path)


@pytest.mark.timeout(180)
def test_failed_sign_ins_are_told_acknowledged_and_told_no_more(
    watched: Postern, receiver: Receiver, rules: Callable[..., str]
) -> None:
    owner = watched.owner()
    rule = rules("sign_in_failures", owner=owner, threshold=3, window_seconds=900, severity="info")
    for _ in range(3):
        assert try_to_sign_in(watched.url, f"{token()}@people.test", "not the right one, surely").status_code == 401
    alert = wait_for(owner, "/api/alerts", "sign-ins")
    assert (alert["rule"], alert["severity"], alert["vault"], alert["state"]) == (rule, "info", None, "open")
    until(lambda: notices(receiver, "sign_in_failures"), "the webhook is told", SOON)
    # Keys do not see it, whatever their scopes.
    assert found(watched, "/v1/alerts", "sign-ins") is None
    watched.problem("GET", f"/v1/alerts/{alert['id']}", 404, "not_found")
    watched.problem("GET", "/api/alerts", 403, "forbidden")
    done = owner.call("POST", f"/api/alerts/{alert['id']}/acknowledge", json={"note": "looking"})
    assert done["state"] == "acknowledged" and done["note"] == "looking"
    assert done["acknowledged_by"] == {"id": owner.id, "label": owner.email}
    # More of the same is not told again, and neither does a restart.
    told = len(notices(receiver, "sign_in_failures"))
    assert try_to_sign_in(watched.url, f"{token()}@people.test", "not the right one, surely").status_code == 401
    watched.restart()
    owner = watched.owner()
    alert = wait_for(owner, "/api/alerts", "sign-ins", lambda row: row["state"] == "acknowledged")
    resolved = owner.call("POST", f"/api/alerts/{alert['id']}/resolve", json={"note": "it was me"})
    assert resolved["state"] == "resolved" and resolved["resolved_by"]["id"] == owner.id
    until(lambda: len(notices(receiver, "sign_in_failures")) == told + 1, "its end is told, and nothing else", SOON)
    last = notices(receiver, "sign_in_failures")[-1]
    assert (last["state"], last["resolved_by"]) == ("closed", owner.email)
    acts = owner.call("GET", "/api/audit", params={"resource": alert["id"]})["data"]
    assert [act["action"] for act in acts] == ["alert.acknowledge"] * 2


@pytest.mark.timeout(180)
def test_a_vault_is_told_by_its_own_letters_and_the_instance_by_its_own_rules(
    watched: Postern, receiver: Receiver, mailbox: Peer, rules: Callable[..., str]
) -> None:
    address = f"{token()}@receiver.test"
    rule = rules(
        "refusals", threshold=5, window_seconds=600, severity="warning", **{"from": "alerts@example.com"},
        recipients=[address],
    )  # fmt: skip
    key = be_refused(watched)
    alert = wait_for(watched, "/v1/alerts", key)
    assert (alert["rule"], alert["audience"], alert["kind"]) == (rule, "vault", "refusals")
    letter = mailbox.delivered(address, SOON)
    assert letter.sender == "alerts@example.com"
    assert alert["id"] in letter.content.decode() and "Postern" in header(letter.content, "Subject")[0]
    assert header(letter.content, "Auto-Submitted") == ["auto-generated"]
    log = [row for row in watched.all_messages() if row["recipient"] == address]
    assert len(log) == 1 and log[0]["caller"] == "postern"
    # It is the vault's alone: neither the neighbour, nor the instance's people, nor the webhook hears of it.
    neighbour = move_in(watched)
    assert found(neighbour.api, "/v1/alerts", key) is None
    neighbour.api.problem("POST", f"/v1/alerts/{alert['id']}/resolve", 404, "not_found")
    owner = watched.owner()
    assert found(owner, "/api/alerts", key) is None
    owner.problem("GET", f"/api/alerts/{alert['id']}", 404, "not_found")
    assert notices(receiver, "refusals") == []
    watched.call("POST", f"/v1/alerts/{alert['id']}/resolve")


@pytest.mark.timeout(180)
def test_a_vault_that_silences_its_alerts_does_not_silence_the_operator(
    watched: Postern, receiver: Receiver, rules: Callable[..., str]
) -> None:
    owner = watched.owner()
    rules("refusals", is_enabled=False)
    rules("refusals", owner=owner, threshold=4, window_seconds=700)
    key = be_refused(watched)
    alert = wait_for(owner, "/api/alerts", key)
    assert alert["vault"] is None and alert["audience"] == "instance"
    assert found(watched, "/v1/alerts", key) is None
    until(lambda: [one for one in notices(receiver, "refusals") if key in one["subject"]], "the webhook is told", SOON)


@pytest.mark.timeout(240)
def test_many_alerts_at_once_are_one_digest(watched: Postern, receiver: Receiver, rules: Callable[..., str]) -> None:
    owner = watched.owner()
    rules("refusals", owner=owner, threshold=3, window_seconds=800, cooldown_seconds=604800)
    before = len(receiver.posted)
    keys = [be_refused(watched, 3) for _ in range(12)]

    def told() -> bool:
        told = {one["subject"] for one in notices(receiver, "refusals") if one["state"] == "opened"}
        return all(any(key in subject for subject in told) for key in keys)

    until(told, "all of them are told", 2 * SOON)
    posted = receiver.posted[before:]
    assert any(one.document["kind"] == "digest" for one in posted)
    assert len(posted) < len(keys), "one message tells of many"
    told_keys = [one.headers["idempotency-key"] for one in receiver.posted]
    assert len(told_keys) == len(set(told_keys))


@pytest.mark.timeout(120)
def test_who_may_do_what_with_alerts(watched: Postern) -> None:
    owner = watched.owner()
    body = {"condition": "refusals"}
    _, reader = watched.new_key("read")
    assert reader.call("GET", "/v1/alert-rules")["inherited"]
    reader.problem("POST", "/v1/alert-rules", 403, "forbidden", json=body)
    _, sender = watched.new_key("send")
    sender.problem("GET", "/v1/alerts", 403, "forbidden")
    for role, expected in [("viewer", 403), ("operator", 200), ("owner", 200)]:
        member = join(owner, vaults={"default": role}).within("default")
        assert member.api("GET", "/v1/alerts").status_code == expected, role
        assert member.api("GET", "/v1/alert-rules").status_code == expected, role
        made = member.api("POST", "/v1/alert-rules", json=body)
        assert made.status_code == (201 if role == "owner" else 403), role
        if made.status_code == 201:
            member.call("DELETE", f"/v1/alert-rules/{made.json()['id']}", expect=204)
        member.problem("GET", "/api/alerts", 403, "forbidden")
    admin = join(owner, role="admin")
    assert admin.api("GET", "/api/alerts").status_code == 200
    admin.problem("POST", "/api/alert-rules", 403, "forbidden", json=body)
    stranger = join(owner).within("default")
    stranger.problem("GET", "/v1/alerts", 404, "not_found")


def test_a_rule_takes_no_way_into_the_operators_network(watched: Postern) -> None:
    for fields in [
        {"channels": ["webhook"]}, {"webhook_url": "http://169.254.169.254/"}, {"url": "http://127.0.0.1:5432/"},
        {"channels": ["email"], "from": "alerts@example.com", "recipients": ["http://10.0.0.1/"]},
        {"channels": ["email"], "from": "alerts@elsewhere.example", "recipients": ["ops@receiver.test"]},
        {"vault": "vlt_0000000000000000"}, {"threshold": 0}, {"cooldown_seconds": 0},
    ]:  # fmt: skip
        watched.problem("POST", "/v1/alert-rules", 422, "validation_failed", json={"condition": "refusals", **fields})
    for condition in ["broker_unreachable", "sign_in_failures", "audit_chain_broken", "weather", None]:
        watched.problem("POST", "/v1/alert-rules", 422, "validation_failed", json={"condition": condition})
    assert watched.call("GET", "/v1/alert-rules")["data"] == []


@pytest.mark.timeout(180)
def test_the_command_line_does_all_of_it(watched: Postern, tmp_path: Path) -> None:
    cli = Cli(watched, tmp_path)
    made = cli.answered("alert", "rule", "set", "refusals", "--threshold", "6", "--window", "500", "--severity", "info")
    assert (made["threshold"], made["window_seconds"], made["severity"]) == (6, 500, "info")
    changed = cli.answered("alert", "rule", "set", "refusals", "--cooldown", "120", "--reset", "severity")
    assert changed["id"] == made["id"] and changed["severity"] == "warning" and changed["cooldown_seconds"] == 120
    table = cli.said("alert", "rule", "list")
    assert made["id"] in table and "bounce_rate" in table and "THRESHOLD" in table
    key = be_refused(watched)
    alert = wait_for(watched, "/v1/alerts", key)
    assert alert["id"] in cli.said("alert", "list", "--kind", "refusals")
    assert cli.answered("alert", "acknowledge", alert["id"], "--note", "on it")["state"] == "acknowledged"
    assert alert["id"] in cli.said("alert", "list", "--state", "acknowledged")
    assert json.loads(cli.said("alert", "show", alert["id"], "--json"))["note"] == "on it"
    assert cli.answered("alert", "resolve", alert["id"])["state"] == "resolved"
    assert alert["id"] not in cli.said("alert", "list")
    cli.said("alert", "rule", "delete", made["id"])
    assert "forbidden" in cli.refused("alert", "list", "--instance").lower()
    owner = watched.owner()
    person = Cli(watched, tmp_path, key=owner.answer["token"])
    off = person.answered("alert", "rule", "set", "bounce_rate", "--instance", "--off")
    assert off["is_enabled"] is False
    on = person.answered("alert", "rule", "set", "bounce_rate", "--instance", "--on", "--channel", "none")
    assert on["id"] == off["id"] and on["is_enabled"] is True and on["channels"] == []
    person.said("alert", "rule", "delete", on["id"], "--instance")
    person.said("alert", "list", "--instance")


def listed(owner: Person, kind: str) -> list[dict[str, Any]]:
    return owner.call("GET", "/api/alerts", params={"kind": kind, "state": "unresolved"})["data"]


@pytest.mark.timeout(120)
def test_metrics_count_what_is_open(watched: Postern, rules: Callable[..., str]) -> None:
    owner = watched.owner()
    rules("refusals", owner=owner, threshold=2, window_seconds=900)
    key = be_refused(watched, 2)
    wait_for(owner, "/api/alerts", key)

    def counted() -> bool:
        lines = watched.api("GET", "/metrics").text.splitlines()
        shown = [line.split()[-1] for line in lines if line.startswith('postern_alerts_open{kind="refusals"}')]
        return [float(number) for number in shown] == [len(listed(owner, "refusals"))]

    until(counted, "metrics and list agree", SOON)
