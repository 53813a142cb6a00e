"""What must stand in the kernel, made from configurations and weights, and what nft is told of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcpbalancer.kernel.plan import Candidate, Numbers, Passage, plan
from tcpbalancer.kernel.readings import Counts, Row
from tcpbalancer.kernel.ruleset import Daemon, forgetting, numbers_in, removal, skeleton, transaction
from tcpbalancer.kernel.turns import MOST_TURNS, hashed_turns, turns
from tcpbalancer.kernel.wanted import Entrance, Place, Wanted, Way, pack, unpack
from tcpbalancer.model import Backend, Bind, Configuration, Frontend, Server, Timeouts
from tcpbalancer.model.reach import Reach, Source

FIVE_DAYS = 432_000
SERVERS = (Server("s1", "10.0.0.1", 5432), Server("s2", "10.0.0.2", 5432, weight=2))


def configuration(
    servers: Sequence[Server] = SERVERS,
    binds: Sequence[Bind] = (Bind("192.0.2.1", 5432),),
    front: Timeouts = Timeouts(),  # noqa: B008 - frozen
    **backend: object,
) -> Configuration:
    frontend = Frontend("f", tuple(binds), default_backend="b", timeouts=front, kernel_relay=True)
    back = Backend("b", tuple(servers), **backend)  # type: ignore[arg-type]
    return Configuration({"f": frontend, "other": Frontend("other", ())}, {"b": back}, ("f", "b", "other"))


def wanted(told: Configuration, *weights: int, numbers: Numbers | None = None, **more: object) -> Wanted:
    servers = told.backends["b"].servers
    given = weights or [server.weight for server in servers]
    candidates = [Candidate(server, server, weight) for server, weight in zip(servers, given, strict=True)]
    return plan(told, {"b": candidates}, numbers or Numbers(), **more)  # type: ignore[arg-type]


# -- turns -------------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 256), max_size=8))
def test_each_has_as_many_turns_as_its_weight_and_they_are_spread(weights: list[int]) -> None:
    order = turns(weights)
    count = Counter(order)
    total = sum(weights)
    for index, weight in enumerate(weights):
        assert count[index] * total == weight * len(order)
        places = [place for place, one in enumerate(order) if one == index]
        for one, next_ in pairwise(places):
            assert next_ - one <= 2 * len(order) / len(places) + len(weights), "nobody waits for long"


def test_turns_begin_with_the_first_and_take_the_shortest_list() -> None:
    assert turns([16, 16, 16]) == [0, 1, 2]
    assert turns([32, 16, 16]) == [0, 1, 2, 0]
    assert turns([0, 7]) == [1]
    assert turns([]) == turns([0, 0]) == []


def test_a_list_that_would_be_too_long_is_a_little_less_exact() -> None:
    order = turns([4096 + 1, 4096, 1])
    assert len(order) <= MOST_TURNS + 3
    assert {0, 1, 2} == {*order}


def test_a_hash_leads_everybody_to_the_same_server_as_long_as_that_can_be_used() -> None:
    assert hashed_turns([1, 1, 1], [16, 16, 16]) == [0, 1, 2]
    assert hashed_turns([1, 1, 1], [16, 0, 16]) == [0, 2, 2]
    assert hashed_turns([1, 1, 0], [0, 0, 16]) == [2], "a backup"
    assert hashed_turns([1, 1], [0, 0]) == []


# -- the plan ----------------------------------------------------------------------------------------------------------


def test_a_frontend_is_an_entrance_whose_turns_lead_to_its_backends_servers() -> None:
    told = wanted(configuration())
    assert told.ways == {
        1: Way("f > b/s1", "10.0.0.1", 5432, half_closed=FIVE_DAYS),
        2: Way("f > b/s2", "10.0.0.2", 5432, half_closed=FIVE_DAYS),
    }
    assert told.entrances == {3: Entrance("f", (Place(4, "192.0.2.1", 5432),), "turns", ((2, 1, 2), ()))}


def test_a_server_without_a_weight_has_a_way_and_no_turn() -> None:
    told = wanted(configuration(), 16, 0)
    assert {*told.ways} == {1, 2}
    assert told.entrances[3].turns == ((1,), ())


def test_clients_stay_within_their_version_of_ip() -> None:
    servers = (*SERVERS, Server("s3", "2001:db8::3", 5432), Server("unknown", "", 5432))
    binds = (Bind("", 1), Bind("::", 2), Bind("::", 3, only_v6=True), Bind("2001:db8::1", 4))
    entrance = wanted(configuration(servers, binds)).entrances[4]
    assert entrance.turns == ((2, 1, 2), (3,))
    both = (Place(4, "", 1), Place(4, "", 2), Place(6, "", 2), Place(6, "", 3), Place(6, "2001:db8::1", 4))
    assert entrance.places == both
    entrance = wanted(configuration(servers, binds), dual_stack=False).entrances[4]
    assert entrance.places == tuple(place for place in both if place != Place(4, "", 2))


def test_a_refusing_frontend_leads_nowhere_and_a_closed_one_is_not_there() -> None:
    assert wanted(configuration(), refusing={"f"}).entrances[3].turns == ((), ())
    assert wanted(configuration(), closed={"f"}) == Wanted()


def test_ways_that_have_connections_are_kept_and_keep_their_numbers() -> None:
    numbers = Numbers()
    before = wanted(configuration(), numbers=numbers)
    moved = configuration((SERVERS[0], replace(SERVERS[1], address="10.0.0.9")))
    after = wanted(moved, numbers=numbers, kept=[*before.ways, *before.entrances])
    assert after.ways == {
        1: before.ways[1],
        4: Way("f > b/s2", "10.0.0.9", 5432, half_closed=FIVE_DAYS),
        2: before.ways[2],
    }
    assert after.entrances[3].turns == ((4, 1, 4), ())
    assert {*wanted(moved, numbers=numbers).ways} == {1, 4}
    assert [number for number, _ in numbers.passages()] == [1, 2, 4]
    assert isinstance(numbers.known[4], Passage)


def test_source_is_hashed_and_a_server_that_is_down_leaves_the_others_their_clients() -> None:
    told = configuration((*SERVERS, Server("s3", "10.0.0.3", 1, backup=True)), balance="source")
    assert wanted(told, 16, 32, 0).entrances[4] == Entrance(
        "f", (Place(4, "192.0.2.1", 5432),), "source", ((2, 1, 2), ())
    )
    assert wanted(told, 16, 0, 0).entrances[4].turns == ((1, 1, 1), ())
    assert wanted(told, 0, 0, 16).entrances[4].turns == ((3,), ())
    assert wanted(configuration(balance="random", draws=1)).entrances[3].choice == "random"
    assert wanted(configuration(balance="static-rr")).entrances[3].choice == "turns"


@pytest.mark.parametrize(
    ("front", "back", "lifetime"),
    [
        (Timeouts(), Timeouts(), (0, FIVE_DAYS)),
        (Timeouts(client=60), Timeouts(server=30.2), (31, 31)),
        (Timeouts(client=60), Timeouts(server=30, tunnel=3600), (3600, 3600)),
        (Timeouts(client=60, client_fin=5), Timeouts(server=30, server_fin=7), (30, 5)),
    ],
)
def test_timeouts_say_how_long_a_silent_connection_is_known(
    front: Timeouts, back: Timeouts, lifetime: tuple[int, int]
) -> None:
    way = wanted(configuration(front=front, timeouts=back)).ways[1]
    assert (way.idle, way.half_closed) == lifetime


def test_the_source_address_goes_with_the_way() -> None:
    server = replace(SERVERS[0], reach=Reach(source=Source("10.0.0.50")))
    assert wanted(configuration((server,))).ways[1].source == "10.0.0.50"


# -- on its way to the executor ----------------------------------------------------------------------------------------


def test_what_must_stand_arrives_as_it_was_sent() -> None:
    told = wanted(configuration((*SERVERS, Server("s3", "2001:db8::3", 0))))
    assert unpack(pack(told)) == told


@pytest.mark.parametrize(
    "spoil",
    [
        lambda told: told["ways"]["1"].update(address="10.0.0.1; flush ruleset"),
        lambda told: told["ways"]["1"].update(address="fe80::1%eth0; flush ruleset"),
        lambda told: told["ways"]["1"].update(port=65536),
        lambda told: told["ways"]["1"].update(more=1),
        lambda told: told["entrances"]["3"].update(choice="first"),
        lambda told: told["entrances"]["3"].update(turns=[[-1], []]),
        lambda told: told["entrances"]["3"]["places"][0].update(address="x"),
        lambda told: told.update(ways=[]),
        lambda told: told.pop("ways"),
    ],
)
def test_what_is_no_address_no_port_and_no_number_does_not_come_through(spoil: object) -> None:
    told = json.loads(pack(wanted(configuration())))
    spoil(told)  # type: ignore[operator]
    with pytest.raises(ValueError):  # noqa: PT011 - of several functions, each with its own words
        unpack(json.dumps(told))


def test_a_title_cannot_end_the_comment_in_which_it_stands() -> None:
    strange = Wanted({1: Way('a"; flush ruleset #' + 200 * "x", "10.0.0.1", 1)}, {})
    title = unpack(pack(strange)).ways[1].title
    assert title.startswith("a?? flush ruleset ?x")
    assert len(title) == 120
    assert unpack(pack(Wanted({}, {1: Entrance("f", (Place(6, "", 1),), "turns", ((), ()))}))).entrances[1].title == "f"


# -- what nft is told --------------------------------------------------------------------------------------------------

DAEMON = Daemon(7)


def test_the_table_and_the_marks_are_the_daemons_own() -> None:
    assert DAEMON.table == "tcpbalancer-7"
    assert DAEMON.mark(0x12) == 0x07000012
    assert DAEMON.marks == "0x07000000/0xff000000"
    assert skeleton(DAEMON).startswith("table inet tcpbalancer-7 {\n")
    assert "ct mark & 0xff000000 == 0x07000000 ct status dnat masquerade" in skeleton(DAEMON)
    assert removal(DAEMON) == "add table inet tcpbalancer-7\ndelete table inet tcpbalancer-7\n"


def test_tables_of_daemons_are_known_by_their_names() -> None:
    tables = [
        {"table": {"name": name}}
        for name in ("tcpbalancer-1", "filter", "tcpbalancer-", "tcpbalancer-12", "tcpbalancer-0x")
    ]
    assert numbers_in(json.dumps({"nftables": [{"metainfo": {}}, *tables]})) == [1, 12]


def test_the_first_transaction_makes_ways_and_entrances_and_then_the_signposts_to_them() -> None:
    told = Wanted(
        {1: Way("f > b/s1", "10.0.0.1", 5432, "10.0.0.50", 60, 5), 2: Way("f > b/s2", "2001:db8::2", 5432)},
        {3: Entrance("f", (Place(4, "192.0.2.1", 5432), Place(6, "", 5432)), "turns", ((1,), (2,)))},
    )
    assert transaction(DAEMON, Wanted(), told) == (
        "add ct timeout inet tcpbalancer-7 idle4-60-5 { protocol tcp; l3proto ip; "
        "policy = { established : 60, fin_wait : 5, close_wait : 5 }; }\n"
        "add chain inet tcpbalancer-7 server-1\n"
        'add rule inet tcpbalancer-7 server-1 ct timeout set "idle4-60-5" ct mark set 0x07000001 '
        'update @arrivals { ct mark counter } comment "f > b/s1"\n'
        "add rule inet tcpbalancer-7 server-1 meta l4proto tcp dnat ip to 10.0.0.1:5432\n"
        "add element inet tcpbalancer-7 sources4 { 0x07000001 : 10.0.0.50 }\n"
        "add chain inet tcpbalancer-7 server-2\n"
        "add rule inet tcpbalancer-7 server-2 ct mark set 0x07000002 "
        'update @arrivals { ct mark counter } comment "f > b/s2"\n'
        "add rule inet tcpbalancer-7 server-2 meta l4proto tcp dnat ip6 to [2001:db8::2]:5432\n"
        "add chain inet tcpbalancer-7 entrance-3\n"
        "add rule inet tcpbalancer-7 entrance-3 meta nfproto ipv4 numgen inc mod 1 vmap { 0 : goto server-1 } "
        'comment "f"\n'
        "add rule inet tcpbalancer-7 entrance-3 meta nfproto ipv6 numgen inc mod 1 vmap { 0 : goto server-2 } "
        'comment "f"\n'
        "add rule inet tcpbalancer-7 entrance-3 ct mark set 0x07000003 "
        "update @arrivals { ct mark counter }\n"
        "add rule inet tcpbalancer-7 entrance-3 meta l4proto tcp reject with tcp reset\n"
        "add element inet tcpbalancer-7 addresses4 { 192.0.2.1 . 5432 : goto entrance-3 }\n"
        "add element inet tcpbalancer-7 ports { ipv6 . 5432 : goto entrance-3 }\n"
    )


def test_a_change_of_turns_touches_nothing_but_that_entrance() -> None:
    before = wanted(configuration())
    after = replace(before, entrances={3: replace(before.entrances[3], turns=((2,), ()))})
    assert transaction(DAEMON, before, after) == (
        "flush chain inet tcpbalancer-7 entrance-3\n"
        "add rule inet tcpbalancer-7 entrance-3 meta nfproto ipv4 numgen inc mod 1 vmap { 0 : goto server-2 } "
        'comment "f"\n'
        "add rule inet tcpbalancer-7 entrance-3 ct mark set 0x07000003 "
        "update @arrivals { ct mark counter }\n"
        "add rule inet tcpbalancer-7 entrance-3 meta l4proto tcp reject with tcp reset\n"
    )
    assert not transaction(DAEMON, before, before)


def test_a_place_that_goes_to_another_entrance_is_never_without_one() -> None:
    def entrance(*places: Place) -> Entrance:
        return Entrance("f", places, "turns", ((), ()))

    here, there = Place(4, "192.0.2.1", 1), Place(6, "2001:db8::1", 2)
    before, after = Wanted({}, {1: entrance(here), 2: entrance(there)}), Wanted({}, {1: entrance(), 2: entrance(here)})
    assert transaction(DAEMON, before, after).splitlines() == [
        "delete element inet tcpbalancer-7 addresses4 { 192.0.2.1 . 1 }",
        "delete element inet tcpbalancer-7 addresses6 { 2001:db8::1 . 2 }",
        "add element inet tcpbalancer-7 addresses4 { 192.0.2.1 . 1 : goto entrance-2 }",
    ]


def test_what_is_wanted_no_more_goes_after_all_that_leads_to_it() -> None:
    told = Wanted(
        {1: Way("w", "10.0.0.1", 0, "10.0.0.50", half_closed=9), 2: Way("w", "2001:db8::1", 0, idle=9)},
        {3: Entrance("f", (Place(4, "", 1),), "random", ((1,), ()))},
    )
    assert transaction(DAEMON, told, Wanted()) == (
        "delete element inet tcpbalancer-7 ports { ipv4 . 1 }\n"
        "flush chain inet tcpbalancer-7 entrance-3\ndelete chain inet tcpbalancer-7 entrance-3\n"
        "flush chain inet tcpbalancer-7 server-1\ndelete chain inet tcpbalancer-7 server-1\n"
        "delete element inet tcpbalancer-7 sources4 { 0x07000001 }\n"
        "flush chain inet tcpbalancer-7 server-2\ndelete chain inet tcpbalancer-7 server-2\n"
        "delete ct timeout inet tcpbalancer-7 idle4-0-9\ndelete ct timeout inet tcpbalancer-7 idle6-9-0\n"
    )
    made = transaction(DAEMON, Wanted(), told)
    assert "idle4-0-9 { protocol tcp; l3proto ip; policy = { fin_wait : 9, close_wait : 9 }; }" in made
    assert "idle6-9-0 { protocol tcp; l3proto ip6; policy = { established : 9 }; }" in made
    assert "numgen random mod 1 vmap" in made
    assert "dnat ip to 10.0.0.1\n" in made
    assert "dnat ip6 to 2001:db8::1\n" in made


def test_a_source_is_hashed_with_a_seed_that_all_daemons_have() -> None:
    told = Wanted(
        {1: Way("w", "10.0.0.1", 1), 2: Way("w", "2001:db8::1", 1)}, {3: Entrance("f", (), "source", ((1,), (2,)))}
    )
    made = transaction(DAEMON, Wanted(), told)
    assert "meta nfproto ipv4 jhash ip saddr mod 1 seed 0x74637062 vmap" in made
    assert "meta nfproto ipv6 jhash ip6 saddr mod 1 seed 0x74637062 vmap" in made


def test_what_was_counted_of_a_way_is_forgotten_under_the_keys_that_it_has() -> None:
    counted = Counts({1: 5, 2: 6}, {1: [Row(False, 0x80, 9, 900), Row(True, 0xA0, 1, 60)], 2: [Row(True, 0x80, 1, 60)]})
    assert forgetting(DAEMON, counted, {1}) == (
        "delete element inet tcpbalancer-7 arrivals { 0x07000001 }\n"
        "delete element inet tcpbalancer-7 traffic "
        "{ 0x07000001 . original . 0x80, 0x07000001 . reply . 0xa0 }\n"
    )
    assert not forgetting(DAEMON, counted, {3})
