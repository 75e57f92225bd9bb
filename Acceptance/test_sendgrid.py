"""SendGrid's own client library, with Postern's address in place of SendGrid's."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import python_http_client.exceptions as refusals
import requests
from harness.mail import header, parsed, token
from harness.postern import Postern
from sendgrid import SendGridAPIClient
from sendgrid.helpers import mail as sg


def client(postern: Postern, key: str | None = None) -> SendGridAPIClient:
    return SendGridAPIClient(key or postern.card["api_key"], host=f"{postern.url}/sendgrid")


def letter(**changes: Any) -> sg.Mail:
    fields: dict[str, Any] = {
        "from_email": ("ada@example.com", "Ada"), "to_emails": "bob@receiver.test", "subject": "Hello",
        "plain_text_content": "Hello there.",
    }  # fmt: skip
    return sg.Mail(**(fields | changes))


def errors(refused: refusals.HTTPError) -> list[dict]:
    """The list of errors, each of which has to have SendGrid's three members."""
    document = refused.to_dict
    assert list(document) == ["errors"]
    for error in document["errors"]:
        assert set(error) == {"message", "field", "help"}
    return document["errors"]


def captured(postern: Postern, subject: str) -> dict[str, bytes]:
    """The messages with that subject, by recipient."""
    rows = [row for row in postern.all_messages() if row["subject"] == subject]
    for row in rows:
        postern.wait_status(row["id"], "captured")
    return {row["recipient"]: postern.raw(row["id"]) for row in rows}


def test_the_quick_start_is_accepted(shadow: Postern) -> None:
    subject = token()
    answer = client(shadow).send(letter(subject=subject, html_content="<p>Hello there.</p>"))
    assert (answer.status_code, answer.body) == (202, b"")
    id = answer.headers["X-Message-Id"]
    message = shadow.wait_status(id, "captured")
    assert (message["recipient"], message["subject"]) == ("bob@receiver.test", subject)
    raw = parsed(shadow.raw(id))
    assert str(raw["From"]) == "Ada <ada@example.com>"
    assert raw.get_body(("plain",)).get_content().strip() == "Hello there."
    assert raw.get_body(("html",)).get_content().strip() == "<p>Hello there.</p>"


def test_each_personalization_is_a_message_of_its_own(shadow: Postern) -> None:
    subject = token()
    mail = sg.Mail(from_email="ada@example.com", subject=subject, plain_text_content="Hello")
    for name in ("ann", "bob"):
        personalization = sg.Personalization()
        personalization.add_to(sg.To(f"{name}@receiver.test", name.title()))
        personalization.add_header(sg.Header("X-Name", name))
        personalization.add_custom_arg(sg.CustomArg("name", name))
        if name == "bob":
            personalization.add_cc(sg.Cc("copy@receiver.test"))
            personalization.add_bcc(sg.Bcc("blind@receiver.test"))
        mail.add_personalization(personalization)
    assert client(shadow).send(mail).status_code == 202
    messages = captured(shadow, subject)
    assert set(messages) == {f"{name}@receiver.test" for name in ("ann", "bob", "copy", "blind")}
    assert header(messages["ann@receiver.test"], "X-Name") == ["ann"]
    assert header(messages["ann@receiver.test"], "Cc") == []
    for recipient in ("bob", "copy", "blind"):
        raw = messages[f"{recipient}@receiver.test"]
        assert (header(raw, "To"), header(raw, "Cc")) == (["Bob <bob@receiver.test>"], ["copy@receiver.test"])
        assert b"blind" not in raw and b"ann@" not in raw
    ids = {recipient: header(raw, "Message-ID")[0] for recipient, raw in messages.items()}
    assert ids["bob@receiver.test"] == ids["blind@receiver.test"] != ids["ann@receiver.test"]


def test_files_inline_images_headers_and_answers_arrive(shadow: Postern) -> None:
    picture = bytes(range(256))
    mail = letter(html_content='<img src="cid:logo">')
    mail.add_attachment(
        sg.Attachment(
            sg.FileContent(base64.b64encode(picture).decode()), sg.FileName("logo.png"), sg.FileType("image/png"),
            sg.Disposition("inline"), sg.ContentId("logo"),
        )
    )  # fmt: skip
    mail.add_attachment(
        sg.Attachment(
            sg.FileContent(base64.b64encode(b"%PDF-1.7").decode()), sg.FileName("Rechnung März.pdf"),
            sg.FileType("application/pdf"), sg.Disposition("attachment"),
        )
    )  # fmt: skip
    mail.reply_to = sg.ReplyTo("help@example.com", "Help")
    mail.add_header(sg.Header("X-Order", "17"))
    mail.category = [sg.Category("invoice"), sg.Category("q4")]
    id = client(shadow).send(mail).headers["X-Message-Id"]
    # The library writes the newest one first.
    assert mail.get()["categories"] == ["q4", "invoice"]
    assert shadow.wait_status(id, "captured")["tags"] == ["q4", "invoice"]
    message = parsed(shadow.raw(id))
    parts = {part.get_filename(): part for part in message.walk() if part.get_filename()}
    assert parts["logo.png"].get_content() == picture
    assert (parts["logo.png"]["Content-ID"], parts["logo.png"].get_content_disposition()) == ("<logo>", "inline")
    assert parts["Rechnung März.pdf"].get_content() == b"%PDF-1.7"
    assert parts["Rechnung März.pdf"].get_content_disposition() == "attachment"
    assert (str(message["Reply-To"]), message["X-Order"]) == ("Help <help@example.com>", "17")


def test_a_time_to_send_is_kept(shadow: Postern) -> None:
    at = (datetime.now(UTC) + timedelta(hours=1)).replace(microsecond=0)
    mail = letter()
    mail.send_at = sg.SendAt(int(at.timestamp()))
    id = client(shadow).send(mail).headers["X-Message-Id"]
    message = shadow.message(id)
    assert message["status"] == "scheduled"
    assert datetime.fromisoformat(message["send_at"]) == at
    shadow.call("POST", f"/v1/messages/{id}/cancel")


def test_settings_that_are_off_are_taken(shadow: Postern) -> None:
    mail = letter()
    mail.tracking_settings = sg.TrackingSettings(
        sg.ClickTracking(False, False), sg.OpenTracking(False), sg.SubscriptionTracking(False), sg.Ganalytics(False)
    )
    mail.mail_settings = sg.MailSettings(
        bypass_list_management=sg.BypassListManagement(False), footer_settings=sg.FooterSettings(False),
        sandbox_mode=sg.SandBoxMode(False),
    )  # fmt: skip
    assert client(shadow).send(mail).status_code == 202


def test_templates_groups_and_tracking_are_refused_by_name(shadow: Postern) -> None:
    mail = letter()
    mail.template_id = sg.TemplateId("d-f43daeeaef504760851f727007e0b5d0")
    mail.dynamic_template_data = {"total": "$ 239.85"}
    mail.asm = sg.Asm(sg.GroupId(1), sg.GroupsToDisplay([1]))
    mail.tracking_settings = sg.TrackingSettings(sg.ClickTracking(True, False))
    before = shadow.message_ids()
    with pytest.raises(refusals.BadRequestsError) as refused:
        client(shadow).send(mail)
    assert {error["field"] for error in errors(refused.value)} == {
        "template_id", "personalizations.0.dynamic_template_data", "asm", "tracking_settings.click_tracking.enable",
    }  # fmt: skip
    assert all(error["help"].startswith("unsupported_feature: ") for error in errors(refused.value))
    assert shadow.message_ids() == before


def test_what_is_not_valid_is_named_by_its_field(shadow: Postern) -> None:
    body = letter().get()
    body["personalizations"][0]["cc"] = [{"email": "bob@receiver.test"}, {"email": "nobody"}]
    body["subject"] = ""
    with pytest.raises(refusals.BadRequestsError) as refused:
        client(shadow).send(body)
    assert {error["field"] for error in errors(refused.value)} == {
        "personalizations.0.subject", "personalizations.0.cc.0.email", "personalizations.0.cc.1.email",
    }  # fmt: skip


def test_a_wrong_key_and_a_foreign_sender_raise_what_the_library_has_for_them(shadow: Postern) -> None:
    with pytest.raises(refusals.UnauthorizedError) as refused:
        client(shadow, "SG.wrong").send(letter())
    assert errors(refused.value)[0]["message"].startswith("The provided authorization grant is invalid")
    with pytest.raises(refusals.ForbiddenError) as refused:
        client(shadow).send(letter(from_email="ada@elsewhere.test"))
    assert errors(refused.value)[0]["field"] == "from"
    _, reader = shadow.new_key("read")
    with pytest.raises(refusals.ForbiddenError):
        client(shadow, reader.authorization.removeprefix("Bearer ")).send(letter())


def test_a_key_can_be_tried_without_sending(shadow: Postern) -> None:
    answer = client(shadow).client.scopes.get()
    assert (answer.status_code, json.loads(answer.body)) == (200, {"scopes": ["mail.send"]})
    _, reader = shadow.new_key("read")
    answer = client(shadow, reader.authorization.removeprefix("Bearer ")).client.scopes.get()
    assert json.loads(answer.body) == {"scopes": []}
    with pytest.raises(refusals.UnauthorizedError):
        client(shadow, "SG.wrong").client.scopes.get()


def test_other_paths_methods_and_types_are_refused_in_its_form(shadow: Postern) -> None:
    with pytest.raises(refusals.NotFoundError) as refused:
        client(shadow).client.templates.get()
    assert errors(refused.value)
    with pytest.raises(refusals.MethodNotAllowedError) as refused:
        client(shadow).client.mail.send.get()
    assert errors(refused.value)
    answer = requests.post(
        f"{shadow.url}/sendgrid/v3/mail/send", data={"to": "x"}, timeout=30,
        headers={"Authorization": f"Bearer {shadow.card['api_key']}"},
    )  # fmt: skip
    assert answer.status_code == 415 and answer.json()["errors"]


def test_a_rate_limit_raises_too_many_requests(shadow: Postern) -> None:
    _, limited = shadow.new_key("send", "mailerq", "amqp")
    key = limited.authorization.removeprefix("Bearer ")
    shadow.set(key_send_rate_limit=1, key_burst_ceiling=1)
    try:
        assert client(shadow, key).send(letter(subject=token())).status_code == 202
        with pytest.raises(refusals.TooManyRequestsError) as refused:
            client(shadow, key).send(letter(subject=token()))
    finally:
        shadow.set(key_send_rate_limit=None, key_burst_ceiling=None)
    assert errors(refused.value)[0]["help"].startswith("rate_limited: ")
    assert 0 < int(refused.value.headers["Retry-After"]) <= 3600
    assert (refused.value.headers["X-RateLimit-Limit"], refused.value.headers["X-RateLimit-Remaining"]) == ("1", "0")


def test_the_dialect_is_the_same_by_our_own_paths(shadow: Postern) -> None:
    subject = token()
    body = letter(subject=subject).get()
    mapped = shadow.call("POST", "/v1/map/sendgrid", json=body)
    assert "/personalizations/0/to/0/email" in str(mapped)
    assert not captured(shadow, subject)
    shadow.call("POST", "/v1/send/sendgrid", expect=202, json=body)
    assert set(captured(shadow, subject)) == {"bob@receiver.test"}
