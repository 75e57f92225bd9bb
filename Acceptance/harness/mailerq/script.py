"""What tests can make happen to one attempt, in place of what the sink would have said."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bounce:
    """A permanent refusal by the remote host."""

    code: int = 550
    status: str = "5.1.1"
    text: str = "no such user here"
    state: str = "rcptto"


@dataclass(frozen=True)
class Defer:
    """A temporary refusal by the remote host: the message goes back to the outbox with a time for the next attempt."""

    code: int = 451
    status: str = "4.7.1"
    text: str = "greylisted, come back later"
    state: str = "rcptto"


@dataclass(frozen=True)
class Lose:
    """No reply: the connection could not be made (`connect`) or broke in that state. Temporary."""

    state: str = "connect"
    result: str = "timeout"


@dataclass(frozen=True)
class Die:
    """The stand-in's own end, and its return: before its results are out (the mail is delivered), or after they are
    and before the message is acked. Either way the broker hands the message out again."""

    before: str = "ack"


Outcome = Bounce | Defer | Lose | Die
