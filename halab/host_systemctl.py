"""The ``systemctl`` of a lab host: asks process 1 of the host, which keeps the lab's services.

Laws: stands on the standard library alone; installed as /usr/local/bin/systemctl in every host. Knows start, stop,
restart, kill, is-active, status and list-units; exit statuses are systemctl(1)'s: 0, 3 for a service that is not
active, 4 for one that does not exist, 1 for anything that failed.
"""

from __future__ import annotations

import json
import socket
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing costs a start of this script 8 ms, and check scripts start it all the time
    from typing import Any

USAGE = "usage: systemctl start|stop|restart|kill [-s SIGNAL]|is-active [--quiet]|status|list-units [SERVICE...]"
SIGTERM = 15


def ask(request: dict[str, Any]) -> dict[str, Any]:
    """Send one request to process 1 and return its answer."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect("/run/halab/init.sock")
        asking.sendall(json.dumps(request).encode() + b"\n")
        with asking.makefile("r", encoding="utf-8") as answer:
            told: dict[str, Any] = json.loads(answer.readline() or '{"error": "process 1 gave no answer"}')
            return told


def main(words: list[str]) -> int:
    """Carry out one command line; returns the exit status."""
    try:
        (verb, *names), quiet, number = _parsed(words)
    except ValueError as wrong:
        print(f"systemctl: {wrong}\n{USAGE}", file=sys.stderr)
        return 1
    standing = {one["name"]: one for one in ask({"do": "status"})["services"]}
    names = [name.removesuffix(".service") for name in names] or sorted(standing) * (verb == "list-units")
    if verb in {"is-active", "status", "list-units"}:
        return max([_tell(verb, name, standing.get(name), quiet) for name in names], default=0)
    if verb not in {"start", "stop", "restart", "kill"} or not names:
        print(USAGE, file=sys.stderr)
        return 1
    for name in names:
        steps = ["stop", "start"] if verb == "restart" else [verb]
        for step in steps:
            answer = ask({"do": step, "name": name, "number": number})
            if "error" in answer:
                print(f"systemctl: {answer['error']}", file=sys.stderr)
                return 5 if name not in standing else 1
    return 0


def _parsed(words: list[str]) -> tuple[list[str], bool, int]:
    """The verb with its names, whether to be quiet, and the signal's number; raises ValueError for anything else."""
    plain, quiet, number = [], False, SIGTERM
    rest = iter(words)
    for word in rest:
        if word in {"-q", "--quiet"}:
            quiet = True
        elif word in {"-s", "--signal"}:
            number = _signal(next(rest, ""))
        elif word.startswith("--signal="):
            number = _signal(word.removeprefix("--signal="))
        elif word.startswith("-s"):
            number = _signal(word.removeprefix("-s"))
        elif word.startswith("-"):
            raise ValueError(f"no such option here: {word}")
        else:
            plain.append(word)
    return plain or [""], quiet, number


def _signal(name: str) -> int:
    import signal

    if name.isdigit() and int(name) in {int(one) for one in signal.Signals}:
        return int(name)
    full = "SIG" + name.removeprefix("SIG")
    if full not in signal.Signals.__members__:
        raise ValueError(f"no such signal: '{name}'")
    return int(signal.Signals[full])


def _tell(verb: str, name: str, service: dict[str, Any] | None, quiet: bool) -> int:  # noqa: FBT001 - an option
    state = service["state"] if service else "inactive"
    if verb == "is-active":
        if not quiet:
            print(state)
    elif service is None:
        print(f"Unit {name}.service could not be found.", file=sys.stderr)
        return 4
    else:
        print(f"{name}.service  {state}  pid {service['pid'] or '-'}  {service['outcome']}".rstrip())
    return 0 if state == "active" or verb == "list-units" else 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
