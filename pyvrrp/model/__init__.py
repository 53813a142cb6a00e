"""What a configuration of the VRRP daemon says, once it is understood.

Laws: pure, frozen, valid by construction. The two front ends (keepalived.conf and YAML) build exactly this; no other
module looks at configuration text. Names are those of keepalived.conf(5) and of the RFCs.
"""

from __future__ import annotations

from pyvrrp.model.address import (
    FOREVER,
    TABLE_MAIN,
    Address,
    Interface,
    Network,
    Nexthop,
    Route,
    Rule,
    VirtualAddress,
)
from pyvrrp.model.configuration import (
    Configuration,
    Defaults,
    Dumps,
    GlobalSettings,
    ProcessSettings,
    Reloading,
    Settling,
    Spacing,
    TrackGroup,
)
from pyvrrp.model.instance import (
    LEAST_LEASE,
    LONGEST_LEASE,
    OWNER_PRIORITY,
    VRRP_GROUP,
    VRRP_GROUP6,
    Authentication,
    AuthType,
    GratuitousArp,
    HmacAuthentication,
    HmacMode,
    InitialState,
    Instance,
    Multicast,
    SyncGroup,
    Unicast,
    UnicastPeer,
    Vmac,
    shortest_lease,
    usual_lease,
)
from pyvrrp.model.tracking import (
    MAX_WEIGHT,
    NOWHERE,
    Fifo,
    NotifyScripts,
    Script,
    Tracked,
    Tracker,
    TrackerKind,
    TrackFile,
    TrackHttp,
    TrackProcess,
    TrackScript,
)

__all__ = [
    "FOREVER", "LEAST_LEASE", "LONGEST_LEASE", "MAX_WEIGHT", "NOWHERE", "OWNER_PRIORITY", "TABLE_MAIN", "VRRP_GROUP",
    "VRRP_GROUP6", "Address", "AuthType", "Authentication", "Configuration", "Defaults", "Dumps", "Fifo",
    "GlobalSettings", "GratuitousArp", "HmacAuthentication", "HmacMode", "InitialState", "Instance", "Interface",
    "Multicast", "Network", "Nexthop", "NotifyScripts", "ProcessSettings", "Reloading", "Route", "Rule", "Script",
    "Settling", "Spacing", "SyncGroup", "TrackFile", "TrackGroup", "TrackHttp", "TrackProcess", "TrackScript",
    "Tracked", "Tracker", "TrackerKind", "Unicast", "UnicastPeer", "VirtualAddress", "Vmac", "shortest_lease",
    "usual_lease",
]  # fmt: skip
