"""How a look at a configuration ends, by what is in the files and by the flags: beside the real HAProxy 2.6."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from balancer_process import TCPBALANCER, haproxy

pytestmark = pytest.mark.interop
TIMED = "defaults\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n"
FILES = {
    "good": f"{TIMED}listen l\n bind :1\n server s 192.0.2.1:1\n",
    "warned": "listen l\n bind :1\n server s 192.0.2.1:1\n",
    "wrong": f"{TIMED}listen l\n bind :1\n bogus\n",
    "wrong later": f"{TIMED}frontend f\n bind :1\n default_backend nope\n",
    "no listener": f"{TIMED}backend b\n server s 192.0.2.1:1\n",
    "empty": "",
    "truncated": f"{TIMED}listen l\n bind :1",
    "alert": ".alert stop\n",
    "condition": ".if foo\n.endif\n",
    "open condition": ".if 1\n",
    "zero-warning": "global\n zero-warning\nlisten l\n bind :1\n",
}
FLAGS = [["-c"], ["-c", "-V"], ["-c", "-q"], ["-c", "-dW"], ["-c", "-V", "-q"]]


def ended(program: list[str], folder: Path, flags: list[str], files: list[str]) -> tuple[int, bool, bool]:
    """Return the exit status, whether anything was said, and whether it was an alert."""
    words = [word for file in files for word in ("-f", file)]
    done = subprocess.run(
        [*program, *flags, *words], cwd=folder, capture_output=True, text=True, timeout=30, check=False
    )
    return done.returncode, bool(done.stdout + done.stderr), "[ALERT]" in done.stderr


def expected(theirs: tuple[int, bool, bool], flags: list[str]) -> tuple[int, bool, bool]:
    """Return what 3.x does where 2.6 does otherwise: no listener is no reason; what is valid is told with -V only."""
    status, said, alert = theirs
    if status == 2:
        status, said = 0, "-V" in flags
    return status, said, alert


@pytest.mark.parametrize("flags", FLAGS, ids=" ".join)
@pytest.mark.parametrize("name", FILES)
def test_the_exit_status_is_haproxys(name: str, flags: list[str], tmp_path: Path) -> None:
    (tmp_path / "f.cfg").write_text(FILES[name])
    theirs = expected(ended([haproxy()], tmp_path, flags, ["f.cfg"]), flags)
    mine = ended(TCPBALANCER, tmp_path, flags, ["f.cfg"])
    assert (mine[0], mine[2]) == (theirs[0], theirs[2])
    if theirs[0] or flags in (["-c", "-q"], ["-c", "-V"]):
        assert mine[1] == theirs[1]


@pytest.mark.parametrize(
    ("files", "folder"),
    [(["a.cfg", "b.cfg"], False), (["b.cfg", "a.cfg"], False), ([], True), (["a.cfg", "nope.cfg"], False)],
)
def test_several_files_and_folders_are_one_configuration(files: list[str], folder: bool, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    for name, text in (
        ("a.cfg", f"{TIMED}frontend f\n bind :1\n default_backend b\n"), (".hidden.cfg", "bogus\n"),
        ("b.cfg", "backend b\n server s 192.0.2.1:1\n"), ("other.txt", "bogus\n"),
    ):  # fmt: skip
        (tmp_path / "d" / name).write_text(text)
    given = ["d"] if folder else [f"d/{name}" for name in files]
    theirs, mine = (ended(program, tmp_path, ["-c"], given) for program in ([haproxy()], TCPBALANCER))
    assert (mine[0], mine[2]) == (theirs[0], theirs[2])


def test_mistakes_in_two_files_are_told_for_each(tmp_path: Path) -> None:
    for name in ("a.cfg", "b.cfg"):
        (tmp_path / name).write_text("listen l\n bogus\n" if name == "a.cfg" else "backend c\n bogus\n")
    said = []
    for program in ([haproxy()], TCPBALANCER):
        done = subprocess.run(
            [*program, "-c", "-f", "a.cfg", "-f", "b.cfg"], cwd=tmp_path, capture_output=True, text=True, timeout=30,
            check=False,
        )  # fmt: skip
        alerts = [line.partition(" : ")[2] for line in done.stderr.splitlines() if line.startswith("[ALERT]")]
        said.append((done.returncode, sorted(alerts)))
    assert said[0] == said[1]
