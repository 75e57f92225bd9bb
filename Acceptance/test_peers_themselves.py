"""The servers that the other tests rely on do what those tests believe they do. Postern takes no part here."""

from __future__ import annotations

import smtplib
import socket
import ssl
import threading

import pytest
from harness.mail import parsed, plain, token, without_fields, without_trace
from harness.network import LOOPBACK
from harness.peers import Drop, Hang, Peer, Say, silent_peer
from harness.postfix import Postfix
from harness.tls import Authority, untrusting_client
from harness.waiting import until


def send(port: int, raw: bytes, to: str, options: list[str] | None = None, **login: str) -> None:
    with smtplib.SMTP("localhost", port, timeout=10) as client:
        client.starttls(context=untrusting_client())
        client.ehlo()
        if login:
            client.login(login["username"], login["password"])
        client.sendmail("ada@example.com", [to], raw, mail_options=options or [])


def test_postfix_delivers_what_it_was_given_byte_for_byte(postfix: Postfix) -> None:
    recipient = f"{token()}@receiver.test"
    raw = plain(
        body=b"caf\xc3\xa9 and caf\xe9\r\n.\r\n..dots\r\n\ttab and trailing space \r\n" + b"x" * 998 + b"\r\n\r\n\r\n",
        extra=b"Bcc: hidden@receiver.test\r\nX-Folded:  a\r\n\tb  \r\n c\r\nx-lower: 1\r\nReturn-Path: <not@trace>\r\n",
    )
    send(postfix.port, raw, recipient, ["BODY=8BITMIME"])
    received = postfix.delivered(recipient)
    assert without_trace(received.content) == raw
    assert (received.sender, received.recipient) == ("ada@example.com", recipient)


def test_postfix_takes_utf8_addresses_over_implicit_tls(postfix: Postfix) -> None:
    recipient = f"jürgen-{token()}@bücher.test"
    raw = plain("Grüße")
    with smtplib.SMTP_SSL(LOOPBACK, postfix.implicit_port, context=untrusting_client()) as client:
        client.ehlo()
        client.command_encoding = "utf-8"
        client.mail("ada@example.com", ["SMTPUTF8"])
        client.rcpt(recipient)
        client.data(raw)
    assert without_trace(postfix.delivered(recipient).content) == raw


def test_certificates_are_good_for_their_names_only(authority: Authority, peer: Peer) -> None:
    context = ssl.create_default_context(cafile=str(authority.certificate))
    with smtplib.SMTP("localhost", peer.port) as client:
        assert client.starttls(context=context)[0] == 220
    with pytest.raises(ssl.SSLCertVerificationError), smtplib.SMTP(LOOPBACK, peer.port) as client:
        client.starttls(context=context)


def test_a_script_is_followed_step_by_step_and_then_over(peer: Peer) -> None:
    recipient, raw = f"{token()}@receiver.test", plain()
    peer.on(recipient, Say("451 4.2.0 later"), Say("452 4.3.1 full", at="data"), Drop(), Drop("middle"), Drop("after"))
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        send(peer.port, raw, recipient)
    with pytest.raises(smtplib.SMTPDataError):
        send(peer.port, raw, recipient)
    for _ in range(3):
        with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError, ssl.SSLError)):
            send(peer.port, raw, recipient)
    assert [delivery.answered for delivery in peer.to(recipient)] == [False]
    send(peer.port, raw, recipient)
    assert peer.delivered(recipient).content == raw
    assert peer.delivered(recipient).encrypted
    assert len(peer.attempts(recipient)) == 6


@pytest.mark.parametrize("place", ["rcpt", "data"])
def test_a_hanging_peer_hangs_until_it_is_released(authority: Authority, place: str) -> None:
    recipient = f"{token()}@receiver.test"
    ended = threading.Event()

    def client() -> None:
        with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError, ssl.SSLError)):
            send(peer.port, plain(), recipient)
        ended.set()

    with Peer(starttls=authority.issue(f"hanging-{place}", "DNS:localhost").server_context()) as peer:
        peer.on(recipient, Hang(place))
        threading.Thread(target=client, daemon=True).start()
        until(lambda: peer.hanging == [recipient], "the session hangs")
        assert not ended.is_set()
        peer.release()
        assert ended.wait(10)


def test_a_peer_that_wants_a_login_gets_nothing_without_it(authority: Authority) -> None:
    recipient = f"{token()}@receiver.test"
    context = authority.issue("login", "DNS:localhost").server_context()
    with Peer(starttls=context, login=("postern", "secret")) as peer:
        with pytest.raises(smtplib.SMTPSenderRefused):
            send(peer.port, plain(), recipient)
        with pytest.raises(smtplib.SMTPAuthenticationError):
            send(peer.port, plain(), recipient, username="postern", password="wrong")
        send(peer.port, plain(), recipient, username="postern", password="secret")
        assert peer.delivered(recipient).username == "postern"
        # smtplib tries its other mechanisms after a refusal.
        assert (peer.logins[0], peer.logins[-1]) == (("postern", False), ("postern", True))


def test_keywords_can_be_withheld() -> None:
    with Peer(without=frozenset({"8BITMIME", "SMTPUTF8"})) as peer, smtplib.SMTP(LOOPBACK, peer.port) as client:
        client.ehlo()
        assert not {"8bitmime", "smtputf8", "starttls"} & client.esmtp_features.keys()


def test_a_silent_peer_connects_and_says_nothing() -> None:
    with silent_peer() as port, socket.create_connection((LOOPBACK, port), timeout=0.2) as connection:
        with pytest.raises(TimeoutError):
            connection.recv(1)


def test_taking_fields_off_a_message_leaves_the_rest_alone() -> None:
    raw = b"Received: by x\r\n\tfor y\r\nSubject: a\r\nBcc: b\r\n c\r\nTo: d\r\n\r\nReceived: body\r\n\r\n"
    assert without_trace(raw) == b"Subject: a\r\nBcc: b\r\n c\r\nTo: d\r\n\r\nReceived: body\r\n\r\n"
    assert without_fields(raw, "Bcc", "Subject") == b"Received: by x\r\n\tfor y\r\nTo: d\r\n\r\nReceived: body\r\n\r\n"
    assert parsed(raw)["subject"] == "a"
