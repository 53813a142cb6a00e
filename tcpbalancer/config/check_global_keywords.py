"""Keywords of ``global`` about checks.

Laws: pure; handlers report and never raise. What they say is kept in ``GlobalDraft.values`` under their own names.

Source: HAProxy's configuration manual, section 3 "Global parameters".
"""

from __future__ import annotations

from tcpbalancer.config.findings import PARSING_TIGHT
from tcpbalancer.config.registry import GLOBAL, Reading, keyword
from tcpbalancer.config.values import TimeError, parse_time

KEEPS_ENVIRONMENT = "external-check-keeps-environment"


@keyword("spread-checks <percent>", GLOBAL, "How far the times of checks are strewn, 0 to 50 percent.")
def spread_checks(reading: Reading) -> None:
    """Read ``spread-checks``."""
    text = reading.words[1] if len(reading.words) > 1 else ""
    if not text:
        reading.error(1, "'spread-checks' expects an integer argument (0..50).", PARSING_TIGHT)
    elif not (text.isascii() and text.isdigit() and len(text) < 4 and int(text) <= 50):
        reading.error(1, "'spread-checks' needs a positive value in range 0..50.", PARSING_TIGHT)
    elif reading.no_more_than(2):
        reading.whole.values["spread-checks"] = int(text)


@keyword("max-spread-checks <time>", GLOBAL, "The longest time over which first checks are spread.")
def max_spread_checks(reading: Reading) -> None:
    """Read ``max-spread-checks``."""
    if len(reading.words) < 2:
        reading.error(1, "'max-spread-checks' expects an integer argument (0..50).", PARSING_TIGHT)
        return
    try:
        reading.whole.values["max-spread-checks"] = parse_time(reading.words[1])
    except TimeError as wrong:
        message = str(wrong)
        if wrong.character is not None:
            message = f"unsupported character '{wrong.character}' in 'max-spread-checks' (wants an integer delay)"
        reading.error(1, f"{message}.", PARSING_TIGHT)


@keyword("external-check [preserve-env]", GLOBAL, "Allow 'option external-check'.")
def external_check(reading: Reading) -> None:
    """Read ``external-check`` of ``global``."""
    word = reading.words[1] if len(reading.words) > 1 else ""
    if word not in {"", "preserve-env"}:
        reading.error(1, f"'external-check' only supports 'preserve-env' as an argument, found '{word}'.")
    elif reading.no_more_than(2):
        reading.whole.values["external-check"] = True
        reading.whole.values[KEEPS_ENVIRONMENT] = bool(word)


@keyword("ssl-server-verify { none | required }", GLOBAL, "Whether servers' certificates must be good ones.")
def ssl_server_verify(reading: Reading) -> None:
    """Read ``ssl-server-verify``."""
    word = reading.words[1] if len(reading.words) > 1 else ""
    if word not in {"none", "required"}:
        reading.error(1, "'ssl-server-verify' expects 'none' or 'required' as argument.")
    elif reading.no_more_than(2):
        reading.whole.values["ssl-server-verify"] = word == "required"


def _folder(name: str, summary: str) -> None:
    def handler(reading: Reading) -> None:
        if len(reading.words) < 2:
            reading.error(1, f"global statement '{name}' expects a directory path as an argument.")
        elif reading.no_more_than(2):
            reading.whole.values[name] = reading.words[1]

    keyword(f"{name} <folder>", GLOBAL, summary)(handler)


_folder("ca-base", "Where the files of 'ca-file' lie.")
_folder("crt-base", "Where the files of 'crt' lie.")
