"""`postern migrate --from sqlite:… --to postgres://…`: an instance moves, whole, and goes on as if nothing were."""

from __future__ import annotations

import re
import sqlite3
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from harness.api import only_id
from harness.mail import plain, token
from harness.postern import Postern, run
from harness.postgres import Database
from harness.smtp import SMTPSession

MakePostern = Callable[..., Postern]

BODY = {"from": "ada@example.com", "to": ["bob@receiver.test"], "subject": "Once", "text": "x"}


def migrate(postern: Postern, database: Database, *flags: str, source: str | None = None,
            target: str | None = None) -> subprocess.CompletedProcess[str]:  # fmt: skip
    return run("migrate", "--from", source or f"sqlite:{postern.data / 'postern.db'}", "--to", target or database.url,
               *flags, cwd=postern.directory, timeout=90, POSTERN_DATA_DIR=str(postern.data))  # fmt: skip


def rows_of(postern: Postern) -> dict[str, int]:
    with sqlite3.connect(f"file:{postern.data / 'postern.db'}?mode=ro", uri=True) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]
            for name in tables if not name.startswith("sqlite_")
        }  # fmt: skip


def moved_rows(database: Database) -> dict[str, int]:
    return {table: database.count(table) for table in database.tables()}


@pytest.mark.timeout(180)
def test_an_instance_moves_whole(new_postern: MakePostern, database: Database) -> None:
    postern = new_postern()
    postern.start()
    word = token("move")
    ids = [only_id(postern.send(to=[f"{word}-{number}@receiver.test"], subject=f"Grüße {number}"))
           for number in range(40)]  # fmt: skip
    raw = plain(body=b"caf\xe9 \xff\x01\r\n" + b"0123456789\r\n" * 50_000)
    ids.append(postern.submit(raw, [f"{word}-raw@receiver.test"], options=("BODY=8BITMIME",)))
    for id in ids:
        postern.wait_status(id, "captured")
    due = datetime.now(UTC) + timedelta(seconds=12)
    scheduled = only_id(postern.send(send_at=due.isoformat(timespec="milliseconds")))
    user = postern.call("POST", "/v1/smtp-users", expect=201, json={"username": token("user")})
    key_id, caller = postern.new_key("send", "read")
    postern.call("POST", "/v1/ip-pools", expect=201, json={"domain": "example.com", "pool": "p", "ips": ["192.0.2.1"]})
    postern.set(default_tags=["moved", "ü"], smarthost_password="sealed-secret-31")
    repeat = {"Idempotency-Key": token("key")}
    once = postern.call("POST", "/v1/messages", expect=202, json=BODY, headers=repeat)
    before = {id: (postern.message(id), postern.events(id), postern.raw(id)) for id in ids}
    settings, messages = postern.settings(), postern.all_messages()
    postern.terminate()
    counted = rows_of(postern)

    done = migrate(postern, database, "--dry-run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"smtp_relay_logs\D+{counted['smtp_relay_logs']}\b", done.stdout), done.stdout
    assert all(count == 0 for table, count in moved_rows(database).items() if table != "schema_migrations")

    done = migrate(postern, database)
    assert done.returncode == 0, done.stdout + done.stderr
    assert database.server.password not in done.stdout + done.stderr
    moved = moved_rows(database)
    # What belongs to the process that ran is no part of the instance.
    transient = {table for table in counted if table in ("processes", "duties")}
    assert {table: moved.get(table) for table in counted if table not in transient} == {
        table: count for table, count in counted.items() if table not in transient
    }

    postern.start(POSTERN_DATABASE_URL=database.url)
    assert {id: (postern.message(id), postern.events(id), postern.raw(id)) for id in ids} == before
    assert postern.settings() == settings and [row["id"] for row in messages] == [
        row["id"] for row in postern.all_messages()
    ]  # fmt: skip
    assert postern.as_key(caller.authorization.removeprefix("Bearer ")).call("GET", "/v1/me")  # type: ignore[union-attr]
    with SMTPSession.opened(postern.smtp_port, "starttls", (user["username"], user["password"])) as session:
        assert session.submit("ada@example.com", ["bob@receiver.test"], plain()).accepted_id
    again = postern.api("POST", "/v1/messages", json=BODY, headers=repeat)
    assert (again.headers.get("Idempotency-Replayed"), again.json()["id"]) == ("true", once["id"])
    postern.wait_status(scheduled, "captured", 40)
    postern.call("DELETE", f"/v1/keys/{key_id}", expect=204)
    postern.terminate()
    assert rows_of(postern) == counted, "the source is as it was"


def test_what_is_there_already_is_not_mixed_with(new_postern: MakePostern, database: Database) -> None:
    postern, other = new_postern(), new_postern(POSTERN_DATABASE_URL=database.url)
    for instance in (postern, other):
        instance.start()
        instance.wait_status(only_id(instance.send()), "captured")
        instance.terminate()
    before = moved_rows(database)
    for flags in (["--dry-run"], []):
        done = migrate(postern, database, *flags)
        assert done.returncode == 1 and "empty" in (done.stdout + done.stderr).lower(), done.stdout + done.stderr
    assert moved_rows(database) == before


def test_an_instance_that_runs_is_not_moved(new_postern: MakePostern, database: Database) -> None:
    """What it accepts meanwhile would be left behind."""
    postern = new_postern()
    postern.start()
    done = migrate(postern, database)
    assert done.returncode == 1, done.stdout + done.stderr
    assert not database.tables() or database.count("smtp_relay_logs") == 0
    postern.wait_status(only_id(postern.send()), "captured")
    postern.terminate()


@pytest.mark.parametrize(
    ("source", "target"),
    [("sqlite:/nowhere/postern.db", None), (None, "mysql://postern:hidden-91@127.0.0.1/x"),
     (None, "postgres://postern:hidden-91@[127.0.0.1/x"), ("postern.db", None)],
    ids=["no file", "MySQL", "no URL", "no scheme"],
)  # fmt: skip
def test_what_cannot_be_done_is_said(
    new_postern: MakePostern, database: Database, source: str | None, target: str | None
) -> None:
    postern = new_postern()
    postern.start()
    postern.terminate()
    done = migrate(postern, database, source=source, target=target)
    said = done.stdout + done.stderr
    assert done.returncode not in (0, -6, -11), said
    assert "hidden-91" not in said and not Path("/nowhere").exists()
    assert database.tables() == set()


def test_a_move_that_breaks_off_can_be_made_again(new_postern: MakePostern, database: Database) -> None:
    """The database refuses an index in the middle of it."""
    postern = new_postern()
    postern.start()
    ids = [only_id(postern.send()) for _ in range(20)]
    for id in ids:
        postern.wait_status(id, "captured")
    postern.terminate()
    counted = rows_of(postern)
    refuse = "'BEGIN RAISE EXCEPTION ''no''; END'"
    database.execute(f"CREATE FUNCTION no() RETURNS event_trigger LANGUAGE plpgsql AS {refuse}")
    when = "ON ddl_command_start WHEN TAG IN ('CREATE INDEX')"
    database.execute(f"CREATE EVENT TRIGGER no {when} EXECUTE FUNCTION no()")
    done = migrate(postern, database)
    assert done.returncode not in (0, -6, -11), done.stdout + done.stderr
    database.execute("DROP EVENT TRIGGER no")
    done = migrate(postern, database)
    assert done.returncode == 0, done.stdout + done.stderr
    assert database.count("smtp_relay_logs") == counted["smtp_relay_logs"] == 20
