"""Smart hosts with a script: each recipient can be told what happens to the attempts to reach it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from .network import LOOPBACK, free_port
from .waiting import until


@dataclass(frozen=True)
class Say:
    """A reply in place of the usual 250, to `rcpt` or at the end of `data`."""

    line: str
    at: str = "rcpt"


@dataclass(frozen=True)
class Hang:
    """Silence, to `rcpt`, or at the end of `data`, until the client gives up or `Peer.release` is called."""

    at: str = "rcpt"


@dataclass(frozen=True)
class Drop:
    """The connection is reset: at `rcpt`, in the `middle` of the data, or `after` them, where a 250 was due."""

    at: str = "rcpt"


Step = Say | Hang | Drop


@dataclass(frozen=True)
class Delivery:
    """A message that the peer has answered with 250, or taken and then dropped the connection (`answered` False)."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    mail_options: tuple[str, ...]
    encrypted: bool
    username: str | None
    answered: bool
    at: float


@dataclass
class _Transaction(Envelope):
    """aiosmtpd's envelope with the step that its first scripted recipient drew."""

    step: Step | None = None

    def __init__(self) -> None:
        super().__init__()
        self.step = None


class Peer:
    """An SMTP server on a free port that accepts everything that no script says otherwise about.

    `starttls` and `implicit` are server contexts; `login` is the one username and password that AUTH takes, and makes
    AUTH required; `without` names EHLO keywords that are not advertised.
    """

    def __init__(
        self,
        *,
        starttls: ssl.SSLContext | None = None,
        implicit: ssl.SSLContext | None = None,
        login: tuple[str, str] | None = None,
        without: frozenset[str] = frozenset(),
        host: str = LOOPBACK,
    ) -> None:
        self.port = free_port()
        self._login = login
        self._without = without
        self._lock = threading.Lock()
        self._scripts: dict[str, deque[Step]] = defaultdict(deque)
        self._always: dict[str, Step] = {}
        self._deliveries: list[Delivery] = []
        self._attempts: dict[str, list[float]] = defaultdict(list)
        self._logins: list[tuple[str, bool]] = []
        self._hanging: list[str] = []
        self._released: asyncio.Event | None = None
        self._controller = _Controller(
            _Handler(self), hostname=host, port=self.port, server_hostname="peer.test", tls_context=starttls,
            ssl_context=implicit, data_size_limit=None, decode_data=False, enable_SMTPUTF8="SMTPUTF8" not in without,
            authenticator=self._authenticate, auth_required=login is not None,
            auth_require_tls=starttls is not None,
        )  # fmt: skip

    def __enter__(self) -> Peer:
        self._controller.start()
        self._released = asyncio.Event()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
        if self._controller.loop.is_running():
            asyncio.run_coroutine_threadsafe(self._controller.hang_up(), self._controller.loop).result(10)
        self._controller.stop()

    # The script

    def on(self, recipient: str, *steps: Step) -> None:
        """The next attempts to reach that recipient go as `steps` say, one each; later ones are accepted."""
        with self._lock:
            self._scripts[recipient.lower()].extend(steps)

    def always(self, recipient: str, step: Step | None) -> None:
        """Every attempt goes that way, until None is given."""
        with self._lock:
            if step is None:
                self._always.pop(recipient.lower(), None)
            else:
                self._always[recipient.lower()] = step

    def release(self) -> None:
        """Lets go of every session that hangs: they are reset."""
        if self._released is not None and self._controller.loop.is_running():
            self._controller.loop.call_soon_threadsafe(self._released.set)

    # What came

    @property
    def deliveries(self) -> list[Delivery]:
        with self._lock:
            return list(self._deliveries)

    def to(self, recipient: str) -> list[Delivery]:
        return [delivery for delivery in self.deliveries if recipient.lower() in map(str.lower, delivery.recipients)]

    def delivered(self, recipient: str, timeout: float = 15) -> Delivery:
        """The first answered delivery to that recipient, waited for."""
        found = until(
            lambda: [delivery for delivery in self.to(recipient) if delivery.answered],
            f"the peer has a message for {recipient}",
            timeout,
        )
        return found[0]

    def attempts(self, recipient: str) -> list[float]:
        """When each RCPT for that recipient came, on the monotonic clock."""
        with self._lock:
            return list(self._attempts[recipient.lower()])

    @property
    def logins(self) -> list[tuple[str, bool]]:
        """Every AUTH: the username and whether it was let in."""
        with self._lock:
            return list(self._logins)

    @property
    def hanging(self) -> list[str]:
        """The recipients whose sessions hang or have hung."""
        with self._lock:
            return list(self._hanging)

    @property
    def connections(self) -> int:
        """How many connections there have been."""
        return self._controller.connections

    # Called on the server's thread

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        offered = (data.login.decode(), data.password.decode())
        success = self._login is not None and offered == self._login
        with self._lock:
            self._logins.append((offered[0], success))
        if success:
            session.login_name = offered[0]  # type: ignore[attr-defined]
        return AuthResult(success=success, handled=False)

    def _next_step(self, recipient: str) -> Step | None:
        with self._lock:
            self._attempts[recipient.lower()].append(time.monotonic())
            script = self._scripts[recipient.lower()]
            return script.popleft() if script else self._always.get(recipient.lower())

    def _keep(self, session: Session, envelope: Envelope, *, answered: bool) -> None:
        with self._lock:
            self._deliveries.append(
                Delivery(
                    sender=envelope.mail_from or "",
                    recipients=tuple(envelope.rcpt_tos),
                    content=bytes(envelope.original_content or b""),
                    mail_options=tuple(envelope.mail_options),
                    encrypted=session.ssl is not None,
                    username=getattr(session, "login_name", None),
                    answered=answered,
                    at=time.monotonic(),
                )
            )

    async def _hang(self, server: SMTP, recipient: str) -> None:
        with self._lock:
            self._hanging.append(recipient)
        assert self._released is not None
        await self._released.wait()
        _reset(server)


class _Handler:
    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname  # type: ignore[assignment]
        kept = [line for line in responses[:-1] if line[4:].split(" ")[0].upper() not in self._peer._without]
        return [*kept, responses[-1]]

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: _Transaction, address: str, options: list[str]
    ) -> str:
        step = self._peer._next_step(address)
        if step is not None and step.at == "rcpt":
            if isinstance(step, Say):
                return step.line
            if isinstance(step, Hang):
                await self._peer._hang(server, address)
            _reset(server)
            return "421 4.3.2 gone"
        envelope.rcpt_tos.append(address)
        envelope.step = envelope.step or step
        return "250 2.1.5 ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: _Transaction) -> str:
        step = envelope.step
        if isinstance(step, Say):
            return step.line
        if isinstance(step, Hang):
            await self._peer._hang(server, envelope.rcpt_tos[0])
            return "421 4.3.2 gone"
        if isinstance(step, Drop):
            self._peer._keep(session, envelope, answered=False)
            _reset(server)
            return "421 4.3.2 gone"
        self._peer._keep(session, envelope, answered=True)
        return "250 2.0.0 kept"


class _Server(SMTP):
    # Longer than RFC 5321's 1001 on purpose: whether Postern keeps to the limit is for a test to find out, by looking.
    line_length_limit = 100_000
    is_over = False

    def _create_envelope(self) -> Envelope:
        return _Transaction()

    async def smtp_DATA(self, arg: str) -> None:
        step = getattr(self.envelope, "step", None)
        if step != Drop("middle"):
            return await super().smtp_DATA(arg)
        await self.push("354 go on")
        await self._reader.read(64)
        _reset(self)

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self.is_over = True


class _Controller(Controller):
    connections = 0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._sessions: list[_Server] = []

    def factory(self) -> SMTP:
        self.connections += 1
        self._sessions = [session for session in self._sessions if not session.is_over]
        self._sessions.append(_Server(self.handler, **self.SMTP_kwargs))
        return self._sessions[-1]

    async def hang_up(self) -> None:
        """Ends every session, so that no socket outlives the server."""
        while any(not session.is_over for session in self._sessions):
            for session in self._sessions:
                _reset(session)
            await asyncio.sleep(0)


def _reset(server: SMTP) -> None:
    if server.transport is not None:
        server.transport.abort()  # type: ignore[attr-defined]


@contextlib.contextmanager
def silent_peer() -> Iterator[int]:
    """The port of a server that accepts connections and never says a word; connections are reset at the end."""
    with socket.create_server((LOOPBACK, free_port()), backlog=64) as listener:
        # The kernel completes the handshakes by itself; nothing here needs to run.
        yield listener.getsockname()[1]


@dataclass
class Outage:
    """A port on which nothing listens until `recover` starts a peer there."""

    peer: Peer = field(default_factory=Peer)

    @property
    def port(self) -> int:
        return self.peer.port

    def recover(self) -> Peer:
        return self.peer.__enter__()

    def end(self) -> None:
        self.peer.__exit__()
