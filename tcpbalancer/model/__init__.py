"""What a configuration of the balancer says, once it is understood.

Laws: pure, frozen, valid by construction. Times are float seconds, 0 or None as each field says. The two front ends
(haproxy.cfg and YAML) build exactly this and nothing else; no other module looks at configuration text. A ``listen``
section becomes a Frontend and a Backend of the same name. Names are HAProxy's keywords.
"""

from __future__ import annotations

from tcpbalancer.model.backend import Backend, Hashing, Server
from tcpbalancer.model.check import AgentCheck, Check, ExternalCheck, Probe, Tls
from tcpbalancer.model.conduct import InitState, OnError
from tcpbalancer.model.configuration import Configuration
from tcpbalancer.model.dialogue import PLAIN_CONNECT, Dialogue
from tcpbalancer.model.frontend import Bind, Frontend
from tcpbalancer.model.log import ConnectionLog, LogMoment, LogTarget, ProxyLog
from tcpbalancer.model.naming import Naming, Resolvers
from tcpbalancer.model.page import HttpFront, HttpRule, StatsPage, User, UserList
from tcpbalancer.model.process import Identity, Process
from tcpbalancer.model.proxy import NOWHERE, Mode, Secret, Timeouts
from tcpbalancer.model.saved import SavedServer
from tcpbalancer.model.sockets import KeepAlive, SocketOptions
from tcpbalancer.model.stats_socket import Level, StatsSocket

__all__ = [
    "NOWHERE",
    "PLAIN_CONNECT",
    "AgentCheck",
    "Backend",
    "Bind",
    "Check",
    "Configuration",
    "ConnectionLog",
    "Dialogue",
    "ExternalCheck",
    "Frontend",
    "Hashing",
    "HttpFront",
    "HttpRule",
    "Identity",
    "InitState",
    "KeepAlive",
    "Level",
    "LogMoment",
    "LogTarget",
    "Mode",
    "Naming",
    "OnError",
    "Probe",
    "Process",
    "ProxyLog",
    "Resolvers",
    "SavedServer",
    "Secret",
    "Server",
    "SocketOptions",
    "StatsPage",
    "StatsSocket",
    "Timeouts",
    "Tls",
    "User",
    "UserList",
]
