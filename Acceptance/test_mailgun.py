"""Mailgun's own client library, with Postern's address in place of Mailgun's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import requests
from harness.mail import header, parsed, plain, token
from harness.postern import Postern
from mailgun.client import Client
from mailgun.config import RetryPolicy

DOMAIN = "example.com"

MakeClient = Callable[..., Client]


@pytest.fixture
def client(shadow: Postern) -> Iterator[MakeClient]:
    """Makes clients of `shadow`, by default with the card's key; they try once and are closed after the test."""
    made: list[Client] = []

    def make(key: str | None = None) -> Client:
        made.append(
            Client(
                auth=("api", key or shadow.card["api_key"]), api_url=f"{shadow.url}/mailgun",
                retry_policy=RetryPolicy(max_retries=0),
            )
        )  # fmt: skip
        return made[-1]

    yield make
    for one in made:
        one.close()


def form(**changes: Any) -> dict:
    fields = {"from": "Ada <ada@example.com>", "to": "bob@receiver.test", "subject": "Hello", "text": "Hello there."}
    return {name: value for name, value in (fields | changes).items() if value is not None}


def accepted(answer: requests.Response) -> str:
    """The Message-ID in an answer that has to be a yes."""
    assert answer.status_code == 200, answer.text
    document = answer.json()
    assert list(document) == ["id", "message"] and document["message"] == "Queued. Thank you."
    assert document["id"].startswith("<") and document["id"].endswith(f"@{DOMAIN}>")
    return document["id"]


def refused(answer: requests.Response, status: int) -> str:
    """The message in an answer that has to be a no."""
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["message"]
    return answer.json()["message"]


def captured(postern: Postern, subject: str) -> dict[str, bytes]:
    """The messages with that subject, by recipient."""
    rows = [row for row in postern.all_messages() if row["subject"] == subject]
    for row in rows:
        postern.wait_status(row["id"], "captured")
    return {row["recipient"]: postern.raw(row["id"]) for row in rows}


def test_a_message_is_queued_and_has_the_id_of_the_answer(shadow: Postern, client: MakeClient) -> None:
    subject = token()
    fields = form(subject=subject, html="<p>Hello there.</p>", **{"o:tracking": False, "o:testmode": "no"})
    id = accepted(client().messages.create(data=fields, domain=DOMAIN))
    (raw,) = captured(shadow, subject).values()
    assert header(raw, "Message-ID") == [id]
    message = parsed(raw)
    assert str(message["From"]) == "Ada <ada@example.com>"
    assert message.get_body(("plain",)).get_content().strip() == "Hello there."
    assert message.get_body(("html",)).get_content().strip() == "<p>Hello there.</p>"


def test_recipients_in_lists_and_repeated_fields(shadow: Postern, client: MakeClient) -> None:
    subject = token()
    fields = form(
        subject=subject, to=["Ann <ann@receiver.test>, bob@receiver.test", "carl@receiver.test"],
        cc="copy@receiver.test", bcc="blind@receiver.test",
    )  # fmt: skip
    accepted(client().messages.create(data=fields, domain=DOMAIN))
    messages = captured(shadow, subject)
    assert set(messages) == {f"{name}@receiver.test" for name in ("ann", "bob", "carl", "copy", "blind")}
    for raw in messages.values():
        assert header(raw, "To") == ["Ann <ann@receiver.test>, bob@receiver.test, carl@receiver.test"]
        assert b"blind" not in raw


def test_files_inline_images_and_options_arrive(shadow: Postern, client: MakeClient) -> None:
    picture = bytes(range(256)) + b"\r\n--\r\n"
    subject = token()
    fields = form(
        subject=subject, html='<img src="cid:logo.png">',
        **{
            "o:tag": ["invoice", "q4"], "h:X-Order": "17", "h:Reply-To": "Help <help@example.com>",
            "h:Message-Id": f"<{subject}@example.com>", "v:order": "17",
        },
    )  # fmt: skip
    files = [
        ("inline", ("logo.png", picture)), ("attachment", ("Rechnung März.pdf", b"%PDF-1.7")),
        ("attachment", ("empty.txt", b"")),
    ]  # fmt: skip
    assert accepted(client().messages.create(data=fields, files=files, domain=DOMAIN)) == f"<{subject}@example.com>"
    ((id, raw),) = [(row["id"], shadow.raw(row["id"])) for row in shadow.all_messages() if row["subject"] == subject]
    assert shadow.message(id)["tags"] == ["invoice", "q4"]
    message = parsed(raw)
    parts = {part.get_filename(): part for part in message.walk() if part.get_filename()}
    assert parts["logo.png"].get_content() == picture
    assert (parts["logo.png"]["Content-ID"], parts["logo.png"].get_content_type()) == ("<logo.png>", "image/png")
    assert parts["Rechnung März.pdf"].get_content() == b"%PDF-1.7"
    assert parts["empty.txt"].get_payload(decode=True) in (b"", None)
    assert (str(message["Reply-To"]), message["X-Order"]) == ("Help <help@example.com>", "17")
    assert message["Message-ID"] == f"<{subject}@example.com>"


def test_recipient_variables_make_a_message_for_each(shadow: Postern, client: MakeClient) -> None:
    subject = token()
    fields = form(
        subject=subject, to=["ann@receiver.test", "Bob <bob@receiver.test>"], text="Dear %recipient.name%",
        **{"recipient-variables": '{"ann@receiver.test":{"name":"Änn"},"bob@receiver.test":{"name":"Bob"}}'},
    )  # fmt: skip
    accepted(client().messages.create(data=fields, domain=DOMAIN))
    messages = captured(shadow, subject)
    assert {address: parsed(raw).get_content().strip() for address, raw in messages.items()} == {
        "ann@receiver.test": "Dear Änn", "bob@receiver.test": "Dear Bob",
    }  # fmt: skip
    assert header(messages["bob@receiver.test"], "To") == ["Bob <bob@receiver.test>"]


def test_a_time_to_send_is_kept(shadow: Postern, client: MakeClient) -> None:
    at = (datetime.now(UTC) + timedelta(hours=1)).replace(microsecond=0)
    subject = token()
    fields = form(subject=subject, **{"o:deliverytime": format_datetime(at)})
    accepted(client().messages.create(data=fields, domain=DOMAIN))
    (row,) = [row for row in shadow.all_messages() if row["subject"] == subject]
    message = shadow.message(row["id"])
    assert message["status"] == "scheduled"
    assert datetime.fromisoformat(message["send_at"]) == at
    shadow.call("POST", f"/v1/messages/{row['id']}/cancel")


@pytest.mark.parametrize("newline", [b"\r\n", b"\n"], ids=["CRLF", "LF"])
def test_a_finished_message_goes_as_it_is(shadow: Postern, client: MakeClient, newline: bytes) -> None:
    subject = token()
    raw = plain(subject, "Ünï\r\n".encode(), to="everybody@receiver.test")
    id = accepted(
        client().mimemessage.create(
            data={"to": ["ann@receiver.test", "bob@receiver.test"]}, domain=DOMAIN,
            files={"message": raw.replace(b"\r\n", newline)},
        )
    )  # fmt: skip
    messages = captured(shadow, subject)
    assert set(messages) == {"ann@receiver.test", "bob@receiver.test"}
    for sent in messages.values():
        assert header(sent, "Message-ID") == [id]
        assert sent.endswith(raw)


def test_templates_and_tracking_are_refused_by_name(shadow: Postern, client: MakeClient) -> None:
    before = shadow.message_ids()
    fields = form(text=None, template="welcome", **{"t:variables": "{}", "o:tracking": "yes", "o:require-tls": True})
    said = refused(client().messages.create(data=fields, domain=DOMAIN), 400)
    for field in ("template ", "o:tracking ", "o:require-tls "):
        assert field in said
    assert "%unsubscribe_url%" in refused(
        client().messages.create(data=form(text="%unsubscribe_url%"), domain=DOMAIN), 400
    )
    assert shadow.message_ids() == before


def test_what_is_not_valid_is_named(shadow: Postern, client: MakeClient) -> None:
    said = refused(client().messages.create(data=form(to="nobody", **{"from": None, "x": "y"}), domain=DOMAIN), 400)
    for part in ("to is not an address", "from is required", "x unknown field"):
        assert part in said
    assert "to is required" in refused(client().mimemessage.create(files={"message": plain()}, domain=DOMAIN), 400)
    assert "message is required" in refused(client().mimemessage.create(data={"to": "a@b.test"}, domain=DOMAIN), 400)


def test_a_wrong_key_is_forbidden_and_a_foreign_domain_not_found(shadow: Postern, client: MakeClient) -> None:
    assert refused(client("wrong").messages.create(data=form(), domain=DOMAIN), 401) == "Forbidden"
    said = refused(client().messages.create(data=form(), domain="elsewhere.test"), 404)
    assert said.startswith("Domain not found: elsewhere.test")
    refused(client().messages.create(data=form(**{"from": "ada@elsewhere.test"}), domain=DOMAIN), 403)
    _, reader = shadow.new_key("read")
    refused(client(reader.authorization.removeprefix("Bearer ")).messages.create(data=form(), domain=DOMAIN), 403)


def test_a_key_can_be_tried_without_sending(client: MakeClient) -> None:
    assert client().ping()
    assert not client("wrong").ping()
    assert DOMAIN in [domain["name"] for domain in client().domains.get().json()["items"]]
    assert client().domains.get(domain_name=DOMAIN).json()["domain"]["state"] == "active"
    assert refused(client().domains.get(domain_name="elsewhere.test"), 404)


def test_other_paths_methods_and_types_are_refused_in_its_form(shadow: Postern, client: MakeClient) -> None:
    refused(client().events.get(domain=DOMAIN), 404)
    refused(client().messages.get(domain=DOMAIN), 405)
    path = f"{shadow.url}/mailgun/v3/{DOMAIN}/messages"
    for headers, data in [({"Content-Type": "application/json"}, b"{}"), ({}, b"to=x")]:
        answer = requests.post(path, data=data, headers=headers, auth=("api", shadow.card["api_key"]), timeout=30)
        refused(answer, 400)
    broken = requests.post(
        path, data=b"--b\r\nno form", headers={"Content-Type": "multipart/form-data; boundary=b"},
        auth=("api", shadow.card["api_key"]), timeout=30,
    )  # fmt: skip
    refused(broken, 400)
    other = requests.post(path, data=form(), auth=("root", shadow.card["api_key"]), timeout=30)
    assert refused(other, 401) == "Forbidden"


def test_a_rate_limit_is_429(shadow: Postern, client: MakeClient) -> None:
    _, limited = shadow.new_key("send", "mailerq", "amqp")
    messages = client(limited.authorization.removeprefix("Bearer ")).messages
    shadow.set(key_send_rate_limit=1, key_burst_ceiling=1)
    try:
        accepted(messages.create(data=form(subject=token()), domain=DOMAIN))
        answer = messages.create(data=form(subject=token()), domain=DOMAIN)
    finally:
        shadow.set(key_send_rate_limit=None, key_burst_ceiling=None)
    refused(answer, 429)
    assert 0 < int(answer.headers["Retry-After"]) <= 3600


def test_the_dialect_is_the_same_by_our_own_paths(shadow: Postern) -> None:
    subject = token()
    mapped = shadow.api("POST", "/v1/map/mailgun", data=form(subject=subject, **{"o:tag": "x"}))
    assert mapped.status_code == 200 and "o:tag" in mapped.text
    assert not captured(shadow, subject)
    sent = shadow.api("POST", "/v1/send/mailgun", data=form(subject=subject), files={"attachment": ("a.txt", b"x")})
    assert sent.status_code == 202, sent.text
    assert set(captured(shadow, subject)) == {"bob@receiver.test"}
