"""Limits that a deployment sets: silence, connections, sizes, disk. One client's excess is not another's trouble."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from harness.api import only_id
from harness.mail import plain, token
from harness.network import LOOPBACK
from harness.postern import Postern
from harness.smtp import RawSMTP
from harness.tls import Authority, untrusting_client
from harness.waiting import until

MakePostern = Callable[..., Postern]

HTTP_CONNECTIONS = 6
SMTP_CONNECTIONS = 6
PER_ADDRESS = 4


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postern]:
    """An instance that does not wait for the silent."""
    with Postern(
        tmp_path_factory.mktemp("hasty"), POSTERN_HTTP_IDLE_TIMEOUT="1", POSTERN_SMTP_IDLE_TIMEOUT="1"
    ) as postern:
        yield postern


@pytest.fixture
def small(new_postern: MakePostern) -> Postern:
    """An instance with room for a few connections."""
    postern = new_postern(
        POSTERN_HTTP_CONNECTIONS=str(HTTP_CONNECTIONS), POSTERN_SMTP_CONNECTIONS=str(SMTP_CONNECTIONS),
        POSTERN_SMTP_CONNECTIONS_PER_ADDRESS=str(PER_ADDRESS),
    )  # fmt: skip
    postern.start()
    postern.close()
    return postern


def connected(port: int, timeout: float = 10, source: str = LOOPBACK) -> socket.socket:
    return socket.create_connection((LOOPBACK, port), timeout=timeout, source_address=(source, 0))


def hangs_up(connection: socket.socket) -> bool:
    """Reads until the other side has gone; False when it stays silent."""
    try:
        while connection.recv(65536):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        pass
    return True


# Silence


@pytest.mark.parametrize(
    "said",
    [b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\n",
     b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
     b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"],
    ids=["nothing", "half a header", "half a body", "one request"],
)  # fmt: skip
def test_an_http_connection_that_falls_silent_is_closed(hasty: Postern, said: bytes) -> None:
    with connected(hasty.http_port) as connection:
        connection.sendall(said)
        assert hangs_up(connection)


def test_an_http_connection_in_use_stays(hasty: Postern) -> None:
    with connected(hasty.http_port) as connection:
        for _ in range(3):
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
            # Shorter than the time-out, three times longer in all.
            connection.settimeout(0.6)
            with pytest.raises(TimeoutError):
                connection.recv(1)
            connection.settimeout(10)


@pytest.mark.parametrize("until_data", [False, True], ids=["between commands", "in the data"])
def test_an_smtp_session_that_falls_silent_is_told_and_closed(hasty: Postern, until_data: bool) -> None:
    before = hasty.message_ids()
    with hasty.raw_smtp() as session:
        if until_data:
            session.begin_data()
            session.send(plain()[:50])
        said = session.reply()
        assert (said.code, said.enhanced) == (421, "4.4.2"), str(said)
        assert session.closed()
    assert hasty.message_ids() == before


# Connections


def test_http_connections_beyond_the_cap_wait_for_room(small: Postern) -> None:
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(connected(small.http_port)) for _ in range(HTTP_CONNECTIONS)]
        for connection in idle:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        late = stack.enter_context(connected(small.http_port))
        late.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        late.settimeout(0.5)
        with pytest.raises(TimeoutError):
            late.recv(1)
        idle[0].close()
        late.settimeout(10)
        assert late.recv(65536).startswith(b"HTTP/1.1 200"), "there is room again"


def test_smtp_sessions_of_one_address_beyond_the_cap_are_421(small: Postern) -> None:
    with contextlib.ExitStack() as stack:
        sessions = [stack.enter_context(small.raw_smtp()) for _ in range(PER_ADDRESS)]
        with RawSMTP(small.smtp_port) as refused:
            said = refused.reply()
            assert said.code == 421 and said.enhanced, str(said)
            assert refused.closed()
        # Another address has room of its own, up to the cap over all of them.
        others = [stack.enter_context(connected(small.smtp_port, source="127.0.0.2")) for _ in range(2)]
        assert all(other.recv(1000).startswith(b"220 ") for other in others)
        with connected(small.smtp_port, source="127.0.0.3") as last:
            assert last.recv(1000).startswith(b"421 ")
        # Who is in is not disturbed.
        assert [session.command("NOOP").code for session in sessions] == [250] * PER_ADDRESS
        sessions[0].command("QUIT")
        sessions[0].closed()

        def room() -> bool:
            with RawSMTP(small.smtp_port) as session:
                return session.reply().code == 220

        until(room, "there is room again")


# Sizes


def test_the_size_limit_is_the_one_that_was_set(new_postern: MakePostern) -> None:
    postern = new_postern(POSTERN_MAX_MESSAGE_BYTES="100000", POSTERN_MAX_RECIPIENTS="100")
    postern.start()
    fits, too_large = (
        plain(body=b"x" * 76 + b"\r\n" + b"y" * 76 + b"\r\n" * (size // 2)) for size in (95_000, 101_000)
    )
    with postern.smtp() as session:
        assert session.client.esmtp_features["size"] == "100000"
        assert session.submit("ada@example.com", ["bob@receiver.test"], fits).accepted_id
        assert session.submit("ada@example.com", ["bob@receiver.test"], too_large).refusal.code == 552
        many = session.submit("ada@example.com", [f"r{number}@receiver.test" for number in range(101)], plain())
        assert [reply.code for reply in many.recipients] == [250] * 100 + [452]
    postern.send_mime(fits)
    known = postern.message_ids()
    for path, content, body in [
        ("/v1/send/mime", "message/rfc822", too_large),
        ("/v1/messages", "application/json",
         b'{"from":"ada@example.com","to":["b@receiver.test"],"text":"' + b"x" * 100_001 + b'"}'),
    ]:  # fmt: skip
        postern.problem("POST", path, 413, "message_too_large", data=body, headers={"Content-Type": content})
    assert postern.message_ids() == known
    postern.terminate()


def test_a_full_disk_says_not_now_and_loses_nothing(new_postern: MakePostern) -> None:
    postern = new_postern()
    postern.start()
    id = only_id(postern.send())
    postern.wait_status(id, "captured")
    postern.terminate()
    postern.start(wait=False, POSTERN_MIN_FREE_DISK_BYTES=str(1 << 40))
    until(postern.http_is_open, "it listens")
    until(postern.smtp_listens, "it listens")
    ready = postern.api("GET", "/readyz")
    assert (ready.status_code, ready.json()["checks"]["disk"]["status"]) == (503, "full")
    answer = postern.api("POST", "/v1/messages", json={"from": "a@example.com", "to": ["b@receiver.test"], "text": "x"})
    assert (answer.status_code, answer.json()["code"]) == (503, "storage_unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    with postern.smtp() as session:
        said = session.submit("ada@example.com", ["bob@receiver.test"], plain()).refusal
        assert (said.code, said.enhanced) == (452, "4.3.0"), str(said)
    assert postern.message_ids() == {id}, "what is there can still be read"
    postern.terminate()


# Certificates


def test_a_new_certificate_is_used_without_a_restart(
    new_postern: MakePostern, authority: Authority, tmp_path: Path
) -> None:
    postern = new_postern(POSTERN_TLS_CERT=str(tmp_path / "server.pem"), POSTERN_TLS_KEY=str(tmp_path / "server.key"))

    def install(name: str) -> bytes:
        issued = authority.issue(name, f"DNS:{name}")
        (tmp_path / "server.key").write_bytes(issued.key.read_bytes())
        (tmp_path / "server.pem").write_bytes(issued.chain.read_bytes())
        return ssl.PEM_cert_to_DER_cert(issued.chain.read_text())

    def shown() -> bytes | None:
        with untrusting_client().wrap_socket(connected(postern.smtp_tls_port)) as connection:
            return connection.getpeercert(binary_form=True)

    first = install(token("first"))
    postern.start()
    assert shown() == first
    with postern.smtp() as session:
        second = install(token("second"))
        until(lambda: shown() == second, "the new certificate is shown", 20)
        assert session.command("NOOP").code == 250, "sessions that are open go on"
    postern.terminate()


def test_mail_is_not_offered_to_a_network_in_clear(new_postern: MakePostern) -> None:
    """Logins would go over it."""
    postern = new_postern(
        POSTERN_SMTP_HOST="0.0.0.0", POSTERN_EMAILGATEWAY_ENABLED="true",
        POSTERN_EMAILGATEWAY_INBOUND_SMTP_ENABLED="true",
    )  # fmt: skip
    postern.start(command="serve", wait=False)
    assert postern.process is not None
    assert postern.process.wait(20) not in (0, -6, -11)
    said = postern.log_tail()
    assert "POSTERN_SMTP_HOST" in said and "POSTERN_TLS_CERT" in said


def test_a_method_that_a_path_does_not_take_is_405(hasty: Postern) -> None:
    answer = hasty.api("DELETE", "/v1/messages")
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "POST"}
    assert requests.head(f"{hasty.url}/healthz", timeout=5).status_code == 200
