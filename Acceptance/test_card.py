"""The quickstart card: what it prints works when it is pasted into a shell, and it is the same at the next start."""

from __future__ import annotations

import os
import re
import stat
import subprocess

import pytest
from harness.api import only_id
from harness.mail import MESSAGE_ID
from harness.postern import Postern


def printed(shadow: Postern, command: str) -> list[str]:
    """The card's lines that start with the command, each with its continuation lines."""
    output = shadow.output.read_text()
    return re.findall(rf"^{command} (?:.*\\\n)*.*$", output, re.MULTILINE)


def pasted(shadow: Postern, line: str) -> str:
    """What the line says when it is pasted into a shell."""
    done = subprocess.run(line, shell=True, cwd=shadow.directory, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("command", ["curl", "swaks"])
def test_the_printed_line_sends_a_message_that_is_captured(shadow: Postern, command: str) -> None:
    (id,) = set(MESSAGE_ID.findall(pasted(shadow, printed(shadow, command)[0])))
    message = shadow.wait_status(id, "captured")
    assert message["from"].endswith("example.com") or "example.com>" in message["from"]
    assert message["envelope"]["recipient"] == message["recipient"]
    assert shadow.event_types(id)[0] == "accepted"


def test_the_printed_line_that_reads_shows_what_was_sent(shadow: Postern) -> None:
    id = only_id(shadow.send())
    _, read = printed(shadow, "curl")
    assert id in MESSAGE_ID.findall(pasted(shadow, read))


def test_the_card_on_disk_says_what_the_printed_one_says(shadow: Postern) -> None:
    card, output = shadow.card, shadow.output.read_text()
    assert card["url"] == shadow.url
    assert card["vault"]
    assert (card["smtp"]["port"], card["smtp"]["tls_port"]) == (shadow.smtp_port, shadow.smtp_tls_port)
    for word in (card["url"], card["api_key"], card["smtp"]["username"], card["smtp"]["password"]):
        assert word in output, f"the printed card does not show {word}"


def test_secrets_on_disk_are_for_their_owner_only(shadow: Postern) -> None:
    assert stat.S_IMODE(os.stat(shadow.data / "quickstart.json").st_mode) == 0o600
    readable = [path for path in shadow.data.rglob("*key*") if path.is_file() and path.stat().st_mode & 0o077]
    assert not readable, f"others may read {readable}"


def test_the_key_on_the_card_has_every_scope(shadow: Postern) -> None:
    me = shadow.call("GET", "/v1/me")
    assert set(me["scopes"]) >= {"send", "read", "admin"}
    assert re.fullmatch(r"ak_[0-9A-Za-z]{8}_[0-9A-Za-z_-]{43}", shadow.card["api_key"])


def test_a_second_start_reuses_everything(shadow: Postern) -> None:
    before = shadow.card
    id = shadow.send()["id"]
    shadow.wait_status(id, "captured")
    shadow.restart()
    assert shadow.card == before
    assert shadow.message(id)["status"] == "captured"
    with shadow.smtp() as session:
        assert session.command("NOOP").code == 250
