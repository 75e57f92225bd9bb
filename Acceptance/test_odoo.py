"""Odoo's mail: by SMTP as ir.mail_server hands it over, and its records and webhooks by HTTP."""

from __future__ import annotations

import base64
import smtplib
from email.message import EmailMessage
from email.policy import SMTP
from urllib.parse import quote

import pytest
import requests
from harness.api import describe, ids, only_id
from harness.mail import header, parsed, token, without_fields, without_trace
from harness.network import LOOPBACK
from harness.postern import Postern
from harness.tls import untrusting_client

BOUNCE = "bounce@example.com"


def connection(postern: Postern) -> smtplib.SMTP:
    """As ir.mail_server.connect() makes it with smtp_encryption `starttls` and smtp_authentication `login`."""
    client = smtplib.SMTP(LOOPBACK, postern.smtp_port, timeout=60)
    client.starttls(context=untrusting_client())
    client.login(postern.card["smtp"]["username"], postern.card["smtp"]["password"])
    client.ehlo_or_helo_if_needed()
    return client


def built(to: str, subject: str, message_id: str) -> EmailMessage:
    """As ir.mail_server.build_email() writes a quotation."""
    mail = EmailMessage(policy=SMTP)
    mail["Message-Id"] = message_id
    mail["references"] = "<300.1-openerp-42-sale.order@erp.example.com>"
    mail["Subject"] = subject
    mail["From"] = '"YourCompany" <sales@example.com>'
    mail["Reply-To"] = '"YourCompany" <catchall@example.com>'
    mail["To"] = to
    mail["Date"] = "Fri, 20 Nov 2026 18:00:00 -0000"
    mail["X-Odoo-Message-Id"] = message_id
    mail["Return-Path"] = BOUNCE
    mail["X-Odoo-Objects"] = "sale.order-42"
    mail.set_content("Hello,\n\nyour quotation is attached.\n")
    mail.add_alternative("<p>Hello,</p><p>your <b>Übersicht</b> is attached.</p>", subtype="html")
    mail.add_attachment(b"%PDF-1.7", maintype="application", subtype="pdf", filename="Quotation S00042.pdf")
    return mail


def test_the_test_button_is_answered_and_leaves_nothing_behind(shadow: Postern) -> None:
    before = shadow.message_ids()
    client = connection(shadow)
    assert client.mail("ada@example.com")[0] == 250
    assert client.rcpt("noreply@odoo.com")[0] in (250, 251)
    client.putcmd("data")
    assert client.getreply()[0] == 354
    client.close()
    # The next thing at the same door works, and nothing was taken.
    id = shadow.submit(built("bob@receiver.test", "after", "<1@erp.example.com>").as_bytes(), ["bob@receiver.test"])
    shadow.wait_status(id, "captured")
    assert shadow.message_ids() - before == {id}


def test_a_session_may_send_to_each_partner_in_turn(shadow: Postern) -> None:
    subject = f"Quotation {token()}"
    partners = [f"partner{number}@receiver.test" for number in range(3)]
    client = connection(shadow)
    assert int(client.esmtp_features["size"]) >= 25_000_000, "Odoo reads the largest size from here"
    sent = {}
    for number, partner in enumerate(partners):
        mail = built(f'"Partner" <{partner}>', subject, f"<{token('odoo')}.{number}-openerp-42-sale.order@erp>")
        assert client.send_message(mail, BOUNCE, [partner]) == {}
        sent[partner] = mail
    client.quit()
    rows = [row for row in shadow.all_messages() if row["subject"] == subject]
    assert {row["recipient"] for row in rows} == set(partners)
    for row in rows:
        message = shadow.wait_status(row["id"], "captured")
        assert message["envelope"]["envelope"] == BOUNCE
        raw, mail = shadow.raw(row["id"]), sent[row["recipient"]]
        assert header(raw, "Message-Id") == [mail["Message-Id"]]
        assert header(raw, "references") == [mail["references"]]
        assert header(raw, "X-Odoo-Objects") == ["sale.order-42"]
        assert header(raw, "Return-Path") == [], "that is the last server's to write"
        assert parsed(raw).get_content_type() == "multipart/mixed"
        (file,) = parsed(raw).iter_attachments()
        assert (file.get_filename(), file.get_content()) == ("Quotation S00042.pdf", b"%PDF-1.7")


def test_a_mass_mailing_keeps_its_headers_byte_for_byte(shadow: Postern) -> None:
    mail = built("bob@receiver.test", "News", f"<{token('odoo')}@erp>")
    unsubscribe = (
        "<https://erp.example.com/mailing/3/unsubscribe_oneclick?document_id=7&email=bob%40receiver.test&hash_token=x>"
    )
    mail["List-Unsubscribe"] = unsubscribe
    mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    mail["Precedence"] = "list"
    raw = mail.as_bytes()
    id = shadow.submit(raw, ["bob@receiver.test"], sender=BOUNCE)
    assert shadow.wait_status(id, "captured")["status"] == "captured"
    assert without_trace(shadow.raw(id)) == without_fields(raw, "Return-Path")


def test_the_dialect_takes_a_mail_mail(shadow: Postern) -> None:
    record = {
        "subject": (subject := f"Quotation {token()}"),
        "body_html": "<p>Hello</p>",
        "email_from": '"YourCompany" <sales@example.com>',
        "email_to": '"Azure" <azure@receiver.test>, second@receiver.test',
        "reply_to": "catchall@example.com",
        "headers": "{'X-Odoo-Objects': 'sale.order-42', 'Return-Path': 'bounce@example.com'}",
        "message_id": (message_id := f"<{token('odoo')}-openerp-42-sale.order@erp>"),
        "model": "sale.order",
        "res_id": 42,
        "auto_delete": True,
        "state": "outgoing",
        "scheduled_date": False,
        "recipient_ids": [],
        "attachment_ids": [[0, 0, {"name": "a.pdf", "datas": base64.b64encode(b"%PDF").decode(),
                                   "mimetype": "application/pdf"}]],
    }  # fmt: skip
    mapped = shadow.call("POST", "/v1/map/odoo", json=record)
    assert mapped["metadata"] == {"model": "sale.order", "res_id": "42"}
    assert mapped["origins"][0]["envelope"] == {"from": "payload", "at": "/headers"}
    assert mapped["envelopes"][0]["tracking"] == {"context": "sale.order/42"}
    accepted = shadow.call("POST", "/v1/send/odoo", expect=202, json=record)
    messages = [shadow.wait_status(id, "captured") for id in ids(accepted)]
    assert [message["recipient"] for message in messages] == ["azure@receiver.test", "second@receiver.test"]
    assert messages[0]["envelope"]["envelope"] == BOUNCE
    assert messages[0]["subject"] == subject
    raw = shadow.raw(messages[0]["id"])
    assert (header(raw, "Message-ID"), header(raw, "X-Odoo-Objects")) == ([message_id], ["sale.order-42"])
    (file,) = parsed(raw).iter_attachments()
    assert (file.get_filename(), file.get_content()) == ("a.pdf", b"%PDF")


def test_the_dialect_takes_a_webhook_within_odoos_second(shadow: Postern) -> None:
    hook = {
        "_action": "Send by Postern(#512)", "_id": 77, "_model": "mail.mail", "body_html": "<p>Hi</p>",
        "email_from": "ada@example.com", "email_to": "bob@receiver.test", "id": 77, "subject": "Hi",
    }  # fmt: skip
    id = only_id(shadow.call("POST", "/v1/send/odoo", expect=202, json=hook, timeout=1))
    assert shadow.wait_status(id, "captured")["metadata"] == {
        "_action": "Send by Postern(#512)", "_id": "77", "_model": "mail.mail",
    }  # fmt: skip


def test_a_webhook_may_carry_a_login_in_its_address(shadow: Postern) -> None:
    """Odoo's server action has a field for the address and none for a key."""
    login = shadow.card["smtp"]
    address = shadow.url.replace("//", f"//{quote(login['username'], '')}:{quote(login['password'], '')}@")
    hook = {"_model": "mail.mail", "_id": 78, "email_from": "ada@example.com", "email_to": "bob@receiver.test",
            "subject": "Hi", "body_html": "<p>Hi</p>"}  # fmt: skip
    with requests.Session() as session:
        session.trust_env = False
        answer = session.post(f"{address}/v1/send/odoo", json=hook, timeout=5)
    assert answer.status_code == 202, describe(answer)
    assert shadow.wait_status(answer.json()["id"], "captured")["caller_id"].startswith("smtp_")


@pytest.mark.parametrize(
    ("extra", "pointer"),
    [
        ({"recipient_ids": [7]}, "/recipient_ids/0"),
        ({"attachment_ids": [31]}, "/attachment_ids/0"),
        ({"mail_server_id": [2, "Other"]}, "/mail_server_id"),
    ],
)
def test_what_only_odoo_knows_is_refused_by_name(shadow: Postern, extra: dict, pointer: str) -> None:
    record = {"email_from": "ada@example.com", "email_to": "bob@receiver.test", "body_html": "<p>Hi</p>"}
    problem = shadow.problem("POST", "/v1/send/odoo", 422, "unsupported_feature", json=record | extra)
    assert [error["pointer"] for error in problem["errors"]] == [pointer]


def test_a_header_text_is_read_and_never_run(shadow: Postern) -> None:
    record = {"email_from": "ada@example.com", "email_to": "bob@receiver.test", "body_html": "<p>Hi</p>"}
    problem = shadow.problem(
        "POST", "/v1/send/odoo", 422, "validation_failed",
        json=record | {"headers": "{'X': __import__('os').system('id')}"},
    )  # fmt: skip
    assert "only literals" in problem["errors"][0]["message"]
