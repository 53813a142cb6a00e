"""``halab``: run the reference lab, or speak to the one that runs.

Laws: what cannot be done is said in one line, with what to do, and exit status 1; a wrong command line is 2 (argparse).
Without a terminal, or with --once, the lab ends with its plan.
"""

from __future__ import annotations

import argparse
import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence

from halab.console import Console, Door, ask
from halab.interrupt import hear_ctrl_c
from halab.namespace import LabError
from halab.parts.daemons import BALANCERS, SPEAKERS
from halab.reference import CONFIGS, STATS_PASSWORD, STATS_USER, VIP, Options, ReferenceLab
from halab.report import Report
from halab.scenario import run

NAME = "reference"
"""The name of a lab to which none is given."""
INTERRUPTED = 130
"""The exit status of a program that Ctrl-C has ended."""


def main(words: Sequence[str] | None = None) -> int:
    """Carry out one command line and return the exit status."""
    parser = _parser()
    chosen = parser.parse_args(words)
    try:
        if chosen.verb == "run":
            return _run(chosen)
        return _ask(chosen.name, [chosen.verb, *chosen.words])
    except LabError as problem:
        print(f"halab: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nhalab: interrupted; nothing is left of the lab", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whoever read our output has left: the rest goes nowhere
        return 1
    except OSError as problem:
        hint = ": allow more, ulimit -n 1024" if problem.errno in {errno.EMFILE, errno.ENFILE} else ""
        print(f"halab: {problem}{hint}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="halab", description="A highly available load balancer in a lab of namespaces."
    )
    parser.add_argument("--name", default=NAME, help="the lab's name, if several run (default: %(default)s)")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    runs = verbs.add_parser("run", help="build the reference lab and carry out its test plan")
    runs.add_argument("--light", action="store_true", help="small stand-ins instead of PostgreSQL, Patroni and dockerd")
    runs.add_argument("--once", action="store_true", help="end after the plan, even at a terminal")
    runs.add_argument("--config", choices=CONFIGS, default="lab", help="whose files (default: %(default)s)")
    runs.add_argument("--vrrp", choices=SPEAKERS, default="pyvrrp", help="who speaks VRRP (default: %(default)s)")
    runs.add_argument(
        "--balancer", choices=BALANCERS, default="tcpbalancer", help="who balances (default: %(default)s)"
    )
    told = {
        "status": "who runs what in the running lab", "events": "what happened last",
        "logs": "HOST SERVICE", "exec": "HOST COMMAND...", "shell": "HOST", "stop": "HOST SERVICE",
        "start": "HOST SERVICE", "kill": "HOST SERVICE: kill -9", "cut": "HOST: pull its cable",
        "partition": "HOST: cut it off in silence", "heal": "HOST: undo cut and partition", "help": "the verbs",
        "freeze": "HOST: stop all its processes", "thaw": "HOST: let them go on", "quit": "take the running lab down",
    }  # fmt: skip
    for verb, text in told.items():
        one = verbs.add_parser(verb, help=text)
        one.add_argument("words", nargs=argparse.REMAINDER, metavar="...")
    return parser


def _run(chosen: argparse.Namespace) -> int:
    if os.geteuid() != 0:
        raise LabError("the lab builds network namespaces and needs root: sudo ./run lab")
    options = Options(chosen.light, chosen.config, chosen.vrrp, chosen.balancer)
    hear_ctrl_c()
    stays = sys.stdin.isatty() and sys.stdout.isatty() and not chosen.once
    door = Door(chosen.name)
    try:
        report = Report(sys.stdout)
        return run(options, report, door.open, (lambda lab: _stay(lab, report, door)) if stays else (lambda _: None))
    finally:
        door.close()


def _stay(lab: ReferenceLab, report: Report, door: Door) -> None:
    """Read verbs until the end of input, Ctrl-C or quit."""
    page = f"http://{VIP}:8404/stats"
    report.line()
    report.line(f"The lab stays up. Statistics: {page} ({STATS_USER} / {STATS_PASSWORD}), inside the lab's network:")
    halab = ".venv/bin/halab" + (f" --name {door.name}" if door.name != NAME else "")
    report.line(f"  {halab} exec client curl -u {STATS_USER}:{STATS_PASSWORD} {page}    (in a second shell, as root)")
    report.line(f"  exec client psql -h {VIP} -U postgres -c 'SELECT inet_server_addr()'    (here, at the prompt)")
    report.line("'help' lists the verbs; Ctrl-C takes the lab down.")
    try:
        _prompt(Console(lab), door.quitting)
    except KeyboardInterrupt:
        report.line()
    report.line("Taking the lab down.")


def _prompt(console: Console, quitting: threading.Event) -> None:
    import readline  # noqa: F401 - gives input() its history and its line editing
    import shlex

    while True:
        try:
            words = shlex.split(input("halab> "))
        except EOFError:
            print()
            return
        except ValueError as problem:
            print(f"{problem}")
            continue
        if words == ["quit"]:
            return
        if words:
            reply = console.carry_out(words)
            if reply.text:
                print(reply.text)
            if reply.argv:
                _in_front(reply.argv, quitting)


def _in_front(argv: Sequence[str], quitting: threading.Event) -> None:
    """Run a command at this terminal; Ctrl-C is then for the command, not for the lab.

    Raises KeyboardInterrupt, and the command is killed, once the lab is ``quitting``.
    """

    def struck(*_: object) -> None:
        if quitting.is_set():
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, struck)
    try:
        subprocess.run(argv, check=False)
    finally:
        # A shell in another pid namespace cannot name our process group, so it cannot give the terminal back.
        ignored = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        os.tcsetpgrp(sys.stdin.fileno(), os.getpgrp())
        signal.signal(signal.SIGTTOU, ignored)
        signal.signal(signal.SIGINT, before)


def _ask(name: str, words: list[str]) -> int:
    reply = ask(name, words)
    if reply.text:
        print(reply.text, file=sys.stderr if reply.status else sys.stdout)
    if reply.argv:
        sys.stdout.flush()
        os.execvp(reply.argv[0], reply.argv)
    return reply.status


if __name__ == "__main__":
    sys.exit(main())
