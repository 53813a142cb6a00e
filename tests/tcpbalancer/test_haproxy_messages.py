"""What is said of a faulty configuration: HAProxy's own lines, in its order, with its exit status.

The expected lines are those that HAProxy 3.5 prints for the same files. Where it stops at the first mistake of a line,
more may stand between them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tcpbalancer.cli import main

TIMED = "defaults\n  mode tcp\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\n"
PREAMBLE = ["[NOTICE]   haproxy version is 3.0.0", "[NOTICE]   path to executable is PATH"]
FATAL = "[ALERT]    config : Fatal errors found in configuration."


def said(capsys: pytest.CaptureFixture[str]) -> tuple[list[str], list[str]]:
    """Return the lines of stdout and those of stderr, the process id and the program's path masked."""
    out, err = capsys.readouterr()
    lines = re.sub(rf"\({os.getpid()}\) : ", "", err).splitlines()
    masked = [
        re.sub(r"(path to executable is ).*|\[/\S+main\(\)", lambda m: (m[1] or "[") + "PATH", line) for line in lines
    ]
    return out.splitlines(), masked


CASES = {
    "a near miss": (
        (
            "listen l1\n    bind 127.0.0.1:19901\n    bogus keyword\n    balence roundrobin\n"
            "    server s1 127.0.0.1:1 chekc\n    server s1 127.0.0.1:2\n"
        ),
        [
            "[ALERT]    config : parsing [f.cfg:3] : unknown keyword 'bogus' in 'listen' section",
            (
                "[ALERT]    config : parsing [f.cfg:4] : unknown keyword 'balence' in 'listen' section; "
                "did you mean 'balance' maybe ?"
            ),
            "[ALERT]    config : [f.cfg:5] : 'server l1/s1' : unknown keyword 'chekc'; did you mean 'check' maybe ?",
            "[ALERT]    config : Error(s) found in configuration file : f.cfg",
            FATAL,
        ],
    ),
    "a backend that is not there": (
        f"{TIMED}frontend f\n  bind 127.0.0.1:19901\n  default_backend nope\nbackend b\n server s 127.0.0.1:1\n",
        ["[ALERT]    Proxy 'f': unable to find required default_backend: 'nope'."],
    ),
    "a last line without its end": (
        "frontend f\n  bind 127.0.0.1:19901",
        [
            (
                "[ALERT]    config : parsing [f.cfg:2]: Missing LF on last line, file might have been truncated "
                "at position 23."
            ),
            "[ALERT]    config : Error(s) found in configuration file : f.cfg",
            FATAL,
        ],
    ),
    "a port that is none": (
        f"{TIMED}frontend f\n  bind 127.0.0.1:99999\nfrontend g\n bind *:22 foo\n",
        [
            "[ALERT]    config : parsing [f.cfg:7] : 'bind' : invalid port '99999'",
            (
                "[ALERT]    config : parsing [f.cfg:9] : 'bind *:22' in section 'frontend': unknown keyword 'foo'; "
                "did you mean 'tfo' maybe ?"
            ),
            "[ALERT]    config : Error(s) found in configuration file : f.cfg",
            FATAL,
        ],
    ),
    "a variable with a default outside quotes": (
        f"{TIMED}listen f\n  bind 127.0.0.1:19902\n server s2 localhost:${{PORT-81}}\n",
        [
            (
                "[ALERT]    config : [f.cfg:8] : 'server f/s2' : invalid character '}' in port number '81}' in "
                "'localhost:${PORT-81}'"
            ),
            "[ALERT]    config : Error(s) found in configuration file : f.cfg",
            FATAL,
        ],
    ),
    "a name that does not resolve": (
        f"{TIMED}listen f\n  bind 127.0.0.1:19902\n server s no.such.host.invalid:80\n",
        [
            "[ALERT]    [f.cfg:8] : 'server f/s' : could not resolve address 'no.such.host.invalid'.",
            "[ALERT]    Failed to initialize server(s) addr.",
        ],
    ),
    "many mistakes": (
        (
            "defaults\n  mode tcp\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\n  option "
            "httplog\nlisten f\n"
            "  bind 127.0.0.1:19902\n  acl x path /foo\n  use_backend b if x\n  http-request deny\n  timeout foo 3s\n"
            "  timeout client 3zz\n  maxconn abc\n  retries -1\n  balance foo\n  option bogus\n"
            "  server s 127.0.0.1:1 weight 300 inter abc check port 0 maxconn x\n  tcp-request content "
            "accept\nbackend b\n"
            "  server t 127.0.0.1:2 track x/y\n"
        ),
        [
            (
                "[ALERT]    config : parsing [f.cfg:12] : 'timeout' supports 'client', 'server', 'connect', "
                "'check', 'queue', "
                "'handshake', 'http-keep-alive', 'http-request', 'tunnel', 'tarpit', 'client-fin' and "
                "'server-fin' (got 'foo')"
            ),
            "[ALERT]    config : parsing [f.cfg:13] : unexpected character 'z' in 'timeout client'",
            (
                "[ALERT]    config : parsing [f.cfg:16] : balance only supports 'roundrobin', 'static-rr', "
                "'leastconn', 'source', "
                "'uri', 'url_param', 'hash', 'hdr(name)', 'rdp-cookie(name)', 'log-hash' and 'sticky' options."
            ),
            "[ALERT]    config : parsing [f.cfg:17] : unknown option 'bogus'.",
            "[ALERT]    config : [f.cfg:18] : 'server f/s' : weight of server s is not within 0 and 256 (300)..",
            "[ALERT]    config : Error(s) found in configuration file : f.cfg",
            FATAL,
        ],
    ),
    "two proxies of one name": (
        (
            f"{TIMED}listen f\n  bind 127.0.0.1:19903\n  server s 127.0.0.1:1\nlisten f\n  bind 127.0.0.1:19904\n"
            " server s 127.0.0.1:2\n"
        ),
        [
            "[ALERT]    config : Parsing [f.cfg:9]: proxy 'f' has the same name as proxy 'f' declared at f.cfg:6.",
            "[ALERT]    config : Error(s) found in configuration file : f.cfg",
        ],
    ),
}


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES.keys())
def test_a_faulty_file_is_refused_in_haproxys_words(
    text: str, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("f.cfg").write_text(text)
    assert main(["-c", "-f", "f.cfg"]) == 1
    out, err = said(capsys)
    assert out == []
    assert err[:2] == PREAMBLE
    assert [line for line in err if line in expected] == expected


def test_a_message_is_followed_by_its_place_and_a_caret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("f.cfg").write_text("listen l\n\tbogus\n")
    assert main(["-c", "-f", "f.cfg"]) == 1
    _, err = said(capsys)
    assert err[3:6] == ["   | f.cfg:2:2", "   | \tbogus", "   | \t^"]


def test_missing_timeouts_warn_and_let_the_program_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("f.cfg").write_text("defaults\n  mode tcp\nlisten l1\n    bind 127.0.0.1:19901\n    server s1 127.0.0.1:1\n")
    warned = [
        *PREAMBLE,
        "[WARNING]  missing timeouts for proxy 'l1'.",
        "   | While not properly invalid, you will certainly encounter various problems",
        "   | with such a configuration. To fix this, please ensure that all following",
        "   | timeouts are set to a non-zero value: 'client', 'connect', 'server'.",
    ]
    assert main(["-c", "-V", "-f", "f.cfg"]) == 0
    assert said(capsys) == (["Warnings were found.", "Configuration file is valid"], warned)
    assert main(["-c", "-dW", "-f", "f.cfg"]) == 1
    aborting = "[ALERT]    Some warnings were found and 'zero-warning' is set. Aborting."
    assert said(capsys) == ([], [*warned, aborting])
    assert main(["-c", "-q", "-f", "f.cfg"]) == 0
    assert said(capsys) == ([], [])


def test_httplog_in_tcp_mode_falls_back_to_tcplog_with_two_warnings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("f.cfg").write_text(f"{TIMED}  option httplog\nlisten a\n  bind 127.0.0.1:28777\n  server s 127.0.0.1:1\n")
    assert main(["-c", "-f", "f.cfg"]) == 0
    _, err = said(capsys)
    assert [line for line in err if line.startswith("[WARNING]")] == [
        (
            "[WARNING]  parsing [f.cfg:6] : 'option httplog' not usable with proxy 'a' (needs 'mode http'). "
            "Falling back to 'option tcplog'."
        ),
        "[WARNING]  log format ignored for proxy 'a' since it has no log address.",
    ]


def test_our_own_advice_does_not_count_as_a_warning_for_zero_warning(tmp_path: Path) -> None:
    file = tmp_path / "f.cfg"
    file.write_text(f"global\n stats socket /run/x level admin\n{TIMED}listen a\n bind :1\n server s 127.0.0.1:1\n")
    assert main(["-c", "-q", "-dW", "-f", str(file)]) == 0


@pytest.mark.parametrize("text", ["", "global\n  maxconn 10\n", "global\n  stats socket /run/x.sock level admin\n"])
def test_a_file_without_proxies_is_valid(text: str, tmp_path: Path) -> None:
    (tmp_path / "f.cfg").write_text(text)
    assert main(["-c", "-f", str(tmp_path / "f.cfg")]) == 0


def test_a_file_without_a_listener_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("f.cfg").write_text("global\n  maxconn 10\n")
    assert main(["-db", "-f", "f.cfg"]) == 1
    _, err = said(capsys)
    assert err[2:] == ["[ALERT]    [PATH] No enabled listener found (check for 'bind' directives) ! Exiting."]


def test_a_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-c", "-f", "/nonexistent.cfg"]) == 1
    cannot = "[ALERT]    config : Cannot open configuration file/directory /nonexistent.cfg : No such file or directory"
    assert said(capsys) == ([], [*PREAMBLE, cannot])


def test_a_folder_to_change_into_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-c", "-C", "/nonexistent", "-f", "x"]) == 1
    assert "Could not change to directory /nonexistent" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["-Z"], ["-f"], ["-n", "x", "-f", "y"], ["-c"]])
def test_a_wrong_flag_or_none_shows_version_and_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 1
    out, err = capsys.readouterr()
    assert "Usage : " in out
    assert err.startswith("tcpbalancer: ")


def test_the_version_line_is_one_that_clients_parse(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-v"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    match = re.match(r"^HA-?Proxy version (\d+(\.\d+)*).*$", first)
    assert match is not None
    assert tuple(int(part) for part in match[1].split(".")) >= (3, 0)
    assert "tcpbalancer" in second
    assert main(["-vv"]) == 0
    assert "roundrobin" in capsys.readouterr().out


def test_every_flag_of_a_test_harness_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "f.cfg"
    file.write_text("")
    flags = "-d -db -V -dM -dMno-merge -dI -dr -n 10 -N 5 -m 100 -L me -W -Ws -p /x -x /y -S fd@1 -sf 1 2 -st 3 -D"
    assert main(["-c", "-q", *flags.split(), "--control", "/c", "--", str(file)]) == 0


def test_checking_a_file_imports_neither_asyncio_nor_aiohttp_nor_yaml() -> None:
    program = (
        "import sys; from tcpbalancer.cli import main; status = main(['-c', '-q', '-f', 'configs/lab/haproxy.cfg']);"
        "assert not {'asyncio', 'aiohttp', 'yaml', 'ssl'} & set(sys.modules); sys.exit(status)"
    )
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", program], cwd=root, check=False).returncode == 0


def test_a_password_is_shown_in_no_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, text in {
        "f.cfg": "listen l\n stats auth u:s3cret junk\n stats auht u:s3cret\n stats\tauth\tu:s3cret\n"
        " bogus user x password s3cret\n",
        "f.yaml": "listens:\n  l:\n    stats:\n      auth: ['u:s3cret', 'u: s3cret']\n    password: s3cret\n",
        "g.yaml": "listens:\n  l:\n    stats: {auth: 'u:s3cret\n",
    }.items():
        (tmp_path / name).write_text(text)
        main(["-c", "-f", str(tmp_path / name)])
    out, err = capsys.readouterr()
    assert "s3cret" not in out + err


@pytest.mark.parametrize(
    "line",
    [
        "tcp-check send AUTH\\ s3cret\\r\\n bogus",
        "tcp-check send-lf s3cret bogus",
        "http-check send hdr Authorization s3cret bogus x",
        "server s 192.0.2.1:1 agent-send s3cret chekc",
        "stats auth u:s3cret\n bogus",
        "setenv DB_PASSWORD s3cret bogus",
        "user someone insecure-password s3cret",
    ],
)
def test_a_secret_in_a_line_with_a_mistake_is_not_shown(
    line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in (("f.cfg", f"listen l\n {line}\n bogus\n"), ("f.yaml", f"listens:\n  l:\n    {line}\n")):
        (tmp_path / name).write_text(text)
        assert main(["-c", "-f", str(tmp_path / name)]) == 1
        out, err = capsys.readouterr()
        assert "s3cret" not in out + err
