"""Large things: 25 MB in one message, 1,000 recipients in one submission."""

from __future__ import annotations

import base64
import random
import subprocess
from pathlib import Path

import pytest
from conftest import use_smarthost
from harness.api import ids, only_id
from harness.mail import parsed, plain, token, without_trace
from harness.postern import Postern
from harness.postfix import Postfix
from harness.waiting import until

SIZE = 25_000_000


@pytest.fixture(autouse=True)
def to_postfix(relay: Postern, postfix: Postfix) -> None:
    use_smarthost(relay, postfix.port)


@pytest.fixture(scope="module")
def raw() -> bytes:
    body = base64.encodebytes(random.Random(1).randbytes(SIZE * 70 // 100)).replace(b"\n", b"\r\n")
    message = plain("Large", body=body)
    assert abs(len(message) - SIZE) < SIZE // 20 and len(message) <= 25 * 1024 * 1024
    return message


def test_25_mb_by_smtp_arrive_byte_for_byte(relay: Postern, postfix: Postfix, raw: bytes) -> None:
    recipient = f"{token()}@receiver.test"
    id = relay.submit(raw, [recipient])
    relay.wait_status(id, "delivered", 60)
    assert without_trace(postfix.delivered(recipient).content) == raw


def test_25_mb_by_curl_arrive_byte_for_byte(relay: Postern, postfix: Postfix, raw: bytes, tmp_path: Path) -> None:
    recipient = f"{token()}@receiver.test"
    (tmp_path / "large.eml").write_bytes(raw)
    done = subprocess.run(
        ["curl", "-sS", "--fail-with-body", "-H", f"Authorization: Bearer {relay.card['api_key']}",
         "-H", "Content-Type: message/rfc822", "-T", str(tmp_path / "large.eml"), "-X", "POST",
         f"{relay.url}/v1/send/mime?from=ada@example.com&to={recipient}"],
        capture_output=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert without_trace(postfix.delivered(recipient, 60).content) == raw


def test_a_large_attachment_in_json_arrives_whole(relay: Postern, postfix: Postfix) -> None:
    recipient = f"{token()}@receiver.test"
    content = random.Random(2).randbytes(SIZE * 70 // 100)
    attachment = {"filename": "large.bin", "content_type": "application/octet-stream",
                  "content": base64.b64encode(content).decode()}  # fmt: skip
    id = only_id(relay.send(to=[recipient], attachments=[attachment]))
    relay.wait_status(id, "delivered", 60)
    (part,) = parsed(postfix.delivered(recipient).content).iter_attachments()
    assert part.get_content() == content


@pytest.mark.parametrize("door", ["http", "smtp"])
def test_1000_recipients_in_one_submission(relay: Postern, postfix: Postfix, door: str) -> None:
    word = token(door)
    recipients = [f"{word}-{number:04}@receiver.test" for number in range(1000)]
    if door == "http":
        accepted = relay.send(to=recipients[:1], cc=recipients[1:2], bcc=recipients[2:])
        assert len(ids(accepted)) == len(set(ids(accepted))) == 1000
    else:
        relay.submit(plain(to="everyone@receiver.test"), recipients)
    rows = relay.all_messages(q=word)
    assert sorted(row["recipient"] for row in rows) == recipients
    assert len({row["correlation_id"] for row in rows}) == 1
    for row in rows:
        relay.wait_status(row["id"], "delivered", 90)

    def arrived() -> list[str]:
        return sorted(message.recipient for message in postfix.received if message.recipient.startswith(word))

    until(lambda: len(arrived()) >= 1000, "Postfix has delivered to everyone", 60)
    assert arrived() == recipients


def test_the_1001st_recipient_is_too_many(relay: Postern) -> None:
    body = {"from": "ada@example.com", "to": [f"r{number}@receiver.test" for number in range(1001)], "text": "x"}
    relay.problem("POST", "/v1/messages", 422, "too_many_recipients", json=body)
    with relay.raw_smtp() as session:
        assert session.command("MAIL FROM:<ada@example.com>").code == 250
        session.send(b"".join(b"RCPT TO:<r%d@receiver.test>\r\n" % number for number in range(1001)))
        replies = [session.reply() for _ in range(1001)]
        assert {reply.code for reply in replies[:1000]} == {250}
        assert (replies[1000].code, replies[1000].enhanced) == (452, "4.5.3")


def test_a_large_message_leaves_room_for_small_ones(relay: Postern, raw: bytes) -> None:
    """A slow upload on one connection does not hold up the answer on another."""
    with relay.raw_smtp() as slow:
        slow.begin_data()
        half = len(raw) // 2
        slow.send(raw[:half])
        id = only_id(relay.send(to=[f"{token()}@receiver.test"]))
        relay.wait_status(id, "delivered")
        slow.send(raw[half:] + b".\r\n")
        assert slow.reply().code == 250
