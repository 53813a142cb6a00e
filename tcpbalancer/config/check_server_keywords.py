"""Options of a server that say how it is checked.

Laws: pure; see ``tcpbalancer.config.line_options``. Who would be asked something else than the file says is refused.

Source: HAProxy's configuration manual, section 5.2 "Server and default-server options".
"""

from __future__ import annotations

from tcpbalancer.config.line_options import Given, server_flag, server_option
from tcpbalancer.config.server_keywords import delay, port
from tcpbalancer.config.values import parse_address

_VERSIONS = ("SSLv3", "TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3")
server_flag("check-ssl", "Its checks speak TLS.", "no-check-ssl")
server_flag("check-send-proxy", "Its checks begin with a PROXY header.", "no-check-send-proxy")
server_flag("agent-check", "Ask its agent, too.", "no-agent-check")
server_option("agent-port <port>", "The port of its agent.", expects="a port number as")(port)
server_option("agent-inter <time>", "The time from one question to its agent to the next.", expects="a delay as")(delay)


def _text(name: str, summary: str, missing: str) -> None:
    """Register an option that takes a text; ``missing`` is what HAProxy says if there is none."""

    def parse(given: Given) -> str:
        if not given.text:
            raise ValueError(f"'{name}' : missing {missing}")
        given.used = 1
        return given.text

    server_option(f"{name} [<text>]", summary)(parse)


_text("check-sni", "The name that its checks ask for in TLS.", "SNI")
_text("ca-file", "Who may have signed its certificate: a PEM file, or @system-ca.", "CAfile path")
_text("crl-file", "Certificates that are revoked.", "CRLfile path")
_text("crt", "The certificate that is shown to it, with its key.", "certificate file path")
_text("verifyhost", "The name that its certificate must have.", "hostname to verify against")
_text("ciphers", "The ciphers up to TLS 1.2.", "cipher suite")
server_option("agent-send <text>", "What its agent is told first.", expects="a string as")(lambda given: given.text)


@server_option("addr <address>[:<port>]", "The address that checks go to.", expects="<ipv4|ipv6> as")
def addr(given: Given) -> object:
    """Read ``addr``; a port behind it counts if there is no ``port``."""
    address = parse_address(given.text)
    if not address.host or address.offset:
        raise ValueError(f"'{given.name}' expects an address, not '{given.text}'")
    return given.text


@server_option("agent-addr <address>", "The address of its agent.", expects="an address as")
def agent_addr(given: Given) -> object:
    """Read ``agent-addr``."""
    return addr(given)


@server_option("check-alpn [<protocols>]", "What its checks offer to speak in TLS.")
def check_alpn(given: Given) -> tuple[str, ...]:
    """Read ``check-alpn``: names separated by commas."""
    if not given.text:
        raise ValueError(f"'{given.name}' : missing the comma-delimited ALPN protocol suite")
    given.used = 1
    names = tuple(name for name in given.text.split(",") if name)
    if not names or any(len(name) > 255 or not name.isascii() for name in names):
        raise ValueError(f"'{given.name}' expects the protocol list as an argument")
    return names


@server_option("verify [none|required]", "Whether its certificate must be a good one.")
def verify(given: Given) -> bool:
    """Read ``verify``."""
    if not given.text:
        raise ValueError(f"'{given.name}' : missing verify method")
    given.used = 1
    if given.text not in {"none", "required"}:
        raise ValueError(
            f"'{given.name}' : unknown verify method '{given.text}', only 'none' and 'required' are supported"
        )
    return given.text == "required"


for _name, _which in (("ssl-min-ver", "lowest"), ("ssl-max-ver", "highest")):

    @server_option(f"{_name} <version>", f"The {_which} version of TLS.", expects="a version as")
    def tls_version(given: Given) -> str:
        """Read ``ssl-min-ver`` or ``ssl-max-ver``."""
        if given.text not in _VERSIONS:
            raise ValueError(f"'{given.name}' : unknown SSL version '{given.text}'")
        return given.text
