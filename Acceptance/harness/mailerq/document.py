"""The JSON of one message, read as strictly as MailerQ's documents allow. [D:json-messages] in the project's facts.

Two kinds of findings: `Refused` is what MailerQ itself would turn into a failure, and `complaints` are what it would
silently ignore or what this stand-in does not play, which a test wants to hear of.
"""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

TIME = "%Y-%m-%d %H:%M:%S"

QUEUES = ("results", "failure", "success", "retry", "dsn")

# Properties that change the mail or its way in a manner that is not played here.
_NOT_PLAYED = {"data", "dkim", "dsn", "force", "headers", "inlinecss", "pool", "security", "smarthost"}

# RFC 5321 §4.1.2, with UTF-8 (RFC 6531); quoted local parts and address literals included.
_ATOM = r"(?:[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]|[^\x00-\x7f])+"
_LABEL = r"(?:[A-Za-z0-9]|[^\x00-\x7f])(?:(?:[A-Za-z0-9-]|[^\x00-\x7f])*(?:[A-Za-z0-9]|[^\x00-\x7f]))?"
_MAILBOX = re.compile(
    rf'(?:{_ATOM}(?:\.{_ATOM})*|"(?:[ !#-\[\]-~]|[^\x00-\x7f]|\\[ -~])*")'
    rf"@(?:{_LABEL}(?:\.{_LABEL})*|\[(?:\d+\.\d+\.\d+\.\d+|IPv6:[0-9A-Fa-f:.]+)\])"
)


@dataclass
class Refused(Exception):
    """The attempt that a refusal is reported as."""

    state: str
    result: str
    description: str


@dataclass
class Document:
    """A message that can be attempted."""

    json: dict[str, Any]
    recipient: str
    envelope: str
    mime: str | dict[str, Any]
    not_before: datetime | None
    give_up: datetime | None
    complaints: list[str] = field(default_factory=list)

    def queue(self, name: str, configured: str | None) -> str | None:
        """Where results of that kind go: no key, the configured queue; null, nowhere."""
        return (self.json.get("queues") or {}).get(name, configured)


def decoded(body: bytes) -> tuple[dict[str, Any], list[str]]:
    """The JSON object in a message's body; ValueError when it is none."""
    complaints: list[str] = []

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        complaints.extend(f"{name!r} stands twice" for name in {name for name in names if names.count(name) > 1})
        return dict(pairs)

    document = json.loads(body.decode("utf-8"), object_pairs_hook=members, parse_constant=_no_constant)
    if not isinstance(document, dict):
        raise ValueError("the body is not a JSON object")
    return document, complaints


def read(document: dict[str, Any], *, bound: frozenset[str] | None = None) -> Document:
    """What can be attempted. `bound` are the addresses of this host; None takes any."""
    complaints: list[str] = []
    recipient = document.get("recipient")
    if not isinstance(recipient, str) or not is_mailbox(recipient):
        raise Refused("process", "invalid", f"recipient is not an address: {recipient!r}")
    envelope = document.get("envelope", "")
    if not isinstance(envelope, str) or not (envelope == "" or is_mailbox(envelope)):
        raise Refused("process", "invalid", f"envelope is not an address: {envelope!r}")
    if "key" in document and "mime" not in document:
        raise Refused("storage", "error", "there is no message store")
    mime = document.get("mime")
    if not isinstance(mime, (str, dict)):
        raise Refused("process", "invalid", "mime is neither a text nor an object")
    if isinstance(mime, str):
        _check_text(mime)
    _check_ips(document, bound, complaints)
    _check_types(document)
    give_up = _time(document["maxdelivertime"], "maxdelivertime") if "maxdelivertime" in document else None
    attempt = document.get("nextattempt")
    if attempt is not None and not (isinstance(attempt, dict) and set(attempt) == {"time"}):
        raise Refused("process", "invalid", f"nextattempt is not an object with a time: {attempt!r}")
    not_before = _time(attempt["time"], "nextattempt.time") if attempt is not None else None
    if "delayed" in document:
        complaints.append("delayed is the name that nextattempt had up to 5.3; nothing reads it")
    complaints += [f"{name} is not played by the stand-in" for name in sorted(_NOT_PLAYED & set(document))]
    return Document(document, recipient, envelope, mime, not_before, give_up, complaints)


def is_mailbox(address: str) -> bool:
    local, _, domain = address.rpartition("@")
    if len(local.encode()) > 64 or len(domain.encode()) > 255 or "\r" in address or "\n" in address:
        return False
    return _MAILBOX.fullmatch(address) is not None


def now_text(at: datetime | None = None) -> str:
    return (at or datetime.now(UTC)).strftime(TIME)


def _time(text: Any, name: str) -> datetime:
    """MailerQ's parser is strict about the format."""
    if not isinstance(text, str) or not re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", text):
        raise Refused("process", "invalid", f"{name} is not YYYY-MM-DD HH:MM:SS: {text!r}")
    try:
        return datetime.strptime(text, TIME).replace(tzinfo=UTC)
    except ValueError as wrong:
        raise Refused("process", "invalid", f"{name}: {wrong}") from None


def _check_text(mime: str) -> None:
    if "\r\n\r\n" not in mime:
        raise Refused("process", "invalid", "mime has no end of its header")
    if re.search(r"(?<!\r)\n|\r(?!\n)|\0", mime):
        raise Refused("process", "invalid", "mime has a bare LF, a bare CR or a NUL")


def _check_ips(document: dict[str, Any], bound: frozenset[str] | None, complaints: list[str]) -> None:
    if "ips" not in document:
        return
    ips = document["ips"]
    if not isinstance(ips, list):
        complaints.append(f"ips is not an array, and is ignored: {ips!r}")
        return
    try:
        usable = [str(ipaddress.ip_address(ip)) for ip in ips if isinstance(ip, str)]
    except ValueError as wrong:
        raise Refused("process", "error", f"ips: {wrong}") from None
    if len(usable) != len(ips):
        complaints.append(f"ips has something that is not a text: {ips!r}")
    if bound is not None:
        usable = [ip for ip in usable if ip in bound]
    if not usable:
        raise Refused("process", "error", "none of ips is bound to this host")


def _check_types(document: dict[str, Any]) -> None:
    def texts(value: Any) -> bool:
        return isinstance(value, list) and all(isinstance(element, str) for element in value)

    def integer(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool)

    def queues(value: Any) -> bool:
        return isinstance(value, dict) and set(value) <= set(QUEUES) and all(
            name is None or (isinstance(name, str) and name != "") for name in value.values()
        )  # fmt: skip

    wanted = {
        "tags": texts, "priority": integer, "queues": queues, "maxattempts": integer,
        "retries": lambda value: isinstance(value, list) and all(map(integer, value)),
        "keepmime": lambda value: isinstance(value, bool), "force": lambda value: isinstance(value, bool),
        "inlinecss": lambda value: isinstance(value, bool), "pool": lambda value: isinstance(value, str),
        "data": lambda value: isinstance(value, dict), "headers": lambda value: isinstance(value, dict),
        "dsn": lambda value: isinstance(value, dict), "smarthost": lambda value: isinstance(value, dict),
        "dkim": lambda value: isinstance(value, (dict, list)),
        "security": lambda value: value in ("optional", "opportunistic", "required", "verified"),
    }  # fmt: skip
    for name, fits in wanted.items():
        if name in document and not fits(document[name]):
            raise Refused("process", "invalid", f"{name} has the wrong type: {document[name]!r}")


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
