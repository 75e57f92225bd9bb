"""Two SMTP clients: a decent one (smtplib) whose every reply can be seen, and one that sends any bytes at any time."""

from __future__ import annotations

import base64
import contextlib
import re
import smtplib
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

from .mail import MESSAGE_ID
from .network import LOOPBACK
from .tls import untrusting_client


@dataclass(frozen=True)
class Reply:
    code: int
    text: str

    @property
    def enhanced(self) -> str | None:
        """The enhanced status code (RFC 3463) that the first line starts with."""
        found = re.match(r"[245]\.\d{1,3}\.\d{1,3}(?=\s|$)", self.text)
        return found.group() if found else None

    @property
    def ids(self) -> list[str]:
        return MESSAGE_ID.findall(self.text)

    def __str__(self) -> str:
        return f"{self.code} {self.text}"


@dataclass(frozen=True)
class Submission:
    """Every reply of one transaction; `data` is None when no recipient was taken."""

    mail: Reply
    recipients: list[Reply]
    data: Reply | None

    @property
    def accepted_id(self) -> str:
        assert self.data is not None and self.data.code == 250, str(self)
        assert len(self.data.ids) >= 1, f"the 250 has to name the message: {self.data}"
        return self.data.ids[0]

    @property
    def refusal(self) -> Reply:
        """The reply that ended the transaction badly."""
        for reply in [self.mail, *self.recipients, self.data]:
            if reply is not None and reply.code >= 400:
                return reply
        raise AssertionError(f"nothing was refused: {self}")


class SMTPSession:
    """smtplib's client; `submit` shows each reply where smtplib would hide it or raise."""

    def __init__(self, client: smtplib.SMTP) -> None:
        self.client = client

    @classmethod
    @contextlib.contextmanager
    def opened(cls, port: int, tls: str | None, credentials: tuple[str, str] | None) -> Iterator[SMTPSession]:
        context = untrusting_client()
        client: smtplib.SMTP
        if tls == "implicit":
            client = smtplib.SMTP_SSL(LOOPBACK, port, timeout=60, context=context)
        else:
            client = smtplib.SMTP(LOOPBACK, port, timeout=60)
        try:
            if tls == "starttls":
                client.starttls(context=context)
            client.ehlo_or_helo_if_needed()
            if credentials is not None:
                client.login(*credentials)
            yield cls(client)
        finally:
            with contextlib.suppress(smtplib.SMTPException, OSError):
                client.quit()
            client.close()

    def submit(self, sender: str, to: list[str], raw: bytes, options: tuple[str, ...] = ()) -> Submission:
        """One transaction. `raw` goes out as it is, dot-stuffed."""
        if "SMTPUTF8" in options:
            self.client.command_encoding = "utf-8"
        mail = self._reply(*self.client.mail(sender, list(options)))
        if mail.code != 250:
            return Submission(mail, [], None)
        recipients = [self._reply(*self.client.rcpt(recipient)) for recipient in to]
        if not any(reply.code in (250, 251) for reply in recipients):
            self.client.rset()
            return Submission(mail, recipients, None)
        try:
            data = self._reply(*self.client.data(raw))
        except smtplib.SMTPDataError as refused:
            data = self._reply(refused.smtp_code, refused.smtp_error)
        return Submission(mail, recipients, data)

    def command(self, line: str) -> Reply:
        return self._reply(*self.client.docmd(line))

    @staticmethod
    def _reply(code: int, text: bytes | str) -> Reply:
        return Reply(code, text.decode("utf-8", "replace") if isinstance(text, bytes) else text)


class RawSMTP:
    """A socket that knows what a reply looks like and nothing else."""

    def __init__(self, port: int, timeout: float = 20) -> None:
        self._socket: socket.socket = socket.create_connection((LOOPBACK, port), timeout=timeout)
        self._buffer = b""

    def __enter__(self) -> RawSMTP:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def reply(self) -> Reply:
        """The next reply, all its lines; EOFError when the peer has hung up instead."""
        lines: list[str] = []
        while True:
            while b"\r\n" not in self._buffer:
                received = self._socket.recv(65536)
                if not received:
                    raise EOFError(f"hung up; received so far: {lines} {self._buffer!r}")
                self._buffer += received
            line, self._buffer = self._buffer.split(b"\r\n", 1)
            found = re.fullmatch(rb"([2-5]\d\d)(?:([ -])(.*))?", line, re.DOTALL)
            assert found, f"not a reply line: {line!r}"
            lines.append((found.group(3) or b"").decode("utf-8", "replace"))
            if found.group(2) != b"-":
                return Reply(int(found.group(1)), "\n".join(lines))

    def command(self, line: str | bytes) -> Reply:
        self.send((line.encode() if isinstance(line, str) else line) + b"\r\n")
        return self.reply()

    def authenticate(self, username: str, password: str) -> None:
        secret = base64.b64encode(f"\0{username}\0{password}".encode()).decode()
        accepted = self.command(f"AUTH PLAIN {secret}")
        assert (accepted.code, accepted.enhanced) == (235, "2.7.0"), str(accepted)

    def begin_data(self, sender: str = "ada@example.com", to: str = "bob@receiver.test") -> None:
        """The transaction up to and with the 354."""
        for line, code in ((f"MAIL FROM:<{sender}>", 250), (f"RCPT TO:<{to}>", 250), ("DATA", 354)):
            reply = self.command(line)
            assert reply.code == code, f"{line}: {reply}"

    def start_tls(self) -> None:
        """The TLS handshake; whatever the peer had sent in clear before it and was not read is an error."""
        assert self._buffer == b"", f"clear text before the handshake: {self._buffer!r}"
        self._socket = untrusting_client().wrap_socket(self._socket)

    def closed(self) -> bool:
        """Waits for the peer to hang up; False when it says something instead or the time-out passes."""
        if self._buffer:
            return False
        try:
            return self._socket.recv(1) == b""
        except (ConnectionResetError, BrokenPipeError, ssl.SSLError):
            return True
        except TimeoutError:
            return False
