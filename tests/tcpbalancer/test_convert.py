"""haproxy.cfg becomes YAML and comes back: nothing is lost, or nothing is written."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hakit.diagnostics import ConfigError
from tcpbalancer.cli import main
from tcpbalancer.config.cfg_writer import cfg_text, line, same
from tcpbalancer.config.convert import convert, placeless
from tcpbalancer.config.load import cut, read_texts
from tcpbalancer.config.tokens import split

ROOT = Path(__file__).parents[2]
FILES = sorted(
    path for folder in ("configs", "tests") for path in (ROOT / folder).rglob("*.cfg") if "interop" not in path.parts
) + sorted((ROOT / "tests/interop/haproxy_real_world").rglob("*.cfg"))
TIMED = "defaults\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n"


def there_and_back(text: str) -> str:
    """Convert to YAML and back; the statements have to be the same, in another order at most."""
    back = convert(convert(text, "haproxy", "yaml", {}), "yaml", "haproxy", {})
    before, after = (read_texts([("f.cfg", one)], {}, resolve=lambda _: "192.0.2.1") for one in (text, back))
    assert placeless(after.configuration) == placeless(before.configuration)
    assert sorted(found.message for found in after.warnings) == sorted(found.message for found in before.warnings)
    return back


@pytest.mark.parametrize("file", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_configuration_of_the_repository_comes_back(file: Path) -> None:
    try:
        there_and_back(file.read_text())
    except ConfigError:
        with pytest.raises(ConfigError):
            read_texts([("f.cfg", file.read_text())], {}, resolve=lambda _: "192.0.2.1")


def test_what_a_hand_would_write_is_written() -> None:
    text = f"""{TIMED} option redispatch
 no option log-health-checks
frontend f
 bind :1
 bind :2 name two
 default_backend b
 description 'two words'
backend b
 tcp-check connect
 tcp-check send PING\\r\\n
 tcp-check expect string '+PONG #1'
 server s 192.0.2.1:1 check inter 3s backup
 server t 192.0.2.2:1
"""
    assert (
        convert(text, "haproxy", "yaml", {})
        == """\
defaults:
  timeout:
    connect: 1s
    client: 1s
    server: 1s
  option:
    redispatch: true
    log-health-checks: false
frontends:
  f:
    bind:
      - :1
      - :2 name two
    default_backend: b
    description: two words
backends:
  b:
    tcp-check:
      - connect
      - send "PING\\r\\n"
      - 'expect string ''+PONG #1'''
    servers:
      s:
        address: 192.0.2.1:1
        check: true
        inter: 3s
        backup: true
      t:
        address: 192.0.2.2:1
"""
    )


def test_where_order_counts_it_is_kept() -> None:
    text = f"""{TIMED}defaults pg from one
 retries 7
defaults one
 log global
 no log
backend b
 default-server inter 1s
 server s 192.0.2.1:1 check
 default-server inter 9s
 server t 192.0.2.1:1 check
global
 maxconn 10
global
 maxconn 20
"""
    text = text.replace("defaults pg from one\n retries 7\n", "").replace("backend b\n", "backend b from one\n")
    back = there_and_back(text)
    assert same(cut("f.cfg", back, {}), cut("f.cfg", text, {}))
    assert convert(text, "haproxy", "yaml", {}).startswith("- defaults:\n    - timeout: connect 1s\n")


def test_variables_and_conditions_are_as_they_were_when_the_file_was_read() -> None:
    text = f'{TIMED}.if defined(A)\nlisten l\n bind ":${{A}}"\n.endif\n'
    assert convert(text, "haproxy", "haproxy", {"A": "7"}).endswith("listen l\n    bind :7\n")
    assert "listen" not in convert(text, "haproxy", "haproxy", {})


@pytest.mark.parametrize("word", ["a b", "it's", '"', "\\", "#x", "$HOME", "a'b\"c\\d$e\n\t\x01é", "\udcff", "a=b", ""])
def test_any_word_is_written_so_that_it_is_read_again(word: str) -> None:
    assert [found.text for found in split(line(["x", word]), {})] == ["x", word]


WORDS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=8)
NAMES = st.text("abc-_.:1", min_size=1, max_size=5).filter(lambda name: name != "from")
STATEMENTS = st.one_of(
    st.tuples(st.just("description"), WORDS),
    st.tuples(st.just("bind"), st.integers(1, 9).map(lambda port: f":{port}"), st.just("name"), WORDS),
    st.tuples(st.sampled_from(["option", "no option"]), st.sampled_from(["redispatch", "tcpka", "log-health-checks"])),
    st.tuples(st.just("http-request"), st.just("set-header"), WORDS, WORDS),
    st.tuples(st.just("timeout"), st.sampled_from(["client", "server", "check"]), st.sampled_from(["1s", "20", "3m"])),
    st.tuples(st.just("server"), NAMES, st.just("192.0.2.1:1"), st.just("check"), st.just("weight"), st.just("7")),
    st.tuples(st.just("default-server"), st.just("inter"), st.sampled_from(["1s", "2s"])),
    st.tuples(st.just("log"), st.just("global")),
    st.tuples(st.just("no"), st.just("log")),
    st.tuples(st.just("stats"), st.just("auth"), WORDS.map(lambda word: f"u:{word}")),
)
SECTIONS = st.lists(
    st.tuples(st.sampled_from(["frontend", "backend", "listen", "defaults"]), NAMES, st.lists(STATEMENTS, max_size=6)),
    max_size=5,
)


@given(SECTIONS)
@example([("listen", "a", [("stats", "auth", "u:true"), ("description", "yes"), ("bind", ":1", "name", "#")])])
@example([("defaults", "a", [("option", "redispatch"), ("no option", "redispatch")])])
@settings(derandomize=True, max_examples=60, deadline=None)
def test_random_statements_come_back(sections: list[tuple[str, str, list[tuple[str, ...]]]]) -> None:
    text = TIMED
    for kind, name, statements in sections:
        text += f"{kind} {name}\n"
        for first, *rest in statements:
            text += f" {first} {line(rest)}\n"
    try:
        read_texts([("f.cfg", text)], {}, resolve=lambda _: "192.0.2.1")
    except ConfigError:
        return
    there_and_back(text)
    assert same(cut("f.cfg", cfg_text(cut("f.cfg", text, {})), {}), cut("f.cfg", text, {}))


def test_the_program_converts_a_file_that_only_its_owner_can_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target, back = tmp_path / "a.cfg", tmp_path / "a.yaml", tmp_path / "b.cfg"
    source.write_text(f"{TIMED}listen l\n mode http\n bind :1\n stats auth me:s3cret\n server s db.invalid:5432\n")
    assert main(["convert", str(source), "-o", str(target)]) == 0
    assert "auth: me:s3cret" in target.read_text()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert main(["convert", str(target), "-o", str(back)]) == 0
    assert "    stats auth me:s3cret\n" in back.read_text()
    out, err = capsys.readouterr()
    assert out == ""
    assert "s3cret" not in err
    assert main(["convert", str(source), "--to", "haproxy"]) == 0
    assert "listen l\n    mode http\n" in capsys.readouterr().out


def test_what_cannot_be_converted_is_told_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = tmp_path / "a.cfg", tmp_path / "a.yaml"
    source.write_text("listen l\n bogus\n")
    assert main(["convert", str(source), "-o", str(target)]) == 1
    assert f"{source}:2:2: error: unknown keyword 'bogus' in 'listen' section" in capsys.readouterr().err
    assert not target.exists()
    assert main(["convert", str(tmp_path / "nope.cfg")]) == 1
    assert "nope.cfg: No such file or directory" in capsys.readouterr().err
    source.write_text(TIMED)
    assert main(["convert", str(source), "-o", str(tmp_path / "no" / "where")]) == 1
    assert "No such file or directory" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["convert", "--to", "xml", "a.cfg"])
    assert ended.value.code == 2


def test_both_examples_of_the_reference_are_one_configuration() -> None:
    page = (ROOT / "docs/reference/tcpbalancer-yaml.md").read_text()
    cfg, written = (block.split("\n", 1)[1] for block in page.split("```")[1:4:2])
    models = [read_texts([(name, text)], {}).configuration for name, text in (("f.cfg", cfg), ("f.yaml", written))]
    assert placeless(models[0]) == placeless(models[1])
    assert convert(written, "yaml", "haproxy", {}) == cfg
