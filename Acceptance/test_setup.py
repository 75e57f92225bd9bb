"""The commands on the server's own machine that let people in: `postern setup`, once, and `postern recover`."""

from __future__ import annotations

import os
import pty
import re
import select
import sqlite3
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import requests
from harness.fleet import Fleet
from harness.people import PASSWORD, Person, add_second_factor, join, try_to_sign_in
from harness.postern import Postern, binary, clean_environment, run
from harness.postgres import Database
from harness.waiting import until

OTHER = "seven other words beside a kettle"


def command(postern: Postern, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command with the server's own configuration."""
    postern.directory.mkdir(parents=True, exist_ok=True)
    return run(*arguments, cwd=postern.directory, **postern.environment)


def password_file(directory: Path, password: str = PASSWORD) -> str:
    path = directory / "password"
    path.write_text(f"{password}\nwhat follows is not read\n")
    return str(path)


def set_up(postern: Postern, directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    email = ("--owner-email", "ada@example.com", "--owner-password-file", password_file(directory))
    return command(postern, "setup", *email, *arguments)


def test_a_new_instance_is_set_up_and_its_owner_signs_in(
    new_postern: Callable[..., Postern], tmp_path: Path
) -> None:
    postern = new_postern()
    done = set_up(postern, tmp_path, "--owner-name", "Ada Lovelace", "--vault", "shop")
    assert done.returncode == 0, done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    for kept in ("postern.db", "master.key"):
        assert stat.S_IMODE(os.stat(postern.data / kept).st_mode) & 0o077 == 0, kept
    postern.start(command="serve")
    owner = Person.sign_in(postern.url, "ada@example.com", PASSWORD)
    me = owner.call("GET", "/auth/me")
    assert (me["role"], me["user"]["name"]) == ("owner", "Ada Lovelace")
    assert [(row["slug"], row["role"]) for row in me["memberships"]] == [("shop", "owner")]
    (vault,) = owner.call("GET", "/api/vaults")["data"]
    assert vault["slug"] == "shop"
    # The printed line says how to go on.
    assert f"postern login --url {postern.url} --email ada@example.com" in done.stdout
    made = [row for row in owner.call("GET", "/api/audit", params={"limit": 50})["data"] if row["resource"] == owner.id]
    assert any(row["actor_label"] == "postern setup" and row["door"] == "cli" for row in made), made


def test_an_owner_is_made_once(new_postern: Callable[..., Postern], tmp_path: Path) -> None:
    postern = new_postern()
    assert set_up(postern, tmp_path).returncode == 0
    again = command(
        postern, "setup", "--owner-email", "mallory@example.com", "--owner-password-file", password_file(tmp_path)
    )
    assert again.returncode == 1 and "has an owner already" in again.stderr
    postern.start(command="serve")
    assert try_to_sign_in(postern.url, "mallory@example.com", PASSWORD).status_code == 401


def test_what_makes_no_owner_leaves_nothing_behind(new_postern: Callable[..., Postern], tmp_path: Path) -> None:
    postern = new_postern()
    weak = tmp_path / "weak"
    weak.write_text("password1234\n")
    tries = [
        ("--owner-email", "ada@example.com", "--owner-password-file", str(weak)),
        ("--owner-email", "ada", "--owner-password-file", password_file(tmp_path)),
        ("--owner-email", "ada@example.com", "--owner-password-file", str(tmp_path / "missing")),
        ("--owner-email", "ada@example.com", "--owner-password-file", "/dev/null"),
    ]
    for arguments in tries:
        done = command(postern, "setup", *arguments)
        assert done.returncode in (1, 2), arguments
        assert done.stderr and "password1234" not in done.stderr and not done.stdout
    assert command(postern, "setup", "--owner-password-file", str(weak)).returncode == 2
    assert set_up(postern, tmp_path).returncode == 0, "nobody is in the way"


def test_without_a_terminal_it_names_the_flag(new_postern: Callable[..., Postern]) -> None:
    postern = new_postern()
    postern.directory.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [binary(), "setup", "--owner-email", "ada@example.com"], cwd=postern.directory, timeout=30, text=True,
        env=clean_environment(**postern.environment), stdin=subprocess.DEVNULL, capture_output=True,
        start_new_session=True,
    )  # fmt: skip
    assert done.returncode == 1 and "--owner-password-file" in done.stderr


def test_at_a_terminal_it_asks_twice_and_shows_nothing(new_postern: Callable[..., Postern]) -> None:
    postern = new_postern()
    postern.directory.mkdir(parents=True, exist_ok=True)
    said, code = typed(postern, ["setup", "--owner-email", "ada@example.com"], [PASSWORD, OTHER])
    assert code == 1 and PASSWORD not in said and OTHER not in said, said
    said, code = typed(postern, ["setup", "--owner-email", "ada@example.com"], [PASSWORD, PASSWORD])
    assert code == 0 and PASSWORD not in said, said
    postern.start(command="serve")
    assert try_to_sign_in(postern.url, "ada@example.com", PASSWORD).status_code == 200


def typed(postern: Postern, arguments: list[str], answers: list[str]) -> tuple[str, int]:
    """What a command shows on a terminal of its own, where each answer is typed when the next question stands."""
    words, environment = [str(binary()), *arguments], clean_environment(**postern.environment)
    child, terminal = pty.fork()
    if child == 0:
        try:
            os.chdir(postern.directory)
            os.execve(words[0], words, environment)
        finally:
            os._exit(127)
    shown, asked, deadline = b"", 0, time.monotonic() + 30
    try:
        while time.monotonic() < deadline:
            ready, _, _ = select.select([terminal], [], [], 0.1)
            if ready:
                try:
                    chunk = os.read(terminal, 4096)
                except OSError:
                    break  # Linux: the other end is closed.
                if not chunk:
                    break
                shown += chunk
            if asked < len(answers) and shown.count(b": ") > asked:
                os.write(terminal, answers[asked].encode() + b"\n")
                asked += 1
    finally:
        os.close(terminal)
    _, status = os.waitpid(child, 0)
    return shown.decode(errors="replace"), os.waitstatus_to_exitcode(status)


def test_a_server_that_has_the_database_to_itself_is_to_be_stopped(
    new_postern: Callable[..., Postern], tmp_path: Path
) -> None:
    postern = new_postern()
    postern.start()
    for done in (set_up(postern, tmp_path), command(postern, "recover", "--email", "owner@postern.localhost")):
        assert done.returncode == 1 and "stop it" in done.stderr, done.stderr


def test_an_instance_from_before_people_gets_its_owner_and_keeps_its_vault(
    new_postern: Callable[..., Postern], tmp_path: Path
) -> None:
    """As after an upgrade: vaults, and nobody who owns them."""
    postern = new_postern()
    postern.start()
    key = postern.card["api_key"]
    postern.terminate()
    forget_people(postern)
    assert set_up(postern, tmp_path, "--vault", "default").returncode == 0
    postern.start(command="serve")
    owner = Person.sign_in(postern.url, "ada@example.com", PASSWORD)
    assert [row["slug"] for row in owner.call("GET", "/auth/me")["memberships"]] == ["default"]
    assert postern.as_key(key).call("GET", "/v1/me")["label"] == "quickstart"


def forget_people(postern: Postern) -> None:
    with sqlite3.connect(postern.data / "postern.db") as database:
        for table in ("refresh_tokens", "sessions", "memberships", "users"):
            database.execute(f"DELETE FROM {table}")


# recover


def test_who_lost_password_and_second_factor_gets_in_again(new_postern: Callable[..., Postern]) -> None:
    postern = new_postern()
    postern.start()
    owner = postern.owner()
    add_second_factor(owner)
    postern.terminate()
    done = command(postern, "recover", "--email", owner.email, "--remove-second-factor", "--new-password")
    assert done.returncode == 0, done.stderr
    password = re.findall(r":\s+(\w{20})$", done.stdout, re.MULTILINE)[0]
    postern.start()
    assert not owner.is_signed_in, "whoever had the old ones is out"
    assert try_to_sign_in(postern.url, owner.email, owner.password).status_code == 401
    again = Person.sign_in(postern.url, owner.email, password)
    assert again.call("GET", "/auth/me")["user"]["second_factor"] is False
    log = again.call("GET", "/api/audit", params={"limit": 50})["data"]
    assert any(row["actor_label"] == "postern recover" for row in log)


def test_the_printed_line_sets_a_password_once(new_postern: Callable[..., Postern]) -> None:
    postern = new_postern()
    postern.start()
    owner = postern.owner()
    postern.terminate()
    done = command(postern, "recover", "--email", owner.email.upper())
    assert done.returncode == 0, done.stderr
    line = re.findall(r"^curl (?:.*\\\n)*.*$", done.stdout, re.MULTILINE)[0].replace("THE NEW PASSWORD", OTHER)
    postern.start()
    assert owner.is_signed_in, "a link alone ends nothing"
    pasted = subprocess.run(line, shell=True, capture_output=True, text=True, timeout=30)
    assert (pasted.returncode, pasted.stdout) == (0, ""), pasted
    assert Person.sign_in(postern.url, owner.email, OTHER).is_signed_in and not owner.is_signed_in
    assert "invitation_invalid" in subprocess.run(line, shell=True, capture_output=True, text=True, timeout=30).stdout


def test_nobody_is_not_recovered(new_postern: Callable[..., Postern]) -> None:
    postern = new_postern()
    done = command(postern, "recover", "--email", "ada@example.com")
    assert done.returncode == 1 and done.stderr, "there is no instance"
    postern.start()
    postern.terminate()
    done = command(postern, "recover", "--email", "nobody@example.com")
    assert done.returncode == 1 and "nobody@example.com" in done.stderr


def test_on_postgresql_the_server_runs_on_and_hears_of_it(
    tmp_path: Path, database: Database
) -> None:
    with Fleet(tmp_path / "fleet", database, 1) as (postern, *_):
        owner = postern.owner()
        person = join(owner)
        for _ in range(10):
            assert try_to_sign_in(postern.url, person.email, "wrong words").status_code == 401
        assert try_to_sign_in(postern.url, person.email, PASSWORD).status_code == 429
        done = command(postern, "recover", "--email", person.email, "--new-password")
        assert done.returncode == 0, done.stderr
        password = re.findall(r":\s+(\w{20})$", done.stdout, re.MULTILINE)[0]
        assert Person.sign_in(postern.url, person.email, password).is_signed_in
        until(lambda: not person.is_signed_in, "the old session is dead", 2)
        refused = set_up(postern, tmp_path)
        assert refused.returncode == 1 and "has an owner already" in refused.stderr
        assert requests.get(f"{postern.url}/readyz", timeout=10).status_code == 200
