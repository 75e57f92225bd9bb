"""Postern as a process: started in a directory of its own, watched, killed, started again."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests

from .api import Api
from .network import LOOPBACK, free_port, listens
from .people import Person
from .smtp import RawSMTP, SMTPSession
from .waiting import until

REPOSITORY = Path(__file__).resolve().parents[2]


@functools.cache
def binary() -> Path:
    """$POSTERN_BINARY, or what `swift build` made."""
    named = os.environ.get("POSTERN_BINARY")
    if named is None:
        shown = subprocess.run(
            ["swift", "build", "--show-bin-path"], cwd=REPOSITORY, check=True, capture_output=True, text=True
        )
        named = str(Path(shown.stdout.strip()) / "postern")
    path = Path(named).resolve()
    assert path.is_file() and os.access(path, os.X_OK), f"no postern at {path}: run `make build` or set POSTERN_BINARY"
    return path


def clean_environment(**extra: str) -> dict[str, str]:
    """The caller's environment without any POSTERN_ setting of theirs, and with `extra`."""
    inherited = {key: value for key, value in os.environ.items() if "EMAILGATEWAY" not in key}
    inherited = {key: value for key, value in inherited.items() if not key.startswith("POSTERN_")}
    return inherited | extra


def run(*arguments: str, cwd: Path, timeout: float = 30, **environment: str) -> subprocess.CompletedProcess[str]:
    """One command of the binary, to its end."""
    return subprocess.run(
        [binary(), *arguments], cwd=cwd, env=clean_environment(**environment), timeout=timeout,
        capture_output=True, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip


class Postern(Api):
    """One instance on free ports. Its ports, data directory and environment stay the same across restarts."""

    # Every instance that has been started, for the report of a failed test.
    known: list[Postern] = []

    def __init__(self, directory: Path, *, command: str = "quickstart", **environment: str) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.command = command
        self.http_port, self.smtp_port, self.smtp_tls_port = free_port(), free_port(), free_port()
        self.environment = {
            "POSTERN_DATA_DIR": str(self.data),
            "POSTERN_HTTP_PORT": str(self.http_port),
            "POSTERN_SMTP_PORT": str(self.smtp_port),
            "POSTERN_SMTP_TLS_PORT": str(self.smtp_tls_port),
            **environment,
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.output = directory / "stdout.txt"
        self.log = directory / "stderr.txt"
        super().__init__(f"http://{LOOPBACK}:{self.http_port}", None)

    # Life

    def __enter__(self) -> Postern:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, *, command: str | None = None, wait: bool = True, **environment: str) -> None:
        """Starts the process; `command` and `environment` hold from this start on."""
        assert self.process is None, "already started"
        self.command = command or self.command
        self.environment |= environment
        self.directory.mkdir(parents=True, exist_ok=True)
        if self not in Postern.known:
            Postern.known.append(self)
        # Appended to: the log of a whole life, with its crashes, is one file.
        with self.output.open("ab") as output, self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [binary(), self.command], cwd=self.directory, env=clean_environment(**self.environment),
                stdin=subprocess.DEVNULL, stdout=output, stderr=log,
            )  # fmt: skip
        if wait:
            self.wait_ready()

    def wait_ready(self, timeout: float = 30) -> None:
        def ready() -> bool:
            assert self.process is not None
            if self.process.poll() is not None:
                raise RuntimeError(f"postern {self.command} ended with {self.process.returncode}:\n{self.log_tail()}")
            try:
                return requests.get(f"{self.url}/readyz", timeout=5).status_code == 200
            except requests.RequestException as not_yet:
                raise AssertionError(str(not_yet)) from None

        until(ready, f"postern {self.command} is ready\n{self.log_tail()}", timeout)
        kept = self.data / "quickstart.json"
        if self.command == "quickstart":
            # The card is written when every door is open, a moment after the first one is.
            until(kept.exists, f"there is a card\n{self.log_tail()}", timeout)
        if kept.exists():
            self.authorization = f"Bearer {self.card['api_key']}"

    def kill9(self) -> None:
        """No warning, no clean-up: what is on disk is all there is."""
        process, self.process = self.process, None
        assert process is not None
        process.kill()
        process.wait()
        self.close()

    def terminate(self, timeout: float = 30) -> None:
        """SIGTERM has to lead to exit code 0 within the deadline that the design promises."""
        process = self.process
        assert process is not None
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running {timeout:g} s after SIGTERM") from None
        self.process = None
        self.close()
        assert code == 0, f"SIGTERM led to exit code {code}\n{self.log_tail()}"

    def restart(self, **environment: str) -> None:
        self.terminate()
        self.start(**environment)

    def stop(self) -> None:
        """However it stands: it is gone afterwards."""
        if self.process is not None:
            self.kill9()

    def log_tail(self, since: int = 0, most: int = 20_000) -> str:
        """What it has said on standard error, from that byte on, its last `most` bytes."""
        return self.log.read_bytes()[since:][-most:].decode(errors="replace") if self.log.exists() else ""

    # What the card says

    @property
    def card(self) -> dict[str, Any]:
        return json.loads((self.data / "quickstart.json").read_text())

    # Other callers

    def owner(self, address: str | None = None) -> Person:
        """The card's owner in a new session; `address` is for instances that trust this machine as a proxy."""
        owner = self.card["owner"]
        return Person.sign_in(self.url, owner["email"], owner["password"], address=address)

    def as_key(self, key: str) -> Api:
        return Api.with_key(self.url, key)

    def as_smtp_user(self) -> Api:
        """The card's SMTP user at the HTTP door."""
        return Api.with_password(self.url, self.card["smtp"]["username"], self.card["smtp"]["password"])

    def new_key(self, *scopes: str, **narrowing: Any) -> tuple[str, Api]:
        """A new key's id and its view of the API."""
        made = self.call(
            "POST", "/v1/keys", expect=201, json={"label": "test", "kind": "tool", "scopes": list(scopes), **narrowing}
        )
        return made["id"], self.as_key(made["key"])

    # The SMTP door

    @contextlib.contextmanager
    def smtp(self, *, tls: str | None = "starttls", login: bool = True) -> Iterator[SMTPSession]:
        """A session by smtplib; `tls` is starttls, implicit or None for clear text."""
        credentials = (self.card["smtp"]["username"], self.card["smtp"]["password"]) if login else None
        port = self.smtp_tls_port if tls == "implicit" else self.smtp_port
        with SMTPSession.opened(port, tls, credentials) as session:
            yield session

    @contextlib.contextmanager
    def raw_smtp(self, *, login: bool = True) -> Iterator[RawSMTP]:
        """A session in bytes, in clear text, for what no decent client would send."""
        with RawSMTP(self.smtp_port) as session:
            assert session.reply().code == 220
            if login:
                assert session.command("EHLO tests.test").code == 250
                session.authenticate(self.card["smtp"]["username"], self.card["smtp"]["password"])
            yield session

    def submit(
        self, raw: bytes, to: list[str], *, sender: str = "ada@example.com", options: tuple[str, ...] = ()
    ) -> str:
        """Hands the message in by SMTP and returns the id in the final 250."""
        with self.smtp() as session:
            return session.submit(sender, to, raw, options).accepted_id

    def http_is_open(self) -> bool:
        return listens(self.http_port)

    def smtp_listens(self) -> bool:
        return listens(self.smtp_port) or listens(self.smtp_tls_port)
