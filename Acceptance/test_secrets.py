"""Secrets: set, listed, replaced and sealed anew, and never seen again: not in an answer, a log, a metric, a command's
output, or the bytes of the data directory. The master key is the one that opens them, or the start is refused.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import live
from harness.api import only_id
from harness.cli import WRONG_USE, Cli
from harness.mail import token
from harness.peers import Peer
from harness.postern import Postern, clean_environment, binary, run
from harness.tls import Authority
from harness.waiting import until

MakePostern = Callable[..., Postern]

SIMPLE = {"from": "ada@example.com", "to": ["bob@receiver.test"], "subject": "Hello", "text": "Hi"}


@pytest.fixture(autouse=True)
def clean(shadow: Postern) -> Iterator[None]:
    yield
    for row in shadow.call("GET", "/v1/secrets")["data"]:
        shadow.call("DELETE", f"/v1/secrets/{row['name']}", expect=204)


def names(postern: Postern) -> list[str]:
    return [row["name"] for row in postern.call("GET", "/v1/secrets")["data"]]


# By the command line and by the API


def test_a_secret_is_set_listed_replaced_and_deleted(shadow: Postern, cli: Cli, tmp_path: Path) -> None:
    made = cli.answered("secrets", "set", "provider_key", input=b"first-value\n")
    assert made.keys() == {"name", "updated_at"} and made["name"] == "provider_key"
    (tmp_path / "value.txt").write_bytes(b"second-value\r\n")
    again = cli.answered("secrets", "set", "provider_key", "--value-file", "value.txt")
    assert again["updated_at"] > made["updated_at"]
    assert shadow.call("PUT", "/v1/secrets/broker_password", json={"value": "third-value"})["name"] == "broker_password"
    listed = cli.answered("secrets", "list")
    assert listed["data"] == shadow.call("GET", "/v1/secrets")["data"]
    assert [row["name"] for row in listed["data"]] == ["broker_password", "provider_key"]
    table = cli.said("secrets", "list")
    assert "provider_key" in table and "broker_password" in table
    assert "2 secrets" in cli.said("secrets", "rotate")
    assert cli.answered("secrets", "rotate") == {"rotated": 2}
    cli.said("secrets", "delete", "provider_key")
    assert names(shadow) == ["broker_password"]
    assert "not_found" in cli.refused("secrets", "delete", "provider_key")
    assert not any(b"-value" in said for said in cli.everything)


def test_a_value_is_never_typed_into_the_command_line(cli: Cli) -> None:
    cli.refused("secrets", "set", "provider_key", "typed-value", code=WRONG_USE)
    cli.refused("secrets", "set", "provider_key", code=WRONG_USE)
    cli.refused("secrets", "set", "provider_key", input=b"\n", code=WRONG_USE)
    cli.refused("secrets", "set", "provider_key", input=b"\xff\n", code=WRONG_USE)


@pytest.mark.parametrize("name", ["UPPER", "with-dash", "with.dot", "a" * 65, "%20", "with space"])
def test_a_name_that_is_none_is_refused(shadow: Postern, name: str) -> None:
    shadow.problem("PUT", f"/v1/secrets/{name}", 422, "validation_failed", json={"value": "x"})
    shadow.problem("DELETE", f"/v1/secrets/{name}", 404, "not_found")


@pytest.mark.parametrize(
    "body", [{}, {"value": ""}, {"value": None}, {"value": 5}, {"value": "x" * 20_000}, {"value": "x", "y": 1}]
)
def test_a_value_that_is_none_is_refused(shadow: Postern, body: dict) -> None:
    problem = shadow.problem("PUT", "/v1/secrets/own", 422, "validation_failed", json=body)
    assert "x" * 100 not in json.dumps(problem)
    assert names(shadow) == []


def test_secrets_are_for_administrators(shadow: Postern) -> None:
    for scopes in (["read"], ["send"], ["amqp", "mailerq"]):
        caller = shadow.new_key(*scopes)[1]
        caller.problem("GET", "/v1/secrets", 403, "forbidden")
        caller.problem("PUT", "/v1/secrets/own", 403, "forbidden", json={"value": "x"})
        caller.problem("POST", "/v1/secrets/rotate", 403, "forbidden")
    _, reader = shadow.new_key("admin", read_only=True)
    reader.call("GET", "/v1/secrets")
    reader.problem("PUT", "/v1/secrets/own", 403, "forbidden", json={"value": "x"})


def test_a_setting_that_is_secret_and_the_secret_are_one(shadow: Postern) -> None:
    shadow.set(smarthost_password="by-setting")
    assert names(shadow) == ["smarthost_password"]
    shadow.call("PUT", "/v1/secrets/smarthost_password", json={"value": "by-secret"})
    assert shadow.settings()["smarthost_password"]["value"] == {"set": True}
    shadow.call("DELETE", "/v1/secrets/smarthost_password", expect=204)
    assert shadow.settings()["smarthost_password"]["value"] == {"set": False}


def test_the_value_is_what_was_set_before_and_after_a_rotation(
    tmp_path: Path, authority: Authority, new_postern: MakePostern
) -> None:
    """The smart host is the one who sees it."""
    password = token("smarthost-password")
    with Peer(
        starttls=authority.issue(token("peer"), "DNS:localhost").server_context(), login=("postern", password)
    ) as peer:
        postern = new_postern(**live(authority))
        postern.start()
        cli = Cli(postern, tmp_path)
        cli.said("secrets", "set", "smarthost_password", input=password.encode())
        postern.set(route="smarthost", live_send_enabled=True, smarthost_host="localhost", smarthost_port=peer.port,
                    smarthost_tls="required", smarthost_username="postern")  # fmt: skip
        postern.wait_status(only_id(postern.send()), "delivered")
        cli.said("secrets", "rotate")
        postern.wait_status(only_id(postern.send()), "delivered")
        postern.restart()
        postern.wait_status(only_id(postern.send()), "delivered")


# Nobody sees one


@pytest.mark.timeout(240)
def test_a_planted_secret_is_nowhere(new_postern: MakePostern, authority: Authority, tmp_path: Path) -> None:
    """Planted in every place that takes one, used, refused, crashed with, and then looked for in all output."""
    smarthost, provider, by_setting = token("PlantedSmarthost"), token("PlantedProvider"), token("PlantedBySetting")
    with Peer(
        starttls=authority.issue(token("peer"), "DNS:localhost").server_context(), login=("postern", "other")
    ) as peer:
        postern = new_postern(**live(authority), POSTERN_LOG_LEVEL="trace")
        postern.start()
        cli = Cli(postern, tmp_path)
        answers: list[str] = []

        def asked(method: str, path: str, **arguments: Any) -> None:
            answer = postern.api(method, path, **arguments)
            answers.append(f"{answer.headers} {answer.text}")

        postern.set(smarthost_password=by_setting)
        cli("secrets", "set", "smarthost_password", "--json", input=smarthost.encode())
        cli("secrets", "set", "provider_key", input=provider.encode())
        # What is refused must not be repeated in the refusal.
        for body in ({"value": provider, "colour": "red"}, {"value": [provider]}, {"value": provider * 1000}):
            asked("PUT", "/v1/secrets/provider_key", json=body)
        asked("PUT", "/v1/secrets/Wrong", json={"value": provider})
        asked("PATCH", "/v1/settings", json={"smarthost_password": [by_setting]})
        asked("PATCH", "/v1/settings", json={"smarthost_password": by_setting, "route": "pigeon"})
        asked("PATCH", "/v1/settings", json={"smarthost_password": by_setting * 200})
        cli("settings", "set", "smarthost_password=-", "route=pigeon", input=by_setting.encode())

        # In use: the smart host refuses it, and what it says goes into the events and the log.
        postern.set(route="smarthost", live_send_enabled=True, smarthost_host="localhost", smarthost_port=peer.port,
                    smarthost_tls="required", smarthost_username="postern")  # fmt: skip
        id = only_id(postern.send())

        def attempted() -> bool:
            return "deferred" in postern.event_types(id) or "failed" in postern.event_types(id)

        until(attempted, "the smart host has refused the login", 30)
        for path in (
            "/v1/settings",
            "/v1/settings/smarthost_password",
            "/v1/secrets",
            "/v1/audit",
            "/v1/alerts",
            "/metrics",
            "/readyz",
            "/v1/me",
            "/v1/queues",
            "/openapi.json",
            f"/v1/messages/{id}",
            f"/v1/messages/{id}/events",
            f"/v1/messages/{id}/raw",
            f"/v1/messages/{id}/mailerq",
            "/v1/keys",
            "/v1/smtp-users",
        ):
            asked("GET", path)
        for command in (
            "settings list",
            "settings get smarthost_password",
            "settings explain smarthost_password",
            "secrets list",
            "secrets rotate",
            "audit list --all",
            f"message show {id}",
            f"message events {id}",
        ):
            cli(*command.split())
            cli(*command.split(), "--json")
        check = run("check", cwd=postern.directory, POSTERN_DATA_DIR=str(postern.data))
        crash(postern)
        postern.start()
        postern.terminate()

        said = [
            postern.log.read_bytes(),
            postern.output.read_bytes(),
            *cli.everything,
            check.stdout.encode(),
            check.stderr.encode(),
        ]
        kept = [path.read_bytes() for path in postern.directory.rglob("*") if path.is_file()]
        assert sum(map(len, kept)) > 100_000, "the database is among them"
        for secret in (smarthost, provider, by_setting):
            forms = {
                secret.encode(),
                base64.b64encode(secret.encode()),
                secret.encode().hex().encode(),
                base64.b64encode(f"\0postern\0{secret}".encode()),
            }
            for form in forms:
                assert not any(form in one for one in said), f"{secret} was said"
                assert not any(form in one for one in kept), f"{secret} lies in a file"
            assert not any(secret in answer for answer in answers), f"{secret} was answered"
        master = (postern.data / "master.key").read_text().strip()
        assert not any(master.encode() in one for one in said)
        card = postern.card
        for secret in (card["api_key"], card["smtp"]["password"]):
            assert secret.encode() not in said[0], "the log has a secret of the card"


def crash(postern: Postern) -> None:
    """Ends it as a bad pointer would, with whatever report is written then: where Swift's backtracer is installed, it
    writes one, and the program goes on, for nothing was wrong with it; else it is gone."""
    process = postern.process
    assert process is not None
    before = postern.log.stat().st_size
    process.send_signal(signal.SIGSEGV)
    until(
        lambda: process.poll() is not None or "Backtrace took" in postern.log_tail(since=before), "it has crashed", 120
    )
    postern.kill9()


# The master key


def start_fails(postern: Postern, **environment: str) -> str:
    """What a start that is refused says; the log's last words only."""
    before = postern.log.stat().st_size if postern.log.exists() else 0
    postern.start(wait=False, **environment)
    process = postern.process
    assert process is not None
    try:
        code = process.wait(20)
    except subprocess.TimeoutExpired:
        postern.kill9()
        raise AssertionError("it started") from None
    postern.process = None
    assert code != 0
    return postern.log_tail(since=before)


def other_key() -> str:
    return base64.b64encode(os.urandom(32)).decode()


@pytest.mark.parametrize("command", ["serve", "quickstart"])
def test_another_master_key_is_refused_with_one_clear_sentence(new_postern: MakePostern, command: str) -> None:
    postern = new_postern()
    postern.start()
    postern.call("PUT", "/v1/secrets/own", json={"value": "x"})
    postern.terminate()
    wrong = other_key()
    postern.command = command
    told = start_fails(postern, POSTERN_MASTER_KEY=wrong)
    lines = [line for line in told.splitlines() if "master key" in line.lower()]
    assert len(lines) == 1 and "POSTERN_MASTER_KEY" in lines[0], told
    assert wrong not in told
    for internal in ("Fatal error", "Swift", "wrongKey", "SealingError", "CryptoKit", "   at "):
        assert internal not in told, told
    # With the right one everything is as it was.
    del postern.environment["POSTERN_MASTER_KEY"]
    postern.command = "quickstart"
    postern.start()
    assert names(postern) == ["own"]


@pytest.mark.parametrize("command", ["serve", "quickstart"])
def test_a_missing_master_key_is_refused_and_not_made_anew(new_postern: MakePostern, command: str) -> None:
    """A new one would open nothing, and would hide that the old one is gone."""
    postern = new_postern()
    postern.start()
    postern.call("PUT", "/v1/secrets/own", json={"value": "x"})
    postern.terminate()
    path = postern.data / "master.key"
    kept = path.read_bytes()
    path.unlink()
    postern.command = command
    told = start_fails(postern)
    assert "master key" in told.lower() and str(path) in told, told
    assert not path.exists(), "a key that opens nothing must not lie there as if it were the right one"
    path.write_bytes(kept)
    postern.command = "quickstart"
    postern.start()
    assert names(postern) == ["own"]


@pytest.mark.parametrize("wrong", ["", "short", "not base64 at all, and longer than it would have to be!", "QUJD"])
def test_what_is_no_master_key_is_refused(new_postern: MakePostern, wrong: str) -> None:
    postern = new_postern()
    postern.start()
    postern.terminate()
    if wrong:
        told = start_fails(postern, POSTERN_MASTER_KEY=wrong)
        assert "POSTERN_MASTER_KEY" in told, told
        assert wrong not in told
        del postern.environment["POSTERN_MASTER_KEY"]
    (postern.data / "master.key").write_text(wrong)
    told = start_fails(postern)
    assert "master" in told.lower(), told
    assert not wrong or wrong not in told


def test_the_master_key_is_replaced_while_nothing_runs(new_postern: MakePostern, tmp_path: Path) -> None:
    postern = new_postern()
    postern.start()
    postern.call("PUT", "/v1/secrets/own", json={"value": "x"})
    new = tmp_path / "master-2.key"
    new.write_text(other_key() + "\n")
    new.chmod(0o600)

    def rotate(**environment: str) -> subprocess.CompletedProcess[str]:
        return run("secrets", "rotate-master", "--new-key-file", str(new), cwd=postern.directory,
                   POSTERN_DATA_DIR=str(postern.data), **environment)  # fmt: skip

    running = rotate()
    assert running.returncode != 0, "a process that runs would go on with the old one"
    postern.call("PUT", "/v1/secrets/own", json={"value": "y"})
    postern.terminate()
    wrong = rotate(POSTERN_MASTER_KEY=other_key())
    assert wrong.returncode != 0 and "POSTERN_MASTER_KEY" in wrong.stderr
    done = rotate()
    assert done.returncode == 0, done.stdout + done.stderr
    assert str(new) in done.stdout and new.read_text().strip() not in done.stdout + done.stderr
    again = rotate()
    assert again.returncode == 0 and "already" in again.stdout, "a second run is no harm"
    told = start_fails(postern)
    assert "master key" in told and str(postern.data / "master.key") in told, told
    postern.start(POSTERN_MASTER_KEY_FILE=str(new))
    assert names(postern) == ["own"]
    assert postern.call("POST", "/v1/secrets/rotate") == {"rotated": 1}, "every secret can be opened"


def test_check_says_so_as_well(new_postern: MakePostern) -> None:
    postern = new_postern()
    postern.start()
    postern.terminate()
    settings = {"POSTERN_DATA_DIR": str(postern.data), "POSTERN_MASTER_KEY": other_key()}
    done = subprocess.run(
        [binary(), "check"], cwd=postern.directory, env=clean_environment(**settings), capture_output=True, text=True,
        timeout=30,
    )  # fmt: skip
    assert done.returncode == 1 and "master key" in (done.stdout + done.stderr).lower(), done.stdout + done.stderr
