"""One submission, however often it is handed in and through whichever door."""

from __future__ import annotations

import threading

import pytest
from harness.api import only_id
from harness.mail import plain, token
from harness.postern import Postern

SIMPLE = {"from": "ada@example.com", "to": ["bob@receiver.test"], "subject": "Once", "text": "Hi"}


def address() -> str:
    """A recipient that no other test writes to: the log can be asked for its messages."""
    return f"{token()}@receiver.test"


def test_the_same_request_again_gets_the_first_answer(shadow: Postern) -> None:
    key = {"Idempotency-Key": token()}
    body = {**SIMPLE, "to": [address()]}
    first = shadow.api("POST", "/v1/messages", json=body, headers=key)
    assert first.status_code == 202 and "Idempotency-Replayed" not in first.headers
    again = shadow.api("POST", "/v1/messages", json=body, headers=key)
    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(shadow.all_messages(recipient=body["to"][0])) == 1


def test_another_body_under_the_same_key_is_a_conflict(shadow: Postern) -> None:
    key = {"Idempotency-Key": token()}
    shadow.send(subject="first", key=key)
    before = shadow.message_ids()
    shadow.problem(
        "POST", "/v1/messages", 409, "idempotency_conflict", json={**SIMPLE, "subject": "second"}, headers=key
    )
    assert shadow.message_ids() == before


def test_two_callers_may_use_the_same_key(shadow: Postern) -> None:
    _, other = shadow.new_key("send", "read")
    key = {"Idempotency-Key": token()}
    body = SIMPLE
    answers = [caller.call("POST", "/v1/messages", expect=202, json=body, headers=key) for caller in (shadow, other)]
    assert answers[0]["id"] != answers[1]["id"]


def test_a_refusal_does_not_use_the_key_up(shadow: Postern) -> None:
    key = {"Idempotency-Key": token()}
    shadow.problem(
        "POST",
        "/v1/messages",
        403,
        "sender_domain_not_allowed",
        json={**SIMPLE, "from": "a@elsewhere.test"},
        headers=key,
    )
    assert shadow.send(key=key)["id"]


def test_requests_at_the_same_moment_make_one_message(shadow: Postern) -> None:
    key, recipient = {"Idempotency-Key": token()}, address()
    start, answers = threading.Barrier(8), []

    def send() -> None:
        caller = shadow.as_key(shadow.card["api_key"])
        start.wait()
        answers.append(caller.api("POST", "/v1/messages", json={**SIMPLE, "to": [recipient]}, headers=key))
        caller.close()

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    accepted = [answer for answer in answers if answer.status_code == 202]
    assert accepted and all(answer.status_code in (202, 409) for answer in answers)
    assert len({answer.json()["id"] for answer in accepted}) == 1
    assert len(shadow.all_messages(recipient=recipient)) == 1


def test_a_repeated_smtp_submission_is_one_message(shadow: Postern) -> None:
    recipient = address()
    raw = plain(extra=f"Idempotency-Key: {token()}\r\n")
    with shadow.smtp() as session:
        made = [session.submit("ada@example.com", [recipient], raw).accepted_id for _ in range(2)]
    assert made[0] == made[1]
    assert len(shadow.all_messages(recipient=recipient)) == 1


def test_another_message_under_the_same_key_is_refused_by_smtp(shadow: Postern) -> None:
    extra = f"Idempotency-Key: {token()}\r\n"
    with shadow.smtp() as session:
        assert session.submit("ada@example.com", ["bob@receiver.test"], plain("first", extra=extra)).accepted_id
        before = shadow.message_ids()
        refused = session.submit("ada@example.com", ["bob@receiver.test"], plain("second", extra=extra)).refusal
    assert refused.code // 100 == 5 and "idempotency" in refused.text.lower()
    assert shadow.message_ids() == before


@pytest.mark.parametrize("first", ["http", "smtp"])
def test_one_caller_has_one_key_space_across_the_doors(shadow: Postern, first: str) -> None:
    key, recipient = token(), address()
    raw = plain(extra=f"Idempotency-Key: {key}\r\n")
    user = shadow.as_smtp_user()

    def by_http() -> str:
        return only_id(user.send_mime(raw, sender="ada@example.com", to=[recipient], headers={"Idempotency-Key": key}))

    def by_smtp() -> str:
        return shadow.submit(raw, [recipient])

    made = [by_http(), by_smtp()] if first == "http" else [by_smtp(), by_http()]
    assert made[0] == made[1]
    assert len(shadow.all_messages(recipient=recipient)) == 1

    other = {"from": "ada@example.com", "to": ["bob@receiver.test"], "subject": "other", "text": "x"}
    user.problem("POST", "/v1/send/simple", 409, "idempotency_conflict", json=other, headers={"Idempotency-Key": key})


def test_a_key_that_is_too_long_is_refused(shadow: Postern) -> None:
    answer = shadow.api("POST", "/v1/messages", json=SIMPLE, headers={"Idempotency-Key": "k" * 257})
    assert answer.status_code in (400, 422)
    assert shadow.send(key={"Idempotency-Key": "k" * 256})


def test_a_replay_survives_a_restart(shadow: Postern) -> None:
    key = {"Idempotency-Key": token()}
    first = shadow.send(subject="once", key=key)
    shadow.restart()
    assert shadow.send(subject="once", key=key) == first
