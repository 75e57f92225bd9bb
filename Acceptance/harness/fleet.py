"""Several Postern processes on one database, as on several machines: data directory and ports are each one's own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from .postern import REPOSITORY, Postern
from .postgres import Database


class Fleet:
    """The first member was made by `quickstart`; from then on all of them are `serve`, with one master key."""

    def __init__(self, directory: Path, database: Database, count: int, **environment: str) -> None:
        shared = {**_quickstart_settings(), "POSTERN_DATABASE_URL": database.url, **environment}
        self.members = [Postern(directory / f"process-{number}", **shared) for number in range(count)]

    def __enter__(self) -> Fleet:
        try:
            self._make()
            for member in self.members:
                member.start(command="serve", wait=False)
            for member in self.members:
                member.wait_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for member in self.members:
            member.stop()

    def __iter__(self) -> Iterator[Postern]:
        return iter(self.members)

    def __getitem__(self, number: int) -> Postern:
        return self.members[number]

    def _make(self) -> None:
        """The vault, its callers, the master key and the certificate, and every member's copy of what is in files."""
        first = self.members[0]
        first.start()
        first.terminate()
        for member in self.members:
            if member is not first:
                member.data.mkdir(parents=True, mode=0o700)
                shutil.copy(first.data / "quickstart.json", member.data)
            member.environment["POSTERN_MASTER_KEY_FILE"] = str(first.data / "master.key")


def _quickstart_settings() -> dict[str, str]:
    """What `serve` does not make up by itself."""
    lines = (REPOSITORY / "config" / "quickstart.env").read_text().splitlines()
    return {line.partition("=")[0]: line.partition("=")[2] for line in lines if line and not line.startswith("#")}
