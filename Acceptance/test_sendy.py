"""Sendy's mail: by SMTP as its PHPMailer hands it over, and its campaign fields by HTTP. (By SES: test_ses.py.)"""

from __future__ import annotations

from email.message import EmailMessage
from email.policy import SMTP

import pytest
from harness.api import ids, only_id
from harness.mail import header, parsed, token, without_trace
from harness.postern import Postern

UNSUBSCRIBE = "<https://news.example.com/unsubscribe/A/B/C>, <mailto:news@example.com?subject=Unsubscribe>"


def campaign_mail(to: str, subject: str) -> bytes:
    """As Sendy writes it: its own headers, links through /l/, an open pixel through /t/."""
    mail = EmailMessage(policy=SMTP)
    mail["Date"] = "Fri, 20 Nov 2026 18:00:00 +0000"
    mail["To"] = to
    mail["From"] = "Acme News <news@example.com>"
    mail["Reply-To"] = "help@example.com"
    mail["Subject"] = subject
    mail["Message-ID"] = f"<{token('sendy')}@news.example.com>"
    mail["X-Mailer"] = "Sendy (https://sendy.co)"
    mail["List-Unsubscribe"] = UNSUBSCRIBE
    mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    mail["Precedence"] = "Bulk"
    mail.set_content("Spring!\n")
    mail.add_alternative(
        '<p><a href="https://news.example.com/l/1/2/3">Frühling</a><img src="https://news.example.com/t/4/5"></p>',
        subtype="html",
        cte="quoted-printable",
    )
    return mail.as_bytes()


def test_a_campaign_goes_by_smtp_unchanged_one_subscriber_after_the_other(shadow: Postern) -> None:
    subject = f"Spring {token()}"
    subscribers = [f"reader{number}@receiver.test" for number in range(3)]
    mails = [campaign_mail(subscriber, subject) for subscriber in subscribers]
    with shadow.smtp() as session:
        accepted = [
            session.submit("news@example.com", [subscriber], mail).accepted_id
            for subscriber, mail in zip(subscribers, mails, strict=True)
        ]
    for id, subscriber, mail in zip(accepted, subscribers, mails, strict=True):
        message = shadow.wait_status(id, "captured")
        assert (message["recipient"], message["subject"]) == (subscriber, subject)
        assert message["envelope"]["envelope"] == "news@example.com"
        raw = shadow.raw(id)
        assert without_trace(raw) == mail, "what was handed over is what goes, byte for byte"
        assert header(raw, "List-Unsubscribe") == [UNSUBSCRIBE]
        assert header(raw, "List-Unsubscribe-Post") == ["List-Unsubscribe=One-Click"]
        assert (header(raw, "Precedence"), header(raw, "X-Mailer")) == (["Bulk"], ["Sendy (https://sendy.co)"])


@pytest.mark.parametrize("tls", ["starttls", "implicit"], ids=["smtp_ssl tls", "smtp_ssl ssl"])
def test_both_of_sendys_encryptions_work(shadow: Postern, tls: str) -> None:
    with shadow.smtp(tls=tls) as session:
        mail = campaign_mail("ann@receiver.test", "News")
        id = session.submit("news@example.com", ["ann@receiver.test"], mail).accepted_id
    shadow.wait_status(id, "captured")


def test_the_dialect_takes_the_form_of_sendys_api(shadow: Postern) -> None:
    form = [
        ("from_name", "Acme News"), ("from_email", "news@example.com"), ("reply_to", "help@example.com"),
        ("title", "Spring 2027"), ("subject", (subject := f"Frühling & mehr {token()}")), ("plain_text", "Spring!\n"),
        ("html_text", "<p>Frühling</p>"), ("track_opens", "0"), ("send_campaign", "1"), ("brand_id", "3"),
        ("to", "ann@receiver.test"), ("to", "Bob <bob@receiver.test>"),
        ("headers[List-Unsubscribe]", UNSUBSCRIBE),
    ]  # fmt: skip
    accepted = shadow.call("POST", "/v1/send/sendy", expect=202, data=form)
    messages = [shadow.wait_status(id, "captured") for id in ids(accepted)]
    assert [message["recipient"] for message in messages] == ["ann@receiver.test", "bob@receiver.test"]
    assert {message["subject"] for message in messages} == {subject}
    assert messages[0]["envelope"]["campaign_id"] == "Spring 2027"
    assert messages[0]["metadata"] == {"brand_id": "3"}
    raw = shadow.raw(messages[0]["id"])
    assert header(raw, "List-Unsubscribe") == [UNSUBSCRIBE]
    html = parsed(raw).get_body(("html",))
    assert html is not None and "Frühling" in html.get_content()


def test_the_dialect_takes_json_and_explains_itself(shadow: Postern) -> None:
    fields = {
        "from_name": "Acme News", "from_email": "news@example.com", "subject": "News", "plain_text": "News",
        "email": "ann@receiver.test", "name": "Ann", "title": "Spring",
    }  # fmt: skip
    mapped = shadow.call("POST", "/v1/map/sendy", json=fields)
    (envelope,) = mapped["envelopes"]
    assert envelope["mime"]["from"] == {"address": "news@example.com", "name": "Acme News"}
    (origins,) = mapped["origins"]
    assert origins["recipient"] == {"from": "payload", "at": "/email"}
    assert origins["campaign_id"] == {"from": "payload", "at": "/title"}
    form = shadow.call("POST", "/v1/map/sendy", data=fields)
    assert form["origins"][0]["recipient"] == {"from": "payload", "at": "email"}
    id = only_id(shadow.call("POST", "/v1/send/sendy", expect=202, json=fields))
    assert "Ann <ann@receiver.test>" in header(shadow.raw(id), "To")


@pytest.mark.parametrize(
    ("extra", "pointer"),
    [
        ({"list_ids": "abc"}, "list_ids"),
        ({"segment_ids": "1,2"}, "segment_ids"),
        ({"schedule_date_time": "June 15, 2027 6:05pm"}, "schedule_date_time"),
        ({"track_clicks": "1"}, "track_clicks"),
        ({"html_text": "<p>[unsubscribe]</p>"}, "html_text"),
    ],
)
def test_what_lives_in_sendy_is_refused_by_name(shadow: Postern, extra: dict, pointer: str) -> None:
    fields = {"from_email": "news@example.com", "subject": "News", "plain_text": "News", "to": "ann@receiver.test"}
    problem = shadow.problem("POST", "/v1/send/sendy", 422, "unsupported_feature", data=fields | extra)
    assert [error["pointer"] for error in problem["errors"]] == [pointer]
    problem = shadow.problem("POST", "/v1/send/sendy", 422, "unsupported_feature", json=fields | extra)
    assert [error["pointer"] for error in problem["errors"]] == [f"/{pointer}"]


def test_a_key_in_the_body_is_refused_and_not_repeated(shadow: Postern) -> None:
    fields = {"from_email": "news@example.com", "subject": "News", "plain_text": "News", "to": "ann@receiver.test"}
    answer = shadow.api("POST", "/v1/send/sendy", data=fields | {"api_key": shadow.card["api_key"]})
    assert answer.status_code == 422
    assert "Authorization: Bearer" in answer.text
    assert shadow.card["api_key"] not in answer.text
