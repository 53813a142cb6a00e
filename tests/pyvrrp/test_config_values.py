"""Numbers, scripts and addresses as keepalived.conf(5) writes them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyvrrp.config.values import (
    decimal,
    interface_name,
    quote_script,
    split_script,
    switch,
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


def test_a_switch_is_on_or_off_in_six_words() -> None:
    assert [switch(text) for text in ("on", "true", "yes", "off", "false", "no")] == [True] * 3 + [False] * 3
    with pytest.raises(ValueError, match="'ON' is neither on"):
        switch("ON")
