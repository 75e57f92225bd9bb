"""Fills a stopped server's database with a past: a million messages that look like the one that it took itself.

One message that the server accepted serves as the pattern. Its row in the log, its payload and its events are copied
with new ids, times, callers, recipients and states; every other column keeps what the server wrote there, so that a new
column needs no change here.
"""

import random
import sqlite3
import time

CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
DAYS = 30

# Only end states: a message that is still under way would be work for the dispatcher.
STATES = ["captured"] * 160 + ["delivered"] * 30 + ["bounced"] * 6 + ["failed"] * 2 + ["expired"] + ["cancelled"]
CALLERS = [f"tool-{number:02}" for number in range(20)]
RECIPIENTS = 50_000
BATCH = 10_000


def caller(number):
    """The label of message `number`'s caller; the last of them has sent one message in a thousand."""
    return CALLERS[-1] if number % 1_000 == 7 else CALLERS[number * 7 % (len(CALLERS) - 1)]


def recipient(number):
    return f"reader-{number * 2_654_435_761 % RECIPIENTS:05}@example.net"


def state(number):
    return STATES[number * 31 % len(STATES)]


def identifier(prefix, milliseconds, counter):
    """As Postern makes them: 48 bits of time, 10 of process (1023, which no server of ours holds), 22 of counter."""
    value = milliseconds << 32 | 1023 << 22 | counter % (1 << 22)
    return prefix + "".join(CROCKFORD[value >> shift & 31] for shift in range(75, -1, -5))


def fill(path, rows, say):
    """Adds as many messages as bring the log to `rows`, and says how long that took."""
    started = time.monotonic()
    database = sqlite3.connect(path, isolation_level=None)
    database.row_factory = sqlite3.Row
    (present,) = database.execute("SELECT count(*) FROM smtp_relay_logs").fetchone()
    pattern = database.execute("SELECT * FROM smtp_relay_logs WHERE status = 'captured' LIMIT 1").fetchone()
    payload = database.execute("SELECT * FROM payloads WHERE id = ?", [pattern["payload_id"]]).fetchone()
    events = database.execute(
        "SELECT * FROM message_events WHERE message_id = ? ORDER BY id", [pattern["id"]]
    ).fetchall()

    # The copy need not survive a power cut while it is being made.
    database.execute("PRAGMA journal_mode = OFF")
    database.execute("PRAGMA synchronous = OFF")
    database.execute("PRAGMA cache_size = -400000")
    missing = rows - present
    step = DAYS * 86_400_000 // max(missing, 1)
    oldest = int(time.time() * 1000) - DAYS * 86_400_000
    for first in range(0, missing, BATCH):
        numbers = range(first, min(first + BATCH, missing))
        database.execute("BEGIN")
        _insert(database, "payloads", payload, [_payload(number, oldest + number * step) for number in numbers])
        _insert(database, "smtp_relay_logs", pattern, [_message(number, oldest + number * step) for number in numbers])
        for place, event in enumerate(events):
            _insert(
                database, "message_events", event,
                [_event(number, oldest + number * step, place, event["type"]) for number in numbers],
            )  # fmt: skip
        database.execute("COMMIT")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA optimize")
    (total,) = database.execute("SELECT count(*) FROM smtp_relay_logs").fetchone()
    database.close()
    say(f"  filled to {total:,} messages in {time.monotonic() - started:.0f} s")


def known_messages(path, count):
    """Ids of messages all over the log."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        ids = [row[0] for row in database.execute("SELECT id FROM smtp_relay_logs")]
    return random.Random(1).sample(ids, count)


def _payload(number, at):
    return {"id": identifier("pay_", at, number), "created_at": at}


def _message(number, at):
    return {
        "id": identifier("msg_", at, number),
        "correlation_id": identifier("cor_", at, number),
        "payload_id": identifier("pay_", at, number),
        "caller_id": f"key_{caller(number)}",
        "caller_label": caller(number),
        "recipient": recipient(number),
        "subject": f"Message number {number}",
        "status": state(number),
        "created_at": at,
        "updated_at": at + 40,
        "deadline_at": at + 86_400_000,
    }


def _event(number, at, place, kind):
    # The last event of the pattern says `captured`; the copy's says what its own message became.
    return {
        "id": identifier("evt_", at + 20 * place, number),
        "message_id": identifier("msg_", at, number),
        "type": state(number) if kind == "captured" else kind,
        "at": at + 20 * place,
    }


def _insert(database, table, pattern, changes):
    """Rows like `pattern` but for `changes`; a column that a change names and the table lacks is left out."""
    columns = pattern.keys()
    template = dict(pattern)
    marks = ", ".join("?" for _ in columns)
    database.executemany(
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})",
        ([change.get(column, template[column]) for column in columns] for change in changes),
    )
