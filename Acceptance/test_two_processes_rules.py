"""Two processes on one PostgreSQL: a limit of N lets N through in all, and what one of them is told, both do within a
second: keys and logins that end, settings and pools that change, texts that go on for a while.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from harness.api import Api, only_id
from harness.fleet import Fleet
from harness.mail import plain, token
from harness.postern import Postern
from harness.postgres import Database, Postgres
from harness.smtp import SMTPSession
from harness.waiting import until

SIMPLE = {"from": "ada@example.com", "to": ["bob@receiver.test"], "subject": "Hello", "text": "Hi"}

# What the product promises for changes that another process has to hear of, in seconds.
PROMISE = 1.0


@pytest.fixture(scope="module")
def shared(postgres: Postgres) -> Database:
    """The database of all tests here."""
    return postgres.database()


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, shared: Database) -> Iterator[Fleet]:
    with Fleet(tmp_path_factory.mktemp("two"), shared, 2) as fleet:
        yield fleet
        for member in fleet:
            if member.process is not None:
                member.terminate()


@pytest.fixture(autouse=True)
def unlimited(fleet: Fleet) -> Iterator[None]:
    yield
    for member in fleet:
        if member.process is None:
            member.start()
    fleet[0].set(
        send_rate_limit=None, key_send_rate_limit=None, domain_send_rate_limit=None, repeat_limit=None,
        default_priority=None, allowed_sender_domains=["example.com"], auth_mode=None,
    )  # fmt: skip
    until(lambda: fleet[0].settings() == fleet[1].settings(), "both know", 5)


def on(member: Postern, made: dict[str, Any]) -> Api:
    return Api.with_key(member.url, made["key"])


def issue(member: Postern, *scopes: str, **narrowing: Any) -> dict[str, Any]:
    return member.call("POST", "/v1/keys", expect=201, json={"label": "test", "scopes": list(scopes), **narrowing})


def is_dead(caller: Api) -> bool:
    return caller.api("GET", "/v1/me").status_code == 401


def within_a_second(since: float, check: Callable[[], bool], what: str) -> None:
    """`since` is when the answer to the change was there."""
    until(check, what, 5)
    took = time.monotonic() - since
    assert took <= PROMISE, f"{what}: only after {took:.2f} s"


def hammer(callers: list[Api], each: int, body: dict[str, Any] | None = None) -> tuple[int, float]:
    """Every caller in a thread of its own, all at once; how many were accepted in all, and the seconds it took."""

    def work(caller: Api) -> list[requests.Response]:
        return [caller.api("POST", "/v1/messages", json=body or SIMPLE) for _ in range(each)]

    began = time.monotonic()
    with ThreadPoolExecutor(len(callers)) as pool:
        answers = [answer for some in pool.map(work, callers) for answer in some]
    assert {answer.status_code for answer in answers} <= {202, 429}, {answer.status_code for answer in answers}
    return sum(answer.status_code == 202 for answer in answers), time.monotonic() - began


def gained(limit: int, seconds: float) -> int:
    return math.ceil(limit * seconds / 3600)


# Rates


@pytest.mark.parametrize("limit", [1, 7, 150])
def test_a_limit_of_n_lets_n_through_in_all(fleet: Fleet, limit: int) -> None:
    made = issue(fleet[0], "send", send_rate_limit=limit)
    callers = [on(member, made) for member in fleet for _ in range(4)]
    accepted, seconds = hammer(callers, max(2, limit // 4))
    assert limit <= accepted <= limit + gained(limit, seconds)
    for member in fleet:
        assert on(member, made).api("POST", "/v1/messages", json=SIMPLE).status_code == 429


def test_a_limit_of_the_vault_holds_over_all_callers_and_both_processes(fleet: Fleet) -> None:
    limit = 40
    callers = [on(member, issue(fleet[0], "send")) for member in fleet for _ in range(3)]
    before = len(fleet[0].message_ids())
    fleet[0].set(send_rate_limit=limit)
    until(lambda: fleet[1].settings()["send_rate_limit"]["value"] == limit, "the other process knows", 5)
    accepted, seconds = hammer(callers, limit // 2)
    assert limit <= accepted <= limit + gained(limit, seconds)
    assert len(fleet[1].message_ids()) - before == accepted
    for member in fleet:
        (left,) = [row for row in member.call("GET", "/v1/me")["rates"] if row["name"] == "vault"]
        assert left["remaining"] <= gained(limit, time.monotonic())


def test_what_is_left_is_the_same_wherever_one_asks(fleet: Fleet) -> None:
    made = issue(fleet[0], "send", send_rate_limit=20)
    for turn in range(6):
        answer = on(fleet[turn % 2], made).api("POST", "/v1/messages", json=SIMPLE)
        assert answer.status_code == 202
    for member in fleet:
        (own,) = on(member, made).call("GET", "/v1/me")["rates"]
        assert own["remaining"] == 14


def test_a_process_that_is_killed_or_comes_again_fills_nothing(fleet: Fleet) -> None:
    made = issue(fleet[0], "send", send_rate_limit=12)
    for turn in range(6):
        on(fleet[turn % 2], made).call("POST", "/v1/messages", expect=202, json=SIMPLE)
    fleet[1].kill9()
    fleet[1].start()
    fleet[0].restart()
    left = 0
    for turn in range(20):
        left += on(fleet[turn % 2], made).api("POST", "/v1/messages", json=SIMPLE).status_code == 202
    # A crash may cost what the process held in hand.
    assert 4 <= left <= 6


def test_a_recipient_domains_limit_holds_on_both(fleet: Fleet) -> None:
    fleet[0].set(domain_send_rate_limit=3)
    until(lambda: fleet[1].settings()["domain_send_rate_limit"]["value"] == 3, "the other process knows", 5)
    domain = f"{token('d')}.test"
    body = {**SIMPLE, "to": [f"bob@{domain}"]}
    accepted, _ = hammer([Api(member.url, fleet[0].authorization) for member in fleet for _ in range(3)], 3, body)
    assert accepted == 3


# Keys and logins


def test_a_revoked_key_is_dead_on_both(fleet: Fleet) -> None:
    for here, there in ((fleet[0], fleet[1]), (fleet[1], fleet[0])):
        made = issue(here, "send", "read")
        for member in fleet:
            on(member, made).call("GET", "/v1/me")
        here.call("DELETE", f"/v1/keys/{made['id']}", expect=204)
        since = time.monotonic()
        assert is_dead(on(here, made)), "here at once"
        within_a_second(since, functools.partial(is_dead, on(there, made)), "there as well")
        on(there, made).problem("POST", "/v1/messages", 401, "unauthorized", json=SIMPLE)


def test_a_family_of_keys_is_dead_on_both(fleet: Fleet) -> None:
    parent = issue(fleet[0], "admin", "read")
    child = on(fleet[1], parent).call("POST", "/v1/keys", expect=201, json={"label": "child", "scopes": ["read"]})
    for member in fleet:
        on(member, child).call("GET", "/v1/me")
    fleet[0].call("DELETE", f"/v1/keys/{parent['id']}", expect=204)
    since = time.monotonic()
    assert is_dead(on(fleet[0], child))
    within_a_second(since, lambda: is_dead(on(fleet[1], child)), "the child is dead there")


def test_a_rotated_keys_texts_are_known_on_both(fleet: Fleet) -> None:
    made = issue(fleet[0], "read")
    for member in fleet:
        on(member, made).call("GET", "/v1/me")
    turned = fleet[0].call("POST", f"/v1/keys/{made['id']}/rotate", json={"overlap_seconds": 600})
    for member in fleet:
        for text in (made, turned):
            on(member, text).call("GET", "/v1/me")
    last = fleet[1].call("POST", f"/v1/keys/{made['id']}/rotate")
    since = time.monotonic()
    for text in (made, turned):
        assert is_dead(on(fleet[1], text))
        within_a_second(since, functools.partial(is_dead, on(fleet[0], text)), "the old text is dead")
    for member in fleet:
        on(member, last).call("GET", "/v1/me")


def test_no_child_slips_out_while_its_parent_is_revoked(fleet: Fleet) -> None:
    """They are made on one process as fast as it goes, and the parent is revoked on the other in the midst of it."""

    def make(maker: Api, children: list[dict[str, Any]]) -> None:
        while True:
            answer = maker.api("POST", "/v1/keys", json={"label": "child", "scopes": ["read"]})
            if answer.status_code != 201:
                return
            children.append(answer.json())

    for _ in range(5):
        parent = issue(fleet[0], "admin", "read")
        children: list[dict[str, Any]] = []
        with ThreadPoolExecutor(2) as pool:
            working = [pool.submit(make, on(fleet[1], parent), children) for _ in range(2)]
            until(functools.partial(children.__getitem__, slice(3, 4)), "children are being made", 10)
            fleet[0].call("DELETE", f"/v1/keys/{parent['id']}", expect=204)
            for done in working:
                done.result()
        for child in children:
            assert fleet[0].call("GET", f"/v1/keys/{child['id']}")["revoked_at"], "a child outlived its parent"
            until(functools.partial(is_dead, on(fleet[1], child)), "it is dead there", 5)


def test_of_two_who_rotate_a_key_at_once_one_has_the_last_word(fleet: Fleet) -> None:
    def one_is_good(member: Postern, turned: list[dict[str, Any]]) -> bool:
        return sorted(is_dead(on(member, text)) for text in turned) == [False, True]

    def rotate(member: Postern, id: str) -> dict[str, Any]:
        return member.call("POST", f"/v1/keys/{id}/rotate")

    for _ in range(5):
        made = issue(fleet[0], "read")
        with ThreadPoolExecutor(2) as pool:
            turned = list(pool.map(rotate, fleet, [made["id"]] * 2))
        for member in fleet:
            until(functools.partial(one_is_good, member, turned), "one of the two texts is good", 5)
            assert is_dead(on(member, made))


def test_one_submission_that_comes_to_both_at_once_is_one(fleet: Fleet) -> None:
    """The same idempotency key, at the same moment, with a limit of one."""
    for _ in range(5):
        made = issue(fleet[0], "send", "read", send_rate_limit=1)
        key = {"Idempotency-Key": token()}

        def submit(member: Postern, made: dict[str, Any] = made, key: dict[str, str] = key) -> requests.Response:
            return on(member, made).api("POST", "/v1/messages", json=SIMPLE, headers=key)

        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(submit, [*fleet] * 3))
        taken = [answer.json()["id"] for answer in answers if answer.status_code == 202]
        assert len(set(taken)) == 1, "one message, however often it came"
        # Who came before the first one was committed may have found nothing left.
        assert {answer.status_code for answer in answers} <= {202, 429}
        again = submit(fleet[1])
        assert (again.status_code, again.json()["id"]) == (202, taken[0])


def test_a_login_ends_on_both_with_its_open_sessions(fleet: Fleet) -> None:
    made = fleet[0].call("POST", "/v1/smtp-users", expect=201, json={"username": token("u")})
    login = (made["username"], made["password"])
    with SMTPSession.opened(fleet[1].smtp_port, None, login) as session:
        assert session.submit("ada@example.com", ["bob@receiver.test"], plain()).accepted_id
        fleet[0].call("DELETE", f"/v1/smtp-users/{made['id']}", expect=204)
        since = time.monotonic()

        def is_refused() -> bool:
            done = session.submit("ada@example.com", ["bob@receiver.test"], plain())
            return done.mail.code in (530, 535, 550)

        within_a_second(since, is_refused, "the session on the other process can begin nothing")
    with pytest.raises(Exception, match="535"), SMTPSession.opened(fleet[1].smtp_port, None, login):
        pass


# Settings, pools, secrets


def test_a_setting_that_is_changed_on_one_is_in_force_on_the_other(fleet: Fleet) -> None:
    def has_priority(member: Postern, wanted: int) -> bool:
        return member.call("POST", "/v1/map/simple", json=SIMPLE)["envelopes"][0]["priority"] == wanted

    for turn, value in enumerate((11, 12, 13, 14, None)):
        here, there = fleet[turn % 2], fleet[(turn + 1) % 2]
        here.set(default_priority=value)
        since = time.monotonic()
        assert has_priority(here, value or 5), "here with the next message"
        within_a_second(since, functools.partial(has_priority, there, value or 5), "there within a second")


def test_a_sender_domain_that_is_taken_away_is_refused_on_both(fleet: Fleet) -> None:
    fleet[0].set(allowed_sender_domains=["example.com", "example.org"])
    body = {**SIMPLE, "from": "ada@example.org"}
    until(lambda: fleet[1].api("POST", "/v1/messages", json=body).status_code == 202, "it is allowed there", 5)
    fleet[0].set(allowed_sender_domains=["example.com"])
    since = time.monotonic()
    within_a_second(since, lambda: fleet[1].api("POST", "/v1/messages", json=body).status_code == 403, "refused there")
    with SMTPSession.opened(fleet[1].smtp_port, None, login_of(fleet)) as session:
        done = session.submit("ada@example.org", ["bob@receiver.test"], plain(sender="ada@example.org"))
        assert (done.refusal.code, done.refusal.enhanced) == (550, "5.7.1")


def test_a_way_in_that_is_closed_is_closed_on_both(fleet: Fleet) -> None:
    fleet[0].set(auth_mode={"default": "both", "/v1/messages": "smtp"})
    since = time.monotonic()
    within_a_second(since, lambda: fleet[1].api("POST", "/v1/messages", json=SIMPLE).status_code == 403, "closed there")
    fleet[1].call("POST", "/v1/send/simple", expect=202, json=SIMPLE)


def test_a_pool_that_is_changed_on_one_is_used_by_the_other(fleet: Fleet) -> None:
    def ips(member: Postern) -> list[str]:
        return member.call("POST", "/v1/map/simple", json=SIMPLE)["envelopes"][0].get("ips", [])

    body = {"domain": "example.com", "pool": "main", "ips": ["192.0.2.1", "192.0.2.2"]}
    pool = fleet[0].call("POST", "/v1/ip-pools", expect=201, json=body)
    within_a_second(time.monotonic(), lambda: ips(fleet[1]) == ["192.0.2.1", "192.0.2.2"], "the new pool")
    fleet[1].call("PATCH", f"/v1/ip-pools/{pool['id']}", json={"ips": ["192.0.2.2", "192.0.2.1"]})
    within_a_second(time.monotonic(), lambda: ips(fleet[0]) == ["192.0.2.2", "192.0.2.1"], "the new order")
    fleet[0].call("DELETE", f"/v1/ip-pools/{pool['id']}", expect=204)
    within_a_second(time.monotonic(), lambda: ips(fleet[1]) == [], "no pool")


def test_two_who_change_settings_at_once_lose_nothing(fleet: Fleet) -> None:
    """Each changes a setting of its own, over and over; the last word of each stands in the end, in both processes."""

    keys = ("default_priority", "repeat_limit", "domain_send_rate_limit", "key_send_rate_limit")

    def work(turn: int) -> None:
        for value in range(980, 1000):
            fleet[turn % 2].set(**{keys[turn]: value})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    since = time.monotonic()

    def has_last_words(member: Postern) -> bool:
        settings = member.settings()
        return {settings[key]["value"] for key in keys} == {999}

    for member in fleet:
        within_a_second(since, functools.partial(has_last_words, member), "the last word of each")
    rows = fleet[0].call("GET", "/v1/audit", params={"action": "settings.write", "limit": 200})["data"]
    own = [row for row in rows if row["after"].get("default_priority") is not None]
    assert [row["after"]["default_priority"] for row in own[:20]] == list(range(999, 979, -1))
    assert [row["before"]["default_priority"] for row in own[:19]] == list(range(998, 979, -1)), (
        "each knew the one before"
    )


def test_secrets_that_are_set_and_sealed_anew_at_once_stay_whole(fleet: Fleet) -> None:
    def set_them(member: Postern) -> None:
        for turn in range(15):
            member.call("PUT", f"/v1/secrets/own_{turn % 3}", json={"value": f"v{turn}"})

    def rotate(member: Postern) -> None:
        for _ in range(10):
            member.call("POST", "/v1/secrets/rotate")

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(work, member) for work in (set_them, rotate) for member in fleet]:
            done.result()
    names = [row["name"] for row in fleet[1].call("GET", "/v1/secrets")["data"]]
    assert [name for name in names if name.startswith("own_")] == ["own_0", "own_1", "own_2"]
    # Whoever opens them next finds them whole: rotating opens every one.
    assert fleet[0].call("POST", "/v1/secrets/rotate")["rotated"] == len(names)


def test_no_secret_lies_in_the_database_or_in_a_log(fleet: Fleet, shared: Database) -> None:
    planted = token("Planted")
    fleet[0].call("PUT", "/v1/secrets/planted", json={"value": planted})
    fleet[1].set(smarthost_password=f"{planted}-setting")
    made = issue(fleet[0], "read")
    user = fleet[1].call("POST", "/v1/smtp-users", expect=201, json={"username": token("u")})
    fleet[0].call("POST", "/v1/secrets/rotate")
    secrets = [planted, made["key"].rpartition("_")[2], user["password"], shared.server.password]
    secrets += [(fleet[0].data / "master.key").read_text().strip(), fleet[0].card["smtp"]["password"]]
    rows = 0
    for table in shared.tables():
        for (row,) in shared.execute(f'SELECT t::text FROM "{table}" t'):
            rows += 1
            for secret in secrets:
                assert secret not in row and secret.encode().hex() not in row, f"a secret in {table}"
    assert rows > 50, "there was something to look at"
    for member in fleet:
        said = member.log_tail(most=100_000_000)
        assert not [secret for secret in secrets if secret in said]
    fleet[0].set(smarthost_password=None)


# Runaways


def test_a_runaway_is_cut_off_on_both(fleet: Fleet) -> None:
    fleet[0].set(repeat_limit=5)
    until(lambda: fleet[1].settings()["repeat_limit"]["value"] == 5, "the other process knows", 5)
    body = {**SIMPLE, "to": [f"{token('bob')}@receiver.test"], "text": token()}
    accepted, _ = hammer([Api(member.url, fleet[0].authorization) for member in fleet for _ in range(2)], 10, body)
    assert 5 <= accepted <= 6, "the first copy of each process is looked at by that process alone"
    for member in fleet:
        answer = member.api("POST", "/v1/messages", json=body)
        assert (answer.status_code, answer.json()["code"]) == (429, "repeated_message")
    only_id(fleet[0].send(text=token()))


def login_of(fleet: Fleet) -> tuple[str, str]:
    smtp = fleet[0].card["smtp"]
    return smtp["username"], smtp["password"]


def test_the_directories_are_two(fleet: Fleet) -> None:
    """The members share a database and a master key, and nothing else; or the tests above would prove little."""
    first, second = (Path(member.data) for member in fleet)
    assert first != second and not (second / "postern.db").exists() and not (first / "postern.db").exists()
    assert fleet[0].process is not None and fleet[1].process is not None
    assert fleet[0].process.pid != fleet[1].process.pid
