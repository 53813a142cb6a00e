"""Numbers, scripts and addresses as keepalived.conf(5) writes them."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyvrrp.config.values import (
    OtherFamilyError,
    address_line,
    decimal,
    interface_name,
    quote_script,
    split_script,
    whole,
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("/usr/bin/true", ("/usr/bin/true",)),
        ("  /bin/sh -c  'exit 0' ", ("/bin/sh", "-c", "exit 0")),
        (r"""/bin/echo "x y" 'p q' r\x41""", ("/bin/echo", "x y", "p q", "rA")),
        (r"/bin/e \a\b\E\f\n\r\t\v", ("/bin/e", "\a\b\x1b\f\n\r\t\v")),
        (r"/bin/e \101 \x4a \cC \ca", ("/bin/e", "A", "J", "\x03", "\x01")),
        (r"/bin/e a\ b \\ \" '\n'", ("/bin/e", "a b", "\\", '"', r"\n")),
        ("/bin/e '' \"\" a''b", ("/bin/e", "", "", "ab")),
        ('/bin/e "it\'s"', ("/bin/e", "it's")),
        ("/bin/e end\\", ("/bin/e", "end\\")),
    ],
)
def test_a_script_is_split_at_white_space_with_both_quotes_and_escapes(text: str, words: tuple[str, ...]) -> None:
    assert split_script(text) == words


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the script is empty"),
        ("   ", "the script is empty"),
        ("''", "the script is empty"),
        ("/bin/sh 'x", "a quotation mark ' is not closed"),
        ('/bin/sh "x', 'a quotation mark " is not closed'),
        (r"/bin/sh \000", "cannot hold a zero byte"),
    ],
)
def test_a_script_that_cannot_be_run_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        split_script(text)


@settings(derandomize=True, deadline=None)
@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=1))
def test_quoted_words_come_back_as_they_were(words: list[str]) -> None:
    if words[0]:
        assert split_script(quote_script(words)) == tuple(words)


def test_whole_numbers_are_refused_in_keepaliveds_words() -> None:
    assert (whole("1", 1, 255), whole("+255", 1, 255), whole("-3", -3, 3)) == (1, 255, -3)
    with pytest.raises(ValueError, match=r"^number '256' outside range \[1, 255\]$"):
        whole("256", 1, 255)
    with pytest.raises(ValueError, match="outside range"):
        whole("9" * 5000, 1, 255)
    for text in ("", "x", "1.5", "1,5", "٣", "1 "):
        with pytest.raises(ValueError, match=f"^invalid number '{text}'$"):
            whole(text, 1, 255)


def test_numbers_with_a_fraction_are_refused_in_keepaliveds_words() -> None:
    assert (decimal("0.5", 0.01, 255), decimal(".5", 0, 1), decimal("2.", 0, 9)) == (0.5, 0.5, 2.0)
    with pytest.raises(ValueError, match=r"^number '0.005' outside range \[0.010000, 255.000000\]$"):
        decimal("0.005", 0.01, 255)
    for text in ("", ".", "1,5", "1e3", "nan", "inf"):
        with pytest.raises(ValueError, match="invalid number"):
            decimal(text, 0.01, 255)


def test_an_interface_has_a_name_that_the_kernel_takes() -> None:
    assert interface_name("eth0.100") == "eth0.100"
    for text in ("", "a" * 16, "eth/0", "$IF", "eth 0"):
        with pytest.raises(ValueError, match="cannot be the name of an interface"):
            interface_name(text)


def test_an_address_without_a_length_is_a_host() -> None:
    assert address_line(["10.9.0.100"]).address.interface == IPv4Interface("10.9.0.100/32")


def test_the_options_of_an_address_are_those_of_ip_address() -> None:
    line = address_line(["10.9.0.80/24", "dev", "eth0", "scope", "link", "label", "eth0:x", "brd", "+"])
    address = line.address
    assert (address.device, address.scope, address.label) == ("eth0", 253, "eth0:x")
    assert address.broadcast == IPv4Address("10.9.0.255")
    assert line.remarks == ()
    assert address_line(["10.9.0.80/24", "broadcast", "10.9.0.254"]).address.broadcast == IPv4Address("10.9.0.254")
    assert address_line(["10.9.0.80/24", "scope", "200"]).address.scope == 200


def test_what_is_not_carried_out_for_an_address_is_named() -> None:
    assert address_line(["10.9.0.1/24", "noprefixroute", "preferred_lft", "0", "typo", "brd", "-"]).remarks == (
        "'noprefixroute' of an address is known to keepalived, not carried out",
        "Unknown configuration entry 'typo' for ip address - ignoring",
        "'preferred_lft' of an address is known to keepalived, not carried out",
    )
    assert address_line(["10.9.2.1/32", "brd", "+"]).remarks == ("Address prefix length 32 too long for broadcast",)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("300.1.1.1", "'300.1.1.1' is not an IP address"),
        ("10.0.0.1/255.255.255.0", "is not an address with a prefix length"),
        ("10.0.0.1/33", "is not an IP address"),
        ("224.0.0.18", "cannot be a virtual address"),
        ("127.0.0.1", "cannot be a virtual address"),
        ("0.0.0.0", "cannot be a virtual address"),
        ("10.0.0.1 dev", "a value is missing after 'dev'"),
        ("10.0.0.1 scope moon", "'moon' is not a scope"),
        ("10.0.0.1 brd moon", "'moon' is not a broadcast address"),
        ("10.0.0.1 label a/b", "cannot be the name of an interface"),
    ],
)
def test_an_address_that_makes_no_sense_is_refused(line: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        address_line(line.split())


def test_ipv6_is_told_apart_from_nonsense() -> None:
    with pytest.raises(OtherFamilyError, match="VRRPv2, which has IPv4 only"):
        address_line(["fd00::100/64"])
