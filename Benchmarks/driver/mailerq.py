"""MailerQ's stand-in of the acceptance tests and the server that it delivers to, as a process of their own.

The driver starts it: the broker's URL comes by AMQP_URL, a line says that it consumes, and it ends with its input.
"""

import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "Acceptance"))

from harness.company import FAILURE, OUTBOX, RETRY, SUCCESS  # noqa: E402
from harness.mailerq import StandIn  # noqa: E402
from harness.peers import Peer  # noqa: E402


def main():
    with Peer() as sink:
        queues = {"outbox": OUTBOX, "success": SUCCESS, "failure": FAILURE, "retry": RETRY}
        with StandIn(os.environ["AMQP_URL"], ("127.0.0.1", sink.port), **queues) as mailerq:
            mailerq.wait_consuming()
            print("consuming", flush=True)
            sys.stdin.read()
            if mailerq.complaints:
                sys.exit(f"{len(mailerq.complaints)} complaints; the first: {mailerq.complaints[0]}")


if __name__ == "__main__":
    main()
