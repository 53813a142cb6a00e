"""A topology is checked when it is described, before anything is built."""

from __future__ import annotations

import pytest

from halab.topology import HostPlan, Port, Topology, simple


def test_a_simple_topology_is_one_lan_with_one_card_per_host() -> None:
    topology = simple("lan", {"a": "10.0.0.1/24", "b": "10.0.0.2/24"})
    assert topology.lans == ("lan",)
    assert [(host.name, name, port.device) for host, name, port in topology.links()] == [
        ("a", "a", "eth0"),
        ("b", "b", "eth0"),
    ]


def test_every_host_is_named_in_the_hosts_file_under_its_first_address() -> None:
    lines = simple("lan", {"a": "10.0.0.1/24", "b": "10.0.0.2/24"}).hosts_file.splitlines()
    assert "127.0.0.1\tlocalhost" in lines
    assert "10.0.0.1\ta" in lines
    assert "10.0.0.2\tb" in lines


def test_a_second_card_has_a_port_of_its_own_on_the_switch() -> None:
    host = HostPlan("a", (Port("red", ("10.0.0.1/24",)), Port("blue", ("10.0.1.1/24",), "eth1")))
    assert [name for _, name, _ in Topology((host,)).links()] == ["a", "a.1"]
    assert Topology((host,)).lans == ("red", "blue")


@pytest.mark.parametrize("name", ["", "sixteen_letters_", "a/b", "a b"])
def test_a_name_that_no_link_can_bear_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a link"):
        simple("lan", {name: "10.0.0.1/24"})


@pytest.mark.parametrize("hosts", [{"switch": "10.0.0.1/24"}, {"lan": "10.0.0.1/24"}])
def test_names_that_collide_are_refused(hosts: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="must differ"):
        simple("lan", hosts)


def test_two_hosts_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="must differ"):
        Topology((HostPlan("a"), HostPlan("a")))


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        Port("lan", ("10.0.0.256/24",))
