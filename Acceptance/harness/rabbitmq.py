"""A real RabbitMQ of the tests' own: its ports, data, cookie and name server touch nothing else on the machine.

Tests that harm nobody share one broker and get a virtual host each; tests that kill it start their own.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import logging
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pika
import requests
from pika.adapters.blocking_connection import BlockingChannel

from .mail import token
from .network import LOOPBACK, free_port, listens
from .tls import Certificate
from .waiting import until

# Debian's own wrapper in /usr/sbin changes the user and insists on /var/lib/rabbitmq; the script behind it does not.
_PROGRAMS = Path("/usr/lib/rabbitmq/bin")

# Every lost connection is told by an exception; in a report of a failed test the log of it would only be in the way.
logging.getLogger("pika").setLevel(logging.CRITICAL)

_CONFIG = """\
listeners.tcp.1 = 127.0.0.1:{port}
listeners.ssl.1 = 127.0.0.1:{tls_port}
ssl_options.certfile = {certificate.chain}
ssl_options.keyfile = {certificate.key}
ssl_options.verify = verify_none
ssl_options.fail_if_no_peer_cert = false
management.tcp.ip = 127.0.0.1
management.tcp.port = {management_port}
management.ssl.ip = 127.0.0.1
management.ssl.port = {management_tls_port}
management.ssl.certfile = {certificate.chain}
management.ssl.keyfile = {certificate.key}
default_user = {username}
default_pass = {password}
loopback_users = none
# Its own figures are this old at most; the default is 5 s.
collect_statistics_interval = 1000
disk_free_limit.absolute = 10MB
log.file.level = warning
"""


@dataclass(frozen=True)
class Got:
    """A message taken from a queue."""

    body: bytes
    properties: pika.BasicProperties
    redelivered: bool
    routing_key: str

    @property
    def document(self) -> Any:
        encoded = self.properties.content_encoding == "gzip"
        return json.loads(gzip.decompress(self.body) if encoded else self.body)


class RabbitMQ:
    """One node. `kill9` and `start` keep its data; leaving the context removes everything."""

    def __init__(self, certificate: Certificate) -> None:
        self._certificate = certificate
        self.port, self.tls_port, self.management_port = free_port(), free_port(), free_port()
        self.management_tls_port = free_port()
        self._epmd_port, self._distribution_port = free_port(), free_port()
        # With a character that has to be escaped in a URL, as generated passwords have.
        self.username, self.password = "admin", f"{secrets.token_urlsafe(12)}/+"
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.auth = (self.username, self.password)
        self._node: subprocess.Popen[bytes] | None = None
        self._names: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> RabbitMQ:
        assert (_PROGRAMS / "rabbitmq-server").exists(), "no RabbitMQ: run scripts/bootstrap"
        self._root = Path(tempfile.mkdtemp(prefix="postern-rabbitmq-", dir="/tmp"))
        (self._root / "home").mkdir()
        (self._root / "environment").touch()
        (self._root / "plugins").write_text("[rabbitmq_management].\n")
        (self._root / "rabbitmq.conf").write_text(
            _CONFIG.format(
                port=self.port, tls_port=self.tls_port, management_port=self.management_port,
                management_tls_port=self.management_tls_port, certificate=self._certificate,
                username=self.username, password=self.password,
            )
        )  # fmt: skip
        # The node would start a name server that outlives it. This one is ours to stop.
        self._names = subprocess.Popen(
            ["epmd", "-port", str(self._epmd_port), "-address", LOOPBACK, "-relaxed_command_check"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            until(lambda: listens(self._epmd_port), "Erlang's name server listens")
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._node is not None:
            self.kill9()
        if self._names is not None:
            self._names.kill()
            self._names.wait()
        self._session.close()
        shutil.rmtree(self._root, ignore_errors=True)

    # Life

    def start(self, *, wait: bool = True) -> None:
        assert self._node is None, "already started"
        with (self._root / "output").open("ab") as output:
            self._node = subprocess.Popen(
                [_PROGRAMS / "rabbitmq-server"], env=self._environment(), cwd=self._root, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
        if wait:
            self.wait_ready()

    def wait_ready(self, timeout: float = 60) -> None:
        def ready() -> bool:
            assert self._node is not None
            if self._node.poll() is not None:
                raise RuntimeError(f"RabbitMQ ended:\n{self.log()}")
            if not (listens(self.port) and listens(self.tls_port) and listens(self.management_port)):
                return False
            # The default virtual host takes connections a moment after the port does.
            with contextlib.suppress(pika.exceptions.AMQPError), self.connected("/"):
                return self._session.get(f"{self.management_url}/api/overview", timeout=5).status_code == 200
            return False

        until(ready, "RabbitMQ listens on all its ports", timeout)

    def kill9(self) -> None:
        """The node and whatever it has started are gone, without a word to anybody."""
        node, self._node = self._node, None
        assert node is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(node.pid, signal.SIGKILL)
        node.wait()
        # The name server hears of the end by its connection; a node that comes too early is "already running".
        until(lambda: not self._is_registered(), "Erlang's name server has forgotten the node")

    def restart(self) -> None:
        self.kill9()
        self.start()

    def ensure_running(self) -> None:
        """For the next test, whatever the last one has left behind."""
        if self._node is None or self._node.poll() is not None:
            self._node = None
            self.start()

    def log(self, most: int = 5000) -> str:
        texts = [path.read_text(errors="replace")[-most:] for path in [self._root / "output", *self._root.glob("log/*")]
                 if path.is_file()]  # fmt: skip
        return "\n".join(texts)

    # Trouble

    def memory_alarm(self, on: bool) -> None:
        """The memory alarm: the broker reads nothing more from connections that publish, and tells them so."""
        self.control("set_vm_memory_high_watermark", "0" if on else "0.6")
        until(lambda: self.alarm_is_on() == on, f"the memory alarm is {'on' if on else 'off'}")

    def alarm_is_on(self) -> bool:
        return self._session.get(f"{self.management_url}/api/health/checks/alarms", timeout=10).status_code != 200

    def close_connections(self) -> None:
        """Every connection is closed by the broker (320 CONNECTION_FORCED)."""
        self.control("close_all_connections", "--global", "a test closes all connections")

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Every process of the node is stopped: connections stay, and nothing is answered."""
        assert self._node is not None
        os.killpg(self._node.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self._node.pid, signal.SIGCONT)

    def control(self, *arguments: str) -> str:
        """rabbitmqctl; it takes two seconds to get going."""
        done = subprocess.run(
            [_PROGRAMS / "rabbitmqctl", "--node", self._name, *arguments], env=self._environment(), cwd=self._root,
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, f"rabbitmqctl {arguments}: {done.stdout}\n{done.stderr}"
        return done.stdout

    # Virtual hosts

    def virtual_host(self, name: str | None = None) -> VirtualHost:
        """A new one, empty, that the administrator may use."""
        host = VirtualHost(self, name or token("vhost"))
        self.manage("PUT", f"vhosts/{quote(host.name, safe='')}", {})
        self.add_user(self.username, None, host.name)
        return host

    def add_user(self, username: str, password: str | None, vhost: str, *, tags: str = "",
                 configure: str = ".*", write: str = ".*", read: str = ".*") -> None:  # fmt: skip
        """Permissions in a virtual host, for a new user where there is a password."""
        if password is not None:
            self.manage("PUT", f"users/{username}", {"password": password, "tags": tags})
        permissions = {"configure": configure, "write": write, "read": read}
        self.manage("PUT", f"permissions/{quote(vhost, safe='')}/{username}", permissions)

    def manage(self, method: str, path: str, body: Any = None) -> Any:
        """The management API's answer; an error is an AssertionError."""
        answer = self._session.request(method, f"{self.management_url}/api/{path}", json=body, timeout=20)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    @property
    def management_url(self) -> str:
        return f"http://{LOOPBACK}:{self.management_port}"

    @contextlib.contextmanager
    def connected(self, vhost: str) -> Iterator[BlockingChannel]:
        """A channel with publisher confirms on a connection of its own."""
        credentials = pika.PlainCredentials(self.username, self.password)
        connection = pika.BlockingConnection(
            pika.ConnectionParameters(LOOPBACK, self.port, vhost, credentials, heartbeat=30)
        )
        try:
            channel = connection.channel()
            channel.confirm_delivery()
            yield channel
        finally:
            with contextlib.suppress(pika.exceptions.AMQPError):
                connection.close()

    # Inside

    @property
    def _name(self) -> str:
        return f"postern{self.port}@localhost"

    def _is_registered(self) -> bool:
        names = subprocess.run(["epmd", "-port", str(self._epmd_port), "-names"], capture_output=True, text=True)
        return f"postern{self.port}" in names.stdout

    def _environment(self) -> dict[str, str]:
        root = self._root
        return {
            "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            "HOME": str(root / "home"),
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "RABBITMQ_NODENAME": self._name,
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_CONF_ENV_FILE": str(root / "environment"),
            "RABBITMQ_CONFIG_FILE": str(root / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(root / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(root / "data"),
            "RABBITMQ_LOG_BASE": str(root / "log"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(root / "generated"),
            # Two cores are shared with what is being tested: no busy waiting.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none",
        }


class VirtualHost:
    """A name space of queues for one test."""

    def __init__(self, broker: RabbitMQ, name: str) -> None:
        self.broker = broker
        self.name = name

    @property
    def url(self) -> str:
        return self.url_for(self.broker.username, self.broker.password)

    @property
    def tls_url(self) -> str:
        """By name: a certificate is for a name."""
        return self.url_for(self.broker.username, self.broker.password, tls=True)

    def url_for(self, username: str, password: str, *, tls: bool = False, host: str = "localhost") -> str:
        login = f"{quote(username, safe='')}:{quote(password, safe='')}"
        scheme, port = ("amqps", self.broker.tls_port) if tls else ("amqp", self.broker.port)
        return f"{scheme}://{login}@{host}:{port}/{quote(self.name, safe='')}"

    def declare(self, *queues: str, kind: str = "classic", **arguments: Any) -> None:
        """Durable queues; `arguments` such as `x_max_length` become x-arguments."""
        given = {key.replace("_", "-"): value for key, value in arguments.items()}
        for queue in queues:
            body = {"durable": True, "auto_delete": False, "arguments": {"x-queue-type": kind, **given}}
            self.broker.manage("PUT", self._path(queue), body)

    def delete(self, queue: str) -> None:
        self.broker.manage("DELETE", self._path(queue))

    def described(self, queue: str) -> dict:
        """What the management API says of the queue: type, arguments, policy."""
        return self.broker.manage("GET", self._path(queue))

    def queues(self) -> set[str]:
        return {row["name"] for row in self.broker.manage("GET", f"queues/{quote(self.name, safe='')}?columns=name")}

    def publish(self, queue: str, *messages: Any, headers: dict[str, Any] | None = None,
                encoding: str | None = None, **properties: Any) -> None:  # fmt: skip
        """Documents (or bytes as they are), persistent, confirmed; `encoding="gzip"` compresses them."""
        with self.broker.connected(self.name) as channel:
            for message in messages:
                body = message if isinstance(message, bytes) else json.dumps(message).encode()
                if encoding == "gzip" and not isinstance(message, bytes):
                    body = gzip.compress(body)
                given = pika.BasicProperties(
                    delivery_mode=2, headers=headers, content_encoding=encoding, **properties
                )  # fmt: skip
                channel.basic_publish("", queue, body, given, mandatory=True)

    def get(self, queue: str, count: int = 1000) -> list[Got]:
        """Takes what is ready, at most `count`."""
        taken: list[Got] = []
        with self.broker.connected(self.name) as channel:
            while len(taken) < count:
                method, properties, body = channel.basic_get(queue, auto_ack=True)
                if method is None:
                    break
                taken.append(Got(body, properties, method.redelivered, method.routing_key))
        return taken

    def wait_for(self, queue: str, count: int = 1, timeout: float = 20) -> list[Got]:
        """That many messages, taken as they come."""
        taken: list[Got] = []

        def enough() -> bool:
            taken.extend(self.get(queue, count - len(taken)))
            return len(taken) >= count

        until(enough, f"{count} messages in {queue}", timeout)
        return taken

    def depth(self, queue: str) -> tuple[int, int]:
        """Messages ready, and consumers, as of now."""
        with self.broker.connected(self.name) as channel:
            declared = channel.queue_declare(queue, passive=True).method
            return declared.message_count, declared.consumer_count

    def consumers(self, queue: str) -> int:
        return self.depth(queue)[1]

    def _path(self, queue: str) -> str:
        return f"queues/{quote(self.name, safe='')}/{quote(queue, safe='')}"
