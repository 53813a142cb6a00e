"""The daemon as a service among others: found by its name, asked by signals, told by files, in its namespace."""

from __future__ import annotations

import json
import signal
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from vrrp_pair import VIP, Pair, configuration

from halab.host_mounts import ENVIRONMENT
from halab.namespace import Completed, Host
from halab.parts.daemons import KEEPALIVED_CONF
from halab.wait import hold, poll
from pyvrrp.options import SIGNALS

pytestmark = [pytest.mark.netns, pytest.mark.timeout(90)]

PYVRRP = f"{ENVIRONMENT}/bin/pyvrrp"
BIND = "import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])"
"""Leaves a socket behind that nobody answers."""
FLAGS = ("-P", "-f", KEEPALIVED_CONF, "-p", "/run/one.pid", "-r", "/run/one.pid-vrrp")


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with Pair(tmp_path) as made:
        yield made


def start(host: Host, *flags: str, text: str | None = None, **environment: str) -> Completed:
    host.write_file(KEEPALIVED_CONF, text or configuration(100))
    return host.run([PYVRRP, *flags], timeout=20, env=environment)


def pid_of(host: Host, path: str = "/run/one.pid") -> int:
    return int(host.read_file(path))


def end(host: Host, pid: int) -> None:
    host.run(["kill", str(pid)]).check()
    poll(lambda: host.run(["test", "-d", f"/proc/{pid}"]).status == 1, 5, "the end of the daemon")


def test_every_way_to_look_for_keepalived_finds_it_and_the_other_words_stay(pair: Pair) -> None:
    """ecosystem: check scripts look for comm, for argv[0], and Neutron for a word of the command line."""
    host = pair.host("left")
    start(host, *FLAGS).check()
    pid = str(pid_of(host))
    for look in (
        "pgrep keepalived",
        "pgrep -x keepalived",
        "pgrep -o keepalived",
        "pgrep -u root -f keepalived",
        "pgrep -f pyvrrp",
        "pidof keepalived",
        "pidof -x keepalived",
        "ps -C keepalived -o pid=",
        'ps -axwwo pid,args | awk \'{n = split($2, part, "/")} part[n] == "keepalived" {print $1; exit}\'',
    ):
        # The shell that runs a pipe has the word in its own command line: only that one is left to it.
        argv = ["sh", "-c", look] if "|" in look else look.split()
        assert host.run(argv).check().output.split() == [pid], look
    for probe in ("killall -0 keepalived", "pkill -0 keepalived"):
        assert host.run(probe.split()).status == 0, probe
    words = host.read_file(f"/proc/{pid}/cmdline").split("\0")
    assert words[0].endswith("/keepalived")
    assert tuple(words[2:-1]) == FLAGS
    end(host, int(pid))


def test_both_pid_files_hold_the_one_pid_and_go_with_it(pair: Pair) -> None:
    host = pair.host("left")
    host.write_file("/run/one.pid", "4194000\n")  # of a machine that crashed
    start(host, *FLAGS).check()
    pid = pid_of(host)
    assert pid_of(host, "/run/one.pid-vrrp") == pid
    for one in ("/run/one.pid", "/run/one.pid-vrrp"):
        assert stat.S_IMODE(host.path(one).stat().st_mode) == 0o644
    other = start(host, "-n", "-f", KEEPALIVED_CONF, "-p", "/run/other.pid", "-r", "/run/one.pid-vrrp")
    assert other.status == 1  # keepalived: 0
    assert f"another instance is running (pid {pid}), it holds /run/one.pid-vrrp" in other.errors
    assert not host.path("/run/other.pid").exists()
    end(host, pid)
    assert not host.path("/run/one.pid").exists()
    assert not host.path("/run/one.pid-vrrp").exists()


def test_the_default_pid_files_are_keepalived_s(pair: Pair) -> None:
    host = pair.host("left")
    start(host, "-f", KEEPALIVED_CONF).check()
    assert pid_of(host, "/run/keepalived.pid") == pid_of(host, "/run/vrrp.pid")
    end(host, pid_of(host, "/run/keepalived.pid"))


def test_signals_write_the_dumps_where_clients_look(pair: Pair) -> None:
    host = pair.host("left")
    pair.start("left", "pyvrrp", configuration(100))
    pair.until_held_by("left", within=6)
    for name, files in (
        ("DATA", ("keepalived.data", "keepalived_parent.data")),
        ("STATS", ("keepalived.stats",)),
        ("JSON", ("keepalived.json",)),
    ):
        pair.signal("left", SIGNALS[name])
        for file in files:
            path = host.path(f"/tmp/{file}")  # noqa: S108
            poll(path.exists, 3, file)
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert "s3cr3t77" not in path.read_text()
    (told,) = json.loads(host.read_file("/tmp/keepalived.json"))  # noqa: S108
    assert (told["data"]["state"], told["data"]["vips"]) == (2, [f"{VIP}/24 dev eth0 scope global set"])
    assert told["stats"]["become_master"] == 1
    pair.signal("left", SIGNALS["STATS_CLEAR"])
    pair.until_log("left", "Printing and clearing VRRP stats")
    assert pair.status("left")["statistics"]["become_master"] == 0
    pair.signal("left", SIGNALS["TDUMP"])
    pair.until_log("left", "VI_1: MASTER, timer in ")
    assert pair.watch.holders(VIP) == {"left"}


def test_a_full_disk_leaves_the_dump_before_and_says_so_in_one_line(pair: Pair) -> None:
    host = pair.host("left")
    host.run(["mkdir", "/run/full"]).check()
    host.run(["mount", "-t", "tmpfs", "-o", "size=16k", "none", "/run/full"]).check()
    start(host, *FLAGS, "-G", "-g", "/run/log", TMPDIR="/run/full").check()
    pid = pid_of(host)
    host.run(["kill", "-USR2", str(pid)]).check()
    poll(host.path("/run/full/keepalived.stats").exists, 3, "the first dump")
    before = host.read_file("/run/full/keepalived.stats")
    host.run(["sh", "-c", "dd if=/dev/zero of=/run/full/rest bs=1k 2>/dev/null; kill -USR2 $0", str(pid)])
    poll(lambda: "is not written" in host.read_file("/run/log"), 3, "the line about the full disk")
    told = [line for line in host.read_file("/run/log").splitlines() if "is not written" in line]
    assert len(told) == 1
    assert told[0].endswith(
        "/run/full/keepalived.stats is not written: No space left on device; the one before stays as it is"
    )
    assert host.read_file("/run/full/keepalived.stats") == before
    assert sorted(path.name for path in host.path("/run/full").iterdir()) == ["keepalived.stats", "rest"]
    end(host, pid)


def test_a_broken_reload_names_its_place_and_changes_nothing(pair: Pair) -> None:
    """keepalived ends with 2 and leaves the address on the interface."""
    pair.start("left", "pyvrrp", configuration(100))
    pair.until_held_by("left", within=6)
    broken = configuration(100).replace("virtual_router_id 51", "virtual_router_id 510")
    line = next(number for number, text in enumerate(broken.splitlines(), 1) if "510" in text)
    pair.signal("left", signal.SIGHUP, broken)
    pair.until_log("left", "Reload refused: the configuration before stays in force")
    assert f"{KEEPALIVED_CONF}:{line}:" in pair.log("left")
    hold(lambda: pair.watch.holders(VIP) == {"left"}, 1, "left holds the address")
    pair.signal("left", signal.SIGHUP, configuration(100))
    pair.until_log("left", "Reload complete")
    assert pair.status("left")["state"] == "MASTER"


def test_it_goes_into_the_namespace_that_it_is_told(pair: Pair) -> None:
    host = pair.host("left")
    for words in (
        "ip netns add blue",
        "ip -n blue link set lo up",
        "ip -n blue link add eth0 type veth peer name far",
        "ip -n blue link set eth0 up",
        "ip -n blue link set far up",
        "ip -n blue address add 10.88.2.77/24 dev eth0",
    ):
        host.run(words.split()).check()
    start(host, "-f", KEEPALIVED_CONF, "-s", "blue").check()
    poll(lambda: VIP in host.run(["ip", "-n", "blue", "address"]).output, 6, "the address in the namespace")
    assert pair.watch.holders(VIP) == set()
    pid = pid_of(host, "/run/keepalived/keepalived_blue.pid")
    assert pid_of(host, "/run/keepalived/vrrp_blue.pid") == pid
    end(host, pid)
    missing = start(host, "-n", "-f", KEEPALIVED_CONF, "-s", "red")
    assert missing.status == 2
    assert missing.errors.count("\n") == 1
    assert "cannot enter network namespace red: /run/netns/red: No such file or directory" in missing.errors


def test_dont_release_vrrp_leaves_the_address_and_still_resigns(pair: Pair) -> None:
    host = pair.host("left")
    start(host, *FLAGS, "-V").check()
    pair.until_held_by("left", within=6)
    end(host, pid_of(host))
    assert pair.watch.holders(VIP) == {"left"}
    assert pair.adverts("left")[-1].priority == 0
    start(host, *FLAGS).check()  # what was left is cleared away before its first state
    pair.until_held_by(within=3)
    end(host, pid_of(host))


def test_systemd_is_told_when_it_is_ready_reloads_and_stops(pair: Pair) -> None:
    host = pair.host("left")
    listen = (
        "import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind('/run/notify')\n"
        "while True: open('/run/notified', 'a').write(s.recv(4096).decode() + '\\n--\\n')"
    )
    host.spawn([f"{ENVIRONMENT}/bin/python", "-u", "-c", listen])
    poll(host.path("/run/notify").exists, 5, "the listener")
    start(host, *FLAGS, NOTIFY_SOCKET="/run/notify").check()
    pid = pid_of(host)

    def told() -> list[str]:
        path = host.path("/run/notified")
        return path.read_text().split("\n--\n") if path.exists() else []

    def until(line: str) -> str:
        def found() -> str:
            return next((text for text in told() if line in text.splitlines()), "")

        return poll(found, 8, line)

    assert until("READY=1") == "READY=1\nSTATUS=instances: 1 BACKUP"
    until("STATUS=instances: 1 MASTER")
    host.run(["kill", "-HUP", str(pid)]).check()
    reloading = dict(line.split("=", 1) for line in until("RELOADING=1").splitlines())
    assert abs(int(reloading["MONOTONIC_USEC"]) / 1e6 - time.monotonic()) < 30
    poll(lambda: sum("READY=1" in text for text in told()) == 2, 5, "ready again")
    end(host, pid)
    until("STOPPING=1")


def test_start_and_shutdown_scripts_run_around_it(pair: Pair) -> None:
    host = pair.host("left")
    host.write_file("/usr/local/bin/around", "#!/bin/sh\necho $1 >> /run/around\n", 0o755)
    scripts = 'startup_script "/usr/local/bin/around start"\n shutdown_script "/usr/local/bin/around stop"'
    text = configuration(100).replace("router_id pair", f"router_id pair\n {scripts}")
    start(host, *FLAGS, text=text).check()
    assert host.read_file("/run/around") == "start\n"
    end(host, pid_of(host))
    assert host.read_file("/run/around") == "start\nstop\n"


def test_a_loopback_interface_is_refused_in_keepalived_s_words(pair: Pair) -> None:
    host = pair.host("left")
    text = configuration(100).replace("interface eth0", "interface lo")
    for flags, status in ((("-t",), 5), (("-n",), 2)):
        refused = start(host, *flags, "-f", KEEPALIVED_CONF, text=text)
        assert refused.status == status
        assert "(VI_1) cannot use a loopback interface (lo) for vrrp" in refused.errors


def test_it_is_ready_within_half_a_second(pair: Pair) -> None:
    host = pair.host("left")
    took = []
    for _ in range(3):
        took.append(start(host, *FLAGS).check().seconds)
        end(host, pid_of(host))
    assert min(took) < 1.5, took  # 0.5 s on a machine with nothing else to do: ./run bench measures that


ROUTER = """
vrrp_instance VR_{number} {{
    interface ha-{number}
    virtual_router_id {number}
    priority 50
    version 3
    advert_int 0.1
    virtual_ipaddress {{
        169.254.0.{number}/24
    }}
}}
"""


def start_router(host: Host, number: int) -> tuple[int, Completed]:
    """Start a daemon as Neutron does: for a router of its own, in the router's network namespace."""
    name = f"qrouter-{number}"
    for command in (
        f"ip netns add {name}",
        f"ip -n {name} link add ha-{number} type veth peer name peer",
        f"ip -n {name} link set peer up",
        f"ip -n {name} address add 169.254.192.{number}/18 dev ha-{number}",
        f"ip -n {name} link set ha-{number} up",
    ):
        host.run(command.split()).check()
    folder = f"/var/lib/neutron/ha_confs/{number}"
    host.write_file(f"{folder}/keepalived.conf", ROUTER.format(number=number))
    files = ("-f", f"{folder}/keepalived.conf", "-p", f"{folder}.pid.keepalived", "-r", f"{folder}.pid.keepalived-vrrp")
    done = host.run(["ip", "netns", "exec", name, PYVRRP, "-P", *files, "-D"], timeout=20)
    return int(host.read_file(f"{folder}.pid.keepalived")) if done.status == 0 else 0, done


def test_each_router_of_a_machine_has_its_own_daemon_and_each_daemon_its_socket(pair: Pair) -> None:
    host = pair.host("left")
    host.write_file("/run/pyvrrp/precious", "")
    host.run([sys.executable, "-c", BIND, "/run/pyvrrp/control-99999.sock"]).check()
    first, done = start_router(host, 1)
    assert done.status == 0, done.errors
    second, done = start_router(host, 2)
    assert done.status == 0, done.errors
    own = f"/run/pyvrrp/control-{second}.sock"
    there = {path.name for path in host.path("/run/pyvrrp").iterdir()}
    assert there == {"control.sock", Path(own).name, "precious"}
    assert "VR_1" in host.run([PYVRRP, "ctl", "status"]).check().output
    assert "VR_2" in host.run([PYVRRP, "ctl", "--control", own, "status"]).check().output
    for number in (1, 2):
        address = ["ip", "-n", f"qrouter-{number}", "address", "show"]
        poll(lambda address=address, number=number: f"169.254.0.{number}/24" in host.run(address).output, 3, "the VIP")
    end(host, first)
    asked = host.run([PYVRRP, "ctl", "status"])
    assert (asked.status, own in asked.errors) == (4, True)
    end(host, second)
    assert [path.name for path in host.path("/run/pyvrrp").iterdir()] == ["precious"]


def test_without_a_place_for_the_control_socket_the_daemon_does_its_work_and_says_so(pair: Pair) -> None:
    """keepalived does not need to write to /run once its pid files are elsewhere: containers have it read-only."""
    host = pair.host("left")
    host.write_file("/run/pyvrrp", "a file where the folder should be")
    flags = ("-f", KEEPALIVED_CONF, "-p", "/var/lib/k.pid", "-r", "/var/lib/v.pid", "--log-file=/var/lib/log")
    start(host, *flags).check()
    pair.until_held_by("left", within=6)
    assert "There is no control socket, so pyvrrp ctl has nobody to ask: " in host.read_file("/var/lib/log")
    end(host, pid_of(host, "/var/lib/k.pid"))
    refused = start(host, *flags, "--control", "/run/pyvrrp/x.sock")
    assert refused.status == 1


def test_who_starts_it_in_the_background_finds_in_the_log_why_it_does_not_run(pair: Pair) -> None:
    host = pair.host("left")
    log = "--log-file=/var/lib/log"
    broken = start(host, log, text=configuration(100).replace("virtual_router_id 51", ""))
    assert broken.status == 2
    assert "(VI_1) the virtual router id must be set" in host.read_file("/var/lib/log")
    start(host, *FLAGS).check()
    pid = pid_of(host)
    assert start(host, log, *FLAGS).status == 1
    assert f"another instance is running (pid {pid})" in host.read_file("/var/lib/log")
    assert start(host, log, "-p", "/nowhere/k.pid").status == 1
    assert "the pid file /nowhere/k.pid cannot be written" in host.read_file("/var/lib/log")
    end(host, pid)
