"""Single statements, right and wrong, read by the real HAProxy 2.6 and by ours: the same verdict, the same words.

Where ours says openly that it does not carry something out, the real one may say what it likes of it. Every other
difference is on a list here, with its reason.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from balancer_process import haproxy

from hakit.diagnostics import ConfigError, Severity
from tcpbalancer.config.load import read_texts

pytestmark = pytest.mark.interop
STATEMENTS = Path(__file__).parent / "haproxy_statements.txt"
TIMED = "defaults\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n"
HEADERS = {
    "global": "global\n ",
    "defaults": "defaults\n ",
    "frontend": f"{TIMED}frontend f\n bind :1\n ",
    "backend": f"{TIMED}backend b\n ",
    "listen": f"{TIMED}listen l\n bind :1\n ",
}
REFUSED_HERE = re.compile(r"by tcpbalancer")
"""In an error: we refuse by name what we cannot do."""
PLACE = re.compile(r"^\[ALERT\] *\(\d+\) : (config : )?(([Pp]arsing )?\[f\.cfg:\d+\] ?: )?")
OPENLY = re.compile(r"not carried out by tcpbalancer")

STRICTER = {
    r"bind :80 (backlog|maxconn) abc": "no number: 2.6 takes it for 0",
    r"(maxconn|retries) (abc|-5|x|3x|99999999999)": "no number: 2.6 takes it for 0, or for what stands before",
    r"default-server (maxconn|weight|port) \w+": "the same",
    r"server .* (weight|maxconn|port)( abc| x| 0| 99999)?": "the same",
    r"server .* addr 1\.2\.3\.5:80": "an address without a port",
    r'option httpchk GET ""': "an empty word: refused since 3.3",
    r"option httpchk (G\(T|GET / HTTP)( /|/1\.0.*)?": "what no server could read is not sent",
    r"http-check (expect status (2|600)|send hdr a: b)": "the same",
    r"setenv a b c": "3.x refuses it",
    r"(uid|gid|spread-checks|ulimit-n|fullconn|bind :80 (backlog|maxconn)) (abc|x)": "no number",
    r"option redispatch abc|server .* (maxqueue -1|agent-port abc)": "no number",
    r"default-server id 4": "2.6 says so, too, and goes on",
    r"log :514 local0": "no host",
    r"stats (uri x|auth :x|enable x|realm .*)": "no request would ask for it; nobody could log in; a word too many",
    r"bind :80,": "an address that is none",
    r"server .* observe layer7": "only in HTTP; 2.6 says so, too, and goes on",
    r"server s (/tmp/sock|unix@/tmp/sock|abns@x)": "not carried out yet",
}
"""Statements that 2.6 takes and ours does not."""
QUIETER = {
    r"log (nosuch|bogus)\.invalid local0": "a name is looked up when something is logged",
    r"bind :80 (id abc|nice 5000)": "they change nothing here",
    r"option httpchk GET /x HTTP/1\.1 host": "3.x takes a host",
    r"server .* resolvers nope": "not carried out yet",
    r"server .* (check-ssl|addr a:1)": "checked without a certificate; a name is looked up when it is needed",
    r"bind fd@99": "looked at when it starts",
    r".* namespace nosuch": "opened when it starts",
    r"balance (url_param|hdr)": "roundrobin is used in any case",
    r"default_backend b": "in a backend: ignored with a warning",
}
"""Statements that 2.6 refuses and ours takes without a word of what it does not do."""
OTHERWISE = {
    r"balance bogus": "3.x lists more algorithms",
    r"timeout( foo 1s)?": "3.x lists more timeouts",
    r"(setenv|presetenv).*": "words of 3.x",
    r"mode .*": "ours guesses what was meant",
    r"log .*": "ours guesses what was meant",
    r".*\b(fast|down|agent-)?inter (abc|5x)": "2.6 names agent-inter whichever it is",
    r"server (s|x) 1\S+": "in a frontend: 2.6 writes the place twice",
    r"stats (timeout|realm|refresh)": "2.6 ends its line there",
    r"bind (1\.2\.3\.4:-80|,:80|:80 name|:80 ssl.*)": "said by us in another way",
    r"(http|tcp)-check .*": "said by us in another way",
    r"(max-spread-checks|hard-stop-after|rate-limit sessions) abc": "said by us in another way",
    r"balance random\(.\)": "words of 3.x",
    r"http-request bogus": "2.6 of Debian has one action more",
    r"timeout client 1s": "ours guesses what was meant",
    r"stick-table type ip": "words of 3.x",
    r"acl": "2.6 forgets the end of its line",
    r"option (pgsql|mysql)-check.*": "ours has a word of advice, and a client of newer servers",
    r"server s (::1|nosuch\.invalid:80)": "ours has a word of advice",
    r"server .* (source|agent-send|addr a:1|ssl.*|check-ssl)": "said by us in another way",
}
"""Statements that both refuse, each in its own words."""


def cases() -> list[tuple[str, str]]:
    found = []
    for line in STATEMENTS.read_text().splitlines():
        if line and not line.startswith("#"):
            section, _, statement = line.partition(" | ")
            found.append((section.strip(), statement))
    return found


def listed(statement: str, entries: dict[str, str]) -> bool:
    return any(re.fullmatch(pattern, statement) for pattern in entries)


def real(folder: Path, text: str) -> list[str]:
    """Return what the real one says is wrong."""
    (folder / "f.cfg").write_text(text)
    done = subprocess.run(
        [haproxy(), "-c", "-f", "f.cfg"], cwd=folder, capture_output=True, text=True, timeout=30, check=False
    )
    alerts = [line for line in done.stderr.splitlines() if line.startswith("[ALERT]")]
    texts = [PLACE.sub("", line) for line in alerts]
    assert done.returncode in {0, 1, 2}
    return (
        [text for text in texts if not re.match(r"(Error\(s\)|Fatal errors) found", text)]
        if done.returncode == 1
        else []
    )


def plain(message: str) -> str:
    """Return a message without quotes and full stops, of which each version has its own."""
    return re.sub(r"[.'\s]", "", message)


def ours(text: str) -> tuple[list[str], bool]:
    """Return what ours says is wrong, and whether it says that something is not carried out."""
    try:
        loaded = read_texts([("f.cfg", text)], {})
    except ConfigError as wrong:
        errors = [found.message for found in wrong.diagnostics if found.severity is Severity.ERROR]
        return [text for text in errors if not re.match(r"(Error\(s\)|Fatal errors) found", text)], False
    return [], any(OPENLY.search(found.message) for found in loaded.warnings)


@pytest.mark.parametrize(("section", "statement"), cases(), ids=[f"{one}: {two}" for one, two in cases()])
def test_a_statement_gets_the_verdict_that_haproxy_gives(section: str, statement: str, tmp_path: Path) -> None:
    text = f"{HEADERS[section]}{statement}\n"
    theirs, (mine, openly) = real(tmp_path, text), ours(text)
    if mine and not theirs:
        assert REFUSED_HERE.search(mine[0]) or listed(statement, STRICTER), mine
    elif theirs and not mine:
        assert openly or listed(statement, QUIETER), theirs
    elif theirs and plain(theirs[0]) not in [plain(message) for message in mine]:
        assert REFUSED_HERE.search(mine[0]) or listed(statement, OTHERWISE), (theirs, mine)
