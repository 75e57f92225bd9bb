"""Accepting on PostgreSQL, and `pgbench` committing rows as large on the same server."""

import math
import os
import pathlib
import re
import resource
import subprocess

from . import machine
from .postern import Postern

SCRIPT = "INSERT INTO rows (data) VALUES (:data);\n"


class PostgresPostern(Postern):
    """With a database of its own on that server."""

    name = "Postern on PostgreSQL"

    def __init__(self, bench, server, name, environment=None):
        self._server = server
        self.rows = server.database()
        ours = {"POSTERN_DATABASE_URL": server.address(self.rows)} | (environment or {})
        super().__init__(bench.binary, bench.workdir / name, ours | bench.environment)

    def start(self):
        super().start()
        self.processes = machine.Processes(self._process.pid, self._server.pid)

    def accepted(self):
        return self.rows.count("smtp_relay_logs")

    def rows_of_a_message(self):
        """All values of the last message's rows in the log, the payloads and the events, as one text.

        The values themselves, because PostgreSQL compresses: letters of another kind would weigh more, or less.
        """
        (id, payload), *_ = self.rows.execute("SELECT id, payload_id FROM smtp_relay_logs ORDER BY id DESC LIMIT 1")
        rows = [
            *self.rows.execute("SELECT * FROM smtp_relay_logs WHERE id = %s", id),
            *self.rows.execute("SELECT * FROM payloads WHERE id = %s", payload),
            *self.rows.execute("SELECT * FROM message_events WHERE message_id = %s", id),
        ]
        return "".join(_text(value) for row in rows for value in row if value is not None)


class PgBench:
    name = "pgbench"

    def __init__(self, server, bench, pattern):
        self._server, self._pattern = server, pattern
        self._directory = pathlib.Path(bench.workdir, "pgbench")
        self.sessions = bench.sizes.sessions

    def start(self):
        self._directory.mkdir()
        self._directory.joinpath("insert.sql").write_text(SCRIPT)
        self.database = self._server.database()
        self.database.execute(
            "CREATE TABLE rows (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, data text NOT NULL)"
        )
        self.database.execute(f"ALTER TABLE rows OWNER TO {self._server.username}")
        self.processes = machine.Processes(self._server.pid)

    def stop(self):
        """Runs only while it inserts."""

    def accepted(self):
        return self.database.count("rows")

    def run(self, messages):
        """Each session its share of the rows, one a transaction."""
        # The first side has been warmed up: there is a message to take the size from.
        data = self._pattern()
        share = -(-messages // self.sessions)
        cpu = _children_cpu()
        result = subprocess.run(
            ["pgbench", "--no-vacuum", "--protocol=prepared", f"--client={self.sessions}", "--jobs=1",
             f"--transactions={share}", "--file=insert.sql", f"--define=data={data}", "--log", "--log-prefix=took"],
            cwd=self._directory, env=self._environment(), capture_output=True, text=True,
        )  # fmt: skip
        if result.returncode != 0:
            raise RuntimeError(f"pgbench: {result.stderr.strip()}")
        rate = re.search(r"^tps = ([0-9.]+) \(without initial connection time\)", result.stdout, re.MULTILINE)
        if rate is None:
            raise RuntimeError(f"pgbench says no rate: {result.stdout}")
        return {
            "accepted": share * self.sessions,
            "per_second": float(rate[1]),
            "client_cpu_seconds": _children_cpu() - cpu,
        } | self._latencies()

    def _latencies(self):
        """From the logs, in which the third word of a line is microseconds."""
        took = []
        for log in self._directory.glob("took.*"):
            took += [int(line.split()[2]) for line in log.read_text().splitlines()]
            log.unlink()
        return {name: percentile(took, share) / 1e3 for name, share in [("p50_ms", 0.5), ("p99_ms", 0.99)]}

    def _environment(self):
        return os.environ | {
            "PGHOST": "127.0.0.1", "PGPORT": str(self._server.port), "PGUSER": self._server.username,
            "PGPASSWORD": self._server.password, "PGDATABASE": self.database.name, "PGSSLMODE": "disable",
        }  # fmt: skip


def percentile(values, share):
    """The value that `share` of all lie at or below (nearest rank)."""
    return sorted(values)[max(math.ceil(len(values) * share), 1) - 1]


def _text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def _children_cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
