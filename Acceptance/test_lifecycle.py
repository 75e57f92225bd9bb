"""Starting, refusing to start, and stopping."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from conftest import live, use_smarthost
from harness.api import only_id
from harness.load import Load
from harness.mail import plain, token
from harness.network import LOOPBACK, free_port, listens
from harness.peers import Hang, Peer
from harness.postern import Postern, run
from harness.tls import Authority
from harness.waiting import until

MakePostern = Callable[..., Postern]

WRONG = {
    "POSTERN_HTTP_PORT": "eighty",
    "POSTERN_SMTP_PORT": "99999",
    "POSTERN_EMAILGATEWAY_ENABLED": "perhaps",
    "POSTERN_RETRY_INITIAL": "soon",
    "POSTERN_NO_SUCH_KEY": "1",
    "POSTERN_DEFAULT_NO_SUCH_SETTING": "1",
    "POSTERN_DEFAULT_DEFAULT_PRIORITY": "high",
}


@pytest.mark.parametrize("command", ["serve", "quickstart", "check", "migrate"])
def test_the_start_is_refused_with_every_problem_in_one_message(tmp_path: Path, command: str) -> None:
    done = run(command, cwd=tmp_path, POSTERN_DATA_DIR=str(tmp_path / "data"), **WRONG)
    assert done.returncode not in (0, -6, -11), done.stderr
    said = done.stdout + done.stderr
    missing = [key for key in WRONG if key not in said]
    assert not missing, f"not a word about {missing} in:\n{said}"
    assert not (tmp_path / "data").exists(), "nothing is made before the configuration is right"


def test_a_port_that_is_taken_is_said_so(tmp_path: Path) -> None:
    with socket.create_server((LOOPBACK, free_port())) as taken:
        port = str(taken.getsockname()[1])
        done = run("quickstart", cwd=tmp_path, POSTERN_DATA_DIR=str(tmp_path / "data"), POSTERN_HTTP_PORT=port,
                   POSTERN_SMTP_PORT=str(free_port()), POSTERN_SMTP_TLS_PORT=str(free_port()))  # fmt: skip
    assert done.returncode not in (0, -6, -11)
    assert port in done.stdout + done.stderr


def test_one_data_directory_one_process(new_postern: MakePostern, tmp_path: Path) -> None:
    """Two embedded instances on one database would send everything twice, or lose it."""
    first = new_postern()
    first.start()
    done = run("quickstart", cwd=tmp_path, POSTERN_DATA_DIR=str(first.data), POSTERN_HTTP_PORT=str(free_port()),
               POSTERN_SMTP_PORT=str(free_port()), POSTERN_SMTP_TLS_PORT=str(free_port()))  # fmt: skip
    assert done.returncode not in (0, -6, -11)
    first.wait_status(only_id(first.send()), "captured")


def test_off_means_off(new_postern: MakePostern) -> None:
    postern = new_postern()
    postern.start()
    id = only_id(postern.send())
    postern.wait_status(id, "captured")
    postern.terminate()
    postern.start(command="serve", POSTERN_EMAILGATEWAY_ENABLED="false")
    for method, path in [
        ("POST", "/v1/send"), ("POST", "/v1/send/mime"), ("POST", "/v1/send/simple"), ("POST", "/v1/map/canonical"),
        ("POST", "/v1/messages"), ("GET", "/v1/messages"), ("GET", f"/v1/messages/{id}"),
        ("GET", f"/v1/messages/{id}/events"), ("GET", f"/v1/messages/{id}/raw"), ("GET", "/v1/smtp-users"),
        ("GET", "/v1/ip-pools"),
    ]:  # fmt: skip
        postern.problem(method, path, 404, "not_found", json={} if method == "POST" else None)
    assert not postern.smtp_listens()
    assert postern.api("GET", "/healthz").status_code == 200
    postern.terminate()
    postern.start(
        command="serve", POSTERN_EMAILGATEWAY_ENABLED="true", POSTERN_EMAILGATEWAY_INBOUND_SMTP_ENABLED="true"
    )
    assert postern.message(id)["status"] == "captured"
    assert postern.smtp_listens()
    postern.terminate()


def test_the_seeds_names_for_the_flags_are_read_too(new_postern: MakePostern) -> None:
    postern = new_postern(AGENT_VAULT_CUSTOM_EMAILGATEWAY_ENABLED="false")
    postern.start()
    assert postern.api("GET", "/v1/messages").status_code == 404
    assert not postern.smtp_listens()
    postern.terminate()


def test_http_only_when_the_smtp_door_is_off(new_postern: MakePostern) -> None:
    postern = new_postern(POSTERN_EMAILGATEWAY_INBOUND_SMTP_ENABLED="false")
    postern.start()
    postern.wait_status(only_id(postern.send()), "captured")
    assert not postern.smtp_listens()
    postern.terminate()


def test_everything_listens_on_the_loopback_address_only(shadow: Postern) -> None:
    hexadecimal = {f"{port:04X}" for port in (shadow.http_port, shadow.smtp_port, shadow.smtp_tls_port)}
    listening = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            address, port = line.split()[1].rsplit(":", 1)
            if port in hexadecimal and line.split()[3] == "0A":
                listening.append(address)
    assert listening and set(listening) == {"0100007F"}


def test_sigterm_leaves_nothing_that_was_accepted_behind(new_postern: MakePostern) -> None:
    postern = new_postern()
    postern.start()
    with Load(postern) as load:
        load.run()
        load.reach(100)
        load.pause()
        postern.terminate()
    assert not load.mistakes, load.mistakes[:3]
    postern.start()
    load.verify(postern)
    postern.terminate()


def test_sigterm_does_not_wait_for_the_idle(new_postern: MakePostern) -> None:
    postern = new_postern()
    postern.start()
    idle = socket.create_connection((LOOPBACK, postern.http_port))
    with postern.raw_smtp() as session, requests.Session() as kept, idle:
        kept.get(f"{postern.url}/healthz")
        session.command("MAIL FROM:<ada@example.com>")
        postern.terminate(15)
        session.send(b"NOOP\r\n")
        try:
            assert session.reply().code == 421
        except (EOFError, ConnectionError):
            pass
    assert not listens(postern.http_port) and not postern.smtp_listens()


def test_sigterm_lets_a_message_in_progress_finish(new_postern: MakePostern) -> None:
    postern = new_postern()
    postern.start()
    assert postern.process is not None
    raw = plain(token())
    with postern.raw_smtp() as session:
        session.begin_data()
        session.send(raw[:100])
        postern.process.terminate()
        until(lambda: not postern.smtp_listens(), "the doors are closed")
        session.send(raw[100:] + b".\r\n")
        accepted = session.reply()
    assert postern.process.wait(30) == 0
    postern.process = None
    postern.start()
    if accepted.code == 250:
        (id,) = accepted.ids
        postern.wait_status(id, "captured")
    else:
        assert accepted.code == 421 and not postern.message_ids()
    postern.terminate()


def test_sigterm_gives_back_what_hangs_at_a_peer(new_postern: MakePostern, authority: Authority) -> None:
    recipient = f"{token()}@receiver.test"
    with Peer(starttls=authority.issue("stuck", "DNS:localhost").server_context()) as stuck:
        stuck.on(recipient, Hang("data"))
        postern = new_postern(**live(authority))
        postern.start()
        use_smarthost(postern, stuck.port)
        id = only_id(postern.send(to=[recipient]))
        until(lambda: stuck.hanging, "the attempt hangs")
        postern.terminate()
        stuck.release()
        postern.start()
        postern.wait_status(id, "delivered")
        postern.terminate()


def test_migrate_is_safe_to_repeat(tmp_path: Path) -> None:
    for _ in range(2):
        done = run("migrate", cwd=tmp_path, POSTERN_DATA_DIR=str(tmp_path / "data"))
        assert done.returncode == 0, done.stderr
