"""Amazon SES's API by its own client, boto3, with nothing changed but the endpoint and the credentials."""

from __future__ import annotations

import base64
import datetime
import email.utils
import hashlib
import hmac
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from typing import Any

import botocore.auth
import pytest
import requests
from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import ClientError
from harness.api import describe
from harness.mail import MESSAGE_ID, header, parsed, token
from harness.postern import Postern

PNG = bytes(range(256)) * 3


def client(postern: Postern, service: str = "ses", *, key: str | None = None, secret: str | None = None) -> Any:
    """boto3's client; a key of ours is both halves of its credentials. It does not try again by itself."""
    key = key or postern.card["api_key"]
    return Session().client(
        service, endpoint_url=f"{postern.url}/ses", region_name="eu-west-1", aws_access_key_id=key,
        aws_secret_access_key=secret or key, config=Config(retries={"total_max_attempts": 1}, proxies={}),
    )  # fmt: skip


@pytest.fixture
def ses(shadow: Postern) -> Any:
    return client(shadow)


@pytest.fixture
def sesv2(shadow: Postern) -> Any:
    return client(shadow, "sesv2")


@pytest.fixture
def limited(new_postern: Callable[..., Postern]) -> Iterator[Postern]:
    """An instance whose vault lets two messages through in an hour."""
    postern = new_postern()
    postern.start()
    postern.set(send_rate_limit=2)
    yield postern


def v1(**changes: Any) -> dict[str, Any]:
    """The smallest SendEmail of the query API."""
    return {
        "Source": "Ada <ada@example.com>",
        "Destination": {"ToAddresses": ["bob@receiver.test"]},
        "Message": {"Subject": {"Data": "Hello"}, "Body": {"Text": {"Data": "Hello there.\n"}}},
    } | changes


def v2(simple: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """The smallest SendEmail of the JSON API; `simple` is what the content has beside it."""
    content = {"Subject": {"Data": "Hello"}, "Body": {"Text": {"Data": "Hello there.\n"}}} | (simple or {})
    return {
        "FromEmailAddress": "Ada <ada@example.com>",
        "Destination": {"ToAddresses": ["bob@receiver.test"]},
        "Content": {"Simple": content},
    } | changes


def mail(**fields: str) -> EmailMessage:
    message = EmailMessage()
    for name, value in {"From": "Ada <ada@example.com>", "To": "bob@receiver.test", "Subject": "Raw"}.items():
        message[name] = fields.pop(name, value)
    for name, value in fields.items():
        message[name.replace("_", "-")] = value
    message.set_content("Hello there.\n")
    return message


def refusal(call: Callable[[], Any]) -> tuple[str, int, str, dict[str, str]]:
    """Code, status, words and headers of a call that has to fail."""
    with pytest.raises(ClientError) as caught:
        call()
    answer = caught.value.response
    metadata = answer["ResponseMetadata"]
    return answer["Error"]["Code"], metadata["HTTPStatusCode"], answer["Error"]["Message"], metadata["HTTPHeaders"]


# Sending


def test_a_message_goes_out_by_the_query_api(shadow: Postern, ses: Any) -> None:
    subject = token("Grüße & = / + %")
    answer = ses.send_email(
        Source="Åse Øst <ada@example.com>",
        Destination={"ToAddresses": ["Bob <bob@receiver.test>"], "CcAddresses": ["cem@receiver.test"],
                     "BccAddresses": ["dee@receiver.test"]},
        Message={"Subject": {"Data": subject, "Charset": "UTF-8"},
                 "Body": {"Text": {"Data": "Zeile\nπ\n", "Charset": "UTF-8"}, "Html": {"Data": "<p>π</p>"}}},
        ReplyToAddresses=["Help <help@example.com>"],
        ReturnPath="bounce@example.com",
        Tags=[{"Name": "campaign", "Value": "spring-26"}, {"Name": "user", "Value": "17"}],
        ConfigurationSetName="marketing",
    )  # fmt: skip
    assert MESSAGE_ID.fullmatch(answer["MessageId"])
    assert answer["ResponseMetadata"]["RequestId"]
    message = shadow.wait_status(answer["MessageId"], "captured")
    assert message["subject"] == subject and message["recipient"] == "bob@receiver.test"
    assert set(message["tags"]) == {"campaign:spring-26", "user:17"}
    assert message["metadata"] == {"campaign": "spring-26", "user": "17", "ses:configuration-set": "marketing"}
    assert message["envelope"]["envelope"] == "bounce@example.com"
    together = shadow.all_messages(q=message["correlation_id"])
    assert {row["recipient"].split("@")[0] for row in together} == {"bob", "cem", "dee"}
    raw = shadow.raw(answer["MessageId"])
    assert b"dee@" not in raw
    assert header(raw, "Reply-To") == ["Help <help@example.com>"]
    assert email.utils.parseaddr(header(raw, "From")[0]) == ("Åse Øst", "ada@example.com")
    text, html = (parsed(raw).get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None and text.get_content().replace("\r\n", "\n") == "Zeile\nπ\n"
    assert html is not None and "π" in html.get_content()


@pytest.mark.parametrize("form", ["as_bytes", "as_string"])
def test_a_finished_message_goes_out_by_the_query_api(shadow: Postern, ses: Any, form: str) -> None:
    message = mail(Subject=(subject := token()), To="Bob <bob@receiver.test>, cem@receiver.test")
    message.add_attachment(b"%PDF-1.7", maintype="application", subtype="pdf", filename="Rechnung März.pdf")
    data = getattr(message, form)()
    id = ses.send_raw_email(RawMessage={"Data": data})["MessageId"]
    sent = shadow.wait_status(id, "captured")
    assert sent["subject"] == subject and sent["envelope"]["envelope"] == "ada@example.com"
    raw = shadow.raw(id)
    assert b"\n" not in raw.replace(b"\r\n", b""), "line ends of a text file become those of mail"
    (attachment,) = parsed(raw).iter_attachments()
    assert (attachment.get_filename(), attachment.get_content()) == ("Rechnung März.pdf", b"%PDF-1.7")


def test_destinations_of_a_finished_message_are_its_envelope(shadow: Postern, ses: Any) -> None:
    answer = ses.send_raw_email(
        Source="bounce@example.com",
        Destinations=["eve@receiver.test"],
        RawMessage={"Data": mail(X_SES_MESSAGE_TAGS="campaign=spring", X_SES_CONFIGURATION_SET="set").as_bytes()},
    )
    message = shadow.wait_status(answer["MessageId"], "captured")
    assert (message["recipient"], message["envelope"]["envelope"]) == ("eve@receiver.test", "bounce@example.com")
    assert message["tags"] == ["campaign:spring"]
    raw = shadow.raw(answer["MessageId"])
    assert header(raw, "To") == ["bob@receiver.test"] and b"X-SES" not in raw


def test_a_message_with_files_goes_out_by_the_json_api(shadow: Postern, sesv2: Any) -> None:
    answer = sesv2.send_email(
        **v2(
            simple={
                "Body": {"Text": {"Data": "π"}, "Html": {"Data": '<img src="cid:logo">'}},
                "Headers": [{"Name": "List-Unsubscribe", "Value": "<https://example.com/u>"}],
                "Attachments": [
                    {"FileName": "Rechnung.pdf", "RawContent": b"%PDF-1.7", "ContentDisposition": "ATTACHMENT"},
                    {"FileName": "logo.png", "RawContent": PNG, "ContentType": "image/png", "ContentId": "logo",
                     "ContentDisposition": "INLINE", "ContentTransferEncoding": "BASE64"},
                ],
            },
            FeedbackForwardingEmailAddress="bounce@example.com",
            EmailTags=[{"Name": "campaign", "Value": "spring"}],
        )
    )  # fmt: skip
    message = shadow.wait_status(answer["MessageId"], "captured")
    assert message["tags"] == ["campaign:spring"] and message["envelope"]["envelope"] == "bounce@example.com"
    raw = shadow.raw(answer["MessageId"])
    assert header(raw, "List-Unsubscribe") == ["<https://example.com/u>"]
    parts = {part.get_filename(): part for part in parsed(raw).walk() if part.get_filename()}
    assert parts["Rechnung.pdf"].get_content() == b"%PDF-1.7"
    assert parts["Rechnung.pdf"].get_content_type() == "application/pdf"
    assert (parts["logo.png"].get_content(), parts["logo.png"]["Content-ID"]) == (PNG, "<logo>")
    assert parts["logo.png"].get_content_disposition() == "inline"


def test_a_finished_message_goes_out_by_the_json_api(shadow: Postern, sesv2: Any) -> None:
    answer = sesv2.send_email(
        Content={"Raw": {"Data": mail().as_bytes()}}, Destination={"BccAddresses": ["eve@receiver.test"]}
    )
    assert shadow.wait_status(answer["MessageId"], "captured")["recipient"] == "eve@receiver.test"


def test_a_call_that_is_repeated_for_want_of_an_answer_is_one_message(shadow: Postern, ses: Any) -> None:
    sent: list[Any] = []
    ses.meta.events.register("before-send.ses.SendEmail", lambda request, **_: sent.append(request) and None)
    subject = token()
    id = ses.send_email(**v1(Message={"Subject": {"Data": subject}, "Body": {"Text": {"Data": "x"}}}))["MessageId"]
    (request,) = sent
    again = requests.post(request.url, data=request.body, headers=dict(request.headers), timeout=30)
    assert again.status_code == 200 and f"<MessageId>{id}</MessageId>" in again.text
    assert len([row for row in shadow.all_messages() if row["subject"] == subject]) == 1


# Refusals


@pytest.mark.parametrize("service", ["ses", "sesv2"])
def test_a_sender_of_another_domain_is_a_rejected_message(shadow: Postern, service: str) -> None:
    ses = client(shadow, service)
    before = shadow.message_ids()
    with pytest.raises(ses.exceptions.MessageRejected) as caught:
        if service == "ses":
            ses.send_email(**v1(Source="ada@other.test"))
        else:
            ses.send_email(**v2(FromEmailAddress="ada@other.test"))
    assert "Email address is not verified" in str(caught.value) and "other.test" in str(caught.value)
    assert shadow.message_ids() == before


def test_an_invalid_request_names_what_is_wrong(ses: Any, sesv2: Any) -> None:
    code, status, words, _ = refusal(lambda: ses.send_email(**v1(Destination={"ToAddresses": ["nobody"]})))
    assert (code, status) == ("InvalidParameterValue", 400) and "Destination.ToAddresses.member.1" in words
    with pytest.raises(sesv2.exceptions.BadRequestException) as caught:
        sesv2.send_email(**v2(simple={"Headers": [{"Name": "From", "Value": "eve@example.com"}]}))
    assert "/Content/Simple/Headers/0" in str(caught.value)


def test_a_broken_message_is_rejected(ses: Any) -> None:
    with pytest.raises(ses.exceptions.MessageRejected):
        ses.send_raw_email(RawMessage={"Data": b"From: a@example.com, b@example.com\r\nTo: c@receiver.test\r\n\r\nx"})


def test_what_is_not_done_is_refused_by_name(ses: Any, sesv2: Any) -> None:
    template = {"Template": {"TemplateName": "welcome", "TemplateData": "{}"}}
    calls = [
        ("templates", lambda: ses.send_templated_email(Source="ada@example.com", Destination={}, Template="t",
                                                       TemplateData="{}")),
        ("templates", lambda: ses.send_bulk_templated_email(Source="ada@example.com", Template="t", Destinations=[],
                                                            DefaultTemplateData="{}")),
        ("templates", lambda: sesv2.send_email(**v2(Content=template))),
        ("templates", lambda: sesv2.send_bulk_email(DefaultContent=template, BulkEmailEntries=[])),
        ("contact lists", lambda: sesv2.send_email(**v2(ListManagementOptions={"ContactListName": "c"}))),
        ("tenant", lambda: sesv2.send_email(**v2(TenantName="acme"))),
        ("ISO-8859-1", lambda: sesv2.send_email(**v2({"Subject": {"Data": "x", "Charset": "ISO-8859-1"}}))),
    ]  # fmt: skip
    for feature, call in calls:
        code, status, words, _ = refusal(call)
        assert (code, status) in {("InvalidParameterValue", 400), ("BadRequestException", 400)}
        assert feature in words


def test_an_unknown_action_is_named(ses: Any, sesv2: Any) -> None:
    code, status, words, _ = refusal(lambda: ses.delete_identity(Identity="example.com"))
    assert (code, status) == ("InvalidAction", 400) and "DeleteIdentity" in words
    with pytest.raises(sesv2.exceptions.NotFoundException):
        sesv2.list_contact_lists()


def test_a_limit_is_throttling_as_the_clients_know_it(limited: Postern) -> None:
    ses, sesv2 = client(limited), client(limited, "sesv2")
    assert ses.get_send_quota()["Max24HourSend"] == 48
    for _ in range(2):
        ses.send_email(**v1())
    code, status, words, headers = refusal(lambda: ses.send_email(**v1()))
    assert (code, status) == ("Throttling", 400) and "Maximum sending rate exceeded" in words
    assert 0 < int(headers["retry-after"]) <= 1800
    with pytest.raises(sesv2.exceptions.TooManyRequestsException) as caught:
        sesv2.send_email(**v2())
    metadata = caught.value.response["ResponseMetadata"]
    assert metadata["HTTPStatusCode"] == 429 and int(metadata["HTTPHeaders"]["retry-after"]) > 0
    many = [f"r{n}@receiver.test" for n in range(3)]
    with pytest.raises(sesv2.exceptions.LimitExceededException):
        sesv2.send_email(**v2(Destination={"ToAddresses": many}))
    assert ses.get_send_quota()["SentLast24Hours"] == 2


def test_the_client_tries_again_by_itself_when_it_is_throttled(limited: Postern) -> None:
    for _ in range(2):
        client(limited).send_email(**v1())
    key = limited.card["api_key"]
    patient = Session().client(
        "ses", endpoint_url=f"{limited.url}/ses", region_name="eu-west-1", aws_access_key_id=key,
        aws_secret_access_key=key, config=Config(retries={"mode": "standard", "total_max_attempts": 2}, proxies={}),
    )  # fmt: skip
    with pytest.raises(ClientError) as caught:
        patient.send_email(**v1())
    assert caught.value.response["ResponseMetadata"]["RetryAttempts"] == 1


# Who asks


@pytest.mark.parametrize(("service", "unknown", "mismatch"), [
    ("ses", "InvalidClientTokenId", "SignatureDoesNotMatch"),
    ("sesv2", "UnrecognizedClientException", "InvalidSignatureException"),
])  # fmt: skip
def test_wrong_keys_are_refused(shadow: Postern, service: str, unknown: str, mismatch: str) -> None:
    def asks(key: str, secret: str | None = None) -> tuple[str, int]:
        asking = client(shadow, service, key=key, secret=secret)
        return refusal(asking.get_send_quota if service == "ses" else asking.get_account)[:2]

    key = shadow.card["api_key"]
    assert asks("AKIAIOSFODNN7EXAMPLE") == (unknown, 403)
    assert asks(key[:-1] + ("a" if key[-1] != "a" else "b")) == (unknown, 403)
    assert asks(key, key + "x") == (mismatch, 403)


def test_a_body_that_was_changed_on_its_way_is_refused(shadow: Postern, ses: Any) -> None:
    def tamper(request: Any, **_: Any) -> None:
        assert "bob" in request.body
        request.body = request.body.replace("bob", "eve")

    before = shadow.message_ids()
    ses.meta.events.register("before-send.ses.SendEmail", tamper)
    assert refusal(lambda: ses.send_email(**v1()))[:2] == ("SignatureDoesNotMatch", 403)
    assert shadow.message_ids() == before


@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_date_that_is_too_far_away_is_refused(ses: Any, monkeypatch: pytest.MonkeyPatch, minutes: int) -> None:
    then = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=minutes)
    monkeypatch.setattr(
        botocore.auth, "get_current_datetime",
        lambda remove_tzinfo=True: then.replace(tzinfo=None) if remove_tzinfo else then,
    )  # fmt: skip
    assert refusal(lambda: ses.send_email(**v1()))[:2] == ("RequestExpired", 403)


def test_a_request_that_nobody_signed_is_refused_in_ses_s_words(shadow: Postern) -> None:
    query = requests.post(f"{shadow.url}/ses", data={"Action": "GetSendQuota"}, timeout=30)
    assert query.status_code == 403 and "<Code>MissingAuthenticationToken</Code>" in query.text, describe(query)
    document = requests.post(f"{shadow.url}/ses/v2/email/outbound-emails", json=v2(), timeout=30)
    assert document.status_code == 403, describe(document)
    assert document.headers["x-amzn-errortype"] == "MissingAuthenticationTokenException"
    assert document.json()["message"]


def test_a_key_without_the_scope_reads_and_does_not_send(shadow: Postern) -> None:
    _, reader = shadow.new_key("read")
    key = str(reader.authorization).removeprefix("Bearer ")
    ses = client(shadow, key=key)
    assert ses.get_send_quota()["MaxSendRate"] > 0
    assert refusal(lambda: ses.send_email(**v1()))[:2] == ("AccessDenied", 403)
    sesv2 = client(shadow, "sesv2", key=key)
    assert refusal(lambda: sesv2.send_email(**v2()))[:2] == ("AccessDeniedException", 403)


def test_a_revoked_key_is_dead(shadow: Postern) -> None:
    id, holder = shadow.new_key("send")
    ses = client(shadow, key=str(holder.authorization).removeprefix("Bearer "))
    ses.send_email(**v1())
    shadow.call("DELETE", f"/v1/keys/{id}", expect=204)
    assert refusal(lambda: ses.send_email(**v1()))[:2] == ("InvalidClientTokenId", 403)


# The old signature, by hand: no client of today makes it


def aws3(postern: Postern, *, algorithm: str = "HmacSHA256", date: str | None = None, key: str | None = None,
         secret: str | None = None) -> dict[str, str]:  # fmt: skip
    key = key or postern.card["api_key"]
    date = date or email.utils.formatdate(usegmt=True)
    kind = {"HmacSHA256": hashlib.sha256, "HmacSHA1": hashlib.sha1}[algorithm]
    code = base64.b64encode(hmac.new((secret or key).encode(), date.encode(), kind).digest()).decode()
    return {
        "Date": date,
        "X-Amzn-Authorization": f"AWS3-HTTPS AWSAccessKeyId={key},Algorithm={algorithm},Signature={code}",
    }


@pytest.mark.parametrize("algorithm", ["HmacSHA256", "HmacSHA1"])
@pytest.mark.parametrize("path", ["/ses", "/ses/"])
def test_tools_with_the_old_signature_send_too(shadow: Postern, algorithm: str, path: str) -> None:
    form = {"Action": "SendRawEmail", "RawMessage.Data": base64.b64encode(mail().as_bytes()).decode()}
    answer = requests.post(shadow.url + path, data=form, headers=aws3(shadow, algorithm=algorithm), timeout=30)
    assert answer.status_code == 200, describe(answer)
    assert answer.headers["Content-Type"].split(";")[0] == "text/xml"
    (id,) = MESSAGE_ID.findall(answer.text)
    shadow.wait_status(id, "captured")
    asked = requests.get(
        shadow.url + path, params={"Action": "GetSendQuota"}, headers=aws3(shadow, algorithm=algorithm), timeout=30
    )
    assert asked.status_code == 200 and "<Max24HourSend>" in asked.text, describe(asked)


def test_the_old_signature_is_verified_as_well(shadow: Postern) -> None:
    old = email.utils.format_datetime(datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=16), usegmt=True)
    for headers, code in [
        (aws3(shadow, secret="another"), "SignatureDoesNotMatch"),
        (aws3(shadow, key="AKIAIOSFODNN7EXAMPLE"), "InvalidClientTokenId"),
        (aws3(shadow, date=old), "RequestExpired"),
        (aws3(shadow) | {"Date": "Thu, 01 Jan 1970 00:00:00 GMT"}, "RequestExpired"),
    ]:
        answer = requests.post(f"{shadow.url}/ses/", data={"Action": "GetSendQuota"}, headers=headers, timeout=30)
        assert answer.status_code == 403 and f"<Code>{code}</Code>" in answer.text, describe(answer)


# What tools ask for when they are set up


def test_tools_find_their_way_around_the_account(shadow: Postern, ses: Any, sesv2: Any) -> None:
    ses.send_email(**v1())
    quota = ses.get_send_quota()
    assert quota["Max24HourSend"] == -1 and quota["MaxSendRate"] >= 1 and quota["SentLast24Hours"] >= 1
    points = ses.get_send_statistics()["SendDataPoints"]
    assert sum(point["DeliveryAttempts"] for point in points) >= 1
    assert ses.get_account_sending_enabled()["Enabled"] is True
    assert ses.list_identities()["Identities"] == ["example.com"]
    assert ses.list_identities(IdentityType="EmailAddress")["Identities"] == []
    assert ses.list_verified_email_addresses()["VerifiedEmailAddresses"] == []
    asked = ses.get_identity_verification_attributes(Identities=["ada@example.com", "example.com", "other.test"])
    assert asked["VerificationAttributes"] == {
        "ada@example.com": {"VerificationStatus": "Success"}, "example.com": {"VerificationStatus": "Success"},
    }  # fmt: skip
    ses.verify_email_identity(EmailAddress="ada@example.com")
    assert refusal(lambda: ses.verify_email_identity(EmailAddress="ada@other.test"))[0] == "InvalidParameterValue"
    account = sesv2.get_account()
    assert account["SendingEnabled"] is True and account["ProductionAccessEnabled"] is False, "shadow mode"
    assert account["SendQuota"]["SentLast24Hours"] >= 1
