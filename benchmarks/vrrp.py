"""Our VRRP daemon beside the real keepalived, side by side in one run: `./run bench vrrp`.

Laws: both do the same on the same kernel, one after the other, in turns; every time is that of a packet on the wire.
What is compared is how much later than the RFC's own timers each of them acts. Nothing here is a test: a loaded machine
makes all figures worse, and those of both.
"""

from __future__ import annotations

import contextlib
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from vrrp_pair import Lan, Pair, instance, master_down, skew, whole

from halab import faults
from halab.wait import poll

ROUNDS = 5
MANY = 100
STEADY = 10.0
"""Seconds over which the processor time of the steady state is taken."""
OURS, THEIRS = "pyvrrp", "keepalived"
INTERVAL = 0.2
PATIENCE = 4.0
"""Seconds after which an announcement counts as one that never comes."""


@contextlib.contextmanager
def new_lan() -> Iterator[Pair]:
    """A LAN with two hosts, whose capture goes with it."""
    with tempfile.TemporaryDirectory(prefix="vrrp-bench-") as folder, Pair(Path(folder)) as lan:
        yield lan


def election(program: str) -> dict[str, float]:
    """Start one alone: how long until it listens, until it says that it is ready, and until it is master."""
    with new_lan() as lan:
        begun = time.time()
        lan.start("left", program, whole(instance(100, interval=INTERVAL)))
        said = time.time() - begun
        lan.until_held_by("left", within=5)
        first = lan.until_advert(lambda _: True, 2)
        joined = lan.joined_at("left")
        late = first.at - joined - master_down(100, interval=INTERVAL)
        figures = {"listens after the start": joined - begun, "election, later than the RFC's time": late}
        return {**figures, "ready after the start": said} if program == OURS else figures


def takeover(program: str) -> dict[str, float]:
    """Two of the same kind: the master resigns, comes back, and is killed."""
    with new_lan() as lan:
        lan.start("right", program, whole(instance(60, interval=INTERVAL)))
        master = lan.start("left", program, whole(instance(255, interval=INTERVAL)))
        lan.until_held_by("left", within=5)
        lan.until_log("right", "Entering BACKUP STATE")
        master.stop()
        lan.until_held_by("right", within=3)
        resigned = lan.until_advert(lambda advert: advert.priority == 0, 2, "left").at
        taken = lan.until_advert(lambda advert: advert.at > resigned, 2, "right").at
        after_stop = taken - resigned - skew(60, interval=INTERVAL)
        poll(lambda: again(lan), 10, "a start after the stop")  # keepalived lingers for a second
        lan.until_held_by("left", within=5)
        poll(lambda: len([one for one in lan.adverts("left") if one.at > taken]) > 3, 3, "advertisements")
        lan.kill("left")
        poll(lambda: "right" in lan.watch.holders("10.88.2.50"), 3, "the takeover")
        last = lan.adverts("left")[-1].at
        taken = lan.until_advert(lambda advert: advert.at > last, 2, "right").at
        after_kill = taken - last - master_down(60, interval=INTERVAL)
        return {
            "takeover after SIGTERM, later than the skew": after_stop,
            "takeover after kill -9, later than Master_Down_Interval": after_kill,
        }


def heal(program: str) -> dict[str, float]:
    """Cut the master off in silence until the other has taken over, and join them: when does it announce itself again?

    Whoever holds the address in its ARP table meanwhile sends to the one that has yielded.
    """
    with new_lan() as lan:
        once = "garp_master_delay 0"  # no second burst, which could be taken for what is looked for
        lan.start("right", program, whole(instance(100, once, interval=INTERVAL)))
        lan.start("left", program, whole(instance(200, once, interval=INTERVAL)))
        lan.until_held_by("left", within=5)
        mac = lan.until_advert(lambda advert: advert.priority == 200, 2, "left").mac
        faults.partition(lan.lab, "left")
        lan.until_held_by("left", "right", within=5)
        poll(lambda: len(lan.adverts("right")) > 3, 3, "the other master")
        begun = time.time()
        faults.heal(lan.lab, "left")
        lan.until_held_by("left", within=5)

        def announced() -> float | None:
            times = (float(arp["at"]) for arp in lan.gratuitous_arps() if arp["mac"] == mac)
            return next((at for at in times if at > begun), None)

        try:
            return {"announces itself after a heal": poll(announced, PATIENCE, "an announcement") - begun}
        except AssertionError:
            return {"announces itself after a heal": math.inf}


def again(lan: Lan) -> bool:
    """Start the left one once more; whether it stays."""
    lan.speakers["left"].start()
    try:
        poll(lambda: not lan.speakers["left"].ready(), 0.3, "its end")
    except AssertionError:
        return True
    return False


def processes(lan: Lan, name: str) -> list[str]:
    """The pids, in the host, of what speaks VRRP there."""
    found = lan.host(name).run(["pgrep", "-f", "keepalived.conf"]).output.split()
    return [pid for pid in found if lan.host(name).path(f"/proc/{pid}").exists()]


def processor_time(lan: Lan, name: str) -> float:
    """Seconds of processor time that they have used.

    From schedstat, which counts nanoseconds: stat counts ticks, and who is woken by a tick of the other side is found
    at work by nearly every one of them.
    """
    folders = (lan.host(name).path(f"/proc/{pid}/task") for pid in processes(lan, name))
    tasks = (task for folder in folders for task in folder.iterdir())
    used = ((task / "schedstat").read_text(encoding="ascii").split()[0] for task in tasks)
    return sum(map(int, used)) / 1e9


def memory(lan: Lan, name: str) -> float:
    """Their proportional set size in MB."""
    total = 0
    for pid in processes(lan, name):
        lines = lan.host(name).read_file(f"/proc/{pid}/smaps_rollup").splitlines()
        total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def many(left: str, right: str) -> tuple[dict[str, float], dict[str, float]]:
    """A hundred virtual routers, all masters on the left and backups on the right: shares of a core, and memory."""

    def text(priority: int) -> str:
        blocks = [
            instance(priority, name=f"VI_{n}", vrid=n, version=2, interval=1, addresses=(f"10.88.3.{n}/32",))
            for n in range(1, MANY + 1)
        ]
        return whole(*blocks)

    with new_lan() as lan:
        lan.start("left", left, text(200))
        lan.start("right", right, text(100))
        lan.until_held_by("left", within=20, address=f"10.88.3.{MANY}")
        settled = time.time() + 7.0  # the second burst of gratuitous ARP comes after five seconds
        poll(lambda: time.time() >= settled, 10, "the steady state")
        before, begun = [processor_time(lan, name) for name in ("left", "right")], time.monotonic()
        poll(lambda: time.monotonic() - begun >= STEADY, STEADY + 5, "the end of the measurement")
        took = time.monotonic() - begun
        shares = [(processor_time(lan, name) - was) / took for name, was in zip(("left", "right"), before, strict=True)]
        sizes = [memory(lan, name) for name in ("left", "right")]
    return (
        {f"{MANY} masters, share of a core": shares[0], f"{MANY} masters, memory in MB": sizes[0]},
        {f"{MANY} backups, share of a core": shares[1], f"{MANY} backups, memory in MB": sizes[1]},
    )


Figures = dict[str, dict[str, list[float]]]


def measured() -> Figures:
    """Every figure by its name and program, in turns."""
    figures: Figures = {}

    def note(program: str, found: dict[str, float]) -> None:
        for name, value in found.items():
            figures.setdefault(name, {OURS: [], THEIRS: []})[program].append(value)

    work: list[Callable[[str], dict[str, float]]] = [election, takeover, heal]
    for number in range(ROUNDS):
        for measure in work:
            for program in (OURS, THEIRS):
                print(f"\r{measure.__name__} {number + 1}/{ROUNDS} {program}      ", end="", file=sys.stderr)
                note(program, measure(program))
    for left, right in ((OURS, THEIRS), (THEIRS, OURS)):
        print(f"\r{MANY} instances, {left} as master ...      ", end="", file=sys.stderr)
        masters, backups = many(left, right)
        note(left, masters)
        note(right, backups)
    print("\r" + " " * 60 + "\r", end="", file=sys.stderr)
    return figures


def told(name: str, value: float) -> str:
    """A figure as people read it."""
    if math.isinf(value):
        return "never"
    if "share" in name:
        return f"{value * 100:.1f} %"
    return f"{value:.1f} MB" if "memory" in name else f"{value * 1000:.1f} ms"


def main() -> None:
    """Measure and print the table: medians, and the worst in brackets."""
    rows = [("", OURS, THEIRS, "difference")]
    for name, by_program in measured().items():
        cells, middles = [], []
        for program in (OURS, THEIRS):
            values = by_program[program]
            middles.append(statistics.median(values) if values else None)
            worst = f" ({told(name, max(values))})" if len(values) > 1 else ""
            cells.append(f"{told(name, statistics.median(values))}{worst}" if values else "-")
        finite = all(value is not None and math.isfinite(value) for value in middles)
        rows.append((name, *cells, told(name, middles[0] - middles[1]) if finite else "-"))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    main()
