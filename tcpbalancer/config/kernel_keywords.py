"""``option kernel-relay`` and ``dataplane``: connections are relayed by the kernel, and no process sees them.

Laws: pure; handlers report and never raise. HAProxy has neither word. What a proxy must not ask for then is known to
``kernel_relay``.
"""

from __future__ import annotations

from tcpbalancer.config.findings import maybe
from tcpbalancer.config.registry import PROXY, Reading, keyword

KERNEL_RELAY = "kernel-relay"
"""Under which it is kept: a bool."""


@keyword(
    "option kernel-relay",
    PROXY,
    "Ours alone: nftables lead connections to servers, and no process sees them (docs/kernel-plane.md).",
    words=2,
    negatable=True,
)
def option_kernel_relay(reading: Reading) -> None:
    """Read ``option kernel-relay``."""
    if reading.no_more_than(2):
        reading.draft.settings.values[KERNEL_RELAY] = not reading.negated


@keyword("dataplane { kernel | proxy }", PROXY, "Ours alone: kernel is option kernel-relay, proxy is without it.")
def dataplane(reading: Reading) -> None:
    """Read ``dataplane``."""
    word = reading.words[1] if len(reading.words) > 1 else ""
    if word not in {"kernel", "proxy"}:
        reading.error(1, f"'dataplane' expects 'kernel' or 'proxy' (got '{word}'){maybe(word, ('kernel', 'proxy'))}")
    elif reading.no_more_than(2):
        reading.draft.settings.values[KERNEL_RELAY] = word == "kernel"
