"""The servers that tests share, and Postern's own words in the report of a test that failed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.cli import Cli
from harness.mailerq import StandIn
from harness.peers import Peer
from harness.people import Person, join
from harness.postern import Postern
from harness.postfix import Postfix
from harness.postgres import Database, Postgres
from harness.rabbitmq import RabbitMQ, VirtualHost
from harness.tls import Authority

# Retries within a test's patience; in production the first one comes after minutes.
QUICK_RETRIES = {"POSTERN_RETRY_INITIAL": "0.2", "POSTERN_RETRY_MAX": "1"}


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def postfix(authority: Authority) -> Iterator[Postfix]:
    with Postfix(authority.issue("postfix", "DNS:localhost")) as server:
        yield server


@pytest.fixture(scope="session")
def peer(authority: Authority) -> Iterator[Peer]:
    """A scripted smart host with STARTTLS and a certificate that Postern can verify."""
    with Peer(starttls=authority.issue("peer", "DNS:localhost").server_context()) as server:
        yield server


@pytest.fixture(scope="session")
def rabbitmq(authority: Authority) -> Iterator[RabbitMQ]:
    """The broker of tests that do it no harm."""
    with RabbitMQ(authority.issue("rabbitmq", "DNS:localhost")) as broker:
        yield broker


@pytest.fixture(scope="module")
def modules_rabbitmq(authority: Authority) -> Iterator[RabbitMQ]:
    with RabbitMQ(authority.issue("fragile-rabbitmq", "DNS:localhost")) as broker:
        yield broker


@pytest.fixture
def fragile_rabbitmq(modules_rabbitmq: RabbitMQ) -> RabbitMQ:
    """A broker of the module's own, to be killed, blocked and disconnected; it runs when a test begins."""
    modules_rabbitmq.ensure_running()
    return modules_rabbitmq


@pytest.fixture
def vhost(rabbitmq: RabbitMQ) -> VirtualHost:
    """An empty virtual host on the shared broker."""
    return rabbitmq.virtual_host()


@pytest.fixture(scope="session")
def postgres(authority: Authority) -> Iterator[Postgres]:
    """The database server of tests that do it no harm."""
    with Postgres(authority.issue("postgres", "DNS:localhost")) as server:
        yield server


@pytest.fixture(scope="module")
def modules_postgres(authority: Authority) -> Iterator[Postgres]:
    with Postgres(authority.issue("fragile-postgres", "DNS:localhost")) as server:
        yield server


@pytest.fixture
def fragile_postgres(modules_postgres: Postgres) -> Postgres:
    """A database server of the module's own, to be crashed and frozen; it runs when a test begins."""
    modules_postgres.ensure_running()
    return modules_postgres


@pytest.fixture
def database(postgres: Postgres) -> Database:
    """An empty database on the shared server."""
    return postgres.database()


@pytest.fixture
def sink() -> Iterator[Peer]:
    """Where the stand-in MailerQ delivers to."""
    with Peer() as server:
        yield server


@pytest.fixture
def new_mailerq(sink: Peer) -> Iterator[Callable[..., StandIn]]:
    """Makes running stand-ins for MailerQ that deliver to `sink`, gone after the test."""
    with contextlib.ExitStack() as stack:

        def make(vhost: VirtualHost, **options: Any) -> StandIn:
            mailerq = stack.enter_context(StandIn(vhost.url, ("127.0.0.1", sink.port), **options))
            mailerq.wait_consuming()
            return mailerq

        yield make


@pytest.fixture(scope="module")
def shadow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postern]:
    """An instance as `postern quickstart` makes it: whatever it accepts is captured."""
    with Postern(tmp_path_factory.mktemp("shadow")) as postern:
        yield postern
        finish(postern)


@pytest.fixture
def cli(shadow: Postern, tmp_path: Path) -> Cli:
    """The command line with the card's key, in an empty directory."""
    return Cli(shadow, tmp_path)


@pytest.fixture
def owner(shadow: Postern) -> Person:
    """The owner of `shadow`, signed in anew."""
    return shadow.owner()


@pytest.fixture
def person(owner: Person) -> Person:
    """Somebody new in `shadow`, who is a member of no vault."""
    return join(owner)


@pytest.fixture
def person_cli(shadow: Postern, tmp_path: Path) -> Cli:
    """The command line of somebody who has no key, and may sign in."""
    return Cli(shadow, tmp_path, key="")


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory, authority: Authority, peer: Peer) -> Iterator[Postern]:
    """An instance that sends on, to `peer` until a test says otherwise, over verified TLS."""
    with Postern(tmp_path_factory.mktemp("relay"), **live(authority)) as postern:
        use_smarthost(postern, peer.port)
        yield postern
        finish(postern)


@pytest.fixture
def impatient(tmp_path: Path, authority: Authority) -> Iterator[Postern]:
    """A relay of one test's own that waits two seconds for a peer's next word."""
    with Postern(tmp_path / "impatient", **live(authority, POSTERN_SMTP_CLIENT_TIMEOUT="2")) as postern:
        yield postern
        finish(postern)


@pytest.fixture
def new_postern(tmp_path: Path) -> Iterator[Callable[..., Postern]]:
    """Makes instances for one test; they are not started, and gone afterwards."""
    made: list[Postern] = []

    def make(**environment: str) -> Postern:
        made.append(Postern(tmp_path / f"postern-{len(made)}", **environment))
        return made[-1]

    yield make
    for postern in made:
        postern.stop()


def live(authority: Authority, **environment: str) -> dict[str, str]:
    """The environment of an instance that may send to the outside, which here means to peers of the tests."""
    return {
        "POSTERN_EMAILGATEWAY_LIVE_SEND_ENABLED": "true",
        "POSTERN_TLS_CA_FILE": str(authority.certificate),
        **QUICK_RETRIES,
        **environment,
    }


def use_smarthost(postern: Postern, port: int, *, host: str = "localhost", tls: str = "required",
                  username: str | None = None, password: str | None = None) -> None:  # fmt: skip
    """Points the vault's route at a smart host."""
    postern.set(
        route="smarthost", live_send_enabled=True, smarthost_host=host, smarthost_port=port, smarthost_tls=tls,
        smarthost_username=username, smarthost_password=password,
    )  # fmt: skip


def finish(postern: Postern) -> None:
    """What has to hold whenever tests are done with an instance: it stops as promised and has logged no secret."""
    if postern.process is None:
        return
    secrets = [postern.card["api_key"], postern.card["smtp"]["password"], postern.card["owner"]["password"]]
    postern.terminate()
    log = postern.log.read_text(errors="replace")
    assert not [secret for secret in secrets if secret in log], "a secret of the card is in the log"


# Reports

_log_starts = pytest.StashKey[dict[Postern, int]]()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    item.stash[_log_starts] = {postern: _size(postern.log) for postern in Postern.known}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report: pytest.TestReport = yield  # type: ignore[assignment,misc]
    if report.failed:
        starts = item.stash.get(_log_starts, {})
        for postern in Postern.known:
            said = postern.log_tail(since=starts.get(postern, 0))
            if said:
                report.sections.append((f"postern {postern.command} in {postern.directory}", said))
    return report  # type: ignore[return-value]


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
