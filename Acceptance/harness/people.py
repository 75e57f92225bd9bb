"""People as they use Postern: programs with an access token, browsers with cookies, and the app that shows codes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import random
import struct
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

from .api import Api, describe
from .mail import token
from .waiting import until

PASSWORD = "four unrelated words, and a heron"
SAFE = {"GET", "HEAD", "OPTIONS"}

# Clients' addresses, each used once, so that no test's failed attempts count against another's.
_hosts = itertools.count(random.randrange(1 << 20))


def new_address() -> str:
    host = next(_hosts) % (1 << 24)
    return f"11.{host >> 16 & 255}.{host >> 8 & 255}.{host & 255}"


def new_email() -> str:
    return f"{token()}@people.test"


class Person(Api):
    """Somebody who signed in as programs do. `address` is where they seem to come from, behind a trusted proxy."""

    def __init__(self, url: str, answer: dict[str, Any], *, password: str, address: str | None = None) -> None:
        super().__init__(url, f"Bearer {answer['token']}")
        self.answer, self.password, self.address = answer, password, address
        self.user: dict[str, Any] = answer["user"]
        self.id, self.email = self.user["id"], self.user["email"]
        self.vault: str | None = None

    @classmethod
    def sign_in(
        cls, url: str, email: str, password: str, *, totp: str | None = None, address: str | None = None
    ) -> Person:
        answer = try_to_sign_in(url, email, password, totp=totp, address=address)
        assert answer.status_code == 200, describe(answer)
        return cls(url, answer.json(), password=password, address=address)

    def again(self, **options: Any) -> Person:
        """The same person in another session."""
        password = options.pop("password", self.password)
        return Person.sign_in(self.url, self.email, password, address=self.address, **options)

    def within(self, vault: str) -> Person:
        """The same session, in a vault."""
        person = Person(self.url, self.answer, password=self.password, address=self.address)
        person.vault = vault
        return person

    def api(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, **arguments: Any
    ) -> requests.Response:
        sent = forwarded(self.address) | ({"X-Postern-Vault": self.vault} if self.vault else {}) | (headers or {})
        return super().api(method, path, headers=sent, **arguments)

    @property
    def is_signed_in(self) -> bool:
        return self.api("GET", "/auth/me").status_code == 200

    def refresh(self, refresh_token: str | None = None) -> requests.Response:
        """The answer to using a refresh token, by default the latest one."""
        given = refresh_token or self.answer["refresh_token"]
        return self._session.post(
            f"{self.url}/auth/refresh", json={"refresh_token": given}, headers=forwarded(self.address), timeout=30
        )

    def refreshed(self) -> Person:
        answer = self.refresh()
        assert answer.status_code == 200, describe(answer)
        return Person(self.url, answer.json(), password=self.password, address=self.address)

    @property
    def secrets(self) -> list[str]:
        return [self.answer["token"], self.answer["refresh_token"], self.password]


class Browser(Api):
    """A browser with a page of ours open: its cookies, and the token that such pages send with what they change."""

    def __init__(self, url: str, address: str | None = None) -> None:
        super().__init__(url, None)
        self.address = address

    @property
    def cookies(self) -> dict[str, str | None]:
        return {cookie.name: cookie.value for cookie in self._session.cookies}

    def set_cookie(self, name: str, value: str, path: str = "/") -> None:
        self._session.cookies.set(name, value, domain=urlsplit(self.url).hostname, path=path)

    def api(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, csrf: bool = True, **arguments: Any
    ) -> requests.Response:
        sent = forwarded(self.address)
        if csrf and method not in SAFE and self.cookies.get("postern_csrf"):
            sent["X-CSRF-Token"] = self.cookies["postern_csrf"] or ""
        return super().api(method, path, headers=sent | (headers or {}), **arguments)

    def sign_in(self, email: str, password: str, **fields: Any) -> dict[str, Any]:
        return self.call("POST", "/auth/login", json={"email": email, "password": password, **fields})

    @property
    def is_signed_in(self) -> bool:
        return self.api("GET", "/auth/me").status_code == 200


def forwarded(address: str | None) -> dict[str, str]:
    return {"X-Forwarded-For": address} if address else {}


def try_to_sign_in(
    url: str, email: str, password: str, *, totp: str | None = None, address: str | None = None,
    headers: dict[str, str] | None = None,
) -> requests.Response:  # fmt: skip
    body = {"email": email, "password": password} | ({"totp": totp} if totp is not None else {})
    return requests.post(
        f"{url}/auth/login", json=body, headers=forwarded(address) | (headers or {}), timeout=30
    )


# Making people


def invite(
    owner: Person, email: str | None = None, *, role: str = "member", vaults: dict[str, str] | None = None
) -> dict[str, Any]:
    """An invitation with its token; `vaults` are roles by slug."""
    grants = [{"vault": vault, "role": vault_role} for vault, vault_role in (vaults or {}).items()]
    body = {"email": email or new_email(), "role": role, "vaults": grants}
    made = owner.call("POST", "/api/invitations", expect=201, json=body)
    assert made["sent"] is False and made["token"], made
    return made


def accept(owner: Person, invitation: dict, *, name: str = "Ada Person", password: str = PASSWORD) -> Person:
    """Whoever was invited, signed in."""
    address = new_address() if owner.address else None
    answer = requests.post(
        f"{owner.url}/auth/invitations/accept", timeout=30, headers=forwarded(address),
        json={"token": invitation["token"], "name": name, "password": password},
    )  # fmt: skip
    assert answer.status_code == 201, describe(answer)
    return Person(owner.url, answer.json(), password=password, address=address)


def join(owner: Person, *, role: str = "member", vaults: dict[str, str] | None = None) -> Person:
    """Somebody new, invited by the owner and signed in."""
    return accept(owner, invite(owner, role=role, vaults=vaults))


# The second factor


def totp(secret: str, at: float) -> str:
    """The code of a moment (RFC 6238: HMAC-SHA-1, 30 seconds, 6 digits)."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8), casefold=True)
    mac = hmac.new(key, struct.pack(">Q", int(at // 30)), hashlib.sha1).digest()
    offset = mac[-1] & 15
    return f"{(struct.unpack('>I', mac[offset : offset + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"


class Authenticator:
    """An app that has the secret. Each code is good once, so that it gives one of the next step each time."""

    def __init__(self, uri: str) -> None:
        parts = urlsplit(uri)
        assert (parts.scheme, parts.netloc) == ("otpauth", "totp"), uri
        self.parameters = {name: values[0] for name, values in parse_qs(parts.query, strict_parsing=True).items()}
        self.secret = self.parameters["secret"]
        self._last = -1

    def code(self) -> str:
        # A clock may be a step ahead or behind: three codes are good at any time.
        step = max(self._last + 1, int(time.time() // 30) - 1)
        until(lambda: time.time() // 30 >= step - 1, "the next code is good", 35)
        self._last = step
        return totp(self.secret, step * 30)

    def wrong_code(self) -> str:
        near = {totp(self.secret, time.time() + 30 * step) for step in range(-3, 4)}
        return next(code for code in self._codes() if code not in near)

    @staticmethod
    def _codes() -> Iterator[str]:
        return (f"{number:06}" for number in range(1_000_000))


def add_second_factor(person: Person) -> tuple[Authenticator, list[str]]:
    """The person's new authenticator, and their recovery codes."""
    begun = person.call("POST", "/auth/totp")
    app = Authenticator(begun["uri"])
    assert app.secret == begun["secret"]
    return app, person.call("POST", "/auth/totp/confirm", json={"code": app.code()})["recovery_codes"]
