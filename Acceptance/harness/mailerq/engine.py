"""The stand-in itself: from the outbox to the sink, and back into the result queues.

One thread owns the broker connection and the SMTP connection. A message is acked when all that came of it has been
confirmed by the broker, so that the stand-in loses nothing and, like MailerQ, may do something twice.
"""

from __future__ import annotations

import contextlib
import fnmatch
import functools
import gzip
import json
import re
import ssl
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pika
import pika.exceptions
from pika.adapters.blocking_connection import BlockingChannel

from harness.waiting import until

from . import mime, remote, results
from .document import Document, Refused, decoded, now_text, read
from .remote import Attempt, Remote
from .rest import Rest
from .script import Die, Outcome

_RECONNECT = 0.2


@dataclass(frozen=True)
class Received:
    """A message that came out of the outbox, as it came."""

    body: bytes
    document: dict[str, Any]
    properties: pika.BasicProperties
    redelivered: bool
    at: float

    @property
    def attempts(self) -> int:
        """How often it has been attempted before: 0 for what Postern has published."""
        return len(self.document.get("results", []))

    @property
    def ours(self) -> dict[str, Any]:
        """The property that Postern recognises its messages by."""
        return self.document["postern"]


@dataclass(frozen=True)
class Published:
    """A result that went out."""

    queue: str
    document: dict[str, Any]
    at: float


class StandIn:
    """Starts with the context, ends with it. `url` is the broker's, `sink` the host and port that mail goes to.

    A queue that is None is not published to. `retry_interval` stands for MailerQ's list of them, in seconds.
    """

    def __init__(
        self,
        url: str,
        sink: tuple[str, int],
        *,
        ca: Path | None = None,
        outbox: str = "outbox",
        inbox: str | None = None,
        results: str | None = None,
        success: str | None = "success",
        failure: str | None = "failure",
        retry: str | None = "retry",
        declare: bool = False,
        prefetch: int = 1000,
        retry_interval: float = 1,
        max_attempts: int = 0,
        max_delivery_time: float = 86400,
        bound_ips: frozenset[str] | None = None,
        refuses: str | None = None,
        token: str = "mailerq-token",
        login: tuple[str, str] = ("mailerq", "mailerq-password"),
        http_port: int | None = None,
        out: Callable[[str], None] | None = None,
    ) -> None:
        self._parameters = pika.URLParameters(url)
        if ca is not None:
            self._parameters.ssl_options = pika.SSLOptions(ssl.create_default_context(cafile=ca), "localhost")
        self._parameters.heartbeat = 30
        self._sink = sink
        self.outbox, self.inbox = outbox, inbox or outbox
        self.queues = {"results": results, "success": success, "failure": failure, "retry": retry}
        self._declare, self._prefetch = declare, prefetch
        self._retry_interval, self._max_attempts = retry_interval, max_attempts
        self._max_delivery_time, self._bound_ips = max_delivery_time, bound_ips
        self._out = out or (lambda line: None)

        # What a test may change at any time.
        self.refuses = refuses
        """The structure of `mime` that cannot be converted: `canonical` or `responsive`."""
        self.old_format = False
        """Results as MailerQ 3.0 wrote them."""
        self.gzip = False
        """Results and re-publications compressed (rabbitmq-encoding)."""
        self.copies = 1
        """How often each result is published."""
        self.delay = 0.0
        """Seconds between taking a message and attempting it."""

        self._lock = threading.Lock()
        self._scripts: dict[str, deque[Outcome]] = defaultdict(deque)
        self._always: dict[str, Outcome] = {}
        self._received: list[Received] = []
        self._published: list[Published] = []
        self._complaints: list[str] = []
        self._held: dict[str, list[dict[str, Any]]] = {}
        self._first_seen: dict[str, float] = {}
        self._wanted, self._connected = threading.Event(), threading.Event()
        self._over = False
        self._connection: pika.BlockingConnection | None = None
        self._channel: BlockingChannel | None = None
        self._thread = threading.Thread(target=self._run, name="mailerq", daemon=True)
        self.rest = Rest(self, token, login, http_port)

    def __enter__(self) -> StandIn:
        self._wanted.set()
        self._thread.start()
        self.rest.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.rest.stop()
        self._over = True
        self.kill()
        self._wanted.set()
        self._thread.join(30)
        assert not self._thread.is_alive(), "the stand-in does not come back"

    # Life

    def kill(self) -> None:
        """Gone from the broker, with everything un-acked; `revive` brings it back."""
        self._wanted.clear()
        with contextlib.suppress(AttributeError, pika.exceptions.AMQPError):
            self._connection.add_callback_threadsafe(lambda: None)  # type: ignore[union-attr]
        until(lambda: not self._connected.is_set(), "the stand-in has left the broker", 30)

    def revive(self) -> None:
        self._wanted.set()

    def wait_consuming(self, timeout: float = 30) -> None:
        until(self._connected.is_set, "the stand-in consumes the outbox", timeout)

    # The script

    def on(self, recipient: str, *outcomes: Outcome) -> None:
        """The next attempts for that recipient go that way, one each; later ones go to the sink."""
        with self._lock:
            self._scripts[recipient.lower()].extend(outcomes)

    def always(self, pattern: str, outcome: Outcome | None) -> None:
        """Every attempt for recipients that match (`*@bounce.test`) goes that way, until None is given."""
        with self._lock:
            if outcome is None:
                self._always.pop(pattern.lower(), None)
            else:
                self._always[pattern.lower()] = outcome

    def hold(self, *queues: str) -> None:
        """What would go into these queues is kept back until `release`."""
        with self._lock:
            for queue in queues:
                self._held.setdefault(queue, [])

    def held(self, queue: str) -> list[dict[str, Any]]:
        with self._lock:
            return list(self._held.get(queue, []))

    def release(self, *queues: str, backwards: bool = False) -> None:
        """Publishes what was kept back, in the order of the arguments; `backwards`, the last first in each."""
        for queue in queues:
            with self._lock:
                kept = self._held.pop(queue, [])
            for document in reversed(kept) if backwards else kept:
                self.on_thread(functools.partial(self._send, queue, document))

    # What came and went

    @property
    def received(self) -> list[Received]:
        with self._lock:
            return list(self._received)

    @property
    def published(self) -> list[Published]:
        with self._lock:
            return list(self._published)

    @property
    def complaints(self) -> list[str]:
        """What MailerQ would have put up with and a test should not."""
        with self._lock:
            return list(self._complaints)

    def forget_complaints(self) -> None:
        """For a test that has caused them on purpose."""
        with self._lock:
            self._complaints.clear()

    def to(self, recipient: str) -> list[Received]:
        return [one for one in self.received if str(one.document.get("recipient", "")).lower() == recipient.lower()]

    def took(self, recipient: str, timeout: float = 20) -> Received:
        """The first message for that recipient, waited for."""
        return until(lambda: self.to(recipient), f"the outbox has had a message for {recipient}", timeout)[0]

    def results_for(self, recipient: str) -> list[Published]:
        return [one for one in self.published if str(one.document.get("recipient", "")).lower() == recipient.lower()]

    # Publishing for others

    def inject(self, document: dict[str, Any], http: dict[str, Any]) -> None:
        """What POST /v1/inject does: into the inbox queue, with where it came from."""
        self.on_thread(functools.partial(self._send, self.inbox, {**document, "http": http}))

    def on_thread(self, action: Callable[[], None], timeout: float = 20) -> None:
        """Runs on the thread that owns the connection; ConnectionError when there is none."""
        done = threading.Event()
        failed: list[Exception] = []

        def run() -> None:
            try:
                action()
            except Exception as error:
                failed.append(error)
            finally:
                done.set()

        connection = self._connection
        if connection is None or not self._connected.is_set():
            raise ConnectionError("the broker is not connected")
        try:
            connection.add_callback_threadsafe(run)
        except pika.exceptions.AMQPError as lost:
            raise ConnectionError(str(lost)) from None
        if not done.wait(timeout) or failed:
            raise ConnectionError(f"not published: {failed or 'no confirm'}")

    # The thread

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            if self._over:
                return
            smtp = Remote(*self._sink)
            try:
                with self._session(smtp) as connection:
                    while self._wanted.is_set() and not self._over:
                        connection.process_data_events(time_limit=0.2)
            except _Died:
                pass
            except (pika.exceptions.AMQPError, OSError) as lost:
                self._out(f"broker: {lost!r}")
            finally:
                self._connected.clear()
                smtp.close()
            if self._wanted.is_set() and not self._over:
                threading.Event().wait(_RECONNECT)

    @contextlib.contextmanager
    def _session(self, smtp: Remote) -> Iterator[pika.BlockingConnection]:
        connection = pika.BlockingConnection(self._parameters)
        try:
            channel = connection.channel()
            if self._declare:
                for queue in {self.outbox, self.inbox, *filter(None, self.queues.values())}:
                    channel.queue_declare(queue, durable=True)
            channel.confirm_delivery()
            channel.basic_qos(prefetch_count=self._prefetch)
            channel.add_on_cancel_callback(_queue_is_gone)
            channel.basic_consume(self.outbox, functools.partial(self._take, smtp))
            self._connection, self._channel = connection, channel
            self._connected.set()
            yield connection
        finally:
            self._connection = self._channel = None
            # What is un-acked goes back to its queue.
            with contextlib.suppress(pika.exceptions.AMQPError, OSError):
                connection.close()

    def _take(self, smtp: Remote, channel: BlockingChannel, method: Any, properties: Any, body: bytes) -> None:
        try:
            plain = gzip.decompress(body) if properties.content_encoding == "gzip" else body
            document, complaints = decoded(plain)
        except (ValueError, OSError, EOFError) as garbage:
            self._complain(f"not a message: {garbage}: {body[:200]!r}")
            channel.basic_ack(method.delivery_tag)
            return
        with self._lock:
            self._received.append(Received(body, document, properties, method.redelivered, time.monotonic()))
        for complaint in [*complaints, *_envelope_complaints(document, properties)]:
            self._complain(f"{document.get('recipient')}: {complaint}")
        self._in(self.delay, functools.partial(self._consider, smtp, channel, method.delivery_tag, document))

    def _consider(self, smtp: Remote, channel: BlockingChannel, tag: int, document: dict[str, Any]) -> None:
        """Refuses, waits or attempts."""
        attempts = list(document.get("results", []))
        try:
            message = read(document, bound=self._bound_ips)
            raw = mime.rendered(message.mime, message.recipient, self.refuses)
        except Refused as refused:
            self._complain(f"{document.get('recipient')}: {refused.description}")
            report = {"state": refused.state, "result": refused.result, "time": now_text()}
            report["description"] = refused.description
            self._finish(channel, tag, document, None, None, Attempt(remote.PERMANENT, report))
            return
        if not attempts:
            for complaint in message.complaints:
                self._complain(f"{message.recipient}: {complaint}")
        now, give_up = datetime.now(UTC), self._give_up(message)
        most = document.get("maxattempts", self._max_attempts)
        if now >= give_up or (most and len(attempts) >= most):
            report = {"state": "process", "result": "timeout", "time": now_text()}
            self._finish(channel, tag, document, message, raw, Attempt(remote.PERMANENT, report))
        elif message.not_before is not None and message.not_before > now:
            # Held un-acked until then.
            wait = (min(message.not_before, give_up) - now).total_seconds()
            self._in(wait, functools.partial(self._consider, smtp, channel, tag, document))
        else:
            self._attempt(smtp, channel, tag, document, message, raw)

    def _attempt(self, smtp: Remote, channel: BlockingChannel, tag: int, document: dict[str, Any],
                 message: Document, raw: bytes) -> None:  # fmt: skip
        outcome = self._next_outcome(message.recipient)
        if outcome is None or isinstance(outcome, Die):
            attempt = smtp.deliver(message.envelope, message.recipient, raw)
        else:
            attempt = remote.scripted(outcome)
        if outcome == Die("results"):
            raise _Died
        self._out(f"{message.recipient}: {attempt.verdict} {json.dumps(attempt.report, ensure_ascii=False)}")
        if attempt.verdict == remote.TEMPORARY:
            self._postpone(channel, tag, document, message, raw, attempt)
        else:
            self._finish(channel, tag, document, message, raw, attempt, dies=outcome == Die("ack"))

    def _postpone(self, channel: BlockingChannel, tag: int, document: dict[str, Any], message: Document, raw: bytes,
                  attempt: Attempt) -> None:  # fmt: skip
        """Back to the outbox with a time, and a copy to the retry queue. Not to results."""
        attempts = [*document.get("results", []), attempt.report]
        intervals = document.get("retries") or [self._retry_interval]
        wait = intervals[min(len(attempts), len(intervals)) - 1]
        again = {**document, "results": attempts}
        again["nextattempt"] = {"time": now_text(datetime.now(UTC) + timedelta(seconds=wait))}
        self._send(self.outbox, again)
        self._report(message.queue("retry", self.queues["retry"]), again, attempts, raw)
        channel.basic_ack(tag)

    def _finish(self, channel: BlockingChannel, tag: int, document: dict[str, Any], message: Document | None,
                raw: bytes | None, attempt: Attempt, *, dies: bool = False) -> None:  # fmt: skip
        attempts = [*document.get("results", []), attempt.report]
        kind = "success" if attempt.verdict == remote.SUCCESS else "failure"
        for name in ("results", kind):
            queue = message.queue(name, self.queues[name]) if message is not None else self.queues[name]
            self._report(queue, document, attempts, raw)
        if dies:
            raise _Died
        channel.basic_ack(tag)

    def _report(self, queue: str | None, document: dict[str, Any], attempts: list[dict[str, Any]],
                raw: bytes | None) -> None:  # fmt: skip
        if queue is None:
            return
        told = results.result(document, attempts, raw, old=self.old_format)
        for _ in range(self.copies):
            with self._lock:
                held = self._held.get(queue)
                if held is not None:
                    held.append(told)
                    continue
            self._send(queue, told)

    def _send(self, queue: str, document: dict[str, Any]) -> None:
        body = json.dumps(document, ensure_ascii=False).encode()
        priority = document.get("priority")
        properties = pika.BasicProperties(
            delivery_mode=2, priority=min(priority, 255) if isinstance(priority, int) and priority >= 0 else None,
            content_encoding="gzip" if self.gzip else None,
        )  # fmt: skip
        if self._channel is None:
            raise pika.exceptions.ConnectionClosed(0, "no connection")
        body = gzip.compress(body) if self.gzip else body
        try:
            self._channel.basic_publish("", queue, body, properties, mandatory=True)
        except pika.exceptions.UnroutableError:
            self._complain(f"no queue {queue}: a message for {document.get('recipient')} is lost")
        with self._lock:
            self._published.append(Published(queue, document, time.monotonic()))

    def _in(self, seconds: float, action: Callable[[], None]) -> None:
        if seconds <= 0:
            action()
        elif self._connection is not None:
            self._connection.call_later(seconds, action)

    def _give_up(self, message: Document) -> datetime:
        if message.give_up is not None:
            return message.give_up
        with self._lock:
            known = json.dumps(message.json.get("postern")) + message.recipient
            seen = self._first_seen.setdefault(known, time.time())
        return datetime.fromtimestamp(seen, UTC) + timedelta(seconds=self._max_delivery_time)

    def _next_outcome(self, recipient: str) -> Outcome | None:
        with self._lock:
            script = self._scripts.get(recipient.lower())
            if script:
                return script.popleft()
            for pattern, outcome in self._always.items():
                if fnmatch.fnmatch(recipient.lower(), pattern):
                    return outcome
            return None

    def _complain(self, what: str) -> None:
        with self._lock:
            self._complaints.append(what)
        self._out(f"complaint: {what}")


class _Died(Exception):
    """The script says that the stand-in ends here."""


def _queue_is_gone(frame: Any) -> None:
    raise pika.exceptions.ConsumerCancelled("the outbox is gone")


def _envelope_complaints(document: dict[str, Any], properties: pika.BasicProperties) -> Iterator[str]:
    """What is odd about the AMQP side of a message, and x-mq- headers wherever they stand."""
    if properties.delivery_mode != 2:
        yield "not persistent"
    if properties.content_encoding not in (None, "gzip", "identity", "utf-8"):
        yield f"content-encoding {properties.content_encoding}"
    if "results" not in document and (properties.priority or 0) != min(document.get("priority") or 0, 255):
        yield f"priority {document.get('priority')} in the JSON, {properties.priority} as a property"
    yield from (f"AMQP header {name}" for name in properties.headers or {} if name.lower().startswith("x-mq-"))
    content = document.get("mime")
    if isinstance(content, str):
        head = content.partition("\r\n\r\n")[0]
        yield from (f"header {name}" for name in re.findall(r"(?im)^x-mq-[!-9;-~]*", head))
    elif isinstance(content, dict) and isinstance(content.get("headers"), dict):
        yield from (f"header {name}" for name in content["headers"] if name.lower().startswith("x-mq-"))
