"""Submission by SMTP with decent clients: smtplib, swaks, and a careful hand-written one."""

from __future__ import annotations

import smtplib
import subprocess

import pytest
from harness.api import only_id
from harness.mail import MESSAGE_ID, header, plain, token, without_trace
from harness.network import LOOPBACK
from harness.postern import Postern
from harness.tls import untrusting_client


@pytest.mark.parametrize("tls", ["starttls", "implicit", None])
def test_smtplib_submits(shadow: Postern, tls: str | None) -> None:
    raw = plain(token())
    with shadow.smtp(tls=tls) as session:
        id = session.submit("ada@example.com", ["bob@receiver.test"], raw).accepted_id
    message = shadow.wait_status(id, "captured")
    assert (message["recipient"], message["envelope"]["envelope"]) == ("bob@receiver.test", "ada@example.com")
    assert without_trace(shadow.raw(id)) == raw


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("initial", [True, False], ids=["initial response", "challenge"])
def test_both_mechanisms_log_in(shadow: Postern, mechanism: str, initial: bool) -> None:
    with smtplib.SMTP(LOOPBACK, shadow.smtp_port) as client:
        client.starttls(context=untrusting_client())
        client.ehlo()
        assert mechanism in client.esmtp_features["auth"].split()
        client.user, client.password = shadow.card["smtp"]["username"], shadow.card["smtp"]["password"]
        method = client.auth_plain if mechanism == "PLAIN" else client.auth_login
        assert client.auth(mechanism, method, initial_response_ok=initial)[0] == 235


@pytest.mark.parametrize(
    "encryption", [["--tls"], ["--tlsc"], []], ids=["STARTTLS", "implicit TLS", "clear text on loopback"]
)
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_swaks_submits(shadow: Postern, encryption: list[str], mechanism: str) -> None:
    card = shadow.card["smtp"]
    port = shadow.smtp_tls_port if encryption == ["--tlsc"] else shadow.smtp_port
    done = subprocess.run(
        ["swaks", "--server", LOOPBACK, "--port", str(port), *encryption, "--auth", mechanism,
         "--auth-user", card["username"], "--auth-password", card["password"],
         "--from", "ada@example.com", "--to", "bob@receiver.test", "--header", "Subject: By swaks"],
        capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (id,) = set(MESSAGE_ID.findall(done.stdout))
    assert shadow.wait_status(id, "captured")["subject"] == "By swaks"


def test_the_greeting_offers_what_it_should(shadow: Postern) -> None:
    with shadow.raw_smtp(login=False) as session:
        clear = keywords(session.command("EHLO tests.test").text)
        assert clear.keys() >= {
            "PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "CHUNKING", "STARTTLS", "AUTH",
        }  # fmt: skip
        assert int(clear["SIZE"]) >= 25_000_000
        assert session.command("STARTTLS").code == 220
        session.start_tls()
        encrypted = keywords(session.command("EHLO tests.test").text)
        assert "STARTTLS" not in encrypted
        assert set(encrypted["AUTH"].split()) >= {"PLAIN", "LOGIN"}


def test_small_commands_answer_as_they_should(shadow: Postern) -> None:
    with shadow.raw_smtp() as session:
        assert session.command("NOOP").code == 250
        assert session.command("HELP").code == 214
        assert session.command("VRFY bob@receiver.test").code == 252
        assert session.command("FROBNICATE").code in (500, 502)
        assert session.command("RCPT TO:<bob@receiver.test>").code == 503
        assert session.command("DATA").code == 503
        assert session.command("MAIL FROM:<ada@example.com>").code == 250
        assert session.command("MAIL FROM:<ada@example.com>").code == 503
        assert session.command("RSET").code == 250
        assert session.command("RCPT TO:<bob@receiver.test>").code == 503
        assert session.command("HELO tests.test").code == 250
        assert session.command("QUIT").code == 221
        assert session.closed()


def test_several_messages_go_through_one_session(shadow: Postern) -> None:
    with shadow.smtp() as session:
        made = [session.submit("ada@example.com", ["bob@receiver.test"], plain(token())).accepted_id for _ in range(5)]
    assert len(set(made)) == 5
    for id in made:
        shadow.wait_status(id, "captured")


def test_a_pipelined_transaction_is_answered_in_order(shadow: Postern) -> None:
    with shadow.raw_smtp() as session:
        session.send(
            b"MAIL FROM:<ada@example.com>\r\nRCPT TO:<bob@receiver.test>\r\nRCPT TO:<not an address>\r\n"
            b"RCPT TO:<eve@receiver.test>\r\nDATA\r\n"
        )
        assert [session.reply().code // 100 for _ in range(5)] == [2, 2, 5, 2, 3]
        session.send(plain() + b".\r\nQUIT\r\n")
        assert len(session.reply().ids) >= 1
        assert session.reply().code == 221


def test_chunks_make_up_one_message_with_nothing_stuffed(shadow: Postern) -> None:
    raw = plain(body=b".\r\n..two dots\r\n")
    with shadow.raw_smtp() as session:
        assert session.command("MAIL FROM:<ada@example.com> BODY=8BITMIME").code == 250
        assert session.command("RCPT TO:<bob@receiver.test>").code == 250
        for chunk in (raw[:37], raw[37:]):
            session.send(b"BDAT %d\r\n" % len(chunk) + chunk)
            assert session.reply().code == 250
        accepted = session.command("BDAT 0 LAST")
        assert accepted.code == 250, str(accepted)
    (id,) = accepted.ids
    shadow.wait_status(id, "captured")
    assert without_trace(shadow.raw(id)) == raw


def test_a_null_sender_is_held_to_the_header(shadow: Postern) -> None:
    """RFC 6409 §6.1: a submitter's rights cannot be judged by an empty path alone."""
    with shadow.smtp() as session:
        result = session.submit("", ["bob@receiver.test"], plain(sender="mallory@elsewhere.test"))
        assert result.refusal.code == 550


def test_missing_date_and_message_id_are_added(shadow: Postern) -> None:
    raw = b"From: ada@example.com\r\nTo: bob@receiver.test\r\nSubject: bare\r\n\r\nx\r\n"
    id = shadow.submit(raw, ["bob@receiver.test"])
    shadow.wait_status(id, "captured")
    for name in ("Date", "Message-ID"):
        assert len(header(shadow.raw(id), name)) == 1


LATIN_1 = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n"


@pytest.mark.parametrize(
    ("options", "raw"),
    [
        (("BODY=8BITMIME",), plain(body="naïve café\r\n".encode("latin-1"), extra=LATIN_1)),
        (("BODY=8BITMIME", "SMTPUTF8"), plain("Grüße, 世界", body="π\r\n", sender="Jürgen <jürgen@example.com>")),
    ],
    ids=["8-bit body", "UTF-8 header"],
)  # fmt: skip
def test_eight_bits_arrive_as_they_left(shadow: Postern, options: tuple[str, ...], raw: bytes) -> None:
    sender = "jürgen@example.com" if "SMTPUTF8" in options else "ada@example.com"
    id = shadow.submit(raw, ["bob@receiver.test"], sender=sender, options=options)
    shadow.wait_status(id, "captured")
    assert without_trace(shadow.raw(id)) == raw


def test_an_international_recipient_is_kept_as_written(shadow: Postern) -> None:
    id = shadow.submit(plain(), ["grüße@bücher.test"], options=("SMTPUTF8",))
    assert shadow.wait_status(id, "captured")["recipient"] in ("grüße@bücher.test", "grüße@xn--bcher-kva.test")


def test_delivery_status_parameters_are_understood(shadow: Postern) -> None:
    with shadow.raw_smtp() as session:
        assert session.command("MAIL FROM:<ada@example.com> RET=HDRS ENVID=QQ314159").code == 250
        accepted = session.command("RCPT TO:<bob@receiver.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Bob@receiver.test")
        assert accepted.code == 250
        assert session.command("RCPT TO:<bob@receiver.test> NOTIFY=NEVER,SUCCESS").code == 501
        assert session.command("RCPT TO:<bob@receiver.test> FROB=1").code == 555


def test_one_submission_to_several_makes_a_message_for_each(shadow: Postern) -> None:
    prefix = token()
    recipients = [f"{prefix}-{number}@receiver.test" for number in range(5)]
    shadow.submit(plain(), recipients)
    rows = shadow.all_messages(q=prefix)
    assert sorted(row["recipient"] for row in rows) == recipients
    assert len({row["correlation_id"] for row in rows}) == 1


def test_both_doors_record_the_same_things(shadow: Postern) -> None:
    raw = plain(token())
    by_http = only_id(shadow.as_smtp_user().send_mime(raw, sender="ada@example.com", to=["bob@receiver.test"]))
    by_smtp = shadow.submit(raw, ["bob@receiver.test"])
    rows = [shadow.wait_status(id, "captured") for id in (by_http, by_smtp)]
    for field in ("vault", "caller", "from", "recipient", "subject", "route"):
        assert rows[0][field] == rows[1][field], field
    assert shadow.event_types(by_http) == shadow.event_types(by_smtp)


def keywords(reply: str) -> dict[str, str]:
    lines = reply.split("\n")[1:]
    return {keyword.upper(): arguments for keyword, _, arguments in (line.partition(" ") for line in lines)}
