"""The quickstart card: what it prints works when it is pasted into a shell, and it is the same at the next start."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
from collections.abc import Callable

import pytest
from harness.api import only_id
from harness.mail import MESSAGE_ID
from harness.people import PASSWORD, Person, try_to_sign_in
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
    _, read, _ = printed(shadow, "curl")
    assert id in MESSAGE_ID.findall(pasted(shadow, read))


def test_the_printed_line_signs_the_owner_in(shadow: Postern) -> None:
    _, _, sign_in = printed(shadow, "curl")
    answer = json.loads(pasted(shadow, sign_in))
    assert (answer["user"]["email"], answer["user"]["role"]) == ("owner@postern.localhost", "owner")
    owner = Person(shadow.url, answer, password=shadow.card["owner"]["password"])
    memberships = owner.call("GET", "/auth/me")["memberships"]
    assert [(row["slug"], row["role"]) for row in memberships] == [(shadow.card["vault"], "owner")]


def test_the_card_on_disk_says_what_the_printed_one_says(shadow: Postern) -> None:
    card, output = shadow.card, shadow.output.read_text()
    assert card["url"] == shadow.url
    assert card["vault"]
    assert (card["smtp"]["port"], card["smtp"]["tls_port"]) == (shadow.smtp_port, shadow.smtp_tls_port)
    words = [card["url"], card["api_key"], card["smtp"]["username"], card["smtp"]["password"]]
    for word in words + [card["owner"]["email"], card["owner"]["password"]]:
        assert word in output, f"the printed card does not show {word}"


def test_secrets_on_disk_are_for_their_owner_only(shadow: Postern) -> None:
    assert stat.S_IMODE(os.stat(shadow.data / "quickstart.json").st_mode) == 0o600
    readable = [path for path in shadow.data.rglob("*key*") if path.is_file() and path.stat().st_mode & 0o077]
    assert not readable, f"others may read {readable}"


def test_the_key_on_the_card_has_every_scope(shadow: Postern) -> None:
    me = shadow.call("GET", "/v1/me")
    assert set(me["scopes"]) >= {"send", "read", "admin"}
    assert re.fullmatch(r"ak_[0-9A-Za-z]{8}_[0-9A-Za-z_-]{43}", shadow.card["api_key"])


def test_a_password_that_was_changed_is_the_owners_own(new_postern: Callable[..., Postern]) -> None:
    """It is neither set back nor written down: the card says why there is none."""
    postern = new_postern()
    postern.start()
    owner = postern.owner()
    owner.call("POST", "/auth/password", expect=204, json={"current": owner.password, "new": PASSWORD})
    before = postern.card
    postern.restart()
    assert "owner" not in postern.card
    assert postern.card == {name: value for name, value in before.items() if name != "owner"}
    said = postern.output.read_text().rpartition("Postern is running")[2]
    assert "postern recover" in said and owner.password not in said and PASSWORD not in said
    assert owner.again(password=PASSWORD).is_signed_in
    assert try_to_sign_in(postern.url, owner.email, owner.password).status_code == 401


def test_a_second_start_reuses_everything(shadow: Postern) -> None:
    before = shadow.card
    id = shadow.send()["id"]
    shadow.wait_status(id, "captured")
    shadow.restart()
    assert shadow.card == before
    assert shadow.message(id)["status"] == "captured"
    with shadow.smtp() as session:
        assert session.command("NOOP").code == 250
