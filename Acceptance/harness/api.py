"""Postern's HTTP door as one caller sees it."""

from __future__ import annotations

import base64
from typing import Any

import requests

from .waiting import until


class Api:
    """One caller's view: an address and an `Authorization` value (`Bearer ak_…`, `Basic …` or none)."""

    def __init__(self, url: str, authorization: str | None) -> None:
        self.url = url.rstrip("/")
        self.authorization = authorization
        self._session = requests.Session()
        self._session.trust_env = False

    @classmethod
    def with_key(cls, url: str, key: str) -> Api:
        return cls(url, f"Bearer {key}")

    @classmethod
    def with_password(cls, url: str, username: str, password: str) -> Api:
        return cls(url, "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode())

    def close(self) -> None:
        self._session.close()

    def api(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, **arguments: Any
    ) -> requests.Response:
        """The answer, whatever it is. `arguments` are those of `requests` (`json`, `data`, `params`, `timeout`)."""
        sent = {"Authorization": self.authorization} if self.authorization else {}
        sent.update(headers or {})
        arguments.setdefault("timeout", 60)
        return self._session.request(method, self.url + path, headers=sent, **arguments)

    def call(self, method: str, path: str, *, expect: int = 200, **arguments: Any) -> Any:
        """The decoded JSON of an answer that has to have the status `expect` (None for 204)."""
        answer = self.api(method, path, **arguments)
        assert answer.status_code == expect, f"{method} {path}: {describe(answer)}, expected {expect}"
        return answer.json() if answer.content else None

    def problem(self, method: str, path: str, status: int | set[int], code: str | set[str], **arguments: Any) -> dict:
        """The problem document (RFC 9457) of an answer that has to be that refusal, checked for its fixed parts."""
        answer = self.api(method, path, **arguments)
        statuses = {status} if isinstance(status, int) else status
        codes = {code} if isinstance(code, str) else code
        assert answer.status_code in statuses, f"{method} {path}: {describe(answer)}, expected {sorted(statuses)}"
        assert answer.headers["Content-Type"].split(";")[0] == "application/problem+json", describe(answer)
        document = answer.json()
        assert document["code"] in codes, f"{method} {path}: {describe(answer)}, expected {sorted(codes)}"
        assert document["status"] == answer.status_code
        for part in ("title", "detail", "fix", "docs"):
            assert isinstance(document.get(part), str) and document[part], f"no {part!r} in {document}"
        assert answer.headers.get("X-Request-Id"), "a refusal has to carry its X-Request-Id"
        return document

    # Messages

    def send(self, *, expect: int = 202, key: dict[str, str] | None = None, **fields: Any) -> dict:
        """POST /v1/messages; what is not given gets a value that is accepted. `sender` stands for `from`, and `key` is
        the request's Idempotency-Key field."""
        body = {"from": fields.pop("sender", "Ada <ada@example.com>"), "to": ["bob@receiver.test"], "subject": "Hello"}
        if "html" not in fields:
            body["text"] = "Hello there.\n"
        body.update(fields)
        return self.call("POST", "/v1/messages", expect=expect, json=body, headers=key)

    def send_mime(self, raw: bytes, *, sender: str | None = None, to: list[str] | None = None, expect: int = 202,
                  headers: dict[str, str] | None = None) -> dict:  # fmt: skip
        """POST /v1/send/mime; without `sender` and `to` the envelope comes from the header."""
        query = ([("from", sender)] if sender else []) + [("to", recipient) for recipient in to or []]
        content = {"Content-Type": "message/rfc822", **(headers or {})}
        return self.call("POST", "/v1/send/mime", expect=expect, params=query, data=raw, headers=content)

    def message(self, id: str) -> dict:
        return self.call("GET", f"/v1/messages/{id}")

    def raw(self, id: str) -> bytes:
        answer = self.api("GET", f"/v1/messages/{id}/raw")
        assert answer.status_code == 200, describe(answer)
        assert answer.headers["Content-Type"].split(";")[0] == "message/rfc822"
        return answer.content

    def events(self, id: str) -> list[dict]:
        return self.call("GET", f"/v1/messages/{id}/events")["data"]

    def event_types(self, id: str) -> list[str]:
        return [event["type"] for event in self.events(id)]

    def wait_status(self, id: str, wanted: str | set[str], timeout: float = 15.0) -> dict:
        """The message once its status is one of `wanted`."""
        statuses = {wanted} if isinstance(wanted, str) else wanted

        def seen() -> dict:
            message = self.message(id)
            assert message["status"] in statuses, f"{message['status']}, events: {self.event_types(id)}"
            return message

        return until(seen, f"{id} is {' or '.join(sorted(statuses))}", timeout)

    def all_messages(self, **query: Any) -> list[dict]:
        """Every row of the send log that the query selects, newest first, page after page."""
        rows: list[dict] = []
        query.setdefault("limit", 200)
        while True:
            page = self.call("GET", "/v1/messages", params=query)
            rows += page["data"]
            if not page["next_cursor"]:
                return rows
            query["cursor"] = page["next_cursor"]

    def message_ids(self) -> set[str]:
        return {row["id"] for row in self.all_messages()}

    # Settings

    def set(self, **settings: Any) -> dict:
        """PATCH /v1/settings; None unsets."""
        return self.call("PATCH", "/v1/settings", json=settings)

    def settings(self) -> dict[str, dict]:
        """Each setting with its value and where that comes from."""
        return self.call("GET", "/v1/settings")["settings"]


def describe(answer: requests.Response) -> str:
    return f"{answer.status_code} {answer.headers.get('Content-Type', '')} {answer.text[:2000]}"


def ids(accepted: dict) -> list[str]:
    """The message ids in a 202, one for each recipient."""
    return [message["id"] for message in accepted["messages"]]


def only_id(accepted: dict) -> str:
    (single,) = ids(accepted)
    return single
