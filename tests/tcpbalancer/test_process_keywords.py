"""The keywords of ``global`` about the process, and the lines of the master."""

from __future__ import annotations

import pwd
import signal

import pytest

from hakit.diagnostics import ConfigError
from hakit.transcript import Event
from tcpbalancer import master
from tcpbalancer.config.load import read_texts
from tcpbalancer.config.process_keywords import CAPABILITIES
from tcpbalancer.model import Identity, Process

NOBODY = pwd.getpwnam("nobody")


def process(*lines: str) -> Process:
    return read_texts([("f.cfg", "global\n" + "".join(f" {line}\n" for line in lines))], {}).configuration.process


@pytest.mark.parametrize(
    ("line", "read"),
    [
        ("master-worker", Process(is_master=True)),
        ("master-worker no-exit-on-failure", Process(is_master=True)),
        ("hard-stop-after 90s", Process(hard_stop_after=90.0)),
        ("grace 500ms", Process(grace=0.5)),
        ("user nobody", Process(Identity(uid=NOBODY.pw_uid))),
        ("group root", Process(Identity(gid=0))),
        ("uid 123", Process(Identity(uid=123))),
        ("gid 456", Process(Identity(gid=456))),
        ("chroot /var/empty", Process(Identity(chroot="/var/empty"))),
        (
            "setcap cap_net_raw,cap_net_admin",
            Process(Identity(capabilities=frozenset({"cap_net_raw", "cap_net_admin"}))),
        ),
        ("setcap none", Process()),
        ("ulimit-n 1000", Process(descriptors=1000)),
        ("ulimit-n 0", Process()),
        ("maxconn 10", Process(promises_maxconn=True)),
        ("strict-limits", Process()),
        ("no strict-limits", Process(strict_limits=False)),
        ("set-dumpable", Process(dumpable=True)),
        ("no set-dumpable", Process()),
        ("noreuseport", Process(shares_ports=False)),
        ("quiet", Process(quiet=True)),
        ("zero-warning", Process(zero_warning=True)),
        ("localpeer me", Process()),
        ("insecure-fork-wanted", Process()),
        ("insecure-setuid-wanted", Process()),
        ("mworker-max-reloads 3", Process()),
    ],
)
def test_a_keyword_of_the_process_is_read(line: str, read: Process) -> None:
    assert process(line) == read


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("master-worker x", "'master-worker' only supports 'no-exit-on-failure' option."),
        ("hard-stop-after", "'hard-stop-after' expects <time> as argument."),
        ("hard-stop-after x", "'hard-stop-after' : unexpected character 'x'"),
        ("grace", "'grace' expects <time> as argument."),
        ("user nosuchuser", "cannot find user id for 'nosuchuser' (0:Success)"),
        ("user", "cannot find user id for '' (0:Success)"),
        ("user a b", "'user' cannot handle unexpected argument 'b'."),
        ("group nosuchgroup", "cannot find group id for 'nosuchgroup' (0:Success)"),
        ("uid x", "'uid' : 'x' is not a number between 0 and 4294967294."),
        ("uid", "'uid' expects an integer argument."),
        ("gid 4294967295", "'gid' : '4294967295' is not a number between 0 and 4294967294."),
        ("chroot", "'chroot' expects a directory as an argument."),
        ("chroot /a b", "'chroot' cannot handle unexpected argument 'b'."),
        ("ulimit-n " + "9" * 5000, f"'ulimit-n' : '{'9' * 5000}' is not a number between 0 and 4294967294."),
        ("ulimit-n", "'ulimit-n' expects an integer argument."),
        ("ulimit-n 1 2", "'ulimit-n' cannot handle unexpected argument '2'."),
        ("set-dumpable on", "'set-dumpable' cannot handle unexpected argument 'on'."),
        ("setcap", "'setcap' : missing capability name(s). "),
        ("setcap cap_x", f"'setcap' : unsupported capability 'cap_x', only these are: none, {', '.join(CAPABILITIES)}"),
        ("localpeer", "'localpeer' expects a name as an argument."),
        ("mworker-max-reloads", "'mworker-max-reloads' expects an integer argument."),
    ],
)  # fmt: skip
def test_a_mistake_about_the_process_is_told(line: str, told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        process(line)
    assert refused.value.diagnostics[0].message == told


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["uid 1", "user nobody"], "user/uid already specified. Continuing."),
        (["gid 1", "gid 2"], "group/gid already specified. Continuing."),
        (["chroot /a", "chroot /b"], "'chroot' already specified. Continuing."),
    ],
)
def test_what_is_said_twice_holds_as_it_was_said_first(lines: list[str], told: str) -> None:
    loaded = read_texts([("f.cfg", "global\n" + "".join(f" {line}\n" for line in lines))], {})
    assert told in [found.message for found in loaded.warnings]
    identity = loaded.configuration.process.identity
    assert (identity.uid, identity.gid, identity.chroot) in {(1, None, None), (None, 1, None), (None, None, "/a")}


def test_an_identity_changes_something_unless_it_only_keeps_capabilities() -> None:
    assert not Identity().changes
    assert not Identity(capabilities=frozenset({"cap_net_raw"})).changes
    assert Identity(uid=1).changes
    assert Identity(gid=1).changes
    assert Identity(chroot="/").changes


def worker(**values: object) -> Event:
    return Event(0.0, "tcpbalancer", "worker", values={"worker": 0, "pid": 7, **values})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (worker(action="started"), ("NOTICE", "Initializing new worker (7)")),
        (worker(action="ended", status=0, former=True), ("WARNING", "Former worker (7) exited with code 0 (Exit)")),
        (worker(action="ended", status=0), ("WARNING", "Current worker (7) exited with code 0 (Exit)")),
        (
            worker(action="ended", status=-signal.SIGTERM),
            ("ALERT", "Current worker (7) exited with code 143 (Terminated)"),
        ),
        (
            worker(action="ended", status=-signal.SIGINT),
            ("ALERT", "Current worker (7) exited with code 130 (Interrupt)"),
        ),
        (worker(action="died", status=-signal.SIGKILL), ("ALERT", "Current worker (7) exited with code 137 (Killed)")),
        (worker(action="frozen"), None),
        (Event(0.0, "tcpbalancer", "ready"), None),
    ],
)
def test_the_master_speaks_of_workers_as_haproxys_does(event: Event, line: tuple[str, str] | None) -> None:
    assert master.worker_line(event) == line


def test_the_last_line_of_a_master_has_its_status() -> None:
    assert master.all_exited(130) == ("WARNING", "All workers exited. Exiting... (130)")
