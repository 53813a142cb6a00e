"""``global_defs``: how the process runs, which files it writes, and when it reloads.

Laws: pure. A value that is not understood is left out, with keepalived's message as a warning.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from pyvrrp.config.global_defaults import GlobalBlock
from pyvrrp.config.global_instances import without_effect
from pyvrrp.config.keywords import Keyword
from pyvrrp.config.known import Disposition
from pyvrrp.config.tree import Statement
from pyvrrp.config.values import whole

LONGEST_NAME = 15
"""Bytes of the kernel's name for a process (TASK_COMM_LEN, without the zero at its end)."""
MOST_CPUS = 4096
HIGHEST_REALTIME = 99
"""sched_get_priority_max(SCHED_RR) of Linux."""
LONGEST_DELAY = 10_000_000
"""Microseconds."""
_RIGHTS = {
    "IRWXU": 0o700, "IRUSR": 0o400, "IWUSR": 0o200, "IXUSR": 0o100, "IRWXG": 0o070, "IRGRP": 0o040, "IWGRP": 0o020,
    "IXGRP": 0o010, "IRWXO": 0o007, "IROTH": 0o004, "IWOTH": 0o002, "IXOTH": 0o001,
}  # fmt: skip
_NUMBER = re.compile(r"0[xX][0-9A-Fa-f]{1,8}|[0-9]{1,11}")
_DUMPS = {"state_dump_file": "data", "stats_dump_file": "statistics", "json_dump_file": "json"}


def _process(block: GlobalBlock, **values: Any) -> None:
    block.change(process=replace(block.settings.process, **values))


def _number(block: GlobalBlock, statement: Statement, low: int, high: int, complaint: str) -> int | None:
    text = statement.parameters[0].text
    try:
        return whole(text, low, high)
    except ValueError as wrong:
        block.notes.warn(statement, str(wrong))
        block.notes.warn(statement, complaint.format(text))
        return None


def set_priority(block: GlobalBlock, statement: Statement) -> None:
    """``vrrp_priority N``: the nice value."""
    number = _number(block, statement, -20, 19, "Invalid vrrp process priority specified")
    if number is not None:
        _process(block, nice=number)


def set_realtime(block: GlobalBlock, statement: Statement) -> None:
    """``vrrp_rt_priority N``: SCHED_RR; what is beyond its ends is taken for the end."""
    text = statement.parameters[0].text
    number = _number(block, statement, -(2**31), 2**31 - 1, "vrrp process real-time priority '{}' invalid")
    if number is None:
        return
    held = min(max(number, 1), 99)
    if held != number:
        end = (
            "less than minimum 1 - setting to minimum" if number < 1 else "greater than maximum 99 - setting to maximum"
        )
        block.notes.warn(statement, f"vrrp process real-time priority {text} {end}")
    _process(block, rt_priority=held)


def set_rlimit(block: GlobalBlock, statement: Statement) -> None:
    """``vrrp_rlimit_rttime N``, once ``vrrp_rlimit_rtime``: microseconds."""
    number = _number(block, statement, 1, 2**32 - 1, "Invalid vrrp real-time limit - {}")
    if number is not None:
        _process(block, rlimit_rttime=number)


def set_auto_priority(block: GlobalBlock, statement: Statement) -> None:
    """``max_auto_priority [N]``: without a number, as far as it goes; -1 is 0 to us."""
    if not statement.parameters:
        _process(block, max_auto_priority=HIGHEST_REALTIME)
        return
    complaint = f"max_auto_priority '{{}}' must be in [0, {HIGHEST_REALTIME}] (or -1 to disable) - ignoring"
    number = _number(block, statement, -1, HIGHEST_REALTIME, complaint)
    if number is not None:
        _process(block, max_auto_priority=number)


def set_auto_delay(block: GlobalBlock, statement: Statement) -> None:
    """``min_auto_priority_delay N``: microseconds."""
    complaint = f"min_auto_priority_delay '{{}}' must be in [1, {LONGEST_DELAY}] - ignoring"
    number = _number(block, statement, 1, LONGEST_DELAY, complaint)
    if number is not None:
        _process(block, min_auto_priority_delay=number)


def set_affinity(block: GlobalBlock, statement: Statement) -> None:
    """``vrrp_cpu_affinity N N N``."""
    try:
        cpus = frozenset(whole(word.text, 0, MOST_CPUS - 1) for word in statement.parameters)
    except ValueError as wrong:
        block.notes.warn(statement, str(wrong))
        block.notes.warn(statement, "Invalid cpu_id specified for vrrp process")
        return
    _process(block, cpu_affinity=cpus)


def set_no_swap(block: GlobalBlock, _: Statement) -> None:
    """``vrrp_no_swap``."""
    _process(block, no_swap=True)


def set_name(block: GlobalBlock, statement: Statement) -> None:
    """``process_name NAME`` and ``vrrp_process_name NAME``: here is one process, and the last one names it."""
    name = statement.parameters[0].text
    if len(name.encode()) > LONGEST_NAME:
        block.notes.warn(statement, f"Process name {name} more than {LONGEST_NAME} characters, truncating")
        name = name.encode()[:LONGEST_NAME].decode(errors="ignore")
    _process(block, name=name)


def set_names(block: GlobalBlock, statement: Statement) -> None:
    """``process_names``: keepalived's own names; here is one process, and it has one already."""
    block.notes.advise(statement, "process_names: there is one process, called pyvrrp; process_name names it")


def set_umask(block: GlobalBlock, statement: Statement) -> None:
    """``umask NUMBER`` or ``umask IRGRP | IROTH``."""
    text = "".join(word.text for word in statement.parameters)
    bits = 0
    if _NUMBER.fullmatch(text):
        base = 16 if text[:2] in {"0x", "0X"} else 8 if text.startswith("0") and set(text) <= set("01234567") else 10
        bits = int(text, base)
    else:
        for name in text.split("|"):
            if name not in _RIGHTS:
                block.notes.warn(statement, f"Unknown umask bit {name}")
                return
            bits |= _RIGHTS[name]
    if bits & ~0o777:
        block.notes.warn(statement, f"invalid umask value {text}")
    else:
        _process(block, umask=bits)


def set_dump(block: GlobalBlock, statement: Statement) -> None:
    """``state_dump_file``, ``stats_dump_file``, ``json_dump_file``."""
    path: dict[str, Any] = {_DUMPS[statement.name]: statement.parameters[0].text}
    block.change(dumps=replace(block.settings.dumps, **path))


def set_json_version(block: GlobalBlock, statement: Statement) -> None:
    """``json_version 1|2``."""
    number = _number(block, statement, 1, 2, "Invalid json_version '{}' - ignoring")
    if number is not None:
        block.change(dumps=replace(block.settings.dumps, json_version=number))


def set_reload(block: GlobalBlock, statement: Statement) -> None:
    """``reload_time_file PATH`` and ``reload_file [PATH]``."""
    without_effect(block, statement)
    name = "time_file" if statement.name == "reload_time_file" else "file"
    path: dict[str, Any] = {name: statement.parameters[0].text if statement.parameters else ""}
    block.change(reloading=replace(block.settings.reloading, **path))


def set_reload_repeat(block: GlobalBlock, statement: Statement) -> None:
    """``reload_repeat``."""
    without_effect(block, statement)
    block.change(reloading=replace(block.settings.reloading, repeat=True))


def set_reload_check(block: GlobalBlock, statement: Statement) -> None:
    """``reload_check_config [FILE]``: every reload is checked first, so only the file has no effect."""
    if statement.parameters and statement.parameters[0].text not in {"on", "true", "yes"}:
        block.notes.advise(statement, "reload_check_config: every reload is checked first; errors go to the log")


def set_random_seed(block: GlobalBlock, statement: Statement) -> None:
    """``random_seed N``: for ``${_RANDOM}``, which was put in place when the file was read."""
    number = _number(block, statement, 0, 2**32 - 1, "random_seed {} invalid")
    if number is not None:
        block.change(random_seed=number)


def set_include_check(block: GlobalBlock, statement: Statement) -> None:
    """``include_check [OPTIONS]``: done when the file was read; here its words are checked."""
    words = {"", "readable", "read", "match", "wildcard_match", "brace_match"}
    for word in statement.parameters:
        if word.text.lstrip("+-") not in words:
            block.notes.warn(statement, f"Unknown include_check type '{word.text}' - ignoring")


KEYWORDS: dict[str, Keyword[GlobalBlock]] = {
    "vrrp_priority": Keyword(set_priority, tier=3, default="0; -20 to 19", about="Nice value of the process."),
    "vrrp_rt_priority": Keyword(set_realtime, tier=3, default="off; 1 to 99", about="Real-time scheduling (SCHED_RR)."),
    "max_auto_priority": Keyword(
        set_auto_priority,
        parameters=0,
        most=1,
        tier=2,
        default="0: off; 99 without a number",
        about="How far the realtime priority grows, by one for each timer that is late.",
    ),
    "min_auto_priority_delay": Keyword(
        set_auto_delay,
        tier=3,
        default="1000000; 1 to 10000000 microseconds",
        about="By how much a timer has to be late for that.",
    ),
    "vrrp_rlimit_rttime": Keyword(
        set_rlimit, tier=3, default="none; microseconds", about="CPU time between two waits under vrrp_rt_priority."
    ),
    "vrrp_rlimit_rtime": Keyword(set_rlimit, tier=3, about="Old name of vrrp_rlimit_rttime."),
    "vrrp_cpu_affinity": Keyword(set_affinity, most=MOST_CPUS, tier=3, default="all", about="CPUs to run on."),
    "vrrp_no_swap": Keyword(set_no_swap, parameters=0, tier=3, default="off", about="The process stays in memory."),
    "process_name": Keyword(set_name, tier=3, default="pyvrrp; 15 bytes", about="Name of the process."),
    "vrrp_process_name": Keyword(set_name, tier=3, default="pyvrrp; 15 bytes", about="The same."),
    "process_names": Keyword(
        set_names,
        parameters=0,
        tier=3,
        about="Default names for several processes; here is one.",
        disposition=Disposition.ACCEPTED,
    ),
    "umask": Keyword(set_umask, most=16, tier=3, default="IWGRP | IWOTH", about="Rights that new files do not get."),
    "state_dump_file": Keyword(set_dump, tier=3, default="keepalived.data in TMPDIR", about="Where SIGUSR1 writes."),
    "stats_dump_file": Keyword(set_dump, tier=3, default="keepalived.stats in TMPDIR", about="Where SIGUSR2 writes."),
    "json_dump_file": Keyword(set_dump, tier=3, default="keepalived.json in TMPDIR", about="Where SIGRTMIN+2 writes."),
    "json_version": Keyword(set_json_version, tier=3, default="1; 1 or 2", about="Shape of the JSON dump."),
    "reload_time_file": Keyword(
        set_reload, tier=3, default="none", about="File that says when to reload.", disposition=Disposition.ACCEPTED
    ),
    "reload_repeat": Keyword(
        set_reload_repeat,
        parameters=0,
        tier=3,
        default="off",
        about="Reload every day then.",
        disposition=Disposition.ACCEPTED,
    ),
    "reload_file": Keyword(
        set_reload,
        parameters=0,
        most=1,
        tier=3,
        default="none",
        about="Is there while files are being read.",
        disposition=Disposition.ACCEPTED,
    ),
    "reload_check_config": Keyword(
        set_reload_check, parameters=0, most=1, tier=3, default="always on", about="Check a file before reloading it."
    ),
    "random_seed": Keyword(set_random_seed, tier=3, default="another each time", about="Where ${_RANDOM} begins."),
    "include_check": Keyword(
        set_include_check,
        parameters=0,
        most=8,
        tier=3,
        default="none",
        about="What has to hold of includes: readable, match, wildcard_match, brace_match, with + or - before them.",
    ),
}
