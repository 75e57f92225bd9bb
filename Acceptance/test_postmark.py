"""Postmark's way in: the PyPI client `postmarker` with another address, the paths themselves, and the dialect."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from email.mime.image import MIMEImage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from typing import Any

import pytest
import requests
from harness.api import describe, only_id
from harness.mail import header, parsed, token
from harness.postern import Postern
from postmarker.core import PostmarkClient
from postmarker.exceptions import ClientError


@pytest.fixture(params=["/postmark", ""], ids=["with a base path", "with the host alone"])
def client(shadow: Postern, request: pytest.FixtureRequest) -> Iterator[PostmarkClient]:
    """The library keeps nothing of an address but its host, so that both spellings have to work."""
    made = PostmarkClient(server_token=shadow.card["api_key"], root_api_url=shadow.url + request.param)
    yield made
    made.session.close()


def message(**changes: Any) -> dict:
    whole = {"From": "ada@example.com", "To": "bob@receiver.test", "Subject": "Hi", "TextBody": "Hello"} | changes
    return {key: value for key, value in whole.items() if value is not None}


def post(postern: Postern, path: str, token: str | None = None, **arguments: Any) -> requests.Response:
    """As any Postmark library does it, under the base path."""
    key = {"X-Postmark-Server-Token": token or postern.card["api_key"]}
    return postern.api("POST", f"/postmark{path}", headers=key | {"Authorization": ""}, **arguments)


def test_the_client_sends_a_message_with_all_it_has(shadow: Postern, client: PostmarkClient) -> None:
    picture = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
    answer = client.emails.send(
        From="Ada <ada@example.com>",
        To=["bob@receiver.test", "Cy <cy@receiver.test>"],
        Cc="dee@receiver.test",
        Bcc="eve@receiver.test",
        ReplyTo="help@example.com",
        Subject=(subject := f"Grüße {token()}"),
        Tag="invitation",
        TextBody="Zeile\n",
        HtmlBody='<p>π <img src="cid:logo"></p>',
        Metadata={"order": "17"},
        Headers={"X-Order": "17"},
        Attachments=[
            ("readme.txt", base64.b64encode(b"read me").decode(), "text/plain"),
            ("logo.png", base64.b64encode(picture).decode(), "image/png", "cid:logo"),
        ],
    )
    assert (answer["ErrorCode"], answer["Message"]) == (0, "OK")
    assert answer["To"] == "bob@receiver.test,Cy <cy@receiver.test>"
    assert answer["SubmittedAt"].endswith("Z")
    sent = shadow.wait_status(answer["MessageID"], "captured")
    assert (sent["subject"], sent["tags"], sent["metadata"]) == (subject, ["invitation"], {"order": "17"})
    rows = shadow.all_messages(q=sent["correlation_id"])
    assert {row["recipient"].split("@")[0] for row in rows} == {"bob", "cy", "dee", "eve"}
    raw = shadow.raw(answer["MessageID"])
    assert b"eve@receiver.test" not in raw
    whole = parsed(raw)
    assert (str(whole["Reply-To"]), whole["X-Order"]) == ("help@example.com", "17")
    parts = {part.get_filename(): part for part in whole.walk() if part.get_filename()}
    assert parts["logo.png"].get_content() == picture
    assert (parts["logo.png"]["Content-ID"], parts["logo.png"].get_content_disposition()) == ("<logo>", "inline")
    assert parts["readme.txt"].get_content_disposition() == "attachment"


def test_the_client_sends_a_mime_message(shadow: Postern, client: PostmarkClient) -> None:
    mime = MIMEMultipart()
    mime["From"], mime["To"], mime["Subject"] = "ada@example.com", "bob@receiver.test", "By MIME"
    mime.attach(MIMEText("Hello", "plain"))
    picture = MIMEImage(b"\x89PNG\r\n\x1a\n")
    picture.add_header("Content-ID", "<logo>")
    picture.add_header("Content-Disposition", "inline", filename="logo.png")
    mime.attach(picture)
    answer = client.emails.send(message=mime)
    raw = shadow.raw(shadow.wait_status(answer["MessageID"], "captured")["id"])
    assert header(raw, "Subject") == ["By MIME"]
    assert b"Content-ID: <logo>" in raw


def test_each_message_of_a_batch_is_accepted_or_refused_on_its_own(shadow: Postern, client: PostmarkClient) -> None:
    before = shadow.message_ids()
    answers = client.emails.send_batch(
        message(Subject="one"), message(From="ada@elsewhere.test"), message(To="nobody"), message(To="cy@receiver.test")
    )
    assert [answer["ErrorCode"] for answer in answers] == [0, 400, 300, 0]
    assert [answer.get("To") for answer in answers] == ["bob@receiver.test", None, None, "cy@receiver.test"]
    assert "/To" in answers[2]["Message"] or "address" in answers[2]["Message"]
    assert shadow.message_ids() - before == {answers[0]["MessageID"], answers[3]["MessageID"]}


def test_templates_are_refused_by_name(client: PostmarkClient) -> None:
    for send in (
        lambda: client.emails.send_with_template(
            TemplateId=1, TemplateModel={"name": "x"}, From="ada@example.com", To="bob@receiver.test"
        ),
        lambda: client.emails.send_template_batch(
            {"TemplateId": 1, "TemplateModel": {}, "From": "ada@example.com", "To": "bob@receiver.test"}
        ),
    ):
        with pytest.raises(ClientError, match="TemplateId.*templates are not") as refused:
            send()
        assert refused.value.error_code == 300


def test_refusals_have_postmarks_shape(shadow: Postern, client: PostmarkClient) -> None:
    with pytest.raises(ClientError, match="opens are not tracked") as refused:
        client.emails.send(**message(TrackOpens=True))
    assert refused.value.error_code == 300
    with pytest.raises(ClientError, match="elsewhere.test") as refused:
        client.emails.send(**message(From="ada@elsewhere.test"))
    assert refused.value.error_code == 400
    stranger = PostmarkClient(server_token="ak_12345678_" + "x" * 43, root_api_url=client.root_api_url)
    with pytest.raises(ClientError) as refused:
        stranger.emails.send(**message())
    assert refused.value.error_code == 10
    stranger.session.close()
    _, reader = shadow.new_key("read")
    answer = post(shadow, "/email", token=reader.authorization.split()[1], json=message())
    assert (answer.status_code, answer.json()["ErrorCode"]) == (422, 405), describe(answer)


def test_the_client_reads_the_server(client: PostmarkClient) -> None:
    server = client.server.get()
    assert (server.DeliveryType, server.TrackOpens, server.ApiTokens) == ("Sandbox", False, [])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/email", 405), ("POST", "/bounces", 404), ("GET", "/nothing/at/all", 404)],
)
def test_what_is_not_there_is_said_in_postmarks_shape(shadow: Postern, method: str, path: str, status: int) -> None:
    answer = shadow.api(method, f"/postmark{path}", headers={"X-Postmark-Server-Token": shadow.card["api_key"]})
    assert answer.status_code == status, describe(answer)
    assert answer.json()["ErrorCode"] and answer.json()["Message"]


def test_a_body_that_is_not_json_is_402_and_a_missing_key_is_10(shadow: Postern) -> None:
    answer = post(shadow, "/email", data=b"{", timeout=10)
    assert (answer.status_code, answer.json()["ErrorCode"]) == (422, 402), describe(answer)
    answer = shadow.api("POST", "/postmark/email", headers={"Authorization": ""}, json=message())
    assert (answer.status_code, answer.json()["ErrorCode"]) == (401, 10), describe(answer)


def test_a_repeat_with_the_same_key_is_the_same_message(shadow: Postern) -> None:
    key = {"X-Postmark-Server-Token": shadow.card["api_key"], "Authorization": "", "Idempotency-Key": token("key")}
    batch = [message(Subject="one"), message(Subject="two")]
    first, again = (
        [item["MessageID"] for item in shadow.api("POST", "/postmark/email/batch", headers=key, json=batch).json()]
        for _ in range(2)
    )
    assert first == again and len(set(first)) == 2


def test_a_limit_is_told_as_429(shadow: Postern) -> None:
    made = shadow.call(
        "POST", "/v1/keys", expect=201,
        json={"label": "limited", "kind": "tool", "scopes": ["send"], "send_rate_limit": 1, "burst_ceiling": 1},
    )  # fmt: skip
    assert post(shadow, "/email", token=made["key"], json=message()).status_code == 200
    answer = post(shadow, "/email", token=made["key"], json=message())
    assert (answer.status_code, answer.json()["ErrorCode"]) == (429, 429), describe(answer)
    assert int(answer.headers["Retry-After"]) > 0


def test_the_dialect_sends_and_explains_itself(shadow: Postern) -> None:
    payload = message(Tag="invitation", Cc="cy@receiver.test")
    mapped = shadow.call("POST", "/v1/map/postmark", json=payload)
    assert [envelope["recipient"] for envelope in mapped["envelopes"]] == ["bob@receiver.test", "cy@receiver.test"]
    assert mapped["origins"][1]["recipient"] == {"from": "payload", "at": "/Cc"}
    assert mapped["origins"][0]["tags"] == {"from": "payload", "at": "/Tag"}
    assert mapped["origins"][0]["priority"]["setting"] == "default_priority"
    id = only_id(shadow.call("POST", "/v1/send/postmark", expect=202, json=message(Subject=(subject := token()))))
    assert shadow.wait_status(id, "captured")["subject"] == subject
    problem = shadow.problem(
        "POST", "/v1/send/postmark", 422, "unsupported_feature", json=message(TemplateAlias="welcome")
    )
    assert [error["pointer"] for error in problem["errors"]] == ["/TemplateAlias"]
    accepted = shadow.call("POST", "/v1/send/postmark", expect=202, json=[message(), message(To="cy@receiver.test")])
    assert [entry["recipient"] for entry in accepted["messages"]] == ["bob@receiver.test", "cy@receiver.test"]
