"""Sent on to a real Postfix: what arrives is what was handed in, and who sees whose address."""

from __future__ import annotations

import re

import pytest
from conftest import use_smarthost
from harness.api import ids, only_id
from harness.mail import header, parsed, plain, token, without_fields, without_trace
from harness.postern import Postern
from harness.postfix import Postfix, Received
from harness.waiting import until


@pytest.fixture(autouse=True)
def to_postfix(relay: Postern, postfix: Postfix) -> None:
    use_smarthost(relay, postfix.port)


MULTIPART = (
    b"A preamble.\r\n\r\n--=_b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    b"\xcf\x80\r\n--=_b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    b"AAECAwQFBgc=\r\n--=_b--\r\nAn epilogue.\r\n\r\n"
)
MULTIPART_HEADER = 'MIME-Version: 1.0\r\nContent-Type: multipart/mixed;\r\n\tboundary="=_b"\r\n'

# name: (message, SMTP options). None has a space before a colon: Postfix takes that one out.
MESSAGES = {
    "plain": (plain(), ()),
    "empty body": (plain(body=b""), ()),
    "dots": (plain(body=b".\r\n..\r\n.leading\r\nmiddle.\r\n.\r\n"), ()),
    "blank lines at the end": (plain(body=b"x\r\n\r\n\r\n\r\n"), ()),
    "odd header": (plain(extra="x-low:none\r\nX-Folded:   a\r\n\t  b\r\n c  \r\nX-Empty:\r\nX-A: 1\r\nX-A: 2\r\n"), ()),
    "longest lines": (plain(body=b"x" * 998 + b"\r\n" + b"." * 998 + b"\r\n", extra="X-L: " + "y" * 993 + "\r\n"), ()),
    "tabs and trailing space": (plain(body=b"\ta \t \r\n \r\n\t\r\n"), ()),
    "multipart": (plain(body=MULTIPART, extra=MULTIPART_HEADER), ("BODY=8BITMIME",)),
    "Latin-1": (plain(body=b"caf\xe9 \x80\xff\r\n"), ("BODY=8BITMIME",)),
    "UTF-8 header": (plain("Grüße, 世界 🐧", body="π\r\n", sender="Åse <ada@example.com>"), ("SMTPUTF8",)),
    "quoted addresses": (plain(to='"Bob, \\"B\\"" <"bob smith"@receiver.test> (friend), team:;'), ()),
    "control characters": (plain(body=b"\x01\x08\x0b\x0c\x1b[0m\x7f\r\n"), ()),
    "own trace": (b"Received: by before.test; Thu, 20 Nov 2025 18:00:00 +0000\r\n" + plain(), ()),
}  # fmt: skip


@pytest.mark.parametrize("door", ["smtp", "http"])
@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_is_delivered_byte_for_byte(relay: Postern, postfix: Postfix, name: str, door: str) -> None:
    raw, options = MESSAGES[name]
    recipient = f"{token()}@receiver.test"
    if door == "smtp":
        id = relay.submit(raw, [recipient], options=options)
    else:
        id = only_id(relay.send_mime(raw, sender="ada@example.com", to=[recipient]))
    received = postfix.delivered(recipient)
    assert without_trace(received.content) == without_trace(raw)
    assert received.content.endswith(raw), "what was handed in stands there whole, under the trace of its way"
    assert received.sender == "ada@example.com"
    message = relay.wait_status(id, "delivered")
    assert (message["route"], message["recipient"]) == ("smarthost", recipient)
    assert without_trace(relay.raw(id)) == without_trace(raw)


def test_the_way_is_traced_and_nothing_else_is_told(relay: Postern, postfix: Postfix) -> None:
    recipient = f"{token()}@receiver.test"
    relay.submit(plain(), [recipient])
    received = header(postfix.delivered(recipient).content, "Received")
    assert len(received) in (1, 2)
    for line in received[1:]:
        assert re.search(r"\bwith ESMTPSA?\b", line) and re.search(r"; \w{3}, \d+ \w{3} \d{4} ", line), line
        assert relay.card["smtp"]["username"] not in line


def test_it_travels_over_verified_tls(relay: Postern, postfix: Postfix) -> None:
    recipient = f"{token()}@receiver.test"
    relay.send(to=[recipient])
    assert "using TLSv1.3" in header(postfix.delivered(recipient).content, "Received")[0]


def test_implicit_tls_works_as_well(relay: Postern, postfix: Postfix) -> None:
    recipient = f"{token()}@receiver.test"
    use_smarthost(relay, postfix.implicit_port, tls="implicit")
    id = only_id(relay.send(to=[recipient]))
    relay.wait_status(id, "delivered")
    assert "with ESMTPS" in header(postfix.delivered(recipient).content, "Received")[0]


def test_postfix_words_are_in_the_timeline(relay: Postern, postfix: Postfix) -> None:
    recipient = f"{token()}@receiver.test"
    id = only_id(relay.send(to=[recipient]))
    relay.wait_status(id, "delivered")
    delivered = relay.events(id)[-1]
    assert delivered["type"] == "delivered" and delivered["attempt"] == 1
    assert "queued as" in str(delivered["detail"])


def test_international_addresses_arrive(relay: Postern, postfix: Postfix) -> None:
    local = f"grüße-{token()}"
    id = relay.submit(plain("Grüße", to=f"{local}@bücher.test"), [f"{local}@bücher.test"], options=("SMTPUTF8",))
    relay.wait_status(id, "delivered")

    def arrived() -> list[Received]:
        return [message for message in postfix.received if message.recipient.startswith(local)]

    until(arrived, "Postfix has delivered it")
    assert len(arrived()) == 1


@pytest.mark.parametrize("door", ["simple", "mime", "smtp"])
def test_everyone_sees_to_and_cc_and_nobody_sees_bcc(relay: Postern, postfix: Postfix, door: str) -> None:
    word = token()
    to, cc, bcc = ([f"{word}-{kind}{number}@receiver.test" for number in (1, 2)] for kind in ("to", "cc", "bcc"))
    raw = plain(
        to=f"One <{to[0]}>, {to[1]}",
        extra=f"Cc: {cc[0]},\r\n\t{cc[1]}\r\nBcc: {bcc[0]},\r\n {bcc[1]}\r\nX-After: 1\r\n",
    )
    if door == "simple":
        made = ids(relay.send(to=[f"One <{to[0]}>", to[1]], cc=cc, bcc=", ".join(bcc)))
    elif door == "mime":
        made = ids(relay.send_mime(raw))
    else:
        relay.submit(raw, to + cc + bcc)
        made = [row["id"] for row in relay.all_messages(q=word)]
    assert len(made) == 6
    copies = [postfix.delivered(address) for address in to + cc + bcc]
    for copy in copies:
        assert header(copy.content, "To") == [f"One <{to[0]}>, {to[1]}"]
        assert header(copy.content, "Cc") == [", ".join(cc)]
        hidden = without_fields(copy.content, "Received")
        assert b"bcc" not in hidden.lower(), "neither the field nor an address of it"
        received = without_fields(copy.content, *set(parsed(copy.content).keys()) - {"Received"})
        others = [address for address in bcc if address != copy.recipient]
        assert not any(address.encode() in received for address in others)
    assert len({header(copy.content, "Message-ID")[0] for copy in copies}) == 1
    if door != "simple":
        assert all(without_trace(copy.content) == without_fields(raw, "Bcc") for copy in copies)
    for id in made:
        relay.wait_status(id, "delivered")
        if relay.message(id)["recipient"] not in bcc:
            assert b"bcc" not in relay.raw(id).lower()


def test_each_recipient_gets_exactly_one_copy(relay: Postern, postfix: Postfix) -> None:
    local = token()
    address = f"{local}@receiver.test"
    for id in ids(relay.send(to=[address, f"Again <{address}>"], cc=[f"{local}@RECEIVER.TEST"])):
        relay.wait_status(id, "delivered")
    assert len(postfix.to(address)) == 1
