"""A certificate authority of the tests' own, so that a peer's certificate can be right or wrong on purpose."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificate:
    chain: Path
    key: Path

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.chain, self.key)
        return context


class Authority:
    """Issues certificates into a directory; `certificate` is what a client has to trust."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.certificate = directory / "authority.pem"
        self._key = directory / "authority.key"
        _openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=Postern acceptance tests", "-addext", "basicConstraints=critical,CA:TRUE",
            "-addext", "keyUsage=critical,keyCertSign", "-keyout", self._key, "-out", self.certificate,
        )  # fmt: skip

    def issue(self, name: str, *alternatives: str) -> Certificate:
        """A certificate for `alternatives` such as `DNS:localhost` or `IP:127.0.0.1`; `name` names its files."""
        issued = Certificate(self._directory / f"{name}.pem", self._directory / f"{name}.key")
        _openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", f"/CN={name}", "-addext", f"subjectAltName={','.join(alternatives)}",
            "-addext", "basicConstraints=critical,CA:FALSE", "-addext", "extendedKeyUsage=serverAuth",
            "-CA", self.certificate, "-CAkey", self._key, "-keyout", issued.key, "-out", issued.chain,
        )  # fmt: skip
        return issued


def untrusting_client() -> ssl.SSLContext:
    """For Postern's own self-signed quickstart certificate: encryption is tested, identity is not."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
