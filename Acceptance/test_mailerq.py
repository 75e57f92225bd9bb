"""By RabbitMQ to MailerQ and back: what stands in the outbox, and what becomes of it on the timeline."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from conftest import finish
from harness.api import ids, only_id
from harness.company import FAILURE, OUTBOX, QUEUES, RETRY, SUCCESS, Company, broker_environment, use_mailerq
from harness.mail import header, parsed, plain, token, without_fields, without_trace
from harness.mailerq import Bounce, Defer, Fault, Lose
from harness.mailerq.mime import CANONICAL, RESPONSIVE, STRING, structure
from harness.peers import Say
from harness.postern import Postern
from harness.rabbitmq import RabbitMQ, VirtualHost
from harness.tls import Authority
from harness.waiting import until

MODES = [CANONICAL, RESPONSIVE, STRING]
in_each_mode = pytest.mark.parametrize("company", MODES, indirect=True)
in_canonical = pytest.mark.parametrize("company", [CANONICAL], indirect=True)

TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"


@pytest.fixture(scope="module")
def company(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, rabbitmq: RabbitMQ, authority: Authority
) -> Iterator[Company]:
    """One instance for each value of POSTERN_MAILERQ_MIME."""
    with Company(
        tmp_path_factory.mktemp("company"), rabbitmq.virtual_host(), authority, POSTERN_MAILERQ_MIME=request.param
    ) as company:
        yield company
        assert company.mailerq.complaints == []
        assert company.vhost.broker.password not in company.postern.log_tail(most=10_000_000)
        finish(company.postern)


@pytest.fixture
def recipient() -> str:
    return f"{token()}@receiver.test"


def canonical(recipient: str, **fields: object) -> dict:
    mime = {"to": recipient, "from": {"address": "ada@example.com", "name": "Ada Lovelace"}, "subject": "Grüße",
            "text": "π\r\n", **fields.pop("mime", {})}  # type: ignore[dict-item] # fmt: skip
    return {"recipient": recipient, "mime": mime, **fields}


def at(event: dict) -> datetime:
    return datetime.fromisoformat(event["at"].replace("Z", "+00:00"))


def utc(text: str) -> datetime:
    assert re.fullmatch(TIME, text), text
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)


# The way there and back


@in_each_mode
def test_a_message_is_delivered_and_its_timeline_says_so(company: Company, recipient: str) -> None:
    accepted = company.postern.call("POST", "/v1/send", expect=202, json=canonical(recipient))
    id = only_id(accepted)
    message = company.postern.wait_status(id, "delivered")
    assert (message["route"], message["recipient"]) == ("mailerq", recipient)
    assert company.story(id) == ["relayed", "delivered"]
    events = company.postern.events(id)
    assert [event["type"] for event in events][0] == "accepted"
    assert [at(event) for event in events] == sorted(at(event) for event in events)
    relayed, delivered = (next(event for event in events if event["type"] == type) for type in ("relayed", "delivered"))
    assert relayed["attempt"] == delivered["attempt"] == 1 and delivered["route"] == "mailerq"
    detail = delivered["detail"]
    assert (detail["code"], detail["enhanced_code"], detail["reply"]) == (250, "2.0.0", "kept")
    assert (detail["peer"], detail["remote_ip"], detail["stage"]) == ("peer.test", "127.0.0.1", "message")
    made = parsed(company.sink.delivered(recipient).content)
    assert (made["To"], made["Subject"], made["From"]) == (recipient, "Grüße", "Ada Lovelace <ada@example.com>")
    body = made.get_body(("plain",))
    assert body is not None and body.get_content().strip() == "π"
    assert len(company.sink.to(recipient)) == 1


@in_each_mode
def test_a_bounce_is_told_with_the_remote_hosts_words(company: Company, recipient: str) -> None:
    company.sink.always(recipient, Say("550 5.1.1 Nobody of that name"))
    id = only_id(company.postern.send(to=[recipient]))
    company.postern.wait_status(id, "bounced")
    assert company.story(id) == ["relayed", "bounced"]
    detail = company.postern.events(id)[-1]["detail"]
    assert (detail["code"], detail["enhanced_code"], detail["reply"]) == (550, "5.1.1", "Nobody of that name")
    assert detail["stage"] == "rcptto"


@in_each_mode
def test_every_attempt_of_mailerq_is_an_event(company: Company, recipient: str) -> None:
    company.mailerq.on(recipient, Defer(451, "4.7.1", "greylisted"), Lose(), Defer(452, "4.2.2", "full"))
    id = only_id(company.postern.send(to=[recipient]))
    company.postern.wait_status(id, "delivered")
    until(lambda: company.story(id) == ["relayed", "deferred", "deferred", "deferred", "delivered"], "all are told")
    events = [event for event in company.postern.events(id) if event["type"] in ("deferred", "delivered")]
    assert [event["attempt"] for event in events] == [1, 2, 3, 4]
    details = [event["detail"] for event in events]
    assert (details[0]["code"], details[0]["reply"]) == (451, "greylisted")
    assert (details[1]["stage"], details[1]["result"]) == ("connect", "timeout") and "code" not in details[1]
    assert (details[2]["code"], details[2]["enhanced_code"]) == (452, "4.2.2")
    assert len(company.sink.to(recipient)) == 1
    # MailerQ's own attempts are not hand-overs of ours: there was one.
    assert {one.ours["handover"] for one in company.mailerq.to(recipient)} == {1}


@in_canonical
def test_what_mailerq_cannot_convert_has_failed(company: Company, recipient: str) -> None:
    company.mailerq.refuses = CANONICAL
    try:
        id = only_id(company.postern.call("POST", "/v1/send", expect=202, json=canonical(recipient)))
        company.postern.wait_status(id, "failed")
        detail = company.postern.events(id)[-1]["detail"]
        assert (detail["stage"], detail["result"]) == ("responsive", "error")
    finally:
        company.mailerq.refuses = None
        # That one complaint is what this test is about.
        company.mailerq.forget_complaints()


@in_canonical
def test_one_correlation_id_goes_all_the_way(company: Company, recipient: str) -> None:
    accepted = company.postern.send(to=[recipient])
    id, correlation = only_id(accepted), accepted["correlation_id"]
    taken = company.mailerq.took(recipient)
    assert taken.ours["correlation"] == taken.properties.correlation_id == correlation
    assert taken.ours["message"] == taken.properties.message_id == id
    company.postern.wait_status(id, "delivered")
    assert company.postern.message(id)["correlation_id"] == correlation


# What stands in the outbox


@in_canonical
def test_the_document_is_exactly_the_scopes(company: Company, recipient: str) -> None:
    before = datetime.now(UTC)
    sent = canonical(
        recipient, envelope="bounces@example.com", priority=7, ips=["192.0.2.1", "2001:db8::1"], tags=["a", "ü"],
        campaign_id="spring", tracking={"userId": "u", "endpointId": "e", "context": "c", "visible": True},
        mime={"replyto": {"address": "answers@example.com", "name": "Answers"},
              "content": [{"type": "html", "content": "<p>π</p>"}, {"type": "html", "content": "<hr>"}],
              "headers": {"List-Unsubscribe": "<https://example.com/u>", "Feedback-ID": "1:2:3"}},
    )  # fmt: skip
    accepted = company.postern.call("POST", "/v1/send", expect=202, json=sent)
    taken = company.mailerq.took(recipient)
    document = dict(taken.document)
    vault = company.postern.message(only_id(accepted))["vault"]
    assert document.pop("postern") == {
        "message": only_id(accepted), "vault": vault, "correlation": accepted["correlation_id"], "handover": 1,
    }  # fmt: skip
    give_up = utc(document.pop("maxdelivertime"))
    assert timedelta(seconds=-2) <= give_up - (before + timedelta(days=5)) <= timedelta(seconds=10)
    queues = document.pop("queues")
    assert {name: queues.get(name) for name in ("success", "failure", "retry")} == {
        "success": SUCCESS, "failure": FAILURE, "retry": RETRY,
    }  # fmt: skip
    assert queues.get("results") is None, "nobody reads those"
    mime = dict(document.pop("mime"))
    headers = mime.pop("headers")
    assert headers.items() >= sent["mime"]["headers"].items()
    assert set(headers) - set(sent["mime"]["headers"]) <= {"Message-ID", "Date"}
    assert mime == {name: value for name, value in sent["mime"].items() if name != "headers"}
    assert document == {name: value for name, value in sent.items() if name != "mime"}
    assert taken.properties.priority == 7 and taken.properties.delivery_mode == 2
    assert taken.properties.content_type == "application/json"
    assert not [name for name in taken.properties.headers or {} if name.lower().startswith("x-mq")]


@in_canonical
def test_what_is_absent_is_filled_in_or_left_out(company: Company, recipient: str) -> None:
    company.postern.set(default_priority=3, default_tags=["default"])
    try:
        company.postern.call("POST", "/v1/send", expect=202, json=canonical(recipient))
        document = company.mailerq.took(recipient).document
    finally:
        company.postern.set(default_priority=None, default_tags=None)
    assert (document["envelope"], document["priority"], document["tags"]) == ("ada@example.com", 3, ["default"])
    assert not document.keys() & {"ips", "campaign_id", "tracking", "nextattempt", "pool", "key"}
    assert document["mime"]["replyto"] == document["mime"]["from"] == {
        "address": "ada@example.com", "name": "Ada Lovelace",
    }  # fmt: skip
    assert "content" not in document["mime"]


@in_canonical
def test_ips_come_from_the_pool_of_the_from_domain(company: Company, recipient: str) -> None:
    pool = {"domain": "example.com", "pool": token("pool"), "ips": ["192.0.2.7", "192.0.2.8"]}
    made = company.postern.call("POST", "/v1/ip-pools", expect=201, json=pool)
    try:
        company.postern.call("POST", "/v1/send", expect=202, json=canonical(recipient))
        assert sorted(company.mailerq.took(recipient).document["ips"]) == pool["ips"]
    finally:
        company.postern.call("DELETE", f"/v1/ip-pools/{made['id']}", expect=204)


@in_each_mode
def test_each_mode_has_its_own_form_of_mime(company: Company, recipient: str, request: pytest.FixtureRequest) -> None:
    sent = canonical(recipient, mime={"content": [{"type": "html", "content": "<b>x</b>"}]})
    company.postern.call("POST", "/v1/send", expect=202, json=sent)
    mime = company.mailerq.took(recipient).document["mime"]
    mode = request.node.callspec.params["company"]
    assert structure(mime) == mode
    if mode == RESPONSIVE:
        assert mime["replyTo"] == {"address": "ada@example.com", "name": "Ada Lovelace"}
        assert mime["content"] == "<b>x</b>" and mime["to"] == recipient and "replyto" not in mime
    made = parsed(company.sink.delivered(recipient).content)
    body = made.get_body(("html",))
    assert body is not None and body.get_content().strip() == "<b>x</b>"


@in_each_mode
@pytest.mark.parametrize("door", ["smtp", "http"])
def test_a_finished_message_is_always_the_text(company: Company, recipient: str, door: str) -> None:
    orders = "X-MQ-Pool: evil\r\nx-mq-ip: 192.0.2.6\r\n\tfolded\r\nX-mQ-Foo:\r\n bar\r\n"
    raw = plain(to=recipient, body="π\r\n.\r\n\r\n", extra=f"X-Own: 1\r\n{orders}X-MQ: kept, it is no such field\r\n")
    if door == "smtp":
        id = company.postern.submit(raw, [recipient], options=("BODY=8BITMIME",))
    else:
        id = only_id(company.postern.send_mime(raw, sender="ada@example.com", to=[recipient]))
    document = company.mailerq.took(recipient).document
    assert isinstance(document["mime"], str)
    wanted = without_fields(raw, "X-MQ-Pool", "X-MQ-IP", "X-MQ-Foo")
    assert without_trace(document["mime"].encode()) == wanted
    assert document["envelope"] == "ada@example.com" and not {"pool", "ip", "foo"} & document.keys()
    delivered = company.sink.delivered(recipient)
    assert without_trace(delivered.content) == wanted and delivered.sender == "ada@example.com"
    company.postern.wait_status(id, "delivered")


@in_each_mode
def test_callers_cannot_order_mailerq_about(company: Company, recipient: str) -> None:
    """A field x-mq-… is refused or left out, whatever form it comes in."""
    for path, body in (
        ("/v1/messages", {"from": "ada@example.com", "to": [recipient], "text": "x", "headers": {"X-MQ-Tag": "t"}}),
        ("/v1/send", canonical(recipient, mime={"headers": {"x-Mq-Pool": "p"}})),
    ):
        answer = company.postern.api("POST", path, json=body)
        assert answer.status_code in (202, 422), answer.text
        for id in ids(answer.json()) if answer.status_code == 202 else []:
            company.postern.wait_status(id, "delivered")
    assert not [one for one in company.mailerq.to(recipient) if "x-mq-" in str(one.document).lower()]


@in_each_mode
def test_a_message_for_several_is_one_document_each(company: Company) -> None:
    word = token()
    addresses = [f"{word}-{number}@receiver.test" for number in range(3)]
    made = company.postern.send(to=addresses[:2], bcc=addresses[2:])
    for id in ids(made):
        company.postern.wait_status(id, "delivered")
    copies = [company.sink.delivered(address).content for address in addresses]
    assert len({header(copy, "Message-ID")[0] for copy in copies}) == 1
    assert all(header(copy, "To") == [", ".join(addresses[:2])] for copy in copies)
    assert not any(addresses[2].encode() in copy for copy in copies)


@in_each_mode
def test_bytes_that_json_cannot_hold_are_not_mangled(company: Company, recipient: str) -> None:
    """Latin-1 in a finished message: it arrives as it was meant, or the timeline says why not."""
    raw = plain(to=recipient, body=b"caf\xe9\r\n", extra="MIME-Version: 1.0\r\n"
                "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n")  # fmt: skip
    id = company.postern.submit(raw, [recipient], options=("BODY=8BITMIME",))
    status = company.postern.wait_status(id, {"delivered", "failed"})["status"]
    if status == "failed":
        assert "UTF-8" in str(company.postern.events(id)[-1]["detail"])
        assert not company.mailerq.to(recipient)
    else:
        assert parsed(company.sink.delivered(recipient).content).get_content().strip() == "café"


@in_canonical
def test_a_large_message_passes(company: Company, recipient: str) -> None:
    raw = plain(to=recipient, body=b"0123456789abcdef\r\n" * 250_000)
    id = company.postern.submit(raw, [recipient])
    company.postern.wait_status(id, "delivered", 30)
    assert without_trace(company.sink.delivered(recipient).content) == raw


@in_canonical
def test_a_scheduled_message_comes_at_its_time(company: Company, recipient: str) -> None:
    due = datetime.now(UTC) + timedelta(seconds=3)
    id = only_id(company.postern.send(to=[recipient], send_at=due.isoformat(timespec="milliseconds")))
    cancelled = f"{token()}@receiver.test"
    other = only_id(company.postern.send(to=[cancelled], send_at=due.isoformat(timespec="milliseconds")))
    company.postern.call("POST", f"/v1/messages/{other}/cancel")
    company.postern.wait_status(id, "delivered")
    # MailerQ knows whole seconds.
    assert datetime.now(UTC) >= due.replace(microsecond=0)
    document = company.mailerq.took(recipient).document
    if "nextattempt" in document:
        assert utc(document["nextattempt"]["time"]) == due.replace(microsecond=0)
    assert company.mailerq.to(cancelled) == [] and company.postern.message(other)["status"] == "cancelled"


@in_canonical
def test_a_retry_is_a_hand_over_of_its_own(company: Company, recipient: str) -> None:
    company.mailerq.on(recipient, Bounce())
    id = only_id(company.postern.send(to=[recipient]))
    company.postern.wait_status(id, "bounced")
    company.postern.call("POST", f"/v1/messages/{id}/retry")
    company.postern.wait_status(id, "delivered")
    assert company.story(id) == ["relayed", "bounced", "relayed", "delivered"]
    first, second = company.mailerq.to(recipient)
    assert first.ours["handover"] != second.ours["handover"] and first.ours["message"] == second.ours["message"]
    assert first.document["mime"] == second.document["mime"], "the same Message-ID above all"


# Shadow mode


def test_shadow_mode_publishes_nothing_and_shows_what_it_would(
    new_postern: Callable[..., Postern], vhost: VirtualHost, authority: Authority, recipient: str
) -> None:
    vhost.declare(*QUEUES)
    postern = new_postern(
        **broker_environment(vhost, authority, POSTERN_EMAILGATEWAY_LIVE_SEND_ENABLED="false")
    )
    postern.start()
    use_mailerq(postern)
    id = only_id(postern.call("POST", "/v1/send", expect=202, json=canonical(recipient)))
    postern.wait_status(id, "captured")
    shown = postern.call("GET", f"/v1/messages/{id}/mailerq")
    assert shown["recipient"] == recipient and shown["postern"]["message"] == id
    assert structure(shown["mime"]) == CANONICAL and shown["mime"]["subject"] == "Grüße"
    assert vhost.depth(OUTBOX)[0] == 0
    postern.terminate()
    assert vhost.depth(OUTBOX)[0] == 0


# By HTTP


@pytest.fixture
def http_company(tmp_path: Path, rabbitmq: RabbitMQ, authority: Authority) -> Iterator[Company]:
    with Company(tmp_path / "http", rabbitmq.virtual_host(), authority) as company:
        use_mailerq(company.postern, "mailerq-http")
        yield company
        assert company.mailerq.complaints == []
        assert company.mailerq.rest.token not in company.postern.log_tail(most=10_000_000)


def test_injection_carries_the_same_document(http_company: Company, recipient: str) -> None:
    accepted = http_company.postern.call("POST", "/v1/send", expect=202, json=canonical(recipient))
    id = only_id(accepted)
    http_company.postern.wait_status(id, "delivered")
    assert http_company.story(id) == ["relayed", "delivered"]
    assert http_company.postern.message(id)["route"] == "mailerq-http"
    (document,) = http_company.mailerq.rest.injections()
    assert document["postern"]["message"] == id and document["mime"]["text"] == "π\r\n"
    (call,) = [call for call in http_company.mailerq.rest.calls if call.path == "/v1/inject"]
    assert call.headers["content-type"].split(";")[0] == "application/json"
    http_company.mailerq.on(f"x{recipient}", Bounce())
    bounced = only_id(http_company.postern.send(to=[f"x{recipient}"]))
    http_company.postern.wait_status(bounced, "bounced")


@pytest.mark.parametrize(
    "fault",
    [Fault(503, times=2), Fault(401, times=2), Fault(drop=True, times=2),
     Fault(redirect="http://127.0.0.1:9/", times=2), Fault(huge=50_000_000, times=1)],
    ids=["503", "401", "dropped", "redirected", "huge"],
)  # fmt: skip
def test_what_goes_wrong_is_tried_again(http_company: Company, recipient: str, fault: Fault) -> None:
    http_company.mailerq.rest.fault = fault
    id = only_id(http_company.postern.send(to=[recipient]))
    http_company.postern.wait_status(id, "delivered", 60)
    assert "deferred" in http_company.story(id)
    assert len(http_company.sink.to(recipient)) == 1


def test_an_answer_that_was_lost_may_repeat_under_the_same_id(http_company: Company, recipient: str) -> None:
    http_company.mailerq.rest.fault = Fault(drop=True, after=True, times=1)
    # A result that came at once would settle it.
    http_company.mailerq.hold(SUCCESS)
    id = only_id(http_company.postern.send(to=[recipient]))
    until(lambda: len(http_company.sink.to(recipient)) == 2, "the second copy has come as well")
    http_company.mailerq.release(SUCCESS)
    http_company.postern.wait_status(id, "delivered", 30)
    assert len({header(copy.content, "Message-ID")[0] for copy in http_company.sink.to(recipient)}) == 1
    assert [one.ours["message"] for one in http_company.mailerq.to(recipient)] == [id, id]
    told = lambda: [one for one in http_company.mailerq.results_for(recipient) if one.queue == SUCCESS]  # noqa: E731
    until(lambda: len(told()) == 2, "both are told of")
    assert http_company.postern.message(id)["status"] == "delivered"


def test_a_refused_injection_is_a_failure(http_company: Company, recipient: str) -> None:
    http_company.mailerq.rest.fault = Fault(400, times=1)
    id = only_id(http_company.postern.send(to=[recipient]))
    http_company.postern.wait_status(id, "failed")
    assert "400" in str(http_company.postern.events(id)[-1]["detail"])


def test_a_mailerq_that_is_down_is_not_hammered(http_company: Company) -> None:
    http_company.mailerq.rest.fault = Fault(503)
    made = [only_id(http_company.postern.send(to=[f"{token()}@receiver.test"])) for _ in range(60)]
    # Retries come within a second here: without a breaker these would be hundreds of requests.
    began = time.monotonic()
    until(lambda: time.monotonic() - began > 4, "time has passed")
    asked = len([call for call in http_company.mailerq.rest.calls if call.path == "/v1/inject"])
    assert asked <= 30, f"{asked} requests"
    http_company.mailerq.rest.fault = None
    for id in made:
        http_company.postern.wait_status(id, "delivered", 60)
    assert len(http_company.sink.deliveries) == len(made)


def test_a_hanging_mailerq_holds_up_nobody_else(http_company: Company, recipient: str) -> None:
    http_company.mailerq.rest.fault = Fault(seconds=60)
    hung = only_id(http_company.postern.send(to=[recipient]))
    until(lambda: http_company.postern.message(hung)["status"] == "queued", "it waits")
    use_mailerq(http_company.postern, "mailerq")
    other = only_id(http_company.postern.send(to=[f"{token()}@receiver.test"]))
    http_company.postern.wait_status(other, "delivered")
    http_company.mailerq.rest.fault = None
