"""The loads: what is done to a balancer, by which tool, and how its answer is read.

Laws: existing tools make the load (wrk, iperf3, pgbench), so that the generator is not what is measured; each load is
also put on the server directly, which shows how much room there was. A load returns figures by name; larger is better,
or smaller where the table says so.
"""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bench_network import BULK, DIRECT, SQL, WEB, Network, Target

from halab.programs import program

IDLE = 5000
"""Connections that are open at a time for the memory of one."""
_RATE = re.compile(r"Requests/sec:\s+([\d.]+)")
_P99 = re.compile(r"99%\s+([\d.]+)(us|ms|s)")
_TPS = re.compile(r"tps = ([\d.]+)")
_ERRORS = re.compile(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: the figure's name, its unit, and which way is better."""

    name: str
    unit: str
    smaller_is_better: bool = False


ROWS = (
    Row("new connections", "/s"),
    Row("round trips, 16 connections", "/s"),
    Row("round trips, 1 connection", "/s"),
    Row("round trips, 256 connections", "/s"),
    Row("bulk, one stream", "B/s"),
    Row("processor time per gigabyte", "s", smaller_is_better=True),
    Row("p99 of a round trip beside bulk", "s", smaller_is_better=True),
    Row("pgbench -S, 16 clients", "/s"),
    Row("memory of an idle connection", "B", smaller_is_better=True),
)
Figures = dict[str, float]


def _wrk(network: Network, target: Target, connections: int, seconds: int, *more: str) -> str:
    url = f"http://{target.address}:{target.port(WEB)}/"
    command = [program("wrk", "wrk"), "-t", "1", "-c", str(connections), "-d", f"{seconds}s", *more, url]
    return network.client.run(command, timeout=seconds + 30).check().output


def _found(pattern: re.Pattern[str], text: str) -> re.Match[str]:
    match = pattern.search(text)
    if match is None:
        raise RuntimeError(f"no figure in what was printed: {text}")
    return match


def new_connections(network: Network, target: Target, seconds: int) -> Figures:
    """Ask once per connection, 32 at a time: connect, a few bytes each way, close."""
    text = _wrk(network, target, 32, seconds, "-H", "Connection: close")
    return {"new connections": float(_found(_RATE, text)[1])}


def round_trips(network: Network, target: Target, seconds: int) -> Figures:
    """Ask again and again on 1, 16 and 256 connections: some 60 bytes there, some 150 back."""
    names = {16: "round trips, 16 connections", 1: "round trips, 1 connection", 256: "round trips, 256 connections"}
    return {name: float(_found(_RATE, _wrk(network, target, count, seconds))[1]) for count, name in names.items()}


def _iperf(target: Target, seconds: int) -> list[str]:
    return [program("iperf3", "iperf3"), "-c", target.address, "-p", str(target.port(BULK)), "-t", str(seconds), "-J"]


def bulk(network: Network, target: Target, seconds: int) -> Figures:
    """One stream as fast as it goes, and what a gigabyte costs the balancer."""
    before = 0.0 if target.name == DIRECT else network.processor_seconds(target.name)
    received = json.loads(network.client.run(_iperf(target, seconds), timeout=seconds + 30).check().output)["end"]
    figures = {"bulk, one stream": received["sum_received"]["bits_per_second"] / 8}
    if target.name != DIRECT:
        used = network.processor_seconds(target.name) - before
        figures["processor time per gigabyte"] = used / (received["sum_received"]["bytes"] / 1e9)
    return figures


def latency_beside_bulk(network: Network, target: Target, seconds: int) -> Figures:
    """Round trips on four connections while one stream takes what it can."""
    stream = network.client.spawn(_iperf(target, seconds + 2))
    text = _wrk(network, target, 4, seconds, "--latency")
    stream.wait(seconds + 30)
    found = _found(_P99, text)
    return {"p99 of a round trip beside bulk": float(found[1]) * _UNITS[found[2]]}


def postgres(network: Network, target: Target, seconds: int) -> Figures:
    """pgbench, read only, 16 clients, against a real PostgreSQL."""
    where = ["-h", target.address, "-p", str(target.port(SQL)), "-U", "postgres"]
    command = ["pgbench", *where, "-S", "-n", "-c", "16", "-j", "1", "-T", str(seconds), "postgres"]
    return {
        "pgbench -S, 16 clients": float(
            _found(_TPS, network.client.run(command, timeout=seconds + 60).check().output)[1]
        )
    }


def idle_memory(network: Network, target: Target, _seconds: int) -> Figures:
    """Open many connections that say nothing."""
    if target.name == DIRECT:
        return {}
    before = network.memory(target.name)

    def connect() -> list[socket.socket]:
        return [socket.create_connection((target.address, target.port(WEB)), 10) for _ in range(IDLE)]

    held = network.client.inside(connect).result()
    try:
        time.sleep(1.0)  # both ends of the last ones
        return {"memory of an idle connection": (network.memory(target.name) - before) / IDLE}
    finally:
        for each in held:
            each.close()


def failures_of_reloads(network: Network, name: str, reloads: int) -> tuple[int, int]:
    """Reload again and again under 32 who connect all the time; returns how many failed, and how many there were."""
    seconds = max(reloads // 2, 2)
    url = f"http://{network.target(name).address}:{network.target(name).port(WEB)}/"
    command = [program("wrk", "wrk"), "-t", "1", "-c", "32", "-d", f"{seconds + 2}s", "-H", "Connection: close", url]
    begun = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(network.client.run, command, timeout=seconds + 40)
        for number in range(reloads):
            time.sleep(max(0.0, begun + 0.5 * (number + 1) - time.monotonic()))
            network.reload(name)
        text = running.result().check().output
    errors = _ERRORS.search(text)
    failed = 0 if errors is None else sum(map(int, errors.groups()))
    return failed, int(float(_found(_RATE, text)[1]) * seconds)


LOADS: Mapping[str, Callable[[Network, Target, int], Figures]] = {
    "new connections": new_connections,
    "round trips": round_trips,
    "bulk": bulk,
    "latency beside bulk": latency_beside_bulk,
    "pgbench": postgres,
    "memory": idle_memory,
}
