"""A real Postfix, run from directories of its own, as the smart host that Postern hands its mail to.

It accepts mail for any address, without touching a byte of it, and delivers all of it into one maildir. The machine's
own Postfix, its configuration and its queue are neither read nor changed.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .network import free_port, listens
from .tls import Certificate
from .waiting import until

_MASTER = Path("/usr/lib/postfix/sbin/master")

_MAIN_CF = """\
compatibility_level = 3.6
queue_directory = {root}/queue
data_directory = {root}/state
daemon_directory = /usr/lib/postfix/sbin
command_directory = /usr/sbin
maillog_file = {root}/log
maillog_file_prefixes = {root}
mail_owner = postfix
setgid_group = postdrop
myhostname = postfix.test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =

# Every address is ours, and every message goes into the same maildir.
virtual_mailbox_domains = static:all
virtual_mailbox_maps = static:inbox/
virtual_mailbox_base = {root}
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
virtual_alias_maps =
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions = permit_mynetworks, reject

# Nothing is completed, rewritten or dropped, so that what arrives is what was sent.
local_header_rewrite_clients =
always_add_missing_headers = no
message_drop_headers =
remote_header_rewrite_domain =
disable_mime_output_conversion = yes
smtputf8_enable = yes
# The patient answer to bad line ends would hide ours.
smtpd_forbid_bare_newline = yes
smtpd_forbid_unauth_pipelining = yes

# Postern is measured here, not Postfix's doubts about a busy client.
message_size_limit = 0
virtual_mailbox_limit = 0
smtpd_recipient_limit = 2000
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_peername_lookup = no
default_process_limit = 20
in_flow_delay = 0

smtpd_tls_cert_file = {certificate.chain}
smtpd_tls_key_file = {certificate.key}
smtpd_tls_security_level = may
smtpd_tls_loglevel = 1
smtpd_tls_received_header = yes
"""

_MASTER_CF = """\
{port}           inet  n - n - -   smtpd
{implicit_port}  inet  n - n - -   smtpd -o smtpd_tls_wrappermode=yes
cleanup    unix       n - n - 0   cleanup
qmgr       unix       n - n 300 1 qmgr
tlsmgr     unix       - - n 1000? 1 tlsmgr
rewrite    unix       - - n - -   trivial-rewrite
bounce     unix       - - n - 0   bounce
defer      unix       - - n - 0   bounce
trace      unix       - - n - 0   bounce
verify     unix       - - n - 1   verify
proxymap   unix       - - n - -   proxymap
anvil      unix       - - n - 1   anvil
scache     unix       - - n - 1   scache
error      unix       - - n - -   error
retry      unix       - - n - -   error
virtual    unix       - n n - -   virtual
postlog    unix-dgram n - n - 1   postlogd
"""

_QUEUE = "active bounce corrupt defer deferred flush hold incoming maildrop private public saved trace".split()


@dataclass(frozen=True)
class Received:
    """A delivered message: Postfix's word for the envelope, and everything below what its delivery put in front."""

    sender: str
    recipient: str
    content: bytes


class Postfix:
    """Starts on entering, is gone with its files after leaving."""

    def __init__(self, certificate: Certificate) -> None:
        self._certificate = certificate
        self.port, self.implicit_port = free_port(), free_port()
        self._master: subprocess.Popen[bytes] | None = None
        self._read: dict[Path, Received] = {}

    def __enter__(self) -> Postfix:
        assert _MASTER.exists(), "Postfix is not installed: run scripts/bootstrap"
        assert os.geteuid() == 0, "Postfix's master has to be started by root: run the acceptance tests as root"
        # Not under pytest's temporary directory: Postfix's own user has to be able to walk there.
        self._root = Path(tempfile.mkdtemp(prefix="postern-postfix-", dir="/tmp"))
        self._root.chmod(0o755)
        self._inbox = self._root / "inbox"
        owner = Path(self._root / "state")
        for directory in (owner, self._root / "queue"):
            directory.mkdir(mode=0o755)
        shutil.chown(owner, "postfix", "postfix")
        user = owner.stat()
        self._inbox.mkdir()
        os.chown(self._inbox, user.st_uid, user.st_gid)
        certificate = self._readable(self._certificate)
        (self._root / "main.cf").write_text(
            _MAIN_CF.format(root=self._root, uid=user.st_uid, gid=user.st_gid, certificate=certificate)
        )
        (self._root / "master.cf").write_text(_MASTER_CF.format(port=self.port, implicit_port=self.implicit_port))
        self._make_queue()
        self._output = (self._root / "output").open("wb")
        self._master = subprocess.Popen(
            [_MASTER, "-c", self._root, "-d", "-s"], env=self._environment(),
            stdin=subprocess.DEVNULL, stdout=self._output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            until(self._is_up, "Postfix listens on both its ports", 20)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._master is not None:
            # Its children are of the same session, and go with it.
            self._master.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._master.wait(5)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._master.pid, signal.SIGKILL)
            self._master.wait()
            self._master = None
        self._output.close()
        shutil.rmtree(self._root, ignore_errors=True)

    @property
    def received(self) -> list[Received]:
        """Everything that has been delivered so far."""
        folder = self._inbox / "new"
        if folder.is_dir():
            for path in sorted(folder.iterdir()):
                if path not in self._read:
                    self._read[path] = _read(path)
        return list(self._read.values())

    def to(self, recipient: str) -> list[Received]:
        return [message for message in self.received if message.recipient.lower() == recipient.lower()]

    def delivered(self, recipient: str, timeout: float = 20) -> Received:
        return until(lambda: self.to(recipient), f"Postfix has delivered to {recipient}\n{self.log()}", timeout)[0]

    def log(self, most: int = 10_000) -> str:
        log = self._root / "log"
        return log.read_text(errors="replace")[-most:] if log.exists() else ""

    def _is_up(self) -> bool:
        assert self._master is not None
        if self._master.poll() is not None:
            raise RuntimeError(f"Postfix's master ended:\n{(self._root / 'output').read_text()}\n{self.log()}")
        return listens(self.port) and listens(self.implicit_port)

    def _readable(self, certificate: Certificate) -> Certificate:
        copied = Certificate(self._root / "certificate.pem", self._root / "certificate.key")
        shutil.copyfile(certificate.chain, copied.chain)
        shutil.copyfile(certificate.key, copied.key)
        copied.key.chmod(0o600)
        return copied

    def _make_queue(self) -> None:
        """What `postfix check` would make, by the list in /etc/postfix/postfix-files; pid/ alone belongs to root."""
        queue = self._root / "queue"
        (queue / "pid").mkdir()
        for name in _QUEUE:
            (queue / name).mkdir(mode=0o700)
            shutil.chown(queue / name, "postfix")
        for name, mode in (("public", 0o2710), ("maildrop", 0o1730)):
            shutil.chown(queue / name, group="postdrop")
            (queue / name).chmod(mode)

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            "MAIL_CONFIG": str(self._root),
            "config_directory": str(self._root),
            "LC_ALL": "C",
        }


def _read(path: Path) -> Received:
    """A maildir file, with the line ends that it had on the wire and the fields of the delivery taken apart."""
    # virtual(8) writes LF where CRLF came; a bare LF or CR never gets this far, so this turns it back exactly.
    rest = path.read_bytes().replace(b"\n", b"\r\n")
    fields: dict[bytes, bytes] = {}
    while field := re.match(rb"(Return-Path|X-Original-To|Delivered-To): ?([^\r]*)\r\n", rest):
        fields[field.group(1)] = field.group(2)
        rest = rest[field.end() :]
    return Received(
        sender=fields[b"Return-Path"].decode().strip("<>"),
        recipient=fields[b"Delivered-To"].decode(),
        content=rest,
    )
