"""What the configuration accepts, what it makes of it, and where its defaults come from."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from daosup.config import Config, Embedded, MirrorLayout, load
from daosup.config.reading import arrays_of, keys_of, line_numbers
from daosup.config.reference import markdown
from daosup.config.workers import WorkerConfig
from daosup.core.delivery import Delivery
from daosup.core.types import Role, Source, Transport, Writing
from daosup.errors import ConfigError

ROOT = Path(__file__).parents[2]

ALL_KEYS = """
host = "rts"
role = "minion"
heartbeat_interval_s = 2
segment_folder = "/dev/shm"
runtime_folder = "/run/elsewhere"
state_folder = "/var/elsewhere"

[redis]
host = "10.0.0.1"
port = 6380
db = 3
password_file = "/etc/daosup/redis.password"
embedded = "never"
timeout_s = 0.5

[network]
bind = "10.0.0.2"
advertise = "rts.obs.example"
base_pub_port = 7000
port_count = 10

[control]
socket = "/run/daosup/c.sock"
mode = "600"
group = "dao"
secret_file = "/etc/daosup/fleet.key"

[publish]
include = ["wfs*", "dm[12]"]
exclude = ["*_test"]
semaphore = 0
direct = false
read_only = ["wfs*"]
single_writer = ["dm*", "wfs"]

[mirrors]
mode = "0644"
layout = "v0"
depth = 1
transport = "zmq"

[[mirror]]
source = "obs:wfs"

[[mirror]]
source = "obs:dm"
mode = "0600"
layout = "fifo"
depth = 4
transport = "direct"
write_back = true

[[mirror]]
source = "obs:cam"
rate = 10
roi = "0:64,16:32"
stride = "2,2"
compress = "lz4"

[[mirror]]
source = "obs:log"
frames = "every"

[workers]
survive_supervisor = false
orphan_grace_s = 5
memory_limit_mb = 300
cpu_affinity = [0, 3]
nice = -5
fifo_priority = 50
lock_memory = true
spin_ms = 10
busy_poll_us = 50
quick_ack = true
huge_pages = true

[log]
level = "debug"

[[worker]]
match = "dm*"

[[worker]]
match = "lab:*"
memory_limit_mb = 32
cpu_affinity = [1]
nice = 19
fifo_priority = 0
lock_memory = false
spin_ms = 0
busy_poll_us = 0
quick_ack = false
huge_pages = false
"""


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    return tmp_path / "rts.toml"


def test_every_key_is_read(toml: Path) -> None:
    toml.write_text(ALL_KEYS)
    config = load(toml, "rts")
    assert (config.instance, config.file, config.host, config.role) == ("rts", toml, "rts", Role.MINION)
    assert (config.heartbeat_interval_s, config.segment_folder) == (2.0, Path("/dev/shm"))
    assert isinstance(config.heartbeat_interval_s, float)
    assert (config.runtime_folder, config.state_folder) == (Path("/run/elsewhere"), Path("/var/elsewhere"))
    assert (config.redis.host, config.redis.port, config.redis.db) == ("10.0.0.1", 6380, 3)
    assert config.redis.password_file == Path("/etc/daosup/redis.password")
    assert (config.redis.embedded, config.redis.timeout_s) == (Embedded.NEVER, 0.5)
    assert config.redis.is_configured
    assert dataclasses.astuple(config.network) == (10, "10.0.0.2", "rts.obs.example", 7000)
    assert dataclasses.astuple(config.control) == (
        Path("/run/daosup/c.sock"),
        0o600,
        "dao",
        Path("/etc/daosup/fleet.key"),
    )
    assert dataclasses.astuple(config.publish) == (("wfs*", "dm[12]"), ("*_test",), 0, False, ("wfs*",), ("dm*", "wfs"))
    names = ("wfs", "dm1", "cam", "WFS")
    assert [config.writing_of(name) for name in names] == [
        Writing.READ_ONLY, Writing.SINGLE_WRITER, Writing.OPEN, Writing.OPEN,
    ]  # fmt: skip
    assert [each.write_back for each in config.mirror] == [False, True, False, False]
    assert [each.delivery for each in config.mirror] == [
        Delivery(), Delivery(), Delivery("newest", 10.0, ((0, 64), (16, 32)), (2, 2), "lz4"), Delivery("every"),
    ]  # fmt: skip
    assert (config.mirrors.mode, config.mirrors.layout, config.mirrors.depth) == (0o644, MirrorLayout.V0, 1)
    assert [each.source for each in config.mirror] == [Source("obs", name) for name in ("wfs", "dm", "cam", "log")]
    assert config.making_of(Source("obs", "wfs")) == (0o644, MirrorLayout.V0, 1)
    assert config.making_of(Source("obs", "dm")) == (0o600, MirrorLayout.FIFO, 4)
    transports = [config.transport_of(Source("obs", name)) for name in ("wfs", "dm")]
    assert transports == [Transport.ZMQ, Transport.DIRECT]
    assert config.making_of(Source("rts", "any")) == (0o644, MirrorLayout.V0, 1)
    assert config.log.level == "debug"
    assert dataclasses.astuple(config.workers) == (False, 5.0, 300, (0, 3), -5, 50, True, 10, 50, True, True)
    assert config.worker == (WorkerConfig("dm*"), WorkerConfig("lab:*", 32, (1,), 19, 0, False, 0, 0, False, False))


def test_what_is_said_of_one_mirror_goes_before_what_is_said_of_all() -> None:
    def made(own: dict[str, object], **of_all: object) -> tuple[MirrorLayout, object]:
        mirror = {"source": "obs:wfs", **own}
        making = Config.from_mapping({"mirrors": of_all, "mirror": [mirror]}).making_of(Source("obs", "wfs"))
        return making.layout, making.depth

    assert made({}) == (MirrorLayout.SOURCE, None)
    assert made({}, depth=4) == made({"depth": 4}) == made({"depth": 4}, depth=2) == (MirrorLayout.SOURCE, 4)
    assert made({"layout": "fifo"}, depth=4) == (MirrorLayout.FIFO, 4)
    assert made({"layout": "v0"}, depth=4) == (MirrorLayout.V0, None), "it has one frame, whatever the others have"
    assert made({"depth": 4}, layout="v0") == (MirrorLayout.V0, 4), "which makes a FIFO of it"
    assert made({"depth": 1}, depth=4) == (MirrorLayout.SOURCE, 1)


def test_without_anything_set_the_defaults_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/first:/run/second")
    config = load(None, "there-is-no-such-instance")
    assert config.file is None
    assert config.host == os.uname().nodename.partition(".")[0]
    assert (config.role, config.heartbeat_interval_s, config.segment_folder) == (None, 30.0, Path("/tmp"))
    assert config.runtime_folder == Path("/run/first")
    assert config.control.socket == Path("/run/first/there-is-no-such-instance.sock")
    assert (config.control.mode, config.mirrors.mode) == (0o666, 0o660)
    assert (config.redis.url, config.redis.host, config.redis.port) == (None, "localhost", 6379)
    assert (config.redis.embedded, config.redis.is_configured) == (Embedded.AUTO, False)
    assert (config.network.bind, config.network.base_pub_port, config.network.port_count) == ("*", 5560, 2000)
    assert (config.publish.include, config.publish.exclude, config.publish.semaphore) == (("*",), (), 9)
    assert config.worker == ()
    assert dataclasses.astuple(config.workers) == (True, 30.0, None, None, None, 0, False, 0, 0, False, False)


@pytest.mark.parametrize(
    ("uid", "session", "folder"),
    [(0, "/run/user/0", "/run/daosup"), (7, "/run/user/7", "/run/user/7/daosup"), (7, "", "/tmp/daosup-7")],
)
def test_runtime_folder_by_user(uid: int, session: str, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", session)
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    assert Config.from_mapping({}).runtime_folder == Path(folder)


@pytest.mark.parametrize(
    ("uid", "systemd", "xdg", "home", "folder"),
    [
        (0, "", "/root/state", "/root", "/var/lib/daosup"),
        (7, "/var/lib/dao:/var/lib/x", "/home/u/state", "/home/u", "/var/lib/dao"),
        (7, "", "/home/u/state", "/home/u", "/home/u/state/daosup"),
        (7, "", "state", "/home/u", "/home/u/.local/state/daosup"),
        (7, "", "", "nowhere", "/var/lib/daosup"),
    ],
)
def test_state_folder_by_user(
    uid: int, systemd: str, xdg: str, home: str, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", systemd)
    monkeypatch.setenv("XDG_STATE_HOME", xdg)
    monkeypatch.setenv("HOME", home)
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    assert Config.from_mapping({}).state_folder == Path(folder)


def test_the_default_file_is_that_of_the_instance(toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daosup.config.CONFIG_FOLDER", toml.parent)
    toml.write_text('host = "lab"')
    assert load(None, "rts").host == "lab"
    assert load(None, "rts").file == toml
    assert load(None, "other").file is None


def test_the_command_line_wins_and_none_is_not_given(toml: Path) -> None:
    toml.write_text('host = "rts"\n[log]\nlevel = "debug"\n[publish]\nsemaphore = 3\n')
    config = load(toml, "rts", {"log.level": "error", "publish.semaphore": None, "host": "lab", "control.group": "dao"})
    assert (config.log.level, config.publish.semaphore, config.host) == ("error", 3, "lab")
    assert config.control.group == "dao"


def test_an_address_on_the_command_line_replaces_the_whole_address() -> None:
    by_parts = {"redis": {"host": "rts", "port": 7000, "db": 2, "timeout_s": 1}}
    by_url = {"redis": {"url": "redis://rts:7000/2"}}
    config = Config.from_mapping(by_parts, overrides={"redis.url": "redis://lab"})
    assert (config.redis.url, config.redis.host, config.redis.timeout_s) == ("redis://lab", "localhost", 1.0)
    config = Config.from_mapping(by_url, overrides={"redis.host": "lab"})
    assert (config.redis.url, config.redis.host, config.redis.port) == (None, "lab", 6379)


def test_ports_end_where_ports_end() -> None:
    assert Config.from_mapping({"network": {"base_pub_port": 65000}}).network.port_count == 536
    assert Config.from_mapping({"network": {"base_pub_port": 0}}).network.port_count == 2000


@pytest.mark.parametrize(
    "url",
    [
        "redis://rts",
        "redis://user:pa%40ss@rts:6380/15",
        "rediss://[fd00::1]:6380/0",
        "unix:///run/redis/redis.sock?db=2",
        "unix://user:hunter2@/run/redis.sock",
    ],
)
def test_urls_of_redis(url: str) -> None:
    config = Config.from_mapping({"redis": {"url": url}})
    assert config.redis.url == url
    assert config.redis.is_configured


@pytest.mark.parametrize(
    ("redis", "shown"),
    [
        ({}, "redis://localhost:6379/0"),
        ({"host": "fd00::1", "db": 2}, "redis://[fd00::1]:6379/2"),
        ({"url": "redis://user:hunter2@rts:6380/1"}, "redis://***@rts:6380/1"),
        ({"url": "rediss://user:hunter2@rts"}, "rediss://***@rts"),
        ({"url": "unix:///run/redis.sock"}, "unix:///run/redis.sock"),
    ],
)
def test_the_shown_address_has_no_password(redis: dict[str, object], shown: str) -> None:
    config = Config.from_mapping({"redis": redis})
    assert config.redis.display_url == shown
    assert "hunter2" not in repr(config)


def test_the_password_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "password"
    redis = Config.from_mapping({"redis": {"password_file": str(path)}}).redis
    with pytest.raises(ConfigError, match=r"redis\.password_file: .*password cannot be read: No such file"):
        redis.read_password()
    path.write_text("s e cret\n")
    assert redis.read_password() == "s e cret"
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="not UTF-8"):
        redis.read_password()
    assert Config.from_mapping({}).redis.read_password() is None


def test_a_config_cannot_be_changed() -> None:
    config = Config.from_mapping({})
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.redis.port = 1  # type: ignore[misc]


def test_lines_of_keys_and_tables() -> None:
    text = 'host = "a"\ntext = """\nrole = 1\n"""\n\n[ redis ]  # here\n  port = 1\nnot.ours = 2\n[log]\nlevel = 1\n'
    assert line_numbers(text) == {
        "host": 1, "text": 2, "redis": 6, "redis.port": 7, "redis.not.ours": 8, "log": 9, "log.level": 10
    }  # fmt: skip


def test_the_reference_is_that_of_the_schema() -> None:
    assert (ROOT / "docs/configuration.md").read_text() == markdown(), (
        "run: python -m daosup.config.reference > docs/configuration.md"
    )
    rows = [
        *keys_of(Config).items(),
        *(row for array in arrays_of(Config).values() for row in keys_of(array.cls).items()),
    ]
    for dotted, key in rows:
        assert f"| `{dotted.rpartition('.')[2]}` | {key.kind.allowed} |" in markdown()


@pytest.mark.parametrize(
    ("match", "host", "name", "does_match"),
    [
        ("wfs", "rts", "wfs", True),
        ("wf?", "lab", "wfs", True),
        ("wfs", "rts", "wfs2", False),
        ("rts:*", "rts", "wfs", True),
        ("rts:*", "lab", "wfs", False),
        ("*:dm[12]", "lab", "dm2", True),
        ("rts*", "rts", "wfs", False),
    ],
)
def test_which_workers_a_table_is_about(match: str, host: str, name: str, does_match: bool) -> None:
    config = Config.from_mapping({"worker": [{"match": match}]})
    assert config.worker[0].matches(host, name) == does_match


@pytest.mark.parametrize("name", ["master", "minion"])
def test_the_examples_are_right_as_they_stand(name: str) -> None:
    config = load(ROOT / f"packaging/{name}.toml", name)
    assert config.role is Role(name)


def test_the_commented_tables_of_the_example_can_be_uncommented(toml: Path) -> None:
    lines = (ROOT / "packaging/master.toml").read_text().splitlines()
    toml.write_text("\n".join(line[4:] if line.startswith("#   ") else line for line in lines))
    assert load(toml, "master").worker == (WorkerConfig("rts:wfs*", cpu_affinity=(4,), fifo_priority=50),)


ONLY_TOGETHER = (
    {"sentinels", "sentinel_service", "sentinel_password_file"},
    {"cert_file", "key_file"},
    {"ca_file", "verify"},
)


def _key_in(line: str) -> str:
    return line.lstrip("#").partition("=")[0].strip()


@pytest.mark.parametrize("name", ["master", "minion"])
def test_each_commented_key_of_the_examples_can_be_uncommented(name: str, toml: Path) -> None:
    lines = (ROOT / f"packaging/{name}.toml").read_text().splitlines()
    commented = [i for i, line in enumerate(lines) if line.startswith("#") and not line.startswith("# ")]
    for chosen in commented:
        together = next((keys for keys in ONLY_TOGETHER if _key_in(lines[chosen]) in keys), {_key_in(lines[chosen])})
        freed = {i for i in commented if _key_in(lines[i]) in together and (len(together) > 1 or i == chosen)}
        toml.write_text("\n".join(line[1:] if i in freed else line for i, line in enumerate(lines)))
        load(toml, name)
    if name == "master":
        everything = line_numbers("\n".join(line[1:] if i in commented else line for i, line in enumerate(lines)))
        assert set(keys_of(Config)) <= set(everything)


def test_importing_the_configuration_imports_nothing_heavy() -> None:
    heavy = "{'numpy', 'zmq', 'redis', 'asyncio', 'socket', 'logging', 'tomllib', 'difflib'}"
    code = f"import sys, daosup.config; sys.exit(', '.join({heavy} & set(sys.modules)) or None)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_each_key_knows_where_it_was_set(toml: Path) -> None:
    toml.write_text(
        'host = "rts"\n[log]\nlevel = "debug"\n[redis]\nurl = "redis://rts"\n'
        '[[mirror]]\nsource = "obs:wfs"\n\n[[mirror]]\nsource = "obs:dm"\nmode = "0600"\n'
    )
    config = load(toml, "rts", {"log.level": "info", "redis.host": "lab"})
    assert config.origins == {
        "host": f"{toml}:1",
        "log.level": "command line",
        "redis.host": "command line",
        "mirror": f"{toml}:6",
        "mirror[0].source": f"{toml}:7",
        "mirror[1].source": f"{toml}:10",
        "mirror[1].mode": f"{toml}:11",
    }
    config = load(toml, "rts", {"mirror": [{"source": "lab:wfs"}]})
    assert config.origins["mirror"] == config.origins["mirror[0].source"] == "command line"
    assert "mirror[1].source" not in config.origins


def test_a_text_is_read_in_place_of_its_file(toml: Path) -> None:
    config = load(toml, "rts", {}, 'host = "lab"')
    assert (config.host, config.file, config.origins) == ("lab", toml, {"host": f"{toml}:1"})
    with pytest.raises(ConfigError, match=r"rts\.toml:2: unknown key hots"):
        load(toml, "rts", {}, '\nhots = "lab"')
