"""What keepalived 2.2.7 says about a configuration, and what is said here: record by record of its recorded tests."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from hakit.diagnostics import ConfigError, Diagnostic, Location, Severity
from pyvrrp.config.keywords import MISSING_PARAMETER
from pyvrrp.config.load import load, read
from pyvrrp.model import Configuration

REST = " interface eth0\n virtual_router_id 51\n virtual_ipaddress {\n  10.9.0.100\n }\n"
SECURE = "global_defs {\n script_user root\n enable_script_security\n}\n"
SCRIPT = 'vrrp_script chk {\n script "/usr/bin/true"\n}\n'


def instance(lines: str = "") -> str:
    return f"vrrp_instance VI_1 {{\n{lines}{REST}}}\n"


@dataclass(frozen=True)
class Record:
    """A configuration, and what keepalived says of it, as (line, words); ``refused`` here, if not there."""

    name: str
    text: str
    said: tuple[tuple[int, str], ...] = ()
    refused: bool = False


TRACKED = SECURE + SCRIPT + "vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 51\n"
RECORDS = [
    Record("ok", instance()),
    Record("backup-255", instance(" state BACKUP\n priority 255\n")),
    Record("master-100", instance(" state MASTER\n priority 100\n")),
    Record("empty", "global_defs {\n router_id x\n}\n"),
    Record("extra-words", instance(" state BACKUP priority 99\n")),
    Record("virtual-server", "virtual_server 10.9.0.100 80 {\n real_server 10.9.0.11 80 {\n }\n}\n" + instance()),
    Record("extra-brace", instance() + "}\n", ((8, "Extra '}' found"),), refused=True),
    Record("missing-brace", instance()[:-2], ((1, "There are 1 missing '}'s or extra '{'s"),), refused=True),
    Record(
        "missing-parameter",
        instance(" priority\n"),
        (
            (
                2,
                (
                    "*** Configuration line starting `priority` is missing a parameter after keyword `priority`"
                    " at word position 2"
                ),
            ),
        ),
        refused=True,
    ),
    Record(
        "long-password",
        instance(" authentication {\n  auth_type PASS\n  auth_pass secret123\n }\n"),
        ((4, "Truncating auth_pass to 8 characters"),),
    ),
    Record(
        "master-100-nopreempt",
        instance(" state MASTER\n priority 100\n nopreempt\n"),
        ((1, "(VI_1) Warning - nopreempt will not work with initial state MASTER - clearing"),),
    ),
    Record(
        "master-100-preempt-delay",
        instance(" state MASTER\n priority 100\n preempt_delay 5\n"),
        ((1, "(VI_1) Warning - preempt delay will not work with initial state MASTER - clearing"),),
    ),
    Record(
        "master-nopreempt",
        instance(" state MASTER\n nopreempt\n"),
        ((1, "(VI_1) nopreempt is incompatible with priority 255. resetting nopreempt"),),
    ),
    Record(
        "no-vip",
        "vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 51\n}\n",
        ((1, "(VI_1) No VIP specified; at least one is sensible"),),
    ),
    Record(
        "no-vrid",
        "vrrp_instance VI_1 {\n interface eth0\n virtual_ipaddress {\n  10.9.0.100\n }\n}\n",
        ((1, "(VI_1) the virtual router id must be set"),),
        refused=True,
    ),
    Record(
        "vrid-256",
        "vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 256\n virtual_ipaddress {\n  10.9.0.100\n }\n}\n",
        (
            (3, "number '256' outside range [1, 255]"),
            (3, "(VI_1): VRID '256' not valid - must be between 1 & 255"),
            (1, "(VI_1) the virtual router id must be set"),
        ),
        refused=True,
    ),
    *(
        Record(
            f"priority-{number}",
            instance(f" priority {number}\n"),
            (
                (2, f"number '{number}' outside range [1, 255]"),
                (2, "(VI_1) Priority not valid! must be between 1 & 255. Using default 100"),
            ),
        )
        for number in (0, 256)
    ),
    Record(
        "dup-vrid",
        instance() + instance().replace("VI_1", "VI_2"),
        ((8, "VI_1 and VI_2 both use VRID 51 with IPv4 on interface eth0"),),
        refused=True,
    ),
    Record("unknown-keyword", instance(" bogus_word 3\n"), ((2, "Unknown keyword 'bogus_word'"),)),
    # keepalived loses the rest of the instance here; one finding, and the braces are matched.
    Record("unknown-block", instance(" bogus_block {\n  a b\n }\n"), ((2, "Unknown keyword 'bogus_block'"),)),
    Record("root-unknown-block", "bogus {\n a b\n}\n" + instance(), ((1, "Unknown keyword 'bogus'"),)),
    Record(
        "script-after-use",
        "vrrp_instance VI_1 {\n track_script {\n  chk\n }\n" + REST + "}\n" + SCRIPT,
        ((3, "(VI_1) track script chk not found, ignoring..."),),
    ),
    Record(
        "script-option",
        SECURE + SCRIPT + instance(" track_script {\n  chk wieght 5\n }\n"),
        ((10, "(VI_1) unknown track script option wieght - ignoring"),),
    ),
    Record(
        "weight-254",
        SCRIPT.replace("}", " weight 254\n}") + instance(" track_script {\n  chk\n }\n"),
        (
            (3, "number '254' outside range [-253, 253]"),
            (3, "vrrp_script chk weight 254 must be in [-253, 253]"),
        ),
    ),
    Record(
        "track-weight-300",
        SCRIPT + instance(" track_script {\n  chk weight -300\n }\n"),
        (
            (6, "number '-300' outside range [-254, 254]"),
            (6, "(VI_1) track script chk: weight must be between [-253..253] inclusive, ignoring..."),
        ),
    ),
    Record(
        "v2-interval-1.5",
        instance(" advert_int 1.5\n"),
        ((2, "(VI_1) VRRPv2 advertisement interval 1.500000s must be an integer. rounding"),),
    ),
    Record(
        "interval-1,5",
        instance(" advert_int 1,5\n"),
        ((2, "invalid number '1,5'"), (2, "(VI_1) Advert interval (1,5) not valid! Must be > 0 - ignoring")),
    ),
    Record(
        "interval-0.005",
        instance(" advert_int 0.005\n"),
        (
            (2, "number '0.005' outside range [0.010000, 255.000000]"),
            (2, "(VI_1) Advert interval (0.005) not valid! Must be > 0 - ignoring"),
        ),
    ),
]


def outcome(text: str) -> tuple[Configuration | None, tuple[Diagnostic, ...]]:
    try:
        loaded = read(text.encode(), "keepalived.conf")
    except ConfigError as refused:
        return None, refused.diagnostics
    return loaded.configuration, loaded.warnings


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
def test_what_keepalived_says_is_said_with_its_words_and_its_line_and_nothing_else(record: Record) -> None:
    configuration, found = outcome(record.text)
    assert tuple((one.location.line, one.message) for one in found if not one.advice) == record.said
    assert (configuration is None) is record.refused
    assert any(one.severity is Severity.ERROR for one in found) is record.refused
    if configuration is not None and "vrrp_instance" in record.text:
        assert [one.virtual_router_id for one in configuration.instances] == [51]


def test_the_difficult_file_is_read_as_keepalived_reads_it() -> None:
    # Its own dump: s1 weight 5 reverse, s2 and s3 as they are; the bad lines are left out one by one.
    text = r"""
vrrp_script s1 { script "/bin/true" }
vrrp_script s2 {
 script '/bin/sh -c "exit 0"'
 timeout 2 }
vrrp_script s3 {
 script "/bin/echo \"x y\" 'p q' r\x41"
}
vrrp_instance VI_2 {
 interface eth0
 virtual_router_id 8
 virtual_ipaddress { 10.9.0.80/24 dev eth0 label eth0:x
  10.9.0.81/24 brd +
  10.9.0.82
 }
 track_script { s1 weight 5 reverse
  s2
  s3 weight -300
 }
 priority \
   33
 auth_bogus
}
"""
    configuration, found = outcome(text)
    assert configuration is not None
    (router,) = configuration.instances
    assert router.priority == 100
    assert [str(address) for address in router.addresses] == ["10.9.0.80/24", "10.9.0.81/24", "10.9.0.82/32"]
    assert [(one.name, one.weight, one.reverse) for one in router.track_scripts] == [
        ("s1", 5, True), ("s2", 0, False), ("s3", 0, False),
    ]  # fmt: skip
    assert configuration.script("s2").script.words == ("/bin/sh", "-c", "exit 0")
    assert configuration.script("s2").timeout == 2.0
    assert [one.message for one in found if not one.advice] == [
        "number '-300' outside range [-254, 254]",
        "(VI_2) track script s3: weight must be between [-253..253] inclusive, ignoring...",
        "Unknown keyword 'priority\\'; did you mean 'priority'?",
        "Unknown keyword '33'",
        "Unknown keyword 'auth_bogus'",
    ]


GRAMMAR = """\
# comment
! other comment
$IF=eth0
$VR=7
$BLK= \\
  virtual_ipaddress { \\
    10.9.0.${VR}0 \\
    10.9.0.${VR}1/24 \\
  }
include inc*.conf
global_defs { router_id "my router" # trailing
}
vrrp_instance VI_1 { state BACKUP
  interface $IF priority 99
  virtual_router_id ${VR}
  @other priority 7
  @^other priority 77
  advert_int 1.5
  $BLK
  virtual_ipaddress_excluded { ~SEQ(N, 1, 3) 10.9.1.$N
   10.9.2.1/32 dev eth0 scope link brd + }
  notify "/bin/echo 'a b' \\"c d\\""
}
"""
INCLUDED = """\
vrrp_instance INC { interface eth0
 virtual_router_id 9
 version 3
 advert_int 0.5
 virtual_ipaddress { 10.9.0.90 }
}
"""


def test_the_file_that_uses_the_whole_grammar_is_read_as_keepalived_reads_it(tmp_path: Path) -> None:
    # Its own dump of this file: all values below, and the two lines that it says besides.
    (tmp_path / "1.conf").write_text(GRAMMAR)
    (tmp_path / "inc1.conf").write_text(INCLUDED)
    loaded = load(tmp_path / "1.conf")
    included, first = loaded.configuration.instances
    assert (included.name, included.version, included.advert_interval, included.priority) == ("INC", 3, 0.5, 100)
    assert [str(address) for address in included.addresses] == ["10.9.0.90/32"]
    assert included.location == Location(str(tmp_path / "inc1.conf"), 1, 1)
    assert (first.name, first.version, first.virtual_router_id, first.priority) == ("VI_1", 2, 7, 77)
    assert (first.interface, first.advert_interval) == ("eth0", 2.0)
    assert [str(address) for address in first.addresses] == ["10.9.0.70/32", "10.9.0.71/24"]
    assert [(str(one), one.device, one.scope) for one in first.excluded] == [
        ("10.9.1.1/32", None, 0), ("10.9.1.2/32", None, 0), ("10.9.1.3/32", None, 0), ("10.9.2.1/32", "eth0", 253),
    ]  # fmt: skip
    assert first.notify.any is not None
    assert first.notify.any.words == ("/bin/echo", "a b", "c d")
    assert loaded.configuration.settings.router_id == "my router"
    assert loaded.files == (str(tmp_path / "1.conf"), str(tmp_path / "inc1.conf"))
    assert [(one.location.line, one.message) for one in loaded.warnings if not one.advice] == [
        (21, "Address prefix length 32 too long for broadcast"),
        (18, "(VI_1) VRRPv2 advertisement interval 1.500000s must be an integer. rounding"),
    ]


def test_a_missing_included_file_is_never_silently_an_empty_one() -> None:
    for form in ("include", "includer"):
        _, found = outcome(f"{form} nothing-here.conf\n{instance()}")
        (missing,) = [one for one in found if not one.advice]
        assert (missing.location.line, missing.message) == (1, "Config files missing 'nothing-here.conf'.")


RECORDED = Path(__file__).with_name("data") / "keepalived-config-test.txt"
DERAILED = "keepalived takes the braces of an unknown word for others': here one finding, and the rest is read"
SECURITY = "about scripts on the disk, which preflight looks at; here security is on from the start"
DIFFERENT: dict[str, tuple[str, list[str], int]] = {
    "extra-brace": ("said once", ["Extra '}' found"], 5),
    "no-brace": (
        DERAILED,
        ["Extra '}' found", "Missing '{' at beginning of configuration block: 'vrrp_instance' needs one",
         "Unknown keyword 'interface'", "Unknown keyword 'virtual_router_id'", "Unknown keyword 'virtual_ipaddress'"],
        5,
    ),
    "root-unknown-block": (DERAILED, ["Unknown keyword 'bogus'"], 5),
    "unknown-block": (DERAILED, ["Unknown keyword 'bogus_block'"], 5),
    "include-missing": ("a file that is not there is never nothing", ["Config files missing 'nothing-here.conf'."], 5),
    "includer-missing": ("as above", ["Config files missing 'nothing-here.conf'."], 5),
    "missing-interface": ("about this machine, which preflight looks at", [], 0),
    "no-script-user": (SECURITY, [], 0),
    "script-insecure": (SECURITY, [], 0),
    "script-insecure-no-security": (SECURITY, [], 0),
    "script-not-found": (SECURITY, [], 0),
    "script-unused": (SECURITY, [], 0),
    "security-masks-error": (SECURITY, ["Unknown keyword 'bogus_word'"], 5),
    "no-vip": ("said once", ["(VI_1) No VIP specified; at least one is sensible"], 5),
}  # fmt: skip
"""Where we differ on purpose (reference, section 8), and what is said here."""


def recorded() -> list[tuple[str, str, int, list[str]]]:
    """Return name, text, exit status and messages of every record, each message once and without its place."""
    found = []
    for record in RECORDED.read_text().split("=== ")[1:]:
        name, _, rest = record.partition("\n")
        text, _, answer = rest.partition("--- exit ")
        status, _, lines = answer.partition("\n")
        messages = [re.sub(r"^\([^()]*Line \d+\) ", "", line) for line in lines.splitlines()]
        found.append((name, text, int(status), list(dict.fromkeys(messages))))
    return found


@pytest.mark.parametrize(("name", "text", "status", "messages"), recorded(), ids=[record[0] for record in recorded()])
def test_each_recorded_file_gets_the_words_and_the_status_that_keepalived_gave_it(
    name: str, text: str, status: int, messages: list[str]
) -> None:
    _, messages, status = DIFFERENT.get(name, ("", messages, status))
    _, found = outcome(text)
    said = [one.message.partition("; did you mean")[0] for one in found if not one.advice]
    assert said == messages
    assert (2 if any(MISSING_PARAMETER in one for one in said) else 5 if said else 0) == status


def test_all_43_records_are_held_against_it() -> None:
    assert len(recorded()) == 43
    assert DIFFERENT.keys() <= {record[0] for record in recorded()}
