"""People at the command line: how they sign in, what is kept of it, and what they do for the instance and its vaults."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from harness.cli import REFUSED, TIMED_OUT, WRONG_USE, Cli, refused, said
from harness.mail import token
from harness.openid import CLIENT_ID, CLIENT_SECRET, Mock
from harness.people import PASSWORD, Authenticator, Person, add_second_factor, join, new_email
from harness.postern import Postern, binary, clean_environment
from harness.waiting import until

NewPostern = Callable[..., Postern]


class Desk:
    """Somebody at a machine of their own: the command line, and the login that is kept there."""

    def __init__(self, postern: Postern, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.postern, self.directory = postern, directory
        self.cli = Cli(postern, directory, key="")

    @property
    def kept(self) -> Path:
        return self.directory / "config" / "postern" / "credentials.json"

    @property
    def login(self) -> dict:
        return json.loads(self.kept.read_text())["servers"][self.postern.url]

    def sign_in(self, person: Person, *arguments: str) -> Desk:
        self.cli.said(
            "login", "--email", person.email, "--password-file", "-", *arguments, input=f"{person.password}\n".encode()
        )
        return self

    def age(self) -> None:
        """The access token is over, by this machine's clock."""
        book = json.loads(self.kept.read_text())
        book["servers"][self.postern.url]["access_ends"] = 0
        self.kept.write_text(json.dumps(book))


@pytest.fixture
def desk(shadow: Postern, tmp_path: Path) -> Desk:
    return Desk(shadow, tmp_path / "desk")


@pytest.fixture
def owners(shadow: Postern, owner: Person, tmp_path: Path) -> Cli:
    """The command line of the instance's owner, who signed in just now."""
    return Desk(shadow, tmp_path / "owner").sign_in(owner).cli


@pytest.fixture
def vault(owners: Cli) -> Iterator[str]:
    slug = token("v").lower()
    owners.said("vault", "create", slug, "--name", "A vault of the tests")
    yield slug
    owners("vault", "delete", slug, "--confirm", slug)


# Signing in


def test_a_login_is_kept_used_and_given_up(desk: Desk, person: Person) -> None:
    assert "postern login" in desk.cli.refused("account", "show")
    desk.sign_in(person)
    assert (desk.kept.stat().st_mode & 0o777, desk.kept.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert desk.cli.answered("account", "show")["user"]["email"] == person.email
    login = desk.login
    (session,) = [row for row in desk.cli.answered("account", "sessions")["data"] if row["current"]]
    assert session["user_agent"] == "postern-cli"
    desk.cli.said("logout")
    assert not json.loads(desk.kept.read_text())["servers"]
    gone = requests.get(
        f"{person.url}/auth/me", headers={"Authorization": f"Bearer {login['access_token']}"}, timeout=10
    )
    assert gone.status_code == 401, "the session is over at the server as well"
    assert person.is_signed_in, "and no other one"
    everything = b"".join(desk.cli.everything).decode()
    for secret in (login["access_token"], login["refresh_token"], person.password):
        assert secret not in everything


def test_a_wrong_password_keeps_nothing(desk: Desk, person: Person) -> None:
    told = desk.cli.refused("login", "--email", person.email, "--password-file", "-", input=b"wrong\n")
    assert "unauthorized" in told
    assert not desk.kept.exists() or not json.loads(desk.kept.read_text())["servers"]


def test_where_nobody_can_be_asked_the_option_is_named(desk: Desk) -> None:
    process = subprocess.run(
        [binary(), "login"], cwd=desk.directory, start_new_session=True, capture_output=True, timeout=30,
        env=clean_environment(POSTERN_URL=desk.postern.url, XDG_CONFIG_HOME=str(desk.directory)),
    )  # fmt: skip
    assert "--email" in refused(process, REFUSED)


def at_terminal(desk: Desk, arguments: list[str], answers: list[tuple[str, str]]) -> tuple[int, str]:
    """Runs a command at a terminal of its own, and types an answer whenever its question is there."""
    environment = clean_environment(POSTERN_URL=desk.postern.url, XDG_CONFIG_HOME=str(desk.directory / "config"))
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(desk.directory)
        os.execve(binary(), [str(binary()), *arguments], environment)
    shown, waiting, deadline = "", list(answers), time.monotonic() + 30
    try:
        while time.monotonic() < deadline:
            if not select.select([terminal], [], [], 0.1)[0]:
                continue
            try:
                piece = os.read(terminal, 4096)
            except OSError:  # how Linux says that the other side is closed
                break
            if not piece:
                break
            shown += piece.decode()
            if waiting and shown.rstrip().endswith(waiting[0][0]):
                os.write(terminal, f"{waiting.pop(0)[1]}\n".encode())
        else:
            os.kill(pid, 9)
            raise AssertionError(f"still running: {shown!r}")
    finally:
        _, status = os.waitpid(pid, 0)
        os.close(terminal)
    return os.waitstatus_to_exitcode(status), shown


def test_what_is_typed_as_a_secret_is_not_shown(desk: Desk, owner: Person) -> None:
    person = join(owner)
    app, _ = add_second_factor(person.again())
    code = app.code()
    ended, shown = at_terminal(
        desk, ["login"],
        [("E-mail address:", person.email), ("Password:", person.password), ("code:", code)],
    )  # fmt: skip
    assert ended == 0, shown
    assert person.email in shown and "signed in" in shown
    assert person.password not in shown and code not in shown
    assert desk.cli.answered("account", "show")["session"]["method"] == "second_factor"


def test_given_up_with_ctrl_c_nothing_was_done(desk: Desk, person: Person) -> None:
    ended, shown = at_terminal(desk, ["login"], [("E-mail address:", person.email), ("Password:", "\x03")])
    assert ended == REFUSED and "given up" in shown


# The kept login


def test_many_commands_at_once_keep_one_session(desk: Desk, person: Person) -> None:
    desk.sign_in(person)
    for _ in range(2):
        desk.age()
        before = desk.login["refresh_token"]
        with ThreadPoolExecutor(8) as pool:
            ended = list(pool.map(lambda _: desk.cli("account", "show").returncode, range(8)))
        assert ended == [0] * 8
        assert desk.login["refresh_token"] != before
    desk.age()
    desk.cli.said("account", "show")


def test_a_stolen_refresh_token_ends_the_session_and_the_command_says_so(desk: Desk, person: Person) -> None:
    desk.sign_in(person)
    stolen = desk.login["refresh_token"]
    desk.age()
    desk.cli.said("account", "show")
    assert person.refresh(stolen).status_code == 401
    desk.age()
    told = desk.cli.refused("account", "show")
    assert "login has ended" in told and "postern login" in told
    assert not json.loads(desk.kept.read_text())["servers"]


def test_a_file_that_others_can_read_is_not_used(desk: Desk, person: Person) -> None:
    desk.sign_in(person)
    desk.kept.chmod(0o644)
    assert "chmod 600" in desk.cli.refused("account", "show")


def test_a_login_goes_to_no_other_server(desk: Desk, person: Person, new_postern: NewPostern) -> None:
    desk.sign_in(person)
    other = new_postern()
    other.start()
    assert "unauthorized" in desk.cli.refused("account", "show", POSTERN_URL=other.url)
    assert desk.login["access_token"] not in other.log.read_text()
    # Without any address it is that of the last login.
    process = subprocess.run(
        [binary(), "account", "show", "--json"], cwd=desk.directory, capture_output=True, timeout=30,
        env=clean_environment(XDG_CONFIG_HOME=str(desk.directory / "config")),
    )  # fmt: skip
    assert json.loads(said(process))["user"]["email"] == person.email


def test_the_cards_owner_is_there_for_one_command(shadow: Postern, owner: Person, tmp_path: Path) -> None:
    cli = Cli(shadow, tmp_path, key="")
    before = {row["id"] for row in owner.call("GET", "/auth/sessions")["data"] if not row["ended_at"]}
    people = cli.answered("user", "list", POSTERN_DATA_DIR=str(shadow.data))["data"]
    assert owner.email in {row["email"] for row in people}
    after = {row["id"] for row in owner.call("GET", "/auth/sessions")["data"] if not row["ended_at"]}
    assert after == before
    assert not (tmp_path / "config").exists()
    # What a key may do is done with the key, whose log says so.
    assert cli.answered("key", "list", POSTERN_DATA_DIR=str(shadow.data))["data"]


def test_a_sign_in_of_long_ago_has_to_be_repeated(tmp_path: Path, new_postern: NewPostern) -> None:
    postern: Postern = new_postern()
    postern.start()
    owner = postern.owner()
    desk = Desk(postern, tmp_path / "desk").sign_in(owner)
    somebody = join(owner)
    postern.terminate()
    with sqlite3.connect(postern.data / "postern.db") as database:
        database.execute("UPDATE sessions SET authenticated_at = authenticated_at - 1000000")
    postern.start()
    told = desk.cli.refused("user", "delete", somebody.email, "--confirm", somebody.email)
    assert "reauthentication_required" in told and "hint: postern login --again" in told
    desk.cli.said("login", "--again", "--password-file", "-", input=f"{owner.password}\n".encode())
    desk.cli.said("user", "delete", somebody.email, "--confirm", somebody.email)
    assert "user.delete" in desk.cli.said("audit", "list", "--instance", "--all")


# Single sign-on


@pytest.fixture(scope="module")
def mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mock]:
    with Mock(tmp_path_factory.mktemp("mock")) as provider:
        yield provider


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, mock: Mock) -> Iterator[Postern]:
    """An instance behind the provider."""
    environment = {
        "POSTERN_OIDC_ISSUER": mock.issuer, "POSTERN_OIDC_CLIENT_ID": CLIENT_ID,
        "POSTERN_OIDC_CLIENT_SECRET": CLIENT_SECRET, "POSTERN_OIDC_DEFAULT_ROLE": "member",
    }  # fmt: skip
    with Postern(tmp_path_factory.mktemp("house"), **environment) as postern:
        yield postern


def begin(desk: Desk, *arguments: str) -> tuple[subprocess.Popen[bytes], str]:
    """A command that waits for the browser, and the address that it printed."""
    process = subprocess.Popen(
        [binary(), "login", "--sso", "--json", *arguments], cwd=desk.directory, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(POSTERN_URL=desk.postern.url, XDG_CONFIG_HOME=str(desk.directory / "config")),
    )  # fmt: skip
    assert process.stderr is not None
    os.set_blocking(process.stderr.fileno(), False)
    shown = b""

    def address() -> str | None:
        nonlocal shown
        shown += process.stderr.read() or b""  # type: ignore[union-attr]
        found = re.search(rb"http\S+/auth/oidc/start\S+\n", shown)
        return found and found.group().decode().strip()

    try:
        found = until(address, "the command prints an address")
    except AssertionError:
        process.kill()
        process.wait()
        raise
    assert found is not None
    os.set_blocking(process.stderr.fileno(), True)
    return process, found


def test_single_sign_on_from_a_terminal(house: Postern, mock: Mock, tmp_path: Path) -> None:
    desk, subject, email = Desk(house, tmp_path / "desk"), token(), new_email()
    mock.knows(subject, email=email, email_verified=True, name="Bob")
    for again in ([], ["--again"]):
        process, address = begin(desk, *again)
        try:
            browser = requests.Session()
            provider = browser.get(address, timeout=10, allow_redirects=False).headers["Location"]
            back = mock.sign_in(provider, subject)
            # What somebody else sends to the port is not taken for the answer.
            assert requests.get(back.replace("state=", "state=x"), timeout=10).status_code >= 400
            home = browser.get(back, timeout=10, allow_redirects=False)
            assert home.status_code == 303, home.text
            port = home.headers["Location"]
            assert port.startswith("http://127.0.0.1:") and "code=" in port
            assert requests.get(port.replace("state=", "state=x"), timeout=10).status_code == 404
            page = requests.get(port, timeout=10)
            assert page.status_code == 200 and "close this window" in page.text
            output, notes = process.communicate(timeout=30)
        finally:
            process.kill()
            process.wait()
        assert process.returncode == 0, notes
        assert json.loads(output)["user"]["email"] == email
        me = desk.cli.answered("account", "show")
        assert (me["user"]["email"], me["session"]["method"]) == (email, "openid")


def test_who_does_not_come_back_is_not_waited_for(house: Postern, tmp_path: Path) -> None:
    process, _ = begin(Desk(house, tmp_path / "desk"), "--timeout", "1")
    _, notes = process.communicate(timeout=30)
    assert process.returncode == TIMED_OUT and b"within 1 s" in notes


# An owner made by the card invites an operator


def test_an_operator_comes_in_and_does_what_the_matrix_says(shadow: Postern, owners: Cli, tmp_path: Path) -> None:
    email = new_email()
    invitation = owners.answered("invitation", "create", email, "--grant", "default=operator")
    assert invitation["sent"] is False
    listed = owners.answered("invitation", "list", "--state", "pending", "--all")["data"]
    assert invitation["id"] in [row["id"] for row in listed]

    desk = Desk(shadow, tmp_path / "operator")
    (desk.directory / "link.txt").write_text(invitation["url"] + "\n")
    desk.cli.said(
        "invitation", "accept", "--link-file", "link.txt", "--name", "Olaf Operator", "--password-file", "-",
        input=f"{PASSWORD}\n".encode(),
    )  # fmt: skip
    assert "invitation_invalid" in desk.cli.refused(
        "invitation", "accept", "--link-file", "link.txt", "--name", "x", "--password-file", "-", input=b"x\n"
    )
    begun = desk.cli.answered("account", "totp")
    app = Authenticator(begun["uri"])
    codes = desk.cli.answered("account", "totp", "--code", app.code())["recovery_codes"]
    desk.cli.said("logout")
    login = ["login", "--email", email, "--password-file", "-"]
    told = desk.cli.refused(*login, input=PASSWORD.encode())
    assert "second_factor_required" in told and "hint: " in told and "--code" in told
    desk.cli.said(*login, "--code", app.code(), input=PASSWORD.encode())
    desk.cli.said("logout")
    desk.cli.said(*login, "--code", codes[0], input=PASSWORD.encode())
    desk.cli.refused(*login, "--code", codes[0], input=PASSWORD.encode())

    assert desk.cli.answered("account", "show")["memberships"][0]["role"] == "operator"
    key = desk.cli.answered("key", "create", "--label", "olaf", "--scope", "send,read")
    assert "forbidden" in desk.cli.refused("key", "create", "--label", "x", "--scope", "admin")
    assert key["id"] in [row["id"] for row in desk.cli.answered("key", "list", "--all", "--vault", "default")["data"]]
    desk.cli.said("message", "list")
    desk.cli.said("member", "list")
    desk.cli.said("pool", "list")
    for arguments in (
        ["settings", "set", "default_priority=5"], ["secrets", "list"], ["audit", "list"], ["user", "list"],
        ["invitation", "list"], ["vault", "create", "olafs"], ["plan", "list"], ["queue", "orphans"],
        ["send", "--from", "a@example.com", "--to", "b@receiver.test", "--text", "x"],
    ):  # fmt: skip
        assert "forbidden" in desk.cli.refused(*arguments), arguments
    # There is no vault of somebody else's, for him.
    assert "not_found" in desk.cli.refused("vault", "suspend", "no-such-vault", "--reason", "x")
    assert "not_found" in desk.cli.refused("key", "list", "--vault", "no-such-vault")

    me = desk.cli.answered("account", "show")["user"]["id"]
    told = owners.said("access", "explain", "--caller", me, "--action", "settings.write", "--resource", "default")
    assert "may not settings.write" in told
    told = owners.said("access", "explain", "--caller", key["id"], "--action", "message.send")
    assert "may message.send" in told
    until(
        lambda: {"key.write", "settings.write"}
        <= {row["action"] for row in owners.answered("audit", "list", "--actor", me, "--all")["data"]},
        "what he did, and what he was refused, stands in the audit log",
    )


# People, members, vaults and plans


def test_people_are_managed_from_the_command_line(owners: Cli, desk: Desk) -> None:
    email = new_email()
    made = owners.answered("user", "create", email, "--name", "Eva")
    (desk.directory / "link.txt").write_text(made["url"])
    desk.cli.said("account", "reset", "--link-file", "link.txt", "--password-file", "-", input=PASSWORD.encode())
    login = ["login", "--email", email, "--password-file", "-"]
    desk.cli.said(*login, input=PASSWORD.encode())
    assert owners.answered("user", "role", email, "admin")["role"] == "admin"
    assert desk.cli.answered("user", "show", email)["id"] == made["id"], "a role holds at once"
    assert owners.answered("user", "rename", email, "Eva E.")["name"] == "Eva E."
    assert email in owners.said("user", "list", "--q", email)
    assert len(owners.answered("user", "sessions", email)["data"]) == 1
    assert owners.answered("user", "end-sessions", email)["ended"] == 1
    assert "postern login" in desk.cli.refused("account", "show")
    assert owners.answered("user", "disable", email)["state"] == "disabled"
    assert desk.cli(*login, input=PASSWORD.encode()).returncode == REFUSED
    owners.said("user", "enable", email)
    owners.said("user", "unlock", email)
    desk.cli.said(*login, input=PASSWORD.encode())
    (desk.directory / "new.txt").write_text("another four words, and an owl")
    (desk.directory / "old.txt").write_text(PASSWORD)
    desk.cli.said("account", "password", "--current-file", "old.txt", "--new-file", "new.txt")
    link = owners.answered("user", "reset-link", made["id"])["url"]
    (desk.directory / "link.txt").write_text(link)
    desk.cli.said("account", "reset", "--link-file", "link.txt", "--password-file", "old.txt")
    desk.cli.said(*login, input=PASSWORD.encode())
    assert "--confirm" in owners.refused("user", "delete", email)
    assert "nothing was done" in owners.refused("user", "delete", email, "--confirm", "somebody@else.test")
    owners.said("user", "delete", email, "--confirm", email)
    assert "nobody here" in owners.refused("user", "show", email)


def test_the_last_owner_stays(owners: Cli, owner: Person) -> None:
    for arguments in (["role", owner.email, "member"], ["disable", owner.email]):
        assert "last_owner" in owners.refused("user", *arguments)
    assert "last_owner" in owners.refused("user", "delete", owner.email, "--confirm", owner.email)


def test_members_and_invitations_of_a_vault(owners: Cli, owner: Person, vault: str, desk: Desk) -> None:
    person = join(owner)
    desk.sign_in(person)
    assert "No vaults." in desk.cli.said("vault", "list")
    owners.said("member", "set", person.email, "owner", "--vault", vault)
    assert [row["slug"] for row in desk.cli.answered("vault", "list")["data"]] == [vault]
    # The only vault that one is a member of needs no name; one with a variable has it.
    assert {row["email"] for row in desk.cli.answered("member", "list")["data"]} == {person.email, owner.email}
    assert person.email in owners.said("member", "list", POSTERN_VAULT=vault)
    guest = desk.cli.answered("invitation", "create", new_email(), "--vault", vault, "--vault-role", "viewer")
    again = desk.cli.answered("invitation", "resend", guest["id"], "--vault", vault)
    assert again["url"] != guest["url"]
    assert guest["id"] in desk.cli.said("invitation", "list", "--vault", vault)
    desk.cli.said("invitation", "revoke", guest["id"], "--vault", vault)
    assert "forbidden" in desk.cli.refused("invitation", "create", new_email())
    owners.said("member", "remove", person.email, "--vault", vault)
    assert "No vaults." in desk.cli.said("vault", "list")


def test_who_has_an_account_joins_with_it(owners: Cli, owner: Person, vault: str, desk: Desk) -> None:
    person = join(owner)
    invitation = owners.answered("invitation", "create", person.email, "--vault", vault, "--vault-role", "viewer")
    accept = ["invitation", "accept", "--link-file", "-"]
    assert f"--email {person.email}" in desk.cli.refused(*accept, input=invitation["url"].encode())
    desk.sign_in(person)
    desk.cli.said(*accept, input=invitation["url"].encode())
    assert desk.cli.answered("vault", "show", vault)["role"] == "viewer"


def test_a_vault_lives_and_dies(owners: Cli) -> None:
    slug = token("v").lower()
    made = owners.answered("vault", "create", slug, "--name", "The laboratory", "--plan", "self_hosted")
    assert made["state"] == "active"
    assert owners.answered("vault", "show", slug)["role"] == "owner"
    assert slug in owners.said("vault", "list", "--all")
    assert owners.answered("vault", "rename", slug, "--name", "Lab")["name"] == "Lab"
    assert owners.answered("vault", "suspend", slug, "--reason", "unpaid")["state"] == "suspended"
    assert owners.answered("vault", "show", slug)["reason"] == "unpaid"
    assert owners.answered("vault", "resume", slug)["state"] == "active"
    planned = owners.answered("vault", "plan", slug, "self_hosted", "--limit", "users=3", "agents=none")
    assert planned["limits"] == {"agents": None, "users": 3}
    usage = owners.answered("vault", "usage", slug)
    assert (usage["limits"]["users"], usage["used"]["users"]) == (3, 1)
    assert owners.answered("vault", "usage", "--vault", slug) == usage
    assert "unlimited" in owners.said("vault", "usage", slug)
    assert owners.answered("vault", "archive", slug)["state"] == "archived"
    told = owners.refused("pool", "create", "--domain", "x.test", "--pool", "p", "--ip", "192.0.2.1", "--vault", slug)
    assert "vault_archived" in told and "postern vault restore" in told
    assert owners.answered("vault", "restore", slug)["state"] == "active"
    assert "--confirm" in owners.refused("vault", "delete", slug)
    assert "nothing was done" in owners.refused("vault", "delete", slug, "--confirm", "default")
    owners.said("vault", "delete", slug, "--confirm", slug)
    assert "not_found" in owners.refused("vault", "show", slug)


def test_plans_are_read_and_edited(owners: Cli) -> None:
    plans = {row["name"]: row for row in owners.answered("plan", "list")["data"]}
    assert "self_hosted" in plans and "unlimited" in owners.said("plan", "list")
    name = token("p").replace("-", "_").lower()
    made = owners.answered("plan", "set", name, "--limit", "users=5", "--feature", "webhooks")
    assert (made["limits"]["users"], made["features"]) == (5, ["webhooks"])
    changed = owners.answered("plan", "set", name, "--limit", "agents=2")
    assert (changed["limits"]["users"], changed["limits"]["agents"], changed["features"]) == (5, 2, ["webhooks"])
    assert owners.answered("plan", "show", name) == changed
    owners.said("plan", "delete", name)
    assert "no plan" in owners.refused("plan", "show", name)


# Who may do what


def test_every_command_names_its_action(tmp_path: Path) -> None:
    process = subprocess.run(
        [binary(), "access", "list", "--commands", "--json"], cwd=tmp_path, capture_output=True, timeout=30,
        env=clean_environment(),
    )  # fmt: skip
    actions = {row["command"]: row["action"] for row in json.loads(said(process))["data"]}
    local = {command for command, action in actions.items() if action == "machine"}
    assert local >= {
        "serve", "quickstart", "setup", "recover", "migrate", "check", "reference", "secrets rotate-master", "audit verify",
    }  # fmt: skip
    assert None not in actions.values() and len(actions) > 90
    assert (actions["send"], actions["login"], actions["vault delete"]) == (
        "message.send", "session.begin", "vault.delete",
    )  # fmt: skip


def test_the_table_of_actions_names_the_commands(owners: Cli) -> None:
    known = {row["name"] for row in owners.answered("access", "list")["data"]}
    process = json.loads(owners.said("access", "list", "--commands", "--json"))
    assert {row["action"] for row in process["data"]} <= known
    line = next(line for line in owners.said("access", "list").splitlines() if line.startswith("vault.delete "))
    assert "vault delete" in line and "owner" in line


@pytest.mark.parametrize(
    "arguments",
    [["login", "--sso", "--email", "a@x.test"], ["user", "delete", ""], ["vault", "plan", "v", "p", "--limit", "x"],
     ["invitation", "create", "a@x.test", "--grant", "shop"], ["account", "end-session"],
     ["key", "list", "--vault", "a\nb"]],
    ids=" ".join,
)  # fmt: skip
def test_what_cannot_be_meant_is_wrong_use(person_cli: Cli, arguments: list[str]) -> None:
    person_cli.refused(*arguments, code=WRONG_USE)
