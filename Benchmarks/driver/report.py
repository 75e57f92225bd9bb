"""The table that a person reads: on the terminal and in docs/benchmarks.md."""

import dataclasses
import pathlib
import statistics
import string

HEADINGS = ["measured", "Postern", "peer", "ratio", "goal"]

#: What stands below a comparison's rate: the line's name, the figure of a run, digits after the point.
ACCEPTING = [
    ("p50, ms", "p50_ms", 1),
    ("p99, ms", "p99_ms", 1),
    ("server CPU, µs/message", "cpu_us", 0),
    ("disk before each run, syncs/s", "syncs", 0),
]


@dataclasses.dataclass
class Row:
    """One line: what was measured, what came out, and beside it the goal of DESIGN §5, if it has one."""

    what: str
    ours: str
    peer: str = "—"
    ratio: str = "—"
    goal: str = "—"
    met: bool | None = None

    def cells(self):
        met = {None: "", True: " ✓", False: " ✗"}[self.met]
        return [self.what, self.ours, self.peer, self.ratio, self.goal + met]


def spread(values, digits=0):
    """`median (min–max)`."""
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f}–{max(values):,.{digits}f})"


def compared(what, ours, peer, goal_ratio=None, figures=ACCEPTING):
    """The rows of one pair of series: the rate, and below it the figures asked for."""
    pairwise = [mine / theirs for mine, theirs in zip(ours.values("per_second"), peer.values("per_second"))]
    yield Row(
        what=f"{what}, messages/s",
        ours=spread(ours.values("per_second")),
        peer=f"{peer.name}: {spread(peer.values('per_second'))}",
        ratio=spread(pairwise, digits=2),
        goal="—" if goal_ratio is None else f"≥ {goal_ratio:g} ×",
        met=None if goal_ratio is None else statistics.median(pairwise) >= goal_ratio,
    )
    for name, figure, digits in figures:
        theirs = peer.median(figure)
        yield Row(
            what=f"— {name}",
            ours=spread(ours.values(figure), digits),
            peer=spread(peer.values(figure), digits),
            ratio=f"{ours.median(figure) / theirs:.2f}" if theirs else "—",
        )


def latencies(what, runs, figure):
    """Two rows: the median and the 99th percentile of every run, over all runs."""
    for name in ("p50", "p99"):
        yield Row(f"{what}: {name}, ms", spread([run[f"{figure}_{name}"] for run in runs], digits=1))


def terminal(rows):
    """The table in columns."""
    lines = [HEADINGS] + [row.cells() for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    lines.insert(1, ["─" * width for width in widths])
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines)


def verdict(rows):
    missed = [row.what for row in rows if row.met is False]
    return "Every goal is met." if not missed else "Not met: " + "; ".join(missed) + "."


def markdown(rows, facts, command, sizes):
    """The page docs/benchmarks.md, from the template beside this file."""
    table = [HEADINGS, ["---", "--:", "--:", "--:", "---"]] + [row.cells() for row in rows]
    template = string.Template(pathlib.Path(__file__).with_name("benchmarks.md").read_text())
    return template.substitute(
        {name: f"{value:,}" if isinstance(value, int) else value for name, value in vars(sizes).items()},
        **facts,
        command=command,
        table="\n".join("| " + " | ".join(line) + " |" for line in table),
        verdict=verdict(rows),
    )
