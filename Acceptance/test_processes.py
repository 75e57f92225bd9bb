"""Three processes on one PostgreSQL and one RabbitMQ. One is killed under load, or all are replaced one after another:
nothing is lost, nothing is left behind, and a copy is known by its Message-ID.
"""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from harness.api import Api, only_id
from harness.company import FAILURE, QUEUES, SUCCESS, broker_environment, stand_in, use_mailerq
from harness.fleet import Fleet
from harness.load import Load
from harness.mail import header, token
from harness.mailerq import Bounce, Defer, StandIn
from harness.peers import Peer
from harness.postern import Postern, run
from harness.postgres import Database, Postgres
from harness.rabbitmq import RabbitMQ
from harness.receiver import Receiver
from harness.tls import Authority
from harness.waiting import until

# After so long without a sign a process counts as dead.
LEASE = 5

# POSTERN_CRASH_ROUNDS and POSTERN_CRASH_SEED as in the crash test.
ROUNDS = int(os.environ.get("POSTERN_CRASH_ROUNDS", "3"))
SEED = int(os.environ.get("POSTERN_CRASH_SEED", str(time.time_ns() % 1_000_000)))

# From so many failures on, somebody is told.
BACKLOG = 20


class Plant:
    """A fleet with its MailerQ and where that delivers to."""

    def __init__(self, directory: Path, database: Database, rabbitmq: RabbitMQ, authority: Authority) -> None:
        self.vhost = rabbitmq.virtual_host()
        self.sink = Peer()
        self.mailerq: StandIn = stand_in(self.vhost, self.sink)
        self.alerts = Receiver()
        environment = broker_environment(
            self.vhost, authority, POSTERN_PROCESS_LEASE=str(LEASE), POSTERN_ALERT_WEBHOOK_URL=self.alerts.url,
            POSTERN_ALERT_FAILURE_BACKLOG=str(BACKLOG),
        )  # fmt: skip
        self.fleet = Fleet(directory, database, 3, **environment)
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Plant:
        with contextlib.ExitStack() as stack:
            self.vhost.declare(*QUEUES)
            stack.enter_context(self.sink)
            stack.enter_context(self.mailerq)
            stack.enter_context(self.alerts)
            stack.enter_context(self.fleet)
            use_mailerq(self.fleet[0])
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def check_copies(self, loads: list[Load]) -> int:
        """Every accepted message has arrived, all copies of one under one Message-ID; how many came more than once."""
        accepted = {recipient for load in loads for recipient in load.accepted}
        names: dict[str, list[str]] = {}
        for delivery in self.sink.deliveries:
            if delivery.recipients[0] in accepted:
                names.setdefault(delivery.recipients[0], []).extend(header(delivery.content, "Message-ID"))
        missing = list(accepted - names.keys())
        assert not missing, f"{len(missing)} never arrived: {missing[:5]}"
        changed = [recipient for recipient, known in names.items() if len(set(known)) != 1]
        assert not changed, f"copies under different ids: {changed[:5]}"
        return sum(1 for known in names.values() if len(known) > 1)

    def check_events(self, loads: list[Load], postern: Postern, most: int = 60) -> None:
        """Each of these has one end, told once."""
        accepted = [id for load in loads for id, _ in load.accepted.values()]
        for id in accepted[:: max(1, len(accepted) // most)]:
            types = postern.event_types(id)
            assert types.count("delivered") == 1 and types.count("accepted") == 1, (id, types)

    def published_twice(self) -> list[str]:
        fresh = Counter(
            one.ours["message"] for one in self.mailerq.received if not one.redelivered and not one.attempts
        )
        return [message for message, count in fresh.items() if count > 1]


@pytest.fixture(scope="module")
def plant(
    tmp_path_factory: pytest.TempPathFactory, postgres: Postgres, rabbitmq: RabbitMQ, authority: Authority
) -> Iterator[Plant]:
    with Plant(tmp_path_factory.mktemp("plant"), postgres.database(), rabbitmq, authority) as plant:
        yield plant
        assert plant.mailerq.complaints == []
        told = [one.headers["idempotency-key"] for one in plant.alerts.posted]
        assert len(told) == len(set(told)), "one of three tells of an alert"
        for member in plant.fleet:
            if member.process is not None:
                member.terminate()
            log = member.log_tail(most=100_000_000)
            assert plant.vhost.broker.password not in log and postgres.password not in log


@pytest.fixture(autouse=True)
def all_there(plant: Plant) -> Iterator[None]:
    yield
    for member in plant.fleet:
        if member.process is None:
            member.start()


@contextlib.contextmanager
def loads(members: list[Postern]) -> Iterator[list[Load]]:
    """A load of its own on each process."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Load(member, http=1, smtp=1)) for member in members]


def reach(loads: list[Load], more: int, timeout: float = 60) -> None:
    """Waits until each has been accepted that many more times."""
    goals = [len(load.accepted) + more for load in loads]
    for load, goal in zip(loads, goals, strict=True):
        load.reach(goal, timeout)


# Sharing


def test_the_work_is_shared_and_nothing_is_done_twice(plant: Plant) -> None:
    with loads(plant.fleet.members) as shared:
        for load in shared:
            load.run()
        reach(shared, 80)
        for load in shared:
            load.pause()
    for load in shared:
        assert not load.mistakes, load.mistakes[:3]
        load.verify(plant.fleet[0], frozenset({"delivered"}), timeout=60)
    assert plant.check_copies(shared) == 0 and plant.published_twice() == []
    plant.check_events(shared, plant.fleet[1])
    consumers = plant.vhost.consumers(SUCCESS)
    assert consumers == len(plant.fleet.members), f"{consumers} processes read results"


def test_what_one_accepts_another_shows(plant: Plant) -> None:
    id = only_id(plant.fleet[0].send())
    assert plant.fleet[1].message(id)["id"] == id
    plant.fleet[2].wait_status(id, "delivered")
    assert plant.fleet[0].events(id) == plant.fleet[1].events(id)


def test_a_key_revoked_here_is_dead_there(plant: Plant) -> None:
    first, second, third = plant.fleet.members
    id, caller = first.new_key("send", "read")
    there = second.as_key(caller.authorization.removeprefix("Bearer "))  # type: ignore[union-attr]
    until(lambda: there.api("GET", "/v1/me").status_code == 200, "it is known there", 5)
    third.call("DELETE", f"/v1/keys/{id}", expect=204)
    until(lambda: there.api("GET", "/v1/me").status_code == 401, "it is dead there", 5)
    there.problem("POST", "/v1/messages", 401, "unauthorized", json={})


def test_a_setting_changed_here_holds_there(plant: Plant) -> None:
    first, second, _ = plant.fleet.members
    body = {"from": "ada@elsewhere.example", "to": ["bob@receiver.test"], "text": "x"}
    assert second.api("POST", "/v1/messages", json=body).status_code == 403
    allowed = first.settings()["allowed_sender_domains"]["value"]
    first.set(allowed_sender_domains=["example.com", "elsewhere.example"])
    try:
        until(lambda: second.api("POST", "/v1/messages", json=body).status_code == 202, "it holds there", 5)
    finally:
        first.set(allowed_sender_domains=allowed)


def test_one_idempotency_key_is_one_message_whichever_process_hears_it(plant: Plant) -> None:
    word = token("once")
    body = {"from": "ada@example.com", "to": [f"{word}@receiver.test"], "subject": "Once", "text": "x"}
    callers = [Api(member.url, member.authorization) for member in plant.fleet for _ in range(3)]

    def send(caller: Api) -> tuple[int, str]:
        for _ in range(50):
            answer = caller.api("POST", "/v1/messages", json=body, headers={"Idempotency-Key": word})
            # "Not now" is an answer to one of two that come in the same moment.
            if answer.status_code not in (409, 503):
                break
        return answer.status_code, answer.json().get("id", answer.text)

    with ThreadPoolExecutor(len(callers)) as pool:
        answers = set(pool.map(send, callers))
    assert len(answers) == 1 and next(iter(answers))[0] == 202, answers
    assert len(plant.fleet[0].all_messages(q=word)) == 1


def test_results_are_told_once_though_three_read_them(plant: Plant) -> None:
    plant.mailerq.copies = 3
    try:
        made = {}
        for number in range(30):
            recipient = f"{token()}@receiver.test"
            plant.mailerq.on(recipient, Defer(), *([Bounce()] if number % 3 == 0 else []))
            made[only_id(plant.fleet[number % 3].send(to=[recipient]))] = "bounced" if number % 3 == 0 else "delivered"
        for id, end in made.items():
            plant.fleet[0].wait_status(id, end, 30)
    finally:
        plant.mailerq.copies = 1

    def settled() -> bool:
        return all(plant.vhost.described(queue).get("messages") == 0 for queue in (SUCCESS, FAILURE))

    until(settled, "every copy has been read")
    for id, end in made.items():
        types = plant.fleet[0].event_types(id)
        assert (types.count("deferred"), types.count(end)) == (1, 1), types


def test_a_cancelled_message_stays_cancelled_for_all(plant: Plant) -> None:
    due = (datetime.now(UTC) + timedelta(seconds=2)).isoformat(timespec="milliseconds")
    made = [only_id(plant.fleet[number % 3].send(to=[f"{token()}@receiver.test"], send_at=due)) for number in range(9)]
    for id in made[::2]:
        plant.fleet[1].call("POST", f"/v1/messages/{id}/cancel")
    for id in made[1::2]:
        plant.fleet[2].wait_status(id, "delivered", 30)
    assert {plant.fleet[0].message(id)["status"] for id in made[::2]} == {"cancelled"}
    assert not {one.ours["message"] for one in plant.mailerq.received} & set(made[::2])


# Dying


@pytest.mark.timeout(300)
def test_kill_9_of_one_of_three_loses_nothing(plant: Plant, capsys: pytest.CaptureFixture[str]) -> None:
    before, chance = set(plant.published_twice()), random.Random(SEED)
    with loads(plant.fleet.members) as shared:
        for number in range(ROUNDS):
            victim = number % 3
            for load in shared:
                load.run()
            reach(shared, chance.randint(20, 100))
            threading.Event().wait(chance.uniform(0, 0.02))
            plant.fleet[victim].kill9()
            shared[victim].pause()
            others = [load for load in shared if load is not shared[victim]]
            reach(others, 30)
            if number < ROUNDS - 1:
                plant.fleet[victim].start()
        # The last one does not come back: what it had in hand is taken over.
        for load in others:
            load.pause()
        left = plant.fleet[(victim + 1) % 3]
        for load in shared:
            assert not load.mistakes, load.mistakes[:3]
            load.verify(left, frozenset({"delivered"}), timeout=90)
    copies, again = plant.check_copies(shared), set(plant.published_twice()) - before
    plant.check_events(shared, left)
    with capsys.disabled():
        total = sum(len(load.accepted) for load in shared)
        print(f"\none of three killed, {ROUNDS} times: {total} accepted, none lost, {len(again)} published again, "
              f"{copies} arrived twice, POSTERN_CRASH_SEED={SEED}")  # fmt: skip
    assert len(again) <= 500 * ROUNDS, "only what a victim had in hand can be published again"


def test_a_scheduled_message_does_not_need_the_process_that_took_it(plant: Plant) -> None:
    due = datetime.now(UTC) + timedelta(seconds=2)
    recipient = f"{token()}@receiver.test"
    id = only_id(plant.fleet[2].send(to=[recipient], send_at=due.isoformat(timespec="milliseconds")))
    plant.fleet[2].kill9()
    plant.fleet[0].wait_status(id, "delivered", 30)
    assert len(plant.sink.to(recipient)) == 1


@pytest.mark.timeout(180)
def test_the_duties_of_those_who_die_are_taken_over(plant: Plant) -> None:
    """One process looks out for all; whichever it was, the one that is left does it now."""
    plant.fleet[0].kill9()
    plant.fleet[1].kill9()
    plant.mailerq.always("*@duty.test", Bounce())
    for _ in range(BACKLOG + 5):
        plant.fleet[2].send(to=[f"{token()}@duty.test"])
    until(lambda: "failure_backlog" in [one.document["kind"] for one in plant.alerts.posted], "somebody is told", 120)


@pytest.mark.timeout(300)
def test_a_rolling_restart_loses_nothing_and_repeats_nothing(plant: Plant) -> None:
    before = set(plant.published_twice())
    with loads(plant.fleet.members) as shared:
        for load in shared:
            load.run()
        reach(shared, 40)
        for member, load in zip(plant.fleet, shared, strict=True):
            # As a load balancer does: no new work for the one that goes.
            load.pause()
            member.terminate()
            member.start()
            load.run()
            reach([load], 30)
        for load in shared:
            load.pause()
    for load in shared:
        assert not load.mistakes, load.mistakes[:3]
        load.verify(plant.fleet[0], frozenset({"delivered"}), timeout=60)
    plant.check_copies(shared)
    assert set(plant.published_twice()) - before == set(), "SIGTERM is no reason to send anything twice"


# Starting


def test_processes_may_start_together_on_an_empty_database(tmp_path: Path, database: Database) -> None:
    def migrate(number: int) -> str:
        directory = tmp_path / str(number)
        directory.mkdir()
        done = run("migrate", cwd=directory, timeout=60, POSTERN_DATA_DIR=str(directory / "data"),
                   POSTERN_DATABASE_URL=database.url)  # fmt: skip
        return f"{done.returncode} {done.stderr}" if done.returncode else ""

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(migrate, range(3))) == ["", "", ""]
    assert "smtp_relay_logs" in database.tables()


def test_ids_of_all_processes_are_different(plant: Plant) -> None:
    with ThreadPoolExecutor(6) as pool:
        accepted = list(pool.map(lambda number: plant.fleet[number % 3].send(), range(60)))
    assert len({only_id(one) for one in accepted}) == len({one["correlation_id"] for one in accepted}) == 60
