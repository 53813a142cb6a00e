"""``tcpbalancer doctor``: each rule finds what it is for and nothing beside it; the verb tells it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from hakit.diagnosis import Finding
from tcpbalancer.check_status import CheckResult, CheckStatus
from tcpbalancer.cli import main
from tcpbalancer.config.load import load, read_texts
from tcpbalancer.doctor import reader
from tcpbalancer.doctor.case import Case, Machine
from tcpbalancer.doctor.command import examine_files
from tcpbalancer.doctor.reference import COMMAND, FILE, text
from tcpbalancer.doctor.rules import RULES, examine

ROOT = Path(__file__).parents[2]
DEFAULTS = (
    "defaults\n timeout client 1h\n timeout server 1h\n timeout connect 1s\n option redispatch\n default-server check\n"
)


def findings(cfg: str, machine: Machine | None = None) -> list[Finding]:
    loaded = read_texts([("f.cfg", DEFAULTS + cfg)], {})
    return [*reader.findings(loaded.warnings), *examine(Case(loaded.configuration, machine))]


def names(found: Sequence[Finding]) -> list[str]:
    return [one.rule.name for one in found]


PAIR = " server s1 192.0.2.1:80\n server s2 192.0.2.2:80\n"
PATRONI = " server s1 192.0.2.1:5432 port 8008\n server s2 192.0.2.2:5432 port 8008\n"
CUT = PATRONI.replace("8008\n", "8008 on-marked-down shutdown-sessions\n")


@pytest.mark.parametrize(
    ("cfg", "rule", "line", "word"),
    [
        ("frontend f\n bind :81\n", "no-backend", 7, "'f' leads to no backend"),
        ("listen l\n bind :81\n", "no-server", 7, "'l' has no server"),
        ("listen l\n bind :81\n server s 192.0.2.1:80 disabled\n", "no-server", 7, "all disabled"),
        ("listen l\n bind :81\n server s 192.0.2.1:80 weight 0\n", "no-server", 7, "of weight 0"),
        ("backend b\n" + PAIR, "unused-backend", 7, "no frontend leads to 'b'"),
        (f"listen l\n bind :81\n{PAIR}listen m\n bind :81\n{PAIR}", "bound-twice", 12, "which 'l' has (line 8)"),
        (
            f"global\n stats socket ipv4@127.0.0.1:81\nlisten l\n bind 127.0.0.1:81\n{PAIR}",
            "bound-twice", 8, "the stats socket binds",
        ),
        ("listen l\n bind :81\n server s 127.0.0.1:81\n", "loop", 7, "sent to this balancer's own address"),
        (
            "listen l\n bind :81\n server s 192.0.2.9:82\nlisten m\n bind 192.0.2.9:82\n server s 127.0.0.1:81\n",
            "loop", 7, "arrives there again",
        ),
        ("listen l\n bind :2377\n server s 192.0.2.1:2377\n", "swarm-port", 8, "nobody speaks the Docker API"),
        ("listen l\n bind :2376\n server s 192.0.2.1:2377\n", "docker-to-swarm", 9, "l/s, a swarm manager's port"),
        ("listen l\n bind :2375\n server s 192.0.2.1:2375\n", "open-docker", 8, "without TLS"),
        (f"listen l\n bind :81\n{PAIR} server s3 192.0.2.3:80 no-check\n", "no-check", 11, "nobody checks l/s3"),
        ("listen l\n bind :81\n option httpchk\n server s 192.0.2.1:6379\n", "http-check-port", 10, "that is Redis"),
        ("listen l\n bind :81\n option httpchk\n server s 192.0.2.1:22\n", "http-check-port", 10, "that is SSH"),
        (
            "listen l\n bind :81\n option httpchk GET /primary\n server s 192.0.2.1:5432\n",
            "http-check-port", 10, "that is PostgreSQL",
        ),
        (f"listen l\n bind :81\n option httpchk GET /primry\n{CUT}", "patroni-path", 7, "did you mean '/primary'?"),
        (f"listen l\n bind :81\n option httpchk GET /health\n{CUT}", "patroni-everybody", 7, "on every replica"),
        (f"listen l\n bind :5432\n option httpchk GET /patroni\n{CUT}", "patroni-everybody", 9, "on every replica"),
        (f"listen l\n bind :81\n option httpchk GET /primary\n{PATRONI}", "sessions-stay", 10, "former primary"),
        (f"listen l\n bind :81\n default-server inter 11s fall 3\n{PAIR}", "slow-check", 10, "until 33 s after"),
        (
            "listen l\n bind :81\n timeout server 1m\n server s 192.0.2.1:5432\n",
            "short-idle", 7, "idle for 60 s are cut (timeout server)",
        ),
        (f"listen l\n bind :81\n no option redispatch\n{PAIR}", "no-redispatch", 7, "is tried 4 times"),
        (f"listen l\n bind :81\n maxconn 3000\n{PAIR}", "maxconn-above-global", 7, "the whole process only 2000"),
        (f"global\n ulimit-n 1000\nlisten l\n bind :81\n{PAIR}", "descriptors", 0, "needs 4017 descriptors"),
        ("global\n stats socket :9999 level admin\n", "open-admin-socket", 8, "whoever reaches this machine may take"),
        ("global\n stats socket /run/x mode 666 level admin\n", "open-admin-socket", 8, "every user of this machine"),
        ("global\n stats socket :9999\n", "open-socket", 8, "may see servers"),
        (f"listen l\n bind :81\n timeout client 0\n{PAIR}", "no-timeout", 7, "missing timeouts for proxy 'l'"),
        ("listen p\n mode http\n bind :81\n stats enable\n", "open-page", 10, "open to everyone"),
        ("listen p\n mode http\n bind :81\n stats auth admin:admin\n", "known-password", 10, "well-known"),
        (f"listen l\n bind :81\n option http-keep-alive\n{PAIR}", "reader", 9, "http-keep-alive"),
    ],
)  # fmt: skip
def test_each_rule_finds_what_it_is_for_and_nothing_else_is_found(cfg: str, rule: str, line: int, word: str) -> None:
    found = findings(cfg)
    assert set(names(found)) == {rule}, [one.render() for one in found]
    assert found[0].spot.location.line == line
    assert word in found[0].what
    if rule != "reader":
        assert found[0].remedy
    assert found[0].rule in RULES


@pytest.mark.parametrize(
    "cfg",
    [
        f"listen l\n bind :81\n{PAIR}",
        f"frontend f\n bind :81\n bind :81\n default_backend b\nbackend b\n{PAIR}",  # twice in one frontend is a habit
        f"frontend f\n bind :81\n use_backend b if TRUE\nbackend b\n{PAIR}",
        f"listen l\n bind :81\n{PAIR} server s3 192.0.2.3:80 no-check disabled\n",
        f"listen l\n bind :81\n{PAIR} server s3 192.0.2.3:80 no-check track l/s1\n",
        "listen l\n bind :81\n server s 192.0.2.1:80 no-check\n",  # there is no other to go to
        f"listen l\n bind :81\n option httpchk GET /primary\n no option redispatch\n{CUT}",  # one is usable at a time
        f"listen l\n bind :81\n option httpchk GET /replica?lag=1MB\n{PATRONI}",
        f"listen l\n bind :81\n option httpchk GET /up\n{PAIR}",
        f"listen l\n bind :81\n option httpchk GET /cluster\n{PATRONI.replace(':5432', ':80')}",
        "listen l\n bind :81\n timeout client 1m\n server s 192.0.2.1:80\n",
        f"listen l\n bind :81\n option external-check\n external-check command /bin/true\n{PAIR}",
        "listen l\n bind :81\n server s 192.0.2.2:81\n",
        "listen l\n bind :2377\n server s 192.0.2.1:2377\nlisten m\n bind :2376\n server s 192.0.2.1:2376\n",
        "listen l\n bind 127.0.0.1:2375\n server s 192.0.2.1:2375\n",
        "global\n stats socket 127.0.0.1:9999 level admin\n stats socket /run/x mode 600 level admin\n",
        "listen p\n mode http\n bind :81\n stats auth someone:GdW8s1xZ\n",
        "backend b\n server x 192.0.2.3:80\nlisten l\n bind :81\n server s 192.0.2.1:80 no-check track b/x\n",
    ],
)
def test_what_is_as_it_should_be_is_no_finding(cfg: str) -> None:
    if "external-check" in cfg:
        cfg = "global\n external-check\n insecure-fork-wanted\n" + cfg
    assert [one.render() for one in findings(cfg)] == []


# --- A look at the machine -------------------------------------------------------------------------------------------

PAGE = "listen p\n mode http\n bind :81\n stats auth u:GdW8s1xZ\n"
RULES_OF_A_LIST = "stats enable\n stats http-request auth unless { http_auth(u) }"
UP = CheckResult(CheckStatus.L4OK)
REFUSED = CheckResult(CheckStatus.L4CON, info="Connection refused")


@pytest.mark.parametrize(
    ("cfg", "machine", "rule", "words"),
    [
        ("listen l\n bind 192.0.2.10:81\n" + PAIR, Machine(unbindable=frozenset({"192.0.2.10"})), "foreign-address",
         "ip_nonlocal_bind"),
        ("listen l\n bind 2001:db8::1:81\n" + PAIR, Machine(unbindable=frozenset({"2001:db8::1"})), "foreign-address",
         "net.ipv6"),
        ("listen l\n bind :81\n" + PAIR, Machine(listeners={("", 80): "x", ("127.0.0.1", 81): "nginx"}), "taken-port",
         "nginx listens at 0.0.0.0:81"),
        ("listen l\n bind 127.0.0.1:81\n" + PAIR, Machine(listeners={("", 81): "nginx"}), "taken-port", "stop nginx"),
        ("listen l\n no option redispatch\n option kernel-relay\n bind :81\n" + PAIR,
         Machine(kernel_lacks=("this machine does not forward IPv4: sysctl -w net.ipv4.ip_forward=1",)), "kernel-relay",
         "sysctl -w net.ipv4.ip_forward=1"),
        ("listen l\n bind :81\n" + PAIR, Machine(descriptors=1024), "descriptors", "allows a process 1024"),
        ("listen l\n bind :81\n" + PAIR, Machine(answers={("l", "s1"): REFUSED, ("l", "s2"): UP}), "server-no-answer",
         "l/s1 at 192.0.2.1:80: Layer4 connection problem (Connection refused)"),
        ("listen l\n bind :81\n" + PAIR, Machine(answers={("l", "s1"): CheckResult(CheckStatus.L4TOUT)}), "no-answer",
         "does a firewall on the way"),
        ("listen l\n bind :81\n server s /run/x no-check\n",
         Machine(answers={("l", "s"): CheckResult(CheckStatus.L4CON)}), "no-answer", "l/s at /run/x: Layer4"),
        ("listen l\n bind :81\n server s 192.0.2.1:80 no-check\n",
         Machine(answers={("l", "s"): CheckResult(CheckStatus.L7RSP)}), "no-answer", "service at 192.0.2.1:80"),
        ("listen l\n bind :81\n server s /run/x\n",
         Machine(answers={("l", "s"): CheckResult(CheckStatus.L4CON)}), "no-answer", "l/s at /run/x: Layer4"),
        ("listen l\n bind :81\n option httpchk GET /up\n" + PAIR,
         Machine(answers={("l", "s1"): CheckResult(CheckStatus.L7STS, 503)}), "no-answer", "curl -v http://192.0.2.1:80/up"),
        ("listen l\n bind :81\n" + PAIR, Machine(answers={("l", "s1"): CheckResult(CheckStatus.L6RSP)}), "no-answer",
         "openssl s_client -connect 192.0.2.1:80"),
        ("listen l\n bind :2377 # doctor: accept swarm-port\n server s 192.0.2.1:2377\n",
         Machine(answers={("l", "s"): REFUSED}), "no-answer", "'docker swarm init' or 'join' on s first"),
        ("listen l\n bind :81\n" + PAIR, Machine(taken_out={("l", "s1"): "MAINT"}), "taken-out", "state ready"),
        (PAGE + PAGE.replace(" p", " q").replace(":81", ":82"), Machine(open_files=frozenset({"f.cfg"})),
         "readable-password", "chmod 640 f.cfg"),
        ("userlist u\n user a insecure-password GdW8s1xZ\n" + PAGE.replace("stats auth u:GdW8s1xZ", RULES_OF_A_LIST),
         Machine(open_files=frozenset({"f.cfg"})), "readable-password", "every user of this machine"),
        ("listen l\n bind :81\n" + PAIR, Machine(taken_out={("l", "s1"): "DOWN 1/2"}), "taken-out", "of its check"),
    ],
)  # fmt: skip
def test_what_the_machine_says_to_it(cfg: str, machine: Machine, rule: str, words: str) -> None:
    found = [one for one in findings(cfg, machine) if one.rule.name != "swarm-port"]
    assert set(names(found)) == {rule}, [one.render() for one in found]
    assert words in found[0].render()


@pytest.mark.parametrize(
    ("cfg", "machine"),
    [
        ("listen l\n bind 192.0.2.10:81 transparent\n" + PAIR, Machine(unbindable=frozenset({"192.0.2.10"}))),
        ("listen l\n bind :81\n" + PAIR, Machine(listeners={("", 81): "haproxy", ("192.0.2.7", 80): "nginx"})),
        (PAGE, Machine(open_files=frozenset({"another.cfg"}))),
        ("listen l\n bind :81\n" + PAIR, Machine(open_files=frozenset({"f.cfg"}))),
        (f"listen l\n bind :81\n option httpchk GET /primary\n{CUT}",
         Machine(answers={("l", "s1"): UP, ("l", "s2"): CheckResult(CheckStatus.L7STS, 503)})),
        ("listen l\n bind :81\n" + PAIR,
         Machine(answers={("l", "s1"): UP, ("l", "s2"): CheckResult(CheckStatus.L4CON, is_ours=True)})),
    ],
)  # fmt: skip
def test_of_roles_one_that_passes_is_enough_and_a_predecessor_may_have_the_port(cfg: str, machine: Machine) -> None:
    assert [one.render() for one in findings(cfg, machine)] == []


# --- The verb ---------------------------------------------------------------------------------------------------------


def test_of_the_reference_it_finds_the_swarm_mistake_and_the_one_with_patroni() -> None:
    found = examine_files([str(ROOT / "configs/reference/haproxy.cfg")])
    places = {(one.rule.name, one.spot.location.line) for one in found.findings}
    assert {("swarm-port", 36), ("patroni-everybody", 29), ("known-password", 53)} <= places


@pytest.mark.parametrize(
    "name", ["lab/haproxy.cfg", "lab/tcpbalancer.yaml", "patroni/haproxy.cfg", "swarm/haproxy.cfg"]
)
def test_of_the_configurations_that_do_it_right_it_finds_nothing(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", str(ROOT / "configs" / name)]) == 0
    assert capsys.readouterr().out.startswith("nothing to complain of")


def test_the_status_is_that_of_the_worst_and_programs_get_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "f.cfg"
    file.write_text(f"{DEFAULTS}listen l\n bind :81\n no option redispatch\n{PAIR}")
    assert main(["doctor", str(file)]) == 1
    told = capsys.readouterr().out
    assert f"{file}:7:1: warning: a connection to a server of 'l'" in told
    assert told.endswith("\n1 warning\n")
    assert main(["doctor", "--json", str(file)]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["warnings"], document["findings"][0]["rule"]) == (1, "no-redispatch")
    assert document["findings"][0]["line"] == 7


def test_a_file_that_is_wrong_or_not_there_is_an_error_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "f.cfg"
    file.write_text("listen l\n stats auht u:s3cret\n")
    assert main(["doctor", str(file)]) == 2
    told = capsys.readouterr().out
    assert f"{file}:2:8: error: " in told
    assert "1 error\n" in told
    assert "s3cret" not in told
    assert main(["doctor", str(tmp_path / "none.cfg")]) == 2
    assert "No such file" in capsys.readouterr().out


def test_bytes_that_are_no_text_and_a_reader_that_has_gone_are_no_trouble(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / os.fsdecode(b"f\xff.cfg")
    file.write_bytes(b"listen l\n bo\xffgus\n")
    assert main(["doctor", str(file)]) == 2
    assert "f\\udcff.cfg:2:2: error: unknown keyword" in capsys.readouterr().out
    command = [sys.executable, "-m", "tcpbalancer.cli", "doctor", str(file)]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False, cwd=ROOT, timeout=30)
    os.close(writing)
    assert (done.returncode, done.stderr) == (2, b"")


def test_several_files_are_one_configuration_and_what_is_accepted_is_counted(tmp_path: Path) -> None:
    front, back = tmp_path / "1.cfg", tmp_path / "2.cfg"
    front.write_text(DEFAULTS + "frontend f\n bind :2377 # doctor: accept swarm-port\n default_backend b\n")
    back.write_text("backend b\n" + PAIR)
    found = examine_files([str(front), str(back)])
    assert (found.findings, found.accepted) == ((), 1)


def test_the_page_of_rules_is_what_the_table_says() -> None:
    assert FILE.read_text() == text(), f"run: {COMMAND}"
    assert len({rule.name for rule in RULES}) == len(RULES)


def test_no_socket_is_opened_unless_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("it connects"))
    assert load([ROOT / "configs/lab/haproxy.cfg"])
    assert examine_files([str(ROOT / "configs/lab/haproxy.cfg")]).exit_status == 0
