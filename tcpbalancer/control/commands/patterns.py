"""Lists that rules look into, and what else HAProxy can show and there is nothing of here.

Source: HAProxy's management guide, section 9.3; ``pattern.c``, ``resolvers.c``.
"""

from __future__ import annotations

from tcpbalancer.control.cli_commands import RefusedError, Words, command
from tcpbalancer.control.cli_room import Conversation
from tcpbalancer.model import Level
from tcpbalancer.name_counts import COUNTS, WORDS

_NO_ACL = "Unknown ACL identifier. Please use #<id> or <file>."
_NO_MAP = "Unknown map identifier. Please use #<id> or <file>."


@command("show acl", "[[@<ver>] <acl>]", "report available acls or dump an acl's contents")
def show_acl(_conversation: Conversation, words: Words) -> str:
    """The lists of patterns."""
    if words:
        raise RefusedError(_NO_ACL)
    return "# id (file) description"


@command("show map", "[[@<ver>] <map>]", "report available maps or dump a map's contents")
def show_map(_conversation: Conversation, words: Words) -> str:
    """There are no maps."""
    if words:
        raise RefusedError(_NO_MAP)
    return "# id (file) description"


def _no_list(text: str, missing: str, least: int) -> None:
    """Register what changes a list that there is not: ``text`` is the command."""
    what = text.rsplit(" ", maxsplit=1)[1]

    def handler(_conversation: Conversation, words: Words) -> str:
        raise RefusedError(missing if len(words) < least else (_NO_ACL if what == "acl" else _NO_MAP))

    command(text, f"<{what}> ...", f"change a list of patterns ({what}); there is none", Level.ADMIN)(handler)


_no_list("add acl", "'add acl' expects two parameters: ACL identifier and pattern.", 2)
_no_list("add map", "'add map' expects three parameters (map identifier, key and value) or a payload", 2)
_no_list("del acl", "This command expects two parameters: ACL identifier and key.", 2)
_no_list("del map", "This command expects two parameters: map identifier and key.", 2)
_no_list("clear acl", "Missing ACL identifier.", 1)
_no_list("clear map", "Missing map identifier.", 1)
_no_list("set map", "'set map' expects three parameters: map identifier, key and value.", 3)
_no_list("get acl", "Missing ACL identifier and/or key.", 2)
_no_list("get map", "Missing map identifier and/or key.", 2)


@command("show resolvers", "[id]", "dumps counters from all resolvers section and associated name servers")
def show_resolvers(conversation: Conversation, words: Words) -> str:
    """How often each name server was asked, and how that ended."""
    sections = conversation.room.supervisor.current.configuration.resolvers
    if words and words[0] not in sections:
        raise RefusedError("Can't find that resolvers section")
    lines: list[str] = []
    for name in words[:1] or sections:
        lines.append(f"Resolvers section {name}")
        for server in sections[name].servers:
            lines.append(f" nameserver {server.name}:")
            lines += [f"  {f'{word}:':<12} {COUNTS[name, server.name, word]}" for word in WORDS]
    return "\n".join(lines)


@command("get var", "<name>", "retrieve contents of a process-wide variable")
def get_var(_conversation: Conversation, words: Words) -> str:
    """There are none."""
    if not words:
        raise RefusedError("Missing variable name.")
    raise RefusedError("Variable not found.")


@command("show ssl cert", "[<certfile>]", "display the SSL certificates used in memory, or the details of a file")
def show_ssl_cert(_conversation: Conversation, words: Words) -> str:
    """There are none."""
    if words:
        raise RefusedError("Can't display the certificate: Not found or the certificate is a bundle!")
    return ""


@command("show cache", "", "show cache status")
def show_cache(_conversation: Conversation, _words: Words) -> str:
    """There is none."""
    return ""


@command("dump stats-file", "", "not carried out: counters outlive a reload without a file")
def dump_stats_file(_conversation: Conversation, _words: Words) -> str:
    """Counters go over to the next configuration by themselves."""
    raise RefusedError("'dump stats-file' is not carried out by tcpbalancer: counters outlive a reload without a file.")
