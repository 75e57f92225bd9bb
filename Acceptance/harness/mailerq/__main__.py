"""The stand-in by hand, for make-believe runs: `python -m harness.mailerq --help`, from the directory Acceptance."""

from __future__ import annotations

import argparse
import contextlib
import signal
import threading
from pathlib import Path

from harness.peers import Peer

from . import Bounce, Defer, StandIn

_EXAMPLE = """\
example, with a RabbitMQ on this machine and no mail server:

  python -m harness.mailerq --amqp amqp://guest:guest@localhost/ --declare --keep /tmp/mail --http 8485 \\
      --bounce '*@bounce.test' --defer 'slow-*'

then start Postern with POSTERN_AMQP_URL=amqp://guest:guest@localhost/ POSTERN_QUEUE_OUTBOX=outbox
POSTERN_QUEUE_SUCCESS=success POSTERN_QUEUE_FAILURE=failure POSTERN_QUEUE_RETRY=retry
POSTERN_EMAILGATEWAY_LIVE_SEND_ENABLED=true and set route=mailerq live_send_enabled=true.
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m harness.mailerq", description="A stand-in for MailerQ: takes messages from a queue, delivers "
        "them by SMTP, and publishes what became of them.", epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--amqp", required=True, metavar="URL", help="amqp://user:password@host/vhost, or amqps://")
    parser.add_argument("--ca", type=Path, help="certificates that an amqps:// broker is checked against")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--sink", metavar="HOST:PORT", help="the SMTP server that all mail goes to")
    where.add_argument("--keep", type=Path, metavar="DIRECTORY", help="play that server, and keep the mail there")
    for queue in ("outbox", "success", "failure", "retry"):
        parser.add_argument(f"--{queue}", default=queue, metavar="QUEUE", help=f"default: {queue}")
    parser.add_argument("--inbox", metavar="QUEUE", help="where POST /v1/inject puts messages (default: the outbox)")
    parser.add_argument("--results", metavar="QUEUE", help="every final result as well (default: none)")
    parser.add_argument("--declare", action="store_true", help="declare the queues, durable and classic")
    parser.add_argument("--http", type=int, metavar="PORT", help="the REST API's port on 127.0.0.1")
    parser.add_argument("--token", default="mailerq-token", help="its bearer token (default: mailerq-token)")
    parser.add_argument("--bounce", action="append", default=[], metavar="PATTERN", help="refuse these recipients")
    parser.add_argument("--defer", action="append", default=[], metavar="PATTERN",
                        help="never let go of these recipients: 451 each time")  # fmt: skip
    parser.add_argument("--refuses", choices=["canonical", "responsive"], help="a structure of mime not understood")
    parser.add_argument("--retry-interval", type=float, default=30, metavar="SECONDS")
    parser.add_argument("--delay", type=float, default=0, metavar="SECONDS", help="before each attempt")
    parser.add_argument("--copies", type=int, default=1, help="how often each result is published")
    parser.add_argument("--old-format", action="store_true", help="results as MailerQ 3.0 wrote them")
    parser.add_argument("--gzip", action="store_true", help="results compressed")
    arguments = parser.parse_args()

    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    with contextlib.ExitStack() as stack:
        peer = stack.enter_context(Peer()) if arguments.keep else None
        host, _, port = (arguments.sink or f"127.0.0.1:{peer.port if peer else 0}").rpartition(":")
        standin = StandIn(
            arguments.amqp, (host, int(port)), ca=arguments.ca, outbox=arguments.outbox, inbox=arguments.inbox,
            results=arguments.results, success=arguments.success, failure=arguments.failure, retry=arguments.retry,
            declare=arguments.declare, retry_interval=arguments.retry_interval, refuses=arguments.refuses,
            token=arguments.token, http_port=arguments.http, out=lambda line: print(line, flush=True),
        )  # fmt: skip
        standin.old_format, standin.gzip = arguments.old_format, arguments.gzip
        standin.copies, standin.delay = arguments.copies, arguments.delay
        for pattern in arguments.bounce:
            standin.always(pattern, Bounce())
        for pattern in arguments.defer:
            standin.always(pattern, Defer())
        stack.enter_context(standin)
        print(f"REST API at {standin.rest.url}, mail to {host}:{port}; end with ^C", flush=True)
        kept = 0
        while not over.wait(0.5):
            kept = _keep(peer, arguments.keep, kept) if peer is not None else 0


def _keep(peer: Peer, directory: Path, kept: int) -> int:
    directory.mkdir(parents=True, exist_ok=True)
    deliveries = peer.deliveries
    for number, delivery in enumerate(deliveries[kept:], start=kept + 1):
        name = delivery.recipients[0].replace("/", "_")
        (directory / f"{number:05}-{name}.eml").write_bytes(delivery.content)
    return len(deliveries)


if __name__ == "__main__":
    main()
