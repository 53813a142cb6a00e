"""What the files that people have ask for: each of it is carried out, and another test names it.

The rows are the features of HAProxy's TCP mode that configurations of Patroni, Galera, Redis, Swarm and their like use,
in the words of the files. Where one is only accepted, it stands in ACCEPTED with the reason.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REFERENCE = (Path(__file__).parents[2] / "docs/reference/haproxy.md").read_text()
TESTS = Path(__file__).parents[1]
OTHER_TESTS = " ".join(
    path.read_text(errors="replace").replace("\\n", " ").replace("\\t", " ")
    for suffix in ("py", "cfg")
    for path in sorted(TESTS.rglob(f"*.{suffix}"))
    if path != Path(__file__)
)
ROWS = {
    "sections": "global defaults frontend backend listen",
    "mode": "mode",
    "bind": "name id maxconn backlog interface v4v6 v6only tcp-ut tfo transparent mss namespace accept-proxy mode user "
    "group level expose-fd",
    "server": "check port addr inter fall rise maxconn weight backup disabled no-check default-server",
    "balance": "balance,roundrobin balance,static-rr balance,leastconn balance,first balance,source balance,random "
    "hash-type",
    "httpchk": "option,httpchk http-check,expect http-check,send http-check,connect http-check,disable-on-404 "
    "http-check,send-state http-check,comment http-check,set-var http-check,unset-var",
    "tcp-check": "option,tcp-check tcp-check,connect tcp-check,send tcp-check,send-binary tcp-check,send-lf "
    "tcp-check,expect tcp-check,comment tcp-check,set-var",
    "other checks": "option,pgsql-check option,mysql-check option,redis-check option,ldap-check option,smtpchk "
    "option,ssl-hello-chk option,spop-check option,external-check external-check agent-check agent-port agent-addr "
    "agent-inter agent-send",
    "states": "on-marked-down on-marked-up fastinter downinter slowstart spread-checks max-spread-checks observe "
    "error-limit on-error track init-state",
    "timeouts": "timeout,connect timeout,client timeout,server timeout,check timeout,queue timeout,tunnel "
    "timeout,client-fin timeout,server-fin",
    "retries": "retries option,redispatch",
    "logs": "option,tcplog log log-tag log-format option,dontlognull option,dontlog-normal option,logasap "
    "option,log-health-checks option,log-separate-errors",
    "statistics": "stats,enable stats,uri stats,realm stats,auth stats,refresh stats,admin stats,hide-version "
    "stats,show-legends stats,show-node stats,scope stats,socket stats,timeout",
    "queues": "maxqueue minconn fullconn option,allbackups",
    "rules": "acl tcp-request,connection tcp-request,session tcp-request,content tcp-request,inspect-delay use_backend "
    "use-server default_backend stick-table stick,on stick,match src dst dst_port src_port fe_id nbsrv be_conn "
    "srv_is_up req.len req.payload req.ssl_sni WAIT_END TRUE FALSE LOCALHOST",
    "PROXY protocol": "send-proxy send-proxy-v2 check-send-proxy proxy-v2-options",
    "names": "resolvers init-addr server-template resolve-prefer",
    "sockets": "source option,tcpka option,clitcpka option,srvtcpka clitcpka-idle clitcpka-cnt clitcpka-intvl "
    "srvtcpka-idle srvtcpka-cnt srvtcpka-intvl option,nolinger option,independent-streams option,tcp-smart-accept "
    "option,tcp-smart-connect option,socket-stats",
    "state files": "server-state-file load-server-state-from-file server-state-base",
    "TLS of checks": "check-ssl check-sni check-alpn",
    "process": "maxconn nbthread daemon pidfile user group chroot master-worker hard-stop-after node description "
    "setenv presetenv ulimit-n",
    "metrics": "http-request,use-service monitor-uri",
}
ACCEPTED = {
    "option socket-stats": "the statistics have no rows of listeners",
    "description": "of a proxy; that of global is shown",
}
NAMES = sorted({word.replace(",", " ") for words in ROWS.values() for word in words.split()})


NO_ROW = {
    "http-check set-var": "has a name in parentheses",
    "http-check unset-var": "as set-var",
    "tcp-check set-var": "as set-var",
    "http-request use-service": "stands under http-request",
    **dict.fromkeys(("TRUE", "FALSE", "LOCALHOST", "WAIT_END"), "is an ACL that is always there"),
}
SAMPLES = set(re.findall(r"`([\w.]+)`", " ".join(re.findall(r"^\*\*done\*\*: (.*)$", REFERENCE, re.MULTILINE))))


def rows_of(name: str) -> list[str]:
    """Return what the reference says of a keyword, an option of a line, an algorithm or a sample."""
    short = name.removeprefix("balance ")
    either = rf"(?:{re.escape(name)}|{re.escape(short)})"
    found = re.findall(rf"^\| `{either}(?:[ (\[{{<.:\\][^`]*)?` \|(?: [dflb]* ?\|)? (\w+) \|", REFERENCE, re.MULTILINE)
    return [str(row) for row in found]


@pytest.mark.parametrize("name", [name for name in NAMES if name not in NO_ROW | dict.fromkeys(SAMPLES)])
def test_it_is_carried_out(name: str) -> None:
    said = rows_of(name)
    assert said, f"the reference has no row for {name}"
    assert "done" in said or name in ACCEPTED


@pytest.mark.parametrize("name", NAMES)
def test_another_test_names_it(name: str) -> None:
    words = [re.escape(word) for word in name.split()]
    assert re.search(r"(?<![\w-])" + r"[\s\"',]+".join(words) + r"(?![\w-])", OTHER_TESTS), f"no test names {name}"
