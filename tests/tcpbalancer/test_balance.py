"""All algorithms of ``balance`` but roundrobin, against what HAProxy did (sequences, tables of clients) or must do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcpbalancer.balance import ALGORITHMS, Balancer, Choice, is_dynamic, make_balancer
from tcpbalancer.balance.hashing import FUNCTIONS, avalanche, folded, packed_address
from tcpbalancer.balance.static import server_map
from tcpbalancer.model import Backend, Hashing, Server

SCALE = 16
PLAIN = Hashing()

# Seen on HAProxy 2.6.12 and 3.5-dev5 with one thread, equal in both.
STATIC_ROUND_ROBIN = {
    (3, 2, 1): "1 1 2 1 2 3 1 1 2 1 2 3 1 1 2 1 2 3 1 1 2 1 2 3 1 1 2 1 2 3 1 1 2 1 2 3 1 1 2 1",
    (5, 1, 1): "1 1 1 2 1 1 3 1 1 1 2 1 1 3 1 1 1 2 1 1 3 1 1 1 2 1 1 3 1 1 1 2 1 1 3 1 1 1 2 1",
    (100, 50, 25): "1 1 2 1 2 1 3 1 1 2 1 2 1 3 1 1 2 1 2 1 3 1 1 2 1 2 1 3 1 1 2 1 2 1 3 1 1 2 1 2",
    (7, 3): "1 1 1 2 1 1 2 1 1 2 1 1 1 2 1 1 2 1 1 2 1 1 1 2 1 1 2 1 1 2 1 1 1 2 1 1 2 1 1 2",
}
CLIENTS = [f"127.0.0.{last}" for last in range(1, 33)] + ["127.1.2.3", "127.10.20.30", "127.200.1.9"]
SOURCE = {
    ("map-based", (1, 1, 1)): "31231231231231231231231231231231222",
    ("map-based", (3, 2, 1)): "31121231121231121231121231121231121",
    ("consistent", (1, 1, 1)): "21312131132333111311122111131121321",
}


def backend(name: str, servers: int = 3, *, hashing: Hashing = PLAIN, identities: Sequence[int] = ()) -> Backend:
    told = [Server(f"s{number}", "192.0.2.1", 80) for number in range(1, servers + 1)]
    if identities:
        told = [Server(f"s{number}", "192.0.2.1", 80, identity=number) for number in identities]
    return Backend("b", tuple(told), balance=name, hashing=hashing)


def memory_of(balancer: Balancer, slots: int) -> list[int]:
    return [0] * balancer.memory_size(slots)


def scaled(weights: Sequence[int]) -> list[int]:
    return [SCALE * weight for weight in weights]


@pytest.mark.parametrize("name", ALGORITHMS)
def test_no_weight_means_no_server(name: str) -> None:
    balancer = make_balancer(backend(name, 2))
    choice = Choice([0, 0], served=[0, 0], queued=[0, 0], released=[0, 0], draws=[0] * balancer.draws)
    assert balancer.pick(memory_of(balancer, 2), choice) is None


@pytest.mark.parametrize("name", [name for name in ALGORITHMS if name not in {"source", "hash", "random"}])
def test_the_one_that_was_tried_in_vain_is_picked_only_if_no_other_has_room(name: str) -> None:
    balancer = make_balancer(backend(name, 2))
    memory = memory_of(balancer, 2)

    def picks(full: Sequence[int]) -> set[int | None]:
        choice = Choice([16, 16], full, full, avoid=0, served=[0, 0], queued=[0, 0], released=[0, 0])
        return {balancer.pick(memory, choice) for _ in range(4)}

    assert (picks([]), picks([1]), picks([0, 1])) == ({1}, {0}, {None})


@pytest.mark.parametrize(
    ("name", "dynamic"),
    [("roundrobin", True), ("static-rr", False), ("leastconn", True), ("first", True), ("source", False)],
)
def test_static_algorithms_do_not_honour_a_weight_that_changes(name: str, dynamic: bool) -> None:
    assert is_dynamic(backend(name)) is dynamic
    assert is_dynamic(backend("source", hashing=Hashing(consistent=True)))


# -- static-rr


@pytest.mark.parametrize("weights", STATIC_ROUND_ROBIN)
def test_the_sequence_of_static_rr_is_that_of_haproxy(weights: tuple[int, ...]) -> None:
    balancer = make_balancer(backend("static-rr", len(weights)))
    memory = memory_of(balancer, len(weights))
    picked = [balancer.pick(memory, Choice(scaled(weights))) for _ in range(40)]
    assert [slot + 1 for slot in picked if slot is not None] == [int(w) for w in STATIC_ROUND_ROBIN[weights].split()]


def test_the_map_of_static_rr_goes_on_from_its_place_when_it_becomes_shorter() -> None:
    balancer = make_balancer(backend("static-rr"))
    memory = memory_of(balancer, 3)
    assert [balancer.pick(memory, Choice([16, 16, 16])) for _ in range(3)] == [0, 1, 2]
    assert [balancer.pick(memory, Choice([16, 0, 0])) for _ in range(2)] == [0, 0]


@settings(derandomize=True, max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 20), min_size=1, max_size=6).filter(any))
def test_the_map_holds_each_server_as_often_as_its_weight_says(weights: list[int]) -> None:
    counts = Counter(server_map(tuple(weights)))
    heaviest = max(weights)
    assert [counts[slot] * heaviest for slot in range(len(weights))] == [
        weight * counts[weights.index(heaviest)] for weight in weights
    ]


# -- leastconn


class Load:
    """Servers with sessions, and the clock by which they lose them."""

    def __init__(self, weights: Sequence[int]) -> None:
        self.balancer = make_balancer(backend("leastconn", len(weights)))
        self.memory = memory_of(self.balancer, len(weights))
        self.weights = scaled(weights)
        self.served = [0] * len(weights)
        self.released = [0] * len(weights)
        self.clock = 0

    def open(self) -> int:
        queued = [0] * len(self.served)
        chosen = self.balancer.pick(self.memory, Choice(self.weights, (), (), None, self.served, queued, self.released))
        assert chosen is not None
        self.served[chosen] += 1
        return chosen + 1

    def close(self, server: int) -> None:
        self.clock += 1
        self.served[server - 1] -= 1
        self.released[server - 1] = self.clock


def test_leastconn_rotates_among_equals_where_each_connection_ends_before_the_next() -> None:
    load = Load([1, 1, 1])
    seen = []
    for _ in range(12):
        seen.append(load.open())
        load.close(seen[-1])
    assert seen == [1, 2, 3] * 4, "lc_sequential_close"


def test_leastconn_gives_the_next_to_whoever_has_lost_one() -> None:
    load = Load([1, 1, 1])
    assert [load.open() for _ in range(7)] == [1, 2, 3, 1, 2, 3, 1], "lc_hold7"
    load.close(2)
    assert load.open() == 2, "lc_after_closing_2nd"


def test_leastconn_takes_equals_in_the_order_in_which_they_became_equal() -> None:
    load = Load([1, 1, 1])
    for _ in range(3):
        load.open()
    for server in (3, 1, 2):
        load.close(server)
    assert [load.open() for _ in range(3)] == [3, 1, 2]


@settings(derandomize=True, max_examples=200, deadline=None)
@given(
    st.lists(st.integers(0, 256), min_size=2, max_size=5).filter(any),
    st.lists(st.integers(0, 9), max_size=60),
)
def test_leastconn_chooses_the_smallest_load_for_its_weight(weights: list[int], steps: list[int]) -> None:
    load = Load(weights)
    for step in steps:
        busy = [server for server, served in enumerate(load.served, 1) if served]
        if step < 4 and busy:
            load.close(busy[step % len(busy)])
            continue
        before = [
            (served + 1) * 4096 // (SCALE * weight) if served else 0
            for served, weight in zip(load.served, weights, strict=True)
            if weight
        ]
        chosen = load.open() - 1
        place = load.served[chosen] * 4096 // (SCALE * weights[chosen]) if load.served[chosen] > 1 else 0
        assert place == min(before)


def test_leastconn_takes_a_full_server_as_long_as_there_is_a_place_in_its_bounded_queue() -> None:
    balancer = make_balancer(backend("leastconn", 2))
    choice = Choice([16, 16], full={0, 1}, crowded={1}, served=[1, 1], queued=[0, 0], released=[0, 0])
    assert balancer.pick(memory_of(balancer, 2), choice) == 0


# -- first


def test_first_fills_the_servers_in_the_order_of_their_numbers() -> None:
    balancer = make_balancer(backend("first", identities=[3, 1, 2]))
    weights = [16, 1, 16, 16]
    picked = [balancer.pick([], Choice(weights, full=full)) for full in ({}, {1}, {1, 2}, {0, 1, 2}, {0, 1, 2, 3})]
    assert picked == [1, 2, 0, 3, None], "the last slot was added at run time"


# -- source and hash


def by_source(hash_type: str, weights: Sequence[int], client: str) -> int | None:
    balancer = make_balancer(backend("source", len(weights), hashing=TYPES[hash_type]))
    return balancer.pick(memory_of(balancer, len(weights)), Choice(scaled(weights), key=packed_address(client)))


TYPES = {"map-based": Hashing(), "consistent": Hashing(consistent=True, avalanche=True)}


@pytest.mark.parametrize(("hash_type", "weights"), SOURCE)
def test_each_of_35_clients_gets_the_server_that_haproxy_gives_it(hash_type: str, weights: tuple[int, ...]) -> None:
    servers = "".join(str((by_source(hash_type, weights, client) or 0) + 1) for client in CLIENTS)
    assert servers == SOURCE[hash_type, weights]


@pytest.mark.parametrize("hash_type", TYPES)
def test_a_client_stays_with_its_server_whether_it_is_full_or_not(hash_type: str) -> None:
    balancer = make_balancer(backend("source", hashing=TYPES[hash_type]))
    assert balancer.hashes
    key = packed_address("127.0.0.1")
    picks = {balancer.pick([0], Choice([16, 16, 16], full=full, key=key)) for full in ((), (0, 1, 2))}
    assert len(picks) == 1


@pytest.mark.parametrize("hash_type", TYPES)
def test_who_has_no_address_gets_servers_in_turn(hash_type: str) -> None:
    balancer = make_balancer(backend("source", hashing=TYPES[hash_type]))
    memory = memory_of(balancer, 3)
    assert packed_address("/run/client.sock") is None
    assert [balancer.pick(memory, Choice([16, 16, 16])) for _ in range(4)] == [0, 1, 2, 0]


def test_an_empty_ring_means_no_server() -> None:
    balancer = make_balancer(backend("source", hashing=TYPES["consistent"]))
    assert balancer.pick([0], Choice([0, 0, 0], key=b"1234")) is None


def test_on_the_ring_only_the_clients_of_a_server_that_leaves_move() -> None:
    clients = [f"10.0.{third}.{last}" for third in range(8) for last in range(64)]
    before = [by_source("consistent", [1, 1, 1, 1], client) for client in clients]
    after = [by_source("consistent", [1, 1, 0, 1], client) for client in clients]
    assert all(now == then for then, now in zip(before, after, strict=True) if then != 2)
    assert set(after) == {0, 1, 3}


def test_the_place_on_the_ring_depends_on_the_number_of_a_server_and_not_on_its_line() -> None:
    hashing = TYPES["consistent"]
    one = make_balancer(backend("source", hashing=hashing, identities=[7, 8, 9]))
    other = make_balancer(backend("source", hashing=hashing, identities=[9, 7, 8]))
    for client in CLIENTS:
        choice = Choice([16, 16, 16], key=packed_address(client))
        slots = (one.pick([0], choice), other.pick([0], choice))
        assert slots in {(0, 1), (1, 2), (2, 0)}


def test_on_the_ring_the_one_to_avoid_passes_its_clients_to_the_next() -> None:
    balancer = make_balancer(backend("source", 2, hashing=TYPES["consistent"]))
    key = packed_address("192.0.2.77")
    meant = balancer.pick([0], Choice([16, 16], key=key))
    assert balancer.pick([0], Choice([16, 16], avoid=meant, key=key)) == 1 - (meant or 0)
    assert balancer.pick([0], Choice([16, 0], avoid=0, key=key)) == 0, "there is no other"


def test_hash_balance_factor_bounds_the_load_of_a_server_by_that_of_all() -> None:
    hashing = Hashing(consistent=True, avalanche=True, balance_factor=110)
    balancer = make_balancer(backend("source", hashing=hashing))
    assert balancer.counts
    served = [0, 0, 0]
    for _ in range(30):
        choice = Choice([16, 16, 16], served=served, key=packed_address("192.0.2.77"))
        slot = balancer.pick([0], choice)
        assert slot is not None
        served[slot] += 1
        assert max(served) <= -(-110 * sum(served) // 300) + 1
    assert min(served) > 0, "all come from one client"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sdbm", 0x88AE2D47),
        ("djb2", 0x0F11B894),
        ("crc32", 0x414FA339),
        ("none", 0),
    ],
)
def test_the_functions_of_hash_type_are_those_of_their_names(name: str, value: int) -> None:
    text = b"The quick brown fox jumps over the lazy dog"
    reference = {
        "sdbm": lambda: _recurrence(text, 65599, 0),
        "djb2": lambda: _recurrence(text, 33, 5381),
    }.get(name, lambda: value)
    assert FUNCTIONS[name](text) == reference()


def _recurrence(text: bytes, factor: int, start: int) -> int:
    value = start
    for byte in text:
        value = (value * factor + byte) % 2**32
    return value


def test_the_function_none_takes_a_number_as_it_is() -> None:
    assert [FUNCTIONS["none"](text) for text in (b"42", b"-1", b"7 dwarfs", b"x", b"")] == [42, 2**32 - 1, 7, 0, 0]


def test_every_function_tells_keys_apart_and_so_does_the_avalanche() -> None:
    for name in ("sdbm", "djb2", "wt6", "crc32"):
        values = {FUNCTIONS[name](f"client-{number}".encode()) for number in range(500)}
        assert len(values) > 490
        assert all(0 <= value < 2**32 for value in values)
    assert len({avalanche(number) for number in range(5000)}) == 5000


def test_an_address_is_folded_word_by_word() -> None:
    assert folded(bytes([1, 2, 3, 4])) == 0x01020304
    v6 = packed_address("2001:db8::1%eth0")
    assert v6 is not None
    assert folded(v6) == 0x20010DB8 ^ 1


@pytest.mark.parametrize("hash_type", TYPES)
def test_balance_hash_hashes_a_key_by_the_function_that_hash_type_names(hash_type: str) -> None:
    picks = {}
    for function in ("sdbm", "djb2", "wt6", "crc32"):
        hashing = Hashing(hash_type == "consistent", function, avalanche=True)
        balancer = make_balancer(backend("hash", 5, hashing=hashing))
        picks[function] = [balancer.pick([0], Choice([16] * 5, key=b"user-%d" % number)) for number in range(50)]
        assert set(picks[function]) == {0, 1, 2, 3, 4}
    assert len({tuple(each) for each in picks.values()}) == 4


# -- random


def test_random_draws_servers_as_often_as_their_weights_say() -> None:
    balancer = make_balancer(backend("random", 2))
    assert (balancer.draws, balancer.counts) == (2, True)
    ends = {
        draw: balancer.pick([], Choice([48, 16], served=[0, 0], draws=[draw, draw])) for draw in range(0, 2**32, 2**28)
    }
    assert Counter(ends.values()) == {0: 12, 1: 4}


def test_of_two_that_are_drawn_the_less_loaded_one_wins_and_the_latter_among_equals() -> None:
    balancer = make_balancer(backend("random", 2))
    high = 2**31

    def pick(served: Sequence[int], draws: Sequence[int], weights: Sequence[int] = (16, 16)) -> int | None:
        return balancer.pick([], Choice(weights, served=served, draws=draws))

    assert [pick([5, 4], [0, high]), pick([4, 5], [0, high]), pick([4, 4], [0, high]), pick([4, 4], [high, 0])] == [
        1, 0, 1, 0,
    ]  # fmt: skip
    assert pick([4, 3], [0, 2**32 - 1], [32, 16]) == 0, "4/2 is less than 3/1"


def test_random_does_not_look_for_another_server_if_the_one_that_won_is_full() -> None:
    balancer = make_balancer(backend("random", 2))
    assert balancer.pick([], Choice([16, 16], full={0}, served=[0, 9], draws=[0, 0])) is None
    assert balancer.pick([], Choice([16, 16], avoid=0, served=[0, 9], draws=[0, 0])) == 1
    assert balancer.pick([], Choice([16, 0], avoid=0, served=[0, 9], draws=[0, 0])) == 0
