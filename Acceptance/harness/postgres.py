"""A real PostgreSQL of the tests' own, with a database for each test. The machine's own clusters are not touched."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from .mail import token
from .network import LOOPBACK, free_port, listens
from .tls import Certificate
from .waiting import until

_CONFIG = """\
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{root}'
max_connections = 200
ssl = on
ssl_cert_file = '{certificate.chain}'
ssl_key_file = '{certificate.key}'
log_min_messages = warning
# Small enough for a machine that runs all the rest as well. What is durable stays as it comes: fsync is on.
shared_buffers = 64MB
"""

# The role `tlsonly` is not let in in clear.
_HBA = """\
local all all trust
hostnossl all tlsonly 127.0.0.1/32 reject
host all all 127.0.0.1/32 scram-sha-256
"""


class Postgres:
    """One cluster. `crash` and `start` keep its data; leaving the context removes everything."""

    def __init__(self, certificate: Certificate) -> None:
        self._certificate = certificate
        self.port = free_port()
        # With characters that have to be escaped in a URL.
        self.username, self.password = "postern", f"{secrets.token_urlsafe(12)}@/"
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Postgres:
        programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
        assert programs, "no PostgreSQL: run scripts/bootstrap"
        self._programs = programs[-1].parent
        # Not under pytest's temporary directory: the user postgres has to be able to walk there.
        self._root = Path(tempfile.mkdtemp(prefix="postern-postgres-", dir="/tmp"))
        self._data = self._root / "data"
        certificate = self._readable(self._certificate)
        if os.geteuid() == 0:
            shutil.chown(self._root, "postgres", "postgres")
        subprocess.run(
            [self._programs / "initdb", "--pgdata", self._data, "--username", "postgres", "--encoding", "UTF8",
             "--locale", "C.UTF-8", "--no-sync", "--auth", "trust"],
            check=True, capture_output=True, env=self._environment(), cwd=self._root, **self._as_postgres(),
        )  # fmt: skip
        with (self._data / "postgresql.conf").open("a") as file:
            file.write(_CONFIG.format(port=self.port, root=self._root, certificate=certificate))
        (self._data / "pg_hba.conf").write_text(_HBA)
        try:
            self.start()
            for role in (self.username, "tlsonly"):
                self.execute(f"CREATE ROLE {role} LOGIN CREATEDB PASSWORD '{self.password}'")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self.crash()
        shutil.rmtree(self._root, ignore_errors=True)

    # Life

    def start(self, *, wait: bool = True) -> None:
        assert self._server is None, "already started"
        with (self._root / "output").open("ab") as output:
            self._server = subprocess.Popen(
                [self._programs / "postgres", "-D", self._data], env=self._environment(), cwd=self._root,
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, **self._as_postgres(),
            )  # fmt: skip
        if wait:
            until(self._is_up, "PostgreSQL takes connections", 30)

    def crash(self) -> None:
        """`pg_ctl stop -m immediate`: every process ends at once, and the next start recovers from the log."""
        server, self._server = self._server, None
        assert server is not None
        server.send_signal(signal.SIGQUIT)
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()

    def restart(self) -> None:
        self.crash()
        self.start()

    def ensure_running(self) -> None:
        """For the next test, whatever the last one has left behind."""
        if self._server is None or self._server.poll() is not None:
            self._server = None
            self.start()

    def log(self, most: int = 5000) -> str:
        return (self._root / "output").read_text(errors="replace")[-most:]

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Every process of the server is stopped: connections stay, and nothing is answered."""
        assert self._server is not None
        members = [self._server.pid, *_children(self._server.pid)]
        for member in members:
            os.kill(member, signal.SIGSTOP)
        try:
            yield
        finally:
            for member in members:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(member, signal.SIGCONT)

    def end_connections(self, database: str) -> int:
        """Ends every connection to the database, as an administrator would; the number of them."""
        ended = self.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", database)
        return len(ended)

    # Databases

    def database(self) -> Database:
        """A new one, empty, of the role `postern`."""
        name = token("db").replace("-", "_")
        self.execute(f"CREATE DATABASE {name} OWNER {self.username}")
        return Database(self, name)

    def execute(self, sql: str, *values: Any, database: str = "postgres") -> list[tuple[Any, ...]]:
        """As the administrator, over the socket."""
        with psycopg.connect(
            host=str(self._root), port=self.port, user="postgres", dbname=database, autocommit=True
        ) as connection:  # fmt: skip
            done = connection.execute(sql, values or None)  # type: ignore[arg-type]
            return done.fetchall() if done.description else []

    # Inside

    def _is_up(self) -> bool:
        assert self._server is not None
        if self._server.poll() is not None:
            raise RuntimeError(f"PostgreSQL ended:\n{self.log()}")
        if not listens(self.port):
            return False
        try:
            return self.execute("SELECT 1") == [(1,)]
        except psycopg.OperationalError as starting:
            raise AssertionError(str(starting)) from None

    def _readable(self, certificate: Certificate) -> Certificate:
        copied = Certificate(self._root / "certificate.pem", self._root / "certificate.key")
        shutil.copyfile(certificate.chain, copied.chain)
        shutil.copyfile(certificate.key, copied.key)
        copied.key.chmod(0o600)
        if os.geteuid() == 0:
            shutil.chown(copied.key, "postgres", "postgres")
        return copied

    def _as_postgres(self) -> dict[str, Any]:
        """PostgreSQL does not run as root."""
        return {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}

    def _environment(self) -> dict[str, str]:
        return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8", "HOME": str(self._root)}


class Database:
    def __init__(self, server: Postgres, name: str) -> None:
        self.server = server
        self.name = name

    @property
    def url(self) -> str:
        return self.url_for(self.server.username)

    def url_for(self, username: str, *, host: str = LOOPBACK, password: str | None = None, **options: str) -> str:
        """`options` are libpq's, such as sslmode."""
        login = f"{username}:{quote(password or self.server.password, safe='')}"
        query = "&".join(f"{key}={quote(value, safe='')}" for key, value in options.items())
        return f"postgres://{login}@{host}:{self.server.port}/{self.name}" + (f"?{query}" if query else "")

    def execute(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.server.execute(sql, *values, database=self.name)

    def count(self, table: str) -> int:
        return self.execute(f"SELECT count(*) FROM {table}")[0][0]

    def tables(self) -> set[str]:
        rows = self.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        return {row[0] for row in rows}


def _children(parent: int) -> list[int]:
    """Its processes are found by their parent: each of them has a session of its own."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, IndexError, ValueError):
            # After the name, which may hold anything and ends in a parenthesis: state, parent.
            if entry.name.isdigit() and int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(entry.name))
    return found
