"""The object form of `mime` made into a message, in either of its two documented structures.

`canonical` is the product scope's (seed 000 §06): `replyto`, and `content` as an array of blocks. `responsive` is that
of MailerQ's own documents (ResponsiveEmail JSON): `replyTo`, and `content` as a text or `{"blocks": […]}`.
"""

from __future__ import annotations

import base64
import email.policy
import re
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from typing import Any

from .document import Refused, is_mailbox

CANONICAL, RESPONSIVE, STRING, EITHER = "canonical", "responsive", "string", "either"

_CANONICAL_KEYS = {"to", "from", "replyto", "subject", "text", "content", "headers"}
_RESPONSIVE_KEYS = {
    "from", "replyTo", "to", "cc", "bcc", "subject", "text", "headers", "attachments", "content", "background", "font",
    "css", "attributes", "rewrite", "tracking", "dkim", "data", "name", "description", "version",
}  # fmt: skip
# Of those, what is turned into MIME here.
_PLAYED = {"from", "replyTo", "to", "cc", "subject", "text", "headers", "attachments", "content"}

# The message's own; MailerQ copies `headers` without validation, so a second one would be a defect of the mail.
_OWN_FIELDS = {"from", "to", "cc", "reply-to", "subject", "mime-version", "content-type", "content-transfer-encoding"}

_POLICY = email.policy.SMTP.clone(max_line_length=78)


def structure(mime: str | dict[str, Any]) -> str:
    """Which of the forms it is; `either` when nothing in it tells the two objects apart."""
    if isinstance(mime, str):
        return STRING
    canonical = "replyto" in mime or isinstance(mime.get("content"), list)
    responsive = bool((set(mime) - _CANONICAL_KEYS) or isinstance(mime.get("content"), (str, dict)))
    if canonical and responsive:
        raise _no("it mixes the two structures")
    return CANONICAL if canonical else RESPONSIVE if responsive else EITHER


def rendered(mime: str | dict[str, Any], recipient: str, refuses: str | None = None) -> bytes:
    """The message as it goes out by SMTP; `refuses` names a structure that cannot be converted."""
    kind = structure(mime)
    if kind == refuses:
        raise _no(f"an object of the {kind} structure is not understood")
    if isinstance(mime, str):
        return mime.encode("utf-8")
    html = _canonical(mime, recipient) if kind == CANONICAL else _responsive(mime)
    message = EmailMessage(policy=_POLICY)
    message["From"] = _party(mime.get("from"), "from")
    for name in ("to", "cc"):
        if name in mime:
            message[name.capitalize()] = _parties(mime[name], name)
    reply = mime.get("replyto", mime.get("replyTo"))
    if reply is not None:
        message["Reply-To"] = _party(reply, "replyTo")
    if "subject" in mime:
        message["Subject"] = _text(mime, "subject")
    _add_headers(message, mime.get("headers", {}))
    if "Date" not in message:
        message["Date"] = format_datetime(datetime.now(UTC))
    if "Message-ID" not in message:
        message["Message-ID"] = make_msgid(domain="mailerq.test")
    text = _text(mime, "text") if "text" in mime else None
    if text is None and html is None:
        raise _no("there is neither text nor content")
    if text is not None:
        message.set_content(text)
    if html is not None and text is not None:
        message.add_alternative(html, subtype="html")
    elif html is not None:
        message.set_content(html, subtype="html")
    for attachment in mime.get("attachments", []):
        _attach(message, attachment)
    return message.as_bytes()


def _canonical(mime: dict[str, Any], recipient: str) -> str | None:
    if mime.get("to") != recipient:
        raise _no(f"to is {mime.get('to')!r}, not the recipient")
    for name in ("from", "replyto"):
        party = mime.get(name)
        if not isinstance(party, dict) or not set(party) <= {"name", "address"}:
            raise _no(f"{name} is not an object of name and address: {party!r}")
    if "content" not in mime:
        return None
    blocks = mime["content"]
    if not isinstance(blocks, list) or not blocks:
        raise _no("content is not an array of blocks")
    for block in blocks:
        if not isinstance(block, dict) or set(block) != {"type", "content"} or block["type"] != "html":
            raise _no(f"not a block of type html with a content: {block!r}")
    return "".join(_text(block, "content") for block in blocks)


def _responsive(mime: dict[str, Any]) -> str | None:
    unknown = set(mime) - _RESPONSIVE_KEYS
    if unknown:
        raise _no(f"unknown properties: {sorted(unknown)}")
    if set(mime) - _PLAYED:
        raise _no(f"not played by the stand-in: {sorted(set(mime) - _PLAYED)}")
    content = mime.get("content")
    if content is None or isinstance(content, str):
        return content
    if not isinstance(content, dict) or not isinstance(content.get("blocks"), list):
        raise _no(f"content is neither a text nor an object with blocks: {content!r}")
    parts: list[str] = []
    for block in content["blocks"]:
        if not isinstance(block, dict) or block.get("type") not in ("html", "text"):
            raise _no(f"not a block that the stand-in plays: {block!r}")
        parts.append(_text(block, "content"))
    return "".join(parts)


def _party(value: Any, name: str) -> Address:
    if isinstance(value, str):
        value = {"address": value}
    if not isinstance(value, dict) or not isinstance(value.get("address"), str) or not is_mailbox(value["address"]):
        raise _no(f"{name} has no address: {value!r}")
    shown = value.get("name", "")
    if not isinstance(shown, str) or re.search(r"[\r\n\0]", shown):
        raise _no(f"{name} has no proper name: {shown!r}")
    local, _, domain = value["address"].rpartition("@")
    quoted = re.sub(r"\\(.)", r"\1", local[1:-1]) if local.startswith('"') else local
    return Address(shown, quoted, domain)


def _parties(value: Any, name: str) -> list[Address]:
    return [_party(one, name) for one in (value if isinstance(value, list) else [value])]


def _add_headers(message: EmailMessage, headers: Any) -> None:
    if not isinstance(headers, dict):
        raise _no(f"headers is not an object: {headers!r}")
    for name, value in headers.items():
        if not re.fullmatch(r"[!-9;-~]+", name) or not isinstance(value, str) or re.search(r"[\r\n\0]", value):
            raise _no(f"not a header: {name!r}: {value!r}")
        if name.lower() in _OWN_FIELDS:
            raise _no(f"{name} would stand twice in the message")
        message[name] = value


def _attach(message: EmailMessage, attachment: Any) -> None:
    if not isinstance(attachment, dict) or "url" in attachment or not isinstance(attachment.get("data"), str):
        raise _no(f"not an attachment with data: {attachment!r}")
    kind, _, subtype = attachment.get("type", "application/octet-stream").partition("/")
    message.add_attachment(
        base64.b64decode(attachment["data"], validate=True), kind, subtype, filename=attachment.get("name")
    )


def _text(holder: dict[str, Any], name: str) -> str:
    if not isinstance(holder.get(name), str):
        raise _no(f"{name} is not a text: {holder.get(name)!r}")
    return holder[name]


def _no(why: str) -> Refused:
    return Refused("responsive", "error", f"mime could not be converted: {why}")
