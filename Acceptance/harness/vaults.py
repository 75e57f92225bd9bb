"""A second vault in an instance, with callers of its own."""

from __future__ import annotations

from dataclasses import dataclass

from .api import Api
from .postern import Postern

EVERY_SCOPE = ["send", "mailerq", "amqp", "read", "admin"]


@dataclass(frozen=True)
class Neighbour:
    """The other vault's callers, in the first one's instance."""

    id: str
    slug: str
    api: Api
    username: str
    password: str


def move_in(postern: Postern, slug: str = "neighbour") -> Neighbour:
    """Gives a running instance another vault, which may send from example.com as well."""
    owner = postern.owner()
    made = owner.call("POST", "/api/vaults", expect=201, json={"slug": slug, "name": slug.capitalize()})
    inside = owner.within(made["slug"])
    inside.call("PATCH", "/v1/settings", json={"allowed_sender_domains": ["example.com"]})
    key = inside.call("POST", "/v1/keys", expect=201, json={"label": "neighbour", "scopes": EVERY_SCOPE})["key"]
    login = inside.call("POST", "/v1/smtp-users", expect=201, json={"label": "neighbour"})
    return Neighbour(made["id"], slug, Api.with_key(postern.url, key), login["username"], login["password"])
