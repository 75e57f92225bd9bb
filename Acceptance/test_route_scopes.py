"""A key needs the scope `amqp` for its mail to be published to the broker, and `mailerq` for MailerQ's own HTTP; a
login needs neither, for its vault has chosen the way (seed 000 §08).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from harness.api import Api, only_id
from harness.company import Company, use_mailerq
from harness.mail import plain, token
from harness.rabbitmq import RabbitMQ
from harness.tls import Authority

SIMPLE = {"from": "ada@example.com", "to": ["bob@receiver.test"], "subject": "Hello", "text": "Hi"}

# A route, and the scope that a key needs for it beside `send`.
ROUTES = {"mailerq": "amqp", "mailerq-http": "mailerq"}


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory, rabbitmq: RabbitMQ, authority: Authority) -> Iterator[Company]:
    with Company(tmp_path_factory.mktemp("scopes"), rabbitmq.virtual_host(), authority) as company:
        yield company


@pytest.mark.parametrize("route", ROUTES)
def test_a_route_needs_its_scope(company: Company, route: str) -> None:
    postern, scope = company.postern, ROUTES[route]
    use_mailerq(postern, route)
    before = postern.message_ids()
    (wrong,) = set(ROUTES.values()) - {scope}
    for scopes in (["send"], ["send", wrong], ["send", "read", "admin"]):
        _, narrow = postern.new_key(*scopes)
        problem = narrow.problem("POST", "/v1/messages", 403, "forbidden", json=SIMPLE)
        assert scope in problem["detail"] + problem["fix"]
        answer = narrow.api("POST", "/resend/emails", json=SIMPLE)
        assert answer.status_code in (401, 403), answer.text
        # What would become of it may be asked: nothing goes anywhere.
        narrow.call("POST", "/v1/map/simple", json=SIMPLE)
    assert postern.message_ids() == before
    _, caller = postern.new_key("send", scope)
    id = only_id(caller.call("POST", "/v1/messages", expect=202, json=SIMPLE))
    postern.wait_status(id, "delivered")


def test_a_scope_of_a_route_alone_sends_nothing(company: Company) -> None:
    use_mailerq(company.postern)
    _, caller = company.postern.new_key("amqp", "mailerq")
    caller.problem("POST", "/v1/messages", 403, "forbidden", json=SIMPLE)


@pytest.mark.parametrize("route", ROUTES)
def test_a_login_needs_neither(company: Company, route: str) -> None:
    postern = company.postern
    use_mailerq(postern, route)
    postern.wait_status(postern.submit(plain(), [f"{token()}@receiver.test"]), "delivered")
    login: Api = postern.as_smtp_user()
    id = only_id(login.call("POST", "/v1/messages", expect=202, json=SIMPLE))
    postern.wait_status(id, "delivered")


def test_no_scope_is_needed_where_nothing_leaves(company: Company) -> None:
    postern = company.postern
    use_mailerq(postern)
    postern.set(live_send_enabled=False)
    try:
        _, caller = postern.new_key("send")
        id = only_id(caller.call("POST", "/v1/messages", expect=202, json=SIMPLE))
        assert postern.wait_status(id, {"captured", "delivered"})["status"] == "captured"
    finally:
        use_mailerq(postern)
