"""What is to be known of the process: ``show info`` and its relatives.

Laws: what HAProxy counts and there is nothing of here (TLS, compression, pools, peers) is 0 or an empty list, in
HAProxy's form, since somebody reads it.

Source: HAProxy's management guide, section 9.3; ``stats.c``, ``activity.c``, ``errors.c``.
"""

from __future__ import annotations

import asyncio
import resource
import time
from pathlib import Path

from tcpbalancer.control import info
from tcpbalancer.control.cli_commands import RefusedError, Words, command
from tcpbalancer.control.cli_room import Conversation, Room
from tcpbalancer.control.descriptions import INFO
from tcpbalancer.counters import GLOBAL_CONNECTION_RATE, GLOBAL_MAXCONN, GLOBAL_SESSION_RATE
from tcpbalancer.model import Level
from tcpbalancer.session_log import log_date
from tcpbalancer.version import RELEASED, REPORTED


@command("show info", "[desc|json|typed|float]*", "report information about the running process")
def show_info(conversation: Conversation, words: Words) -> str:
    """Everything, a line each."""
    values = process_values(conversation.room, precise="float" in words)
    descriptions = INFO if "desc" in words else None
    if "json" in words:
        return info.as_json(values, descriptions)
    if "typed" in words:
        return info.as_typed(values, descriptions)
    return info.as_lines(values, descriptions)


def process_values(room: Room, *, precise: bool) -> info.Info:
    """Return what is known of the process, by HAProxy's names."""
    generation = room.supervisor.current
    snapshot = room.supervisor.snapshot()
    limits = generation.memory.view(generation.memory.layout.settings)
    fronts = [proxy.frontend.traffic for proxy in snapshot.proxies if proxy.frontend is not None]
    total = sum(traffic.total for traffic in fronts)
    rate, peak = sum(traffic.rate for traffic in fronts), max((traffic.rate_peak for traffic in fronts), default=0)
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    tasks = len(asyncio.all_tasks())
    return {
        "Name": "HAProxy",
        "Version": REPORTED,
        "Release_date": RELEASED,
        "Nbthread": generation.configuration.nbthread,
        "Nbproc": 1,
        "Process_num": 1,
        "Pid": snapshot.pid,
        "Uptime": info.uptime(snapshot.uptime),
        "Uptime_sec": snapshot.uptime if precise else int(snapshot.uptime),
        "Ulimit-n": descriptors,
        "Maxsock": descriptors,
        "Maxconn": limits[GLOBAL_MAXCONN],
        "Hard_maxconn": generation.configuration.maxconn,
        "CurrConns": snapshot.current,
        "CumConns": total + room.total,
        "CumReq": total + room.total,
        "ConnRate": rate,
        "ConnRateLimit": limits[GLOBAL_CONNECTION_RATE],
        "MaxConnRate": peak,
        "SessRate": rate,
        "SessRateLimit": limits[GLOBAL_SESSION_RATE],
        "MaxSessRate": peak,
        "Tasks": tasks,
        "Idle_pct": snapshot.idle_percent,
        "node": snapshot.node,
        "description": snapshot.description or "",
        "Jobs": snapshot.current + len(room.conversations) + _listeners(room),
        "Listeners": _listeners(room),
        "DroppedLogs": snapshot.dropped_records,
        "TotalBytesOut": sum(traffic.bytes_out for traffic in fronts),
        "Build info": REPORTED,
        "Start_time_sec": int(room.started_at),
        "Tainted": "0",
        "TotalWarnings": sum("[WARNING]" in line for line in room.startup_logs),
        "CurrStreams": snapshot.current + len(room.conversations),
        "CumStreams": total + room.total,
        "NbThreadGroups": 1,
    }


def _listeners(room: Room) -> int:
    frontends = room.supervisor.current.configuration.frontends.values()
    return sum(len(frontend.binds) for frontend in frontends) + len(room.sockets)


@command("show version", "", "show version of the current process")
def show_version(_conversation: Conversation, _words: Words) -> str:
    """The version that clients compare."""
    return REPORTED


@command("show startup-logs", "", "report logs emitted during HAProxy startup", Level.OPERATOR)
def show_startup_logs(conversation: Conversation, _words: Words) -> str:
    """What was said on stderr before the start was over."""
    return "\n".join(conversation.room.startup_logs)


@command(
    "show errors", "[<px>] [request|response]", "report last request and/or response errors for each proxy",
    Level.OPERATOR,
)  # fmt: skip
def show_errors(conversation: Conversation, words: Words) -> str:
    """Protocol errors; bytes that are only relayed have none."""
    if words and words[0] not in conversation.room.supervisor.current.configuration.order:
        raise RefusedError("No such proxy.")
    return f"Total events captured on [{log_date(time.time())}] : 0"


@command("show activity", "", "show per-thread activity stats (for support/developers)")
def show_activity(conversation: Conversation, _words: Words) -> str:
    """What each worker has accepted, and when this was read."""
    snapshot = conversation.room.supervisor.snapshot()
    counts = [worker.current for worker in snapshot.workers]
    return (
        f"thread_id: 1 (1..{len(counts)})\ndate_now: {time.time():.6f}\nuptime_now: {snapshot.uptime:.6f}\n"
        f"curr_conns: {sum(counts)} [ {' '.join(map(str, counts))} ]\n"
        f"restarts: {sum(worker.restarts for worker in snapshot.workers)}\n"
    )


@command("show threads", "", "show some threads debugging information")
def show_threads(conversation: Conversation, _words: Words) -> str:
    """The workers: what HAProxy has threads for."""
    workers = conversation.room.supervisor.snapshot().workers
    return "".join(
        f"  Thread {worker.number + 1} : id={worker.pid} act={int(worker.alive)} conns={worker.current} "
        f"restarts={worker.restarts}\n"
        for worker in workers
    )


@command("show tasks", "", "show running tasks")
def show_tasks(conversation: Conversation, _words: Words) -> str:
    """The supervisor's tasks."""
    threads = conversation.room.supervisor.current.configuration.nbthread
    tasks = sorted(task.get_coro().__qualname__ for task in asyncio.all_tasks())  # type: ignore[union-attr]
    lines = [f"  {name:<28} {tasks.count(name):>6}" for name in dict.fromkeys(tasks)]
    return f"Running tasks: {len(tasks)} ({threads} threads)\n  function                     places\n" + "\n".join(
        lines
    )


@command("show fd", "[num]", "dump list of file descriptors in use or a specific one", Level.OPERATOR)
def show_fd(_conversation: Conversation, words: Words) -> str:
    """The supervisor's descriptors."""
    folder = Path("/proc/self/fd")
    lines = []
    for entry in sorted(folder.iterdir(), key=lambda each: int(each.name)):
        if not words or words[0] == entry.name:
            try:
                lines.append(f"{entry.name:>7} : {entry.readlink()}")
            except OSError:
                continue  # it was only open for looking
    return "\n".join(lines)


@command("show pools", "", "report information about the memory pools usage")
def show_pools(_conversation: Conversation, _words: Words) -> str:
    """There are no pools; what the process uses in all."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return f"Dumping pools usage.\nTotal: 0 pools, {peak} bytes allocated, {peak} used."


@command("show profiling", "[<what>|<#lines>|byaddr]*", "show profiling state (all,status,tasks,memory)", Level.ADMIN)
def show_profiling(_conversation: Conversation, _words: Words) -> str:
    """Nothing is profiled."""
    return "Per-task CPU profiling              : off\nMemory usage profiling              : off\n"


@command("show events", "[<sink>] [-w] [-n] [-0]", "show event sink state")
def show_events(_conversation: Conversation, words: Words) -> str:
    """The sinks; events themselves are told on the control socket."""
    if words and words[0] not in {"stdout", "stderr"}:
        raise RefusedError("No such event sink")
    return (
        "Supported events sinks are listed below. Add -0(zero), -w(wait), -n(new). Any key to stop.\n"
        "    stdout     : type=fd, 0 dropped, standard output (fd#1)\n"
        "    stderr     : type=fd, 0 dropped, standard output (fd#2)"
    )


@command("show peers", "[dict|-] [section]", "dump some information about all the peers or this peers section")
def show_peers(_conversation: Conversation, words: Words) -> str:
    """There are no peers."""
    if [word for word in words if word not in {"dict", "-"}]:
        raise RefusedError("No such peers")
    return ""


@command("show libs", "", "show loaded object files and libraries", Level.OPERATOR)
def show_libs(_conversation: Conversation, _words: Words) -> str:
    """The files that are mapped as programs."""
    lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(dict.fromkeys(line.split()[5] for line in lines if len(line.split()) > 5 and " r-xp " in line))
