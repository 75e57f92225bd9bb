"""The SMTP side: one attempt to hand a message to the sink, told in the words of a MailerQ attempt."""

from __future__ import annotations

import contextlib
import re
import smtplib
import socket
from dataclasses import dataclass
from typing import Any

from .document import now_text
from .script import Bounce, Defer, Lose

SUCCESS, PERMANENT, TEMPORARY = "success", "permanent", "temporary"

_MESSAGES_PER_CONNECTION = 100


@dataclass(frozen=True)
class Attempt:
    verdict: str
    report: dict[str, Any]
    """The element of `results`."""


class Remote:
    """Keeps its connection from message to message, as MailerQ does. Belongs to one thread."""

    def __init__(self, host: str, port: int, timeout: float = 10) -> None:
        self._address = (host, port)
        self._timeout = timeout
        self._client: smtplib.SMTP | None = None
        self._banner, self._messages, self._bytes = "", 0, 0

    def deliver(self, sender: str, recipient: str, raw: bytes) -> Attempt:
        state = "connect"
        try:
            client = self._client or self._connected()
            self._client, state = client, "mailfrom"
            reply = client.mail(sender, self._options(client, sender, recipient, raw))
            if reply[0] == 250:
                state = "rcptto"
                reply = client.rcpt(recipient)
            if reply[0] in (250, 251):
                state = "data"
                reply = client.data(raw)
                state = "message"
            attempt = self._reported(state, reply, len(raw))
            if attempt.verdict != SUCCESS:
                client.rset()
        except smtplib.SMTPDataError as refused:
            attempt = self._reported(state, (refused.smtp_code, refused.smtp_error), 0)
            self.close()
        except (smtplib.SMTPException, OSError) as lost:
            attempt = self._lost(state, lost)
            self.close()
        if self._messages >= _MESSAGES_PER_CONNECTION:
            self.close()
        return attempt

    def close(self) -> None:
        if self._client is not None:
            with contextlib.suppress(smtplib.SMTPException, OSError):
                self._client.quit()
            self._client.close()
            self._client = None

    def _connected(self) -> smtplib.SMTP:
        client = smtplib.SMTP(timeout=self._timeout, local_hostname="mailerq.test")
        code, banner = client.connect(*self._address)
        self._banner, self._messages, self._bytes = banner.decode(errors="replace"), 0, 0
        if code != 220:
            client.close()
            raise smtplib.SMTPConnectError(code, banner)
        client.ehlo_or_helo_if_needed()
        return client

    def _options(self, client: smtplib.SMTP, sender: str, recipient: str, raw: bytes) -> list[str]:
        head = raw.partition(b"\r\n\r\n")[0]
        options = []
        if not raw.isascii() and client.has_extn("8bitmime"):
            options.append("BODY=8BITMIME")
        if not (sender + recipient).isascii() or not head.isascii():
            options.append("SMTPUTF8")
            client.command_encoding = "utf-8"
        return options

    def _where(self) -> dict[str, Any]:
        """Absent when no TCP connection was made."""
        if self._client is None or self._client.sock is None:
            return {}
        local, remote = self._client.sock.getsockname()[0], self._client.sock.getpeername()[0]
        return {"mta": self._banner.split(" ")[0], "from": local, "to": remote, "messages": self._messages}

    def _reported(self, state: str, reply: tuple[int, bytes | str], size: int) -> Attempt:
        code, said = reply
        text = (said.decode(errors="replace") if isinstance(said, bytes) else said).replace("\n", " ")
        success = state == "message" and code == 250
        if success:
            self._messages += 1
            self._bytes += size
        report = {"state": state, "result": "accepted" if success else "error", "time": now_text(), **self._where()}
        report |= {"sent": {"connection": self._bytes, "data": size if success else 0}, **_reply(code, text)}
        return Attempt(SUCCESS if success else PERMANENT if code >= 500 else TEMPORARY, report)

    def _lost(self, state: str, error: Exception) -> Attempt:
        result = "timeout" if isinstance(error, TimeoutError) else "lost"
        report: dict[str, Any] = {"state": state, "result": result, "time": now_text()}
        if isinstance(error, smtplib.SMTPResponseException):
            text = error.smtp_error
            report |= _reply(error.smtp_code, text.decode(errors="replace") if isinstance(text, bytes) else text)
        elif isinstance(error, (ConnectionRefusedError, socket.gaierror)):
            report["result"] = "error"
        else:
            report |= self._where()
        return Attempt(TEMPORARY, report)


def scripted(outcome: Bounce | Defer | Lose) -> Attempt:
    """What a remote host that is not there would have said."""
    report: dict[str, Any] = {"state": outcome.state, "time": now_text()}
    if isinstance(outcome, Lose):
        return Attempt(TEMPORARY, report | {"result": outcome.result})
    report |= {"result": "error", "mta": "mx.scripted.test", "from": "127.0.0.1", "to": "192.0.2.25", "messages": 0}
    report |= {"code": outcome.code, "status": outcome.status, "description": outcome.text}
    return Attempt(PERMANENT if isinstance(outcome, Bounce) else TEMPORARY, report)


def _reply(code: int, text: str) -> dict[str, Any]:
    """Absent when there was no reply."""
    if code <= 0:
        return {}
    found = re.match(r"([245]\.\d{1,3}\.\d{1,3})\s+", text)
    enhanced = {"status": found.group(1)} if found else {}
    return {"code": code, **enhanced, "description": text[found.end() :] if found else text}
