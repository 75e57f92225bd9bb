"""Everything that is refused is refused with the documented code, and leaves no row in the send log."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from harness.api import Api
from harness.mail import plain, token
from harness.postern import Postern
from harness.smtp import Reply

SIMPLE: dict[str, Any] = {"from": "ada@example.com", "to": ["bob@receiver.test"], "subject": "Hello", "text": "Hi"}


@pytest.fixture(autouse=True)
def no_row_behind(shadow: Postern) -> Iterator[None]:
    before = shadow.message_ids()
    yield
    assert shadow.message_ids() == before, "a refusal left a row behind"


# By HTTP


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "Bearer ",
        "Bearer ak_00000000_0000000000000000000000000000000000000000000",
        "Bearer nonsense",
        "Basic bm90OmtuZXc=",
        "Basic %%%",
    ],
    ids=["none", "empty", "unknown key", "no key", "unknown user", "not base64"],
)
def test_wrong_credentials_are_401(shadow: Postern, authorization: str | None) -> None:
    stranger = Api(shadow.url, authorization)
    for path in ("/v1/messages", "/v1/send"):
        stranger.problem("POST", path, 401, "unauthorized", json=SIMPLE)
    assert "WWW-Authenticate" in stranger.api("GET", "/v1/messages").headers
    stranger.close()


def test_the_right_public_half_with_the_wrong_secret_is_401(shadow: Postern) -> None:
    key = shadow.card["api_key"]
    forged = key[:-1] + ("A" if key[-1] != "A" else "B")
    shadow.as_key(forged).problem("POST", "/v1/messages", 401, "unauthorized", json=SIMPLE)


@pytest.mark.parametrize(
    "sender", ["mallory@elsewhere.test", "mallory@sub.example.com", "mallory@example.com.elsewhere.test"]
)
def test_a_sender_domain_that_is_not_allowed_is_403(shadow: Postern, sender: str) -> None:
    problem = shadow.problem("POST", "/v1/messages", 403, "sender_domain_not_allowed", json={**SIMPLE, "from": sender})
    assert sender.split("@")[1] in problem["detail"]
    envelope = {"recipient": "bob@receiver.test", "envelope": sender,
                "mime": {"to": "bob@receiver.test", "from": {"address": "ada@example.com"}, "text": "x"}}  # fmt: skip
    shadow.problem("POST", "/v1/send", 403, "sender_domain_not_allowed", json=envelope)
    raw = {"data": plain(sender=sender), "headers": {"Content-Type": "message/rfc822"}}
    path = "/v1/send/mime?from=ada@example.com&to=bob@receiver.test"
    shadow.problem("POST", path, 403, "sender_domain_not_allowed", **raw)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"text"', b'{"from": "ada@example.com",}', b'{"a":1}{"b":2}', b'{"from":"\xff"}',
     b"[" * 100_000, b'{"from": NaN}', b'{"subject":"\\ud800"}'],
    ids=["empty", "cut off", "array", "string", "comma", "two values", "not UTF-8", "deep", "NaN", "half a surrogate"],
)  # fmt: skip
def test_bad_json_is_refused(shadow: Postern, body: bytes) -> None:
    problem = shadow.problem(
        "POST", "/v1/messages", {400, 422}, {"malformed_json", "validation_failed"}, data=body,
        headers={"Content-Type": "application/json"},
    )  # fmt: skip
    if body in (b"", b"{", b'{"a":1}{"b":2}'):
        assert (problem["status"], problem["code"]) == (400, "malformed_json")


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"colour": "red"}, "/colour"),
        ({"attachments": [{"filename": "a", "content": "QQ==", "size": 1}]}, "/attachments/0/size"),
        ({"subject": 17}, "/subject"),
        ({"to": []}, "/to"),
        ({"to": None}, "/to"),
        ({"from": None}, "/from"),
        ({"to": ["bob@receiver.test", "not an address"]}, "/to/1"),
        ({"from": "Ada"}, "/from"),
        # Neither text nor html: it is the document that lacks something.
        ({"text": None}, ""),
        ({"attachments": [{"filename": "a", "content": "!!!"}]}, "/attachments/0/content"),
        ({"send_at": "tomorrow"}, "/send_at"),
        ({"subject": "a\r\nBcc: eve@elsewhere.test"}, "/subject"),
        ({"headers": {"X-A": "a\nBcc: eve@elsewhere.test"}}, "/headers/X-A"),
        ({"headers": {"X A": "a"}}, "/headers/X A"),
        ({"headers": {"Bcc": "eve@elsewhere.test"}}, "/headers/Bcc"),
        ({"headers": {"From": "eve@elsewhere.test"}}, "/headers/From"),
        ({"from": "Ada\r\nBcc: eve@elsewhere.test <ada@example.com>"}, "/from"),
        ({"reply_to": "a@b\r\nX: y"}, "/reply_to"),
        ({"attachments": [{"filename": "a\r\nX: y", "content": "QQ=="}]}, "/attachments/0/filename"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_field_that_is_wrong_is_pointed_at(shadow: Postern, change: dict, pointer: str) -> None:
    body = {key: value for key, value in {**SIMPLE, **change}.items() if value is not None}
    problem = shadow.problem("POST", "/v1/messages", 422, "validation_failed", json=body)
    assert pointer in [error["pointer"] for error in problem["errors"]], json.dumps(problem)


def test_an_unknown_field_is_called_that(shadow: Postern) -> None:
    problem = shadow.problem("POST", "/v1/messages", 422, "validation_failed", json={**SIMPLE, "colour": "red"})
    (error,) = problem["errors"]
    assert (error["pointer"], error["code"]) == ("/colour", "unknown_field")
    sender = {"address": "ada@example.com", "nick": "a"}
    nested = {"recipient": "b@receiver.test", "mime": {"to": "b@receiver.test", "from": sender, "text": "x"}}
    problem = shadow.problem("POST", "/v1/send", 422, "validation_failed", json=nested)
    assert [(error["pointer"], error["code"]) for error in problem["errors"]] == [("/mime/from/nick", "unknown_field")]


def test_every_wrong_field_is_named_at_once(shadow: Postern) -> None:
    problem = shadow.problem(
        "POST", "/v1/messages", 422, "validation_failed", json={**SIMPLE, "from": 1, "subject": 2, "colour": "red"}
    )
    assert {error["pointer"] for error in problem["errors"]} >= {"/from", "/subject", "/colour"}


def test_neither_text_nor_html_is_refused(shadow: Postern) -> None:
    canonical = {
        "recipient": "b@receiver.test",
        "mime": {"to": "b@receiver.test", "from": {"address": "ada@example.com"}},
    }
    shadow.problem("POST", "/v1/send", 422, "validation_failed", json=canonical)


def test_one_bad_recipient_refuses_the_whole_submission(shadow: Postern) -> None:
    body = {**SIMPLE, "to": [f"r{number}@receiver.test" for number in range(50)] + ["@"]}
    shadow.problem("POST", "/v1/messages", 422, "validation_failed", json=body)


def test_oversize_is_413(shadow: Postern) -> None:
    with shadow.smtp() as session:
        limit = int(session.client.esmtp_features["size"])
    shadow.problem(
        "POST", "/v1/send/mime?from=ada@example.com&to=bob@receiver.test", 413, "message_too_large",
        data=plain(body=b"x" * 76 + b"\r\n" * (limit // 2)), headers={"Content-Type": "message/rfc822"},
    )  # fmt: skip


LINE_ENDS = ("bare LF", "bare LF in the header", "bare CR", "NUL")
MALFORMED = {
    "bare LF": plain(body=b"a\nb\r\n"),
    "bare LF in the header": plain(extra=b"X-A: b\nX-C: d\r\n"),
    "bare CR": plain(body=b"a\rb\r\n"),
    "NUL": plain(body=b"a\0b\r\n"),
    "second From": plain(extra=b"From: Ada <ada@example.com>\r\n"),
    "second From, other case": plain(extra=b"fROM: Eve <eve@elsewhere.test>\r\n"),
    "no From": plain().replace(b"From: Ada <ada@example.com>\r\n", b""),
    "second Subject": plain(extra=b"Subject: other\r\n"),
    "no header": b"just text\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_message_is_refused(shadow: Postern, name: str) -> None:
    shadow.problem(
        "POST", "/v1/send/mime?from=ada@example.com&to=bob@receiver.test", 422, "malformed_message",
        data=MALFORMED[name], headers={"Content-Type": "message/rfc822"},
    )  # fmt: skip


# By SMTP


@pytest.mark.parametrize("sender", ["mallory@elsewhere.test", "mallory@sub.example.com"])
def test_a_sender_domain_that_is_not_allowed_is_550_at_mail(shadow: Postern, sender: str) -> None:
    with shadow.smtp() as session:
        refused = session.submit(sender, ["bob@receiver.test"], plain()).mail
        assert (refused.code, refused.enhanced) == (550, "5.7.1")
        assert sender.split("@")[1] in refused.text


def test_a_header_from_that_is_not_allowed_is_550_at_the_end_of_the_data(shadow: Postern) -> None:
    with shadow.smtp() as session:
        result = session.submit("ada@example.com", ["bob@receiver.test"], plain(sender="mallory@elsewhere.test"))
        assert result.data is not None
        assert (result.data.code, result.data.enhanced) == (550, "5.7.1")
        assert session.submit("ada@example.com", ["bob@receiver.test"], b"").refusal.code // 100 == 5


def test_nothing_goes_without_a_login(shadow: Postern) -> None:
    with shadow.smtp(login=False) as session:
        refused = session.submit("ada@example.com", ["bob@receiver.test"], plain()).mail
        assert (refused.code, refused.enhanced) == (530, "5.7.0")


@pytest.mark.parametrize("secret", ["AGFkYQB3cm9uZw==", "AG5vYm9keQBub3RoaW5n"], ids=["wrong password", "unknown"])
def test_bad_credentials_are_535(shadow: Postern, secret: str) -> None:
    with shadow.smtp(login=False) as session:
        refused = session.command(f"AUTH PLAIN {secret}")
        assert (refused.code, refused.enhanced) == (535, "5.7.8")
        assert session.submit("ada@example.com", ["bob@receiver.test"], plain()).mail.code == 530


@pytest.mark.parametrize("line", ["AUTH PLAIN %%%", "AUTH PLAIN", "AUTH GSSAPI", "AUTH"])
def test_a_broken_login_dialog_is_refused(shadow: Postern, line: str) -> None:
    with shadow.smtp(login=False) as session:
        answer = session.command(line)
        if answer.code == 334:
            answer = session.command("*")
        assert answer.code in (501, 504, 535), str(answer)
        assert session.command("NOOP").code == 250


def test_an_announced_oversize_is_552_at_mail(shadow: Postern) -> None:
    with shadow.smtp() as session:
        limit = int(session.client.esmtp_features["size"])
        refused = session.command(f"MAIL FROM:<ada@example.com> SIZE={limit + 1}")
        assert (refused.code, refused.enhanced) == (552, "5.3.4")


def test_an_unannounced_oversize_is_552_at_the_end_of_the_data(shadow: Postern) -> None:
    with shadow.smtp() as session:
        limit = int(session.client.esmtp_features["size"])
        line = b"x" * 998 + b"\r\n"
        # By hand: smtplib would announce the size.
        assert session.command("MAIL FROM:<ada@example.com>").code == 250
        assert session.command("RCPT TO:<bob@receiver.test>").code == 250
        assert session.command("DATA").code == 354
        with contextlib.suppress(ConnectionError):
            session.client.send(plain(body=line * (limit // len(line) + 2)) + b".\r\n")
        code, text = session.client.getreply()
        refused = Reply(code, text.decode())
        assert (refused.code, refused.enhanced) == (552, "5.3.4")


@pytest.mark.parametrize("name", [name for name in MALFORMED if name not in LINE_ENDS])
def test_a_malformed_message_is_refused_at_the_end_of_the_data(shadow: Postern, name: str) -> None:
    with shadow.smtp() as session:
        result = session.submit("ada@example.com", ["bob@receiver.test"], MALFORMED[name])
        assert result.data is not None and (result.data.code, result.data.enhanced) == (554, "5.6.0"), str(result)


@pytest.mark.parametrize("name", LINE_ENDS)
def test_a_bare_line_end_is_521_and_the_end_of_the_session(shadow: Postern, name: str) -> None:
    with shadow.raw_smtp() as session:
        session.begin_data()
        session.send(MALFORMED[name] + b".\r\n")
        refused = session.reply()
        assert (refused.code, refused.enhanced) == (521, "5.5.2")
        assert session.closed()


@pytest.mark.parametrize(
    "end",
    [b"\n.\n", b"\r.\r", b"\r.\n", b"\n.\r", b"\n.\r\n", b"\r\n.\n", b"\r.\r\n", b"\r\n.\r", b"\r\n\0.\r\n",
     b"\r\n.\0\r\n"],
    ids=lambda end: end.decode().encode("unicode_escape").decode(),
)  # fmt: skip
def test_no_other_end_of_data_smuggles_a_second_message(shadow: Postern, end: bytes) -> None:
    second = b"MAIL FROM:<ada@example.com>\r\nRCPT TO:<eve@receiver.test>\r\nDATA\r\n" + plain(token("smuggled"))
    with shadow.raw_smtp() as session:
        session.begin_data()
        session.send(plain(body=b"first") + end + second + b".\r\n")
        refused = session.reply()
        assert (refused.code, refused.enhanced) == (521, "5.5.2")
        assert session.closed()


def test_commands_before_the_handshake_are_not_carried_into_it(shadow: Postern) -> None:
    with shadow.raw_smtp(login=False) as session:
        session.command("EHLO tests.test")
        session.send(b"STARTTLS\r\nNOOP injected\r\nVRFY injected\r\n")
        refused = session.reply()
        assert (refused.code, refused.enhanced) == (554, "5.5.0")
        assert session.closed()


def test_a_login_before_the_handshake_is_forgotten(shadow: Postern) -> None:
    with shadow.raw_smtp() as session:
        assert session.command("STARTTLS").code == 220
        session.start_tls()
        assert session.command("MAIL FROM:<ada@example.com>").code in (503, 530)
        session.command("EHLO tests.test")
        assert session.command("MAIL FROM:<ada@example.com>").code == 530


def test_an_endless_line_is_not_listened_to(shadow: Postern) -> None:
    with shadow.raw_smtp() as session:
        session.send(b"NOOP " + b"x" * 20_000 + b"\r\n")
        assert session.reply().code in (500, 521)


def test_too_many_mistakes_end_the_session(shadow: Postern) -> None:
    with shadow.raw_smtp(login=False) as session:
        with contextlib.suppress(EOFError, ConnectionError):
            for _ in range(200):
                if session.command("FROBNICATE").code == 421:
                    return
            pytest.fail("200 mistakes, and it still listens")


@pytest.mark.parametrize("path", ["bob", "@receiver.test", "bob@", "bob@@receiver.test", "bob@receiver..test", ""])
def test_a_recipient_that_is_no_address_is_refused_at_rcpt(shadow: Postern, path: str) -> None:
    with shadow.raw_smtp() as session:
        assert session.command("MAIL FROM:<ada@example.com>").code == 250
        assert session.command(f"RCPT TO:<{path}>").code in (501, 550, 553)
