"""Providers of OpenID Connect: PyPI's oidc-provider-mock as a process, and one of our own that can be told to lie."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import requests
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from .network import LOOPBACK, free_port
from .people import Browser
from .waiting import until

CLIENT_ID, CLIENT_SECRET = "postern", "s3cret of the client: + and /"


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Mock:
    """oidc-provider-mock on a port of its own. Whoever it is told of signs in there without a password."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.issuer = f"http://{LOOPBACK}:{self.port}"
        self.log = directory / "oidc-provider-mock.log"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Mock:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "oidc_provider_mock", "--port", str(self.port), "--require-nonce", "true"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

        def answers() -> bool:
            try:
                return requests.get(f"{self.issuer}/.well-known/openid-configuration", timeout=5).status_code == 200
            except requests.RequestException as not_yet:
                raise AssertionError(str(not_yet)) from None

        until(answers, "oidc-provider-mock answers", 30)
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def knows(self, subject: str, **claims: Any) -> None:
        answer = requests.put(f"{self.issuer}/users/{subject}", json=claims, timeout=10)
        assert answer.status_code == 204, answer.text

    def sign_in(self, url: str, subject: str) -> str:
        """What the person does on the provider's page; the address that it sends their browser to."""
        return self._post(url, {"sub": subject})

    def deny(self, url: str) -> str:
        return self._post(url, {"action": "deny"})

    def _post(self, url: str, form: dict[str, str]) -> str:
        assert requests.get(url, timeout=10).status_code == 200
        answer = requests.post(url, data=form, timeout=10, allow_redirects=False)
        assert answer.status_code == 302, answer.text
        return answer.headers["Location"]


class Key:
    """An RSA key of a provider, or of somebody who would like to be one."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def published(self) -> dict[str, str]:
        numbers = self.key.public_key().public_numbers()
        modulus = numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big")
        return {
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.name, "n": base64url(modulus),
            "e": base64url(numbers.e.to_bytes(3, "big")),
        }  # fmt: skip

    @property
    def pem(self) -> bytes:
        return self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def token(self, claims: dict[str, Any], name: str | None = None) -> str:
        return assembled(
            {"alg": "RS256", "typ": "JWT", "kid": name or self.name}, claims,
            lambda signed: self.key.sign(signed, padding.PKCS1v15(), hashes.SHA256()),
        )  # fmt: skip


def assembled(header: dict[str, Any], claims: dict[str, Any], sign: Callable[[bytes], bytes]) -> str:
    signed = ".".join(base64url(json.dumps(part).encode()) for part in (header, claims))
    return f"{signed}.{base64url(sign(signed.encode()))}"


def unsigned(claims: dict[str, Any]) -> str:
    return assembled({"alg": "none", "typ": "JWT"}, claims, lambda _: b"")


def by_hmac(claims: dict[str, Any], secret: bytes, name: str) -> str:
    """The published key taken for the secret of an HMAC."""
    return assembled(
        {"alg": "HS256", "typ": "JWT", "kid": name}, claims,
        lambda signed: hmac.new(secret, signed, hashlib.sha256).digest(),
    )  # fmt: skip


class Provider:
    """A provider that keeps to OpenID Connect Core 1.0 and RFC 7636 in what it asks of clients, and lies as it is told.

    `claims` are those of whoever signs in; `lie` makes the ID token from the right claims; `discovery` and `key_set`
    change those documents; `status` answers everything with that status.
    """

    def __init__(self) -> None:
        self.key = Key("first")
        self.claims: dict[str, Any] = {}
        self.lie: Callable[[dict[str, Any]], str] | None = None
        self.discovery: Callable[[dict[str, Any]], bytes] | None = None
        self.says_when = True
        self.authenticated_at: float | None = None
        self.status: int | None = None
        self.requests: list[str] = []
        self.refusals: list[str] = []
        self._codes: dict[str, dict[str, str]] = {}
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                provider._get(self)

            def do_POST(self) -> None:
                provider._post(self)

        self._server = ThreadingHTTPServer((LOOPBACK, free_port()), Handler)
        self._server.daemon_threads = True
        self.issuer = f"http://{LOOPBACK}:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Provider:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def reset(self) -> None:
        """Honest again, about nobody."""
        self.claims, self.lie, self.discovery, self.status = {}, None, None, None
        self.says_when, self.authenticated_at = True, None
        self.requests.clear()
        self.refusals.clear()

    def is_signed_in(self, subject: str, **claims: Any) -> None:
        """Whose browser it is that comes next."""
        self.claims = {"sub": subject, **claims}

    def sign_in(self, url: str) -> str:
        """What the browser does; the address that it is sent to."""
        answer = requests.get(url, timeout=10, allow_redirects=False)
        assert answer.status_code == 302, answer.text
        return answer.headers["Location"]

    # The endpoints

    def _get(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        self.requests.append(parts.path)
        if self.status is not None:
            return self._answer(handler, self.status, b"{}")
        if parts.path == "/.well-known/openid-configuration":
            document = {
                "issuer": self.issuer, "authorization_endpoint": f"{self.issuer}/authorize?tenant=1",
                "token_endpoint": f"{self.issuer}/token", "jwks_uri": f"{self.issuer}/keys",
                "response_types_supported": ["code"], "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256", "none", "HS256"],
                "code_challenge_methods_supported": ["S256"],
                "authorization_response_iss_parameter_supported": True,
            }  # fmt: skip
            body = self.discovery(document) if self.discovery else json.dumps(document).encode()
            return self._answer(handler, 200, body)
        if parts.path == "/keys":
            return self._answer(handler, 200, json.dumps({"keys": [self.key.published]}).encode())
        if parts.path == "/authorize":
            return self._authorize(handler, parts.query)
        self._answer(handler, 404, b"{}")

    def _authorize(self, handler: BaseHTTPRequestHandler, query: str) -> None:
        pairs = parse_qsl(query, strict_parsing=True)
        asked = dict(pairs)
        wrong = []
        if len(pairs) != len(asked):
            wrong.append("a parameter is there twice")
        if (asked.get("response_type"), asked.get("client_id"), asked.get("tenant")) != ("code", CLIENT_ID, "1"):
            wrong.append("response_type, client_id or the endpoint's own query")
        if "openid" not in asked.get("scope", "").split(" "):
            wrong.append("scope")
        if asked.get("code_challenge_method") != "S256" or len(asked.get("code_challenge", "")) != 43:
            wrong.append("PKCE")
        if len(asked.get("nonce", "")) < 20 or len(asked.get("state", "")) < 20:
            wrong.append("nonce or state")
        if wrong:
            self.refusals += wrong
            return self._answer(handler, 400, json.dumps(wrong).encode())
        code = secrets.token_urlsafe(24)
        self._codes[code] = asked
        back = urlencode({"code": code, "state": asked["state"], "iss": self.issuer, "session_state": "x"})
        handler.send_response(302)
        handler.send_header("Location", f"{asked['redirect_uri']}?{back}")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    def _post(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", "0"))).decode()
        self.requests.append(handler.path)
        if self.status is not None:
            return self._answer(handler, self.status, b"{}")
        form = {name: values[0] for name, values in parse_qs(body, strict_parsing=True).items()}
        asked = self._codes.pop(form.get("code", ""), None)
        basic = base64.b64decode(handler.headers.get("Authorization", "").removeprefix("Basic ")).decode()
        expected = ":".join(urlencode({"": text})[1:].replace("+", "%20") for text in (CLIENT_ID, CLIENT_SECRET))
        refusal = None
        if basic != expected:
            refusal = "invalid_client"
        elif asked is None or form.get("redirect_uri") != asked["redirect_uri"]:
            refusal = "invalid_grant"
        elif base64url(hashlib.sha256(form.get("code_verifier", "").encode()).digest()) != asked["code_challenge"]:
            refusal = "invalid_grant"
        if refusal or asked is None:
            self.refusals.append(refusal or "")
            status = 401 if refusal == "invalid_client" else 400
            return self._answer(handler, status, json.dumps({"error": refusal}).encode())
        claims = self._right_claims(asked)
        token = self.lie(claims) if self.lie else self.key.token(claims)
        answer = {"access_token": "an access token", "token_type": "Bearer", "expires_in": 300, "id_token": token}
        self._answer(handler, 200, json.dumps(answer).encode())

    def _right_claims(self, asked: dict[str, str]) -> dict[str, Any]:
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": asked["nonce"],
            "at_hash": base64url(hashlib.sha256(b"an access token").digest()[:16]), **self.claims,
        }  # fmt: skip
        if self.says_when:
            # Who is asked again has shown it now, unless the provider is to pretend.
            claims["auth_time"] = int(self.authenticated_at or now)
        return claims

    @staticmethod
    def _answer(handler: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        # Who is told of too large an answer may hang up before it is there.
        with contextlib.suppress(ConnectionError):
            handler.end_headers()
            handler.wfile.write(body)


# Browsers on their way


def start(browser: Browser, **query: str) -> str:
    """Where Postern sends the browser."""
    answer = browser.api("GET", "/auth/oidc/start", params=query, allow_redirects=False)
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"]


def come_back(browser: Browser, url: str, **headers: str) -> requests.Response:
    """Postern's answer to the browser that the provider sent back."""
    assert url.startswith(f"{browser.url}/auth/oidc/callback?"), url
    return browser.api("GET", url.removeprefix(browser.url), allow_redirects=False, headers=headers)
