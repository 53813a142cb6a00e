"""Who the processes are: user, group, chroot and setcap, and what is told if they cannot be had."""

from __future__ import annotations

import os
import pwd
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from balancer_process import TCPBALANCER, BalancerProcess, until
from family import family
from tcp_peers import PATIENCE, ScriptedServer, echo, free_port, read_exactly

from hakit.control import request
from tcpbalancer.privileges import who_am_i, whose
from tcpbalancer.worker_rights import USERS

pytestmark = pytest.mark.netns  # they need root

NOBODY = pwd.getpwnam("nobody")


@pytest.fixture
def peer() -> Iterator[ScriptedServer]:
    with ScriptedServer(echo(b"hi")) as server:
        yield server


def text(port: int, server: int, stats: int, *lines: str) -> str:
    head = "".join(f" {line}\n" for line in lines)
    return (
        f"global\n{head}defaults\n timeout client 30s\n timeout server 30s\n timeout connect 1s\n"
        f"listen stats\n mode http\n bind 127.0.0.1:{stats}\n stats uri /stats\n stats auth admin:secret\n"
        f"listen l\n bind 127.0.0.1:{port}\n server s 127.0.0.1:{server} check inter 100ms\n"
    )


def facts(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: " ".join(value.split()) for name, _, value in (line.partition(":") for line in lines)}


@pytest.mark.parametrize("flags", ["-db", "-W"])
def test_user_group_and_chroot_are_those_of_all_processes_once_they_serve(
    peer: ScriptedServer, tmp_path: Path, flags: str
) -> None:
    port, stats, jail = free_port(), free_port(), tmp_path / "jail"
    jail.mkdir(mode=0o755)
    whole = text(port, peer.port, stats, "user nobody", f"gid {NOBODY.pw_gid}", f"chroot {jail}", "nbthread 2")
    command = [*TCPBALANCER, flags, "--control", str(tmp_path / "c")]
    with BalancerProcess(command, whole, tmp_path, stats) as running:
        supervisor, nursery, *workers = family(running.process.pid)
        assert len(workers) == 2
        for pid in (supervisor, nursery, *workers):
            known = facts(pid)
            assert known["Uid"] == " ".join([str(NOBODY.pw_uid)] * 4)
            assert known["Gid"] == " ".join([str(NOBODY.pw_gid)] * 4)
            assert known["Groups"] == ""
            assert (known["CapEff"], known["CapPrm"]) == ("0" * 16, "0" * 16)
            assert known["NoNewPrivs"] == "1"
        for pid in (nursery, *workers):
            assert Path(f"/proc/{pid}/root").readlink() == jail
        running.wait_for_status("l/s", "UP", "L4OK")
        os.kill(workers[0], signal.SIGKILL)  # another one comes from inside the jail
        until(lambda: len(family(running.process.pid)) == 4, "the worker is replaced")
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
            assert read_exactly(client, 2) == b"hi"
        assert running.stop(signal.SIGTERM) == (0 if flags == "-W" else -signal.SIGTERM)


def test_without_a_word_about_it_workers_have_no_rights_and_a_reload_works(
    peer: ScriptedServer, tmp_path: Path
) -> None:
    """Root's program keeps root where it reads files and binds ports; what meets clients is nobody."""
    port, stats = free_port(), free_port()
    whole = text(port, peer.port, stats)
    with BalancerProcess([*TCPBALANCER, "-W", "--control", str(tmp_path / "c")], whole, tmp_path, stats) as running:
        supervisor, nursery, *workers = family(running.process.pid)
        assert facts(supervisor)["Uid"] == " ".join(["0"] * 4)
        for pid in (nursery, *workers):
            known = facts(pid)
            assert known["Uid"].split()[0] in {str(pwd.getpwnam(name).pw_uid) for name in _USERS}
            assert (known["CapEff"], known["CapPrm"], known["NoNewPrivs"]) == ("0" * 16, "0" * 16, "1")
            assert known["Groups"] == ""
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
            assert read_exactly(client, 2) == b"hi"
        running.file.write_text(whole.replace(f"server s 127.0.0.1:{peer.port}", f"server s {tmp_path}/x.sock"))
        running.process.send_signal(signal.SIGUSR2)
        told = "servers at Unix sockets are reached by the user who started this program"
        until(lambda: told in running.output.read_text(), told)
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
            assert read_exactly(client, 2) == b"hi"


def test_where_nobody_can_become_somebody_else_workers_stay_who_they_are(peer: ScriptedServer, tmp_path: Path) -> None:
    """As root in a container that may not change users."""
    port, stats = free_port(), free_port()
    command = ["setpriv", "--bounding-set=-setuid,-setgid", *TCPBALANCER, "-W", "--control", str(tmp_path / "c")]
    with BalancerProcess(command, text(port, peer.port, stats), tmp_path, stats) as running:
        assert {facts(pid)["Uid"] for pid in family(running.process.pid)} == {" ".join(["0"] * 4)}
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
            assert read_exactly(client, 2) == b"hi"


_USERS = [name for name in USERS if name in {entry.pw_name for entry in pwd.getpwall()}][:1]


def test_who_has_given_up_root_still_reloads(peer: ScriptedServer, tmp_path: Path) -> None:
    port, stats, jail = free_port(), free_port(), tmp_path / "jail"
    jail.mkdir(mode=0o755)
    for folder in (tmp_path, *tmp_path.parents):
        if not folder.stat().st_mode & 0o001:
            folder.chmod(0o711)  # nobody has to read the file again
    whole = text(port, peer.port, stats, "user nobody", f"chroot {jail}")
    command = [*TCPBALANCER, "-W", "--control", str(tmp_path / "c")]
    with BalancerProcess(command, whole, tmp_path, stats) as running:
        running.process.send_signal(signal.SIGUSR2)
        until(lambda: running.output.read_text().count("Loading success.") == 2, "it is reloaded")
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
            assert read_exactly(client, 2) == b"hi"
        running.file.write_text(whole.replace("user nobody", "user root"))
        running.process.send_signal(signal.SIGUSR2)
        told = "'user', 'group' and 'chroot' can be changed by a restart only"
        until(lambda: told in running.output.read_text(), told)


def test_setcap_keeps_what_is_named_and_nothing_else(peer: ScriptedServer, tmp_path: Path) -> None:
    stats = free_port()
    whole = text(free_port(), peer.port, stats, "user nobody", "setcap cap_net_bind_service")
    command = [*TCPBALANCER, "-db", "--control", str(tmp_path / "c")]
    with BalancerProcess(command, whole, tmp_path, stats) as running:
        for pid in family(running.process.pid):
            assert facts(pid)["CapEff"] == f"{1 << 10:016x}"


def refused(tmp_path: Path, without: str, *lines: str, port: int | None = None) -> str:
    file = tmp_path / "f.cfg"
    file.write_text(text(port or free_port(), 1, free_port(), *lines))
    command = ["setpriv", f"--bounding-set=-{without}", *TCPBALANCER, "-db", "--control", str(tmp_path / "c")]
    done = subprocess.run([*command, "-f", str(file)], capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "c").exists()
    return done.stderr


@pytest.mark.parametrize(
    ("without", "line", "told"),
    [
        ("setuid", "user nobody", r"Cannot set uid \d+\. This is user root, and CAP_SETUID is missing\."),
        ("setgid", "gid 12345", r"Cannot set gid 12345\. This is user root, and CAP_SETGID is missing\."),
        ("sys_chroot", "chroot /", r"Cannot chroot\(/\)\. This is user root, and CAP_SYS_CHROOT is missing; / belongs"),
        ("sys_chroot", "chroot /nonexistent", r"Cannot chroot\(/nonexistent\)\."),
        ("setpcap", "chroot /etc/passwd", r"Cannot chroot\(/etc/passwd\)\. Not a directory\."),
    ],
)
def test_what_cannot_be_given_up_is_told_with_the_capability_that_is_missing(
    tmp_path: Path, without: str, line: str, told: str
) -> None:
    assert re.search(rf"\[ALERT\] +\(\d+\) : \[.*\.main\(\)\] {told}", refused(tmp_path, without, line))


def test_a_privileged_port_without_the_right_is_told_in_haproxys_words(tmp_path: Path) -> None:
    told = refused(tmp_path, "net_bind_service", port=81)
    assert "cannot bind socket (Permission denied) for [127.0.0.1:81]" in told
    assert "CAP_NET_BIND_SERVICE" in told


def test_a_pid_file_without_the_right_is_told_with_its_folder_and_its_owner(tmp_path: Path) -> None:
    folder, file = tmp_path / "folder", tmp_path / "f.cfg"
    folder.mkdir()
    folder.chmod(0o500)
    os.chown(folder, NOBODY.pw_uid, NOBODY.pw_gid)
    file.write_text(text(free_port(), 1, free_port()))
    command = [
        "setpriv",
        "--bounding-set=-dac_override,-dac_read_search",
        *TCPBALANCER,
        "-W",
        "-p",
        str(folder / "x.pid"),
    ]
    done = subprocess.run([*command, "-f", str(file)], capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 1
    owner = f"{folder} belongs to user nobody, mode 0500; this is user root"
    assert f"Cannot create pidfile {folder}/x.pid : Permission denied. {owner}" in done.stderr


def test_who_and_whose_are_said_in_words(tmp_path: Path) -> None:
    assert who_am_i() == "user root"
    tmp_path.chmod(0o750)
    assert whose(str(tmp_path)) == f"{tmp_path} belongs to user root, mode 0750"
    os.chown(tmp_path, 54321, 54321)
    assert "belongs to user 54321" in whose(str(tmp_path))
    assert whose("/nonexistent/x") == "/nonexistent/x: No such file or directory"


def test_a_killed_worker_is_replaced_within_a_tenth_of_a_second(peer: ScriptedServer, tmp_path: Path) -> None:
    stats = free_port()
    whole = text(free_port(), peer.port, stats, "nbthread 2")
    command = [*TCPBALANCER, "-db", "--control", str(tmp_path / "c")]
    with BalancerProcess(command, whole, tmp_path, stats) as running:
        until(lambda: _uptime(running.process.pid) > 1.2, "the workers are no newborns")
        _, nursery, first, _ = family(running.process.pid)
        os.kill(first, signal.SIGKILL)
        until(lambda: first not in family(nursery) and len(family(nursery)) == 3, "the worker is replaced")
        status = request(tmp_path / "c", "status")
        assert [worker["restarts"] for worker in status["workers"]].count(1) == 1  # type: ignore[call-overload, index, union-attr]


def _uptime(pid: int) -> float:
    started = int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[19])
    return float(Path("/proc/uptime").read_text().split()[0]) - started / os.sysconf("SC_CLK_TCK")
