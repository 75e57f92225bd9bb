"""Sending by HTTP: the three forms of a submission, and what becomes of each field."""

from __future__ import annotations

import base64
import email.utils
import subprocess
from typing import Any

import pytest
from harness.api import describe, ids, only_id
from harness.mail import header, parsed, plain, token, without_trace
from harness.postern import Postern


def canonical(**changes: Any) -> dict:
    """The smallest canonical submission, with fields changed; None leaves one out."""
    whole = {
        "recipient": "bob@receiver.test",
        "mime": {"to": "bob@receiver.test", "from": {"address": "ada@example.com"}, "text": "Hello"},
    }
    whole |= changes
    return {key: value for key, value in whole.items() if value is not None}


def test_an_answer_names_each_message_and_its_log_row(shadow: Postern) -> None:
    accepted = shadow.send(to=["a@receiver.test", "b@receiver.test"])
    assert [message["recipient"] for message in accepted["messages"]] == ["a@receiver.test", "b@receiver.test"]
    assert accepted["correlation_id"]
    for id in ids(accepted):
        message = shadow.wait_status(id, "captured")
        assert message["correlation_id"] == accepted["correlation_id"]
        assert message["vault"] and message["caller"] and message["created_at"].endswith("Z")


def test_a_yes_can_be_read_back_at_once(shadow: Postern) -> None:
    id = shadow.send(subject=(subject := token()))["id"]
    assert shadow.message(id)["subject"] == subject
    assert shadow.event_types(id)[0] == "accepted"


def test_the_simple_form_becomes_the_message_that_was_asked_for(shadow: Postern) -> None:
    picture = bytes(range(256)) * 3
    id = only_id(
        shadow.send(
            sender="Åse Øst <ada@example.com>",
            to="Bob <bob@receiver.test>",
            reply_to="Help <help@example.com>",
            subject="Grüße, 世界 " + "long " * 30,
            text="Zeile\nπ\n",
            html='<p>π <img src="cid:picture"></p>',
            headers={"X-Order": "17", "List-Unsubscribe": "<https://example.com/u>"},
            attachments=[
                {"filename": "Rechnung März.pdf", "content_type": "application/pdf", "content": b64(b"%PDF-1.7")},
                {"filename": "p.png", "content_type": "image/png", "content": b64(picture), "inline": True,
                 "content_id": "picture"},
            ],
        )
    )  # fmt: skip
    shadow.wait_status(id, "captured")
    raw = shadow.raw(id)
    assert b"\n" not in raw.replace(b"\r\n", b"") and b"\r" not in raw.replace(b"\r\n", b"")
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert raw.isascii(), "headers and body are encoded, so that every relay can take them"
    message = parsed(raw)
    assert not message.defects
    assert email.utils.parseaddr(str(message["From"])) == ("Åse Øst", "ada@example.com")
    assert str(message["To"]) == "Bob <bob@receiver.test>"
    assert str(message["Reply-To"]) == "Help <help@example.com>"
    assert str(message["Subject"]).rstrip() == ("Grüße, 世界 " + "long " * 30).rstrip()
    assert (message["X-Order"], message["List-Unsubscribe"]) == ("17", "<https://example.com/u>")
    for name in ("Message-ID", "Date", "MIME-Version"):
        assert len(header(raw, name)) == 1, name
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None and text.get_content().replace("\r\n", "\n") == "Zeile\nπ\n"
    assert html is not None and "π" in html.get_content()
    parts = {part.get_filename(): part for part in message.walk() if part.get_filename()}
    assert parts["Rechnung März.pdf"].get_content() == b"%PDF-1.7"
    assert parts["Rechnung März.pdf"].get_content_disposition() == "attachment"
    assert parts["p.png"].get_content() == picture
    assert parts["p.png"].get_content_disposition() == "inline"
    assert parts["p.png"]["Content-ID"] == "<picture>"


def test_tags_metadata_and_subject_are_in_the_log(shadow: Postern) -> None:
    id = only_id(shadow.send(subject="Tagged", tags=["invoice", "q4"], metadata={"order": "17"}))
    message = shadow.wait_status(id, "captured")
    assert message["subject"] == "Tagged"
    assert set(message["tags"]) >= {"invoice", "q4"}


@pytest.mark.parametrize("path", ["/v1/send", "/v1/send/canonical"])
def test_the_canonical_form_follows_the_mapping_rules(shadow: Postern, path: str) -> None:
    id = only_id(shadow.call("POST", path, expect=202, json=canonical()))
    envelope = shadow.wait_status(id, "captured")["envelope"]
    assert envelope["envelope"] == "ada@example.com"
    assert envelope["priority"] == shadow.settings()["default_priority"]["value"]
    assert envelope["mime"]["from"] == {"address": "ada@example.com", "name": "ada@example.com"}
    assert envelope["mime"]["replyto"] == envelope["mime"]["from"]
    assert (envelope["recipient"], envelope["mime"]["to"]) == ("bob@receiver.test", "bob@receiver.test")


def test_what_the_canonical_form_gives_is_kept(shadow: Postern) -> None:
    given = canonical(
        envelope="bounce@example.com",
        priority=7,
        ips=["192.0.2.7"],
        tags=["a"],
        campaign_id="spring",
        tracking={"userId": "u", "endpointId": "e", "context": "c", "visible": True},
        mime={
            "to": "bob@receiver.test",
            "from": {"address": "ada@example.com", "name": "Ada"},
            "replyto": {"address": "help@example.com", "name": "Help"},
            "subject": "Grüße",
            "content": [{"type": "html", "content": "<p>π</p>"}],
            "headers": {"List-Unsubscribe": "<https://example.com/u>", "Feedback-ID": "1:2:3"},
        },
    )
    id = only_id(shadow.call("POST", "/v1/send", expect=202, json=given))
    envelope = shadow.wait_status(id, "captured")["envelope"]
    for field in ("recipient", "envelope", "priority", "ips", "campaign_id", "tracking", "mime"):
        assert envelope[field] == given[field], field
    assert "a" in envelope["tags"]
    raw = shadow.raw(id)
    assert header(raw, "Feedback-ID") == ["1:2:3"]
    assert header(raw, "Reply-To") == ["Help <help@example.com>"]
    assert header(raw, "Subject") == ["Grüße"]


def test_an_ip_pool_of_the_sender_domain_fills_in_ips(shadow: Postern) -> None:
    pool = shadow.call(
        "POST", "/v1/ip-pools", expect=201,
        json={"domain": "example.com", "pool": "main", "ips": ["192.0.2.1", "192.0.2.2"]},
    )  # fmt: skip
    try:
        id = only_id(shadow.call("POST", "/v1/send", expect=202, json=canonical()))
        assert set(shadow.wait_status(id, "captured")["envelope"]["ips"]) <= {"192.0.2.1", "192.0.2.2"}
        assert shadow.message(id)["envelope"]["ips"]
    finally:
        shadow.call("DELETE", f"/v1/ip-pools/{pool['id']}", expect=204)


def test_mapping_without_sending_leaves_no_trace(shadow: Postern) -> None:
    before = shadow.message_ids()
    simple = {"from": "ada@example.com", "to": ["a@receiver.test", "b@receiver.test"], "subject": "Hi", "text": "x"}
    mapped = shadow.call("POST", "/v1/map/simple", json=simple)
    assert [envelope["recipient"] for envelope in mapped["envelopes"]] == ["a@receiver.test", "b@receiver.test"]
    (single,) = shadow.call("POST", "/v1/map/canonical", json=canonical())["envelopes"]
    assert single["mime"]["replyto"]["address"] == "ada@example.com"
    mime = shadow.call("POST", "/v1/map/mime", data=plain(), headers={"Content-Type": "message/rfc822"})
    assert [envelope["recipient"] for envelope in mime["envelopes"]] == ["bob@receiver.test"]
    assert shadow.message_ids() == before


def test_a_finished_message_passes_through_untouched(shadow: Postern) -> None:
    raw = plain("As it is", body=b"8-bit: caf\xc3\xa9\r\n.\r\n.dots\r\n\r\n", extra="X-Odd:   a\r\n\tb\r\n")
    id = only_id(shadow.send_mime(raw, sender="ada@example.com", to=["someone@receiver.test"]))
    assert shadow.wait_status(id, "captured")["recipient"] == "someone@receiver.test"
    assert without_trace(shadow.raw(id)) == raw


def test_a_finished_message_gives_its_own_envelope(shadow: Postern) -> None:
    raw = plain(to="one@receiver.test, Group: two@receiver.test;", extra="Cc: three@receiver.test\r\n")
    accepted = shadow.send_mime(raw)
    assert {m["recipient"] for m in accepted["messages"]} == {f"{n}@receiver.test" for n in ("one", "two", "three")}


def test_request_ids_come_back_and_are_made_when_missing(shadow: Postern) -> None:
    given = shadow.api("GET", "/v1/me", headers={"X-Request-Id": "my-request-17"})
    assert given.headers["X-Request-Id"] == "my-request-17"
    made = [shadow.api("GET", "/v1/me").headers["X-Request-Id"] for _ in range(2)]
    assert made[0] != made[1]


def test_smtp_credentials_are_as_good_as_a_key_where_the_vault_says_so(shadow: Postern) -> None:
    accepted = shadow.as_smtp_user().call("POST", "/v1/send", expect=202, json=canonical())
    assert shadow.wait_status(only_id(accepted), "captured")["caller"] != shadow.call("GET", "/v1/me")["id"]


def test_curl_sends_a_message(shadow: Postern) -> None:
    done = subprocess.run(
        ["curl", "-sS", "--fail-with-body", "-H", f"Authorization: Bearer {shadow.card['api_key']}",
         "-H", "Content-Type: message/rfc822", "--data-binary", "@-",
         f"{shadow.url}/v1/send/mime?from=ada@example.com&to=bob@receiver.test"],
        input=plain("By curl"), capture_output=True, timeout=30,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_health_needs_no_key_and_says_what_it_depends_on(shadow: Postern) -> None:
    live, ready = (shadow.api("GET", path, headers={"Authorization": ""}) for path in ("/healthz", "/readyz"))
    assert live.status_code == 200
    assert ready.status_code == 200 and "database" in ready.text, describe(ready)


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()
