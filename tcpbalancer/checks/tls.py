"""TLS in checks, with the standard library.

Laws: a context is made once for each way of speaking, when the configuration is read: later, in a chroot, its files may
be out of reach. A file that cannot be read after all is our own lack and says nothing of the server. A name is verified
where one is given; without one the chain alone is, as in HAProxy.

Source: HAProxy's configuration manual, ``check-ssl``, ``check-sni``, ``check-alpn``, ``verify``, ``ca-file``, ``crt``.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from functools import cache

from tcpbalancer.check_status import CheckResult, CheckStatus
from tcpbalancer.model import Check, Tls
from tcpbalancer.model.dialogue import Connect

_VERSIONS = {
    "TLSv1.0": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}
LONGEST = 64 * 1024
_OTHER_HOST = 62  # X509_V_ERR_HOSTNAME_MISMATCH


class UnreadableError(OSError):
    """A file that TLS needs cannot be used."""


@cache
def context(tls: Tls, alpn: tuple[str, ...], *, has_name: bool) -> ssl.SSLContext:
    """Return how TLS is spoken; raises UnreadableError."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = tls.verify and has_name
    made.verify_mode = ssl.CERT_REQUIRED if tls.verify else ssl.CERT_NONE
    path, words = "", "unable to use '{}' ({})"
    try:
        if tls.verify and tls.ca_file == "@system-ca":
            made.load_default_certs()
        elif tls.verify and tls.ca_file:
            path, words = tls.ca_file, "Couldn't open the ca-file '{}' ({})"
            made.load_verify_locations(path)
        if tls.verify and tls.crl_file:
            path, words = tls.crl_file, "unable to use the crl-file '{}' ({})"
            made.load_verify_locations(path)
            made.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF
        if tls.certificate:
            path, words = tls.certificate, "unable to stat SSL certificate from file '{}' : {}"
            made.load_cert_chain(path)
        if tls.ciphers:
            path, words = tls.ciphers, "unable to set SSL cipher list to '{}' ({})"
            made.set_ciphers(path)
    except (OSError, ValueError) as wrong:
        reason = wrong.strerror if isinstance(wrong, OSError) and wrong.strerror else str(wrong)
        raise UnreadableError(words.format(path, reason)) from wrong
    if tls.lowest in _VERSIONS:
        made.minimum_version = _VERSIONS[tls.lowest]
    if tls.highest in _VERSIONS:
        made.maximum_version = _VERSIONS[tls.highest]
    if alpn:
        made.set_alpn_protocols(list(alpn))
    return made


async def secured(
    sock: socket.socket, step: Connect, check: Check
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Agree on TLS over a connection; raises OSError (ssl.SSLError is one)."""
    made, name = spoken(step, check)
    return await asyncio.open_connection(
        sock=sock, ssl=made, server_hostname=name, limit=LONGEST, ssl_handshake_timeout=3600
    )


def spoken(step: Connect, check: Check) -> tuple[ssl.SSLContext, str]:
    """Return how a step speaks TLS, and with whom; raises UnreadableError."""
    default = step.default
    name = step.sni or (check.sni if default else None)
    alpn = step.alpn or (check.alpn if default else ())
    verified = check.tls.verify_host or name
    return context(check.tls, alpn, has_name=bool(verified)), verified or ""


def handshake_problem(problem: OSError) -> CheckResult:
    """Return the result for a connection that stood and could not be used."""
    if isinstance(problem, UnreadableError):
        return CheckResult(CheckStatus.SOCKERR, info=str(problem), is_ours=True)
    if isinstance(problem, ssl.SSLCertVerificationError):
        if problem.verify_code == _OTHER_HOST:
            words = "Server presented an SSL certificate different from the expected one"
            return CheckResult(CheckStatus.L6RSP, info=words)
        return CheckResult(CheckStatus.L6RSP, info=f"SSL handshake failure ({problem.verify_message})")
    if isinstance(problem, ssl.SSLError):
        reason = (problem.reason or str(problem)).replace("_", " ").lower()
        return CheckResult(CheckStatus.L6RSP, info=f"SSL handshake failure ({reason})")
    return CheckResult(CheckStatus.L6RSP, info="SSL handshake failure (connection closed)")
