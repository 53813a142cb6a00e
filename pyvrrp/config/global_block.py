"""``global_defs``: all its keywords in one table.

Laws: pure; data. What a keyword does stands beside its row: defaults of the instances, the daemon, its process.
"""

from __future__ import annotations

from pyvrrp.config import global_daemon, global_instances, global_process
from pyvrrp.config.global_defaults import (
    Garp,
    GlobalBlock,
    InstanceDefaults,
    read_down_timer_adverts,
    read_vip_lease,
)
from pyvrrp.config.keywords import Table
from pyvrrp.config.known import GLOBAL_DEFS

__all__ = ["TABLE", "Garp", "GlobalBlock", "InstanceDefaults", "read_down_timer_adverts", "read_vip_lease"]

TABLE: Table[GlobalBlock] = Table(
    {**global_daemon.KEYWORDS, **global_instances.KEYWORDS, **global_process.KEYWORDS}, GLOBAL_DEFS
)
