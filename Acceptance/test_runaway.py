"""Callers that run away are cut off at both doors, and somebody is told: the same words to the same person over and
over, answers to oneself, automatic replies that answer each other, mail that goes in circles.
"""

from __future__ import annotations

from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import pytest
import requests
from harness.api import Api, describe
from harness.mail import plain, token
from harness.postern import Postern
from harness.smtp import Reply, SMTPSession
from harness.vaults import move_in
from harness.waiting import until


@pytest.fixture(autouse=True)
def unlimited(shadow: Postern) -> Iterator[None]:
    yield
    shadow.set(repeat_limit=None, auto_reply_limit=None)


def send(caller: Api, recipient: str, *, text: str = "The same words.\n", sender: str = "ada@example.com",
         subject: str = "Hello", **headers: str) -> requests.Response:  # fmt: skip
    body: dict[str, Any] = {"from": sender, "to": [recipient], "subject": subject, "text": text}
    if headers:
        body["headers"] = {name.replace("_", "-"): value for name, value in headers.items()}
    return caller.api("POST", "/v1/messages", json=body)


def accepted(answer: requests.Response) -> str:
    assert answer.status_code == 202, describe(answer)
    return answer.json()["id"]


def cut_off(answer: requests.Response, status: int, code: str) -> dict[str, Any]:
    assert (answer.status_code, answer.json()["code"]) == (status, code), describe(answer)
    return answer.json()


def by_smtp(postern: Postern, raw: bytes, recipient: str, sender: str = "ada@example.com") -> Reply:
    """The reply to the end of the data, whatever it is."""
    with postern.smtp() as session:
        done = session.submit(sender, [recipient], raw)
        assert done.data is not None, str(done)
        return done.data


def somebody() -> str:
    return f"{token('bob')}@receiver.test"


def alert_about(postern: Postern, word: str) -> dict[str, Any]:
    """The open alert whose detail has that word."""

    def found() -> dict[str, Any] | None:
        rows = postern.call("GET", "/v1/alerts", params={"state": "open", "limit": 200})["data"]
        about = [row for row in rows if row["kind"] == "runaway_cut_off" and word in row["detail"] + row["subject"]]
        return about[0] if about else None

    alert = until(found, f"there is an alert about {word}", 45)
    assert alert is not None
    assert alert["vault"] == postern.call("GET", "/v1/me")["vault"]
    assert alert["fix"] and alert["docs"] and alert["state"] == "open"
    return alert


# The same content to the same recipient


def test_the_same_words_to_the_same_person_are_cut_off_with_an_alert(shadow: Postern) -> None:
    shadow.set(repeat_limit=3)
    label, bob = token("runaway"), somebody()
    body = {"label": label, "scopes": ["send"]}
    caller = shadow.as_key(shadow.call("POST", "/v1/keys", expect=201, json=body)["key"])
    before = shadow.message_ids()
    for _ in range(3):
        accepted(send(caller, bob))
    answer = send(caller, bob)
    problem = cut_off(answer, 429, "repeated_message")
    assert "repeat_limit" in problem["detail"] and int(answer.headers["Retry-After"]) > 60
    for _ in range(5):
        cut_off(send(caller, bob), 429, "repeated_message")
    assert len(shadow.message_ids() - before) == 3
    alert = alert_about(shadow, label)
    assert caller.authorization is not None and caller.authorization.split("_")[-1] not in str(alert)
    _, reader = shadow.new_key("read")
    assert alert["id"] in [row["id"] for row in reader.call("GET", "/v1/alerts")["data"]]
    assert "runaway_cut_off" in shadow.api("GET", "/metrics").text


def test_other_words_and_other_people_are_no_repetition(shadow: Postern) -> None:
    shadow.set(repeat_limit=2)
    bob = somebody()
    for _ in range(2):
        accepted(send(shadow, bob))
    cut_off(send(shadow, bob), 429, "repeated_message")
    cut_off(send(shadow, bob.replace("receiver.test", "Receiver.TEST")), 429, "repeated_message")
    accepted(send(shadow, bob, text="Other words.\n"))
    accepted(send(shadow, bob, subject="Another subject"))
    accepted(send(shadow, bob, sender="eve@example.com"))
    accepted(send(shadow, somebody()))
    shadow.set(repeat_limit=None)
    accepted(send(shadow, bob))


def test_what_is_new_in_every_copy_does_not_hide_it(shadow: Postern) -> None:
    """Another Date, another Message-ID, other boundaries: the reader sees the same letter again."""
    shadow.set(repeat_limit=2)
    bob = somebody()

    def letter(number: int) -> bytes:
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = "ada@example.com", bob, "Hello"
        message["Date"] = f"Thu, 20 Nov 2025 18:00:{number:02} +0000"
        message["Message-ID"] = f"<{token('m')}@example.com>"
        message["X-Attempt"] = str(number)
        message.set_content("The same words.\n")
        message.add_alternative("<p>The same words.</p>\n", subtype="html")
        message.set_boundary(f"==={token('b')}===")
        return message.as_bytes().replace(b"\n", b"\r\n")

    replies = [by_smtp(shadow, letter(number), bob) for number in range(4)]
    assert [reply.code for reply in replies] == [250, 250, 554, 554], [str(reply) for reply in replies]
    assert replies[-1].enhanced == "5.7.1" and "repeated_message" in replies[-1].text


def test_one_limit_holds_at_both_doors(shadow: Postern) -> None:
    shadow.set(repeat_limit=2)
    bob, raw = somebody(), plain(token())
    assert by_smtp(shadow, raw, bob).code == 250
    shadow.send_mime(raw, sender="ada@example.com", to=[bob])
    assert by_smtp(shadow, raw, bob).code == 554
    query, content = {"from": "ada@example.com", "to": bob}, {"Content-Type": "message/rfc822"}
    shadow.problem("POST", "/v1/send/mime", 429, "repeated_message", params=query, data=raw, headers=content)


def test_one_person_twice_in_a_submission_or_a_repeat_by_key_is_no_repetition(shadow: Postern) -> None:
    shadow.set(repeat_limit=1)
    bob = somebody()
    body = {"from": "ada@example.com", "to": [bob, bob], "subject": "Hi", "text": token()}
    key = {"Idempotency-Key": token()}
    first = shadow.call("POST", "/v1/messages", expect=202, json=body, headers=key)
    assert len(first["messages"]) == 1
    for _ in range(3):
        assert shadow.call("POST", "/v1/messages", expect=202, json=body, headers=key) == first
    shadow.problem("POST", "/v1/messages", 429, "repeated_message", json=body)


def test_a_submission_that_was_refused_is_no_copy(shadow: Postern) -> None:
    """Whoever had no rate left comes again with the same words, and has not sent them yet."""
    shadow.set(repeat_limit=1)
    _, caller = shadow.new_key("send", send_rate_limit=1)
    bob, other = somebody(), somebody()
    accepted(send(caller, other))
    for _ in range(3):
        cut_off(send(caller, bob), 429, "rate_limited")
    accepted(send(shadow, bob))
    cut_off(send(shadow, bob), 429, "repeated_message")


# Answers


@pytest.mark.parametrize("door", ["http", "smtp"])
def test_nobody_answers_himself(shadow: Postern, door: str) -> None:
    answer = "In-Reply-To: <earlier@example.com>\r\n"
    before = shadow.message_ids()
    if door == "http":
        refused = send(shadow, "ADA@example.com", In_Reply_To="<earlier@example.com>")
        cut_off(refused, 422, "mail_loop")
    else:
        reply = by_smtp(
            shadow, plain(sender="Ada <ada@example.com>", to="ada@example.com", extra=answer), "ada@example.com"
        )
        assert (reply.code, reply.enhanced) == (554, "5.4.6") and "mail_loop" in reply.text
    assert shadow.message_ids() == before
    # A first word to oneself is a note, and an answer to somebody else with a copy to oneself is an answer.
    accepted(send(shadow, "ada@example.com", text=token()))
    body = {"from": "ada@example.com", "to": [somebody()], "cc": ["ada@example.com"], "subject": "Re: Hi", "text": "x",
            "headers": {"In-Reply-To": "<earlier@example.com>"}}  # fmt: skip
    shadow.call("POST", "/v1/messages", expect=202, json=body)


AUTOMATIC = {
    "RFC 3834": "Auto-Submitted: auto-replied\r\n",
    "with a comment and a parameter": "Auto-Submitted: (vacation) auto-replied; owner-email=ada@example.com\r\n",
    "in other letters": "AUTO-SUBMITTED: Auto-Replied\r\n",
    "X-Autoreply": "X-Autoreply: yes\r\n",
    "Precedence: auto_reply": "Precedence: auto_reply\r\n",
}


@pytest.mark.parametrize("kind", AUTOMATIC)
def test_an_automatic_reply_does_not_go_into_a_list_to_itself_or_to_a_bounce(shadow: Postern, kind: str) -> None:
    field = AUTOMATIC[kind]
    for extra in ("List-Id: <list.example.org>\r\n", "Precedence: list\r\n"):
        reply = by_smtp(shadow, plain(extra=field + extra), somebody())
        assert (reply.code, reply.enhanced) == (554, "5.4.6"), f"{extra}: {reply}"
    reply = by_smtp(shadow, plain(extra=field, to="ada@example.com"), "ada@example.com")
    assert (reply.code, reply.enhanced) == (554, "5.4.6")
    reply = by_smtp(shadow, plain(extra=field, to="MAILER-DAEMON@receiver.test"), "MAILER-DAEMON@receiver.test")
    assert (reply.code, reply.enhanced) == (554, "5.4.6")
    assert by_smtp(shadow, plain(extra=field), somebody()).code == 250, "a reply to a person is what it is for"


def test_ordinary_list_mail_passes(shadow: Postern) -> None:
    extra = "List-Id: <news.example.com>\r\nPrecedence: bulk\r\nList-Unsubscribe: <https://example.com/u>\r\n"
    for more in ("", "Auto-Submitted: no\r\n", "Auto-Submitted: auto-generated\r\n"):
        assert by_smtp(shadow, plain(extra=extra + more), somebody()).code == 250, more


def test_two_autoresponders_that_answer_each_other_are_cut_off_with_an_alert(shadow: Postern) -> None:
    shadow.set(auto_reply_limit=3)
    label, bob = token("robot"), somebody()
    body = {"label": label, "scopes": ["send"]}
    caller = shadow.as_key(shadow.call("POST", "/v1/keys", expect=201, json=body)["key"])

    def reply(number: int) -> requests.Response:
        text = f"I am away, for the {number}th time.\n"
        return send(caller, bob, text=text, Auto_Submitted="auto-replied", In_Reply_To=f"<{number}@receiver.test>")

    for number in range(3):
        accepted(reply(number))
    refused = reply(3)
    problem = cut_off(refused, 429, "repeated_message")
    assert "auto_reply_limit" in problem["detail"] and int(refused.headers["Retry-After"]) > 60
    accepted(send(caller, bob, text=token()))
    raw = plain(extra="Auto-Submitted: auto-replied\r\n", body=f"{token()}\r\n", to=bob)
    assert by_smtp(shadow, raw, bob).code == 554, "the sender is the same, whoever hands it in"
    alert_about(shadow, label)
    # Another sender's replies, and replies to somebody else.
    other = send(caller, bob, sender="eve@example.com", Auto_Submitted="auto-replied")
    accepted(other)
    accepted(send(caller, somebody(), Auto_Submitted="auto-replied"))


# Circles


def test_a_message_that_comes_by_again_and_again_is_cut_off_with_an_alert(shadow: Postern) -> None:
    """Each round has our own Received field once more, as when somebody forwards to himself through us."""
    label, raw = token("circle"), plain(token())
    made = shadow.call("POST", "/v1/smtp-users", expect=201, json={"username": label, "label": label})
    rounds = 0
    with SMTPSession.opened(shadow.smtp_port, "starttls", (made["username"], made["password"])) as session:
        while True:
            done = session.submit("ada@example.com", ["bob@receiver.test"], raw).data
            assert done is not None
            if done.code != 250:
                break
            rounds += 1
            assert rounds < 20, "it goes round and round"
            raw = shadow.raw(done.ids[0])
    assert (done.code, done.enhanced) == (554, "5.4.6") and 1 <= rounds <= 10
    assert "mail_loop" in done.text
    alert_about(shadow, label)


def test_a_message_with_a_long_way_behind_it_is_cut_off(shadow: Postern) -> None:
    trace = "Received: from a.test by b.test; Thu, 20 Nov 2025 18:00:00 +0000\r\n"
    assert by_smtp(shadow, trace.encode() * 40 + plain(), "bob@receiver.test").code == 250
    reply = by_smtp(shadow, trace.encode() * 120 + plain(), "bob@receiver.test")
    assert (reply.code, reply.enhanced) == (554, "5.4.6")


# Whose alert it is


def test_another_vault_sees_nothing_of_it(new_postern) -> None:
    postern: Postern = new_postern()
    postern.start()
    neighbour = move_in(postern)
    cut_off(send(postern, "ada@example.com", In_Reply_To="<a@b.test>"), 422, "mail_loop")
    alert = alert_about(postern, "quickstart")
    assert alert["id"] not in [row["id"] for row in neighbour.api.call("GET", "/v1/alerts")["data"]]
    # Nor counts what one vault sends against the other's limits.
    postern.set(repeat_limit=1)
    neighbour.api.call("PATCH", "/v1/settings", json={"repeat_limit": 1})
    bob = somebody()
    accepted(send(postern, bob))
    accepted(send(neighbour.api, bob))
    cut_off(send(postern, bob), 429, "repeated_message")
