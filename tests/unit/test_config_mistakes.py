"""What the configuration refuses, and what it says: where, what was found, what is allowed, what to do."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from daosup.config import Config, load
from daosup.errors import ConfigError

MIRROR = {"source": "rts:wfs"}


def mistakes_of(mapping: dict[str, Any], **options: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        Config.from_mapping(mapping, "FILE", **options)
    return caught.value.mistakes


def mistakes_in(text: str | bytes, folder: Path) -> list[str]:
    file = folder / "rts.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        load(file, "rts")
    return [mistake.replace(str(file), "FILE") for mistake in caught.value.mistakes]


def test_all_mistakes_are_told_at_once_each_with_its_line(tmp_path: Path) -> None:
    text = 'hots = "rts"\nrole = "boss"\n\n[redis]\nport = "6379"  # no\nprot = 1\n'
    text += '[publish]\ninclude = ["*", "a b"]\n[redsi]\n'
    assert mistakes_in(text, tmp_path) == [
        "FILE:1: unknown key hots; did you mean host?",
        'FILE:2: role is \'boss\', not one of "master", "minion"',
        "FILE:5: redis.port is '6379', not a whole number from 1 to 65535; write it without quotes",
        "FILE:6: unknown key redis.prot; did you mean redis.port?",
        "FILE:8: publish.include[1] is 'a b', not a pattern for segment names (* ? [abc] match; no '/', ':' or blanks)",
        "FILE:9: unknown table redsi; did you mean [redis]?",
    ]


@pytest.mark.parametrize(
    ("dotted", "value"),
    [
        ("host", "-rts"),
        ("host", "r" * 64),
        ("role", True),
        ("heartbeat_interval_s", 0),
        ("heartbeat_interval_s", True),
        ("heartbeat_interval_s", float("nan")),
        ("heartbeat_interval_s", float("inf")),
        pytest.param("heartbeat_interval_s", 10**5000, id="an integer too long to print"),
        ("segment_folder", "tmp"),
        ("segment_folder", "/tmp/\x00"),
        ("segment_folder", "/tmp/\ud800"),
        ("runtime_folder", 3),
        ("redis.url", "http://rts"),
        ("redis.url", "redis://"),
        ("redis.url", "redis://rts:port"),
        ("redis.url", "redis://rts/a"),
        ("redis.url", "redis://[rts"),
        ("redis.url", "unix://"),
        ("redis.url", ""),
        ("redis.url", "rediss://rts?ssl_cert_reqs=none"),
        ("redis.url", "unix:///run/redis.sock?db=a"),
        ("redis.sentinels", "rts:26379"),
        ("redis.sentinels", []),
        ("redis.sentinels", ["rts"]),
        ("redis.sentinels", ["rts:26379", "lab:0"]),
        ("redis.sentinels", ["fd00::1:26379"]),
        ("redis.sentinels", [26379]),
        ("redis.sentinel_service", "my master"),
        ("redis.user", "a b"),
        ("redis.ca_file", "ca.pem"),
        ("redis.verify", "no"),
        ("redis.host", "a b"),
        ("redis.host", "300.1.1.1"),
        ("redis.port", True),
        ("redis.port", 0),
        ("redis.port", 65536),
        ("redis.port", 6379.0),
        ("redis.db", -1),
        ("redis.embedded", "yes"),
        ("redis.timeout_s", "2"),
        ("network.bind", "eth0"),
        ("network.bind", "localhost"),
        ("network.bind", "::1"),
        ("network.bind", "::"),
        ("network.bind", "::ffff:10.0.0.1"),
        ("network.advertise", "0.0.0.0"),
        ("network.advertise", "fd00::1"),
        ("network.base_pub_port", 80),
        ("network.port_count", 0),
        ("control.socket", "c.sock"),
        ("control.mode", 660),
        ("control.mode", "0888"),
        ("control.mode", "0066"),
        ("control.mode", "4777"),
        ("control.group", "a b"),
        ("publish.include", "*"),
        ("publish.exclude", ["/tmp/wfs"]),
        ("publish.exclude", ["wfs.im.shm"]),
        ("publish.exclude", [1]),
        ("publish.semaphore", 10),
        ("mirrors.mode", "rw-rw----"),
        ("mirrors.layout", "newest"),
        ("log.level", "INFO"),
        ("workers.memory_limit_mb", 31),
        ("workers.memory_limit_mb", 64.0),
        ("workers.cpu_affinity", 3),
        ("workers.cpu_affinity", []),
        ("workers.cpu_affinity", [0, -1]),
        ("workers.cpu_affinity", [True]),
        ("workers.nice", 20),
        ("workers.nice", "5"),
        ("workers.fifo_priority", 100),
        ("workers.lock_memory", 1),
        ("workers.lock_memory", "true"),
        ("workers.spin_ms", True),
        ("workers.spin_ms", 101),
        ("workers.busy_poll_us", -1),
        ("workers.quick_ack", 1),
        ("workers.huge_pages", "yes"),
    ],
)
def test_what_is_not_allowed_is_one_mistake_with_key_and_place(dotted: str, value: object) -> None:
    table, _, key = dotted.rpartition(".")
    [mistake] = mistakes_of({table: {key: value}} if table else {key: value})
    assert mistake.startswith(f"FILE: {dotted}")
    assert " is " in mistake
    assert ", not " in mistake
    [mistake] = mistakes_of({}, overrides={dotted: value})
    assert mistake.startswith(f"command line: {dotted}")


@pytest.mark.parametrize(
    ("mapping", "hint"),
    [
        ({"port": 1}, "did you mean redis.port?"),
        ({"network": {"portcount": 1}}, "did you mean network.port_count?"),
        ({"control": {"level": "info"}}, "did you mean log.level?"),
        ({"redis.port": 1}, "unknown key 'redis.port'; did you mean redis.port?"),
        ({"log": {"colour": 1}}, "[log] may have level"),
        (
            {"network": {"bind": "::1"}},
            "network.bind is '::1', not an IPv4 address of this host, or \"*\" for all; frames go by IPv4 alone",
        ),
        ({"network": {"bind": "eth0"}}, "for all; a name or an interface is not enough"),
        ({"zzz": 1}, "there may be host, runtime_folder, state_folder, role"),
        ({"redis": 1}, "redis is 1, not a table; begin it with a line [redis]"),
        (
            {"mirror": {"mode": "0644"}},
            "not an array of tables; begin each with a line [[mirror]], or write [mirrors]",
        ),
        ({"mirrors": [{"source": "rts:wfs"}]}, "mirrors is an array, not a table; begin it with a line [mirrors]"),
        ({"mirror": [{"layout": "v0"}]}, "mirror[0] has no source; set it to a segment of another host as HOST:NAME"),
        ({"mirror": [{"source": "wfs"}]}, "mirror[0].source is 'wfs', not a segment of another host as HOST:NAME; for"),
        ({"mirror.mode": "0644"}, "did you mean mirrors.mode?"),
        (
            {"mirror": [MIRROR | {"rate": "10"}]},
            "mirror[0].rate is '10', not a number of frames a second from 0.001 to",
        ),
        ({"mirror": [MIRROR | {"rate": 0}]}, "mirror[0].rate is 0, not a number of frames a second from 0.001 to"),
        ({"mirror": [MIRROR | {"rate": float("inf")}]}, "mirror[0].rate is inf, not a number"),
        ({"mirror": [MIRROR | {"roi": [0, 64]}]}, "mirror[0].roi is an array, not the first of each axis and the one"),
        (
            {"mirror": [MIRROR | {"roi": "9:9"}]},
            "mirror[0].roi is '9:9', not the first of each axis and the one behind",
        ),
        ({"mirror": [MIRROR | {"stride": "0"}]}, "mirror[0].stride is '0', not whole numbers from 1 on"),
        ({"mirror": [MIRROR | {"frames": "all"}]}, 'mirror[0].frames is \'all\', not one of "newest", "every"'),
        (
            {"mirror": [MIRROR | {"frames": "every", "rate": 10}]},
            "'rts:wfs', whose rate and frames = \"every\" exclude",
        ),
        (
            {"mirror": [MIRROR | {"rate": 10, "write_back": True}]},
            "whose write_back needs whole frames, so take it out,",
        ),
        (
            {"mirror": [MIRROR | {"compress": "lz4", "transport": "zmq"}]},
            "by which compress=lz4 cannot be had; take out",
        ),
        ({"mirror": [MIRROR | {"depth": 0}]}, "mirror[0].depth is 0, not a whole number from 1 to 65536"),
        ({"mirror": [MIRROR | {"depth": "4"}]}, "mirror[0].depth is '4', not a whole number from 1 to 65536; write it"),
        (
            {"mirror": [MIRROR | {"layout": "semreg", "depth": 4}]},
            "mirror[0].source is 'rts:wfs', whose layout \"semreg\" has one frame, not 4; take out layout or depth",
        ),
        (
            {"mirrors": {"layout": "v0", "depth": 2}},
            '[mirrors] cannot be so: layout "v0" has one frame, not 2; take out layout or depth',
        ),
        ({"role": {"a": 1}}, "role is a table, not one of"),
        ({"publish": {"include": "*"}}, "put it in brackets"),
        ({"publish": {"include": ["wfs.im.shm"]}}, "leave out .im.shm"),
        ({"control": {"mode": 0o660}}, "put it in quotes"),
        ({"redis": {"is_configured": True}}, "unknown key redis.is_configured"),
        ({"file": "x", "instance": "y"}, "unknown key file"),
    ],
)
def test_the_mistake_says_what_to_do(mapping: dict[str, Any], hint: str) -> None:
    assert hint in "\n".join(mistakes_of(mapping))


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({"match": "a b"}, "worker[0].match is 'a b', not a pattern NAME or HOST:NAME"),
        ({"match": "a:b:c"}, "worker[0].match is 'a:b:c', not "),
        ({"match": ":b"}, "worker[0].match is ':b', not "),
        ({"match": "wfs.im.shm"}, "leave out .im.shm"),
        ({"match": ["wfs"]}, "put it in quotes"),
        ({"match": "wfs", "nice": 21}, "worker[0].nice is 21, not a whole number from -20 to 19"),
        ({"match": "wfs", "cpu_affinity": [0, 9999]}, "worker[0].cpu_affinity[1] is 9999, not a whole number from 0 "),
        ({"match": "wfs", "cpu": [0]}, "unknown key worker[0].cpu"),
        ({"nice": 1}, "worker[0] has no match"),
    ],
)
def test_a_wrong_exception_for_a_worker_is_one_mistake(item: dict[str, Any], said: str) -> None:
    [mistake] = mistakes_of({"worker": [item]})
    assert said in mistake


@pytest.mark.parametrize("url", ["http://user:secret@rts", "user:sec:ret@rts/secret@x", "redis://:secret/secret@rts:x"])
def test_no_mistake_shows_a_password(url: str) -> None:
    mistakes = mistakes_of({"redis": {"url": url, "password": "secret"}, "password": "secret"})
    assert len(mistakes) == 3
    assert "secret" not in "\n".join(mistakes)


def test_an_address_is_given_once() -> None:
    redis = {
        "url": "redis://:secret@rts",
        "host": "rts",
        "port": 1,
        "db": 0,
        "password_file": "/p",
        "embedded": "always",
    }
    mistakes = mistakes_of({"redis": redis})
    assert len(mistakes) == 5
    for key in ("host", "port", "db", "password_file", "embedded"):
        assert any(mistake.startswith(f"FILE: redis.{key} ") for mistake in mistakes)
    # A user in the URL and the password in its file do go together.
    Config.from_mapping({"redis": {"url": "redis://user@rts", "password_file": "/p"}})


@pytest.mark.parametrize(
    ("redis", "said"),
    [
        ({"sentinels": ["rts:26379"]}, "redis.sentinels needs redis.sentinel_service"),
        ({"sentinel_service": "m"}, "redis.sentinel_service needs redis.sentinels"),
        ({"sentinel_password_file": "/p"}, "redis.sentinel_password_file needs redis.sentinels"),
        ({"sentinels": ["a:1"], "sentinel_service": "m", "host": "b"}, "redis.host stands beside redis.sentinels"),
        ({"sentinels": ["a:1"], "sentinel_service": "m", "port": 1}, "redis.port stands beside redis.sentinels"),
        ({"sentinels": ["a:1"], "sentinel_service": "m", "embedded": "always"}, "redis.embedded is 'always' beside"),
        ({"url": "redis://a", "sentinel_service": "m"}, "redis.sentinel_service stands beside redis.url"),
        ({"url": "redis://a@b", "user": "c"}, "redis.user stands beside a redis.url with a user"),
        ({"url": "redis://a", "ca_file": "/p"}, "redis.ca_file stands beside a redis.url without TLS"),
        ({"host": "a", "key_file": "/p"}, "redis.key_file needs redis.cert_file"),
        ({"host": "a", "verify": "ca"}, "redis.verify has no meaning without TLS"),
    ],
)
def test_the_keys_of_redis_fit_together(redis: dict[str, Any], said: str) -> None:
    [mistake] = mistakes_of({"redis": redis})
    assert mistake.startswith(f"FILE: {said}")


@pytest.mark.parametrize(
    "redis",
    [
        {"sentinels": ["rts:26379", "[fd00::1]:5", "10.0.0.1:1"], "sentinel_service": "m", "db": 1, "user": "u"},
        {"host": "a", "ca_file": "/p", "verify": "none"},
        {"url": "rediss://a", "cert_file": "/p", "key_file": "/q", "verify": "ca"},
        {"url": "unix:///p?db=3", "user": "u", "password_file": "/p"},
    ],
)
def test_what_fits_together_is_no_mistake(redis: dict[str, Any]) -> None:
    config = Config.from_mapping({"redis": redis}).redis
    assert config.is_configured
    if "sentinels" in redis:
        assert config.sentinels == (("rts", 26379), ("fd00::1", 5), ("10.0.0.1", 1))
    assert config.has_tls == any(key in redis for key in ("ca_file", "cert_file"))


def test_an_address_on_the_command_line_replaces_sentinels_in_the_file() -> None:
    by_sentinels = {"redis": {"sentinels": ["a:1"], "sentinel_service": "m", "password_file": "/p"}}
    for overrides in ({"redis.host": "lab"}, {"redis.url": "redis://lab"}, {"redis.port": 7000}):
        redis = Config.from_mapping(by_sentinels, overrides=overrides).redis
        assert (redis.sentinels, redis.sentinel_service, str(redis.password_file)) == (None, None, "/p")


def test_more_ports_than_there_are() -> None:
    [mistake] = mistakes_of({"network": {"base_pub_port": 65000, "port_count": 537}})
    assert mistake == (
        "FILE: network.port_count is 537, not a whole number from 1 to 536, "
        "the ports there are from network.base_pub_port = 65000 on"
    )


def test_each_mirror_is_of_another_host_and_has_a_file_of_its_own(tmp_path: Path) -> None:
    text = 'host = "lab"\n' + "".join(
        f'[[mirror]]\nsource = "{source}"\n' for source in ("rts:wfs", "rts_a:b", "lab:wfs", "rts:wfs", "rts:a_b")
    )
    [own, twice, same_file] = mistakes_in(text, tmp_path)
    assert own.startswith("FILE:7: mirror[2].source is 'lab:wfs', a segment of this host itself; ")
    assert twice == "FILE:9: mirror[3].source is 'rts:wfs', as mirror[0].source is already; give each source once"
    assert same_file.startswith("FILE:11: mirror[4].source is 'rts:a_b', which would be mirrored as remote_rts_a_b ")


@pytest.mark.parametrize("key", ["control.socket", "runtime_folder"])
def test_a_socket_path_must_fit_the_kernels_structure(key: str, tmp_path: Path) -> None:
    fits = "/" + "é" * 53 if key == "control.socket" else "/" + "f" * (107 - len("//rts.sock"))
    config = Config.from_mapping({}, instance="rts", overrides={key: fits})
    assert len(os.fsencode(config.control.socket)) == 107
    [mistake] = mistakes_of({}, instance="rts", overrides={key: fits + "x"})
    assert mistake.startswith("command line: control.socket is '/")
    assert "108 bytes, not at most 107" in mistake
    with socket.socket(socket.AF_UNIX) as s, pytest.raises(FileNotFoundError):
        s.bind(str(tmp_path / "no") + "/" + "x" * (106 - len(str(tmp_path / "no"))))


def test_a_machine_without_a_usable_name_needs_one(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = os.uname()
    odd = os.uname_result(("Linux", "_odd_", machine.release, machine.version, machine.machine))
    monkeypatch.setattr(os, "uname", lambda: odd)
    [mistake] = mistakes_of({})
    assert mistake.startswith("host: this machine's name is '_odd_', not 1 to 63 letters")
    assert Config.from_mapping({"host": "rts"}).host == "rts"


@pytest.mark.parametrize("instance", ["", "../etc/passwd", "a b", "x" * 64, "\x00", "\ud800"])
def test_an_instance_has_a_name_that_is_no_path(instance: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, instance)
    [mistake] = caught.value.mistakes
    assert mistake.startswith("instance is ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("host = \n", r"FILE:1: is not valid TOML: "),
        ('host = "a"\nhost = "b"\n', r"FILE:2: is not valid TOML: "),
        ("[redis]\nport = 06379\n", r"FILE:2: is not valid TOML: "),
        ("port = " + "9" * 5000, r"FILE.*: "),
        ("a = " + "[" * 100_000, r"FILE.*: is not valid TOML: "),
        (b'host = "\xff"', r"FILE: is not UTF-8 text \(byte 8\)"),
    ],
    ids=["no value", "twice", "leading zero", "too many digits", "too deep", "not UTF-8"],
)
def test_what_is_not_toml_is_one_mistake(text: str | bytes, said: str, tmp_path: Path) -> None:
    [mistake] = mistakes_in(text, tmp_path)
    assert re.match(said, mistake)


def test_a_named_file_must_be_there_and_readable(tmp_path: Path) -> None:
    for path, why in ((tmp_path / "none.toml", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(ConfigError) as caught:
            load(path, "rts", {"redis.prot": 1})
        assert caught.value.mistakes == [
            f"{path}: cannot be read: {why}; name a file that this user may read",
            "command line: unknown key redis.prot; did you mean redis.port?",
        ]
    assert caught.value.exit_code == 78
