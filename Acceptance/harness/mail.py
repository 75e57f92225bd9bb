"""Messages as bytes: making them, and taking off what relays put in front."""

from __future__ import annotations

import email
import email.policy
import itertools
import re
import uuid
from email.message import EmailMessage

# RFC 5321 §4.4: what a relay or a final delivery may put in front. The last two are Postfix's own.
TRACE_FIELDS = {b"received", b"return-path", b"delivered-to", b"x-original-to"}

MESSAGE_ID = re.compile(r"\bmsg_[0-9a-hjkmnp-tv-z]{16}\b")

_serial = itertools.count(1)
_run = uuid.uuid4().hex[:8]


def token(prefix: str = "t") -> str:
    """A word that occurs nowhere else, and that no other one begins with: for local parts, subjects and keys."""
    return f"{prefix}-{_run}-{next(_serial):05}"


def plain(
    subject: str = "Hello",
    body: str | bytes = "Hello there.\r\n",
    *,
    sender: str = "Ada <ada@example.com>",
    to: str = "bob@receiver.test",
    extra: str | bytes = "",
) -> bytes:
    """A complete message, CRLF line ends, exactly as given: `extra` holds whole header lines with their line ends."""
    head = (
        f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\n"
        f"Date: Thu, 20 Nov 2025 18:00:00 +0000\r\nMessage-ID: <{token('m')}@example.com>\r\n"
    ).encode()
    return head + _bytes(extra) + b"\r\n" + _bytes(body)


def parsed(raw: bytes) -> EmailMessage:
    """The message as Python's own parser, an independent one, reads it."""
    return email.message_from_bytes(raw, policy=email.policy.default)  # type: ignore[return-value]


def header(raw: bytes, name: str) -> list[str]:
    return [str(value) for value in parsed(raw).get_all(name, [])]


def without_trace(raw: bytes) -> bytes:
    """The message from its first header field on that is not a trace field."""
    rest = raw
    while True:
        field = re.match(rb"([!-9;-~]+)[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*", rest)
        if field is None or field.group(1).lower() not in TRACE_FIELDS:
            return rest
        rest = rest[field.end() :]


def without_fields(raw: bytes, *names: str) -> bytes:
    """The message without those header fields; the body is not looked at."""
    head, separator, body = raw.partition(b"\r\n\r\n")
    unwanted = {name.lower().encode() for name in names}
    fields = re.findall(rb"[^\r\n]+(?:\r\n[ \t][^\r\n]*)*", head)
    kept = [field for field in fields if field.split(b":", 1)[0].strip().lower() not in unwanted]
    return b"\r\n".join(kept) + separator + body


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text
