"""How many descriptors there have to be, and what -n, -N and -dr say in the place of the files."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest
from balancer_process import TCPBALANCER, BalancerProcess
from descriptors import descriptor_limit
from family import family
from tcp_peers import PATIENCE, free_port

from tcpbalancer.config.load import Flags, read_texts
from tcpbalancer.options import Options, parse


def refused(tmp_path: Path, hard: int, *lines: str) -> str:
    file = tmp_path / "f.cfg"
    head = "".join(f" {line}\n" for line in lines)
    file.write_text(f"global\n{head}listen l\n bind 127.0.0.1:{free_port()}\n server s 127.0.0.1:1\n")
    limits = f"--nofile={hard}:{hard}"
    command = ["prlimit", limits, "setpriv", "--bounding-set=-sys_resource", *TCPBALANCER, "-db", "--control", "x"]
    done = subprocess.run(
        [*command, "-f", str(file)], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert done.returncode == 1
    return done.stderr


@pytest.mark.netns  # a bounding set can be changed by root only
@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["maxconn 2000"], "Cannot raise FD limit to 4017, limit is 200."),
        (["ulimit-n 5000"], "Cannot raise FD limit to 5000, limit is 200."),
        (["ulimit-n 20"], "FD limit (20) too low to start at all: please raise 'ulimit -n' to 64 or more."),
    ],
)
def test_too_few_descriptors_are_told_in_haproxys_words(tmp_path: Path, lines: list[str], told: str) -> None:
    assert f"main()] {told}" in refused(tmp_path, 200, *lines)


def test_ulimit_n_is_the_limit_of_all_processes(tmp_path: Path) -> None:
    stats = free_port()
    text = (
        "global\n ulimit-n 300\n maxconn 200\n nbthread 1\n"
        f"listen stats\n mode http\n bind 127.0.0.1:{stats}\n stats uri /stats\n stats auth admin:secret\n"
        f"listen l\n bind 127.0.0.1:{free_port()}\n server s 127.0.0.1:1\n"
    )
    with BalancerProcess([*TCPBALANCER, "-db", "--control", str(tmp_path / "c")], text, tmp_path, stats) as running:
        assert [descriptor_limit(pid) for pid in family(running.process.pid)] == [(300, 300)] * 3
        told = "FD limit (300) too low for maxconn=200/maxsock=418. Please raise 'ulimit-n' to 418 or more"
        assert told in running.output.read_text()
        assert running.stop(signal.SIGTERM) == -signal.SIGTERM


def test_n_and_capital_n_go_before_what_is_and_what_is_not_in_the_file() -> None:
    text = "global\n maxconn 7\nfrontend f\n bind :1\nfrontend g\n bind :2\n maxconn 3\n"
    read = read_texts([("f.cfg", text)], {}, flags=Flags(maxconn=10)).configuration
    assert (read.maxconn, read.frontends["f"].maxconn, read.frontends["g"].maxconn) == (10, 10, 3)
    read = read_texts([("f.cfg", text)], {}, flags=Flags(proxy_maxconn=5)).configuration
    assert (read.maxconn, read.frontends["f"].maxconn, read.frontends["g"].maxconn) == (7, 5, 3)


def test_with_dr_a_server_without_address_stays_in_maintenance() -> None:
    text = "listen l\n bind :1\n server s no.such.host.invalid:1\n"
    read = read_texts([("f.cfg", text)], {}, resolve=lambda _: None, flags=Flags(tolerates_unresolved=True))
    assert read.configuration.backends["l"].servers[0].address == ""


def test_process_numbers_are_taken_as_shells_give_them() -> None:
    flags = "-f a -f b -c -V -q -D -W -db -d -p p -x s -L l -C c -n 1 -N 2 -dM -dI -dW -dD -dr -S s"
    parsed = parse(flags.split(" "))
    assert parsed == Options(
        files=["a", "b"], check=True, verbose=True, quiet=True, daemon=True, master=True, foreground=True, debug=True,
        pidfile="p", takeover="s", local_peer="l", folder="c", maxconn=1, proxy_maxconn=2, zero_warning=True,
        diagnose=True, tolerate_unresolved=True, master_cli="s",
    )  # fmt: skip
    assert parse(["-Ws", "-f", "x"]).master
    assert parse(["-cc", "1"]).condition == "1"
    assert parse(["-n", "0", "--", "x", "-y"]) == Options(files=["x", "-y"])
    assert parse(["-vv"]).version_details
    assert parse(["-m", "10", "-v"]).not_carried_out == ["-m"]
