"""Lines of routes and rules: ip-route(8) and ip-rule(8), as keepalived takes them."""

from __future__ import annotations

from types import MappingProxyType

import pytest

from pyvrrp.config.route_line import route_line
from pyvrrp.config.rule_line import rule_line
from pyvrrp.config.surroundings import Surroundings, named_numbers

NAMES = Surroundings(tables=MappingProxyType({"main": 254, "small": 7}))


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("10.0.0.0/8 dev e0 src 10.9.0.1 scope link table small", "10.0.0.0/8 src 10.9.0.1 dev e0 table 7 scope 253"),
        ("0.0.0.0/0 gw 192.168.0.1 table 100", "default via 192.168.0.1 table 100"),
        ("src 10.1.0.1 to 10.2.0.0/24 via inet 10.1.0.254 oif e1", "10.2.0.0/24 src 10.1.0.1 via 10.1.0.254 dev e1"),
        (
            "10.3.0.0/16 via 10.9.0.2 or 10.9.0.3 dev e0",
            "10.3.0.0/16 nexthop via 10.9.0.2 dev e0 nexthop via 10.9.0.3 dev e0",
        ),
        ("blackhole 192.168.114.0/24", "blackhole 192.168.114.0/24"),
        ("default via fe80::1 dev e0 metric 5", "inet6 default via fe80::1 dev e0 metric 5"),
        ("inet6 default dev e0 expires 30 pref high", "inet6 default dev e0 expires 30 pref 1"),
        ("10.4.0.1 dev e0 mtu lock 1400 rtt 10ms rto_min 1s", "10.4.0.1 dev e0 mtu lock 1400 rto_min 1000 rtt 80"),
        ("2001:db8::/32 from 2001:db9::/32 dev e0", "2001:db8::/32 from 2001:db9::/32 dev e0"),
    ],
)
def test_a_route_is_shown_in_one_order_and_read_from_it_again(line: str, text: str) -> None:
    found = route_line(line.split(), NAMES).route
    assert str(found) == text
    assert route_line(text.split(), NAMES).route == found


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("via 10.0.0.1", "Route must have a destination"),
        ("bogus", "unknown route keyword bogus"),
        ("10.0.0.0/8 10.1.0.0/16", "unknown route keyword 10.1.0.0/16"),
        ("10.0.0.0/8 via fe80::1", "Cannot mix IPv4 and IPv6"),
        ("10.0.0.0/8 via x", "invalid route via address x"),
        ("10.0.0.0/8 via", "a value is missing after 'via'"),
        ("10.0.0.0/8 expires 3", "expires is only valid for IPv6"),
        ("10.0.0.0/8 table moon", "neither known nor a number"),
        ("10.0.0.0/8 encap ip id 1", "encapsulation cannot be set up"),
        ("10.0.0.0/8 vrf red", "'vrf' of a route is not supported"),
        ("10.0.0.0/8 nexthop via 10.0.0.1 weight 0", "outside range"),
        ("10.0.0.0/8 nexthop realms 3", "unknown nexthop keyword realms"),
    ],
)
def test_a_route_that_would_lead_elsewhere_is_refused(line: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        route_line(line.split(), NAMES)


def test_what_only_tunes_a_route_is_named() -> None:
    assert route_line("10.0.0.0/8 realms 3 append".split(), NAMES).remarks == (  # noqa: SIM905
        "'realms 3' of a route is known to keepalived, not carried out",
        "'append' of a route is known to keepalived, not carried out: it is prepended",
    )


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("from 10.9.0.1/32 table 1 priority 100", "from 10.9.0.1 priority 100 lookup 1"),
        ("to 1:2::/32 from 7:6::/32 lookup 9 uidrange 1-2", "from 7:6::/32 to 1:2::/32 uidrange 1-2 lookup 9"),
        (
            "fwmark 24/12 iif e0 oif e1 realms 30/20 table small",
            "from all fwmark 0x18/0xc iif e0 oif e1 realms 30/20 lookup 7",
        ),
        (
            "to 10.0.0.1 l3mdev ip_proto UDP sport 10-20 dport 20",
            "from all to 10.0.0.1 ipproto 17 sport 10-20 dport 20-20 l3mdev",
        ),
        ("inet6 not from all goto 7 priority 5", "inet6 not from all priority 5 goto 7"),
        ("from 10.0.0.1 type blackhole", "from 10.0.0.1 type blackhole"),
        (
            "tos 0x10 tunnel-id 3 suppress_prefixlength 0 table 1",
            "from all tos 0x10 suppress_prefixlength 0 tunnel-id 3 lookup 1",
        ),
    ],
)
def test_a_rule_is_shown_in_one_order_and_read_from_it_again(line: str, text: str) -> None:
    found = rule_line(line.split(), NAMES)
    assert str(found) == text
    assert rule_line(text.split(), NAMES) == found


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("from 10.0.0.1", "No action specified for rule"),
        ("from 10.0.0.1 table 1 junk", "Unknown rule option junk"),
        ("from 10.0.0.1 table 1 blackhole", "Cannot specify more than one of"),
        ("from 10.0.0.1 to fd00::1 table 1", "mixed IPv4 and IPv6"),
        ("table 0", "Table 0 is not valid"),
        ("goto 7", "goto target 7 specified without preference"),
        ("goto 7 priority 9", "preference 9 >= goto target 7"),
        ("to fd00::1 realms 3 table 1", "realms is only valid for IPv4"),
        ("blackhole sup_pl 3", "suppressor/realm specified for non table action"),
        ("sport 9-3 table 1", "it ends before it begins"),
        ("fwmark x table 1", "Invalid rule fwmark x specified"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(line: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        rule_line(line.split(), NAMES)


def test_names_of_tables_come_from_iproute2_and_the_first_of_two_counts() -> None:
    found = named_numbers("rt_protos", ["4 static # fixed\n99 mine\nx y\n", "0xc4 static\n0x10 hex\n"])
    assert (found["static"], found["mine"], found["hex"], found["kernel"]) == (4, 99, 16, 2)
