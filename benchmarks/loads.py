"""The loads: what is done to a balancer, by which tool, and how its answer is read.

Laws: existing tools make the load (wrk, iperf3, pgbench), so that the generator is not what is measured; each load is
also put on the server directly, which shows how much room there was. A load returns figures by the names of ``rows``.

New connections are made by wrk with "Connection: close": nginx closes first, so those who wait after the close
(TIME-WAIT) are on the side that was connected to, and are cleared before the next load. A client in Python needs 47 µs
of a processor for a connection, one at a time; HAProxy needs 75.
"""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench_network import BULK, SQL, WEB, Network, Target
from rows import BESIDE_BULK, BULK_COST, BULK_TOTAL, DIRECT, FAILED, IDLE, NEW, NEW_COST, TRIPS
from rows import BULK as BULK_RATE
from rows import SQL as SQL_RATE

from halab.programs import program

HELD = 5000
"""Connections that are open at a time for the memory of one."""
SETTLED, PATIENCE = 5, 20.0
"""Readings of a size, a tenth of a second apart, that must agree; and for how many seconds that is waited for."""
_RATE = re.compile(r"Requests/sec:\s+([\d.]+)")
_COUNT = re.compile(r"(\d+) requests in")
_P99 = re.compile(r"99%\s+([\d.]+)(us|ms|s)")
_TPS = re.compile(r"tps = ([\d.]+)")
_ERRORS = re.compile(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}

Figures = dict[str, float]


def _wrk(network: Network, target: Target, connections: int, seconds: int, *more: str) -> str:
    url = f"http://{target.address}:{WEB}/"
    command = [program("wrk", "wrk"), "-t", "1", "-c", str(connections), "-d", f"{seconds}s", *more, url]
    return network.client.run(command, timeout=seconds + 30).check().output


def _found(pattern: re.Pattern[str], text: str) -> re.Match[str]:
    match = pattern.search(text)
    if match is None:
        raise RuntimeError(f"no figure in what was printed: {text}")
    return match


def _failures(text: str) -> int:
    errors = _ERRORS.search(text)
    return 0 if errors is None else sum(map(int, errors.groups()))


def _used(network: Network, target: Target) -> float:
    """Return the processor time of whoever relays: nobody does for ``direct``."""
    return 0.0 if target.name == DIRECT else network.processor_seconds(target.name)


def new_connections(network: Network, target: Target, seconds: int) -> Figures:
    """Ask once per connection, 32 at a time: connect, a few bytes each way, close."""
    network.forget_closed()
    before = _used(network, target)
    text = _wrk(network, target, 32, seconds, "-H", "Connection: close")
    figures = {NEW: float(_found(_RATE, text)[1]), FAILED: float(_failures(text))}
    if target.name != DIRECT:
        figures[NEW_COST] = (_used(network, target) - before) / int(_found(_COUNT, text)[1])
    return figures


def round_trips(network: Network, target: Target, seconds: int) -> Figures:
    """Ask again and again on 1, 16 and 256 connections: some 60 bytes there, some 150 back."""
    return {name: float(_found(_RATE, _wrk(network, target, count, seconds))[1]) for count, name in TRIPS.items()}


def _iperf(target: Target, seconds: int) -> list[str]:
    return [program("iperf3", "iperf3"), "-c", target.address, "-p", str(BULK), "-t", str(seconds), "-J"]


def bulk(network: Network, target: Target, seconds: int) -> Figures:
    """One stream as fast as it goes, and what a gigabyte costs: the balancer, and all three hosts together.

    What the kernel does for a packet on its way is put down to whoever sent it; so only the sum tells what a plane
    without a process costs.
    """
    before = _used(network, target)
    done = network.client.run(_iperf(target, seconds), timeout=seconds + 30).check()
    own = _used(network, target) - before
    report: dict[str, Any] = json.loads(done.output)["end"]
    gigabytes = report["sum_received"]["bytes"] / 1e9
    ends = report["cpu_utilization_percent"]
    others = (ends["host_total"] + ends["remote_total"]) / 100 * report["sum_sent"]["seconds"]
    figures = {
        BULK_RATE: report["sum_received"]["bits_per_second"] / 8,
        BULK_TOTAL: (own + others) / gigabytes,
    }
    if target.name != DIRECT:
        figures[BULK_COST] = own / gigabytes
    return figures


def latency_beside_bulk(network: Network, target: Target, seconds: int) -> Figures:
    """Round trips on four connections while one stream takes what it can."""
    stream = network.client.spawn(_iperf(target, seconds + 1))
    text = _wrk(network, target, 4, seconds, "--latency")
    stream.wait(seconds + 30)
    found = _found(_P99, text)
    return {BESIDE_BULK: float(found[1]) * _UNITS[found[2]]}


def postgres(network: Network, target: Target, seconds: int) -> Figures:
    """pgbench, read only, 16 clients, prepared statements, against a real PostgreSQL."""
    where = ["-h", target.address, "-p", str(SQL), "-U", "postgres"]
    command = ["pgbench", *where, "-S", "-n", "-M", "prepared", "-c", "16", "-j", "1", "-T", str(seconds), "postgres"]
    text = network.client.run(command, timeout=seconds + 60).check().output
    return {SQL_RATE: float(_found(_TPS, text)[1])}


def idle_memory(network: Network, target: Target, _seconds: int) -> Figures:
    """Open many connections that say nothing, through a program that has just been started.

    One that has run for a while has memory to spare from the loads before, and would seem to need none.
    """
    if target.name == DIRECT:
        return {}
    network.stop_program(target.name)
    network.start_program(target.name)
    before = _settled(network, target.name)

    def connect() -> list[socket.socket]:
        return [socket.create_connection((target.address, WEB), 10) for _ in range(HELD)]

    held = network.client.inside(connect).result()
    try:
        return {IDLE: (_settled(network, target.name) - before) / HELD}
    finally:
        for each in held:
            each.close()


def _settled(network: Network, name: str) -> int:
    """Return a program's memory in bytes once it no longer changes by more than a page a process."""
    readings = [network.memory(name)]
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        time.sleep(0.1)
        readings.append(network.memory(name))
        latest = readings[-SETTLED:]
        if len(latest) == SETTLED and max(latest) - min(latest) <= 16 * 1024:
            break
    return readings[-1]


def failures_of_reloads(network: Network, name: str, reloads: int) -> dict[str, int]:
    """Reload again and again, twice a second, under 32 who connect all the time.

    Returns how many connections failed, how many there were, and the reloads.
    """
    seconds = reloads // 2 + 1
    begun = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(_wrk, network, network.target(name), 32, seconds, "-H", "Connection: close")
        for number in range(reloads):
            time.sleep(max(0.0, begun + 0.5 * (number + 1) - time.monotonic()))
            network.reload(name)
        text = running.result()
    return {"failed": _failures(text), "went": int(_found(_COUNT, text)[1]), "reloads": reloads}


LOADS: Mapping[str, Callable[[Network, Target, int], Figures]] = {
    "connections": new_connections,
    "round trips": round_trips,
    "bulk": bulk,
    "latency beside bulk": latency_beside_bulk,
    "pgbench": postgres,
    "memory": idle_memory,
}
