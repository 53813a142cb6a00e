"""The master's own command line: its processes, reloading, and the way to the workers' runtime API."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from running_balancer import one_way, server
from runtime_api import RunningApi, ask, connect
from tcp_peers import free_port, read_exactly, read_to_end

from tcpbalancer.control.cli_listening import StatsSocketError
from tcpbalancer.control.cli_server import CliServer
from tcpbalancer.control.master_cli import DAY, MASTER_COMMANDS, MasterConversation, master_sockets
from tcpbalancer.model import Level


class Master:
    reloads = 2
    failed_reloads = 1

    async def reload_now(self) -> tuple[bool, Sequence[str]]:
        return True, ["[NOTICE]   (1) : Loading success."]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApi]:
    folder = tmp_path_factory.mktemp("master")
    with RunningApi(one_way([server(free_port())], nbthread=2), folder) as running:
        master = CliServer(running.room, begin=functools.partial(MasterConversation, master=Master()))
        running.balancer.ask(lambda: master.serve(master_sockets(f"{folder}/master,mode,600"), DAY, 10))
        yield running
        running.balancer.ask(master.stop)


def pids(api: RunningApi) -> list[int]:
    return [worker.pid for worker in api.balancer.supervisor.current.workers.values()]


def test_show_proc_lists_the_master_and_its_workers(api: RunningApi) -> None:
    header, master, title, *workers, last = api("show proc", "master").splitlines()
    assert header == "#<PID>          <type>          <reloads>       <uptime>        <version>      "
    assert re.fullmatch(rf"{os.getpid()} +master +2 \[failed: 1\] +0d00h00m\d\ds +3\.0\.0 *", master)
    assert (title, last) == ("# workers", "# programs")
    assert [int(line.split()[0]) for line in workers] == pids(api)
    assert [line.split()[1:3] for line in workers] == [["worker", "0"]] * 2


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("show version", "3.0.0\n\n"),
        ("@1 show version", "3.0.0\n\n"),
        ("@master show version", "3.0.0\n\n"),
        ("@1 get weight b/s1", "1 (initial 1)\n\n"),
        ("@1 get weight b/s1;@1 show cli level", "1 (initial 1)\n\nadmin\n\n"),
        ("@1", ""),
        ("@!99999999 show version", "Can't find the target PID matching the prefix '@!99999999'\n\n"),
        ("@2 show version", "Can't find the target PID matching the prefix '@2'\n\n"),
        ("@@1 show version", "Can't find the target PID matching the prefix '@@1'\n\n"),
        ("@!x show version", "Can't find the target PID matching the prefix '@!x'\n\n"),
        ("reload", "Success=1\n--\n[NOTICE]   (1) : Loading success.\n\n"),
        ("show cli level", "admin\n\n"),
        ("user;reload", "\nPermission denied\n\n"),
        ("show cli sockets", "\n"),
        ("@1 quit", ""),
    ],
)
def test_each_command_of_the_master_has_its_answer(api: RunningApi, line: str, answer: str) -> None:
    assert ask(api.path("master"), line) == answer


def test_every_worker_is_reached_by_its_number(api: RunningApi) -> None:
    for pid in pids(api):
        assert api(f"@!{pid} get weight b/s1", "master") == "1 (initial 1)\n"
    assert api(f"@!{os.getpid()} show version", "master") == "3.0.0\n"


def test_what_only_workers_know_is_unknown_to_the_master(api: RunningApi) -> None:
    first, *others = api("get weight b/s1", "master").splitlines()
    assert first == "Unknown command: 'get', but maybe one of the following ones is a better match:"
    assert len(others) == len(MASTER_COMMANDS) + 3
    assert api("help", "master").splitlines()[0] == "The following commands are valid at this level:"


def test_the_prompt_says_to_whom_the_next_command_goes(api: RunningApi) -> None:
    pid = pids(api)[0]
    with connect(api.path("master")) as client:
        for line, answer in (
            ("prompt", "master> "),
            ("show version", "3.0.0\n\nmaster> "),
            ("@1", f"{pid}> "),
            ("get weight b/s1", f"1 (initial 1)\n\n{pid}> "),
            ("@master show cli level", f"admin\n\n{pid}> "),
            ("@master", "master> "),
            ("@9", "Can't find the target PID matching the prefix '@9'\n\nmaster> "),
        ):
            client.sendall(f"{line}\n".encode())
            assert read_exactly(client, len(answer)).decode() == answer
        client.sendall(b"quit\n")
        assert read_to_end(client) == b""


def test_the_address_of_the_master_may_have_options_behind_commas(tmp_path: Path) -> None:
    [found] = master_sockets(f"{tmp_path}/x,mode,600,level,operator")
    assert (found.mode, found.level) == (0o600, Level.OPERATOR)
    [found] = master_sockets("127.0.0.1:9999")
    assert (found.title, found.level) == ("ipv4@127.0.0.1:9999", Level.ADMIN)
    with pytest.raises(StatsSocketError, match="unknown keyword 'bogus'"):
        master_sockets("/x,bogus")
