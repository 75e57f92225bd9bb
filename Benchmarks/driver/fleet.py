"""One process, and several, on one database and one broker: the same load at one door, and split over two."""

import collections
import concurrent.futures
import time

from harness.fleet import Fleet

from . import machine
from .company import BROKER_AT_REST, OUTBOX, QUEUES
from .relay import Side

Door = collections.namedtuple("Door", "http_port api_key")


class Members(Side):
    """That many processes with a database and a virtual host of their own."""

    queue = OUTBOX
    #: Load clients; each has its half of the sessions and of the messages, whichever door it goes to.
    CLIENTS = 2

    def __init__(self, bench, server, broker, count):
        self.name = f"{count} process" + ("" if count == 1 else "es")
        self._bench, self._server = bench, server
        self.vhost = broker.virtual_host()
        self._database = server.database()
        ours = broker.environment(self.vhost, POSTERN_DATABASE_URL=server.address(self._database))
        environment = ours | bench.environment
        self._fleet = Fleet(bench.workdir / f"fleet-{count}", self._database, count, **environment)

    def start(self):
        self.vhost.declare(*QUEUES)
        self._fleet.__enter__()
        self._doors = [Door(member.http_port, member.card["api_key"]) for member in self._fleet]
        pids = [member.process.pid for member in self._fleet]
        self.processes = machine.Processes(*pids, self._server.pid, self.vhost.broker.pid, rest=BROKER_AT_REST)

    def stop(self):
        self._fleet.__exit__()

    def run(self, messages):
        """The load, and how long until all of it is at the broker."""
        sizes = self._bench.sizes
        share = messages // self.CLIENTS
        started = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(self.CLIENTS) as clients:
            runs = [
                clients.submit(
                    self._bench.load.http, self._doors[number % len(self._doors)], share,
                    sizes.sessions // self.CLIENTS, sizes.size,
                )
                for number in range(self.CLIENTS)
            ]  # fmt: skip
            figures = [run.result() for run in runs]
        took = time.monotonic() - started
        machine.wait_until(lambda: self._database.count("outbox") == 0, 300, "the outbox does not get empty")
        relayed = time.monotonic() - started
        accepted = share * self.CLIENTS
        return {
            "accepted": accepted,
            "per_second": accepted / took,
            "relayed_per_second": accepted / relayed,
            "p50_ms": max(one["p50_ms"] for one in figures),
            "p99_ms": max(one["p99_ms"] for one in figures),
            "client_cpu_seconds": sum(one["client_cpu_seconds"] for one in figures),
        }
