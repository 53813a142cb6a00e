"""Keywords that HAProxy had once: what it says of them now, as data.

Laws: pure. They are refused, as HAProxy refuses them. A key is a keyword, or ``option`` and a name.

Source: src/cfgparse-listen.c, src/cfgparse-global.c, src/proxy.c.
"""

from __future__ import annotations

_SINCE = "The '{}' directive is not supported anymore since HAProxy 2.1."
_INSTEAD = {
    "block": "'http-request deny' which uses the exact same syntax",
    "cliexp": "'http-request replace-path', 'http-request replace-uri' or 'http-request replace-header' instead",
    "reqadd": "'http-request add-header' instead",
    "reqallow": "'http-request allow' instead",
    "reqdel": "'http-request del-header' instead",
    "reqdeny": "'http-request deny' instead",
    "reqiallow": "'http-request allow' instead",
    "reqidel": "'http-request del-header' instead",
    "reqideny": "'http-request deny' instead",
    "reqirep": "'http-request replace-header' instead",
    "reqitarpit": "'http-request tarpit' instead",
    "reqrep": "'http-request replace-path', 'http-request replace-uri' or 'http-request replace-header' instead",
    "reqtarpit": "'http-request tarpit' instead",
    "rspadd": "'http-response add-header' instead",
    "rspdel": "'http-response del-header' instead",
    "rspdeny": "'http-response deny' instead",
    "rspidel": "'http-response del-header' instead",
    "rspideny": "'http-response deny' instead",
    "rspirep": "'http-response replace-header' instead",
    "rsprep": "'http-response replace-header' instead",
    "srvexp": "'http-response replace-header' instead",
}
_OPTION = "option '{}' is not supported any more since HAProxy {}"
_TIMEOUT = "the '{}' directive is not supported anymore since HAProxy 2.1. Use '{}'."
_REDISPATCH = "keyword '{}' directive is not supported anymore since HAProxy 2.1. Use 'option redispatch'."

REMOVED = {
    **{name: f"{_SINCE.format(name)} Use {instead}." for name, instead in _INSTEAD.items()},
    **{name: _SINCE.format(name) for name in ("reqipass", "reqpass")},
    **{name: _REDISPATCH.format(name) for name in ("redisp", "redispatch")},
    "appsession": "'appsession' is not supported anymore since HAProxy 1.6.",
    "bind-process": "'bind-process' is not supported anymore.",
    "clitimeout": _TIMEOUT.format("clitimeout", "timeout client"),
    "contimeout": _TIMEOUT.format("contimeout", "timeout connect"),
    "grace": "the 'grace' keyword is not supported any more since HAProxy version 2.5.",
    "monitor-net": "'monitor-net' doesn't exist anymore. Please use 'http-request return status 200' instead.",
    "srvtimeout": _TIMEOUT.format("srvtimeout", "timeout server"),
    "option forceclose": (
        f"{_OPTION.format('forceclose', '2.0')}, please just remove it, or use 'option httpclose' if absolutely needed."
    ),
    "option http-tunnel": (f"{_OPTION.format('http-tunnel', '2.1')}, please just remove it, it shouldn't be needed."),
    "option http_proxy": f"{_OPTION.format('http_proxy', '2.5')}.",
}
"""Of proxies."""

REMOVED_GLOBAL = {
    "nbproc": (
        "nbproc is not supported any more since HAProxy 2.5. Threads will automatically be used on multi-processor "
        "machines if available."
    ),
}
"""Of ``global``."""
