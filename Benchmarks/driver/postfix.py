"""A real Postfix of our own: Debian's binaries, a temporary configuration and queue, tuned to accept as fast as it can.

What is measured is accepting only. Each message is put on hold by cleanup(8), the least that Postfix can do with it:
the queue file is written and synced as always, then nothing reads it. Logging goes nowhere, no name is looked up, no
client is limited, no process is recycled early, and nothing runs in a chroot.
"""

import os
import pathlib
import shutil
import subprocess

from . import machine

LIBEXEC = "/usr/lib/postfix/sbin"

MAIN = """
compatibility_level = 3.6
queue_directory = {root}/queue
data_directory = {root}/data
command_directory = /usr/sbin
daemon_directory = {libexec}
mail_owner = postfix
setgid_group = postdrop
myhostname = postfix.bench.example.com
mydestination =
mynetworks =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
local_recipient_maps =
relay_domains =

# The same sessions as Postern's: AUTH PLAIN once, then messages, from an allowed sender to anyone.
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = cyrus
smtpd_sasl_path = smtpd
cyrus_sasl_config_path = {root}/conf/sasl
smtpd_sasl_local_domain = bench
smtpd_sasl_security_options = noanonymous
smtpd_tls_security_level = none
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = permit_sasl_authenticated, reject
smtpd_end_of_data_restrictions = check_client_access static:HOLD

# Nothing that holds a peer back.
default_process_limit = {processes}
max_use = 100000
max_idle = 600s
in_flow_delay = 0s
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_client_message_rate_limit = 0
smtpd_client_auth_rate_limit = 0
smtpd_client_event_limit_exceptions = 127.0.0.0/8
smtpd_peername_lookup = no
disable_dns_lookups = yes
receive_override_options = no_address_mappings
message_size_limit = 52428800
"""

MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp      unix  - - n - - smtp
relay     unix  - - n - - smtp
showq     unix  n - n - - showq
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
tlsmgr    unix  - - n 1000? 1 tlsmgr
postlog   unix-dgram n - n - 1 postlogd
"""


class Postfix:
    name = "Postfix"
    username, password = "bench@bench", "bench-password"

    @staticmethod
    def why_not():
        """Why Postfix cannot run here, or None."""
        if os.geteuid() != 0:
            return "Postfix's master needs root"
        for program in ("postfix", "saslpasswd2"):
            if not shutil.which(program):
                return f"{program} is missing (Debian packages: postfix sasl2-bin libsasl2-modules)"
        return None

    @staticmethod
    def version():
        output = subprocess.run(["postconf", "-d", "-h", "mail_version"], capture_output=True, text=True, check=True)
        return output.stdout.strip()

    def __init__(self, workdir, sessions, log=False):
        self.root = pathlib.Path(workdir, "postfix")
        self.conf = self.root / "conf"
        self.hold = self.root / "queue" / "hold"
        self._processes = max(200, 2 * sessions)
        self._logs = log

    def start(self):
        (self.port,) = machine.free_ports(1)
        for part in ("conf/sasl", "queue", "data"):
            (self.root / part).mkdir(parents=True)
        shutil.chown(self.root / "data", "postfix")
        main = MAIN.format(root=self.root, libexec=LIBEXEC, processes=self._processes)
        if self._logs:
            # Postfix writes only below the prefixes that it is told of.
            main += f"maillog_file = {self.root}/postfix.log\nmaillog_file_prefixes = {self.root}\n"
        (self.conf / "main.cf").write_text(main)
        (self.conf / "master.cf").write_text(MASTER.format(port=self.port))
        self._add_user()
        self._postfix("start")
        machine.wait_until(lambda: machine.accepts(self.port), 30, "Postfix does not listen")
        master = int((self.root / "queue/pid/master.pid").read_text())
        self.processes = machine.Processes(master)

    def stop(self):
        if (self.root / "queue/pid/master.pid").exists():
            self._postfix("stop")

    def accepted(self):
        """Queue files on hold: what it has said yes to.

        They stay until the end. To delete them between runs would slow Postfix down: ext4 takes no inode that was freed
        in the last minutes, and looks at each of those again for every new file (`recently_deleted` in its ialloc.c).
        """
        return sum(1 for _ in os.scandir(self.hold))

    def _add_user(self):
        user, realm = self.username.split("@")
        database = self.conf / "sasl" / "sasldb2"
        subprocess.run(
            ["saslpasswd2", "-p", "-c", "-f", str(database), "-u", realm, user],
            input=self.password, text=True, check=True,
        )  # fmt: skip
        shutil.chown(database, "root", "postfix")
        database.chmod(0o640)
        (self.conf / "sasl" / "smtpd.conf").write_text(
            "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\n"
            f"sasldb_path: {database}\n"
        )

    def _postfix(self, verb):
        result = subprocess.run(["postfix", "-c", str(self.conf), verb], capture_output=True, text=True)
        if result.returncode != 0:
            raise RuntimeError(f"postfix {verb}: {result.stdout}{result.stderr}")
