"""The keywords of ``global`` that are about the process: whose it is, where it may look, how it starts and ends.

Laws: handlers report and never raise. The user database is asked when a line names a user or a group, and nothing else
is. What HAProxy takes the first time only, is taken the first time only.

Source: HAProxy's configuration manual, section 3.1 "Process management and security".
"""

from __future__ import annotations

import grp
import pwd
import re

from tcpbalancer.config.drafts import Options
from tcpbalancer.config.registry import GLOBAL, Reading, keyword
from tcpbalancer.config.values import parse_time
from tcpbalancer.model.process import Identity, Process

CAPABILITIES = ("cap_net_admin", "cap_net_bind_service", "cap_net_raw", "cap_sys_admin")
_LARGEST_ID = (1 << 32) - 2


def process_of(values: Options) -> Process:
    """Return what was read, as the model has it."""
    return Process(
        identity=Identity(
            uid=values.of("uid", int, None),
            gid=values.of("gid", int, None),
            chroot=values.of("chroot", str, None),
            capabilities=values.of("setcap", frozenset, frozenset()),
        ),
        is_master="master-worker" in values,
        quiet="quiet" in values,
        zero_warning="zero-warning" in values,
        hard_stop_after=values.of("hard-stop-after", float, None),
        grace=values.of("grace", float, 0.0),
        descriptors=values.of("ulimit-n", int, None) or None,
        strict_limits=values.of("strict-limits", bool, True),
        promises_maxconn="maxconn" in values,
        dumpable=values.of("set-dumpable", bool, False),
        shares_ports="noreuseport" not in values,
    )


@keyword("master-worker [no-exit-on-failure]", GLOBAL, "Be a master: reload with SIGUSR2 and SIGHUP.")
def master_worker(reading: Reading) -> None:
    """Read ``master-worker``; our master survives its workers with and without the word."""
    if reading.words[1:] not in {(), ("no-exit-on-failure",)}:
        reading.error(1, "'master-worker' only supports 'no-exit-on-failure' option.")
    else:
        reading.whole.values["master-worker"] = True


def _flag(reading: Reading) -> None:
    if reading.no_more_than(1):
        reading.whole.values[reading.words[0]] = not reading.negated


keyword("quiet", GLOBAL, "Say nothing, as with -q.")(_flag)
keyword("zero-warning", GLOBAL, "Take warnings for errors, as with -dW.")(_flag)
keyword("noreuseport", GLOBAL, "Share no listening address with other processes, as with -dR.")(_flag)
keyword("strict-limits", GLOBAL, "Refuse to start if there are too few descriptors.", negatable=True)(_flag)
keyword("set-dumpable", GLOBAL, "Let the kernel write a core file.", negatable=True)(_flag)
keyword("insecure-fork-wanted", GLOBAL, "Let checks start programs: they may always.", negatable=True)(_flag)
keyword("insecure-setuid-wanted", GLOBAL, "Let those programs change who they are: they may not.", negatable=True)(
    _flag
)


def _time(reading: Reading) -> None:
    name = reading.words[0]
    if len(reading.words) < 2:
        reading.error(1, f"'{name}' expects <time> as argument.")
    elif reading.no_more_than(2):
        try:
            reading.whole.values[name] = float(parse_time(reading.words[1]))
        except ValueError as wrong:
            reading.error(1, f"'{name}' : {wrong}")


keyword("hard-stop-after <time>", GLOBAL, "How long connections may go on after a soft stop or a reload.")(_time)
keyword("grace <time>", GLOBAL, "How long new connections are still taken after SIGUSR1.")(_time)


@keyword("ulimit-n <count>", GLOBAL, "How many descriptors a process may have.")
def ulimit_n(reading: Reading) -> None:
    """Read ``ulimit-n``; 0 leaves the choice to us."""
    value = _whole_number(reading)
    if value is not None:
        reading.whole.values["ulimit-n"] = value


def _whole_number(reading: Reading) -> int | None:
    name = reading.words[0]
    if len(reading.words) < 2:
        reading.error(1, f"'{name}' expects an integer argument.")
    elif reading.no_more_than(2):
        text = reading.words[1]
        if re.fullmatch(r"\d{1,10}", text, re.ASCII) and int(text) <= _LARGEST_ID:
            return int(text)
        reading.error(1, f"'{name}' : '{text}' is not a number between 0 and {_LARGEST_ID}.")
    return None


def _numbered(reading: Reading) -> None:
    """Read ``uid`` or ``gid``."""
    value = _whole_number(reading)
    if value is not None:
        _settle(reading, reading.words[0], value)


keyword("uid <number>", GLOBAL, "Become this user once everything is bound.")(_numbered)
keyword("gid <number>", GLOBAL, "Become this group once everything is bound.")(_numbered)


def _named(reading: Reading) -> None:
    """Read ``user`` or ``group``."""
    kind = reading.words[0]
    name = reading.words[1] if len(reading.words) > 1 else ""
    if not reading.no_more_than(2):
        return
    try:
        number = pwd.getpwnam(name).pw_uid if kind == "user" else grp.getgrnam(name).gr_gid
    except (KeyError, ValueError, UnicodeError):
        reading.error(1, f"cannot find {kind} id for '{name}' (0:Success)")
    else:
        _settle(reading, "uid" if kind == "user" else "gid", number)


keyword("user <name>", GLOBAL, "Become this user once everything is bound.")(_named)
keyword("group <name>", GLOBAL, "Become this group once everything is bound.")(_named)


def _settle(reading: Reading, kind: str, number: int) -> None:
    if kind in reading.whole.values:
        reading.warn(0, f"{'user/uid' if kind == 'uid' else 'group/gid'} already specified. Continuing.")
    else:
        reading.whole.values[kind] = number


@keyword("chroot <folder>", GLOBAL, "Let the processes that meet clients see nothing else of the file system.")
def chroot(reading: Reading) -> None:
    """Read ``chroot``."""
    if len(reading.words) < 2 or not reading.words[1]:
        reading.error(1, "'chroot' expects a directory as an argument.")
    elif "chroot" in reading.whole.values:
        reading.warn(0, "'chroot' already specified. Continuing.")
    elif reading.no_more_than(2):
        reading.whole.values["chroot"] = reading.words[1]


@keyword("setcap <name>[,<name>]", GLOBAL, "Keep these capabilities after the change of user.")
def setcap(reading: Reading) -> None:
    """Read ``setcap``; the names that HAProxy knows."""
    if len(reading.words) < 2:
        reading.error(1, "'setcap' : missing capability name(s). ")
    elif reading.no_more_than(2):
        names = [name.strip().lower() for name in reading.words[1].split(",") if name.strip()]
        for name in names:
            if name not in {*CAPABILITIES, "none"}:
                reading.error(1, f"'setcap' : unsupported capability '{name}', only these are: none, "
                    f"{', '.join(CAPABILITIES)}")  # fmt: skip
                return
        reading.whole.values["setcap"] = frozenset(names) - {"none"}


@keyword("localpeer <name>", GLOBAL, "The name of this instance among its peers, as with -L.")
def localpeer(reading: Reading) -> None:
    """Read ``localpeer``: there are no peers, so a name is all that is wanted."""
    if len(reading.words) < 2:
        reading.error(1, "'localpeer' expects a name as an argument.")
    else:
        reading.no_more_than(2)


@keyword("mworker-max-reloads <count>", GLOBAL, "After how many reloads an old worker is ended; no limit here.")
def mworker_max_reloads(reading: Reading) -> None:
    """Read ``mworker-max-reloads``."""
    if _whole_number(reading) is not None:
        reading.not_carried_out(0, "'mworker-max-reloads'", ": see hard-stop-after")
