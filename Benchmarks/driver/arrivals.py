"""How long a message takes from its submission to the outbox queue, and to `delivered` on its timeline."""

import collections
import contextlib
import http.client
import json
import pathlib
import subprocess
import sys
import threading
import time

import psycopg

from . import machine
from .company import OUTBOX
from .postgres import percentile

SENDERS = 16

#: Seconds between looks at the timeline.
LOOK = 0.005


def paced(server, rate, seconds, size, submitted):
    """Submits at a steady rate; {message id: (when it was due, when it was answered)}.

    Counted from when it was due, not from when a sender came to it: a server that holds up its senders gains nothing.
    Each id is added to `submitted` with its answer.
    """
    count = int(rate * seconds)
    start = time.monotonic() + 0.2
    sent, failed = {}, []

    def send(first):
        connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=30)
        try:
            for number in range(first, count, SENDERS):
                due = start + number / rate
                time.sleep(max(0, due - time.monotonic()))
                id = _submit(connection, server.api_key, number, size)
                sent[id] = (due, time.monotonic())
                submitted.append(id)
        except Exception as error:
            failed.append(error)
        finally:
            connection.close()

    senders = [threading.Thread(target=send, args=(first,)) for first in range(SENDERS)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    if failed:
        raise RuntimeError(f"not submitted: {failed[0]!r}")
    return sent


def _submit(connection, key, number, size):
    body = {
        "from": "bench@example.com", "to": [f"reader-{number}@example.net"], "subject": f"Message {number}",
        "text": ("all work and no play " * (size // 21 + 1))[:size],
    }  # fmt: skip
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    connection.request("POST", "/v1/messages", json.dumps(body).encode(), headers)
    answer = connection.getresponse()
    document = json.load(answer)
    if answer.status != 202:
        raise RuntimeError(f"{answer.status} {document}")
    (message,) = document["messages"]
    return message["id"]


class Watch(threading.Thread):
    """Something that sees messages arrive; `seen` says when, by id. It hears of those `submitted`."""

    def __init__(self):
        super().__init__(daemon=True)
        self.seen = {}
        self.submitted = collections.deque()
        self.failure = None
        self.is_over = threading.Event()
        self.is_ready = threading.Event()

    def __enter__(self):
        self.start()
        machine.wait_until(lambda: self.is_ready.is_set() or self.failure, 30, "nobody watches")
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.join(30)

    def run(self):
        try:
            self.watch()
        except Exception as error:
            self.failure = error

    def times_of(self, sent, within):
        """When each of these was seen; waits for the last."""
        machine.wait_until(lambda: self.failure or sent.keys() <= self.seen.keys(), within, "messages do not arrive")
        if self.failure:
            raise RuntimeError("the watch has ended") from self.failure
        return {id: self.seen[id] for id in sent}


class QueueWatch(Watch):
    """Consumes the outbox as MailerQ would; knows messages by the property that carries their id."""

    def __init__(self, vhost):
        super().__init__()
        self._vhost = vhost

    def watch(self):
        with self._vhost.broker.connected(self._vhost.name) as channel:
            channel.basic_consume(OUTBOX, self._take, auto_ack=True)
            self.is_ready.set()
            while not self.is_over.is_set():
                channel.connection.process_data_events(time_limit=0.2)

    def _take(self, channel, method, properties, body):
        self.seen[properties.message_id] = time.monotonic()


class TimelineWatch(Watch):
    """Asks the database, past the server, which of the messages under way have been delivered by now."""

    def __init__(self, rows):
        super().__init__()
        self._rows = rows

    def watch(self):
        under_way = set()
        with psycopg.connect(self._rows.url, autocommit=True) as connection:
            self.is_ready.set()
            while not self.is_over.wait(LOOK):
                while self.submitted:
                    under_way.add(self.submitted.popleft())
                if not under_way:
                    continue
                found = connection.execute(
                    "SELECT message_id FROM message_events WHERE type = 'delivered' AND message_id = ANY(%s)",
                    [list(under_way)],
                ).fetchall()
                now = time.monotonic()
                for (id,) in found:
                    self.seen[id] = now
                    under_way.discard(id)


@contextlib.contextmanager
def mailerq(vhost):
    """The stand-in, consuming."""
    script = pathlib.Path(__file__).with_name("mailerq.py")
    process = subprocess.Popen(
        [sys.executable, str(script)], env={"AMQP_URL": vhost.url, "PATH": "/usr/bin:/bin"},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        if not process.stdout.readline():
            raise RuntimeError("MailerQ's stand-in does not start")
        yield
        process.stdin.close()
        if process.wait(30) != 0:
            raise RuntimeError("MailerQ's stand-in was not content")
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()


def measure(server, watch, rate, bench):
    """Runs at that rate, without the first: for each, p50 and p99 of the answer and of the arrival, in ms."""
    runs = []
    for number in range(bench.sizes.pairs + 1):
        server.processes.wait_until_quiet()
        sent = paced(server, rate, bench.sizes.latency_seconds, bench.sizes.size, watch.submitted)
        arrived = watch.times_of(sent, within=120)
        took = {
            "answer": [(answered - due) * 1e3 for due, answered in sent.values()],
            "arrival": [(arrived[id] - due) * 1e3 for id, (due, _) in sent.items()],
        }
        run = {f"{what}_{name}": percentile(values, share)
               for what, values in took.items() for name, share in [("p50", 0.5), ("p99", 0.99)]}  # fmt: skip
        bench.say(
            f"  {number or 'warm':<4} {len(sent):,} messages: answer p50 {run['answer_p50']:.1f} ms   p99 "
            f"{run['answer_p99']:.1f} ms   arrival p50 {run['arrival_p50']:.1f} ms   p99 {run['arrival_p99']:.1f} ms"
        )
        if number > 0:
            runs.append(run)
    return runs
