"""A database that goes away, hangs or comes late: callers are told to come back, nothing is lost, no restart."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from conftest import finish
from harness.api import describe, only_id
from harness.load import Load
from harness.mail import plain, token
from harness.postern import Postern, run
from harness.postgres import Database, Postgres
from harness.smtp import RawSMTP
from harness.tls import Authority
from harness.waiting import until

MakePostern = Callable[..., Postern]

# POSTERN_CRASH_ROUNDS makes it as many as in the crash test.
ROUNDS = int(os.environ.get("POSTERN_CRASH_ROUNDS", "3"))

SIMPLE = {"from": "ada@example.com", "to": ["bob@receiver.test"], "subject": "Hello", "text": "Hi"}


@pytest.fixture
def database(fragile_postgres: Postgres) -> Iterator[Database]:
    yield fragile_postgres.database()


@pytest.fixture
def postern(tmp_path: Path, database: Database) -> Iterator[Postern]:
    with Postern(tmp_path / "postern", POSTERN_DATABASE_URL=database.url) as postern:
        yield postern
        assert database.server.password not in postern.log_tail(most=100_000_000)
        finish(postern)


def readiness(postern: Postern) -> tuple[int, str]:
    answer = postern.api("GET", "/readyz")
    return answer.status_code, answer.json()["checks"]["database"]["status"]


def test_everything_is_in_the_database(postern: Postern, database: Database) -> None:
    id = only_id(postern.send())
    postern.wait_status(id, "captured")
    assert database.tables() >= {"smtp_relay_users", "smtp_relay_logs", "smtp_relay_api_keys", "mailerq_ip_pools"}
    assert database.execute("SELECT status FROM smtp_relay_logs WHERE id = %s", id) == [("captured",)]
    assert not list(postern.data.glob("*.db"))


@pytest.mark.timeout(240)
def test_a_database_killed_under_load_loses_nothing(
    postern: Postern, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    assert postern.process is not None
    process, rounds = postern.process.pid, ROUNDS
    with Load(postern) as load:
        load.run()
        for number in range(rounds):
            load.reach(len(load.accepted) + 80, 60)
            database.server.crash()
            if number == 0:
                until(lambda: readiness(postern) == (503, "failed"), "readyz says so", 30)
            database.server.start()
        load.reach(len(load.accepted) + 100, 60)
        load.pause()
    assert not load.mistakes, load.mistakes[:3]
    assert min(load.doors["http"], load.doors["smtp"]) > 0, load.doors
    load.verify(postern, timeout=90)
    assert postern.process.pid == process and postern.process.poll() is None, "recovery needs no restart"
    with capsys.disabled():
        print(f"\ndatabase killed {rounds} times: {len(load.accepted)} accepted, none lost")


def test_while_it_is_gone_callers_are_told_to_come_back(postern: Postern, database: Database) -> None:
    postern.send()
    with postern.raw_smtp() as open_session:
        database.server.crash()
        until(lambda: readiness(postern) == (503, "failed"), "readyz says so", 30)
        assert postern.api("GET", "/healthz").status_code == 200, "the process is well"
        problem = postern.problem("POST", "/v1/messages", 503, "storage_unavailable", json=SIMPLE)
        assert "postgres" not in str(problem).lower() and "localhost" not in str(problem)
        answer = postern.api("POST", "/v1/messages", json=SIMPLE)
        assert 1 <= int(answer.headers["Retry-After"]) <= 300, describe(answer)
        # A session that was let in before.
        for line in ("MAIL FROM:<ada@example.com>", "RCPT TO:<bob@receiver.test>", "DATA"):
            said = open_session.command(line)
            if said.code >= 400:
                break
        if said.code == 354:
            open_session.send(plain() + b".\r\n")
            said = open_session.reply()
        assert said.code in (421, 451, 452) and (said.enhanced or "").startswith("4."), str(said)
    database.server.start()
    until(lambda: readiness(postern) == (200, "ok"), "readyz says that it is over", 30)
    postern.wait_status(only_id(postern.send()), "captured")
    with postern.smtp() as session:
        assert session.submit("ada@example.com", ["bob@receiver.test"], plain()).accepted_id


def test_a_login_during_the_outage_is_temporary_and_no_mark_against_anybody(
    postern: Postern, database: Database
) -> None:
    made = postern.call("POST", "/v1/smtp-users", expect=201, json={"username": token("user")})
    known = (postern.card["smtp"]["username"], postern.card["smtp"]["password"])
    database.server.crash()
    for login in [known, (made["username"], made["password"]), ("nobody", "wrong")] * 2:
        with RawSMTP(postern.smtp_port) as session:
            if session.reply().code == 220 and session.command("EHLO tests.test").code == 250:
                secret = base64.b64encode("\0".join(("", *login)).encode()).decode()
                said = session.command(f"AUTH PLAIN {secret}")
                # One that was checked a moment ago may be remembered; nobody is told that a password is wrong.
                assert said.code in (421, 451, 454) or (said.code == 235 and login == known), str(said)
    database.server.start()
    until(lambda: readiness(postern)[0] == 200, "it is back", 30)
    with postern.smtp() as session:
        session.submit("ada@example.com", ["bob@receiver.test"], plain())


def test_ended_connections_are_made_anew(postern: Postern, database: Database) -> None:
    with Load(postern, http=1, smtp=1) as load:
        load.run()
        for _ in range(5):
            load.reach(len(load.accepted) + 40)
            assert database.server.end_connections(database.name) >= 1
        load.reach(len(load.accepted) + 40)
        load.pause()
    assert not load.mistakes, load.mistakes[:3]
    load.verify(postern)


@pytest.mark.timeout(240)
def test_a_database_that_hangs_is_no_reason_to_hang(postern: Postern, database: Database) -> None:
    postern.wait_status(only_id(postern.send()), "captured")
    with database.server.frozen():
        began = time.monotonic()
        answer = postern.api("POST", "/v1/messages", json=SIMPLE, timeout=90)
        took = time.monotonic() - began
        assert answer.status_code == 503 and "Retry-After" in answer.headers, describe(answer)
        assert took < 60, f"an answer after {took:.0f} s"
        assert postern.api("GET", "/healthz").status_code == 200
    until(lambda: readiness(postern)[0] == 200, "it is back", 60)
    postern.wait_status(only_id(postern.send()), "captured", 30)


def test_a_lock_that_somebody_holds_delays_and_loses_nothing(postern: Postern, database: Database) -> None:
    with psycopg.connect(database.url) as connection:
        connection.execute("LOCK TABLE smtp_relay_logs IN ACCESS EXCLUSIVE MODE")
        answer = postern.api("POST", "/v1/messages", json=SIMPLE, timeout=60)
        assert answer.status_code == 503, describe(answer)
        connection.rollback()
    postern.wait_status(only_id(postern.send()), "captured", 30)
    assert len(postern.all_messages()) == 1, "what was answered with 503 is not there"


def test_the_order_of_starting_does_not_matter(new_postern: MakePostern, database: Database) -> None:
    database.server.crash()
    postern = new_postern(POSTERN_DATABASE_URL=database.url)
    postern.start(wait=False)
    try:
        with pytest.raises(AssertionError):
            until(lambda: not_running(postern), "it has given up", 2)
    finally:
        database.server.start()
    postern.wait_ready(40)
    postern.wait_status(only_id(postern.send()), "captured")
    postern.terminate()


def not_running(postern: Postern) -> bool:
    return postern.process is None or postern.process.poll() is not None


def test_it_stops_while_the_database_is_gone(postern: Postern, database: Database) -> None:
    postern.wait_status(only_id(postern.send()), "captured")
    database.server.crash()
    try:
        postern.terminate(30)
    finally:
        database.server.start()
    postern.start()


# Where it is, and who may


def test_a_verified_connection_by_a_private_authority(
    new_postern: MakePostern, database: Database, authority: Authority
) -> None:
    database.execute(f"GRANT ALL ON DATABASE {database.name} TO tlsonly")
    database.execute("GRANT ALL ON SCHEMA public TO tlsonly")
    url = database.url_for("tlsonly", host="localhost", sslmode="verify-full")
    postern = new_postern(POSTERN_DATABASE_URL=url, POSTERN_TLS_CA_FILE=str(authority.certificate))
    postern.start()
    postern.wait_status(only_id(postern.send()), "captured")
    rows = database.execute(
        "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'tlsonly'"
    )
    assert rows == [(True,)]
    postern.terminate()


@pytest.mark.parametrize("wrong", ["authority", "name", "clear", "password", "database", "mode"])
def test_a_database_that_cannot_be_used_is_said_at_once(
    tmp_path: Path, database: Database, authority: Authority, wrong: str
) -> None:
    secret, trusted = database.server.password, authority.certificate
    url = database.url_for("tlsonly", host="localhost", sslmode="verify-full")
    if wrong == "authority":
        (tmp_path / "other").mkdir()
        trusted = Authority(tmp_path / "other").certificate
    elif wrong == "name":
        url = database.url_for("tlsonly", sslmode="verify-full")
    elif wrong == "clear":
        url = database.url_for("tlsonly", sslmode="disable")
    elif wrong == "password":
        secret = "not-the-password-7c1d"
        url = database.url_for("postern", password=secret)
    elif wrong == "database":
        url = database.url.replace(database.name, "no_such_database")
    else:
        url = database.url_for("postern", sslmode="perhaps")
    done = run("check", cwd=tmp_path, timeout=20, POSTERN_DATA_DIR=str(tmp_path / "data"), POSTERN_DATABASE_URL=url,
               POSTERN_TLS_CA_FILE=str(trusted))  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode == 1, f"{done.returncode}\n{said}"
    assert secret not in said and "%40" not in said, "no password in what it says"
    assert "database" in said.lower(), said
