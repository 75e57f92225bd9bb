"""The command line as a client of the API: what people and scripts type, and what they get."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from harness.cli import REFUSED, TIMED_OUT, UNREACHABLE, WRONG_USE, Cli, refused, said
from harness.mail import parsed, plain, token, without_trace
from harness.network import LOOPBACK, free_port
from harness.postern import Postern, binary, clean_environment
from harness.smtp import SMTPSession

SEND = ["send", "--from", "Ada <ada@example.com>", "--subject", "By hand", "--text", "Hello"]

# Sending


def test_send_hands_in_what_was_typed(shadow: Postern, cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "Größe.pdf").write_bytes(b"%PDF-1.7")
    accepted = cli.answered(
        "send", "--from", "Ada <ada@example.com>", "--to", "bob@receiver.test", "--cc", "cleo@receiver.test",
        "--bcc", "dan@receiver.test", "--reply-to", "help@example.com", "--subject", "Größe", "--html", "-",
        "--attach", "Größe.pdf", "--header", "X-Order: 17", "--tag", "a", "b", input="<p>π</p>".encode(),
    )  # fmt: skip
    assert [message["recipient"].split("@")[0] for message in accepted["messages"]] == ["bob", "cleo", "dan"]
    assert shadow.wait_status(accepted["id"], "captured")["tags"] == ["a", "b"]
    raw = shadow.raw(accepted["id"])
    message = parsed(raw)
    assert (message["Subject"], message["X-Order"], message["Cc"]) == ("Größe", "17", "cleo@receiver.test")
    assert b"dan@" not in raw
    body = message.get_body(("html",))
    assert body is not None and "π" in body.get_content()
    (attachment,) = message.iter_attachments()
    assert (attachment.get_filename(), attachment.get_content_type()) == ("Größe.pdf", "application/pdf")


def test_send_passes_a_finished_message_on(shadow: Postern, cli: Cli, tmp_path: Path) -> None:
    raw = plain(token())
    (tmp_path / "unix.eml").write_bytes(raw.replace(b"\r\n", b"\n"))
    for source, input in (("-", raw), ("unix.eml", b"")):
        sent = cli.answered(
            "send", "--raw", source, "--from", "ada@example.com", "--to", "eve@receiver.test", input=input
        )
        assert [message["recipient"] for message in sent["messages"]] == ["eve@receiver.test"]
        assert without_trace(shadow.raw(sent["id"])) == raw


def test_send_repeats_under_one_key(cli: Cli) -> None:
    arguments = [*SEND, "--to", "bob@receiver.test", "--idempotency-key", token()]
    first = cli.answered(*arguments)
    again = cli(*arguments, "--json")
    assert json.loads(said(again)) == first
    assert b"replayed" in again.stderr


def test_send_prints_each_id_for_people(shadow: Postern, cli: Cli) -> None:
    shown = said(cli(*SEND, "--to", "bob@receiver.test", "cleo@receiver.test"))
    rows = [line.split() for line in shown.splitlines()[1:]]
    assert [row[-1] for row in rows] == ["bob@receiver.test", "cleo@receiver.test"]
    for row in rows:
        assert shadow.message(row[0])["recipient"] == row[-1]


def test_a_refusal_says_what_to_do(cli: Cli) -> None:
    told = refused(cli("send", "--from", "a@elsewhere.test", "--to", "b@receiver.test", "--text", "x"), REFUSED)
    for word in ("sender_domain_not_allowed", "elsewhere.test", "fix:", "docs:", "request:"):
        assert word in told
    told = refused(cli(*SEND, "--to", "not an address"), REFUSED)
    assert "validation_failed" in told and "/to" in told


@pytest.mark.parametrize(
    "arguments",
    [["send"], [*SEND], ["send", "--raw", "no-such-file"], [*SEND, "--to", "b@receiver.test", "--colour", "red"],
     ["message", "show", ""], ["message", "list", "--limit", "201"], ["settings", "set", "nonsense"],
     ["key", "create", "--label", "x"], ["frobnicate"], ["message", "list", "--url", "ftp://example.com"]],
    ids=" ".join,
)  # fmt: skip
def test_what_cannot_be_meant_is_wrong_use(cli: Cli, arguments: Sequence[str]) -> None:
    told = refused(cli(*arguments), WRONG_USE)
    assert "Usage:" in told or "help" in told.lower()


def test_a_server_that_is_not_there_is_said_so(cli: Cli) -> None:
    url = f"http://{LOOPBACK}:{free_port()}"
    assert url in refused(cli("message", "list", POSTERN_URL=url), UNREACHABLE)


@pytest.mark.parametrize("id", ["../keys", "..", "x?y", "a/events", "%2e%2e"])
def test_an_id_cannot_lead_to_another_path(cli: Cli, id: str) -> None:
    assert "not_found" in refused(cli("message", "show", id), REFUSED)


def test_a_wrong_key_is_refused(cli: Cli) -> None:
    assert "unauthorized" in refused(cli("message", "list", POSTERN_TOKEN="ak_00000000_" + "x" * 43), REFUSED)


# Messages


def test_messages_are_listed_shown_and_told(shadow: Postern, cli: Cli) -> None:
    word = token()
    sent = [cli.answered(*SEND, "--to", f"{word}-{number}@receiver.test")["id"] for number in range(3)]
    for id in sent:
        assert cli.answered("message", "wait", id)["status"] == "captured"
    listed = cli.answered("message", "list", "--q", word)
    assert [row["id"] for row in listed["data"]] == sent[::-1]
    first = cli.answered("message", "list", "--q", word, "--limit", "2")
    assert len(first["data"]) == 2 and first["next_cursor"]
    rest = cli.answered("message", "list", "--q", word, "--limit", "2", "--cursor", first["next_cursor"])
    assert [row["id"] for row in first["data"] + rest["data"]] == sent[::-1]
    every = cli.answered("message", "list", "--q", word, "--limit", "1", "--all")
    assert [row["id"] for row in every["data"]] == sent[::-1]
    assert cli.answered("message", "show", sent[0]) == shadow.message(sent[0])
    assert cli.answered("message", "events", sent[0])["data"] == shadow.events(sent[0])
    assert cli("message", "raw", sent[0]).stdout == shadow.raw(sent[0])
    table = said(cli("message", "list", "--q", word)).splitlines()
    assert [line.split()[0] for line in table] == ["ID", *sent[::-1]]
    for event in ("accepted", "captured"):
        assert event in said(cli("message", "events", sent[0]))


def test_a_scheduled_message_is_waited_for_and_cancelled(cli: Cli) -> None:
    id = cli.answered(*SEND, "--to", "bob@receiver.test", "--send-at", "2027-01-01T00:00:00Z")["id"]
    assert "scheduled" in refused(cli("message", "wait", id, "--timeout", "0.2"), TIMED_OUT)
    assert cli.answered("message", "wait", id, "--until", "scheduled")["id"] == id
    assert cli.answered("message", "cancel", id)["status"] == "cancelled"
    assert cli("message", "wait", id, "--until", "captured").returncode == REFUSED
    assert cli.answered("message", "retry", id)["id"] == id


def test_a_strangers_words_do_not_reach_the_terminal_as_commands(shadow: Postern, cli: Cli) -> None:
    raw = plain("=?utf-8?Q?=1B]0;owned=07=C2=9B2J?=", to="bob@receiver.test")
    id = shadow.send_mime(raw, sender="ada@example.com", to=["bob@receiver.test"])["id"]
    for arguments in (["message", "show", id], ["message", "list"], ["message", "show", id, "--json"]):
        shown = said(cli(*arguments))
        assert not set(shown) & {"\x1b", "\x07", "\x9b"}, arguments


# Keys, logins, settings, pools


def test_a_key_lives_and_dies(shadow: Postern, cli: Cli) -> None:
    made = cli("key", "create", "--label", "by hand", "--scope", "send", "read", "--sender-domain", "example.com",
               "--json")  # fmt: skip
    key = json.loads(said(made))
    assert b"only time" in made.stderr
    assert (key["label"], key["scopes"], key["sender_domains"]) == ("by hand", ["send", "read"], ["example.com"])
    assert cli.answered("message", "list", POSTERN_TOKEN=key["key"])["data"] is not None
    assert key["id"] in [row["id"] for row in cli.answered("key", "list", "--all")["data"]]
    assert key["key"] not in said(cli("key", "list", "--all")) + said(cli("key", "show", key["id"]))
    old, key = key, cli.answered("key", "rotate", key["id"])
    assert key["id"] == old["id"]
    assert "unauthorized" in refused(cli("message", "list", POSTERN_TOKEN=old["key"]), REFUSED)
    said(cli("message", "list", POSTERN_TOKEN=key["key"]))
    assert key["id"] in said(cli("key", "revoke", key["id"]))
    assert "unauthorized" in refused(cli("message", "list", POSTERN_TOKEN=key["key"]), REFUSED)


def test_a_key_is_bound_relabelled_and_rotated_with_overlap(cli: Cli) -> None:
    key = cli.answered(
        "key",
        "create",
        "--label",
        "bound",
        "--scope",
        "read,send",
        "--label-prefix",
        "bo",
        "--allowed-ip",
        "127.0.0.0/8",
        "::1",
        "--sender-domain",
        "example.com",
        "--ip-pool",
        "main",
        "--send-rate-limit",
        "100",
        "--burst-ceiling",
        "10",
        "--expires-in",
        "600",
        "--kind",
        "agent",
    )
    wanted = {
        "label_prefix": "bo",
        "allowed_ips": ["127.0.0.0/8", "::1"],
        "sender_domains": ["example.com"],
        "ip_pool": "main",
        "send_rate_limit": 100,
        "burst_ceiling": 10,
        "temporary": True,
        "kind": "agent",
    }
    assert key.items() >= wanted.items() and key["expires_at"]
    assert cli.answered("key", "relabel", key["id"], "--label", "bound anew")["label"] == "bound anew"
    assert "conflict" in cli.refused("key", "rotate", key["id"])
    old = cli.answered("key", "create", "--label", "turned", "--scope", "read")
    new = cli.answered("key", "rotate", old["id"], "--overlap", "600")
    for text in (old["key"], new["key"]):
        said(cli("message", "list", POSTERN_TOKEN=text))
    assert new["retiring_until"]
    refused = cli.refused("key", "create", "--label", "x", "--scope", "admin", POSTERN_TOKEN=new["key"])
    assert "forbidden" in refused
    wider = cli.answered("key", "create", "--label", "parent", "--scope", "admin", "--allowed-ip", "127.0.0.1")
    told = cli.refused(
        "key", "create", "--label", "x", "--scope", "send", "--allowed-ip", "0.0.0.0/0", POSTERN_TOKEN=wider["key"]
    )
    assert "/scopes" in told and "/allowed_ips" in told


def test_an_smtp_login_is_bound_edited_and_rotated(shadow: Postern, cli: Cli) -> None:
    user = cli.answered(
        "smtp-user", "create", "--username", token("cli"), "--allowed-ip", "192.0.2.1", "--ip-pool", "main"
    )
    assert (user["allowed_ips"], user["ip_pool"]) == (["192.0.2.1"], "main")
    assert cli.answered("smtp-user", "show", user["id"])["allowed_ips"] == ["192.0.2.1"]
    edited = cli.answered("smtp-user", "edit", user["id"], "--allowed-ip", "127.0.0.1", "--label", "printer")
    assert (edited["allowed_ips"], edited["label"], edited["ip_pool"]) == (["127.0.0.1"], "printer", "main")
    turned = cli.answered("smtp-user", "rotate", user["id"])
    assert turned["password"] != user["password"]
    with SMTPSession.opened(shadow.smtp_port, "starttls", (user["username"], turned["password"])) as session:
        assert session.submit("ada@example.com", ["bob@receiver.test"], plain()).accepted_id


def test_an_smtp_login_lives_and_dies(shadow: Postern, cli: Cli) -> None:
    name = token("cli")
    user = cli.answered("smtp-user", "create", "--username", name, "--label", "printer")
    with SMTPSession.opened(shadow.smtp_port, "starttls", (user["username"], user["password"])) as session:
        assert session.submit("ada@example.com", ["bob@receiver.test"], plain()).accepted_id
    table = said(cli("smtp-user", "list"))
    assert name in table and user["password"] not in table
    said(cli("smtp-user", "delete", user["id"]))
    assert name not in said(cli("smtp-user", "list"))


def test_settings_are_read_and_changed(shadow: Postern, cli: Cli) -> None:
    before = shadow.settings()
    try:
        said(cli("settings", "set", "default_priority=7", "default_tags=news,weekly"))
        assert said(cli("settings", "get", "default_priority")).strip() == "7"
        assert cli.answered("settings", "get", "default_tags")["default_tags"]["value"] == ["news", "weekly"]
        said(cli("settings", "set", "smarthost_password=-", input=b"12345\n"))
        assert cli.answered("settings", "list")["settings"]["smarthost_password"]["value"] == {"set": True}
        assert "12345" not in said(cli("settings", "list"))
        wrong = refused(cli("settings", "set", "route=pigeon", "default_priority=3"), REFUSED)
        assert "validation_failed" in wrong and "/route" in wrong
        assert shadow.settings()["default_priority"]["value"] == 7
    finally:
        said(cli("settings", "unset", "default_priority", "default_tags", "smarthost_password"))
    assert shadow.settings() == before


def test_pools_are_made_changed_and_deleted(cli: Cli) -> None:
    made = cli.answered("pool", "create", "--domain", "cli.example", "--pool", "main", "--ip", "192.0.2.1")
    changed = cli.answered("pool", "edit", made["id"], "--ip", "192.0.2.2,2001:db8::2")
    assert (changed["pool"], changed["ips"]) == ("main", ["192.0.2.2", "2001:db8::2"])
    assert "192.0.2.2" in said(cli("pool", "list"))
    said(cli("pool", "delete", made["id"]))
    assert made["id"] not in said(cli("pool", "list"))


# Finding the server, and help


def test_the_cards_server_and_key_are_found_where_it_lies(shadow: Postern, cli: Cli) -> None:
    done = subprocess.run(
        [binary(), "message", "list", "--json"], cwd=shadow.directory, env=clean_environment(), capture_output=True,
        timeout=30,
    )  # fmt: skip
    assert "data" in json.loads(said(done))
    assert "unauthorized" in refused(
        cli("message", "list", POSTERN_URL=shadow.url, POSTERN_TOKEN="", POSTERN_DATA_DIR="elsewhere"), REFUSED
    )


def test_the_cards_key_is_not_sent_to_another_server(shadow: Postern, cli: Cli) -> None:
    other = shadow.url.replace(LOOPBACK, "localhost")
    done = cli("message", "list", POSTERN_URL=other, POSTERN_TOKEN="", POSTERN_DATA_DIR=str(shadow.data))
    assert "unauthorized" in refused(done, REFUSED)


@pytest.mark.parametrize(
    "command",
    [
        "",
        "serve",
        "quickstart",
        "migrate",
        "check",
        "send",
        "key",
        "key create",
        "smtp-user",
        "smtp-user create",
        "message",
        "message list",
        "message wait",
        "settings",
        "settings set",
        "settings explain",
        "pool",
        "pool create",
        "pool move-ip",
        "secrets",
        "secrets set",
        "secrets rotate",
        "audit",
        "audit list",
        "key relabel",
        "smtp-user edit",
    ],
)
def test_help_shows_an_example(cli: Cli, command: str) -> None:
    shown = said(cli(*command.split(), "--help"))
    assert f"postern {command}".strip() in shown
    assert "Example" in shown or command == ""


def test_a_reader_that_has_enough_is_no_mistake(cli: Cli, shadow: Postern) -> None:
    for _ in range(5):
        shadow.send()
    environment = clean_environment(POSTERN_URL=shadow.url, POSTERN_TOKEN=shadow.card["api_key"])
    done = subprocess.run(
        f"'{binary()}' message list --all --limit 1 | head -1", shell=True, env=environment, capture_output=True,
        timeout=30, executable="/bin/bash",
    )  # fmt: skip
    assert done.stdout.startswith(b"ID") and done.stderr == b""
