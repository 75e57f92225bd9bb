"""Waiting for something to become true, with a deadline. The only place in the tests that sleeps."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(check: Callable[[], T], what: str, timeout: float = 15.0) -> T:
    """The first truthy answer of `check`; an AssertionError when `what` has not happened after `timeout` seconds.

    `check` may raise AssertionError for "not yet": its last words are then part of the report.
    """
    deadline = time.monotonic() + timeout
    pause = 0.005
    last: object = None
    while True:
        try:
            last = answer = check()
            if answer:
                return answer
        except AssertionError as not_yet:
            last = not_yet
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {timeout:g} s: {what} (last seen: {last!r})")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)
