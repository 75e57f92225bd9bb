"""A second vault in an instance. There is no way to make one from outside yet, so it is moved in from another instance
that has the same master key: the rows of its vault, with its key and its login.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from .api import Api
from .postern import Postern

TABLES = ("vaults", "smtp_relay_api_keys", "smtp_relay_users", "vault_settings", "vault_secrets", "mailerq_ip_pools")


@dataclass(frozen=True)
class Neighbour:
    """The other vault's callers, in the first one's instance."""

    id: str
    api: Api
    username: str
    password: str


def move_in(postern: Postern, directory: Path) -> Neighbour:
    """Gives a running instance a second vault, over a restart."""
    postern.terminate()
    other = Postern(directory, POSTERN_MASTER_KEY_FILE=str(postern.data / "master.key"))
    try:
        other.start()
        id = other.call("GET", "/v1/me")["vault"]
        other.terminate()
    finally:
        other.stop()
    with sqlite3.connect(postern.data / "postern.db") as database:
        database.execute("ATTACH ? AS other", (str(other.data / "postern.db"),))
        database.execute("UPDATE other.vaults SET slug = 'neighbour'")
        for table in TABLES:
            database.execute(f"INSERT INTO main.{table} SELECT * FROM other.{table}")
    postern.start()
    card = other.card
    api = Api.with_key(postern.url, card["api_key"])
    return Neighbour(id, api, card["smtp"]["username"], card["smtp"]["password"])
