"""The manual pages that packages install: made as packages make them, and looked at as a formatter does."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from daosup import __version__, daosupd
from daosup.completing import options_of
from daosup.config import Config
from daosup.config.reading import arrays_of, keys_of
from daosup.ctl.arguments import options_for
from daosup.ctl.commands import COMMANDS
from daosup.ctl.completing import script

ROOT = Path(__file__).parents[2]
MANUALS = ROOT / "packaging/manuals"
PAGES = ["man1/daosupctl.1", "man5/daosup.toml.5", "man8/daosupd.8"]
REQUESTS = {".TH", ".SH", ".SS", ".PP", ".TP", ".RS", ".RE", ".nf", ".fi", ".br"}
ESCAPE = re.compile(r"\\(?:f[BIR]|-|&|\(rs|\(aq|\(ga|\(ha|\(ti|\[u[0-9A-F]{4,}\])")
#: What a reader sees of an escape.
SEEN = {r"\-": "-", r"\(rs": "\\", r"\(aq": "'", r"\(ga": "`", r"\(ha": "^", r"\(ti": "~"}
EPOCH = 1_700_000_000


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What becomes /usr/share."""
    folder = tmp_path_factory.mktemp("share")
    write_into(folder, SOURCE_DATE_EPOCH=str(EPOCH))
    return folder


def write_into(folder: Path, **environment: str) -> None:
    kept = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
    subprocess.run([sys.executable, str(MANUALS), str(folder)], env={**kept, **environment}, check=True, timeout=60)


def text_of(page: Path) -> str:
    """What a reader sees, without how it is set."""
    lines = [line for line in page.read_text("ascii").splitlines() if not line.startswith(".")]
    return " ".join(ESCAPE.sub(lambda match: seen(match[0]), line) for line in lines)


def seen(escape: str) -> str:
    return chr(int(escape[3:-1], 16)) if escape.startswith(r"\[u") else SEEN.get(escape, "")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_what_formatters_take(share: Path, page: str) -> None:
    path = share / "man" / page
    lines = path.read_text("ascii").splitlines()
    name, section = path.stem, path.suffix[1:]
    assert lines[0] == f'.TH {name.upper()} {section} "2023-11-14" "daosup {__version__}" "daosup"'
    assert lines[1] == ".SH NAME"
    assert re.match(rf"{re.escape(name)} \\- [a-z].*[^.]$", lines[2])  # what apropos shows
    assert [line for line in lines if line.startswith(".SH")][1:3] == [".SH SYNOPSIS", ".SH DESCRIPTION"]
    assert lines.count(".nf") == lines.count(".fi") == lines.count(".RS 4") == lines.count(".RE")
    for line in lines:
        assert line == line.strip() != ""
        assert not line.startswith("'")
        assert "\\" not in ESCAPE.sub("", line), line
        assert line.split()[0] in REQUESTS or not line.startswith("."), line
        assert "`" not in line
    for last, line in zip(lines, lines[1:]):
        assert not (last.startswith(".S") and line == ".PP"), "a formatter skips a paragraph after a heading"


@pytest.mark.parametrize("page", PAGES)
def test_formatters_have_nothing_to_warn_of(share: Path, page: str) -> None:
    path = str(share / "man" / page)
    known = {**os.environ, "LC_ALL": "C.UTF-8"}
    checks = [["man", "--warnings", "-l", path], ["groff", "-man", "-ww", "-z", "-Tutf8", path]]
    for check in [*checks, ["mandoc", "-T", "lint", path]]:
        if shutil.which(check[0]):
            done = subprocess.run(check, env=known, capture_output=True, text=True, timeout=60)
            assert (done.stderr, done.returncode) == ("", 0)


def test_every_command_and_option_of_daosupctl_is_told_with_its_examples(share: Path) -> None:
    text = text_of(share / "man/man1/daosupctl.1")
    for name, command in COMMANDS.items():
        assert rf".SS \fBdaosupctl {name}\fR" in (share / "man/man1/daosupctl.1").read_text()
        for line in command.more.splitlines():
            if line.startswith("  daosupctl "):
                assert line.split("  ")[1] in text
        for options, (value, meaning) in options_for(COMMANDS, name).items():
            assert f"{options} {value}".strip().replace("|", "") in text.replace("|", "")
            assert meaning[1:].replace("`", "") in text
    for number in (0, 1, 64, 69, 74, 76, 77, 78, 130):
        assert rf"\fB{number}\fR" in (share / "man/man1/daosupctl.1").read_text()


def test_every_option_of_daosupd_is_told(share: Path) -> None:
    page = share / "man/man8/daosupd.8"
    text = text_of(page)
    for options, (value, meaning) in options_of(daosupd.parser()).items():
        assert f"{options} {value}".strip() in text
        assert meaning[1:] in text
    for word in (
        "SIGTERM",
        "SIGHUP",
        "SIGINT",
        "NOTIFY_SOCKET",
        "RUNTIME_DIRECTORY",
        "STATE_DIRECTORY",
        "DAOSUP_SOCKET",
    ):
        assert word in text
    for number in (0, 64, 69, 78):
        assert rf"\fB{number}\fR" in page.read_text()


def test_every_key_of_the_configuration_is_told(share: Path) -> None:
    page = share / "man/man5/daosup.toml.5"
    text = text_of(page)
    arrays = [row for array in arrays_of(Config).values() for row in keys_of(array.cls).items()]
    for dotted, key in [*keys_of(Config).items(), *arrays]:
        told = f" {dotted.rpartition('.')[2]} {key.doc} Allowed: {key.kind.allowed}; default: {key.default}."
        assert told.replace("`", "") in text


def test_the_example_of_a_configuration_is_right(share: Path) -> None:
    examples = text_of(share / "man/man5/daosup.toml.5").partition(" is there: ")[2].partition(" /etc")[0]
    toml = re.sub(r" (?=[\[a-z])", "\n", examples)
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    config = Config.from_mapping(tomllib.loads(toml))
    assert config.redis.host == "rts"
    assert str(config.mirror[0].source) == "rts:wfs"


def test_the_same_source_makes_the_same_bytes(share: Path, tmp_path: Path) -> None:
    write_into(tmp_path, SOURCE_DATE_EPOCH=str(EPOCH), TZ="Pacific/Kiritimati")
    made = {path.relative_to(share): path.read_bytes() for path in share.rglob("*") if path.is_file()}
    assert made == {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    write_into(tmp_path)  # over what is there
    assert (tmp_path / "man/man1/daosupctl.1").read_text().startswith('.TH DAOSUPCTL 1 "" "daosup ')


def test_completions_lie_where_shells_look(share: Path) -> None:
    for name in ("daosupctl", "daosupd"):
        assert (share / "bash-completion/completions" / name).read_text() == script("bash")
    for folder in ("site-functions", "vendor-completions"):
        assert (share / "zsh" / folder / "_daosupctl").read_text() == script("zsh")


@pytest.fixture(scope="module")
def roff() -> ModuleType:
    spec = importlib.util.spec_from_file_location("roff", MANUALS / "roff.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("text", "page"),
    [
        ("plain, a well-known word", "plain, a well-known word\n"),
        (".dot and a \\ in it", "\\&.dot and a \\(rs in it\n"),
        ("'quoted' it begins", "\\&'quoted' it begins\n"),
        ('`--as x` and *stress*, not "*" for all', '\\fB\\-\\-as x\\fR and \\fIstress\\fR, not "*" for all\n'),
        ("`~/a^b '`, 10 µs", "\\fB\\(ti/a\\(hab \\(aq\\fR, 10 \\[u00B5]s\n"),
        ("[TOML](https://toml.io), or so", "TOML, https://toml.io, or so\n"),
        ("a " * 39 + "bc .d", "a " * 38 + "a bc\n\\&.d\n"),
        ("one\n\ntwo", "one\n.PP\ntwo\n"),
        ("`x`\n:   what\n    it is", ".TP\n\\fBx\\fR\nwhat it is\n"),
        ("so:\n  .a -b\n  c\\d", "so:\n.PP\n.RS 4\n.nf\n\\&.a \\-b\nc\\(rsd\n.fi\n.RE\n"),
        ("  a -b   does it\n  c", ".TP\n\\fBa \\-b\\fR\ndoes it\n.PP\n\\fBc\\fR\n"),
    ],
)
def test_text_becomes_roff_that_shows_it(roff: ModuleType, text: str, page: str) -> None:
    assert roff.paragraphs(text, begins=True) == page
