"""The stand-in for MailerQ does what MailerQ's documents say, on a real broker. Postern takes no part here."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from harness.mail import header, parsed, plain, token
from harness.mailerq import Bounce, Defer, Die, Fault, Lose, StandIn
from harness.mailerq.document import Refused, is_mailbox, now_text, read
from harness.peers import Drop, Peer, Say
from harness.rabbitmq import VirtualHost
from harness.waiting import until

MakeMailerQ = Callable[..., StandIn]

QUEUES = ("outbox", "results", "success", "failure", "retry")


@pytest.fixture
def queues(vhost: VirtualHost) -> VirtualHost:
    vhost.declare(*QUEUES)
    return vhost


@pytest.fixture
def mailerq(queues: VirtualHost, new_mailerq: MakeMailerQ) -> StandIn:
    return new_mailerq(queues, results="results", retry_interval=0)


def message(**properties: Any) -> dict[str, Any]:
    recipient = properties.setdefault("recipient", f"{token()}@receiver.test")
    made = {"envelope": "ada@example.com", "priority": 0, "mime": plain(to=recipient).decode(), "own": {"id": "7"}}
    return {**made, **properties}


def canonical(recipient: str, **changes: Any) -> dict[str, Any]:
    party = {"name": "Ada Ä.", "address": "ada@example.com"}
    return {
        "to": recipient, "from": party, "replyto": party, "subject": "Grüße", "text": "π\n",
        "content": [{"type": "html", "content": "<p>π"}, {"type": "html", "content": "</p>"}],
        "headers": {"Feedback-ID": "1:2"}, **changes,
    }  # fmt: skip


# The way of a message


@pytest.mark.parametrize("encoding", [None, "gzip"])
def test_a_text_is_delivered_as_it_is_and_told_of(queues, mailerq: StandIn, sink: Peer, encoding: str | None) -> None:
    sent = message(tags=["a"], unknown=[1, {"x": None}])
    queues.publish("outbox", sent, encoding=encoding, priority=0)
    told = queues.wait_for("success")[0].document
    delivered = sink.delivered(sent["recipient"])
    assert delivered.content == sent["mime"].encode() and delivered.sender == "ada@example.com"
    assert "mime" not in told and (told["own"], told["unknown"], told["tags"]) == ({"id": "7"}, [1, {"x": None}], ["a"])
    (attempt,) = told["results"]
    assert (attempt["state"], attempt["result"], attempt["code"]) == ("message", "accepted", 250)
    assert (attempt["status"], attempt["description"], attempt["mta"]) == ("2.0.0", "kept", "peer.test")
    assert (attempt["from"], attempt["to"]) == ("127.0.0.1", "127.0.0.1")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", attempt["time"])
    at = datetime.strptime(attempt["time"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - at) < timedelta(seconds=10)
    assert told["extracted"]["recipient"] == {"local": sent["recipient"].split("@")[0], "domain": "receiver.test"}
    assert (told["extracted"]["from"], told["extracted"]["subject"]) == ("Ada <ada@example.com>", "Hello")
    assert queues.wait_for("results")[0].document == told
    assert queues.depth("outbox")[0] == queues.depth("failure")[0] == queues.depth("retry")[0] == 0
    assert mailerq.complaints == []


def test_a_refusal_of_the_remote_host_is_final(queues, mailerq: StandIn, sink: Peer) -> None:
    sent = message()
    sink.on(sent["recipient"], Say("550 5.7.1 go away"))
    queues.publish("outbox", sent, priority=0)
    told = queues.wait_for("failure")[0].document
    (attempt,) = told["results"]
    assert (attempt["state"], attempt["result"], attempt["code"]) == ("rcptto", "error", 550)
    assert (attempt["status"], attempt["description"]) == ("5.7.1", "go away")
    assert queues.wait_for("results")[0].document == told and queues.depth("success")[0] == 0


@pytest.mark.parametrize(("state", "where"), [("rcptto", "rcpt"), ("message", "data")])
def test_an_attempt_says_where_it_ended(queues, mailerq: StandIn, sink: Peer, state: str, where: str) -> None:
    sent, next = message(), message()
    sink.on(sent["recipient"], Say("554 5.7.1 no", at=where))
    queues.publish("outbox", sent, next, priority=0)
    assert queues.wait_for("failure")[0].document["results"][0]["state"] == state
    sink.delivered(next["recipient"])


def test_a_connection_that_breaks_is_a_deferral(queues, mailerq: StandIn, sink: Peer) -> None:
    sent = message()
    sink.on(sent["recipient"], Drop(), Drop("after"))
    queues.publish("outbox", sent, priority=0)
    told = queues.wait_for("success")[0].document
    assert [(one["state"], one["result"]) for one in told["results"]] == [
        ("rcptto", "lost"), ("data", "lost"), ("message", "accepted"),
    ]  # fmt: skip


def test_a_deferral_goes_round_by_the_outbox_with_a_copy_to_retry(queues, mailerq: StandIn, sink: Peer) -> None:
    sent = message()
    mailerq.on(sent["recipient"], Defer(), Lose())
    queues.publish("outbox", sent, priority=0)
    told = queues.wait_for("success")[0].document
    assert [one["result"] for one in told["results"]] == ["error", "timeout", "accepted"]
    assert (told["results"][0]["code"], told["results"][0]["status"]) == (451, "4.7.1")
    assert not told["results"][1].keys() & {"from", "to", "mta", "code"}, "there was no connection"
    first, second = (copy.document for copy in queues.wait_for("retry", 2))
    assert first["results"] == told["results"][:1] and second["results"] == told["results"][:2]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", first["nextattempt"]["time"]) and "mime" not in first
    assert [one.attempts for one in mailerq.to(sent["recipient"])] == [0, 1, 2]
    assert mailerq.to(sent["recipient"])[1].document["mime"] == sent["mime"]
    assert len(queues.get("results")) == 1, "results has final ones only"
    assert len(sink.to(sent["recipient"])) == 1


def test_a_message_waits_for_its_next_attempt(queues, mailerq: StandIn, sink: Peer) -> None:
    due = datetime.now(UTC) + timedelta(seconds=2)
    sent, other = message(nextattempt={"time": now_text(due)}), message()
    queues.publish("outbox", sent, other, priority=0)
    sink.delivered(other["recipient"])
    sink.delivered(sent["recipient"])
    assert datetime.now(UTC) >= due.replace(microsecond=0)


@pytest.mark.parametrize("given", [{"maxdelivertime": "2020-01-01 00:00:00"}, {"maxattempts": 1}])
def test_it_gives_up_in_time(queues, mailerq: StandIn, given: dict) -> None:
    sent = message(**given)
    mailerq.always("*", Defer())
    queues.publish("outbox", sent, priority=0)
    told = queues.wait_for("failure")[0].document
    assert (told["results"][-1]["state"], told["results"][-1]["result"]) == ("process", "timeout")
    assert len(told["results"]) == (2 if "maxattempts" in given else 1)


def test_a_null_suppresses_a_queue_and_a_name_replaces_it(queues, mailerq: StandIn) -> None:
    queues.declare("mine")
    queues.publish("outbox", message(queues={"results": None, "success": "mine"}), priority=0)
    queues.wait_for("mine")
    assert queues.depth("results")[0] == queues.depth("success")[0] == 0
    assert mailerq.complaints == []


def test_keepmime_keeps_it(queues, mailerq: StandIn) -> None:
    sent = message(keepmime=True)
    queues.publish("outbox", sent, priority=0)
    assert queues.wait_for("success")[0].document["mime"] == sent["mime"]


# The object


def test_the_canonical_object_becomes_a_message(queues, mailerq: StandIn, sink: Peer) -> None:
    recipient = f"{token()}@receiver.test"
    queues.publish("outbox", message(recipient=recipient, mime=canonical(recipient)), priority=0)
    made = parsed(sink.delivered(recipient).content)
    assert (str(made["From"]), str(made["Reply-To"])) == ('"Ada Ä." <ada@example.com>',) * 2
    assert (made["To"], made["Subject"], made["Feedback-ID"]) == (recipient, "Grüße", "1:2")
    text, html = made.get_body(("plain",)), made.get_body(("html",))
    assert text is not None and text.get_content().splitlines() == ["π"]
    assert html is not None and html.get_content().splitlines() == ["<p>π</p>"]
    assert made["Message-ID"] and made["Date"] and mailerq.complaints == []


@pytest.mark.parametrize("content", ["<p>x</p>", {"blocks": [{"type": "html", "content": "<p>x</p>"}]}])
def test_the_responsive_object_becomes_a_message(queues, mailerq: StandIn, sink: Peer, content: Any) -> None:
    recipient = f"{token()}@receiver.test"
    mime = {"from": "ada@example.com", "replyTo": {"address": "eve@example.com"}, "to": [recipient], "subject": "s",
            "text": "t", "content": content}  # fmt: skip
    queues.publish("outbox", message(recipient=recipient, mime=mime), priority=0)
    made = sink.delivered(recipient).content
    assert header(made, "Reply-To") == ["eve@example.com"] and b"<p>x</p>" in made
    assert mailerq.complaints == []


def test_a_structure_can_be_one_that_it_does_not_know(queues, mailerq: StandIn, sink: Peer) -> None:
    recipient = f"{token()}@receiver.test"
    mailerq.refuses = "canonical"
    queues.publish("outbox", message(recipient=recipient, mime=canonical(recipient)), priority=0)
    (attempt,) = queues.wait_for("failure")[0].document["results"]
    assert (attempt["state"], attempt["result"]) == ("responsive", "error")
    assert sink.to(recipient) == []


@pytest.mark.parametrize(
    "change",
    [{"replyTo": "x@example.com"}, {"to": "other@receiver.test"}, {"from": "ada@example.com"}, {"content": []},
     {"content": [{"type": "text", "content": "x"}]}, {"headers": {"A": 1}}, {"headers": {"Subject": "x"}},
     {"headers": {"A": "b\nc: d"}}, {"subject": None}, {"surprise": 1}],
)  # fmt: skip
def test_an_object_that_is_neither_structure_fails(queues, mailerq: StandIn, change: dict) -> None:
    recipient = f"{token()}@receiver.test"
    queues.publish("outbox", message(recipient=recipient, mime=canonical(recipient, **change)), priority=0)
    (attempt,) = queues.wait_for("failure")[0].document["results"]
    assert (attempt["state"], attempt["result"]) == ("responsive", "error") and mailerq.complaints


# What it does not take


@pytest.mark.parametrize(
    ("change", "state", "result"),
    [({"recipient": None}, "process", "invalid"), ({"recipient": "Bob <bob@receiver.test>"}, "process", "invalid"),
     ({"recipient": "bob"}, "process", "invalid"), ({"envelope": "<ada@example.com>"}, "process", "invalid"),
     ({"mime": None}, "process", "invalid"), ({"mime": "Subject: x\n\nbare"}, "process", "invalid"),
     ({"mime": None, "key": "k"}, "process", "invalid"), ({"ips": []}, "process", "error"),
     ({"ips": ["192.0.2.9"]}, "process", "error"), ({"ips": ["nowhere"]}, "process", "error"),
     ({"maxdelivertime": "2030-01-01T00:00:00Z"}, "process", "invalid"), ({"maxdelivertime": 5}, "process", "invalid"),
     ({"maxdelivertime": "2030-02-30 00:00:00"}, "process", "invalid"),
     ({"nextattempt": "2030-01-01 00:00:00"}, "process", "invalid"),
     ({"nextattempt": {"time": "2030-01-01 00:00"}}, "process", "invalid"),
     ({"tags": "a,b"}, "process", "invalid"), ({"priority": "5"}, "process", "invalid"),
     ({"priority": True}, "process", "invalid"), ({"queues": {"success": ""}}, "process", "invalid"),
     ({"queues": {"other": "x"}}, "process", "invalid"), ({"retries": 5}, "process", "invalid")],
    ids=str,
)  # fmt: skip
def test_what_mailerq_would_refuse_is_refused(change: dict, state: str, result: str) -> None:
    with pytest.raises(Refused) as refused:
        read(message(recipient="bob@receiver.test") | change, bound=frozenset({"192.0.2.1"}))
    assert (refused.value.state, refused.value.result) == (state, result)


def test_refusals_and_garbage_reach_the_right_place(queues, mailerq: StandIn) -> None:
    queues.publish("outbox", b"not JSON", b"[1]", b"\xff{}", b'{"a":NaN}', message(recipient="nobody"))
    told = queues.wait_for("failure")[0].document
    assert (told["recipient"], told["own"]) == ("nobody", {"id": "7"})
    assert (told["results"][0]["state"], told["results"][0]["result"]) == ("process", "invalid")
    until(lambda: len(mailerq.complaints) >= 5, "all five are complained of")
    assert queues.depth("outbox")[0] == 0


@pytest.mark.parametrize("address", ["a@b.test", "a.b+c@b-c.test", '"a b"@c.test', "ü@bücher.test", "a@[192.0.2.1]"])
def test_addresses(address: str) -> None:
    assert is_mailbox(address)
    assert not is_mailbox(address + ".") and not is_mailbox(" " + address) and not is_mailbox(address + "\r\n")


def test_oddities_are_complained_of(queues, mailerq: StandIn) -> None:
    mime = plain(extra="X-MQ-Pool: evil\r\n").decode()
    queues.publish("outbox", message(mime=mime, priority=7, ips="x", pool="p"), headers={"x-mq-tag": "t"})
    queues.wait_for("success")
    text = "\n".join(mailerq.complaints)
    for odd in ("header X-MQ-Pool", "AMQP header x-mq-tag", "priority 7", "ips is not an array", "pool is not played"):
        assert odd in text


# What goes wrong on request


def test_scripts_by_recipient_and_by_pattern(queues, mailerq: StandIn, sink: Peer) -> None:
    first, second = message(recipient=f"{token()}@bounce.test"), message()
    mailerq.always("*@bounce.test", Bounce(552, "5.2.2", "full"))
    mailerq.on(second["recipient"], Bounce(state="message"))
    queues.publish("outbox", first, second, priority=0)
    told = {one.document["recipient"]: one.document["results"][0] for one in queues.wait_for("failure", 2)}
    assert (told[first["recipient"]]["code"], told[first["recipient"]]["description"]) == (552, "full")
    assert told[second["recipient"]]["state"] == "message" and sink.deliveries == []


def test_results_can_be_doubled_and_come_backwards_and_compressed(queues, mailerq: StandIn) -> None:
    mailerq.copies, mailerq.gzip = 2, True
    mailerq.hold("success", "retry")
    sent = [message(), message()]
    mailerq.on(sent[0]["recipient"], Defer())
    queues.publish("outbox", *sent, priority=0)
    until(lambda: len(mailerq.held("success")) == 4 and len(mailerq.held("retry")) == 2, "all is kept back")
    order = [one["recipient"] for one in mailerq.held("success")]
    assert queues.depth("success")[0] == 0
    mailerq.release("success", "retry", backwards=True)
    told = queues.wait_for("success", 4)
    assert [one.document["recipient"] for one in told] == order[::-1]
    assert all(one.properties.content_encoding == "gzip" for one in told) and json.loads(gzip.decompress(told[0].body))
    assert queues.wait_for("retry", 2)


def test_the_old_format(queues, mailerq: StandIn) -> None:
    mailerq.old_format = True
    good, bad = message(), message()
    mailerq.on(bad["recipient"], Lose(), Defer(), Bounce())
    queues.publish("outbox", good, bad, priority=0)
    told = queues.wait_for("success")[0].document
    (attempt,) = told["results"]
    assert (attempt["attempt"], attempt["type"], attempt["state"]) == (1, "success", "accept")
    assert "result" not in attempt
    assert told["domain"] == "receiver.test" and "extracted" not in told
    attempts = queues.wait_for("failure")[0].document["results"]
    assert [(one["attempt"], one["type"]) for one in attempts] == [(1, "connect"), (2, "error"), (3, "error")]
    assert attempts[0].keys() == {"attempt", "type", "time"} and attempts[2]["state"] == "rcpt to"


@pytest.mark.parametrize(("before", "results"), [("results", 1), ("ack", 2)])
def test_it_dies_and_comes_back(queues, mailerq: StandIn, sink: Peer, before: str, results: int) -> None:
    sent = message()
    mailerq.on(sent["recipient"], Die(before))
    queues.publish("outbox", sent, priority=0)
    until(lambda: [one.redelivered for one in mailerq.to(sent["recipient"])] == [False, True], "it comes twice")
    queues.wait_for("success", results)
    until(lambda: len(sink.to(sent["recipient"])) == 2, "and is delivered twice")
    until(lambda: queues.depth("outbox") == (0, 1), "the outbox is empty")


def test_it_comes_back_when_the_queue_or_the_connection_was_gone(queues, mailerq: StandIn, sink: Peer) -> None:
    queues.delete("outbox")
    queues.declare("outbox")
    sent, later = message(), message()
    queues.publish("outbox", sent, priority=0)
    sink.delivered(sent["recipient"])
    mailerq.kill()
    assert queues.consumers("outbox") == 0
    queues.publish("outbox", later, priority=0)
    mailerq.revive()
    sink.delivered(later["recipient"])


def test_it_can_be_slow(queues, mailerq: StandIn, sink: Peer) -> None:
    mailerq.delay = 0.5
    sent = message()
    queues.publish("outbox", sent, priority=0)
    taken = mailerq.took(sent["recipient"])
    assert sink.delivered(sent["recipient"]).at - taken.at >= 0.5


# REST


def test_injection_goes_by_the_inbox(queues, mailerq: StandIn, sink: Peer) -> None:
    rest, sent = mailerq.rest, message()
    for authorization, status in ((None, 401), ("Bearer wrong", 401), (f"Bearer {rest.token}", 200)):
        headers = {"Authorization": authorization} if authorization else {}
        answer = requests.post(f"{rest.url}/v1/inject", json=sent, headers=headers, timeout=10)
        assert answer.status_code == status
    told = queues.wait_for("success")[0].document
    assert told["http"]["remote-ip"] == "127.0.0.1" and told["own"] == {"id": "7"}
    assert len(sink.to(sent["recipient"])) == 1 and rest.injections() == [sent]
    for body, kind in ((b"recipient=x", "application/x-www-form-urlencoded"), (b"{", "application/json")):
        refused = requests.post(f"{rest.url}/v1/inject", data=body, auth=rest.login, headers={"Content-Type": kind})
        assert refused.status_code == 400


def test_the_lists_are_kept(mailerq: StandIn) -> None:
    def call(method: str, path: str, **arguments: Any) -> requests.Response:
        return requests.request(method, mailerq.rest.url + path, auth=mailerq.rest.login, timeout=10, **arguments)

    for path, row, wrong in [
        ("/v1/pauses", {"domain": "a.test", "cluster": True}, {"domain": "a", "ip": "192.0.2.1"}),
        ("/v1/errors", {"code": 450, "domain": "a.test"}, {"code": 99}),
        ("/v1/pools", {"name": "p", "description": "d"}, {"description": "d"}),
        ("/v1/suppressions", {"type": "address", "value": "a@b.test", "code": 550},
         {"type": "x", "value": "v", "code": 1}),
        ("/v1/externalmtas", {"public_ip": "192.0.2.1", "protocol": "nat"}, {}),
    ]:  # fmt: skip
        assert call("GET", path).json() == []
        assert call("POST", path, json=wrong).status_code == 400
        assert call("POST", path, json=row).status_code == call("POST", path, json=row).status_code == 200
        assert call("GET", path).json() == [row]
    assert call("POST", "/v1/poolips", data={"name": "p", "ip": "192.0.2.1"}).status_code == 200
    assert call("GET", "/v1/poolips?name=p").json() == [{"name": "p", "ip": "192.0.2.1"}]
    assert call("DELETE", "/v1/pools", json={"name": "p"}).status_code == 200
    assert call("GET", "/v1/poolips?name=p").json() == []
    assert call("GET", "/v1/nothing").status_code == 404


def test_faults_of_the_rest_service(mailerq: StandIn) -> None:
    def get(**arguments: Any) -> requests.Response:
        return requests.get(f"{mailerq.rest.url}/v1/pools", auth=mailerq.rest.login, **{"timeout": 10, **arguments})

    mailerq.rest.fault = Fault(503, times=1)
    assert [get().status_code, get().status_code] == [503, 200]
    mailerq.rest.fault = Fault(redirect="http://127.0.0.1:1/", times=1)
    assert get(allow_redirects=False).headers["Location"] == "http://127.0.0.1:1/"
    mailerq.rest.fault = Fault(huge=100_000, times=1)
    assert len(get().content) == 100_000
    mailerq.rest.fault = Fault(drop=True, times=1)
    with pytest.raises(requests.ConnectionError):
        get()
    mailerq.rest.fault = Fault(seconds=1, times=1)
    with pytest.raises(requests.Timeout):
        get(timeout=0.2)
    mailerq.rest.stop()
    with pytest.raises(requests.ConnectionError):
        get()
