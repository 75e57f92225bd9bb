"""Load from both doors, with a ledger of what Postern said yes to.

Each submission has a word of its own that stands in its recipient's address, so that the send log can be held against
the ledger afterwards. Half of the submissions carry an Idempotency-Key and are handed in again until there is an
answer, as a careful client does; the other half are handed in once, and an answer that never came decides nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import smtplib
import threading
from collections import Counter
from dataclasses import dataclass

import requests

from .api import Api
from .mail import plain, token
from .postern import Postern
from .smtp import SMTPSession
from .waiting import until

# "Not now": nothing has been accepted, and nothing is wrong.
_LATER_HTTP = {503, 429}
_LATER_SMTP = {421, 450, 451, 452}

_LOST = (requests.RequestException, smtplib.SMTPException, OSError)


@dataclass(frozen=True)
class Item:
    recipient: str
    careful: bool
    body: str
    raw: bytes
    """What goes in by SMTP: the same at each try, as whoever repeats a submission repeats all of it."""

    @property
    def key(self) -> dict[str, str]:
        return {"Idempotency-Key": self.recipient} if self.careful else {}


class Load:
    """`run` sets the clients going, `pause` lets them finish what they are at; leaving the context ends them."""

    def __init__(self, postern: Postern, *, http: int = 2, smtp: int = 2) -> None:
        self._postern = postern
        self._word = token("load")
        self._serial = itertools.count()
        self._lock = threading.Lock()
        self._running, self._ended = threading.Event(), threading.Event()
        self.accepted: dict[str, tuple[str, Item]] = {}
        """By recipient: the id that Postern named in its yes."""
        self.doors: Counter[str] = Counter()
        self.mistakes: list[str] = []
        """Answers that are neither yes nor "not now"."""
        self._threads = [threading.Thread(target=self._http_client, daemon=True) for _ in range(http)]
        self._threads += [threading.Thread(target=self._smtp_client, daemon=True) for _ in range(smtp)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._running.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), "a client of the load does not come back"

    def run(self) -> None:
        self._running.set()

    def pause(self) -> None:
        self._running.clear()

    def reach(self, total: int, timeout: float = 30) -> None:
        """Waits until that many messages have been accepted in all."""
        until(lambda: len(self.accepted) >= total, f"{total} messages are accepted", timeout)

    def verify(
        self, postern: Postern, end_states: frozenset[str] = frozenset({"captured"}), timeout: float = 60
    ) -> None:
        """Holds the send log against the ledger: nothing lost, nothing twice, everything at its end."""
        rows: list[dict] = []

        def ended() -> bool:
            nonlocal rows
            rows = postern.all_messages(q=self._word)
            open_rows = [row for row in rows if row["status"] not in end_states]
            assert not open_rows, f"{len(open_rows)} of {len(rows)} have not ended, such as {open_rows[0]}"
            return True

        until(ended, "every message in the log has reached an end state", timeout)
        by_id = {row["id"]: row for row in rows}
        assert len(by_id) == len(rows), "the log lists a message twice"
        lost = [id for id, _ in self.accepted.values() if id not in by_id]
        assert not lost, f"{len(lost)} accepted messages of {len(self.accepted)} are lost: {lost[:5]}"
        copies = Counter(row["recipient"] for row in rows)
        repeated = [recipient for recipient, count in copies.items() if count > 1]
        assert not repeated, f"{len(repeated)} submissions became several messages: {repeated[:5]}"
        for id, item in list(self.accepted.values())[:: max(1, len(self.accepted) // 50)]:
            assert by_id[id]["recipient"] == item.recipient
            assert item.body.encode() in postern.raw(id), f"{id} is not what was handed in"

    # The clients

    def _next(self) -> Item | None:
        """A submission, once there should be one; None when all is over."""
        self._running.wait()
        if self._ended.is_set():
            return None
        number = next(self._serial)
        word = f"{self._word}-{number:06}"
        body = "\r\n".join(hashlib.sha256(f"{word}{line}".encode()).hexdigest() for line in range(10))
        recipient, careful = f"{word}@receiver.test", number % 2 == 0
        extra = f"Idempotency-Key: {recipient}\r\n" if careful else ""
        return Item(recipient, careful, body, plain("Load", body=body + "\r\n", extra=extra))

    def _took(self, item: Item, id: str, door: str) -> None:
        with self._lock:
            self.accepted[item.recipient] = (id, item)
            self.doors[door] += 1

    def _wrong(self, what: str) -> None:
        with self._lock:
            self.mistakes.append(what)

    def _http_client(self) -> None:
        caller = Api(self._postern.url, self._postern.authorization)
        while item := self._next():
            body = {"from": "ada@example.com", "to": [item.recipient], "subject": "Load", "text": item.body}
            while True:
                try:
                    answer = caller.api("POST", "/v1/messages", json=body, headers=item.key, timeout=15)
                    if answer.status_code == 202:
                        self._took(item, answer.json()["messages"][0]["id"], "http")
                        break
                    if answer.status_code not in _LATER_HTTP:
                        self._wrong(f"HTTP {answer.status_code}: {answer.text[:500]}")
                        break
                except _LOST:
                    pass
                if not item.careful or not self._once_more():
                    break
        caller.close()

    def _smtp_client(self) -> None:
        login = (self._postern.card["smtp"]["username"], self._postern.card["smtp"]["password"])
        item = self._next()
        while item is not None:
            try:
                # In clear on the loopback address: what is tested is the yes, not the handshake.
                with SMTPSession.opened(self._postern.smtp_port, None, login) as session:
                    while item is not None:
                        item = self._next() if self._submit(session, item) else item
            except smtplib.SMTPAuthenticationError as refused:
                if refused.smtp_code not in _LATER_SMTP:
                    self._wrong(f"SMTP {refused}")
                    return
            except _LOST:
                if item is not None and not (item.careful and self._once_more()):
                    item = self._next()

    def _submit(self, session: SMTPSession, item: Item) -> bool:
        """True when this item is done with; an exception when the connection is lost."""
        result = session.submit("ada@example.com", [item.recipient], item.raw)
        if result.data is not None and result.data.code == 250:
            self._took(item, result.accepted_id, "smtp")
            return True
        refused = result.refusal
        if refused.code not in _LATER_SMTP:
            self._wrong(f"SMTP {refused}")
            return True
        if refused.code == 421:
            raise ConnectionError(str(refused))
        return not item.careful

    def _once_more(self) -> bool:
        """Waits until trying again makes sense: while the load is paused the server may be down."""
        with contextlib.suppress(AssertionError):
            until(self._may_try, "the server may be there again", 60)
        return not self._ended.is_set()

    def _may_try(self) -> bool:
        return self._ended.is_set() or (self._running.is_set() and self._postern.http_is_open())
