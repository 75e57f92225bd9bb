"""What operators see and do: queues, the failure backlog, MailerQ's own operations, alerts."""

from __future__ import annotations

import functools
import hashlib
import hmac
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from conftest import finish
from harness.api import Api, only_id
from harness.company import FAILURE, OUTBOX, QUEUES, RETRY, SUCCESS, Company, broker_environment, use_mailerq
from harness.mail import header, token
from harness.mailerq import Bounce, Fault
from harness.postern import Postern, run
from harness.rabbitmq import RabbitMQ
from harness.receiver import Receiver
from harness.tls import Authority
from harness.waiting import until

WRITING = "POST /v1/pauses, DELETE /v1/pauses, POST /v1/suppressions, DELETE /v1/suppressions"
READING = (
    "GET /api/jobs, GET /api/queues, GET /v1/pauses, GET /v1/errors, GET /v1/pools, GET /v1/poolips, "
    "GET /v1/suppressions"
)


@pytest.fixture(scope="module")
def company(
    tmp_path_factory: pytest.TempPathFactory, rabbitmq: RabbitMQ, authority: Authority
) -> Iterator[Company]:
    with Company(
        tmp_path_factory.mktemp("queues"), rabbitmq.virtual_host(), authority,
        POSTERN_MAILERQ_OPERATIONS=f"{READING}, {WRITING}",
    ) as company:  # fmt: skip
        yield company
        assert company.mailerq.complaints == []
        log = company.postern.log_tail(most=10_000_000)
        assert company.mailerq.rest.token not in log and company.vhost.broker.password not in log
        finish(company.postern)


@pytest.fixture(autouse=True)
def as_it_was(company: Company) -> Iterator[None]:
    yield
    company.mailerq.rest.fault = None
    company.mailerq.always("*", None)
    company.mailerq.revive()
    company.mailerq.wait_consuming()


def cli(company: Company, *arguments: str) -> dict[str, Any]:
    """`postern … --json` as the card's key; its answer."""
    done = run(*arguments, "--json", cwd=company.postern.directory, POSTERN_URL=company.postern.url,
               POSTERN_TOKEN=company.postern.card["api_key"])  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


# Depth


def queue(company: Company, role: str) -> dict[str, Any]:
    (row,) = [row for row in company.postern.call("GET", "/v1/queues")["queues"] if row["role"] == role]
    return row


def test_every_queue_is_shown_with_depth_rates_and_health(company: Company) -> None:
    company.postern.wait_status(only_id(company.postern.send()), "delivered")

    def known() -> dict[str, Any]:
        shown = company.postern.call("GET", "/v1/queues")
        assert shown["status"] == "ok", shown
        for row in shown["queues"]:
            assert row["source"] == "management" and row["health"] == "healthy", row
            # A queue that nothing has been through has no rates.
            rates = ("publish_rate", "consume_rate") if row["role"] in ("outbox", "success") else ()
            for figure in ("ready", "unacknowledged", "consumers", *rates):
                assert isinstance(row[figure], (int, float)), row
        return shown

    shown = until(known, "the management API has figures for all of it")
    assert {row["role"]: row["name"] for row in shown["queues"]} == {
        "outbox": OUTBOX, "success": SUCCESS, "failure": FAILURE, "retry": RETRY,
    }  # fmt: skip
    assert all(row["consumers"] == 1 for row in shown["queues"])
    assert {connection["state"] for connection in shown["connections"]} == {"connected"}
    assert company.vhost.broker.password not in str(shown)
    assert cli(company, "queue", "list")["queues"]


def test_what_waits_is_seen(company: Company) -> None:
    company.mailerq.kill()
    made = [only_id(company.postern.send()) for _ in range(5)]
    row = until(lambda: (row := queue(company, "outbox"))["ready"] == 5 and row, "five are ready")
    assert (row["health"], row["consumers"]) == ("backlog", 0)
    ready = company.postern.call("GET", "/readyz")["checks"]["broker"]["outbox"]
    assert (ready["health"], ready["ready"]) == ("backlog", 5)
    metrics = company.postern.api("GET", "/metrics").text
    assert re.search(r'^postern_queue_ready\{queue="outbox"\} 5(\.0)?$', metrics, re.MULTILINE), metrics
    # Longer than the broker's figures are old.
    company.mailerq.delay = 6
    company.mailerq.revive()
    until(lambda: queue(company, "outbox")["unacknowledged"] == 5, "and then in MailerQ's hands")
    company.mailerq.delay = 0
    for id in made:
        company.postern.wait_status(id, "delivered")
    until(lambda: queue(company, "outbox")["health"] == "healthy", "all is well again")


def test_without_the_management_api_the_broker_itself_is_asked(
    new_postern: Any, rabbitmq: RabbitMQ, authority: Authority
) -> None:
    vhost = rabbitmq.virtual_host()
    vhost.declare(*QUEUES)
    vhost.publish(OUTBOX, {"recipient": "nobody@receiver.test"})
    postern: Postern = new_postern(
        **broker_environment(vhost, authority, POSTERN_RABBITMQ_MANAGEMENT_URL="")
    )
    postern.start()

    def shown() -> dict[str, Any]:
        rows = {row["role"]: row for row in postern.call("GET", "/v1/queues")["queues"]}
        assert rows["outbox"]["source"] == "passive" and rows["success"]["consumers"] == 1, rows
        return rows

    rows = until(shown, "passive declarations have been answered")
    assert (rows["outbox"]["ready"], rows["outbox"]["consumers"], rows["outbox"]["unacknowledged"]) == (1, 0, None)
    assert rows["success"]["ready"] == 0
    postern.terminate()


def test_without_a_broker_there_is_nothing_to_show(shadow: Postern) -> None:
    shown = shadow.call("GET", "/v1/queues")
    assert (shown["status"], shown["queues"]) == ("off", [])
    assert shadow.call("GET", "/readyz")["checks"]["broker"]["status"] == "off"


# The failure backlog


@pytest.fixture
def failures(company: Company) -> dict[str, list[str]]:
    """Fresh ones, by what was wrong; nothing else waits."""
    company.postern.call("POST", "/v1/queues/failure/drain", json={"limit": 10000})
    made: dict[str, list[str]] = {"550 a": [], "554 a": [], "550 b": []}
    domains = {"a": f"{token('a')}.test", "b": f"{token('b')}.test"}
    for kind, ids in made.items():
        code, domain = kind.split()
        for _ in range(2):
            recipient = f"{token()}@{domains[domain]}"
            company.mailerq.on(recipient, Bounce(int(code), "5.1.1", f"no {kind}"))
            ids.append(only_id(company.postern.send(to=[recipient])))
    for ids in made.values():
        for id in ids:
            company.postern.wait_status(id, "bounced")
    return {**made, "domains": [domains["a"], domains["b"]]}


def listed(company: Company, **filter: Any) -> set[str]:
    rows = company.postern.call("GET", "/v1/queues/failure", params={"limit": 200, **filter})["data"]
    return {row["message"] for row in rows}


def all_of(failures: dict[str, list[str]]) -> set[str]:
    return {id for kind, ids in failures.items() if kind != "domains" for id in ids}


def test_the_backlog_is_listed_and_filtered(company: Company, failures: dict[str, list[str]]) -> None:
    assert listed(company) == all_of(failures)
    assert company.postern.call("GET", "/v1/queues")["failures_waiting"] == 6
    assert listed(company, code=550) == set(failures["550 a"] + failures["550 b"])
    assert listed(company, code="5xx") == all_of(failures) and listed(company, code="4xx") == set()
    assert listed(company, domain=failures["domains"][0].upper()) == set(failures["550 a"] + failures["554 a"])
    assert listed(company, older_than="1h") == set() and listed(company, older_than="0s") == all_of(failures)
    (row,) = [
        row for row in company.postern.call("GET", "/v1/queues/failure", params={"code": 554})["data"]
        if row["message"] == failures["554 a"][0]
    ]  # fmt: skip
    assert (row["code"], row["enhanced_code"], row["route"]) == (554, "5.1.1", "mailerq")
    company.postern.problem("GET", "/v1/queues/failure?code=abc", {400, 422}, "validation_failed")


def test_a_dry_run_changes_nothing(company: Company, failures: dict[str, list[str]]) -> None:
    for action in ("drain", "requeue"):
        answer = company.postern.call("POST", f"/v1/queues/failure/{action}", json={"code": 550, "dry_run": True})
        assert (answer["matched"], answer["done"], answer["dry_run"]) == (4, 0, True)
        assert sum(kind["count"] for kind in answer["kinds"]) == 4
    assert cli(company, "queue", "drain", "--code", "550", "--dry-run")["matched"] == 4
    assert listed(company) == all_of(failures)


def test_drained_is_noted_and_not_sent_again(company: Company, failures: dict[str, list[str]]) -> None:
    body = {"code": 550, "domain": failures["domains"][0]}
    before = len(company.mailerq.received)
    answer = company.postern.call("POST", "/v1/queues/failure/drain", json=body)
    assert (answer["matched"], answer["done"]) == (2, 2)
    assert listed(company) == all_of(failures) - set(failures["550 a"])
    for id in failures["550 a"]:
        assert company.postern.message(id)["status"] == "bounced"
        assert company.postern.event_types(id)[-1] == "drained"
    assert company.postern.call("POST", "/v1/queues/failure/drain", json=body)["done"] == 0
    assert len(company.mailerq.received) == before


def test_requeued_is_sent_again(company: Company, failures: dict[str, list[str]]) -> None:
    answer = company.postern.call("POST", "/v1/queues/failure/requeue", json={"code": "554"})
    assert answer["done"] == 2
    for id in failures["554 a"]:
        company.postern.wait_status(id, "delivered")
        assert company.story(id) == ["relayed", "bounced", "relayed", "delivered"]
        assert "retried" in company.postern.event_types(id)
    assert listed(company) == all_of(failures) - set(failures["554 a"])
    answer = cli(company, "queue", "requeue", "--domain", failures["domains"][1])
    assert answer["done"] == 2
    for id in failures["550 b"]:
        company.postern.wait_status(id, "delivered")


def test_the_same_call_twice_is_one(company: Company, failures: dict[str, list[str]]) -> None:
    key = {"Idempotency-Key": token("repair")}
    first = company.postern.api("POST", "/v1/queues/failure/requeue", json={"limit": 3}, headers=key)
    again = company.postern.api("POST", "/v1/queues/failure/requeue", json={"limit": 3}, headers=key)
    assert first.json() == again.json() and first.json()["done"] == 3
    assert again.headers["Idempotency-Replayed"] == "true"
    other = company.postern.api("POST", "/v1/queues/failure/requeue", json={"limit": 2}, headers=key)
    assert other.status_code == 409
    until(lambda: len(listed(company)) == 3, "three are left")


def test_repair_is_for_owners(company: Company) -> None:
    _, looker = company.postern.new_key("amqp")
    _, reader = company.postern.new_key("read")
    _, sender = company.postern.new_key("send")
    _, owner = company.postern.new_key("admin")
    looker.call("GET", "/v1/queues")
    owner.call("GET", "/v1/queues")
    for caller in (reader, sender):
        caller.problem("GET", "/v1/queues", 403, "forbidden")
    for caller in (looker, reader, sender):
        for action in ("drain", "requeue"):
            caller.problem("POST", f"/v1/queues/failure/{action}", 403, "forbidden", json={"dry_run": True})
    owner.call("POST", "/v1/queues/failure/drain", json={"dry_run": True})


# MailerQ's own operations


def test_open_operations_pass_with_our_credentials(company: Company) -> None:
    rest = company.mailerq.rest
    _, caller = company.postern.new_key("mailerq")
    assert caller.call("GET", "/v1/mailerq/v1/pauses") == []
    caller.call("POST", "/v1/mailerq/v1/pauses", json={"domain": "paused.test"})
    assert caller.call("GET", "/v1/mailerq/v1/pauses") == [{"domain": "paused.test"}] == rest.lists["pauses"]
    caller.call("DELETE", "/v1/mailerq/v1/pauses", json={"domain": "paused.test"})
    assert rest.lists["pauses"] == []
    assert caller.call("GET", "/v1/mailerq/v1/poolips?name=a%26b") == []
    assert caller.call("GET", "/v1/mailerq/api/jobs") == []
    call = rest.calls[0]
    assert call.headers["authorization"] == f"Bearer {rest.token}", "ours, not the caller's"
    assert [call.query for call in rest.calls if call.path == "/v1/poolips"] == ["name=a%26b"]
    assert rest.token not in str(caller.call("GET", "/v1/mailerq"))


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/inject"), ("GET", "/v1/inject"), ("POST", "/v1/pools"), ("DELETE", "/v1/pools"),
     ("GET", "/api/results"), ("GET", "/v1/externalmtas"), ("GET", "/v2/pauses"),
     ("GET", "/v1/pauses/"), ("GET", "//v1/pauses"),
     ("GET", "/v1/../v1/pauses"), ("GET", "/v1/%70auses"), ("GET", "/V1/pauses"), ("GET", "/v1/pauses;x"),
     ("PUT", "/v1/pauses"), ("GET", "/v1/pauses%00"), ("GET", "/v1/pauses%2f..%2finject"), ("PATCH", "/v1/pauses")],
)  # fmt: skip
def test_everything_else_ends_at_our_boundary(company: Company, method: str, path: str) -> None:
    _, caller = company.postern.new_key("mailerq")
    before = len(company.mailerq.rest.calls)
    # As it stands: no client tidies the path up.
    request = requests.Request(method, company.postern.url, headers={"Authorization": caller.authorization or ""})
    prepared = request.prepare()
    prepared.url = f"{company.postern.url}/v1/mailerq{path}"
    with requests.Session() as session:
        answer = session.send(prepared, timeout=20, allow_redirects=False)
    assert answer.status_code in (404, 405), answer.text
    assert answer.status_code == 404 or method in ("PUT", "PATCH")
    assert len(company.mailerq.rest.calls) == before


@pytest.mark.parametrize(
    "body",
    [{}, {"type": "address", "value": "a@b.test"}, {"type": "address", "value": "a@b.test", "code": "550"},
     {"type": "address", "value": "a@b.test", "code": 550, "surprise": 1}, []],
    ids=["empty", "no code", "a text", "surprise", "a list"],
)  # fmt: skip
def test_a_body_that_mailerq_does_not_document_ends_here_too(company: Company, body: Any) -> None:
    before = len(company.mailerq.rest.calls)
    answer = company.postern.api("POST", "/v1/mailerq/v1/suppressions", json=body)
    assert answer.status_code in (400, 422), answer.text
    assert len(company.mailerq.rest.calls) == before


def test_only_the_scope_opens_the_proxy(company: Company) -> None:
    for scopes in (["send"], ["read"], ["amqp"], ["admin"]):
        _, caller = company.postern.new_key(*scopes)
        caller.problem("GET", "/v1/mailerq/v1/pauses", 403, "forbidden")
        caller.problem("GET", "/v1/mailerq", 403, "forbidden")
    _, reader = company.postern.new_key("mailerq", read_only=True)
    reader.call("GET", "/v1/mailerq/v1/pauses")
    reader.problem("POST", "/v1/mailerq/v1/pauses", 403, "forbidden", json={"domain": "x.test"})
    Api(company.postern.url, None).problem("GET", "/v1/mailerq/v1/pauses", 401, "unauthorized")


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [(Fault(500), 502, "mailerq_unavailable"), (Fault(401), 502, "mailerq_unauthorized"),
     (Fault(drop=True), 502, "mailerq_unavailable"), (Fault(huge=80_000_000), 502, "mailerq_unavailable"),
     (Fault(redirect="http://169.254.169.254/latest/"), 502, "mailerq_unavailable"),
     (Fault(seconds=40), 504, "mailerq_timeout")],
    ids=["500", "401", "dropped", "huge", "redirect", "silent"],
)  # fmt: skip
def test_a_mailerq_in_trouble_is_told_as_such(company: Company, fault: Fault, status: int, code: str) -> None:
    company.mailerq.rest.fault = fault
    problem = company.postern.problem("GET", "/v1/mailerq/v1/pools", status, code)
    assert company.mailerq.rest.token not in str(problem) and str(company.mailerq.rest.port) not in str(problem)


def test_a_refusal_of_mailerq_is_passed_on(company: Company) -> None:
    body = {"type": "nonsense", "value": "a@b.test", "code": 550}
    answer = company.postern.api("POST", "/v1/mailerq/v1/suppressions", json=body)
    assert answer.status_code == 400 and "neither address nor domain" in answer.text


def test_the_error_rate_is_measured(company: Company) -> None:
    before = company.postern.call("GET", "/v1/mailerq")
    company.postern.call("GET", "/v1/mailerq/v1/pools")
    company.mailerq.rest.fault = Fault(503, times=1)
    assert company.postern.api("GET", "/v1/mailerq/v1/pools").status_code == 502
    after = company.postern.call("GET", "/v1/mailerq")
    assert after["in_flight"] == 0 and after["configured"] is True
    assert after["last_hour"]["requests"] == before["last_hour"]["requests"] + 2
    assert after["last_hour"]["errors"] == before["last_hour"]["errors"] + 1
    operations = {f"{row['method']} {row['path']}": row["open"] for row in after["operations"]}
    assert {name for name, is_open in operations.items() if is_open} == set(f"{READING}, {WRITING}".split(", "))


def test_without_a_list_only_reading_is_open(tmp_path: Path, rabbitmq: RabbitMQ, authority: Authority) -> None:
    """By user name and password, which do as well as a token."""
    with Company(
        tmp_path / "default", rabbitmq.virtual_host(), authority, POSTERN_MAILERQ_TOKEN="",
        POSTERN_MAILERQ_USERNAME="mailerq", POSTERN_MAILERQ_PASSWORD="mailerq-password",
    ) as company:  # fmt: skip
        company.postern.call("GET", "/v1/mailerq/v1/pauses")
        company.postern.problem("POST", "/v1/mailerq/v1/pauses", 404, "not_found", json={"domain": "x.test"})
        (call,) = company.mailerq.rest.calls
        assert call.method == "GET" and call.headers["authorization"].startswith("Basic ")
        use_mailerq(company.postern, "mailerq-http")
        company.postern.wait_status(only_id(company.postern.send()), "delivered")
        assert "mailerq-password" not in company.postern.log_tail()
        finish(company.postern)


# Alerts


@pytest.mark.timeout(240)
def test_alerts_are_opened_told_and_closed(tmp_path: Path, rabbitmq: RabbitMQ, authority: Authority) -> None:
    """A backlog over the threshold, and mail that does not leave, at once: an alert waits half a minute by design."""
    secret = "alert-secret-5dd1"
    with Receiver(500) as receiver, Company(
        tmp_path / "alerts", rabbitmq.virtual_host(), authority, POSTERN_ALERT_WEBHOOK_URL=receiver.url,
        POSTERN_ALERT_WEBHOOK_SECRET=secret, POSTERN_ALERT_FAILURE_BACKLOG="3", POSTERN_ALERT_PUBLISH_STALLED="2",
        POSTERN_ALERT_EMAIL="ops@receiver.test", POSTERN_ALERT_FROM="alerts@example.com",
        POSTERN_ALERT_VAULT="default",
    ) as company:  # fmt: skip
        company.mailerq.always("*@bounce.test", Bounce())
        bounced = [only_id(company.postern.send(to=[f"{token()}@bounce.test"])) for _ in range(4)]
        for id in bounced:
            company.postern.wait_status(id, "bounced")
        company.mailerq.kill()
        company.vhost.delete(OUTBOX)
        stuck = only_id(company.postern.send())

        def told(kind: str, state: str) -> dict[str, Any] | None:
            found = [one for one in receiver.posted if (one.document["kind"], one.document["state"]) == (kind, state)]
            return found[-1].document if found else None

        for kind in ("failure_backlog", "publish_stalled"):
            opened = until(functools.partial(told, kind, "opened"), f"{kind} is told", 90)
            assert opened is not None and opened["detail"] and opened["fix"] and opened["at"]

        owner = company.postern.owner()

        def listed_as_open() -> set[str]:
            rows = owner.call("GET", "/api/alerts", params={"state": "open"})["data"]
            return {row["kind"] for row in rows}

        # Telling does not wait for the database, so the list may come some seconds later.
        until(lambda: listed_as_open() >= {"failure_backlog", "publish_stalled"}, "they are in the list")
        assert "failure_backlog" in company.postern.api("GET", "/metrics").text
        for one in receiver.posted:
            found = re.fullmatch(r"t=(\d+),v1=([0-9a-f]{64})", one.headers["postern-signature"])
            assert found is not None
            stamp, signature = found.groups()
            wanted = hmac.new(secret.encode(), f"{stamp}.".encode() + one.body, hashlib.sha256).hexdigest()
            assert hmac.compare_digest(signature, wanted)
        # The first answer was 500: that notice comes once more, under the same key.
        first = receiver.posted[0].headers["idempotency-key"]

        def copies(key: str) -> int:
            return [one.headers["idempotency-key"] for one in receiver.posted].count(key)

        until(lambda: copies(first) == 2, "what was not taken is told again", 60)
        assert all(copies(one.headers["idempotency-key"]) == 1 for one in receiver.posted[1:]
                   if one.headers["idempotency-key"] != first)  # fmt: skip

        company.postern.call("POST", "/v1/queues/failure/drain", json={})
        company.vhost.declare(OUTBOX)
        company.mailerq.revive()
        company.postern.wait_status(stuck, "delivered")
        letter = company.sink.delivered("ops@receiver.test", 60)
        assert letter.sender == "alerts@example.com" and "Postern" in header(letter.content, "Subject")[0]
        for kind in ("failure_backlog", "publish_stalled"):
            until(functools.partial(told, kind, "closed"), f"the end of {kind} is told", 90)
        until(lambda: listed_as_open() == set(), "none is open")
        assert secret not in company.postern.log_tail(most=10_000_000)
        finish(company.postern)
