"""Settings: each can be set, seen with the place its value comes from, explained, and does what it says."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from harness.api import describe, only_id
from harness.cli import Cli
from harness.mail import plain, token
from harness.postern import Postern
from harness.smtp import SMTPSession
from harness.waiting import until

MakePostern = Callable[..., Postern]

SIMPLE = {"from": "ada@example.com", "to": ["bob@receiver.test"], "subject": "Hello", "text": "Hi"}

# A value of each setting as the API takes and shows it; how it is typed, where that is not the same; and what has to be
# set beside it.
EXAMPLES: dict[str, tuple[Any, str | None, dict[str, Any]]] = {
    "default_priority": (7, None, {}),
    "default_envelope_strategy": ("verp", None, {"envelope_address": "bounces@example.com"}),
    "envelope_address": ("bounces@example.com", None, {}),
    "default_tags": (["news", "weekly"], "news,weekly", {}),
    "default_campaign_id": ("2026-11", None, {}),
    "allowed_sender_domains": (["example.com", "*.example.net"], "example.com,*.example.net", {}),
    "ip_pool_strategy": ("none", None, {}),
    "ip_pool_missing": ("refuse", None, {}),
    "auth_mode": ({"default": "both", "/v1/send": "api_key"}, "both,/v1/send=api_key", {}),
    "inbound_smtp_enabled": (False, "false", {}),
    "live_send_enabled": (True, "true", {}),
    "route": ("smarthost", None, {}),
    "smarthost_host": ("mail.example.com", None, {}),
    "smarthost_port": (2525, None, {}),
    "smarthost_tls": ("implicit", None, {}),
    "smarthost_username": ("postern", None, {}),
    "smarthost_password": ({"set": True}, "a-password", {}),
    "send_rate_limit": (100, None, {}),
    "burst_ceiling": (10, None, {"send_rate_limit": 100}),
    "key_send_rate_limit": (101, None, {}),
    "key_burst_ceiling": (11, None, {"key_send_rate_limit": 101}),
    "agent_send_rate_limit": (102, None, {}),
    "agent_burst_ceiling": (12, None, {"agent_send_rate_limit": 102}),
    "domain_send_rate_limit": (103, None, {}),
    "domain_burst_ceiling": (13, None, {"domain_send_rate_limit": 103}),
    "repeat_limit": (5, None, {}),
    "auto_reply_limit": (3, None, {}),
    "approve_over_rate_threshold": (500, None, {}),
    "agent_send_requires_approval": (True, "true", {}),
    "outbound_guard": ("off", None, {}),
    "retention_days": (90, None, {}),
}


@pytest.fixture(autouse=True)
def as_before(shadow: Postern) -> Iterator[None]:
    """The vault's own values are those from before when a test is done."""
    before = own_values(shadow)
    yield
    after = own_values(shadow)
    change = {key: before.get(key) for key in {*before, *after} if before.get(key) != after.get(key)}
    if change:
        shadow.set(**change)


def own_values(postern: Postern) -> dict[str, Any]:
    settings = postern.settings()
    return {
        key: row["value"] for key, row in settings.items() if row["source"] == "vault" and key != "smarthost_password"
    }


def mapped(postern: Postern, **changes: Any) -> tuple[dict, dict]:
    """The one envelope of a simple message, and where its fields came from."""
    answer = postern.call("POST", "/v1/map/simple", json={**SIMPLE, **changes})
    ((envelope,), (origins,)) = (answer["envelopes"], answer["origins"])
    return envelope, origins


# Each of them: set, seen, explained, taken away


def test_the_examples_are_all_settings_there_are(shadow: Postern) -> None:
    assert list(shadow.settings()) == list(EXAMPLES)


@pytest.mark.parametrize("key", EXAMPLES)
def test_a_setting_is_set_seen_explained_and_taken_away(shadow: Postern, cli: Cli, key: str) -> None:
    value, typed, beside = EXAMPLES[key]
    before = shadow.settings()[key]
    assert before["source"] in ("instance", "unset") or key == "allowed_sender_domains"
    if beside:
        shadow.set(**beside)
    began = datetime.now(UTC) - timedelta(milliseconds=1)
    told = cli.said("settings", "set", f"{key}={typed or value}")
    assert key in told and "vault" in told

    seen = shadow.settings()[key]
    assert (seen["value"], seen["source"]) == (value, "vault")
    explained = shadow.call("GET", f"/v1/settings/{key}")
    assert {name: explained[name] for name in seen} == seen, "the list and the explanation say the same"
    assert (explained["key"], explained["vault_value"]) == (key, value)
    assert explained["instance_value"] == (before["value"] if before["source"] == "instance" else None)
    since = datetime.fromisoformat(explained["updated_at"].replace("Z", "+00:00"))
    assert began <= since <= datetime.now(UTC)
    assert explained["summary"] and explained["type"]
    secret = key == "smarthost_password"
    assert explained["environment"] == (None if secret else f"POSTERN_DEFAULT_{key.upper()}")

    listed = next(line for line in cli.said("settings", "list").splitlines() if line.split()[0] == key)
    assert listed.split()[-1] == "vault"
    shown = cli.said("settings", "explain", key)
    assert "the vault's own value" in shown.splitlines()[0] and explained["summary"] in shown
    assert secret or explained["environment"] in shown
    assert "a-password" not in shown + listed + told
    assert cli.answered("settings", "explain", key) == explained
    got = cli.said("settings", "get", key).strip()
    assert got == ("(set)" if secret else got) and got

    if key == "allowed_sender_domains":
        shadow.set(allowed_sender_domains=["example.com"])
        return
    cli.said("settings", "unset", key)
    assert shadow.settings()[key] == before
    assert shadow.call("GET", f"/v1/settings/{key}")["updated_at"] is None
    shown = cli.said("settings", "explain", key).splitlines()[0]
    assert ("the instance's value" in shown) == (before["source"] == "instance")
    assert (f"{key} is unset" in shown) == (before["source"] == "unset")


def test_a_setting_that_there_is_not_is_not_found(shadow: Postern, cli: Cli) -> None:
    shadow.problem("GET", "/v1/settings/colour", 404, "not_found")
    assert "not_found" in cli.refused("settings", "explain", "colour")


@pytest.mark.parametrize("nothing", [None, "", []], ids=repr)
def test_an_empty_value_takes_the_vaults_own_away(shadow: Postern, nothing: object) -> None:
    before = shadow.settings()["default_tags"]
    shadow.set(default_tags=["a"])
    shadow.set(default_tags=nothing)
    assert shadow.settings()["default_tags"] == before


# What is no value, and what makes no sense beside the others


@pytest.mark.parametrize(
    ("key", "value"),
    [("default_priority", 1001), ("default_priority", "5"), ("default_envelope_strategy", "some"),
     ("envelope_address", "Ada <ada@example.com>"), ("envelope_address", "no address"), ("ip_pool_strategy", "random"),
     ("ip_pool_strategy", "fixed:"), ("ip_pool_strategy", "fixed: a"), ("ip_pool_missing", "maybe"),
     ("send_rate_limit", 0), ("send_rate_limit", -1), ("send_rate_limit", 1_000_000_001), ("send_rate_limit", 1.5),
     ("send_rate_limit", "10"), ("repeat_limit", 0), ("repeat_limit", 1_000_001), ("auto_reply_limit", 0),
     ("retention_days", 0), ("retention_days", 3651), ("outbound_guard", "on"), ("agent_send_requires_approval", 1),
     ("auth_mode", "none"), ("auth_mode", {}), ("auth_mode", {"/v1/send": "both"}),
     ("auth_mode", {"default": "both", "/v1/keys": "smtp"}), ("auth_mode", {"default": "both", "/v1/sender": "smtp"}),
     ("auth_mode", {"default": "both", "v1/send": "smtp"}), ("auth_mode", {"default": "both", "/v1/send/": "smtp"}),
     ("auth_mode", {"default": "both", "/v1//send": "smtp"}), ("auth_mode", {"default": "both", "/v1/send": "no"}),
     ("auth_mode", ["both"])],
)  # fmt: skip
def test_a_value_that_makes_no_sense_is_refused(shadow: Postern, key: str, value: object) -> None:
    before = shadow.settings()
    body = {"default_campaign_id": "other", key: value}
    problem = shadow.problem("PATCH", "/v1/settings", 422, "validation_failed", json=body)
    assert [error["pointer"] for error in problem["errors"]] == [f"/{key}"]
    assert shadow.settings() == before


@pytest.mark.parametrize(
    ("change", "culprit"),
    [({"burst_ceiling": 5}, "burst_ceiling"), ({"key_burst_ceiling": 5}, "key_burst_ceiling"),
     ({"agent_burst_ceiling": 5}, "agent_burst_ceiling"), ({"domain_burst_ceiling": 5}, "domain_burst_ceiling"),
     ({"default_envelope_strategy": "fixed"}, "default_envelope_strategy"),
     ({"default_envelope_strategy": "verp"}, "default_envelope_strategy"),
     ({"ip_pool_strategy": "fixed:nowhere"}, "ip_pool_strategy")],
    ids=lambda value: None if isinstance(value, dict) else value,
)  # fmt: skip
def test_a_value_that_would_do_nothing_or_break_mail_is_refused(shadow: Postern, change: dict, culprit: str) -> None:
    before = shadow.settings()
    problem = shadow.problem("PATCH", "/v1/settings", 422, "validation_failed", json=change)
    assert [error["pointer"] for error in problem["errors"]] == [f"/{culprit}"]
    assert shadow.settings() == before


def test_what_another_setting_needs_cannot_be_taken_away(shadow: Postern) -> None:
    shadow.set(send_rate_limit=100, burst_ceiling=5)
    problem = shadow.problem("PATCH", "/v1/settings", 422, "validation_failed", json={"send_rate_limit": None})
    assert "burst_ceiling" in problem["detail"]
    shadow.set(send_rate_limit=None, burst_ceiling=None)
    shadow.set(default_envelope_strategy="fixed", envelope_address="bounces@example.com")
    shadow.problem("PATCH", "/v1/settings", 422, "validation_failed", json={"envelope_address": None})
    shadow.set(default_envelope_strategy=None, envelope_address=None)


# Where there is no value


# What a message that a tool hands in by HTTP needs, in the order in which it is asked for; and with each a value.
NEEDED = {
    "auth_mode": "both", "default_priority": 5, "ip_pool_strategy": "from_domain", "ip_pool_missing": "default",
    "default_envelope_strategy": "from", "allowed_sender_domains": ["example.com"], "live_send_enabled": False,
}  # fmt: skip


def test_an_instance_without_defaults_names_every_setting_that_mail_needs(new_postern: MakePostern) -> None:
    postern = new_postern()
    postern.start()
    postern.set(allowed_sender_domains=None)
    postern.terminate()
    postern.start(
        command="serve", POSTERN_EMAILGATEWAY_ENABLED="true", POSTERN_EMAILGATEWAY_INBOUND_SMTP_ENABLED="true",
        POSTERN_EMAILGATEWAY_LIVE_SEND_ENABLED="true", POSTERN_MASTER_KEY_FILE=str(postern.data / "master.key"),
    )  # fmt: skip
    assert all(row["source"] == "unset" for row in postern.settings().values())
    named: list[str] = []
    while (answer := postern.api("POST", "/v1/messages", json=SIMPLE)).status_code != 202:
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (422, "setting_unset"), describe(answer)
        told = problem["detail"] + problem["fix"]
        (key,) = [key for key in EXAMPLES if f"POSTERN_DEFAULT_{key.upper()}" in told]
        assert f"{key}" in problem["detail"] and "/v1/settings" in told and key not in named
        named.append(key)
        assert key in NEEDED or key in ("route",), f"{key} should not be needed"
        postern.set(**{key: NEEDED.get(key, "shadow")})
    assert set(named) >= NEEDED.keys() - {"live_send_enabled"}
    postern.set(default_priority=None)
    made = postern.call("POST", "/v1/smtp-users", expect=201, json={"username": token("user")})
    login = (made["username"], made["password"])
    postern.set(inbound_smtp_enabled=True)
    # `serve` makes no certificate, and on this machine itself a login in clear is taken.
    with SMTPSession.opened(postern.smtp_port, None, login) as session:
        refused = session.submit("ada@example.com", ["bob@receiver.test"], plain()).refusal
        assert (refused.code, refused.enhanced) == (451, "4.3.5") and "default_priority" in refused.text


def test_the_instances_value_holds_until_the_vault_has_its_own(new_postern: MakePostern) -> None:
    postern = new_postern(POSTERN_DEFAULT_DEFAULT_TAGS="all", POSTERN_DEFAULT_AUTH_MODE="both,/v1/map=api_key",
                          POSTERN_DEFAULT_SEND_RATE_LIMIT="1000")  # fmt: skip
    postern.start()
    envelope, origins = mapped(postern)
    assert envelope["tags"] == ["all"]
    assert origins["tags"] == {"from": "setting", "setting": "default_tags", "source": "instance"}
    assert postern.settings()["auth_mode"]["value"] == {"default": "both", "/v1/map": "api_key"}
    assert postern.settings()["send_rate_limit"]["value"] == 1000
    # A ceiling has a limit to go with, though that is the instance's.
    postern.set(burst_ceiling=5, default_tags=["own"])
    envelope, origins = mapped(postern)
    assert (envelope["tags"], origins["tags"]["source"]) == (["own"], "vault")


@pytest.mark.parametrize(
    ("key", "value"),
    [("DEFAULT_ENVELOPE_STRATEGY", "some"), ("IP_POOL_STRATEGY", "random"), ("AUTH_MODE", "both,/v1/keys=smtp"),
     ("SEND_RATE_LIMIT", "many"), ("SEND_RATE_LIMIT", "0"), ("RETENTION_DAYS", "-1"), ("COLOUR", "red")],
)  # fmt: skip
def test_an_instance_with_a_wrong_default_does_not_start(new_postern: MakePostern, key: str, value: str) -> None:
    postern = new_postern(**{f"POSTERN_DEFAULT_{key}": value})
    postern.start(wait=False)
    assert postern.process is not None and postern.process.wait(20) != 0
    assert f"POSTERN_DEFAULT_{key}" in postern.log_tail()


# What each of them does: those that the other files do not try


def test_default_priority(shadow: Postern) -> None:
    shadow.set(default_priority=7)
    envelope, origins = mapped(shadow)
    assert envelope["priority"] == 7
    assert origins["priority"] == {"from": "setting", "setting": "default_priority", "source": "vault"}


def test_default_tags_and_campaign(shadow: Postern) -> None:
    shadow.set(default_tags=["a", "b"], default_campaign_id="2026-11")
    envelope, origins = mapped(shadow)
    assert (envelope["tags"], envelope["campaign_id"]) == (["a", "b"], "2026-11")
    assert origins["tags"]["setting"] == "default_tags"
    assert mapped(shadow, tags=["own"])[0]["tags"] == ["own"]
    assert shadow.message(only_id(shadow.send()))["tags"] == ["a", "b"]


def test_the_envelopes_sender_is_the_author_by_default(shadow: Postern) -> None:
    envelope, origins = mapped(shadow, **{"from": "Ada <ada@example.com>"})
    assert envelope["envelope"] == "ada@example.com"
    assert origins["envelope"] == {"from": "field", "at": "mime.from.address"}


def test_a_fixed_envelope_sender(shadow: Postern) -> None:
    shadow.set(default_envelope_strategy="fixed", envelope_address="bounces@example.com")
    envelope, origins = mapped(shadow)
    assert envelope["envelope"] == "bounces@example.com"
    assert origins["envelope"] == {"from": "setting", "setting": "envelope_address", "source": "vault"}
    assert shadow.message(only_id(shadow.send()))["from"] == "bounces@example.com"
    mime = shadow.send_mime(plain(), to=["bob@receiver.test"])
    assert shadow.message(only_id(mime))["from"] == "bounces@example.com"
    # Who names one in the submission, or by SMTP, has said it.
    assert shadow.message(only_id(shadow.send_mime(plain(), sender="eve@example.com")))["from"] == "eve@example.com"
    assert shadow.message(shadow.submit(plain(), ["bob@receiver.test"]))["from"] == "ada@example.com"


def test_an_envelope_sender_of_its_own_for_each_recipient(shadow: Postern) -> None:
    shadow.set(default_envelope_strategy="verp", envelope_address="bounces@example.com")
    accepted = shadow.send(to=["bob@receiver.test", "eve@receiver.test"])
    senders = [shadow.message(message["id"])["from"] for message in accepted["messages"]]
    assert len(set(senders)) == 2 and all(sender.endswith("@example.com") for sender in senders)
    assert all(sender.startswith("bounces+") for sender in senders)
    assert all(len(sender.partition("@")[0]) <= 64 for sender in senders)
    long = "x" * 64 + "@" + "d" * 60 + ".receiver.test"
    sender = shadow.message(only_id(shadow.send(to=[long])))["from"]
    assert sender.startswith("bounces+") and len(sender.partition("@")[0]) <= 64


def test_the_vaults_own_envelope_sender_is_judged_by_the_vaults_domains(shadow: Postern) -> None:
    """And not by the caller's, who did not choose it."""
    shadow.set(allowed_sender_domains=["example.com", "bounce.example.net"], default_envelope_strategy="fixed",
               envelope_address="b@bounce.example.net")  # fmt: skip
    _, narrow = shadow.new_key("send", sender_domains=["example.com"])
    narrow.call("POST", "/v1/messages", expect=202, json=SIMPLE)
    shadow.set(allowed_sender_domains=["example.com"])
    narrow.problem("POST", "/v1/messages", 403, "sender_domain_not_allowed", json=SIMPLE)


def test_inbound_smtp_enabled(shadow: Postern) -> None:
    shadow.set(inbound_smtp_enabled=False)
    with shadow.smtp(login=False) as session:
        login = (shadow.card["smtp"]["username"], shadow.card["smtp"]["password"])
        with pytest.raises(Exception, match="535|550|530"):
            session.client.login(*login)
    shadow.as_smtp_user().call("POST", "/v1/messages", expect=202, json=SIMPLE)
    shadow.set(inbound_smtp_enabled=None)
    shadow.submit(plain(), ["bob@receiver.test"])


def test_agent_send_requires_approval(shadow: Postern) -> None:
    shadow.set(agent_send_requires_approval=True)
    made = shadow.call(
        "POST", "/v1/keys", expect=201, json={"label": "a", "kind": "agent", "scopes": ["send", "admin"]}
    )
    agent = shadow.as_key(made["key"])
    before = shadow.message_ids()
    problem = agent.problem("POST", "/v1/messages", 403, "approval_required", json=SIMPLE)
    assert "agent_send_requires_approval" in problem["detail"] + problem["fix"]
    # Nor gets it around that by a key that it makes itself.
    child = agent.call("POST", "/v1/keys", expect=201, json={"label": "a", "scopes": ["send"]})
    assert child["kind"] == "agent"
    shadow.as_key(child["key"]).problem("POST", "/v1/messages", 403, "approval_required", json=SIMPLE)
    assert shadow.message_ids() == before
    shadow.send()
    shadow.set(agent_send_requires_approval=None)
    agent.call("POST", "/v1/messages", expect=202, json=SIMPLE)


def test_approve_over_rate_threshold(shadow: Postern) -> None:
    shadow.set(approve_over_rate_threshold=2)
    _, caller = shadow.new_key("send")
    for _ in range(2):
        caller.call("POST", "/v1/messages", expect=202, json=SIMPLE)
    problem = caller.problem("POST", "/v1/messages", 403, "approval_required", json=SIMPLE)
    assert "approve_over_rate_threshold" in problem["detail"] + problem["fix"]
    _, other = shadow.new_key("send")
    other.call("POST", "/v1/messages", expect=202, json=SIMPLE)


def test_retention_days(new_postern: MakePostern) -> None:
    """Messages are made old in the database, for nobody waits for days."""
    postern = new_postern()
    postern.start()
    ids = {name: only_id(postern.send()) for name in ("old", "young")}
    ids["waiting"] = only_id(postern.send(send_at=(datetime.now(UTC) + timedelta(days=30)).isoformat()))
    for name in ("old", "young"):
        postern.wait_status(ids[name], "captured")
    postern.set(retention_days=1)
    postern.terminate()
    with sqlite3.connect(postern.data / "postern.db") as database:
        for name in ("old", "waiting"):
            database.execute("UPDATE smtp_relay_logs SET updated_at = updated_at - 90000000 WHERE id = ?", [ids[name]])
    postern.start()
    until(lambda: postern.api("GET", f"/v1/messages/{ids['old']}").status_code == 404, "the old one is deleted", 90)
    assert postern.api("GET", f"/v1/messages/{ids['old']}/raw").status_code == 404
    assert postern.api("GET", f"/v1/messages/{ids['old']}/events").status_code == 404
    assert postern.message(ids["young"])["status"] == "captured"
    assert postern.message(ids["waiting"])["status"] == "scheduled", "what has not ended stays"
    with sqlite3.connect(f"file:{postern.data / 'postern.db'}?mode=ro", uri=True) as database:
        assert database.execute("SELECT count(*) FROM payloads").fetchone()[0] == 2, "its content is gone too"


# Who may sign in how, by path


def test_auth_mode_of_each_path(shadow: Postern) -> None:
    shadow.set(auth_mode={"default": "api_key", "/v1/send": "both", "/v1/send/simple": "smtp", "/v1/map": "smtp"})
    login, canonical = shadow.as_smtp_user(), {
        "recipient": "bob@receiver.test",
        "mime": {"to": "bob@receiver.test", "from": {"address": "ada@example.com"}, "text": "x"},
    }  # fmt: skip
    takes = {
        ("/v1/messages", "key"): 202, ("/v1/messages", "login"): 403, ("/v1/send", "key"): 202,
        ("/v1/send", "login"): 202, ("/v1/send/canonical", "login"): 202, ("/v1/send/simple", "login"): 202,
        ("/v1/send/simple", "key"): 403, ("/v1/map/simple", "key"): 403, ("/v1/map/simple", "login"): 200,
    }  # fmt: skip
    for (path, who), status in takes.items():
        body = SIMPLE if path.endswith(("simple", "messages")) else canonical
        answer = (shadow if who == "key" else login).api("POST", path, json=body)
        assert answer.status_code == status, f"{path} by {who}: {describe(answer)}"
        if status == 403:
            assert answer.json()["code"] == "forbidden" and "auth_mode" in answer.json()["detail"]
            assert path in answer.json()["detail"]
    # What is no path for mail is for keys only, whatever the setting says.
    shadow.set(auth_mode="smtp")
    assert shadow.call("GET", "/v1/settings")["settings"]["auth_mode"]["value"] == "smtp"
    login.problem("GET", "/v1/messages", 401, "unauthorized")
    login.problem("GET", "/v1/me", 401, "unauthorized")


def test_auth_mode_closes_a_providers_path(shadow: Postern) -> None:
    body = {"personalizations": [{"to": [{"email": "bob@receiver.test"}]}], "from": {"email": "ada@example.com"},
            "subject": "Hi", "content": [{"type": "text/plain", "value": "x"}]}  # fmt: skip
    assert shadow.api("POST", "/sendgrid/v3/mail/send", json=body).status_code == 202
    shadow.set(auth_mode={"default": "both", "/sendgrid": "smtp"})
    refused = shadow.api("POST", "/sendgrid/v3/mail/send", json=body)
    assert refused.status_code == 403 and refused.json()["errors"][0]["message"], describe(refused)
    email = {"From": "ada@example.com", "To": "bob@receiver.test", "Subject": "Hi", "TextBody": "x"}
    token_field = {"X-Postmark-Server-Token": shadow.card["api_key"], "Authorization": ""}
    shadow.set(auth_mode={"default": "both", "/postmark": "smtp"})
    for path in ("/postmark/email", "/email"):
        refused = shadow.api("POST", path, json=email, headers=token_field)
        assert refused.status_code == 422 and refused.json()["ErrorCode"] != 0, f"{path}: {describe(refused)}"
        assert "auth_mode" in refused.json()["Message"]
    shadow.set(auth_mode=None)
    assert shadow.api("POST", "/email", json=email, headers=token_field).status_code == 200
