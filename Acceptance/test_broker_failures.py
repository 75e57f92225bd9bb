"""A broker that goes away, comes back, blocks, forgets a queue or distrusts us: every message still arrives.

A copy may come twice where the broker's confirm was lost, and then under the same Message-ID.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import finish
from harness.api import only_id
from harness.company import OUTBOX, QUEUES, RETRY, SUCCESS, Company, broker_environment, stand_in, use_mailerq
from harness.load import Load
from harness.mail import header, token
from harness.network import free_port, listens
from harness.peers import Peer
from harness.postern import Postern, run
from harness.rabbitmq import RabbitMQ
from harness.tls import Authority
from harness.waiting import until

MakePostern = Callable[..., Postern]

# Each costs a restart of the broker. POSTERN_CRASH_ROUNDS makes it as many as in the crash test.
ROUNDS = int(os.environ.get("POSTERN_CRASH_ROUNDS", "2"))


@pytest.fixture
def company(tmp_path: Path, fragile_rabbitmq: RabbitMQ, authority: Authority) -> Iterator[Company]:
    with Company(tmp_path / "company", fragile_rabbitmq.virtual_host(), authority) as company:
        yield company
        assert company.mailerq.complaints == []
        assert company.vhost.broker.password not in company.postern.log_tail(most=100_000_000)
        finish(company.postern)


def copies(company: Company, load: Load) -> Counter[str]:
    """How often each accepted message arrived; each has to, and all copies of one under one Message-ID."""
    found: Counter[str] = Counter()
    names: dict[str, set[str]] = {}
    for delivery in company.sink.deliveries:
        found[delivery.recipients[0]] += 1
        names.setdefault(delivery.recipients[0], set()).update(header(delivery.content, "Message-ID"))
    missing = [recipient for recipient in load.accepted if recipient not in found]
    assert not missing, f"{len(missing)} never arrived: {missing[:5]}"
    changed = [recipient for recipient, known in names.items() if len(known) != 1]
    assert not changed, f"copies under different ids: {changed[:5]}"
    return found


def published_twice(company: Company) -> list[str]:
    """Messages that Postern has published more than once, and not the broker handed out again."""
    fresh = Counter(one.ours["message"] for one in company.mailerq.received if not one.redelivered and not one.attempts)
    return [message for message, count in fresh.items() if count > 1]


def readiness(postern: Postern) -> dict:
    return postern.api("GET", "/readyz").json()["checks"]["broker"]


# Gone and back


@pytest.mark.timeout(240)
def test_a_broker_killed_under_load_loses_nothing(company: Company, capsys: pytest.CaptureFixture[str]) -> None:
    broker = company.vhost.broker
    with Load(company.postern, http=1, smtp=1) as load:
        for _ in range(ROUNDS):
            load.run()
            load.reach(len(load.accepted) + 150)
            broker.kill9()
            # Accepted all the same: the yes is ours.
            load.reach(len(load.accepted) + 50)
            load.pause()
            until(lambda: readiness(company.postern)["status"] == "down", "readyz says so", 40)
            assert company.postern.api("GET", "/readyz").status_code == 200
            broker.start()
            company.mailerq.wait_consuming(60)
        load.run()
        load.reach(len(load.accepted) + 100)
        load.pause()
    assert not load.mistakes, load.mistakes[:3]
    load.verify(company.postern, frozenset({"delivered"}), timeout=120)
    found = copies(company, load)
    repeated = sum(1 for count in found.values() if count > 1)
    with capsys.disabled():
        print(f"\nbroker killed {ROUNDS} times: {len(load.accepted)} accepted, none lost, {repeated} arrived twice "
              f"({len(published_twice(company))} published again)")  # fmt: skip
    until(lambda: readiness(company.postern)["status"] == "ok", "readyz says that it is over", 40)


def test_closed_connections_are_made_anew(company: Company) -> None:
    broker = company.vhost.broker
    with Load(company.postern, http=1, smtp=1) as load:
        for _ in range(3):
            load.run()
            load.reach(len(load.accepted) + 100)
            load.pause()
            # rabbitmqctl takes its time: what was accepted before is still on its way.
            broker.close_connections()
        load.run()
        load.reach(len(load.accepted) + 100)
        load.pause()
    assert not load.mistakes, load.mistakes[:3]
    load.verify(company.postern, frozenset({"delivered"}), timeout=90)
    copies(company, load)


def test_the_order_of_starting_does_not_matter(
    new_postern: MakePostern, fragile_rabbitmq: RabbitMQ, authority: Authority, sink: Peer
) -> None:
    """Postern first, then the broker, its queues, MailerQ. Nothing is in flight before the broker's confirm."""
    vhost = fragile_rabbitmq.virtual_host()
    fragile_rabbitmq.kill9()
    postern = new_postern(**broker_environment(vhost, authority))
    postern.start()
    use_mailerq(postern)
    id = only_id(postern.send())
    until(lambda: readiness(postern)["status"] == "down", "readyz says so", 40)
    assert postern.message(id)["status"] == "queued" and "relayed" not in postern.event_types(id)
    fragile_rabbitmq.start()
    until(lambda: "deferred" in postern.event_types(id), "the broker has no queue for it", 40)
    assert postern.message(id)["status"] == "queued"
    vhost.declare(*QUEUES)
    postern.wait_status(id, "in_flight", 30)
    assert postern.event_types(id).count("relayed") == 1
    with stand_in(vhost, sink):
        postern.wait_status(id, "delivered", 30)
    postern.terminate()


# Queues


def test_a_deleted_outbox_loses_nothing(company: Company) -> None:
    company.mailerq.kill()
    company.vhost.delete(OUTBOX)
    made = [only_id(company.postern.send(to=[f"{token()}@receiver.test"])) for _ in range(20)]
    until(lambda: all("deferred" in company.story(id) for id in made), "each was returned by the broker", 30)
    assert {company.postern.message(id)["status"] for id in made} == {"queued"}
    detail = [event for event in company.postern.events(made[0]) if event["type"] == "deferred"][0]["detail"]
    assert OUTBOX in str(detail) or "NO_ROUTE" in str(detail) or "312" in str(detail), detail
    company.vhost.declare(OUTBOX)
    company.mailerq.revive()
    for id in made:
        company.postern.wait_status(id, "delivered", 60)
    assert len(company.sink.deliveries) == len(made)


def test_deleted_result_queues_are_read_again_when_they_are_back(company: Company) -> None:
    company.postern.wait_status(only_id(company.postern.send()), "delivered")
    for queue in (SUCCESS, RETRY):
        company.vhost.delete(queue)
    until(lambda: readiness(company.postern)["success"]["health"] == "missing", "it is noticed", 30)
    company.mailerq.hold(SUCCESS)
    recipient = f"{token()}@receiver.test"
    id = only_id(company.postern.send(to=[recipient]))
    company.sink.delivered(recipient)
    company.vhost.declare(SUCCESS, RETRY)
    company.mailerq.release(SUCCESS)
    company.postern.wait_status(id, "delivered", 60)
    until(lambda: readiness(company.postern)["success"]["health"] == "healthy", "all is well again", 30)


@pytest.mark.parametrize("kind", ["quorum", "classic"])
def test_queues_are_made_only_when_asked_to(
    new_postern: MakePostern, fragile_rabbitmq: RabbitMQ, authority: Authority, kind: str
) -> None:
    vhost = fragile_rabbitmq.virtual_host()
    postern = new_postern(**broker_environment(vhost, authority, POSTERN_AMQP_DECLARE=kind))
    postern.start()
    until(lambda: vhost.queues() >= set(QUEUES), "they are made", 30)
    for queue in QUEUES:
        row = vhost.described(queue)
        assert (row["type"], row["durable"]) == (kind, True)
    for queue in QUEUES[1:]:
        arguments = vhost.described(queue)["arguments"]
        assert arguments["x-dead-letter-exchange"] == ""
        vhost.publish(queue, b"not JSON")
        assert vhost.wait_for(arguments["x-dead-letter-routing-key"])[0].body == b"not JSON"
    postern.restart()
    postern.terminate()
    # Not asked to: nothing is made.
    other = fragile_rabbitmq.virtual_host()
    postern.start(POSTERN_AMQP_URL=other.url, POSTERN_AMQP_DECLARE="none")
    until(lambda: readiness(postern)["outbox"]["health"] == "missing", "it is said", 30)
    assert other.queues() == set()
    postern.terminate()


# Back-pressure


def test_a_memory_alarm_holds_mail_back_and_loses_none(company: Company) -> None:
    broker = company.vhost.broker
    company.postern.wait_status(only_id(company.postern.send()), "delivered")
    broker.memory_alarm(True)
    try:
        # What blocks a connection is its first publish.
        made = [only_id(company.postern.send(to=[f"{token()}@receiver.test"])) for _ in range(50)]
        until(lambda: readiness(company.postern)["status"] == "blocked", "readyz says so", 30)
        assert company.postern.api("GET", "/readyz").status_code == 200, "mail is still taken"
        assert not {company.postern.message(id)["status"] for id in made} & {"delivered", "bounced", "failed"}
        made.append(only_id(company.postern.send(to=[f"{token()}@receiver.test"])))
    finally:
        broker.memory_alarm(False)
    for id in made:
        company.postern.wait_status(id, "delivered", 60)
    names = Counter(header(delivery.content, "Message-ID")[0] for delivery in company.sink.deliveries)
    assert len(names) == len(made) + 1


def test_a_stop_while_the_broker_blocks_is_a_stop(company: Company) -> None:
    company.vhost.broker.memory_alarm(True)
    try:
        made = [only_id(company.postern.send(to=[f"{token()}@receiver.test"])) for _ in range(20)]
        until(lambda: readiness(company.postern)["status"] == "blocked", "it is blocked", 30)
        company.postern.terminate(30)
    finally:
        company.vhost.broker.memory_alarm(False)
    company.postern.start()
    for id in made:
        company.postern.wait_status(id, "delivered", 60)


def test_a_broker_that_freezes_is_left(company: Company) -> None:
    """Connections stay and nothing is answered: only heartbeats tell."""
    company.postern.wait_status(only_id(company.postern.send()), "delivered")
    with company.vhost.broker.frozen():
        id = only_id(company.postern.send(to=[f"{token()}@receiver.test"]))
        until(lambda: readiness(company.postern)["status"] == "down", "readyz says so", 75)
        assert company.postern.message(id)["status"] != "in_flight"
    company.postern.wait_status(id, "delivered", 60)


# TLS and credentials


def test_tls_with_a_private_authority(tmp_path: Path, fragile_rabbitmq: RabbitMQ, authority: Authority) -> None:
    vhost = fragile_rabbitmq.virtual_host()
    with Company(tmp_path / "tls", vhost, authority, POSTERN_AMQP_URL=vhost.tls_url) as company:
        company.postern.wait_status(only_id(company.postern.send()), "delivered")

        def encrypted() -> bool:
            rows = vhost.broker.manage("GET", "connections")
            return len([row for row in rows if row.get("vhost") == vhost.name and row.get("ssl")]) >= 2

        until(encrypted, "publishing and consuming have connections of their own")
        finish(company.postern)


@pytest.mark.parametrize("wrong", ["authority", "name", "no tls there"])
def test_a_broker_that_is_not_the_one_is_given_nothing(
    new_postern: MakePostern, fragile_rabbitmq: RabbitMQ, authority: Authority, tmp_path: Path, wrong: str
) -> None:
    vhost = fragile_rabbitmq.virtual_host()
    vhost.declare(*QUEUES)
    url, trusted = vhost.tls_url, authority.certificate
    if wrong == "authority":
        (tmp_path / "other").mkdir()
        trusted = Authority(tmp_path / "other").certificate
    elif wrong == "name":
        url = vhost.url_for(vhost.broker.username, vhost.broker.password, tls=True, host="127.0.0.1")
    else:
        url = url.replace(f":{vhost.broker.tls_port}/", f":{vhost.broker.port}/")
    postern = new_postern(
        **broker_environment(vhost, authority, POSTERN_AMQP_URL=url, POSTERN_TLS_CA_FILE=str(trusted),
                             POSTERN_RABBITMQ_MANAGEMENT_URL="")
    )  # fmt: skip
    postern.start()
    use_mailerq(postern)
    id = only_id(postern.send())
    until(lambda: readiness(postern)["status"] == "down", "readyz says so", 40)
    assert vhost.depth(OUTBOX)[0] == 0 and postern.message(id)["status"] == "queued"
    postern.terminate()
    assert vhost.broker.password not in postern.log_tail(most=10_000_000)


def test_wrong_credentials_are_said_and_not_shown(
    new_postern: MakePostern, fragile_rabbitmq: RabbitMQ, authority: Authority
) -> None:
    vhost = fragile_rabbitmq.virtual_host()
    vhost.declare(*QUEUES)
    secret = "not-the-password-1f6b"
    environment = broker_environment(
        vhost, authority, POSTERN_AMQP_URL=vhost.url_for("admin", secret), POSTERN_RABBITMQ_MANAGEMENT_URL=""
    )
    postern = new_postern(**environment)
    postern.start()
    use_mailerq(postern)
    id = only_id(postern.send())
    until(lambda: readiness(postern)["status"] == "down", "readyz says so", 30)
    shown = postern.call("GET", "/v1/queues")
    assert "ACCESS_REFUSED" in str(shown) or "403" in str(shown) or "password" in str(shown), shown
    assert postern.message(id)["status"] == "queued"
    told = str(postern.events(id)) + str(shown) + postern.api("GET", "/metrics").text
    postern.terminate()
    done = run("check", cwd=postern.directory, **postern.environment)
    assert done.returncode == 1 and "broker" in (done.stdout + done.stderr).lower(), done.stdout
    assert secret not in told + postern.log_tail(most=10_000_000) + done.stdout + done.stderr
    # The right ones, and it arrives without having been handed in again.
    postern.start(POSTERN_AMQP_URL=vhost.url)
    postern.wait_status(id, "in_flight", 30)
    assert vhost.depth(OUTBOX)[0] == 1
    postern.terminate()


def test_rights_that_are_missing_are_said(
    new_postern: MakePostern, fragile_rabbitmq: RabbitMQ, authority: Authority
) -> None:
    """A user who may read the results and not write to the outbox."""
    vhost = fragile_rabbitmq.virtual_host()
    vhost.declare(*QUEUES)
    name = token("reader")
    fragile_rabbitmq.add_user(name, "reader-password-77", vhost.name, configure="^$", write="^$")
    url = vhost.url_for(name, "reader-password-77")
    postern = new_postern(
        **broker_environment(vhost, authority, POSTERN_AMQP_URL=url, POSTERN_RABBITMQ_MANAGEMENT_URL="")
    )
    postern.start()
    use_mailerq(postern)
    id = only_id(postern.send())
    until(lambda: "deferred" in postern.event_types(id), "it could not be handed over", 30)
    assert "access" in str(postern.events(id)).lower() or "403" in str(postern.events(id))
    fragile_rabbitmq.add_user(name, None, vhost.name)
    postern.wait_status(id, "in_flight", 60)
    postern.terminate()


def test_a_cluster_is_tried_in_order(tmp_path: Path, fragile_rabbitmq: RabbitMQ, authority: Authority) -> None:
    vhost = fragile_rabbitmq.virtual_host()
    nobody = free_port()
    assert not listens(nobody)
    first = vhost.url.replace(f":{vhost.broker.port}/", f":{nobody}/")
    with Company(tmp_path / "cluster", vhost, authority, POSTERN_AMQP_URL=f"{first},{vhost.url}") as company:
        company.postern.wait_status(only_id(company.postern.send()), "delivered", 30)
        finish(company.postern)


def test_kill_9_between_publish_and_confirm_sends_under_one_id(company: Company) -> None:
    """Postern itself dies again and again while it hands over; nothing is lost, and a copy is known as one."""
    with Load(company.postern, http=1, smtp=1) as load:
        for _ in range(5):
            load.run()
            load.reach(len(load.accepted) + 60)
            threading.Event().wait(0.01)
            company.postern.kill9()
            load.pause()
            company.postern.start()
        load.run()
        load.reach(len(load.accepted) + 20)
        load.pause()
    assert not load.mistakes, load.mistakes[:3]
    load.verify(company.postern, frozenset({"delivered"}), timeout=90)
    copies(company, load)
