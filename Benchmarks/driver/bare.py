"""The peer of the HTTP door: `bare-http-commit`, which decodes, group-commits and answers, and does nothing else."""

import pathlib
import sqlite3
import subprocess

from . import machine


class Bare:
    name = "bare handler"
    api_key = "unchecked"

    def __init__(self, binary, workdir):
        self.binary = str(binary)
        self.database = pathlib.Path(workdir, "bare.db")
        self._process = None

    def start(self):
        (self.http_port,) = machine.free_ports(1)
        self._process = subprocess.Popen(
            [self.binary, str(self.http_port), str(self.database)], stdout=subprocess.DEVNULL
        )
        self.processes = machine.Processes(self._process.pid)
        machine.wait_until(lambda: machine.accepts(self.http_port), 30, "bare-http-commit does not listen")

    def stop(self):
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def accepted(self):
        with sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=30) as database:
            return database.execute("SELECT count(*) FROM messages").fetchone()[0]
