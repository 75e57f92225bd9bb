"""Resend's way in: the PyPI client `resend` with another address, and the dialect."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
import resend
from harness.api import describe, only_id
from harness.mail import parsed, token
from harness.postern import Postern
from resend.exceptions import (
    InvalidApiKeyError,
    MissingRequiredFieldsError,
    RateLimitError,
    ResendError,
    ValidationError,
)


@pytest.fixture(autouse=True)
def client(shadow: Postern, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library is a module with two variables."""
    monkeypatch.setattr(resend, "api_url", f"{shadow.url}/resend")
    monkeypatch.setattr(resend, "api_key", shadow.card["api_key"])


def email(**changes: Any) -> Any:
    whole = {"from": "Ada <ada@example.com>", "to": ["bob@receiver.test"], "subject": "Hi", "text": "Hello"} | changes
    return {key: value for key, value in whole.items() if value is not None}


def later(hours: int = 2) -> str:
    return (datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=hours)).isoformat()


def test_the_client_sends_an_email_with_all_it_has(shadow: Postern) -> None:
    picture = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
    answer = resend.Emails.send(
        email(
            to=["bob@receiver.test", "Cy <cy@receiver.test>"],
            cc="dee@receiver.test",
            bcc=["eve@receiver.test"],
            reply_to="help@example.com",
            subject=(subject := f"Grüße {token()}"),
            html='<p>π <img src="cid:logo"></p>',
            headers={"X-Order": "17"},
            tags=[{"name": "category", "value": "confirm_email"}],
            attachments=[
                {"filename": "readme.txt", "content": list(b"read me")},
                {"filename": "logo.png", "content": list(picture), "content_type": "image/png", "content_id": "logo"},
            ],
        )
    )
    sent = shadow.wait_status(answer["id"], "captured")
    assert (sent["subject"], sent["tags"]) == (subject, ["category:confirm_email"])
    assert sent["metadata"] == {"category": "confirm_email"}
    raw = shadow.raw(answer["id"])
    assert b"eve@receiver.test" not in raw
    whole = parsed(raw)
    assert (str(whole["Reply-To"]), whole["X-Order"]) == ("help@example.com", "17")
    parts = {part.get_filename(): part for part in whole.walk() if part.get_filename()}
    assert parts["logo.png"].get_content() == picture
    assert (parts["logo.png"]["Content-ID"], parts["logo.png"].get_content_disposition()) == ("<logo>", "inline")
    assert parts["readme.txt"].get_content_type() == "text/plain", "a type that is not said is that of the name"

    read = resend.Emails.get(answer["id"])
    assert (read["object"], read["id"], read["subject"]) == ("email", answer["id"], subject)
    assert set(read["to"]) == {f"{name}@receiver.test" for name in ("bob", "cy", "dee", "eve")}
    assert (read["from"], read["reply_to"]) == ("Ada <ada@example.com>", ["help@example.com"])
    assert read["last_event"] == "queued", "shadow mode sends nothing"


def test_a_scheduled_email_can_be_read_and_cancelled(shadow: Postern) -> None:
    id = resend.Emails.send(email(scheduled_at=later(), cc=["cy@receiver.test"]))["id"]
    assert shadow.message(id)["status"] == "scheduled"
    read = resend.Emails.get(id)
    assert (read["last_event"], read["text"]) == ("scheduled", None)
    with pytest.raises(ValidationError, match="scheduled_at"):
        resend.Emails.update({"id": id, "scheduled_at": later(3)})
    assert resend.Emails.cancel(id) | {"http_headers": None} == {"object": "email", "id": id, "http_headers": None}
    assert resend.Emails.get(id)["last_event"] == "canceled"
    copies = shadow.all_messages(q=shadow.message(id)["correlation_id"])
    assert [row["status"] for row in copies] == ["cancelled", "cancelled"], "an email is all of its copies"


def test_what_has_left_cannot_be_cancelled(shadow: Postern) -> None:
    id = resend.Emails.send(email())["id"]
    shadow.wait_status(id, "captured")
    with pytest.raises(ResendError, match="captured") as refused:
        resend.Emails.cancel(id)
    assert refused.value.code == 409


def test_an_idempotency_key_makes_a_repeat_the_same_email() -> None:
    key: Any = {"idempotency_key": token("key")}
    first, again = (resend.Emails.send(email(), key)["id"] for _ in range(2))
    assert first == again
    with pytest.raises(ResendError) as refused:
        resend.Emails.send(email(subject="Other"), key)
    assert (refused.value.code, refused.value.error_type) == (409, "invalid_idempotent_request")


def test_a_batch_goes_as_a_whole(shadow: Postern) -> None:
    answer = resend.Batch.send([email(subject=subject, to=[f"{subject}@receiver.test"]) for subject in ("one", "two")])
    sent = [shadow.wait_status(entry["id"], "captured") for entry in answer["data"]]
    assert [message["recipient"] for message in sent] == ["one@receiver.test", "two@receiver.test"]
    assert len({message["correlation_id"] for message in sent}) == 2
    before = shadow.message_ids()
    with pytest.raises(ValidationError, match="/1/to/0"):
        resend.Batch.send([email(), email(to=["nobody"])])
    assert shadow.message_ids() == before


def test_a_permissive_batch_goes_as_far_as_it_is_valid(shadow: Postern) -> None:
    before = shadow.message_ids()
    permissive: Any = {"batch_validation": "permissive"}
    answer = resend.Batch.send([email(), email(to=["nobody"]), email(subject="three")], permissive)
    assert {entry["id"] for entry in answer["data"]} == shadow.message_ids() - before
    assert len(answer["data"]) == 2
    assert [error["index"] for error in answer["errors"]] == [1]
    assert "address" in answer["errors"][0]["message"]


@pytest.mark.parametrize(
    ("changes", "mentions"),
    [
        ({"template": {"id": "welcome", "variables": {"A": "b"}}, "text": None}, "template.*templates are not"),
        ({"attachments": [{"path": "https://example.com/a.pdf", "filename": "a.pdf"}]}, "path.*not fetched"),
        ({"scheduled_at": "in 1 min"}, "scheduled_at.*words"),
        ({"topic_id": "b6d24b8e"}, "topic_id.*topics"),
        ({"subject": "Hi\r\nBcc: eve@evil.test"}, "subject"),
        ({"from": "ada@example.com, eve@evil.test"}, "from"),
    ],
)
def test_what_is_not_done_is_refused_by_name(changes: dict, mentions: str) -> None:
    with pytest.raises(ValidationError, match=mentions) as refused:
        resend.Emails.send(email(**changes))
    assert (refused.value.code, refused.value.error_type) == (422, "validation_error")


def test_refusals_have_resends_shape(shadow: Postern, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingRequiredFieldsError, match="from"):
        resend.Emails.send(email(**{"from": None}))
    with pytest.raises(ResendError, match="elsewhere.test") as refused:
        resend.Emails.send(email(**{"from": "ada@elsewhere.test"}))
    assert (refused.value.code, refused.value.error_type) == (403, "validation_error")
    with pytest.raises(ResendError) as refused:
        resend.Emails.get("msg_0000000000000000")
    assert (refused.value.code, refused.value.error_type) == (404, "not_found")
    _, reader = shadow.new_key("read")
    monkeypatch.setattr(resend, "api_key", str(reader.authorization).split()[1])
    with pytest.raises(ResendError) as refused:
        resend.Emails.send(email())
    assert (refused.value.code, refused.value.error_type) == (401, "restricted_api_key")
    monkeypatch.setattr(resend, "api_key", "re_123")
    with pytest.raises(InvalidApiKeyError):
        resend.Emails.send(email())
    answer = shadow.api("POST", "/resend/emails", headers={"Authorization": ""}, json=email())
    assert (answer.status_code, answer.json()["name"]) == (401, "missing_api_key"), describe(answer)


@pytest.mark.parametrize(("method", "path", "status"), [("DELETE", "/emails", 405), ("GET", "/domains", 404)])
def test_what_is_not_there_is_said_in_resends_shape(shadow: Postern, method: str, path: str, status: int) -> None:
    answer = shadow.api(method, f"/resend{path}")
    assert answer.status_code == status, describe(answer)
    assert answer.json()["statusCode"] == status


def test_a_limit_is_told_as_429(shadow: Postern, monkeypatch: pytest.MonkeyPatch) -> None:
    made = shadow.call(
        "POST", "/v1/keys", expect=201,
        json={"label": "limited", "kind": "tool", "scopes": ["send"], "send_rate_limit": 1, "burst_ceiling": 1},
    )  # fmt: skip
    monkeypatch.setattr(resend, "api_key", made["key"])
    resend.Emails.send(email())
    with pytest.raises(RateLimitError) as refused:
        resend.Emails.send(email())
    assert int(refused.value.headers["Retry-After"]) > 0


def test_the_dialect_sends_and_explains_itself(shadow: Postern) -> None:
    mapped = shadow.call("POST", "/v1/map/resend", json=email(html="<p>Hi</p>", text=None))
    (envelope,) = mapped["envelopes"]
    assert envelope["mime"]["from"] == {"address": "ada@example.com", "name": "Ada"}
    (origins,) = mapped["origins"]
    assert origins["recipient"] == {"from": "payload", "at": "/to/0"}
    assert origins["mime.content"] == {"from": "payload", "at": "/html"}
    assert origins["mime.text"] == {"from": "absent"}
    id = only_id(shadow.call("POST", "/v1/send/resend", expect=202, json=email(subject=(subject := token()))))
    assert shadow.wait_status(id, "captured")["subject"] == subject
    problem = shadow.problem("POST", "/v1/map/resend", 422, "unsupported_feature", json=email(topic_id="x"))
    assert [error["pointer"] for error in problem["errors"]] == ["/topic_id"]
