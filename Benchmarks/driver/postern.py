"""The server under test: `postern quickstart` in a data directory of its own, on free ports, in shadow mode."""

import json
import os
import pathlib
import signal
import sqlite3
import subprocess
import urllib.error
import urllib.request

from . import machine


class Postern:
    name = "Postern"

    def __init__(self, binary, data, environment=None):
        self.binary = str(binary)
        self.data = pathlib.Path(data)
        self._extra = environment or {}
        self._process = None

    @property
    def database(self):
        return self.data / "postern.db"

    def start(self):
        http, smtp, tls = machine.free_ports(3)
        self.data.mkdir(parents=True, exist_ok=True)
        # Nothing of the caller's own configuration may leak in.
        foreign = ("POSTERN_", "AGENT_VAULT_")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        ours = {
            "POSTERN_DATA_DIR": self.data,
            "POSTERN_HTTP_PORT": http,
            "POSTERN_SMTP_PORT": smtp,
            "POSTERN_SMTP_TLS_PORT": tls,
        }
        self._log = open(self.data.parent / f"{self.data.name}.log", "ab")
        self._process = subprocess.Popen(
            [self.binary, "quickstart"],
            env=inherited | {name: str(value) for name, value in (ours | self._extra).items()},
            stdout=self._log, stderr=self._log,
        )  # fmt: skip
        self.processes = machine.Processes(self._process.pid)
        self.http_port = http
        try:
            machine.wait_until(self._is_ready, 60, "Postern does not become ready")
        except (TimeoutError, RuntimeError) as error:
            raise RuntimeError(f"{error}; the end of its log:\n{self._log_tail()}") from error
        card = json.loads((self.data / "quickstart.json").read_text())
        self.api_key = card["api_key"]
        self.port = card["smtp"]["port"]
        self.username, self.password = card["smtp"]["username"], card["smtp"]["password"]

    def stop(self):
        """SIGTERM, as an operator would; it has 30 s to drain."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(timeout=40)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise RuntimeError("Postern did not stop within 40 s of SIGTERM")
        finally:
            self._process = None
            self._log.close()

    def accepted(self):
        """Rows of the message log, read past the server, straight from its database."""
        with sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=30) as database:
            return database.execute("SELECT count(*) FROM smtp_relay_logs").fetchone()[0]

    def get(self, path):
        """The JSON answer to one authorised GET."""
        return self._ask("GET", path)

    def patch(self, path, document):
        """The JSON answer to one authorised PATCH."""
        return self._ask("PATCH", path, json.dumps(document).encode())

    def _ask(self, method, path, body=None):
        headers = {"Authorization": f"Bearer {self.api_key}", "Content-Type": "application/json"}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.http_port}{path}", data=body, headers=headers, method=method
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)

    def _is_ready(self):
        if self._process.poll() is not None:
            raise RuntimeError(f"Postern ended with {self._process.returncode}")
        if not (self.data / "quickstart.json").exists():
            return False
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}/readyz", timeout=2) as response:
                return response.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def _log_tail(self):
        self._log.flush()
        return pathlib.Path(self._log.name).read_text(errors="replace")[-2000:]
