"""Relay to RabbitMQ: what Postern has accepted while the broker did not let it in, and a bare publisher beside it."""

import contextlib
import json
import secrets
import sqlite3
import subprocess
import time
import urllib.request
from urllib.parse import quote

from . import machine
from .company import BROKER_AT_REST, OUTBOX, QUEUES
from .postern import Postern

PEERS_QUEUE = "bench.peer"

#: Messages on their way without a confirm: Postern's own limit.
WINDOW = 2_048


class Side:
    """What both sides have in common: a queue that is emptied before each run and counted after it."""

    def reset(self):
        self.vhost.broker.manage("DELETE", f"queues/{quote(self.vhost.name, safe='')}/{self.queue}/contents")
        machine.wait_until(lambda: self.accepted() == 0, 30, f"{self.queue} is not empty")

    def accepted(self):
        """Messages that the broker holds."""
        return self.vhost.depth(self.queue)[0]


class RelayingPostern(Side, Postern):
    """Its way into the broker is a permission, taken away and given back: the broker itself runs on, warm."""

    queue = OUTBOX

    def __init__(self, bench, vhost, kind):
        self._bench, self.vhost = bench, vhost
        self._user, self._secret = f"postern-{kind}", secrets.token_urlsafe(12)
        self._let_in()
        environment = vhost.broker.environment(vhost, POSTERN_AMQP_URL=vhost.url_for(self._user, self._secret))
        # Its user may not ask the management API.
        del environment["POSTERN_RABBITMQ_MANAGEMENT_URL"]
        super().__init__(bench.binary, bench.workdir / f"relay-{kind}", environment | bench.environment)

    def start(self):
        self.vhost.declare(*QUEUES, kind=self._user.removeprefix("postern-"))
        super().start()
        self._own = self.processes
        self.processes = machine.Processes(self._process.pid, self.vhost.broker.pid, rest=BROKER_AT_REST)

    def relay(self, messages):
        """Accepts that many, then lets them go: from the first in the queue until none is left in the outbox."""
        self._shut_out()
        self.processes.wait_until_quiet()
        self._bench.load.http(self, messages, self._bench.sizes.sessions, self._bench.sizes.size)
        self.processes.wait_until_quiet()
        with self.vhost.broker.connected(self.vhost.name) as channel, self._outbox() as waiting:
            if waiting() != messages:
                raise RuntimeError(f"{waiting()} of {messages} accepted messages wait for the broker")
            depth = lambda: channel.queue_declare(self.queue, passive=True).method.message_count
            cpu = self._own.cpu_seconds()
            self._let_in()
            first = machine.wait_until(depth, 60, "nothing reaches the queue", interval=0.002)
            started = time.monotonic()
            machine.wait_until(lambda: waiting() == 0, 300, "the outbox does not get empty", interval=0.01)
            took = time.monotonic() - started
        if first > messages / 2:
            raise RuntimeError(f"{first} of {messages} were there at the first look: too few to measure")
        self._own.wait_until_quiet()
        return {
            "accepted": messages,
            "per_second": (messages - first) / took,
            "cpu_us": (self._own.cpu_seconds() - cpu) / messages * 1e6,
        }

    @contextlib.contextmanager
    def _outbox(self):
        """A function that counts the messages in the outbox, read past the server."""
        connection = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=30, isolation_level=None)
        try:
            yield lambda: connection.execute("SELECT count(*) FROM outbox").fetchone()[0]
        finally:
            connection.close()

    def _let_in(self):
        self.vhost.broker.add_user(self._user, self._secret, self.vhost.name)

    def _shut_out(self):
        broker = self.vhost.broker
        broker.manage("DELETE", f"permissions/{quote(self.vhost.name, safe='')}/{self._user}")

        # By the node itself: the management API knows of connections some seconds later.
        broker.close_connections()
        machine.wait_until(lambda: not self._is_connected(), 30, "Postern's connections do not end", interval=0.1)

    def _is_connected(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}/readyz", timeout=10) as answer:
            return json.load(answer)["checks"]["broker"]["status"] == "ok"


class BarePublisher(Side):
    """amqp/bare.c, publishing a document of Postern's as often as Postern has published documents."""

    name = "bare librabbitmq"
    queue = PEERS_QUEUE

    def __init__(self, binary, bench, vhost, kind):
        self._binary, self.vhost, self._kind = str(binary), vhost, kind
        self._body = bench.workdir / f"document-{kind}.json"

    def start(self):
        self.vhost.declare(self.queue, kind=self._kind)
        self.processes = machine.Processes(self.vhost.broker.pid, rest=BROKER_AT_REST)

    def stop(self):
        """Runs only while it publishes."""

    def reset(self):
        if not self._body.exists():
            # Postern has had its first turn: its queue is full.
            self._body.write_bytes(self.vhost.get(OUTBOX, 1)[0].body)
        super().reset()

    def relay(self, messages):
        result = subprocess.run(
            [self._binary, self.queue, str(messages), str(WINDOW), str(self._body)],
            env={"AMQP_URL": self.vhost.url}, capture_output=True, text=True,
        )  # fmt: skip
        if result.returncode != 0:
            raise RuntimeError(result.stderr.strip())
        figures = json.loads(result.stdout)
        return figures | {"cpu_us": figures["cpu_seconds"] / messages * 1e6}
