"""The whole run: build the reference lab, start it, carry out its plan, tell all of it, say whether it held.

Laws: the exit status is 0 only if every step held. What failed shows the logs of both nodes. What is called "up" is
said where its time is printed.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from halab.namespace import LabError
from halab.parts.daemons import Balancer, Speaker
from halab.plan import MOVES_WITHIN, Plan
from halab.reference import NODES, VIP, Options, ReferenceLab, versions
from halab.report import Report
from halab.wait import NotSeenError

PICTURE = """\
    client .100                    pg102 .21   pg103 .22   pg104 .23
         |                             |           |           |
    =====+==========+=====+============+===========+===========+===  192.168.50.0/24
                    |     |                  |           |
     VIP .10 ->  haproxy1 haproxy2     docker_mgr1   docker_mgr2
                   .11      .12            .31           .32
"""


def run(
    options: Options,
    report: Report,
    built: Callable[[ReferenceLab], None] = lambda _: None,
    stay: Callable[[ReferenceLab], None] = lambda _: None,
) -> int:
    """Run the scenario and return the exit status.

    ``built`` is called when the hosts stand and before anything is started, ``stay`` when the plan is over and the lab
    still stands.
    """
    report.line(report.paint("The reference lab", "1") + f", configuration '{options.config}'")
    report.line()
    report.line(PICTURE)
    for line in versions(options):
        report.line(f"  {line}")
    report.line()
    with ReferenceLab(options) as lab:
        built(lab)
        try:
            bring_up(lab, report)
        except (NotSeenError, LabError) as problem:
            raise LabError(f"the lab did not come up: {problem}") from None
        held = report.carry_out(Plan(lab).steps())
        report.table()
        if not held:
            show_logs(lab, report)
        stay(lab)
    return 0 if held else 1


def bring_up(lab: ReferenceLab, report: Report) -> None:
    """Start the lab and print its times; shows the logs and raises NotSeenError or LabError if it does not come up."""
    lab.start(lambda text: report.mark(lab.passed(), text), lambda: show_logs(lab, report))
    ready = lab.passed()
    with ThreadPoolExecutor(2) as pool:
        try:  # Ctrl-C may strike while the work is handed out, too
            election = pool.submit(lambda: lab.addresses.until(VIP, {"haproxy1"}, MOVES_WITHIN) - lab.begun)
            checks = pool.submit(lambda: (Plan(lab).healthy(), lab.passed())[1])
            times = {
                "haproxy1 has the VIP: VRRP waits its Master_Down_Interval, 3.6 s, before it dares": election.result(),
                "both balancers have checked every server by themselves": checks.result(),
            }
        except BaseException as problem:
            if isinstance(problem, (LabError, NotSeenError)):
                show_logs(lab, report)
            lab.close()  # whoever still waits in the pool learns that there is nothing to wait for
            raise
    for text, at in sorted(times.items(), key=lambda item: item[1]):
        report.mark(at, text)
    kind = "stand-ins" if lab.options.light else "real parts"
    report.line()
    report.line(f"Up, with {kind}: {ready:.2f} s until everything runs and answers when asked;")
    report.line(
        f"{max(times.values()):.2f} s until the VIP is held and every server has been checked by the balancers."
    )


def show_logs(lab: ReferenceLab, report: Report) -> None:
    """Write the last lines of the logs of both nodes, and of whatever has failed elsewhere."""
    for name, host in lab.lab.hosts.items():
        try:
            standing = host.services()
        except LabError as problem:
            report.line(f"{problem}")
            continue
        for service, state in standing.items():
            told = name in NODES and service in {Balancer.service, Speaker.service}
            words = host.log_tail(service, 25)
            if (told and words) or state["state"] == "failed":
                report.line()
                report.line(
                    report.paint(f"{name}: {service} is {state['state']} {state['outcome']}; its last words:", "1")
                )
                report.line(words or "(nothing)")
