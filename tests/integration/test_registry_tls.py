"""A registry behind TLS: whom we trust, whom it trusts, and one clear error if that does not fit."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daosup.adapters.redis_address import RedisAddress, address_of
from daosup.adapters.redis_server import EmbeddedRedis
from daosup.adapters.redis_tls import Tls
from daosup.adapters.registry import ping
from daosup.config import Config, Verify
from daosup.errors import ConfigError, UnavailableError
from tests.integration.certificates import Authority
from tests.integration.fleet import Fleet
from tests.integration.registry_faults import reach
from tests.integration.registry_hosts import connected
from tests.integration.streams import stream
from tests.integration.tcp_proxy import Proxy, proxy


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    return Authority(folder, "ours")


@pytest.fixture(scope="module")
def stranger(folder: Path) -> Authority:
    return Authority(folder, "theirs")


@pytest.fixture(scope="module")
def open_door(authority: Authority, redis_server: EmbeddedRedis) -> Iterator[Proxy]:
    """A server for localhost that takes everybody."""
    with proxy(redis_server.port or 0, certificate=authority.sign("server", "DNS:localhost")) as made:
        yield made


@pytest.fixture(scope="module")
def guarded_door(authority: Authority, redis_server: EmbeddedRedis) -> Iterator[Proxy]:
    """A server for 127.0.0.1 that wants to see a certificate of ours."""
    certificate = authority.sign("guarded", "IP:127.0.0.1")
    with proxy(redis_server.port or 0, certificate=certificate, client_ca=authority.file) as made:
        yield made


def address(door: Proxy, host: str, **tls: Any) -> RedisAddress:
    return RedisAddress(host, door.port, tls=Tls(**tls))


def use(where: RedisAddress) -> None:
    """Over both kinds of connection."""

    async def look() -> None:
        async with connected(where, "rts") as host:
            await host.registry.readers()

    asyncio.run(look())
    ping(where)


def refused(where: RedisAddress) -> str:
    """What both kinds of connection say, which is the same."""
    said = []
    for attempt in (lambda: use(where), lambda: ping(where)):
        with pytest.raises(UnavailableError) as caught:
            attempt()
        said.append(str(caught.value))
    assert said[0] == said[1]
    return said[0]


def test_a_server_is_trusted_by_who_signed_for_it(open_door: Proxy, authority: Authority, stranger: Authority) -> None:
    use(address(open_door, "localhost", ca_file=authority.file))
    for tls in ({"ca_file": stranger.file}, {}):
        assert "showed a certificate that does not fit" in refused(address(open_door, "localhost", **tls))


def test_a_server_that_signed_for_another_host_is_not_trusted_unless_told_to(
    open_door: Proxy, authority: Authority, stranger: Authority
) -> None:
    said = refused(address(open_door, "127.0.0.1", ca_file=authority.file))
    assert "certificate that does not fit" in said
    assert "127.0.0.1" in said
    use(address(open_door, "127.0.0.1", ca_file=authority.file, verify=Verify.CA))
    assert "does not fit" in refused(address(open_door, "127.0.0.1", ca_file=stranger.file, verify=Verify.CA))
    use(address(open_door, "127.0.0.1", ca_file=stranger.file, verify=Verify.NONE))


def test_a_server_that_wants_to_know_us_is_shown_our_certificate(
    guarded_door: Proxy, authority: Authority, stranger: Authority
) -> None:
    known = authority.sign("client")
    use(address(guarded_door, "127.0.0.1", ca_file=authority.file, cert_file=known))
    key = known.with_suffix(".key")
    use(address(guarded_door, "127.0.0.1", ca_file=authority.file, cert_file=known, key_file=key))
    for files in ({}, {"cert_file": stranger.sign("unknown")}):
        where = address(guarded_door, "127.0.0.1", ca_file=authority.file, **files)
        with pytest.raises(UnavailableError, match=r"does not agree on TLS|cannot be reached"):
            use(where)


def test_tls_where_there_is_none_and_none_where_there_is(open_door: Proxy, redis_server: EmbeddedRedis) -> None:
    plain = replace(redis_server.tcp_address, tls=Tls())
    # Redis takes our greeting for a command that is not complete yet.
    assert "does it speak TLS" in refused(replace(plain, timeout_s=0.5))
    with pytest.raises(UnavailableError, match="cannot be reached"):
        use(RedisAddress("localhost", open_door.port, timeout_s=1.0))


def test_a_server_that_takes_connections_and_never_shakes_hands_costs_the_timeout(
    redis_server: EmbeddedRedis, authority: Authority
) -> None:
    with proxy(redis_server.port or 0) as silent:
        silent.stall()
        where = replace(address(silent, "localhost", ca_file=authority.file), timeout_s=0.5)
        start_s = time.monotonic()
        with pytest.raises(UnavailableError, match=r"did not answer within 0\.5 s"):
            use(where)
        assert time.monotonic() - start_s < 5.0


def test_a_renewed_certificate_counts_from_the_next_connection_on(
    tmp_path: Path, open_door: Proxy, authority: Authority, stranger: Authority
) -> None:
    trusted = tmp_path / "ca.pem"
    shutil.copy(stranger.file, trusted)
    where = address(open_door, "localhost", ca_file=trusted)
    assert "does not fit" in refused(where)
    shutil.copy(authority.file, trusted)
    use(where)
    trusted.unlink()
    assert f"{trusted} cannot be read: No such file" in refused(where)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"ca_file": "missing"}, "missing cannot be read: No such file"),
        ({"ca_file": "junk"}, r"ca_file .*junk in \[redis\] cannot be used: .*certificates in PEM form"),
        ({"cert_file": "ours.pem"}, r"cert_file .*ours.pem in \[redis\] cannot be used: .*and its key"),
        ({"cert_file": "ours.pem", "key_file": "locked.key"}, r"key_file .*locked.key in \[redis\] cannot be used"),
        ({"cert_file": "ours.pem", "key_file": "theirs.key"}, "KEY_VALUES_MISMATCH"),
    ],
)
def test_files_that_are_of_no_use_are_a_mistake_of_the_configuration(
    folder: Path, authority: Authority, stranger: Authority, files: dict[str, str], said: str
) -> None:
    (folder / "junk").write_text("nothing")
    (folder / "locked.key").write_text(LOCKED_KEY)
    redis = {"url": "rediss://localhost", **{key: str(folder / name) for key, name in files.items()}}
    with pytest.raises(ConfigError, match=said):
        address_of(Config.from_mapping({"redis": redis}).redis)


# Of no certificate, and with a password that nobody needs to know.
LOCKED_KEY = ssl.DER_cert_to_PEM_cert(b"\x30\x00").replace("CERTIFICATE", "ENCRYPTED PRIVATE KEY")


def test_hosts_share_segments_over_a_registry_behind_tls(fleet: Fleet, authority: Authority) -> None:
    with proxy(fleet.redis.port or 0, certificate=authority.sign("fleet", "DNS:localhost")) as door:
        for name, keys in (
            ("rts", f'url = "rediss://localhost:{door.port}"\nca_file = "{authority.file}"'),
            ("lab", f'host = "127.0.0.1"\nport = {door.port}\nca_file = "{authority.file}"\nverify = "ca"'),
        ):
            reach(fleet.add(name), keys)
        fleet.start("rts", "lab")
        assert fleet.rts.status()["registry"]["address"] == f"rediss://localhost:{door.port}"
        with stream(fleet, "wfs") as wfs:
            wfs.check_going()
            door.cut()
            wfs.check_going()
            door.heal()
            for host in fleet.hosts.values():
                host.wait_up()
