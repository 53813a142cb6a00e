"""Beside the real ``keepalived -t``: what it says of our files, and that we say the same of other people's."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hakit.diagnostics import ConfigError
from pyvrrp.config.load import read

pytestmark = pytest.mark.interop

CONFIGS = Path(__file__).parents[2] / "configs"
# In namespaces of its own: an eth0, and the scripts where the files name them. Nothing outlives the command.
INSIDE = """
set -e
ip link add eth0 type veth peer name eth0peer
ip address add 192.168.50.11/24 dev eth0
ip link set eth0 up
mount -t tmpfs tmpfs /usr/local/bin
cp "$2"/reference/*.sh /usr/local/bin
exec "$4" -t -f "$1" -p "$3/a.pid" -r "$3/b.pid"
"""
OURS = Path(sys.executable).parent / "pyvrrp"
REST = " interface eth0\n virtual_router_id 51\n virtual_ipaddress {\n  10.9.0.100\n }\n"
SECURE = "global_defs {\n script_user root\n enable_script_security\n}\n"


def answer_of(file: Path, scratch: Path, program: Path = Path("keepalived")) -> tuple[int, list[str]]:
    """Return the exit status of ``keepalived -t`` and its lines."""
    answer = subprocess.run(
        ["unshare", "--net", "--mount", "sh", "-c", INSIDE, "sh", file, CONFIGS, scratch, program],
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.returncode, (answer.stdout + answer.stderr).splitlines()


def keepalived_says(file: Path, scratch: Path, program: Path = Path("keepalived")) -> tuple[int, list[str]]:
    """Return the exit status of ``keepalived -t`` and its lines, without the name of the file."""
    status, lines = answer_of(file, scratch, program)
    return status, [line.replace(f"({file}: Line ", "(Line ") for line in lines]


@pytest.mark.parametrize("number", [1, 2])
def test_of_the_reference_files_it_says_that_the_password_is_too_long_and_nothing_else(
    number: int, tmp_path: Path
) -> None:
    file = CONFIGS / f"reference/keepalived.haproxy{number}.conf"
    assert keepalived_says(file, tmp_path) == (5, ["(Line 22) Truncating auth_pass to 8 characters"])


@pytest.mark.parametrize("number", [1, 2])
def test_of_the_files_of_the_lab_it_says_nothing(number: int, tmp_path: Path) -> None:
    assert keepalived_says(CONFIGS / f"lab/keepalived.haproxy{number}.conf", tmp_path) == (0, [])


@pytest.mark.parametrize(
    "lines",
    [
        "",
        " priority 0\n",
        " priority 256\n",
        " priority x\n",
        " bogus 1\n",
        " state FAULT\n",
        " advert_int 1.5\n",
        " advert_int 1,5\n",
        " state MASTER\n priority 100\n nopreempt\n",
        " state MASTER\n nopreempt\n",
        " state MASTER\n priority 100\n preempt_delay 5\n",
        " preempt_delay 1001\n",
        " nopreempt\n preempt_delay 3\n",
        " priority 255\n preempt_delay 3\n",
        " priority \\\n",
        " down_timer_adverts 0\n",
        " garp_master_repeat x\n",
        " garp_master_delay -1\n",
        " garp_master_delay 0.5\n",
        " garp_master_repeat 0\n",
        " authentication {\n  auth_type PASS\n }\n",
        " authentication {\n  auth_type X\n }\n",
        " authentication {\n  auth_pass x\n }\n",
        " virtual_ipaddress {\n  10.9.0.101 foo\n }\n",
        " track_interface {\n  eth0 wait 5\n }\n",
        " track_script {\n  chk weight 254\n }\n",
        " track_script {\n  chk\n  chk\n }\n",
        " priority 255\n track_script {\n  chk weight 3\n }\n",
        " track_script {\n  missing\n }\n",
        " track_script {\n  chk wieght 5\n }\n",
        " track_script {\n  chk weight -300\n }\n",
        " authentication {\n  auth_type PASS\n  auth_pass 123456789\n }\n",
    ],
)
def test_both_say_the_same_of_an_instance(lines: str, tmp_path: Path) -> None:
    text = f'{SECURE}vrrp_script chk {{\n script "/usr/bin/true"\n}}\nvrrp_instance VI_1 {{\n{lines}{REST}}}\n'
    file = tmp_path / "k.conf"
    file.write_text(text)
    status, theirs = keepalived_says(file, tmp_path)
    assert keepalived_says(file, tmp_path, OURS)[0] == status
    try:
        found = read(text.encode(), str(file)).warnings
    except ConfigError as refused:
        found = refused.diagnostics
    ours = [one.message.partition("; did you mean")[0] for one in found if not one.advice]
    assert ours == [re.sub(r"^\(Line \d+\) ", "", line) for line in theirs]
    numbered = [int(number) for line in theirs for number in re.findall(r"^\(Line (\d+)\)", line)]
    assert [one.location.line for one in found if not one.advice][: len(numbered)] == numbered


GRAMMAR = {
    "definitions": "$X=5\na$X\nb${X}\nc$X.5\nd${X}.5\ne$X,5\nf$X)g\nk$X$X\nl${X}${X}\nm$X/24\n$V${X}=3\nn${V5}\n",
    "used-late": "$X=5\n$A=${X}\n$X=6\ny${A}\nz${X}\n $Z=x # comment\nw${Z}v\n",
    "several-lines": "$G= \\\n g1 \\\n g2\npre ${G}\n${G}\n$G\n$F=a1 \\\n  \\\n   \n a3\n\nf${F}\n$H=\\\nh1\nh${H}i\n",
    "ended-by-an-empty-line": "$F=a1 \\\n a2 \\\n\na3\n$F\n",
    "nested": "$F=a \\\n b\n$K= \\\n k1 ${F} \\\n k2\n${K}\n$B= \\\n v${N} \\\n w\n$N=1\n$B\n$N=2\n$B\n",
    "comment-in-a-definition": "$F=a1 \\\n a2 # comment \\\n a3\n$F\n",
    "conditions": "@lb1 a\n@^lb1 b\n@lb2 c\n@^lb2 d\n@^lb2 @lb1 e\n@lb1 $X=1\n@lb2 $X=2\nf$X\n@lb1\n@^lb2 ${X}\n",
    "sequences": "~SEQ(A, 3) a${A}\n~SEQ(B, 2, 4) b$B\n~SEQ(C, 0, 5, 12) c${C}\n~SEQ(D, -3) d${D}\n~SEQ(E, 0) e${E}\n"
    "~SEQ(F, 5, 2) f${F}\n~SEQ(G, 5, -2, 0) g${G}\n~SEQx(H, 8, 12) h${H}\n~SEQ (I, 2)i${I}\n~SEQ(J,010) j${J}\n",
    "sequences-of-sequences": "~SEQ(A,1,2) ~SEQ(B,1,3) a${A}b${B}\n$E=2\n~SEQ(C, ${E}) c${C}\n~SEQ(D, $E) d${D}\n"
    "$P=~SEQ(Q,2) p${Q}\n${P}\n~SEQ(R,2) $S=${R}\ns${S}\n",
    "lists": "~LST(A, x, y) a${A}\n~LST({R,S}, {1,2}, {3, 4}) r${R}s${S}\n~LST(T, 1, 2) ~SEQ(U, 1, 2) t${T}u${U}\n",
    "repetitions-that-are-wrong": "~SEQ(M, 5, 1, 2) m\n~SEQ(X, 1, 2, 0) x\n~SEQ(Y, a) y\n~SEQ(Z) z\n"
    "~SEQ(AB,1,2,3,4) ab\n~LST(L, x y) l\n",
    "built-in": '"${_INSTANCE}"\n"${_HASH} ${_BANG}"\nk${_HASH}k\n${_RANDOM 7 7}\n',
    "includes": "include a.conf\n@lb1 include sub/b.conf\n@lb2 include a.conf\n$F=a\ninclude ${F}.conf # c\n"
    "include {a,nope*}.conf\n~SEQ(X,2) include a.conf\nend\n",
}


def unknown_words(lines: list[str]) -> list[str]:
    """Return ``FILE:LINE word`` of every line about an unknown keyword or a wrong repetition, each once, in order.

    keepalived reads a file twice, the second time a copy, for the process that runs VRRP; only then it names the file.
    """
    found = (re.match(r"\((.*): Line (\d+)\) (?:Unknown keyword '(.*)'|(.*~.*))$", line) for line in lines)
    words = [f"{Path(one[1]).name}:{one[2]} {one[3] or one[4]}" for one in found if one is not None]
    return list(dict.fromkeys(words))


DEFINED = "$A=1\n$B=x${A}y\n$C= \\\n c1 ${A} \\\n c2\n$D=d\n$E=e\n"
LINES = [
    "$A=2", "$B=${A}", "$D=${C}", "$E=~SEQ(N,2) k${N}", "$N=9", "$F=f1 \\", "", "  ", "# c", "g # c", "i ! j",
    "@id $A=7", "p${A}", "q$A", "r$B", "s ${B}", "${B}t", "$C", "u ${C}", "${C}", "l$A,$A", "m$A)$B", "e$D", "$D",
    "$E", "${E} more", "@id x", "@^id y${A}", "@id ${C}", "@^id2 $C", "~SEQ(N,2) v${N}", "~SEQ(N,2) $C",
    "~SEQ(N,1,2) ~SEQ(M,2) w${N}${M}", "~LST(L,a,b) z${L}${B}", "~LST({K,L},{1,2},{3}) z${K}-${L}",
    "~SEQx(N,9,11) h${N}",
]  # fmt: skip


@pytest.mark.parametrize("seed", range(25))
def test_both_make_the_same_words_of_lines_at_random(seed: int, tmp_path: Path) -> None:
    source = random.Random(seed)  # noqa: S311  # the seed is the name of the test
    text = DEFINED + "\n".join(source.choices(LINES, k=source.randint(3, 14))) + "\nEND\n"
    file = tmp_path / "k.conf"
    file.write_text(text)
    program = tmp_path / "keepalived"
    program.write_text('#!/bin/sh\nexec keepalived -i id "$@"\n')
    program.chmod(0o755)
    _, theirs = answer_of(file, tmp_path, program)
    found = read(text.encode(), str(file), config_id="id").warnings
    ours = [f"({file}: Line {one.location.line}) {one.message.partition('; did you mean')[0]}" for one in found]
    assert unknown_words(ours) == unknown_words(theirs) != []


@pytest.mark.parametrize("name", GRAMMAR)
def test_both_make_the_same_words_of_a_file(name: str, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.conf").write_text("ina\n")
    (tmp_path / "sub/b.conf").write_text("inb\ninclude ../a.conf\ninclude c.conf\n")
    (tmp_path / "sub/c.conf").write_text("inc\n")
    file = tmp_path / "k.conf"
    file.write_text(GRAMMAR[name])
    program = tmp_path / "keepalived"
    program.write_text('#!/bin/sh\nexec keepalived -i lb1 "$@"\n')
    program.chmod(0o755)
    _, theirs = answer_of(file, tmp_path, program)
    found = read(GRAMMAR[name].encode(), str(file), config_id="lb1").warnings
    ours = [
        f"({one.location.file}: Line {one.location.line}) {one.message.partition('; did you mean')[0]}"
        for one in found
        if not one.advice
    ]
    assert unknown_words(ours) == unknown_words(theirs) != []


@pytest.mark.parametrize(
    "lines",
    [
        "router_id",
        "vrrp_version 4",
        "vrrp_version 3",
        "vrrp_lower_prio_no_advert maybe",
        "vrrp_notify_priority_changes maybe",
        "vrrp_min_garp maybe",
        "dynamic_interfaces x",
        "vrrp_garp_interval -1",
        "vrrp_garp_interval 0",
        "vrrp_startup_delay x",
        "vrrp_mcast_group4 ff02::1",
        "vrrp_mcast_group4 10.0.0.1",
        "vrrp_mcast_group4 x",
        "vrrp_mcast_group6 ::1",
        "vrrp_garp_master_delay x",
        "vrrp_garp_master_repeat 0",
        "vrrp_garp_master_refresh x",
        "vrrp_garp_lower_prio_repeat x",
        "vrrp_garp_lower_prio_repeat 0",
        "vrrp_garp_extra_if",
        "vrrp_garp_extra_if all",
        "vrrp_garp_extra_if 0",
        "vrrp_down_timer_adverts 0",
        "vrrp_rx_bufs_policy x",
        "vrrp_priority 20",
        "vrrp_rt_priority 0",
        "vrrp_rt_priority 100",
        "vrrp_rlimit_rttime x",
        "max_auto_priority x",
        "max_auto_priority -2",
        "min_auto_priority_delay 0",
        "process_name abcdefghijklmnopq",
        "umask IWALL",
        "umask 01000",
        "random_seed x",
        "include_check sometimes",
        "nftables_priority x",
        "startup_script_timeout 0",
        "notify_fifo /run/a\n notify_fifo /run/b",
        "smtp_alert maybe",
        "smtp_connect_timeout x",
        "router_idd x",
        "script_user",
        "vmac_prefix a\n vmac_prefix b",
        "nftables a\n nftables b",
    ],
)
def test_both_say_the_same_of_global_defs(lines: str, tmp_path: Path) -> None:
    text = f"global_defs {{\n {lines}\n}}\nvrrp_instance VI_1 {{\n{REST}}}\n"
    file = tmp_path / "k.conf"
    file.write_text(text)
    _, theirs = keepalived_says(file, tmp_path)
    found = read(text.encode(), str(file)).warnings
    ours = [
        f"(Line {one.location.line}) {one.message.partition('; did you mean')[0]}" for one in found if not one.advice
    ]
    assert ours == list(dict.fromkeys(theirs))
