"""``option external-check``: a program says whether a server works."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tcp_peers import PATIENCE

from tcpbalancer.check_status import CheckResult, CheckStatus
from tcpbalancer.checks import Limits, Surroundings, ask
from tcpbalancer.checks.external import environment
from tcpbalancer.model import Check, ExternalCheck

LONG = Limits(PATIENCE, None)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    return tmp_path / "check.sh"


def write(program: Path, body: str) -> None:
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)


def run(program: Path, body: str, *, keep_environment: bool = False) -> CheckResult:
    write(program, body)
    probe = ExternalCheck(str(program), "/usr/bin:/bin", keep_environment)
    return asyncio.run(ask(probe, Check("127.0.0.1", 1), LONG))


def test_an_external_check_passes_with_exit_status_0_alone(program: Path) -> None:
    passed = run(program, "exit 0")
    assert (passed.status, passed.code) == (CheckStatus.PROCOK, 0)
    failed = run(program, "exit 3")
    assert (failed.status, failed.code) == (CheckStatus.PROCERR, 3)
    killed = run(program, "kill -9 $$")
    assert (killed.status, killed.code) == (CheckStatus.PROCERR, -1)


def test_an_external_check_that_takes_too_long_is_ended_with_all_that_it_started(program: Path) -> None:
    numbers = program.with_suffix(".pid")
    write(program, f"sleep 60 & echo $$ $! > {numbers}; wait")

    async def timed_out() -> CheckResult:
        result = await ask(ExternalCheck(str(program), "/usr/bin:/bin"), Check("127.0.0.1", 1), Limits(0.4, None))
        async with asyncio.timeout(PATIENCE):
            while any(  # noqa: ASYNC110 - processes tell nobody
                _runs(int(number)) for number in numbers.read_text().split()
            ):
                await asyncio.sleep(0.01)
        return result

    result = asyncio.run(timed_out())
    assert (result.status, result.limit) == (CheckStatus.PROCTOUT, "inter 0.4s")


def _runs(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_an_external_check_that_cannot_be_started_has_failed() -> None:
    result = asyncio.run(ask(ExternalCheck("/no/such/program"), Check("127.0.0.1", 1), LONG))
    assert (result.status, result.code) == (CheckStatus.PROCERR, 255)
    result = asyncio.run(ask(ExternalCheck("nosuchprogram", "/bin"), Check("127.0.0.1", 1), LONG))
    assert result.info == "'nosuchprogram' was not found in '/bin' (external-check path)"


@pytest.mark.parametrize("keep", [False, True])
def test_an_external_check_gets_its_own_environment_and_ours_only_if_asked(
    program: Path, keep: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "t")
    told = program.with_suffix(".out")
    run(program, f"echo $* > {told}; env | sort >> {told}", keep_environment=keep)
    words, *variables = told.read_text().splitlines()
    assert words == "NOT_USED NOT_USED 0"
    names = {variable.partition("=")[0] for variable in variables}
    assert set(environment(ExternalCheck("x"), Surroundings())) <= names
    assert ("TOKEN" in names) is keep


def test_an_external_check_is_told_what_the_manual_promises() -> None:
    around = Surroundings("b", 2, "s", 3, "192.0.2.1", 5432, ("0.0.0.0", 5000), 100, 7)
    assert environment(ExternalCheck("x", "/bin"), around) == {
        "PATH": "/bin",
        "HAPROXY_PROXY_NAME": "b",
        "HAPROXY_PROXY_ID": "2",
        "HAPROXY_PROXY_ADDR": "0.0.0.0",
        "HAPROXY_PROXY_PORT": "5000",
        "HAPROXY_SERVER_NAME": "s",
        "HAPROXY_SERVER_ID": "3",
        "HAPROXY_SERVER_ADDR": "192.0.2.1",
        "HAPROXY_SERVER_PORT": "5432",
        "HAPROXY_SERVER_MAXCONN": "100",
        "HAPROXY_SERVER_CURCONN": "7",
        "HAPROXY_SERVER_SSL": "0",
        "HAPROXY_SERVER_PROTO": "tcp",
    }
