"""Postern as a company runs it: a broker, a MailerQ behind it, and a server that the mail arrives at."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from .mailerq import StandIn
from .network import LOOPBACK
from .peers import Peer
from .postern import Postern
from .rabbitmq import VirtualHost
from .tls import Authority

OUTBOX, SUCCESS, FAILURE, RETRY = "acme.outbox", "acme.success", "acme.failure", "acme.retry"
QUEUES = (OUTBOX, SUCCESS, FAILURE, RETRY)

# The events of a message that went to MailerQ, without those that differ by how it came to the outbox.
STORY = {"relayed", "deferred", "delivered", "bounced", "failed", "expired"}


def broker_environment(vhost: VirtualHost, authority: Authority, **environment: str) -> dict[str, str]:
    """The environment of an instance on that broker that may send, and tries again quickly."""
    return {
        "POSTERN_EMAILGATEWAY_LIVE_SEND_ENABLED": "true",
        "POSTERN_TLS_CA_FILE": str(authority.certificate),
        "POSTERN_RETRY_INITIAL": "0.2",
        "POSTERN_RETRY_MAX": "1",
        "POSTERN_AMQP_URL": vhost.url,
        "POSTERN_RABBITMQ_MANAGEMENT_URL": vhost.broker.management_url,
        "POSTERN_QUEUE_OUTBOX": OUTBOX,
        "POSTERN_QUEUE_SUCCESS": SUCCESS,
        "POSTERN_QUEUE_FAILURE": FAILURE,
        "POSTERN_QUEUE_RETRY": RETRY,
        **environment,
    }


def mailerq_environment(mailerq: StandIn) -> dict[str, str]:
    """Where MailerQ's REST API is, and the way in."""
    return {"POSTERN_MAILERQ_URL": mailerq.rest.url, "POSTERN_MAILERQ_TOKEN": mailerq.rest.token}


def use_mailerq(postern: Postern, route: str = "mailerq") -> None:
    postern.set(route=route, live_send_enabled=True)


def stand_in(vhost: VirtualHost, sink: Peer, **options: Any) -> StandIn:
    """MailerQ with this company's queue names; a deferred message is tried again at once."""
    options.setdefault("retry_interval", 0)
    return StandIn(
        vhost.url, (LOOPBACK, sink.port), outbox=OUTBOX, success=SUCCESS, failure=FAILURE, retry=RETRY, **options
    )


class Company:
    """All of it in one virtual host. The queues are declared but for those that the test has `declared`; `mailerq` has
    options of the stand-in, and `environment` is Postern's."""

    def __init__(self, directory: Path, vhost: VirtualHost, authority: Authority, *,
                 declared: Collection[str] = (), mailerq: dict[str, Any] | None = None,
                 **environment: str) -> None:  # fmt: skip
        self.vhost, self.authority = vhost, authority
        self._declared = declared
        self.sink = Peer()
        self.mailerq = stand_in(vhost, self.sink, **(mailerq or {}))
        environment = {**mailerq_environment(self.mailerq), **environment}
        self.postern = Postern(directory, **broker_environment(vhost, authority, **environment))
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Company:
        with contextlib.ExitStack() as stack:
            self.vhost.declare(*(queue for queue in QUEUES if queue not in self._declared))
            stack.enter_context(self.sink)
            stack.enter_context(self.mailerq)
            self.mailerq.wait_consuming()
            stack.enter_context(self.postern)
            use_mailerq(self.postern)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def story(self, id: str) -> list[str]:
        """What happened to the message after it was accepted."""
        return [type for type in self.postern.event_types(id) if type in STORY]
