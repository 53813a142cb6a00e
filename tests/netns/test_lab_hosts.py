"""A host is a process with a file system, a network and services of its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from halab import faults
from halab.host_mounts import ENVIRONMENT
from halab.namespace import ROOT, Host, LabError, ServiceDefinition
from halab.topology import Lab, simple
from halab.wait import poll

pytestmark = pytest.mark.netns

IGNORES_TERM = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"
)
SAYS_READY = """
import os, signal, socket, sys
sys.stdin.read()
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
signal.pause()
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(simple("lan", {"a": "10.0.0.1/24", "b": "10.0.0.2/24"})) as built:
        yield built


@pytest.fixture
def host(lab: Lab) -> Host:
    return lab["a"]


def python(code: str) -> tuple[str, ...]:
    return (f"{ENVIRONMENT}/bin/python", "-c", code)


def await_state(host: Host, name: str, state: str) -> None:
    """Wait for the event of a service that has reached a state."""
    with host.changed:
        reached = host.changed.wait_for(
            lambda: [one["state"] for one in host.service_events if one["name"] == name][-1:] == [state], 10
        )
    assert reached, host.service_events


def test_a_program_is_run_to_its_end_and_its_words_and_status_come_back(host: Host) -> None:
    done = host.run(["bash", "-c", "cat; echo no >&2; exit 3"], stdin="yes")
    assert (done.output, done.errors, done.status) == ("yes", "no\n", 3)


def test_a_program_that_a_signal_ended_has_a_negative_status(host: Host) -> None:
    process = host.spawn(["sleep", "60"])
    process.signal(signal.SIGKILL)
    assert process.wait(10) == -signal.SIGKILL


def test_a_program_that_does_not_exist_is_named(host: Host) -> None:
    with pytest.raises(LabError, match=r"a: .*no-such-program: No such file"):
        host.run(["no-such-program"])


def test_a_program_that_takes_too_long_is_killed(host: Host) -> None:
    with pytest.raises(LabError, match=r"did not end within 0\.1 s"):
        host.run(["sleep", "60"], timeout=0.1)


def test_a_host_has_its_own_name_processes_and_network(host: Host) -> None:
    assert host.run(["hostname"]).output == "a\n"
    assert host.run(["bash", "-c", "echo $$"]).output.strip().isdigit()
    processes = {int(entry.name) for entry in host.path("/proc").iterdir() if entry.name.isdigit()}
    assert len(processes) < 5
    links = host.run(["ls", "/sys/class/net"]).output.split()
    assert sorted(links) == ["eth0", "lo"]


@pytest.mark.parametrize("folder", ["/etc", "/var/lib", "/usr/local/bin", "/run", "/tmp"])  # noqa: S108 - becomes private
def test_what_a_host_writes_is_seen_in_no_other(lab: Lab, folder: str) -> None:
    path = f"{folder}/halab-test"
    lab["a"].write_file(path, "mine")
    assert lab["a"].run(["cat", path]).output == "mine"
    assert lab["b"].run(["cat", path]).status == 1
    assert not Path(path).exists()


def test_hosts_know_each_other_by_name_and_nobody_else(lab: Lab) -> None:
    assert lab["a"].run(["getent", "hosts", "b"]).output.split() == ["10.0.0.2", "b"]
    assert lab["a"].read_file("/etc/resolv.conf") == ""


def test_a_user_without_rights_can_run_the_projects_python(host: Host) -> None:
    done = host.run([f"{ENVIRONMENT}/bin/python", "-c", "import os, yaml; print(os.getuid())"], user="nobody")
    assert (done.output, done.errors) == ("65534\n", "")


def test_a_lab_of_somebody_with_a_strict_umask_is_open_to_its_users() -> None:
    before = os.umask(0o077)
    try:
        with Lab(simple("lan", {"a": "10.0.0.1/24"})) as strict:
            strict["a"].write_file("/run/fresh/file", "read me")
            done = strict["a"].run(["cat", "/run/fresh/file", "/etc/hosts"], user="nobody")
            assert done.check().output.startswith("read me127.0.0.1")
    finally:
        os.umask(before)


def test_sockets_made_inside_belong_to_the_hosts_network(lab: Lab) -> None:
    listening = lab["b"].inside(lambda: socket.create_server(("10.0.0.2", 7))).result()
    with listening, lab["a"].inside(lambda: socket.create_connection(("10.0.0.2", 7), 5)).result() as client:
        assert client.getsockname()[0] == "10.0.0.1"


def test_a_command_for_the_terminal_enters_all_namespaces(host: Host) -> None:
    done = subprocess.run(host.enter_argv(["hostname"]), capture_output=True, text=True, check=True)
    assert done.stdout == "a\n"


def test_a_command_for_the_terminal_knows_no_proxy_of_the_machine(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    done = subprocess.run(host.enter_argv(["env"]), capture_output=True, text=True, check=True)
    assert "127.0.0.1:9" not in done.stdout


def test_a_service_is_active_when_it_says_ready_and_not_before(host: Host) -> None:
    host.run(["mkfifo", "/run/gate"]).check()
    host.define(
        ServiceDefinition(
            "notifier", ("bash", "-c", f"exec {ENVIRONMENT}/bin/python -c '{SAYS_READY}' </run/gate"), notify=True
        )
    )
    starting = threading.Thread(target=host.start_service, args=("notifier",))
    starting.start()
    await_state(host, "notifier", "activating")
    assert host.run(["systemctl", "is-active", "notifier"]).output == "activating\n"
    host.run(["bash", "-c", ": >/run/gate"]).check()
    starting.join(10)
    assert host.services()["notifier"]["state"] == "active"
    host.stop_service("notifier")


def test_systemctl_answers_with_systemctls_words_and_statuses(host: Host) -> None:
    host.define(ServiceDefinition("haproxy", ("sleep", "600")))
    assert host.run(["systemctl", "is-active", "haproxy"]).status == 3
    assert host.run(["systemctl", "start", "haproxy"]).status == 0
    quiet = host.run(["systemctl", "is-active", "--quiet", "haproxy.service"])
    assert (quiet.status, quiet.output) == (0, "")
    before = host.services()["haproxy"]["pid"]
    assert host.run(["systemctl", "restart", "haproxy"]).status == 0
    assert host.services()["haproxy"]["pid"] != before
    assert "haproxy.service  active" in host.run(["systemctl", "list-units"]).output
    assert host.run(["systemctl", "stop", "haproxy"]).status == 0
    stopped = host.run(["systemctl", "is-active", "haproxy"])
    assert (stopped.status, stopped.output) == (3, "inactive\n")


def test_systemctl_knows_what_it_does_not_know(host: Host) -> None:
    assert host.run(["systemctl", "is-active", "nothing"]).status == 3
    assert host.run(["systemctl", "status", "nothing"]).status == 4
    started = host.run(["systemctl", "start", "nothing"])
    assert started.status == 5
    assert "no service nothing here" in started.errors
    assert host.run(["systemctl", "dance", "haproxy"]).status == 1
    refused = host.run(["systemctl", "stop", "--force", "haproxy"])
    assert (refused.status, refused.errors.partition("\n")[0]) == (1, "systemctl: no such option here: --force")


@pytest.mark.parametrize("words", [["-s", "KILL"], ["-sSIGKILL"], ["--signal=9"], ["--signal", "SIGKILL"]])
def test_systemctl_kill_sends_the_signal_that_it_is_given(host: Host, words: list[str]) -> None:
    host.define(ServiceDefinition("victim", ("sleep", "607")))
    host.start_service("victim")
    assert host.run(["systemctl", "kill", *words, "victim"]).status == 0
    await_state(host, "victim", "failed")
    assert host.services()["victim"]["outcome"] == "killed by SIGKILL"
    assert "no such signal: 'KILLL'" in host.run(["systemctl", "kill", "-s", "KILLL", "victim"]).errors


def test_a_service_that_ignores_sigterm_is_killed_when_patience_ends(host: Host) -> None:
    host.define(ServiceDefinition("stubborn", python(IGNORES_TERM), patience=0.2))
    host.start_service("stubborn")
    begun = time.monotonic()
    host.stop_service("stubborn")
    assert time.monotonic() - begun < 5
    assert host.services()["stubborn"]["state"] == "inactive"


def test_killing_a_service_kills_all_of_its_processes(host: Host) -> None:
    host.define(ServiceDefinition("family", ("bash", "-c", "sleep 601 & (setsid sleep 602 &) ; sleep 603")))
    host.start_service("family")
    host.run(["bash", "-c", "until pgrep -f 'sleep 60[123]' | wc -l | grep -q 3; do :; done"]).check()
    assert len(host.kill_service("family")) == 3  # bash has become the last sleep
    await_state(host, "family", "failed")
    assert host.services()["family"]["outcome"] == "killed by SIGKILL"
    host.run(["bash", "-c", "while pgrep -f 'sleep 60[123]'; do :; done"]).check()


HEARS_OF_ITS_PARENT_S_DEATH = """
import ctypes, os, signal
parent = os.getpid()
for number in range(8):
    if not os.fork():
        signal.signal(signal.SIGTERM, lambda *_: open("/run/heard", "w"))
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG, as keepalived's children
        print("up", flush=True)
        while True:
            signal.pause()
signal.pause()
"""


def test_of_a_service_that_is_killed_nobody_hears_the_other_s_death(host: Host) -> None:
    host.define(ServiceDefinition("children", python(HEARS_OF_ITS_PARENT_S_DEATH)))
    for count in range(1, 11):
        host.start_service("children")
        up = f"until [ $(grep -c up /var/log/halab/children.log) = {8 * count} ]; do :; done"
        host.run(["bash", "-c", up]).check()
        assert len(host.kill_service("children")) == 9
        await_state(host, "children", "failed")
        assert not host.path("/run/heard").exists(), f"the {count}. time"


LEAVES_A_STUBBORN_CHILD = """
import os, signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "import signal; print('up', flush=True); signal.pause()"])
signal.signal(signal.SIGTERM, signal.SIG_DFL)
signal.pause()
"""


def test_a_stop_answers_when_nothing_of_the_service_is_left(host: Host) -> None:
    host.define(ServiceDefinition("parent", python(LEAVES_A_STUBBORN_CHILD), patience=0.3))
    host.start_service("parent")
    host.run(["bash", "-c", "until grep -q up /var/log/halab/parent.log; do :; done"]).check()
    host.stop_service("parent")
    assert host.kill_service("parent", 0) == []
    assert host.services()["parent"]["state"] == "inactive"


def test_what_a_service_that_ended_by_itself_left_is_ended_before_it_is_at_rest(host: Host) -> None:
    host.define(ServiceDefinition("leaver", ("bash", "-c", "setsid sleep 605 & exit 3")))
    host.start_service("leaver")
    await_state(host, "leaver", "failed")
    assert host.kill_service("leaver", 0) == []


def test_a_start_that_is_stopped_before_the_service_was_ready_has_failed(host: Host) -> None:
    host.define(ServiceDefinition("slow", ("sleep", "604"), notify=True))
    outcome = host.inside(lambda: host.start_service("slow"))
    await_state(host, "slow", "activating")
    host.stop_service("slow")
    with pytest.raises(LabError, match="slow was stopped before it was ready"):
        outcome.result(5)


def test_a_pid_that_is_used_again_is_another_process(host: Host) -> None:
    first = host.spawn(["true"])
    assert first.wait(5) == 0
    host.run(["bash", "-c", f"echo {first.pid - 1} >/proc/sys/kernel/ns_last_pid"]).check()
    again = host.spawn(["sleep", "606"])
    assert again.pid == first.pid
    with pytest.raises(TimeoutError):
        again.wait(0.05)
    first.signal(signal.SIGKILL)
    again.signal(signal.SIGKILL)
    assert again.wait(5) == -signal.SIGKILL


def test_a_service_that_cannot_start_says_why(host: Host) -> None:
    host.define(ServiceDefinition("absent", ("no-such-program",)))
    with pytest.raises(LabError, match="no-such-program"):
        host.start_service("absent")
    assert host.services()["absent"]["state"] == "failed"


def test_what_a_service_writes_is_in_its_log(host: Host) -> None:
    host.define(ServiceDefinition("writer", ("bash", "-c", "echo out; echo err >&2")))
    host.start_service("writer")
    await_state(host, "writer", "inactive")
    assert host.log_tail("writer") == "out\nerr"


def test_a_frozen_host_answers_nobody_until_it_thaws(lab: Lab) -> None:
    lab["b"].define(ServiceDefinition("cat", ("bash", "-c", "exec -a echoer tail -f /dev/null")))
    lab["b"].start_service("cat")
    faults.freeze(lab, "b")
    pid = lab["b"].services()["cat"]["pid"]
    stat = lab["b"].path(f"/proc/{pid}/stat")
    poll(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", 5, "a stopped process")
    faults.thaw(lab, "b")
    poll(lambda: stat.read_text().rpartition(")")[2].split()[0] != "T", 5, "a process that goes on")
    lab["b"].stop_service("cat")


def test_a_fault_needs_something_to_strike(lab: Lab) -> None:
    lab["a"].define(ServiceDefinition("idle", ("sleep", "600")))
    with pytest.raises(LabError, match="nothing to kill"):
        faults.kill(lab, "a", "idle")


def test_a_host_that_lost_its_power_is_gone_with_all_it_held() -> None:
    with Lab(simple("lan", {"a": "10.0.0.1/24", "b": "10.0.0.2/24"})) as lab:
        process = lab["a"].spawn(["sleep", "600"])
        lab["a"].power_off()
        with pytest.raises(LabError, match="host a has ended"):
            process.wait(5)
        with pytest.raises(LabError, match="host a has ended"):
            lab["a"].run(["true"])
        assert lab["b"].run(["true"]).status == 0


def test_whoever_waits_for_work_inside_a_host_is_told_when_it_ends() -> None:
    begun = threading.Event()

    def listen() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.settimeout(20.0)  # nobody speaks to it: an HTTP request to a host that has gone waits likewise
            silent.bind(("127.0.0.1", 0))
            begun.set()
            silent.recv(1)

    with Lab(simple("lan", {"a": "10.0.0.1/24"})) as built:
        working = built["a"].inside(listen)
        assert begun.wait(10)
    with pytest.raises(LabError, match="host a has ended"):
        working.result(5)
    with pytest.raises(LabError, match="host a has ended"):
        built["a"].inside(listen).result(5)


def test_a_checkout_below_tmp_is_seen_from_inside_though_tmp_is_private(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "halab", tmp_path / "halab", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "hakit", tmp_path / "hakit", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path.parent / "hidden").touch()
    code = (
        "from halab.topology import Lab, simple\n"
        "with Lab(simple('lan', {'a': '10.0.0.1/24'})) as lab:\n"
        f"    print(lab['a'].run(['ls', '{tmp_path}', '{tmp_path.parent}']).output)"
    )
    argv = [sys.executable, "-c", f"import sys; sys.path.insert(0, '{tmp_path}')\n{code}"]
    listed = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
    assert {"halab", "hakit"} <= set(listed)
    assert "hidden" not in listed


def test_a_start_right_after_kill_9_waits_for_the_end_and_starts_a_new_process(host: Host) -> None:
    heavy = (
        "import signal; held = bytearray(b'x') * 200_000_000; print('up', flush=True); signal.pause()"  # ends slowly
    )
    host.define(ServiceDefinition("heavy", python(heavy)))
    host.start_service("heavy")
    poll(lambda: "up" in host.log_tail("heavy"), 20, "the service holds its memory")
    before = host.services()["heavy"]["pid"]
    host.kill_service("heavy", signal.SIGKILL)
    host.start_service("heavy")
    after = host.services()["heavy"]
    assert after["state"] == "active"
    assert after["pid"] != before
    host.stop_service("heavy")
