"""`/v1/map` explains itself: for each field of each envelope, the place in the payload or the default it came from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from harness.api import Api
from harness.mail import plain
from harness.postern import Postern

# Fields that every explanation speaks of.
ALWAYS = {"recipient", "envelope", "priority", "ips", "tags", "campaign_id", "mime.from.address", "mime.from.name",
          "mime.subject"}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def settings(shadow: Postern) -> Iterator[None]:
    shadow.set(default_tags=["news"], default_priority=6)
    shadow.call(
        "POST", "/v1/ip-pools", expect=201, json={"domain": "example.com", "pool": "main", "ips": ["192.0.2.1"]}
    )
    yield


def mapped(caller: Api, dialect: str, payload: Any, **query: str) -> tuple[dict, dict]:
    """The only envelope with its origins; nothing may have been written."""
    if isinstance(payload, bytes):
        content: dict[str, Any] = {"data": payload, "headers": {"Content-Type": "message/rfc822"}, "params": query}
    else:
        content = {"json": payload}
    answer = caller.call("POST", f"/v1/map/{dialect}", **content)
    assert len(answer["envelopes"]) == len(answer["origins"]) == 1
    origins = answer["origins"][0]
    assert ALWAYS <= origins.keys(), f"{dialect} says nothing of {ALWAYS - origins.keys()}"
    return answer["envelopes"][0], origins


def payload(at: str) -> dict[str, str]:
    return {"from": "payload", "at": at}


def setting(key: str, source: str) -> dict[str, str]:
    return {"from": "setting", "setting": key, "source": source}


DEFAULTS = {
    "priority": setting("default_priority", "vault"),
    "tags": setting("default_tags", "vault"),
    "campaign_id": {"from": "absent"},
    "ips": {"from": "ip_pool", "at": "example.com"},
    "envelope": {"from": "field", "at": "mime.from.address"},
}


def test_the_canonical_form_with_nothing_but_what_must_be_there(shadow: Postern) -> None:
    mime = {"to": "bob@receiver.test", "from": {"address": "ada@example.com"}, "text": "x"}
    envelope, origins = mapped(shadow, "canonical", {"recipient": "bob@receiver.test", "mime": mime})
    assert origins | DEFAULTS == origins
    assert origins["recipient"] == payload("/recipient")
    assert origins["mime.from.address"] == payload("/mime/from/address")
    assert origins["mime.from.name"] == {"from": "field", "at": "mime.from.address"}
    assert origins["mime.replyto.address"] == {"from": "field", "at": "mime.from.address"}
    assert origins["mime.text"] == payload("/mime/text")
    assert origins["mime.subject"] == origins["mime.content"] == {"from": "absent"}
    assert (envelope["priority"], envelope["tags"], envelope["ips"]) == (6, ["news"], ["192.0.2.1"])


def test_the_canonical_form_in_full(shadow: Postern) -> None:
    document = {
        "recipient": "bob@receiver.test", "envelope": "bounces@example.com", "priority": 1, "ips": ["198.51.100.1"],
        "tags": ["own"], "campaign_id": "c", "tracking": {"userId": "1"},
        "mime": {
            "to": "bob@receiver.test", "from": {"address": "ada@example.com", "name": "Ada"},
            "replyto": {"address": "help@example.com", "name": "Help"}, "subject": "Hi", "text": "x",
            "content": [{"type": "html", "content": "<p>x</p>"}], "headers": {"X-Order": "17"},
        },
    }  # fmt: skip
    _, origins = mapped(shadow, "canonical", document)
    for field in ("recipient", "envelope", "priority", "ips", "tags", "campaign_id", "tracking", "mime.to",
                  "mime.from.address", "mime.from.name", "mime.replyto.address", "mime.replyto.name", "mime.subject",
                  "mime.text", "mime.content", "mime.headers.X-Order"):  # fmt: skip
        assert origins[field] == payload("/" + field.replace(".", "/")), field


def test_the_simple_form(shadow: Postern) -> None:
    document = {
        "from": "Ada <ada@example.com>",
        "to": ["Bob <bob@receiver.test>"],
        "reply_to": "help@example.com",
        "subject": "Hi",
        "text": "x",
        "html": "<p>x</p>",
        "headers": {"X-Order": "17"},
        "tags": ["own"],
        "attachments": [{"filename": "a.txt", "content": "QQ=="}],
        "metadata": {"order": "17"},
        "send_at": "2026-12-24T18:00:00Z",
    }
    envelope, origins = mapped(shadow, "simple", document)
    assert origins["recipient"]["from"] == "payload" and origins["recipient"]["at"].startswith("/to")
    assert origins["mime.from.address"] == origins["mime.from.name"] == payload("/from")
    assert origins["mime.replyto"]["at"].startswith("/reply_to")
    for field, at in (
        ("mime.subject", "/subject"),
        ("mime.text", "/text"),
        ("mime.content", "/html"),
        ("tags", "/tags"),
        ("mime.headers.X-Order", "/headers/X-Order"),
        ("mime.attachments.0", "/attachments/0"),
        ("send_at", "/send_at"),
    ):
        assert origins[field] == payload(at), field
    assert origins["priority"] == DEFAULTS["priority"] and origins["ips"] == DEFAULTS["ips"]
    assert envelope["tags"] == ["own"]


def test_the_simple_form_says_for_each_recipient_where_it_stood(shadow: Postern) -> None:
    document = {"from": "ada@example.com", "to": ["a@receiver.test", "b@receiver.test"], "cc": "c@receiver.test",
                "bcc": ["d@receiver.test"], "subject": "Hi", "text": "x", "metadata": {"k": "v"}}  # fmt: skip
    before = shadow.message_ids()
    answer = shadow.call("POST", "/v1/map/simple", json=document)
    assert [envelope["recipient"][0] for envelope in answer["envelopes"]] == list("abcd")
    places = [origins["recipient"]["at"] for origins in answer["origins"]]
    assert [place.split("/")[1] for place in places] == ["to", "to", "cc", "bcc"] and places[:2] == ["/to/0", "/to/1"]
    assert (answer["send_at"], answer["metadata"]) == (None, {"k": "v"})
    assert shadow.message_ids() == before, "mapping writes nothing"


def test_a_finished_message(shadow: Postern) -> None:
    raw = plain("Hi", sender="Ada <ada@example.com>", extra="Reply-To: help@example.com\r\n")
    envelope, origins = mapped(shadow, "mime", raw)
    assert origins | DEFAULTS == origins
    assert origins["recipient"]["from"] == "message"
    assert origins["mime.from.address"] == origins["mime.from.name"] == {"from": "message", "at": "From"}
    assert origins["mime.subject"] == {"from": "message", "at": "Subject"}
    assert origins["mime.replyto"] == {"from": "message", "at": "Reply-To"}
    assert envelope["mime"]["subject"] == "Hi"
    query = {"from": "bounces@example.com", "to": "eve@receiver.test"}
    envelope, origins = mapped(shadow, "mime", plain(sender="ada@example.com"), **query)
    assert (envelope["envelope"], envelope["recipient"]) == ("bounces@example.com", "eve@receiver.test")
    assert origins["envelope"]["from"] == origins["recipient"]["from"] == "message"
    assert origins["mime.from.name"] == {"from": "field", "at": "mime.from.address"}


# The other tools' forms: a word each; what becomes of their fields, their own tests say.

NATIVE: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "sendy": (
        {
            "from_name": "Ada",
            "from_email": "ada@example.com",
            "subject": "Hi",
            "plain_text": "x",
            "to": "bob@receiver.test",
        },
        {"recipient": "/to", "mime.from.address": "/from_email", "mime.text": "/plain_text"},
    ),
    "odoo": (
        {"email_from": "ada@example.com", "email_to": "bob@receiver.test", "subject": "Hi", "body_html": "<p>x</p>"},
        {"recipient": "/email_to", "mime.from.address": "/email_from", "mime.content": "/body_html"},
    ),
    "ses": (
        {
            "FromEmailAddress": "ada@example.com",
            "Destination": {"ToAddresses": ["bob@receiver.test"]},
            "Content": {"Simple": {"Subject": {"Data": "Hi"}, "Body": {"Text": {"Data": "x"}}}},
        },
        {
            "recipient": "/Destination/ToAddresses/0",
            "mime.from.address": "/FromEmailAddress",
            "mime.subject": "/Content/Simple/Subject/Data",
        },
    ),
    "sendgrid": (
        {
            "personalizations": [{"to": [{"email": "bob@receiver.test"}]}],
            "from": {"email": "ada@example.com"},
            "subject": "Hi",
            "content": [{"type": "text/plain", "value": "x"}],
        },
        {"recipient": "/personalizations/0/to/0", "mime.from.address": "/from", "mime.subject": "/subject"},
    ),
    "postmark": (
        {"From": "ada@example.com", "To": "bob@receiver.test", "Subject": "Hi", "TextBody": "x"},
        {"recipient": "/To", "mime.from.address": "/From", "mime.text": "/TextBody"},
    ),
    "resend": (
        {"from": "ada@example.com", "to": ["bob@receiver.test"], "subject": "Hi", "text": "x"},
        {"recipient": "/to/0", "mime.from.address": "/from", "mime.text": "/text"},
    ),
}


@pytest.mark.parametrize("dialect", NATIVE)
def test_a_native_payload(shadow: Postern, dialect: str) -> None:
    document, places = NATIVE[dialect]
    envelope, origins = mapped(shadow, dialect, document)
    assert (envelope["recipient"], envelope["mime"]["from"]["address"]) == ("bob@receiver.test", "ada@example.com")
    for field, at in places.items():
        assert origins[field]["from"] == "payload" and origins[field]["at"].startswith(at), (field, origins[field])
    assert origins["priority"] == DEFAULTS["priority"]


def test_a_form(shadow: Postern) -> None:
    form = {"from": "ada@example.com", "to": "bob@receiver.test", "subject": "Hi", "text": "x", "h:X-Order": "17"}
    answer = shadow.call("POST", "/v1/map/mailgun", data=form)
    (origins,) = answer["origins"]
    assert origins["mime.from.address"] == payload("from") and origins["recipient"]["at"] == "to"
    assert origins["mime.headers.X-Order"] == payload("h:X-Order")


def test_what_is_unset_is_said_so_when_mapping_as_well(shadow: Postern) -> None:
    """`map` refuses what `send` would, with the same words."""
    body = {"from": "ada@elsewhere.test", "to": "bob@receiver.test", "subject": "Hi", "text": "x"}
    mapping = shadow.problem("POST", "/v1/map/simple", 403, "sender_domain_not_allowed", json=body)
    sending = shadow.problem("POST", "/v1/send/simple", 403, "sender_domain_not_allowed", json=body)
    assert mapping["detail"] == sending["detail"]
