"""Lines are cut into words, and conditions are answered, as the real HAProxy 2.6 does it: heaps of both, side by side.

How the real one is asked: the second word of ``timeout client 1s WORD`` stands in its complaint, and the first word of
a line in another. Lists that begin or end with a blank are left out: 2.6 makes empty words of them, 3.x none.
"""

from __future__ import annotations

import random
import re
import subprocess
from pathlib import Path

import pytest
from balancer_process import haproxy

from tcpbalancer.config.conditions import Capabilities, ConditionError, holds
from tcpbalancer.config.tokens import TokenError, split

pytestmark = pytest.mark.interop
ENVIRONMENT = {"PORT": "80", "LIST": "a b  c", "EMPTY": "", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
PIECES = [
    "a", "bc", " ", "  ", "\t", "\\ ", "\\\\", "\\#", "\\'", '\\"', "\\$", "\\n", "\\t", "\\x41", "\\x4", "\\q", "'",
    '"', "#", "$", "$PORT", "${PORT}", '"$PORT"', '"${PORT}"', '"${NOPE-d e}"', '"${LIST[*]}"', '"${EMPTY[*]}"',
    '"${PORT', '"${1}"', '"${PORT[x]}"', "'$PORT'", '"x${PORT}y"', ":", ",", "[", "{", "-",
]  # fmt: skip
SEED = 20
LINES = 25
"""Of one file: HAProxy stops after 50 mistakes."""


def asked(folder: Path, lines: list[str]) -> dict[int, str]:
    """Return what the real one says of each line of a file, by its number."""
    (folder / "f.cfg").write_text("\n".join(["listen l", *lines]) + "\n")
    done = subprocess.run(
        [haproxy(), "-c", "-f", "f.cfg"], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=30,
        check=False,
    )  # fmt: skip
    found = re.findall(r"^\[ALERT\].*?parsing \[f\.cfg:(\d+)\] ?: (.*)$", done.stderr, re.MULTILINE)
    return {int(number): text for number, text in found}


def expected(line: str) -> str | None:
    """Return what HAProxy says if it cuts a line as we do, None if it cannot be told."""
    try:
        words = [word.text for word in split(line, ENVIRONMENT)]
    except TokenError as wrong:
        return wrong.message
    if len(words) < 4:
        return ""
    return f"'timeout client' : unexpected extra argument '{words[3]}' after value '1s'." if words[3] else None


@pytest.mark.parametrize("part", range(8))
def test_heaps_of_pieces_are_cut_alike(part: int, tmp_path: Path) -> None:
    chance = random.Random(SEED + part)  # noqa: S311 # for a test that can be repeated
    lines = [f" timeout client 1s {''.join(chance.choices(PIECES, k=chance.randint(1, 6)))}" for _ in range(LINES)]
    theirs = asked(tmp_path, lines)
    apart = []
    for number, line in enumerate(lines, 2):
        mine = expected(line)
        mine = None if mine is None else mine.split("\n", maxsplit=1)[0]
        if mine is not None and mine != theirs.get(number, ""):
            apart.append((line, mine, theirs.get(number, "")))
    assert apart == []


CONDITIONS = [
    "1", "0", "", "0x10", "-1", "00", "1 && 0", "!0", "! ! 1", "(1 || 0) && 1", "1 1", "defined(PORT)", "defined(NOPE)",
    "defined()", "defined", "defined(PORT", "defined(PORT,x)", "streq(a,a)", "streq( a,a)", "streq(a, a)",
    'streq("a b",a b)', 'streq("$PORT",80)', "streq(a)", "streq(,)", "strneq(a,b)", "version_atleast(2.4)",
    "version_atleast(2.6.13)", "version_before(2.7-dev0)", "version_atleast(2.6-dev5)", "version_atleast(x)",
    "feature(THREAD)", "feature(NOSUCH)", "(1", "1)", "()", "1 ||", "1 &&", "&& 1", "1&&1||0", "0 || foo", "1 || foo",
    "foo(1)", "defined (PORT)", "true", "false", "0 && (", "1 || 1 ||", "1&1", "!", "(!1)", "( 1 ) ", "streq",
    "defined(PORT)x", "defined(PORT)&&1", "1 && ( 0 || 1 )", "streq(a,b,c)", "((1)", "(1))", "!(1 && 0) || 0",
]  # fmt: skip


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_condition_gets_the_answer_that_haproxy_gives(condition: str) -> None:
    done = subprocess.run(
        [haproxy(), "-cc", condition], env=ENVIRONMENT, capture_output=True, text=True, timeout=30, check=False
    )
    has = Capabilities("2.6.12", frozenset({"THREAD"}))
    said = ""
    try:
        words = split(condition, ENVIRONMENT, comments=False)
        status = 0 if holds(" ".join(word.text for word in words), ENVIRONMENT, has) else 1
    except ConditionError as wrong:
        status, said = 2, wrong.message
    theirs = re.search(r"Failed to evaluate condition: (.*)", done.stderr)
    assert (status, said) == (done.returncode, theirs[1] if theirs else "")
