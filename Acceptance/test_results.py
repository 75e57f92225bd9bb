"""Results as they come: twice, in the wrong order, in the old form, compressed, late, broken, or nobody's."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from conftest import finish
from harness.api import only_id
from harness.company import FAILURE, OUTBOX, RETRY, SUCCESS, Company
from harness.mail import token
from harness.mailerq import Bounce, Defer, Die, Lose
from harness.mailerq.document import now_text
from harness.people import Person
from harness.rabbitmq import RabbitMQ
from harness.tls import Authority
from harness.waiting import until

DEAD = "acme.dead"


@pytest.fixture(scope="module", params=["SQLite", "PostgreSQL"])
def company(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, rabbitmq: RabbitMQ, authority: Authority
) -> Iterator[Company]:
    """Its result queues have a place for what nobody can read, as POSTERN_AMQP_DECLARE would make it."""
    environment = {}
    if request.param == "PostgreSQL":
        environment["POSTERN_DATABASE_URL"] = request.getfixturevalue("postgres").database().url
    vhost = rabbitmq.virtual_host()
    vhost.declare(DEAD)
    vhost.declare(SUCCESS, FAILURE, RETRY, x_dead_letter_exchange="", x_dead_letter_routing_key=DEAD)
    with Company(
        tmp_path_factory.mktemp("results"), vhost, authority, declared={SUCCESS, FAILURE, RETRY}, **environment
    ) as company:
        yield company
        finish(company.postern)


@pytest.fixture(autouse=True)
def as_it_was(company: Company) -> Iterator[None]:
    yield
    company.mailerq.copies, company.mailerq.gzip, company.mailerq.old_format = 1, False, False
    company.mailerq.release(SUCCESS, FAILURE, RETRY)
    company.mailerq.revive()
    company.mailerq.wait_consuming()


@pytest.fixture
def recipient() -> str:
    return f"{token()}@receiver.test"


def settled(company: Company) -> None:
    """Everything in the result queues has been read: what was put there last, behind all of it, has been told."""
    good, bad = (f"{token('last')}@receiver.test" for _ in range(2))
    company.mailerq.on(good, Defer())
    company.mailerq.on(bad, Bounce())
    first, second = only_id(company.postern.send(to=[good])), only_id(company.postern.send(to=[bad]))
    company.postern.wait_status(second, "bounced")
    until(lambda: company.story(first) == ["relayed", "deferred", "delivered"], "each queue is read to its end")


def in_hand(company: Company, recipient: str) -> tuple[str, dict[str, Any]]:
    """A message that MailerQ has taken and says nothing of: its id and its document."""
    company.mailerq.kill()
    id = only_id(company.postern.send(to=[recipient]))
    (taken,) = company.vhost.wait_for(OUTBOX)
    company.mailerq.revive()
    company.postern.wait_status(id, "in_flight")
    return id, taken.document


def result(document: dict[str, Any], *attempts: dict[str, Any], **changes: Any) -> dict[str, Any]:
    told = {name: value for name, value in document.items() if name != "mime"}
    return {**told, "results": list(attempts), **changes}


def attempt(state: str = "message", result: str = "accepted", code: int | None = 250, **more: Any) -> dict[str, Any]:
    told = {"state": state, "result": result, "time": now_text(), "mta": "mx.receiver.test", "from": "192.0.2.1",
            "to": "192.0.2.2", "messages": 1, **more}  # fmt: skip
    return told | ({"code": code, "status": f"{code // 100}.0.0", "description": f"reply {code}"} if code else {})


ACCEPTED = attempt()
REFUSED = attempt("rcptto", "error", 550)
DEFERRED = attempt("rcptto", "error", 451)


# Twice, and in the wrong order


def test_results_that_come_twice_are_told_once(company: Company) -> None:
    company.mailerq.copies = 3
    delivered, bounced = (f"{token()}@receiver.test" for _ in range(2))
    company.mailerq.on(delivered, Defer(), Defer())
    company.mailerq.on(bounced, Defer(), Bounce())
    first, second = only_id(company.postern.send(to=[delivered])), only_id(company.postern.send(to=[bounced]))
    company.postern.wait_status(first, "delivered")
    company.postern.wait_status(second, "bounced")
    company.mailerq.copies = 1
    settled(company)
    assert company.story(first) == ["relayed", "deferred", "deferred", "delivered"]
    assert company.story(second) == ["relayed", "deferred", "bounced"]


@pytest.mark.parametrize("before", ["results", "ack"])
def test_a_mailerq_that_dies_tells_twice_and_is_heard_once(company: Company, recipient: str, before: str) -> None:
    company.mailerq.on(recipient, Die(before))
    id = only_id(company.postern.send(to=[recipient]))
    company.postern.wait_status(id, "delivered")
    until(lambda: len(company.sink.to(recipient)) == 2, "MailerQ has sent it twice")
    settled(company)
    assert company.story(id) == ["relayed", "delivered"]


def test_the_end_may_come_before_what_led_to_it(company: Company, recipient: str) -> None:
    company.mailerq.hold(SUCCESS, RETRY)
    company.mailerq.on(recipient, Defer(), Lose())
    id = only_id(company.postern.send(to=[recipient]))
    until(lambda: len(company.mailerq.held(SUCCESS)) == 1 and len(company.mailerq.held(RETRY)) == 2, "all is held back")
    assert company.postern.message(id)["status"] == "in_flight"
    company.mailerq.release(SUCCESS)
    company.postern.wait_status(id, "delivered")
    company.mailerq.release(RETRY, backwards=True)
    settled(company)
    assert company.postern.message(id)["status"] == "delivered"
    story = [event for event in company.postern.events(id) if event["type"] in ("deferred", "delivered")]
    assert sorted((event["attempt"], event["type"]) for event in story) == [
        (1, "deferred"), (2, "deferred"), (3, "delivered"),
    ]  # fmt: skip


def test_attempts_out_of_order_are_each_told_once(company: Company, recipient: str) -> None:
    id, document = in_hand(company, recipient)
    second = result(document, DEFERRED, {**DEFERRED, "code": 452})
    company.vhost.publish(RETRY, second, result(document, DEFERRED), second)
    until(lambda: company.story(id).count("deferred") == 2, "both are told")
    company.vhost.publish(SUCCESS, result(document, DEFERRED, {**DEFERRED, "code": 452}, ACCEPTED))
    company.postern.wait_status(id, "delivered")
    assert company.story(id) == ["relayed", "deferred", "deferred", "delivered"]
    deferred = [event for event in company.postern.events(id) if event["type"] == "deferred"]
    assert {(event["attempt"], event["detail"]["code"]) for event in deferred} == {(1, 451), (2, 452)}


@pytest.mark.parametrize(("first", "second"), [("delivered", "bounced"), ("bounced", "delivered")])
def test_the_first_end_stays(company: Company, recipient: str, first: str, second: str) -> None:
    results = {"delivered": (SUCCESS, ACCEPTED), "bounced": (FAILURE, REFUSED)}
    id, document = in_hand(company, recipient)
    for name in (first, second):
        queue, told = results[name]
        company.vhost.publish(queue, result(document, told))
        company.postern.wait_status(id, first)
    settled(company)
    assert company.postern.message(id)["status"] == first


def test_a_result_of_an_earlier_hand_over_does_not_end_a_later_one_badly(company: Company, recipient: str) -> None:
    """After a retry the first hand-over's failure, told once more, must not bounce what is on its way again."""
    id, document = in_hand(company, recipient)
    company.vhost.publish(FAILURE, result(document, REFUSED))
    company.postern.wait_status(id, "bounced")
    company.mailerq.kill()
    company.postern.call("POST", f"/v1/messages/{id}/retry")
    (again,) = company.vhost.wait_for(OUTBOX)
    company.mailerq.revive()
    company.postern.wait_status(id, "in_flight")
    company.vhost.publish(FAILURE, result(document, REFUSED))
    settled(company)
    assert company.postern.message(id)["status"] == "in_flight"
    company.vhost.publish(SUCCESS, result(again.document, ACCEPTED))
    company.postern.wait_status(id, "delivered")


# Forms


def test_compressed_results_are_read(company: Company, recipient: str) -> None:
    company.mailerq.gzip = True
    company.mailerq.on(recipient, Defer())
    id = only_id(company.postern.send(to=[recipient]))
    company.postern.wait_status(id, "delivered")
    until(lambda: company.story(id) == ["relayed", "deferred", "delivered"], "the attempt is told as well")


def test_the_old_format_is_read(company: Company) -> None:
    company.mailerq.old_format = True
    good, bad = (f"{token()}@receiver.test" for _ in range(2))
    company.mailerq.on(good, Lose(), Defer(450, "4.2.0", "busy"))
    company.mailerq.on(bad, Bounce(554, "5.7.1", "policy", state="message"))
    first, second = only_id(company.postern.send(to=[good])), only_id(company.postern.send(to=[bad]))
    company.postern.wait_status(first, "delivered")
    company.postern.wait_status(second, "bounced")
    until(lambda: company.story(first) == ["relayed", "deferred", "deferred", "delivered"], "each attempt is told")
    deferred = [event["detail"] for event in company.postern.events(first) if event["type"] == "deferred"]
    assert (deferred[1]["code"], deferred[1]["reply"]) == (450, "busy")
    detail = company.postern.events(second)[-1]["detail"]
    assert (detail["code"], detail["enhanced_code"], detail["reply"]) == (554, "5.7.1", "policy")


@pytest.mark.parametrize(
    ("queue", "attempts", "status"),
    [
        (FAILURE, [{"type": "nohosts", "time": "2014-10-08 12:11:59"}], "failed"),
        (FAILURE, [{"type": "offline", "time": "2014-10-08 12:11:59"}], "failed"),
        (FAILURE, [{"type": "expired", "time": "2014-10-08 12:11:59"}], "expired"),
        (FAILURE, [{"state": "process", "result": "timeout", "time": "2026-01-01 00:00:00"}], "expired"),
        (FAILURE, [{"state": "dns", "result": "error", "time": "2026-01-01 00:00:00"}], "failed"),
        (FAILURE, [{"state": "process", "result": "invalid", "time": "2026-01-01 00:00:00"}], "failed"),
        (FAILURE, [attempt("message", "error", 550, fatal=True, custom={"a": 1})], "bounced"),
        (FAILURE, [{"type": "error", "state": "rcpt to", "code": "550", "description": "no", "time": "x"}], "bounced"),
        (FAILURE, [], "failed"),
        (SUCCESS, [DEFERRED, ACCEPTED], "delivered"),
        (FAILURE, [attempt("a state of 2040", "a result of 2040", None)], "failed"),
    ],
    ids=["nohosts", "offline", "expired", "timeout", "dns", "invalid", "custom keys", "old refusal", "no attempts",
         "accepted at last", "unheard of"],
)  # fmt: skip
def test_each_end_is_understood(company: Company, recipient: str, queue: str, attempts: list, status: str) -> None:
    id, document = in_hand(company, recipient)
    company.vhost.publish(queue, result(document, *attempts))
    company.postern.wait_status(id, status)
    assert company.story(id)[-1] == status


def test_foreign_words_are_kept_as_they_are_and_do_no_harm(company: Company, recipient: str) -> None:
    words = "550-<script>alert(1)</script>\r\n550 \u202e\U0001f600 '; DROP TABLE smtp_relay_logs; --" + "x" * 3000
    id, document = in_hand(company, recipient)
    refused = attempt("rcptto", "error", 550) | {"description": words, "mta": "\x1b[31mmx\u0000"}
    company.vhost.publish(FAILURE, result(document, refused))
    company.postern.wait_status(id, "bounced")
    reply = company.postern.events(id)[-1]["detail"]["reply"]
    assert "<script>alert(1)</script>" in reply and "DROP TABLE" in reply
    assert "\x1b" not in json.dumps(company.postern.events(id), ensure_ascii=False)
    assert "DROP TABLE" not in company.postern.log_tail()


def test_a_time_that_cannot_be_is_not_believed(company: Company, recipient: str) -> None:
    id, document = in_hand(company, recipient)
    future = now_text(datetime.now(UTC) + timedelta(days=400))
    company.vhost.publish(RETRY, result(document, {**DEFERRED, "time": future}))
    past = {**ACCEPTED, "time": "1970-01-01 00:00:00"}
    company.vhost.publish(SUCCESS, result(document, {**DEFERRED, "time": future}, past))
    company.postern.wait_status(id, "delivered")
    now = datetime.now(UTC)
    for event in company.postern.events(id):
        at = datetime.fromisoformat(event["at"].replace("Z", "+00:00"))
        assert now - timedelta(minutes=5) <= at <= now + timedelta(seconds=1), event


# Nobody's


@pytest.mark.parametrize(
    "change",
    [{"postern": {"message": "msg_0000000000000000", "vault": "vlt_0000000000000000",
                  "correlation": "cor_0000000000000000", "handover": 1}},
     {"postern": None}, {"postern": "msg"}, {"postern": {"message": 5}}, {"postern": []}],
    ids=["unknown", "absent", "a text", "a number", "a list"],
)  # fmt: skip
def test_results_of_nobodys_message_are_kept_and_shown(company: Company, change: dict) -> None:
    stray = f"{token('stray')}@orphan-{token()}.test"
    company.vhost.publish(FAILURE, {"recipient": stray, "results": [REFUSED], **change})
    domain = stray.rpartition("@")[2]
    owner = company.postern.owner()
    until(lambda: [row for row in orphans(owner) if row.get("recipient_domain") == domain], "it is shown")
    settled(company)
    assert company.vhost.depth(DEAD)[0] == 0, "it was readable, and is acked"


def orphans(owner: Person) -> list[dict]:
    """What belongs to no vault is for admins of the instance."""
    return owner.call("GET", "/api/queues/orphans", params={"limit": 200})["data"]


def test_a_result_with_another_vaults_name_on_it_changes_nothing(company: Company, recipient: str) -> None:
    id, document = in_hand(company, recipient)
    forged = {**document, "postern": {**document["postern"], "vault": "vlt_0000000000000000"}}
    company.vhost.publish(FAILURE, result(forged, REFUSED))
    settled(company)
    assert company.postern.message(id)["status"] == "in_flight" and company.story(id) == ["relayed"]
    company.vhost.publish(SUCCESS, result(document, ACCEPTED))
    company.postern.wait_status(id, "delivered")


# What nobody can read


GARBAGE = {
    "no JSON": (b"hello", None),
    "empty": (b"", None),
    "cut off": (b'{"recipient":"bob@receiver.test","results":[', None),
    "a list": (b"[]", None),
    "an empty object": (b"{}", None),
    "deep": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, None),
    "no gzip": (b'{"recipient":"bob@receiver.test"}', "gzip"),
    "half a gzip": (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab", "gzip"),
}


@pytest.mark.parametrize("queue", [SUCCESS, FAILURE, RETRY])
def test_what_cannot_be_read_goes_to_the_dead_letters_and_holds_up_nothing(company: Company, queue: str) -> None:
    for body, encoding in GARBAGE.values():
        company.vhost.publish(queue, body, encoding=encoding)
    dead = company.vhost.wait_for(DEAD, len(GARBAGE))
    assert sorted(one.body for one in dead) == sorted(body for body, _ in GARBAGE.values()), "byte for byte"
    settled(company)
    assert company.vhost.depth(DEAD)[0] == 0


def test_a_bomb_is_not_unpacked(company: Company) -> None:
    """A gigabyte of spaces in a megabyte of gzip."""
    block = gzip.compress(b" " * (64 << 20))
    company.vhost.publish(SUCCESS, block * 16, encoding="gzip")
    company.vhost.wait_for(DEAD, timeout=60)
    settled(company)
    assert company.postern.process is not None
    with open(f"/proc/{company.postern.process.pid}/status") as file:
        peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
    assert peak < 700_000, f"{peak} KiB at its peak"
