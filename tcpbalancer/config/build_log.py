"""From a draft of what is logged to the model.

Laws: pure. See ``build``.
"""

from __future__ import annotations

from tcpbalancer.config.drafts import GlobalDraft, LogDraft
from tcpbalancer.log_format import CONNECTION, TCPLOG, parse_log_format
from tcpbalancer.model import ConnectionLog, LogMoment, Mode, ProxyLog


def proxy_log(draft: LogDraft, whole: GlobalDraft) -> ProxyLog:
    """Return where a proxy's lines go."""
    return ProxyLog((*(whole.log_targets if draft.use_global else ()), *draft.targets), draft.tag)


def connection_log(draft: LogDraft, whole: GlobalDraft, mode: Mode = Mode.TCP) -> ConnectionLog | None:
    """Return what a frontend writes of its connections: without a format who connects; without a target nothing."""
    if not proxy_log(draft, whole).targets:
        return None
    has_format = draft.format is not None or draft.tcplog
    moment = LogMoment.ACCEPTED if not has_format else LogMoment.ESTABLISHED if draft.asap else LogMoment.ENDED
    return ConnectionLog(
        draft.format or parse_log_format(TCPLOG if draft.tcplog else CONNECTION.replace("TCP", mode.name)),
        moment,
        draft.without_null,
        draft.without_normal,
        draft.errors_louder,
    )
