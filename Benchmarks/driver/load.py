"""The load client as a function: one call, one run, one dictionary of figures."""

import contextlib
import json
import subprocess


class LoadFailed(Exception):
    """The run did not do what was asked, so its figures mean nothing."""


class Load:
    def __init__(self, binary):
        self.binary = str(binary)

    def smtp(self, server, messages, sessions, size, pipelining=False, per_session=0, sources=0):
        """AUTH PLAIN once a session, then its share of the messages."""
        return self._run(
            "smtp", messages,
            port=server.port, username=server.username, password=server.password, messages=messages,
            sessions=sessions, size=size, pipelining="on" if pipelining else "off", per_session=per_session,
            sources=sources,
        )  # fmt: skip

    def http(self, server, messages, sessions, size):
        """POST /v1/send with the canonical form over keep-alive connections."""
        return self._run(
            "http", messages,
            port=server.http_port, bearer=server.api_key, messages=messages, sessions=sessions, size=size,
        )  # fmt: skip

    def get(self, server, paths_file, requests, sessions=1):
        """GET of the paths in a file, in turn."""
        return self._run(
            "get", requests,
            port=server.http_port, bearer=server.api_key, paths=paths_file, messages=requests, sessions=sessions,
        )  # fmt: skip

    @contextlib.contextmanager
    def idle(self, server, connections, sources):
        """Holds SMTP connections that have said EHLO and nothing else."""
        command = self._command("idle", port=server.port, sessions=connections, sources=sources)
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            if not process.stdout.readline():
                raise LoadFailed("the idle connections could not be opened")
            yield
            process.stdin.close()

    def _command(self, mode, **options):
        flags = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
        return [self.binary, mode, *flags]

    def _run(self, mode, wanted, **options):
        command = self._command(mode, **options)
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode != 0:
            raise LoadFailed(result.stderr.strip())
        figures = json.loads(result.stdout)
        if figures["accepted"] != wanted:
            raise LoadFailed(f"{figures['accepted']} of {wanted} accepted; first problem: {figures['problem']}")
        return figures
