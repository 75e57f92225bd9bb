"""A stand-in for MailerQ 5.13, which is closed source and needs a licence.

It takes messages from an outbox queue, refuses what MailerQ would refuse, really delivers the rest by SMTP, and tells
what became of them in the result queues, in the forms that MailerQ's documents fix. Tests tell it what goes wrong.

By hand: `python -m harness.mailerq --help`, from the directory Acceptance.
"""

from .document import Refused
from .engine import Published, Received, StandIn
from .rest import Fault
from .script import Bounce, Defer, Die, Lose, Outcome

__all__ = ["Bounce", "Defer", "Die", "Fault", "Lose", "Outcome", "Published", "Received", "Refused", "StandIn"]
