"""A pair of routers with nothing wrong, and ways to spoil it."""

from __future__ import annotations

from collections.abc import Mapping

from pyvrrp.config.load import read
from pyvrrp.consult import node_of
from pyvrrp.doctor.node import Node
from pyvrrp.nodes import NodeFile

SOUND = """\
vrrp_script chk {{
    script "/usr/local/bin/check"
    interval 2
    timeout 1
    weight -20
}}
vrrp_instance VI_1 {{
    state BACKUP
    interface eth0
    virtual_router_id 51
    priority {priority}
    advert_int 1
    unicast_src_ip 10.0.0.{number}
    unicast_peer {{
        10.0.0.{other}
    }}
    virtual_ipaddress {{
        10.0.0.100/24
    }}
    track_script {{
        chk
    }}
}}
"""
Spoils = Mapping[str, str]
"""What stands in the file, and what stands there instead."""


def text(name: str, spoils: Spoils | None = None) -> str:
    """Return the file of ``lb1`` (priority 100) or ``lb2`` (priority 90)."""
    number = int(name[-1])
    whole = SOUND.format(priority=110 - 10 * number, number=number, other=3 - number)
    for before, after in (spoils or {}).items():
        assert before in whole, before
        whole = whole.replace(before, after)
    return whole


def node(name: str, content: str, suffix: str = "conf") -> Node:
    """Return a router as the doctor sees it, whose file says ``content``."""
    path = f"{name}.{suffix}"
    return node_of(NodeFile(name, path, read(content.encode(), path, config_id=name)))


def pair(first: Spoils | None = None, second: Spoils | None = None) -> list[Node]:
    """Return both routers."""
    return [node("lb1", text("lb1", first)), node("lb2", text("lb2", second))]
