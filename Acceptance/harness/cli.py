"""The command line as a client of one instance's API: what people and scripts type, and what they get."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from .postern import Postern, binary, clean_environment

REFUSED, WRONG_USE, UNREACHABLE, TIMED_OUT = 1, 2, 3, 4


class Cli:
    """Runs commands with the card's key, or another one ("" for none), in an empty directory, where `postern login` keeps
    what it gets."""

    def __init__(self, postern: Postern, directory: Path, key: str | None = None) -> None:
        self._postern, self._directory, self._key = postern, directory, key
        self.everything: list[bytes] = []
        """All that any command has put out."""

    def __call__(self, *arguments: str, input: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
        key = self._postern.card["api_key"] if self._key is None else self._key
        kept = str(self._directory / "config")
        named = {"POSTERN_URL": self._postern.url, "XDG_CONFIG_HOME": kept} | ({"POSTERN_TOKEN": key} if key else {})
        named |= environment
        done = subprocess.run(
            [binary(), *arguments], cwd=self._directory, env=clean_environment(**named), input=input,
            capture_output=True, timeout=30,
        )  # fmt: skip
        self.everything += [done.stdout, done.stderr]
        return done

    def said(self, *arguments: str, **options: Any) -> str:
        """What a command that succeeds prints."""
        return said(self(*arguments, **options))

    def answered(self, *arguments: str, **options: Any) -> Any:
        """The JSON document that a command answers with."""
        return json.loads(self.said(*arguments, "--json", **options))

    def refused(self, *arguments: str, code: int = REFUSED, **options: Any) -> str:
        """What a command that fails says."""
        return refused(self(*arguments, **options), code)


def said(done: subprocess.CompletedProcess[bytes]) -> str:
    assert done.returncode == 0, f"{done.args} ended with {done.returncode}:\n{done.stdout!r}\n{done.stderr.decode()}"
    return done.stdout.decode()


def refused(done: subprocess.CompletedProcess[bytes], code: int) -> str:
    assert done.returncode == code, f"{done.args} ended with {done.returncode}:\n{done.stdout!r}\n{done.stderr!r}"
    assert done.stdout == b"", "what went wrong belongs on standard error"
    return done.stderr.decode()
