"""Scripts: run without a shell, ended at the deadline, and never trusted when somebody else may change them."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hakit import script
from hakit.script import Ending, Outcome, identity, insecurity, insecurity_of, run

Make = Callable[..., str]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def write(body: str, mode: int = 0o755, name: str = "check.sh") -> str:
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(mode)
        return str(path)

    return write


def outcome_of(*words: str, timeout: float = 10.0, **options: str | None) -> Outcome:
    return asyncio.run(run(words, timeout=timeout, **options))  # type: ignore[arg-type]  # options are those of run


def test_only_exit_status_0_is_success(make: Make) -> None:
    passed, failed = outcome_of(make("exit 0")), outcome_of(make("exit 3"))
    assert passed.succeeded
    assert passed == Outcome(Ending.EXITED, "exited with status 0", status=0)
    assert not failed.succeeded
    assert failed == Outcome(Ending.EXITED, "exited with status 3", status=3)


@pytest.mark.parametrize("line", ["exit 126", "exit 127", "exec /nothing-here", "exit 255"])
def test_a_status_that_a_shell_gives_for_what_it_could_not_run_is_a_failure_as_any_other(make: Make, line: str) -> None:
    assert not outcome_of(make(line)).succeeded


def test_a_script_that_dies_by_a_signal_has_failed(make: Make) -> None:
    outcome = outcome_of(make("kill -KILL $$"))
    assert outcome == Outcome(Ending.SIGNALLED, "was ended by SIGKILL", signal=9)
    assert not outcome.succeeded


def test_a_signal_without_a_name_is_told_by_its_number() -> None:
    assert script._outcome(-44).words == "was ended by signal 44"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("/usr/bin/nothing-here",), "No such file or directory: /usr/bin/nothing-here"),
        (("/etc/passwd",), "Permission denied: /etc/passwd"),
        (("/bin/true\0",), "embedded null byte"),
        ((), "there is no command"),
    ],
)
def test_a_script_that_cannot_be_started_has_failed(words: tuple[str, ...], said: str) -> None:
    outcome = outcome_of(*words)
    assert outcome.ending is Ending.NOT_STARTED
    assert outcome.words == f"could not be started: {said}"
    assert not outcome.succeeded


@pytest.mark.parametrize(
    ("user", "group", "said"),
    [
        ("nobody-here", None, "there is no user 'nobody-here'"),
        ("root", "nobodies", "there is no group 'nobodies'"),
        ("4000000001", None, "there is no user '4000000001'"),
        ("0", "4000000001", "there is no group '4000000001'"),
    ],
)
def test_a_user_or_group_that_does_not_exist_is_a_failure_with_its_name(
    user: str, group: str | None, said: str
) -> None:
    assert outcome_of("/bin/true", user=user, group=group).words == f"could not be started: {said}"


def test_no_descriptor_left_is_a_failure_and_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "pidfd_open", refuse)
    outcome = outcome_of("/bin/sleep", "60")
    assert outcome == Outcome(Ending.NOT_STARTED, "could not be started: Too many open files")
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_words_are_passed_on_without_a_shell(make: Make, tmp_path: Path) -> None:
    told = tmp_path / "told"
    outcome = outcome_of(make(f'printf "%s\\n" "$@" > {told}'), "a b", "$(reboot)", "; rm")
    assert outcome.succeeded
    assert told.read_text() == "a b\n$(reboot)\n; rm\n"


def variables_of_a_script(make: Make, told: Path, **environment: str) -> dict[str, str]:
    path = make(f"/usr/bin/env > {told}")
    assert asyncio.run(run([path], timeout=10, environment=environment)).succeeded
    found = dict(line.split("=", 1) for line in told.read_text().splitlines())
    return {name: value for name, value in found.items() if name not in {"PWD", "OLDPWD", "SHLVL", "_"}}


def test_a_script_finds_what_the_program_was_started_with_and_the_callers_additions(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container's settings, a unit's EnvironmentFile: keepalived's scripts find them, and so do ours."""
    for name in tuple(os.environ):
        monkeypatch.delenv(name)
    assert variables_of_a_script(make, tmp_path / "told") == {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8",
    }  # fmt: skip
    monkeypatch.setenv("DO_TOKEN", "a b=c")
    monkeypatch.setenv("PATH", "/opt/bin:/bin")
    monkeypatch.setenv("LANG", "C")
    for name in (
        "LD_PRELOAD",
        "LD_LIBRARY_PATH",
        "PYTHONPATH",
        "IFS",
        "BASH_ENV",
        "ENV",
        "NOTIFY_SOCKET",
        "LISTEN_FDS",
    ):
        monkeypatch.setenv(name, "")
    assert variables_of_a_script(make, tmp_path / "told", STATE="MASTER") == {
        "DO_TOKEN": "a b=c", "PATH": "/opt/bin:/bin", "LANG": "C", "STATE": "MASTER",
    }  # fmt: skip


def test_a_bare_name_is_run_from_where_it_was_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "true"
    other.write_text("#!/bin/sh\nexit 1\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    assert outcome_of("true").succeeded
    monkeypatch.setenv("PATH", str(tmp_path))
    other.rename(tmp_path / "made-up")
    assert outcome_of("made-up").words == "could not be started: No such file or directory: made-up"


def test_a_script_has_its_own_session_no_input_and_none_of_our_descriptors(make: Make, tmp_path: Path) -> None:
    told = tmp_path / "told"
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    ours = f"pipe:[{os.fstat(writer).st_ino}]"
    try:
        path = make(f'seen=$(readlink /proc/$$/fd/*); echo "$seen" > {told}')
        assert outcome_of(path).succeeded
    finally:
        os.close(reader)
        os.close(writer)
    targets = told.read_text().split()
    assert targets.count("/dev/null") == 3  # and the shell's own, of the script it reads
    assert ours not in targets


def test_a_script_runs_as_its_user_without_supplementary_groups(make: Make, tmp_path: Path) -> None:
    told = tmp_path / "told"
    told.touch()
    told.chmod(0o666)
    for folder in (tmp_path, *tmp_path.parents):
        if folder == Path(tempfile.gettempdir()):
            break
        folder.chmod(0o755)
    path = make(f"{{ id -u; id -g; id -G; }} > {told}")
    nobody, nogroup = identity("nobody")
    assert outcome_of(path, user="nobody").succeeded
    assert told.read_text().split() == [str(nobody), str(nogroup), str(nogroup)]
    assert outcome_of(path, user="nobody", group="0").succeeded
    assert told.read_text().split() == [str(nobody), "0", "0"]


def test_the_deadline_itself_is_the_failure_and_the_whole_group_is_ended(make: Make, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    path = make(f"sleep 60 & echo $! > {pids}; echo $$ >> {pids}; wait")

    async def watch() -> None:
        outcome = await run([path], timeout=0.3)
        assert (outcome.ending, outcome.words) == (Ending.TIMED_OUT, "timed out after 0.3 s")
        assert not outcome.succeeded
        assert outcome.gone is not None
        await asyncio.wait_for(outcome.gone, 10)

    asyncio.run(watch())
    assert all(_ended(int(pid)) for pid in pids.read_text().split())


def _ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_script_that_ignores_sigterm_is_killed_two_seconds_later(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    assert script.GRACE == 2.0
    monkeypatch.setattr(script, "GRACE", 0.2)
    path = make("trap '' TERM; while :; do :; done")

    async def watch() -> float:
        begin = time.monotonic()
        outcome = await run([path], timeout=0.3)
        reported = time.monotonic() - begin
        assert outcome.ending is Ending.TIMED_OUT
        assert outcome.gone is not None
        assert not outcome.gone.done()
        await asyncio.wait_for(outcome.gone, 10)
        return reported

    assert asyncio.run(watch()) < 2.0


def test_a_cancelled_caller_leaves_no_process(make: Make, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    os.mkfifo(pids)
    path = make(f"echo $$ > {pids}; exec sleep 60")

    async def watch() -> int:
        running = asyncio.ensure_future(run([path], timeout=60))
        pid = int(await asyncio.to_thread(pids.read_text))
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return pid

    assert _ended(asyncio.run(watch()))


def test_no_thread_is_started_and_no_signal_handler_set(make: Make) -> None:
    before = signal.getsignal(signal.SIGCHLD)

    async def watch() -> int:
        outcomes = await asyncio.gather(*(run([make("exit 0")], timeout=10) for _ in range(8)))
        assert all(outcome.succeeded for outcome in outcomes)
        return threading.active_count()

    assert asyncio.run(watch()) == threading.active_count()
    assert signal.getsignal(signal.SIGCHLD) is before


def test_a_script_that_root_alone_can_change_is_secure(make: Make) -> None:
    assert insecurity(make("exit 0"), 0) is None
    assert insecurity("/bin/true", 0) is None  # over the link /bin -> usr/bin
    assert insecurity("true", 0) is None  # looked up in the fixed PATH
    assert insecurity_of([sys.executable], None) is None


def test_a_script_that_others_may_write_is_named_with_its_mode_and_the_repair(make: Make) -> None:
    path = make("exit 0", mode=0o777)
    assert insecurity(path, 0) == f"{path} is writable by everybody (mode 0777): chmod o-w {path}"


def test_a_group_other_than_roots_must_not_write(make: Make) -> None:
    path = make("exit 0", mode=0o775)
    assert insecurity(path, 0) is None
    os.chown(path, 0, 100)
    assert insecurity(path, 0) == f"{path} is writable by group 100 (mode 0775): chmod g-w {path}"


def test_a_script_has_to_belong_to_root(make: Make) -> None:
    path = make("exit 0")
    os.chown(path, 1000, 0)
    assert insecurity(path, 0) == f"{path} belongs to uid 1000, not to root (mode 0755): chown -h root:root {path}"


def test_a_folder_on_the_way_counts_but_a_sticky_one_may_be_open(make: Make, tmp_path: Path) -> None:
    path = make("exit 0")
    tmp_path.chmod(0o1777)
    assert insecurity(path, 0) is None
    tmp_path.chmod(0o777)
    assert insecurity(path, 0) == f"{tmp_path} is writable by everybody (mode 0777): chmod o-w {tmp_path}"
    assert insecurity(f"{tmp_path}/../{tmp_path.name}/check.sh", 0) is not None


def test_links_are_followed_one_by_one_and_every_folder_they_cross_counts(make: Make, tmp_path: Path) -> None:
    path = Path(make("exit 0"))
    between = tmp_path / "between"
    between.mkdir()
    (between / "second").symlink_to("../check.sh")
    first = tmp_path / "first"
    first.symlink_to(between / "second")
    assert insecurity(str(first), 0) is None
    between.chmod(0o777)
    assert insecurity(str(first), 0) == f"{between} is writable by everybody (mode 0777): chmod o-w {between}"
    assert insecurity(str(path), 0) is None


def test_a_link_that_points_at_itself_ends(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert insecurity(str(loop), 0) == f"{loop} cannot be used: too many symbolic links"


def test_missing_scripts_are_named(tmp_path: Path) -> None:
    assert insecurity(f"{tmp_path}/none", 0) == f"{tmp_path}/none cannot be used: No such file or directory"
    assert insecurity("no-such-program", 0) == f"'no-such-program' was not found in {script.SEARCH_PATH}"
    assert insecurity("bin/true", 0) == "'bin/true' is not an absolute path: write where it begins, at /"
    assert insecurity(str(tmp_path), 0) == f"{tmp_path} is not a file"
    assert insecurity_of([], None) == "there is no command"
    assert insecurity_of(["/bin/true"], "nobody-here") == "there is no user 'nobody-here'"


def test_a_script_that_is_not_executable_is_named_with_the_repair(make: Make) -> None:
    path = make("exit 0", mode=0o644)
    assert insecurity(path, 0) == f"{path} is not executable (mode 0644): chmod +x {path}"


@pytest.mark.parametrize(
    ("mode", "owner", "group", "may"),
    [
        (0o701, 65534, 0, True),
        (0o611, 65534, 65534, False),
        (0o710, 0, 65534, True),
        (0o701, 0, 65534, False),
        (0o701, 0, 0, True),
        (0o770, 0, 0, False),
    ],
)
def test_another_user_needs_the_right_to_execute_and_nothing_else(
    make: Make, mode: int, owner: int, group: int, may: bool
) -> None:
    path = make("exit 0")
    os.chown(path, owner, group)
    Path(path).chmod(mode)
    assert (insecurity(path, 65534) is None) is may


def test_what_is_set_uid_root_is_as_strict_as_root(make: Make) -> None:
    path = make("exit 0", mode=0o4777)
    assert insecurity(path, 65534) == f"{path} is writable by everybody (mode 4777): chmod o-w {path}"
    assert insecurity(make("exit 0", mode=0o777, name="plain.sh"), 65534) is None
