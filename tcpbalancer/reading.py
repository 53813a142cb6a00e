"""Reads the files that the command line names, for a start and for a reload alike.

Laws: what the command line says goes before what the files say. Nothing is told here: whoever asks tells it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from hakit.diagnostics import Diagnostic
from tcpbalancer.config.load import Flags, Loaded, load
from tcpbalancer.options import Options


class Unfit(Exception):  # noqa: N818 (it says what the configuration is)
    """A configuration without errors that is refused all the same; ``warnings`` are to be told before."""

    def __init__(self, reason: str, warnings: Sequence[Diagnostic]) -> None:
        self.warnings = warnings
        super().__init__(reason)


def read(options: Options) -> Loaded:
    """Return the configuration with what is to be told of it; raises ConfigError or Unfit."""
    flags = Flags(options.maxconn, options.proxy_maxconn, options.tolerate_unresolved, options.diagnose)
    peer = {} if options.local_peer is None else {"HAPROXY_LOCALPEER": options.local_peer}
    loaded = load(options.files, {**os.environ, **peer}, flags)
    # Advice is ours alone, and HAProxy would have said nothing: it does not count for -dW.
    zero_warning = options.zero_warning or loaded.configuration.process.zero_warning
    if zero_warning and any(not found.advice for found in loaded.warnings):
        raise Unfit("Some warnings were found and 'zero-warning' is set. Aborting.", loaded.warnings)
    configuration = loaded.configuration
    if options.no_reuse_port:
        configuration = replace(configuration, process=replace(configuration.process, shares_ports=False))
    return Loaded(configuration, loaded.warnings)
