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

USAGE = "usage: systemctl start|stop|restart|kill|is-active [--quiet]|status|list-units [SERVICE...]"


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
    options = [word for word in words if word.startswith("-")]
    verb, *names = [word for word in words if not word.startswith("-")] or [""]
    quiet = "--quiet" in options or "-q" in options
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
            answer = ask({"do": step, "name": name, "number": 15})
            if "error" in answer:
                print(f"systemctl: {answer['error']}", file=sys.stderr)
                return 5 if name not in standing else 1
    return 0


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
