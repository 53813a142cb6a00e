"""What has run out is told in HAProxy's words, at once, and then not for each connection."""

from __future__ import annotations

import errno

import pytest

from tcpbalancer.shortage import PERIOD, TOLD, Shortages

BACKLOG = "can't connect to destination unix socket, check backlog size on the server"


@pytest.mark.parametrize(
    ("problem", "level", "text"),
    [
        (errno.EMFILE, "emerg", "Proxy l reached process FD limit (maxsock=218). Please check 'ulimit-n' and restart."),
        (errno.ENFILE, "emerg", "Proxy l reached system FD limit (maxsock=218). Please check system tunables."),
        (errno.ENOMEM, "emerg", "Proxy l reached system memory limit (maxsock=218). Please check system tunables."),
        (errno.ENOBUFS, "emerg", "Proxy l reached system memory limit (maxsock=218). Please check system tunables."),
        (errno.EADDRNOTAVAIL, "err", "Connect() failed for backend l: no free ports."),
        (errno.EAGAIN, "err", f"Connect() failed for backend l: {BACKLOG}."),
        (errno.EADDRINUSE, "err", "Connect() failed for backend l: local address already in use."),
    ],
)
def test_each_shortage_has_haproxys_words(problem: int, level: str, text: str) -> None:
    assert problem in TOLD
    assert Shortages(218).line("l", problem, 0.0) == (level, text)


def test_what_is_no_shortage_is_not_told() -> None:
    assert Shortages(218).line("l", errno.ECONNREFUSED, 0.0) is None


def test_the_same_is_told_again_after_a_while_with_how_often_it_has_happened() -> None:
    shortages = Shortages(218)
    first = shortages.line("l", errno.EMFILE, 5.0)
    assert first is not None
    for _ in range(3):
        assert shortages.line("l", errno.EMFILE, 5.0 + PERIOD - 0.001) is None
    assert shortages.line("l", errno.ENFILE, 5.0) is not None, "another problem"
    assert shortages.line("m", errno.EMFILE, 5.0) is not None, "another proxy"
    again = shortages.line("l", errno.EMFILE, 5.0 + PERIOD)
    assert again == ("emerg", f"{first[1]} This has happened 3 more times since it was told last.")
    assert shortages.line("l", errno.EMFILE, 5.0 + 2 * PERIOD) == first
