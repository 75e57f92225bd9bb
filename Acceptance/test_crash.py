"""`kill -9` at random moments under load from both doors. What was accepted is there afterwards, once, and ends.

POSTERN_CRASH_ROUNDS and POSTERN_CRASH_SEED make a run longer, or the same as one that failed.
"""

from __future__ import annotations

import os
import random
import threading
import time
from pathlib import Path

import pytest
from conftest import live, use_smarthost
from harness.load import Load
from harness.mail import header
from harness.peers import Peer
from harness.postern import Postern
from harness.tls import Authority

ROUNDS = int(os.environ.get("POSTERN_CRASH_ROUNDS", "22"))
SEED = int(os.environ.get("POSTERN_CRASH_SEED", str(time.time_ns() % 1_000_000)))


def crash(postern: Postern, load: Load, rounds: int, chance: random.Random) -> None:
    """Kills and restarts. Most kills come at some number of acceptances, some while it starts up."""
    for number in range(rounds):
        load.run()
        load.reach(len(load.accepted) + chance.randint(1, 250))
        # A moment that is not tied to an answer: in the middle of a commit, a reply, a read.
        threading.Event().wait(chance.uniform(0, 0.02))
        postern.kill9()
        load.pause()
        if number % 4 == 3:
            # Once more while it picks up what it had.
            postern.start(wait=False)
            threading.Event().wait(chance.uniform(0, 0.4))
            postern.kill9()
        postern.start()


@pytest.mark.timeout(300)
def test_nothing_that_was_accepted_is_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    started = time.monotonic()
    with Postern(tmp_path / "crash") as postern:
        with Load(postern) as load:
            crash(postern, load, ROUNDS, random.Random(SEED))
            # What careful clients still wait for gets its answer now.
            load.run()
            load.reach(len(load.accepted) + 50)
        assert not load.mistakes, load.mistakes[:3]
        assert min(load.doors["http"], load.doors["smtp"]) >= ROUNDS, load.doors
        load.verify(postern)
        took = time.monotonic() - started
        with capsys.disabled():
            print(f"\ncrash test: {ROUNDS} rounds, {len(load.accepted)} accepted "
                  f"({load.doors['http']} by HTTP, {load.doors['smtp']} by SMTP), none lost, {took:.0f} s, "
                  f"POSTERN_CRASH_SEED={SEED}")  # fmt: skip
        postern.terminate()


@pytest.mark.timeout(300)
def test_nothing_that_was_on_its_way_is_lost(tmp_path: Path, authority: Authority) -> None:
    """The same while mail leaves. A copy may come twice, where the peer's last answer was lost, but under one id."""
    with Peer(starttls=authority.issue("crash", "DNS:localhost").server_context()) as peer:
        with Postern(tmp_path / "crash", **live(authority)) as postern:
            use_smarthost(postern, peer.port)
            with Load(postern, http=1, smtp=1) as load:
                crash(postern, load, max(ROUNDS // 4, 1), random.Random(SEED + 1))
                load.run()
                load.reach(len(load.accepted) + 20)
            assert not load.mistakes, load.mistakes[:3]
            load.verify(postern, frozenset({"delivered"}), timeout=120)
            message_ids: dict[str, set[str]] = {}
            for delivery in peer.deliveries:
                message_ids.setdefault(delivery.recipients[0], set()).update(header(delivery.content, "Message-ID"))
            missing = [recipient for recipient in load.accepted if recipient not in message_ids]
            assert not missing, f"{len(missing)} never reached the peer: {missing[:5]}"
            changed = [recipient for recipient, found in message_ids.items() if len(found) != 1]
            assert not changed, f"copies under different ids: {changed[:5]}"
            postern.terminate()
