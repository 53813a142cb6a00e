"""``pyvrrp ctl``: asks a running daemon, and tells it what an operator wants.

Exit status: 0 done, 1 the daemon says no, 2 a command that does not exist, 4 no daemon answers. An error is one line.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from hakit.control import request
from hakit.transcript import Event, Value
from pyvrrp import ctl_text
from pyvrrp.control_place import others
from pyvrrp.options import CONTROL

EXIT_REFUSED, EXIT_USAGE, EXIT_NO_DAEMON = 1, 2, 4
ANSWER_WITHIN = 15.0
"""Seconds: a reload may have a large configuration to read."""
COMMANDS = """commands:
  status              the instances: state, priority, since when, who is master, faults; and the trackers
  events [--follow]   what has happened lately, and with --follow what happens from now on
  why INSTANCE        why it is in its state, and what would change that
  demote INSTANCE     give its addresses up, and take them from nobody until it is released
  promote INSTANCE    become master now; refused while a higher priority is heard: demote that one
  release INSTANCE    leave it to its priorities again
  maintenance on|off  give up every address, and take none until it is off
  reload              read the configuration anew and carry out what has changed
  dump data|stats|json
"""
BEHIND = {"status": 0, "events": 0, "why": 1, "demote": 1, "promote": 1, "release": 1, "maintenance": 1} | {
    "reload": 0,
    "dump": 1,
}
"""How many words each command has behind it."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_USAGE, f"pyvrrp ctl: {message}; see pyvrrp ctl --help\n")


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = _Parser(
        prog="pyvrrp ctl",
        description="Asks a running pyvrrp, and tells it what to do.",
        epilog=COMMANDS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--control", metavar="PATH", type=Path, default=CONTROL, help=f"(default {CONTROL})")
    parser.add_argument("--json", action="store_true", help="what the daemon answers, for programs")
    parser.add_argument("--follow", action="store_true", help="with events: until interrupted")
    parser.add_argument("command", choices=BEHIND, metavar="COMMAND")
    parser.add_argument("words", nargs="*", metavar="WORD")
    options = parser.parse_intermixed_args(words)
    wanted = BEHIND[options.command]
    if len(options.words) != wanted:
        parser.error(f"{options.command} takes {wanted or 'no'} word{'s' if wanted != 1 else ''} behind it")
    if options.follow and options.command != "events":
        parser.error("--follow belongs to events")
    return options


def main(words: Sequence[str] | None = None) -> int:
    """Carry out one command; returns the exit status."""
    options = _arguments(words)
    try:
        status = _carry_out(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except TimeoutError:
        return _fail(f"the daemon at {options.control} does not answer", EXIT_NO_DAEMON)
    except PermissionError:
        return _fail(f"{options.control} is for root and the daemon's own user", EXIT_NO_DAEMON)
    except (OSError, ValueError) as missing:
        more = " ".join(map(str, others()))
        hint = f"; --control takes another one: {more}" if more else ""
        return _fail(f"no daemon answers at {options.control} ({_words_of(missing)}){hint}", EXIT_NO_DAEMON)
    return status


def _carry_out(options: argparse.Namespace) -> int:
    if options.command == "events":
        return _events(options)
    return _tell(options, request(options.control, options.command, *options.words, timeout=ANSWER_WITHIN))


def _tell(options: argparse.Namespace, answer: Value) -> int:
    refused = isinstance(answer, dict) and "error" in answer
    if options.json:
        print(json.dumps(answer, ensure_ascii=False, indent=2))
        return EXIT_REFUSED if refused else 0
    if not isinstance(answer, dict):
        print("" if answer is None else answer)
        return 0
    if refused:
        return _fail(str(answer["error"]), EXIT_REFUSED)
    match options.command:
        case "status":
            print(ctl_text.status(answer))
        case "why":
            print(ctl_text.why(answer))
        case "dump":
            sys.stdout.write(str(answer["text"]))
        case _:
            print(answer.get("done", json.dumps(answer, ensure_ascii=False)))
    return 0


def _events(options: argparse.Namespace) -> int:
    for line in _lines(options.control, "events" if options.follow else "events recent", follow=options.follow):
        print(line if options.json else ctl_text.event(Event.from_line(line)), flush=True)
    return _fail("the daemon has ended", EXIT_NO_DAEMON) if options.follow else 0


def _lines(path: Path, command: str, *, follow: bool) -> Iterator[str]:
    import socket

    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(ANSWER_WITHIN)
        asking.connect(str(path))
        asking.sendall(f"{command}\n".encode())
        if follow:
            asking.settimeout(None)
        with asking.makefile("r", encoding="utf-8") as told:
            for line in told:
                yield line.rstrip("\n")


def _words_of(problem: Exception) -> str:
    return problem.strerror or str(problem) if isinstance(problem, OSError) else "what is there is no pyvrrp"


def _fail(message: str, status: int) -> int:
    print(f"pyvrrp ctl: {message}", file=sys.stderr)
    return status
