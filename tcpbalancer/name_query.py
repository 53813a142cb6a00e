"""Asking name servers for the addresses of a name.

Laws: a question always ends, within its retries, with a ``Reply``; it raises nothing but ``CancelledError``. All name
servers of a section are asked at once, and the first good answer counts. The preferred family is asked for first, the
other one only if there is none of it. dnspython speaks the protocol, and is imported only where names are looked up.
"""

from __future__ import annotations

import asyncio

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype

from tcpbalancer.model.naming import NameServer, Resolvers
from tcpbalancer.name_counts import COUNTS
from tcpbalancer.names import Outcome, Reply

_OUTCOMES = {dns.rcode.NOERROR: Outcome.VALID, dns.rcode.NXDOMAIN: Outcome.NX, dns.rcode.REFUSED: Outcome.REFUSED}
_RANK = (Outcome.VALID, Outcome.NX, Outcome.REFUSED, Outcome.OTHER, Outcome.TIMEOUT)


async def ask_for(host: str, section: Resolvers, *, ipv4_first: bool) -> Reply:
    """Ask for a name's addresses, for both families if the preferred one has none."""
    kinds = [dns.rdatatype.AAAA, dns.rdatatype.A]
    reply = Reply(Outcome.TIMEOUT)
    for kind in reversed(kinds) if ipv4_first else kinds:
        reply = await _ask_with_retries(host, section, kind)
        if reply.addresses or reply.outcome is Outcome.TIMEOUT:
            return reply
    return reply


async def _ask_with_retries(host: str, section: Resolvers, kind: dns.rdatatype.RdataType) -> Reply:
    reply = Reply(Outcome.TIMEOUT)
    for _ in range(max(section.retries, 1)):
        reply = await _ask_all(host, section, kind)
        if reply.outcome is not Outcome.TIMEOUT:
            break
    return reply


async def _ask_all(host: str, section: Resolvers, kind: dns.rdatatype.RdataType) -> Reply:
    """Return the first answer with addresses, or else the one that says most."""
    tasks = [asyncio.create_task(_ask_one(host, server, section, kind)) for server in section.servers]
    replies = [Reply(Outcome.TIMEOUT)]
    try:
        for next_one in asyncio.as_completed(tasks):
            replies.append(await next_one)
            if replies[-1].addresses:
                return replies[-1]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return min(replies, key=lambda reply: _RANK.index(reply.outcome))


async def _ask_one(host: str, server: NameServer, section: Resolvers, kind: dns.rdatatype.RdataType) -> Reply:
    """Ask one name server, and count how that ended."""
    COUNTS[section.name, server.name, "sent"] += 1
    reply = await _reply_of(host, server, section, kind)
    COUNTS[section.name, server.name, reply.outcome.name.lower()] += 1
    return reply


async def _reply_of(host: str, server: NameServer, section: Resolvers, kind: dns.rdatatype.RdataType) -> Reply:
    try:
        question = dns.message.make_query(host, kind, use_edns=0, payload=section.payload)
        answer, _ = await dns.asyncquery.udp_with_fallback(
            question, server.address, timeout=section.retry, port=server.port, ignore_unexpected=True
        )
    except (dns.exception.Timeout, OSError):
        await asyncio.sleep(0)
        return Reply(Outcome.TIMEOUT, by=server.name)
    except dns.exception.DNSException:
        return Reply(Outcome.OTHER, by=server.name)
    found = tuple(str(record) for entry in answer.answer if entry.rdtype == kind for record in entry)
    return Reply(_OUTCOMES.get(answer.rcode(), Outcome.OTHER), found, server.name)
