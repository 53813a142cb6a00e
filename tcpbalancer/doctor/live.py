"""What this machine and the servers say to a configuration: "it does not balance", "nobody connects".

Laws: pure: what was seen comes in with the case; where nobody looked there is nothing to find.
"""

from __future__ import annotations

from collections.abc import Iterator

from hakit.diagnosis import Finding, Level, Rule
from tcpbalancer.check_status import CheckResult, CheckStatus
from tcpbalancer.doctor.case import OURS, SWARM, Case, Machine, found, http_path, is_anywhere, is_usable
from tcpbalancer.doctor.checking import BY_ROLE
from tcpbalancer.model import Backend, Bind, Server

FOREIGN_ADDRESS = Rule("foreign-address", Level.ERROR, "An address to bind that no interface has (--live).")
KERNEL_RELAY = Rule("kernel-relay", Level.ERROR, "What the kernel needs to relay connections, and has not (--live).")
TAKEN_PORT = Rule("taken-port", Level.ERROR, "An address where another program listens (--live).")
NO_ANSWER = Rule("no-answer", Level.ERROR, "A backend of which no server passes its check now (--live).")
ONE_SILENT = Rule("server-no-answer", Level.WARNING, "A server that does not pass its check now (--live).")
TAKEN_OUT = Rule("taken-out", Level.WARNING, "A server to which the running balancer gives nothing (--live).")


def foreign_address(case: Case) -> Iterator[Finding]:
    """Look for addresses that the kernel would refuse."""
    unbindable = case.machine.unbindable if case.machine is not None else frozenset()
    for frontend in case.frontends:
        for bind in frontend.binds:
            anyhow = bind.transparent or bind.held or bind.namespace is not None
            if bind.host in unbindable and not anyhow:
                what = f"no interface of this machine has {bind.host}: '{frontend.name}' cannot start"
                why = "so it is on a backup, as long as another machine has the address"
                version = 6 if ":" in bind.host else 4
                remedy = f"bind *:{bind.port}, or allow it: sysctl net.ipv{version}.ip_nonlocal_bind=1"
                yield found(FOREIGN_ADDRESS, bind.location, what, why, remedy)


def kernel_relay(case: Case) -> Iterator[Finding]:
    """Look for what the kernel's data plane needs: programs, and leave to forward."""
    relayed = next((frontend for frontend in case.frontends if frontend.kernel_relay), None)
    for lacking in case.machine.kernel_lacks if case.machine is not None and relayed is not None else ():
        assert relayed is not None
        what, _, remedy = lacking.partition(": ")
        yield found(KERNEL_RELAY, relayed.location, what, f"the kernel cannot relay '{relayed.name}'", remedy)


def taken_port(case: Case) -> Iterator[Finding]:
    """Look for other programs at our addresses."""
    for frontend in case.frontends:
        for bind in frontend.binds:
            owner = _owner(case.machine, bind) if case.machine is not None and bind.port else None
            if owner is not None:
                what = f"{owner} listens at {bind.title} already"
                remedy = f"stop {owner}, or have it listen elsewhere"
                yield found(TAKEN_PORT, bind.location, what, f"'{frontend.name}' cannot bind it", remedy)


def _owner(machine: Machine, bind: Bind) -> str | None:
    for (host, port), program in machine.listeners.items():
        same = host == bind.host or is_anywhere(host) or is_anywhere(bind.host)
        if port == bind.port and same and program not in OURS:
            return program
    return None


def no_answer(case: Case) -> Iterator[Finding]:
    """Look for servers whose check does not pass. Where roles are told apart, those of another role are no finding."""
    answers = case.machine.answers if case.machine is not None else {}
    for backend in case.used:
        known = {
            server: answer
            for server in backend.servers
            if is_usable(server) and (answer := answers.get((backend.name, server.name))) is not None
        }
        some = any(answer.status.passed for answer in known.values())
        has_roles = some and http_path(backend) in BY_ROLE
        for server, answer in known.items():
            other_role = has_roles and answer.status is CheckStatus.L7STS
            if answer.status.passed or answer.is_ours or other_role:
                continue
            info = f" ({answer.info})" if answer.info else ""
            what = f"{backend.name}/{server.name} at {_where(server)}: {answer.status.value}{info}"
            why = "it gets no connections" if some else f"no server of '{backend.name}' is usable"
            yield found(
                ONE_SILENT if some else NO_ANSWER, server.location, what, why, _what_to_do(backend, server, answer)
            )


def _where(server: Server) -> str:
    address, port = (server.address, server.port) if server.check is None else (server.check.address, server.check.port)
    return address if address.startswith(("/", "abns@")) else f"{address}:{port}"


def _what_to_do(backend: Backend, server: Server, answer: CheckResult) -> str:
    where, path = _where(server), http_path(backend)
    match answer.status:
        case CheckStatus.L4CON if server.port == SWARM:
            return (
                f"'docker swarm init' or 'join' on {server.name} first; nodes also need 7946 (TCP, UDP) and 4789 (UDP) "
                "among themselves, not through the balancer"
            )
        case CheckStatus.L4CON:
            return f"start what should listen there, or mend the address; 'ss -ltn' on {server.name} shows what does"
        case CheckStatus.L4TOUT:
            return f"is {server.name} up, and does a firewall on the way drop packets to {where}?"
        case CheckStatus.L6TOUT | CheckStatus.L6RSP:
            return f"'openssl s_client -connect {where}' shows what it says to TLS"
        case _ if path is not None:
            return f"'curl -v http://{where}{path}' shows the whole answer"
        case _:
            return f"look into the log of the service at {where}"


def taken_out(case: Case) -> Iterator[Finding]:
    """Look for servers that the running balancer passes over."""
    states = case.machine.taken_out if case.machine is not None else {}
    for backend, server in case.servers():
        state = states.get((backend.name, server.name))
        if state is not None and is_usable(server):
            what = f"the running balancer has {backend.name}/{server.name} as {state}"
            remedy = f"on the stats socket: set server {backend.name}/{server.name} state ready"
            if state.startswith("DOWN"):
                remedy = "see what is said of its check; 'show servers state' on the stats socket has its history"
            yield found(TAKEN_OUT, server.location, what, "it gets no connections", remedy)
