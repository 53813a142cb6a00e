"""Short stories of three routers, told by hypothesis, which makes a failing one as short as it gets."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from simulated import CHECKED, CHK, VIP

from pyvrrp.model import Configuration, TrackerKind
from pyvrrp.simulation.chance import Chance
from pyvrrp.simulation.checks import Outcome
from pyvrrp.simulation.faults import (
    AddressTaken,
    Check,
    Cut,
    Demote,
    Freeze,
    Heal,
    Isolate,
    Kill,
    LinkDown,
    LinkUp,
    Mute,
    Promote,
    Start,
    Stop,
    Thaw,
    Uncut,
)
from pyvrrp.simulation.judge import Judge
from pyvrrp.simulation.judged_router import JudgedRouter
from pyvrrp.simulation.kernel import Card
from pyvrrp.simulation.lan import Lan

NODES = ("n1", "n2", "n3")
A_NODE = st.sampled_from(NODES)
LONGEST = 12.0
"""Seconds within which three healthy routers of any past have one Master: two Master_Down_Intervals and a check."""


class Routers(RuleBasedStateMachine):
    """Whatever happens to them, the judge watches; in the end all is mended, and the best is Master."""

    @initialize(seed=st.integers(0, 2**16), preempt=st.booleans())
    def begin(self, seed: int, preempt: bool) -> None:
        chance = Chance(random.Random(seed).random)  # noqa: S311 - it has to come back, no secret
        self.lan = Lan(chance, machine=JudgedRouter, observer=Judge(), most_lag=0.01)
        for n, name in enumerate(NODES):
            one = replace(CHECKED, priority=100 + n, preempt=preempt)
            self.lan.add(name, Configuration((one,), scripts=(CHK,)), {"eth0": Card.of(f"192.0.2.{n + 1}/24")})
            self.lan.inject(Start(name))

    @rule(seconds=st.floats(0, 6))
    def time_passes(self, seconds: float) -> None:
        self.lan.run_until(self.lan.now + seconds)

    @rule(node=A_NODE, verb=st.sampled_from([Freeze, Thaw, Kill, Stop, Start, Isolate, Mute, Heal]))
    def something_happens(self, node: str, verb: type[Freeze]) -> None:
        self.lan.inject(verb(node))

    @rule(node=A_NODE, verb=st.sampled_from([LinkDown, LinkUp]))
    def a_cable_is_moved(self, node: str, verb: type[LinkDown]) -> None:
        self.lan.inject(verb(node, "eth0"))

    @rule(sender=A_NODE, receiver=A_NODE, verb=st.sampled_from([Cut, Uncut]))
    def one_direction_is_cut(self, sender: str, receiver: str, verb: type[Cut]) -> None:
        self.lan.inject(verb(sender, receiver))

    @rule(node=A_NODE, outcome=st.sampled_from(Outcome))
    def a_script_ends(self, node: str, outcome: Outcome) -> None:
        self.lan.inject(Check(node, (TrackerKind.SCRIPT, "chk"), outcome))

    @rule(node=A_NODE, verb=st.sampled_from([Promote, Demote]))
    def an_operator_speaks(self, node: str, verb: type[Promote]) -> None:
        self.lan.inject(verb(node, "VI_1"))

    @rule(node=A_NODE)
    def an_address_is_taken(self, node: str) -> None:
        self.lan.inject(AddressTaken(node, "eth0", VIP.ip))

    def teardown(self) -> None:
        if not hasattr(self, "lan"):
            return
        for name in NODES:
            for fault in (Heal(name), LinkUp(name, "eth0"), Thaw(name), Start(name)):
                self.lan.inject(fault)
            self.lan.inject(Check(name, (TrackerKind.SCRIPT, "chk"), Outcome.SUCCEEDS))
        self.lan.run_until(self.lan.now + LONGEST)
        assert len(self.lan.masters("VI_1")) == 1
        assert self.lan.neighbours["lan", VIP.ip] == self.lan.masters("VI_1")[0]


Routers.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None, derandomize=True)
test_three_routers_keep_every_invariant_and_come_to_rest = Routers.TestCase
