"""MailerQ's REST API v1: injection, and the administrative lists, kept in memory. [D:rest-api-v1]

Bodies of successful POST and DELETE calls are not documented; here they are `{}`. The scope's own three operations
(/api/jobs, /api/queues, /api/results) answer as well, with a list.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from harness.network import LOOPBACK, free_port

if TYPE_CHECKING:
    from .engine import StandIn


@dataclass(frozen=True)
class Call:
    """A request as it came."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    status: int


@dataclass
class Fault:
    """What happens to requests in place of an answer, `times` of them (None: until it is taken away).

    `status` alone is that answer; `redirect` a 302 to that address; `huge` a body of that many bytes; `seconds` silence
    before any of it; `drop` the connection's end in the middle; `after` what `drop` comes after: the work is done.
    """

    status: int = 500
    seconds: float = 0
    redirect: str | None = None
    huge: int = 0
    drop: bool = False
    after: bool = False
    times: int | None = None
    headers: dict[str, str] = field(default_factory=dict)


# name: (the property that tells rows apart, properties that have to be there, all properties)
_LISTS: dict[str, tuple[tuple[str, ...], set[str], set[str]]] = {
    "pauses": (("pool", "mta", "domain", "ip", "tag", "cluster"), set(),
               {"pool", "mta", "domain", "ip", "tag", "cluster", "expire"}),
    "errors": (("pool", "mta", "domain", "tag", "cluster"), {"code"},
               {"code", "extended", "description", "pool", "mta", "domain", "tag", "cluster"}),
    "pools": (("name",), {"name"}, {"name", "description"}),
    "poolips": (("name", "ip"), {"name", "ip"}, {"name", "ip"}),
    "suppressions": (("value",), {"type", "value", "code"}, {"type", "value", "code", "extended", "description"}),
    "externalmtas": (("public_ip",), {"public_ip"},
                     {"public_ip", "local_ip", "connect_ip", "connect_port", "protocol"}),
}  # fmt: skip

_EXCLUSIVE = {"pauses": (("pool", "mta"), ("domain", "ip")), "errors": (("pool", "mta"),)}

_SCOPE_LISTS = ("/api/jobs", "/api/queues", "/api/results")


class Rest:
    def __init__(self, standin: StandIn, token: str, login: tuple[str, str], port: int | None) -> None:
        self._standin = standin
        self.token, self.login = token, login
        self.port = port or free_port()
        self.fault: Fault | None = None
        """What the next requests meet."""
        self._lock = threading.Lock()
        self._calls: list[Call] = []
        self.lists: dict[str, list[dict[str, Any]]] = {name: [] for name in _LISTS}
        self._server: ThreadingHTTPServer | None = None
        self._over = threading.Event()

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def calls(self) -> list[Call]:
        with self._lock:
            return list(self._calls)

    def injections(self) -> list[dict[str, Any]]:
        """The messages of every POST /v1/inject that was let in."""
        return [json.loads(call.body) for call in self.calls
                if (call.method, call.path, call.status) == ("POST", "/v1/inject", 200)]  # fmt: skip

    def start(self) -> None:
        """Also once more, after `stop`: on the same port, with the same lists."""
        rest = self
        self._over.clear()

        class Handler(_Handler):
            service = rest

        self._server = _Server((LOOPBACK, self.port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """From then on nothing listens on the port."""
        self._over.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    # What the handler asks

    def authorized(self, value: str) -> bool:
        basic = base64.b64encode(":".join(self.login).encode()).decode()
        return value in (f"Bearer {self.token}", f"Basic {basic}")

    def next_fault(self) -> Fault | None:
        with self._lock:
            fault = self.fault
            if fault is not None and fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    self.fault = None
            return fault

    def keep(self, call: Call) -> None:
        with self._lock:
            self._calls.append(call)

    def wait(self, seconds: float) -> None:
        self._over.wait(seconds)

    def answer(self, method: str, path: str, query: str, kind: str, body: bytes,
               client: tuple[str, int]) -> tuple[int, Any]:  # fmt: skip
        if path == "/v1/inject":
            return self._inject(kind, body, client) if method == "POST" else (405, {})
        if path in _SCOPE_LISTS:
            return (200, []) if method == "GET" else (405, {})
        name = path.removeprefix("/v1/")
        if name not in _LISTS:
            return 404, {}
        if method == "GET":
            return self._list(name, query)
        try:
            given = _members(kind, body)
        except ValueError as wrong:
            return 400, {"error": str(wrong)}
        if method == "POST":
            return self._put(name, given)
        if method == "DELETE":
            return self._delete(name, given)
        return 405, {}

    def _inject(self, kind: str, body: bytes, client: tuple[str, int]) -> tuple[int, Any]:
        if kind != "application/json":
            return 400, {"error": "JSON only"}
        try:
            document = json.loads(body)
        except ValueError:
            return 400, {"error": "not JSON"}
        if not isinstance(document, dict) or not isinstance(document.get("recipient"), str):
            return 400, {"error": "no recipient"}
        try:
            self._standin.inject(
                document, {"authentication": "postern", "remote-ip": client[0], "remote-port": client[1]}
            )
        except ConnectionError as lost:
            return 500, {"error": str(lost)}
        return 200, {}

    def _list(self, name: str, query: str) -> tuple[int, Any]:
        wanted = parse_qs(query).get("name")
        if name == "poolips" and not wanted:
            return 400, {"error": "name is missing"}
        with self._lock:
            return 200, [row for row in self.lists[name] if not wanted or row.get("name") in wanted]

    def _put(self, name: str, given: dict[str, Any]) -> tuple[int, Any]:
        key, required, allowed = _LISTS[name]
        missing, unknown = required - given.keys(), given.keys() - allowed
        if missing or unknown:
            return 400, {"error": f"missing {sorted(missing)}, unknown {sorted(unknown)}"}
        for one, other in _EXCLUSIVE.get(name, ()):
            if one in given and other in given:
                return 400, {"error": f"{one} and {other} exclude each other"}
        if "code" in given:
            try:
                given["code"] = int(given["code"])
            except (TypeError, ValueError):
                return 400, {"error": "code is not a number"}
            if not 200 <= given["code"] <= 599:
                return 400, {"error": "code is not between 200 and 599"}
        if name == "suppressions" and given["type"] not in ("address", "domain"):
            return 400, {"error": "type is neither address nor domain"}
        if name == "poolips":
            try:
                ipaddress.ip_address(given["ip"])
            except ValueError:
                return 400, {"error": "ip is no address"}
        with self._lock:
            self._remove(name, key, given)
            self.lists[name].append(given)
        return 200, {}

    def _delete(self, name: str, given: dict[str, Any]) -> tuple[int, Any]:
        key = _LISTS[name][0]
        with self._lock:
            self._remove(name, key, given)
            if name == "pools":
                self.lists["poolips"] = [row for row in self.lists["poolips"] if row["name"] != given.get("name")]
        return 200, {}

    def _remove(self, name: str, key: tuple[str, ...], given: dict[str, Any]) -> None:
        self.lists[name] = [
            row for row in self.lists[name] if any(row.get(part) != given.get(part) for part in key)
        ]  # fmt: skip


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""


class _Handler(BaseHTTPRequestHandler):
    service: Rest
    protocol_version = "HTTP/1.1"
    timeout = 60

    def _handle(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else self._chunks()
        split = urlsplit(self.path)
        fault = self.service.next_fault()
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, answer, extra = 401, {"error": "no access"}, {}
        if fault is not None and fault.seconds:
            self.service.wait(fault.seconds)
        if fault is None or fault.after:
            if self.service.authorized(self.headers.get("Authorization", "")):
                kind = (self.headers.get("Content-Type") or "").split(";")[0].strip().lower()
                status, answer = self.service.answer(
                    self.command, split.path, split.query, kind, body, self.client_address
                )
        elif fault.redirect is not None:
            status, answer, extra = 302, {}, {"Location": fault.redirect}
        elif not fault.seconds or fault.status != 500:
            status, answer, extra = fault.status, {"error": "as told"}, fault.headers
        self.service.keep(Call(self.command, split.path, split.query, headers, body, status))
        if fault is not None and fault.drop:
            self.close_connection = True
            self.connection.close()
            return
        content = b"x" * fault.huge if fault is not None and fault.huge else json.dumps(answer).encode()
        self.send_response(200 if fault is not None and fault.huge else status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(content)), **extra}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = do_PUT = do_PATCH = _handle

    def _chunks(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return b""
        parts: list[bytes] = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    log_message: Callable[..., None] = lambda *_: None  # noqa: E731


def _members(kind: str, body: bytes) -> dict[str, Any]:
    """POST and DELETE take JSON or a form."""
    if kind == "application/x-www-form-urlencoded":
        return {name: values[-1] for name, values in parse_qs(body.decode()).items()}
    given = json.loads(body or b"{}")
    if not isinstance(given, dict):
        raise ValueError("not an object")
    return given
