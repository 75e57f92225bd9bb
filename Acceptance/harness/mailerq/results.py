"""What goes into the result queues: the message's JSON with what became of it. [D:json-results], [D3:json-results]"""

from __future__ import annotations

import copy
from typing import Any

from harness.mail import parsed

# 3.0 knew other words, and wrote states with spaces.
_OLD_STATES = {
    "mailfrom": "mail from", "rcptto": "rcpt to", "message": "accept", "authplain": "auth plain",
    "authlogin": "auth login",
}  # fmt: skip


def result(document: dict[str, Any], attempts: list[dict[str, Any]], raw: bytes | None, *, old: bool) -> dict[str, Any]:
    """All properties of the message, those that MailerQ does not know included, without the mail itself."""
    told = copy.deepcopy(document)
    if not told.get("keepmime", False):
        told.pop("mime", None)
    if old:
        told["results"] = [_old(number, attempt) for number, attempt in enumerate(attempts, start=1)]
        told["domain"] = str(document.get("recipient", "")).rpartition("@")[2]
        return told
    told["results"] = copy.deepcopy(attempts)
    told["extracted"] = _extracted(document, raw)
    return told


def _old(number: int, attempt: dict[str, Any]) -> dict[str, Any]:
    state, result = attempt["state"], attempt["result"]
    if result == "accepted":
        kind = "success"
    elif (state, result) == ("process", "timeout"):
        kind = "expired"
    elif state in ("connect", "responsive", "bind"):
        kind = state
    else:
        kind = result
    told = {"attempt": number, "type": kind, "time": attempt["time"]}
    told |= {name: attempt[name] for name in ("from", "to", "code", "status", "description") if name in attempt}
    # Where it never came to a connection, captured messages have the time and the type only.
    return told | ({"state": _OLD_STATES.get(state, state)} if "to" in attempt else {})


def _extracted(document: dict[str, Any], raw: bytes | None) -> dict[str, Any]:
    def parts(address: Any) -> dict[str, str]:
        local, _, domain = str(address).rpartition("@")
        return {"domain": domain, "local": local}

    told: dict[str, Any] = {"recipient": parts(document.get("recipient", "")), "to": [], "headers": {}}
    if document.get("envelope"):
        told["envelope"] = parts(document["envelope"])
    if raw is not None:
        message = parsed(raw)
        told["headers"] = {name: str(value) for name, value in message.items()}
        told["from"], told["subject"] = str(message["From"] or ""), str(message["Subject"] or "")
        told["to"] = [one.addr_spec for field in message.get_all("To", []) for one in field.addresses]
    return told
