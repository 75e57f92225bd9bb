"""How long the send log takes to answer when it is long, and what a long log costs a new message."""

import datetime
import pathlib
import urllib.parse

from . import filler

PAGE = 50


def queries(server, workdir, rows):
    """Name → file of paths, for every way that the log is searched, each with changing values."""
    ids = filler.known_messages(server.database, 100)
    first = server.get(f"/v1/messages?limit={PAGE}")
    numbers = range(3, rows // 2, max(1, rows // 120))
    recipients = [filler.recipient(number) for number in numbers][:50]
    sets = {
        "no filter, first page": [_path()],
        "no filter, next page": [_path(cursor=first["next_cursor"])],
        "by caller": [_path(caller=label) for label in filler.CALLERS],
        "by status": [_path(status=state) for state in sorted(set(filler.STATES))],
        "by window of a day": [_path(**_window(day)) for day in range(1, filler.DAYS - 1)],
        "by recipient": [_path(recipient=address) for address in recipients],
        "search for a recipient (q)": [_path(q=address) for address in recipients],
        "search for the beginning of many addresses (q)": [_path(q=f"reader-{digit}") for digit in range(5)],
        "search for nobody (q)": [_path(q=f"nobody-{number}") for number in range(20)],
        "search for a message id (q)": [_path(q=each) for each in ids],
        "one message by id": [f"/v1/messages/{each}" for each in ids],
        "one message's events": [f"/v1/messages/{each}/events" for each in ids],
        "by caller and status and window": [
            _path(caller=label, status="bounced", **_window(10)) for label in filler.CALLERS[:-1]
        ],
        "by rare caller and a status it never had": [
            _path(caller=filler.CALLERS[-1], status=state) for state in ("bounced", "failed")
        ],
    }
    files = {}
    for number, (name, paths) in enumerate(sets.items()):
        _check(server, name, paths[0])
        files[name] = pathlib.Path(workdir, f"paths-{number}")
        files[name].write_text("".join(f"{path}\n" for path in paths))
    return files


def _path(**filters):
    return "/v1/messages?" + urllib.parse.urlencode({"limit": PAGE, **filters})


def _window(day):
    start = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=day + 1)
    form = "%Y-%m-%dT%H:%M:%SZ"
    return {"since": start.strftime(form), "until": (start + datetime.timedelta(days=1)).strftime(form)}


def _check(server, name, path):
    """A search that finds nothing would be fast and prove nothing."""
    answer = server.get(path)
    found = answer.get("data", answer)
    if not found and not any(word in name for word in ("nobody", "never")):
        raise RuntimeError(f"{path} finds nothing")
