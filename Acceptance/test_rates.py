"""Rates: what a limit lets through, exactly; what a refusal says; and that nothing fills a bucket but time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from harness.api import Api, describe
from harness.mail import plain, token
from harness.postern import Postern
from harness.smtp import SMTPSession
from harness.waiting import until

MakePostern = Callable[..., Postern]

SIMPLE = {"from": "ada@example.com", "to": ["bob@receiver.test"], "subject": "Hello", "text": "Hi"}
RATES = ("send_rate_limit", "burst_ceiling", "key_send_rate_limit", "key_burst_ceiling", "agent_send_rate_limit",
         "agent_burst_ceiling", "domain_send_rate_limit", "domain_burst_ceiling")  # fmt: skip


@pytest.fixture(autouse=True)
def unlimited(shadow: Postern) -> Iterator[None]:
    yield
    shadow.set(**dict.fromkeys(RATES))


def send(caller: Api, *to: str, **changes: Any) -> requests.Response:
    return caller.api("POST", "/v1/messages", json={**SIMPLE, "to": list(to) or SIMPLE["to"], **changes})


def accepted(caller: Api, *to: str, **changes: Any) -> requests.Response:
    answer = send(caller, *to, **changes)
    assert answer.status_code == 202, describe(answer)
    return answer


def limited(caller: Api, *to: str, **changes: Any) -> requests.Response:
    """The refusal of a caller that has nothing left, checked for what a client needs to know."""
    answer = send(caller, *to, **changes)
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited"), describe(answer)
    assert answer.json()["detail"] and answer.json()["fix"]
    assert int(answer.headers["Retry-After"]) >= 1
    assert remaining(answer) == 0, "what is refused for want of one token has none left"
    return answer


def remaining(answer: requests.Response) -> int:
    return int(answer.headers["RateLimit-Remaining"])


def rates(caller: Api) -> dict[str, dict]:
    """What GET /v1/me says is left, by what is limited."""
    return {row["name"].partition(":")[0]: row for row in caller.call("GET", "/v1/me")["rates"]}


def an_agent(postern: Postern, *scopes: str) -> Api:
    body = {"label": token("agent"), "kind": "agent", "scopes": list(scopes)}
    return postern.as_key(postern.call("POST", "/v1/keys", expect=201, json=body)["key"])


# Exactly so many


def test_a_limit_of_one_sends_one(shadow: Postern) -> None:
    _, caller = shadow.new_key("send", send_rate_limit=1)
    before = shadow.message_ids()
    answer = accepted(caller)
    assert remaining(answer) == 0
    assert answer.headers["RateLimit-Limit"] == "1"
    assert 0 < int(answer.headers["RateLimit-Reset"]) <= 3600
    assert ";r=0;" in answer.headers["RateLimit"] and ";q=1;w=3600" in answer.headers["RateLimit-Policy"]
    for _ in range(3):
        refused = limited(caller)
        assert 3500 < int(refused.headers["Retry-After"]) <= 3600
    assert len(shadow.message_ids() - before) == 1, "a refusal leaves no row"
    caller.call("POST", "/v1/map/simple", json=SIMPLE)


def test_without_limits_there_are_no_rate_headers(shadow: Postern) -> None:
    _, caller = shadow.new_key("send")
    answer = accepted(caller)
    assert not [name for name in answer.headers if name.lower().startswith("ratelimit")]
    assert caller.call("GET", "/v1/me")["rates"] == []


@pytest.mark.parametrize("limit", [3, 40])
def test_many_at_once_get_no_more_than_there_are(shadow: Postern, limit: int) -> None:
    _, caller = shadow.new_key("send", send_rate_limit=limit)
    before = shadow.message_ids()

    def hammer(_: int) -> list[int]:
        client = shadow.as_key((caller.authorization or "").removeprefix("Bearer "))
        try:
            return [send(client).status_code for _ in range(limit)]
        finally:
            client.close()

    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        answers = [status for each in pool.map(hammer, range(8)) for status in each]
    # Tokens that came with time, at `limit` an hour, while this went on.
    gained = math.ceil((time.monotonic() - began) * limit / 3600)
    assert set(answers) == {202, 429}
    assert limit <= answers.count(202) <= limit + gained
    assert len(shadow.message_ids() - before) == answers.count(202)


def test_each_recipient_costs_one(shadow: Postern) -> None:
    _, caller = shadow.new_key("send", send_rate_limit=5)
    assert remaining(accepted(caller, "a@receiver.test", "b@receiver.test", "c@receiver.test")) == 2
    refused = send(caller, "a@receiver.test", "b@receiver.test", "c@receiver.test")
    assert refused.status_code == 429 and remaining(refused) == 2, "all of it or nothing"
    assert remaining(accepted(caller, "a@receiver.test", "b@receiver.test")) == 0
    limited(caller)


def test_more_at_once_than_a_limit_ever_holds_is_told_to_split(shadow: Postern) -> None:
    _, caller = shadow.new_key("send", send_rate_limit=100, burst_ceiling=2)
    refused = send(caller, "a@receiver.test", "b@receiver.test", "c@receiver.test")
    assert (refused.status_code, refused.json()["code"]) == (422, "burst_exceeded"), describe(refused)
    assert "Retry-After" not in refused.headers, "waiting does not help"
    assert remaining(accepted(caller, "a@receiver.test", "b@receiver.test")) == 0


def test_a_bucket_fills_with_time_and_no_higher_than_its_ceiling(shadow: Postern) -> None:
    """3,600 an hour are one a second."""
    _, caller = shadow.new_key("send", send_rate_limit=3600, burst_ceiling=2)
    began = time.monotonic()
    sent = 0
    while (answer := send(caller)).status_code == 202:
        sent += 1
    assert answer.json()["code"] == "rate_limited" and int(answer.headers["Retry-After"]) == 1
    until(lambda: send(caller).status_code == 202, "a token has come", 5)
    assert 2 <= sent and sent + 1 <= 2 + (time.monotonic() - began)
    until(lambda: rates(caller)["own"]["remaining"] == 2, "it is full again", 8)
    assert rates(caller)["own"]["reset_seconds"] == 0
    accepted(caller)
    accepted(caller)
    assert send(caller).status_code in (202, 429)


# Whose limit it is


def test_a_limit_of_every_key_is_each_ones_own(shadow: Postern) -> None:
    shadow.set(key_send_rate_limit=2)
    callers = [shadow.new_key("send")[1] for _ in range(2)]
    for caller in callers:
        assert remaining(accepted(caller)) == 1
        accepted(caller)
        limited(caller)
    made = shadow.call("POST", "/v1/smtp-users", expect=201, json={"username": token("user")})
    login = Api.with_password(shadow.url, made["username"], made["password"])
    accepted(login)
    with SMTPSession.opened(shadow.smtp_port, "starttls", (made["username"], made["password"])) as session:
        assert session.submit("ada@example.com", ["bob@receiver.test"], plain()).accepted_id
        refused = session.submit("ada@example.com", ["bob@receiver.test"], plain()).refusal
        assert (refused.code, refused.enhanced) == (451, "4.7.1") and "rate_limited" in refused.text
    limited(login)


def test_a_keys_own_limit_is_shared_with_its_children(shadow: Postern) -> None:
    """Else a key with a limit would be as many as it likes to make."""
    _, parent = shadow.new_key("send", "admin", send_rate_limit=3)
    made = parent.call("POST", "/v1/keys", expect=201, json={"label": "child", "scopes": ["send"]})
    child = shadow.as_key(made["key"])
    accepted(child)
    accepted(parent)
    accepted(child)
    limited(child)
    limited(parent)
    # A child with a limit of its own has both.
    _, parent = shadow.new_key("send", "admin", send_rate_limit=3)
    body = {"label": "child", "scopes": ["send"], "send_rate_limit": 1}
    child = shadow.as_key(parent.call("POST", "/v1/keys", expect=201, json=body)["key"])
    accepted(child)
    limited(child)
    assert rates(parent)["own"]["remaining"] == 2


def test_a_limit_of_agents_is_for_all_keys_of_one_and_for_no_tool(shadow: Postern) -> None:
    shadow.set(agent_send_rate_limit=2)
    agent, other = an_agent(shadow, "send", "admin"), an_agent(shadow, "send")
    child = shadow.as_key(agent.call("POST", "/v1/keys", expect=201, json={"label": "c", "scopes": ["send"]})["key"])
    accepted(agent)
    assert remaining(accepted(child)) == 0
    limited(agent)
    limited(child)
    accepted(other)
    for _ in range(3):
        accepted(shadow)
    assert "agent" in rates(agent) and "agent" not in rates(shadow)


def test_a_limit_of_recipient_domains(shadow: Postern) -> None:
    domain = f"{token('d')}.test"
    shadow.set(domain_send_rate_limit=1)
    accepted(shadow, f"a@{domain}", f"a@other-{domain}")
    refused = limited(shadow, f"b@{domain.upper()}")
    assert domain in refused.json()["detail"]
    _, other = shadow.new_key("send")
    limited(other, f"c@{domain}")
    accepted(other, f"c@third-{domain}")
    both = send(shadow, f"a@fourth-{domain}", f"b@fourth-{domain}")
    assert (both.status_code, both.json()["code"]) == (422, "burst_exceeded")
    accepted(shadow, f"a@fourth-{domain}")


def test_a_limit_of_the_vault_is_for_all_callers_together(new_postern: MakePostern) -> None:
    postern = new_postern()
    postern.start()
    postern.set(send_rate_limit=3)
    _, caller = postern.new_key("send")
    accepted(caller)
    accepted(postern)
    postern.submit(plain(), ["bob@receiver.test"])
    limited(caller)
    limited(postern)
    with postern.smtp() as session:
        refused = session.submit("ada@example.com", ["bob@receiver.test"], plain()).refusal
        assert (refused.code, refused.enhanced) == (451, "4.7.1")
    assert len(postern.message_ids()) == 3


@pytest.mark.parametrize("whose", ["", "key_", "agent_", "domain_"])
def test_a_ceiling_is_what_goes_at_once(shadow: Postern, whose: str) -> None:
    """A hundred an hour are one in 36 seconds."""
    agent, domain = an_agent(shadow, "send"), f"{token('d')}.test"
    shadow.set(**{f"{whose}send_rate_limit": 100, f"{whose}burst_ceiling": 2})
    for left in (1, 0):
        assert remaining(accepted(agent, f"bob@{domain}")) == left
    refused = limited(agent, f"bob@{domain}")
    assert 1 <= int(refused.headers["Retry-After"]) <= 36
    assert f"{whose}send_rate_limit" in refused.json()["detail"] + refused.json()["fix"]
    at_once = send(agent, *(f"{name}@{domain}" for name in "abc"))
    assert (at_once.status_code, at_once.json()["code"]) == (422, "burst_exceeded"), describe(at_once)
    assert f"{whose}burst_ceiling" in at_once.json()["detail"] + at_once.json()["fix"]


def test_a_payload_of_several_messages_costs_as_many(shadow: Postern) -> None:
    _, caller = shadow.new_key("send", send_rate_limit=5)
    people = [{"to": [{"email": f"{name}@receiver.test"} for name in names]} for names in ("ab", "c")]
    body = {"personalizations": people, "from": {"email": "ada@example.com"}, "subject": "Hi",
            "content": [{"type": "text/plain", "value": "x"}]}  # fmt: skip
    answer = caller.api("POST", "/v1/send/sendgrid", json=body)
    assert answer.status_code == 202 and remaining(answer) == 2, describe(answer)
    before = shadow.message_ids()
    assert caller.api("POST", "/v1/send/sendgrid", json=body).status_code == 429
    assert caller.api("POST", "/sendgrid/v3/mail/send", json=body).status_code == 429
    assert shadow.message_ids() == before, "all of it or nothing"


def test_a_session_goes_on_after_a_refusal(shadow: Postern) -> None:
    shadow.set(key_send_rate_limit=2)
    made = shadow.call("POST", "/v1/smtp-users", expect=201, json={"username": token("user")})
    before = shadow.message_ids()
    with SMTPSession.opened(shadow.smtp_port, "starttls", (made["username"], made["password"])) as session:
        many = session.submit("ada@example.com", [f"{name}@receiver.test" for name in "abc"], plain()).refusal
        assert (many.code, many.enhanced) == (452, "4.5.3") and "burst_exceeded" in many.text
        two = session.submit("ada@example.com", ["a@receiver.test", "b@receiver.test"], plain())
        assert two.data is not None and two.data.code == 250
        refused = session.submit("ada@example.com", ["a@receiver.test"], plain()).refusal
        assert (refused.code, refused.enhanced) == (451, "4.7.1")
        shadow.set(key_send_rate_limit=None)
        assert session.submit("ada@example.com", ["a@receiver.test"], plain()).accepted_id
    assert len(shadow.message_ids() - before) == 3


# What costs nothing


def test_what_is_refused_or_repeated_costs_nothing(shadow: Postern) -> None:
    _, caller = shadow.new_key("send", send_rate_limit=3)
    key = {"Idempotency-Key": token()}
    first = caller.api("POST", "/v1/messages", json=SIMPLE, headers=key)
    assert remaining(first) == 2
    again = caller.api("POST", "/v1/messages", json=SIMPLE, headers=key)
    assert again.headers["Idempotency-Replayed"] == "true" and again.json() == first.json()
    for change in ({"from": "eve@elsewhere.test"}, {"to": []}, {"colour": "red"}, {"to": ["no address"]}):
        assert send(caller, **{**SIMPLE, **change}).status_code in (403, 422)
    conflict = caller.api("POST", "/v1/messages", json={**SIMPLE, "text": "other"}, headers=key)
    assert conflict.status_code == 409
    assert rates(caller)["own"]["remaining"] == 2
    accepted(caller)
    accepted(caller)
    limited(caller)
    # Even where nothing is left, the answer to an earlier submission is there.
    again = caller.api("POST", "/v1/messages", json=SIMPLE, headers=key)
    assert (again.status_code, again.json()) == (202, first.json())


def test_a_refusal_by_one_limit_takes_nothing_of_another(shadow: Postern) -> None:
    shadow.set(domain_send_rate_limit=1)
    _, caller = shadow.new_key("send", send_rate_limit=5)
    domain = f"{token('d')}.test"
    accepted(caller, f"a@{domain}")
    for _ in range(3):
        limited(caller, f"a@{domain}")
    assert rates(caller)["own"]["remaining"] == 4


# What is told


def test_me_says_what_is_left(shadow: Postern) -> None:
    shadow.set(key_send_rate_limit=10, key_burst_ceiling=4)
    _, caller = shadow.new_key("send", send_rate_limit=100, burst_ceiling=50)
    accepted(caller, "a@receiver.test", "b@receiver.test")
    left = rates(caller)
    assert left.keys() >= {"key", "own"}
    assert (left["key"]["limit_per_hour"], left["key"]["burst"], left["key"]["remaining"]) == (10, 4, 2)
    assert (left["own"]["limit_per_hour"], left["own"]["burst"], left["own"]["remaining"]) == (100, 50, 48)
    # Two tokens, at ten an hour.
    assert 700 <= left["key"]["reset_seconds"] <= 720
    answer = accepted(caller)
    assert remaining(answer) == 1, "the headers are about the limit that is nearest to its end"
    assert answer.headers["RateLimit-Limit"] == "10"


def test_a_provider_s_client_is_told_in_its_own_words(shadow: Postern) -> None:
    _, caller = shadow.new_key("send", send_rate_limit=1)
    body = {"from": "ada@example.com", "to": ["bob@receiver.test"], "subject": "Hi", "text": "x"}
    answer = caller.api("POST", "/resend/emails", json=body)
    assert answer.status_code == 200 and remaining(answer) == 0, describe(answer)
    refused = caller.api("POST", "/resend/emails", json=body)
    assert refused.status_code == 429 and int(refused.headers["Retry-After"]) > 3000, describe(refused)
    assert refused.json()["name"] == "rate_limit_exceeded" and refused.json()["message"]


# Changes, and starting again


def test_a_new_limit_holds_at_once(shadow: Postern) -> None:
    _, caller = shadow.new_key("send")
    accepted(caller)
    shadow.set(key_send_rate_limit=1)
    accepted(caller)
    limited(caller)
    shadow.set(key_send_rate_limit=None)
    accepted(caller)
    shadow.set(key_send_rate_limit=1000)
    accepted(caller)


def test_under_another_limit_what_is_gone_stays_gone(shadow: Postern) -> None:
    _, caller = shadow.new_key("send")
    shadow.set(key_send_rate_limit=4)
    for _ in range(4):
        accepted(caller)
    limited(caller)
    shadow.set(key_send_rate_limit=6)
    assert [remaining(accepted(caller)) for _ in range(2)] == [1, 0], "six in all, four of them sent"
    limited(caller)
    shadow.set(key_send_rate_limit=2)
    refused = limited(caller)
    # Four more than two were sent. That is forgotten after an hour at most; half an hour later there is the next one.
    assert 3600 < int(refused.headers["Retry-After"]) <= 1.5 * 3600
    shadow.set(key_send_rate_limit=4)
    limited(caller)
    shadow.set(key_send_rate_limit=7)
    assert remaining(accepted(caller)) == 0


@pytest.mark.parametrize("end", ["terminate", "kill9"])
def test_starting_again_fills_nothing(new_postern: MakePostern, end: str) -> None:
    postern = new_postern()
    postern.start()
    postern.set(send_rate_limit=20)
    _, spent = postern.new_key("send", send_rate_limit=1)
    accepted(spent)
    limited(spent)
    for _ in range(5):
        accepted(postern)
    assert rates(postern)["vault"]["remaining"] == 14
    getattr(postern, end)()
    postern.start()
    limited(spent)
    left = rates(postern)["vault"]["remaining"]
    if end == "terminate":
        assert left == 14, "what a process held goes back when it stops"
    # A crash may cost what the process held in hand, and never gives anything.
    assert 0 <= left <= 14
    for _ in range(left):
        accepted(postern)
    limited(postern)
    assert len(postern.message_ids()) == 6 + left
