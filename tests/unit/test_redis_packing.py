"""Commands are packed as the client library packs them."""

from __future__ import annotations

import redis

from daosup.adapters.redis_packing import pack_commands


def test_commands_are_packed_as_the_library_does() -> None:
    commands = [
        ("PING",),
        ("SET", b"k\xff\r\n", "värde", "PX", 1200),
        ("SET", "empty", b""),
        ("PUBLISH", b"channel", bytes(100_000)),
        *((("GETRANGE", f"key{number}", 0, number)) for number in range(5000)),
    ]
    connection = redis.Connection()
    assert b"".join(pack_commands(commands)) == b"".join(connection.pack_commands(commands))
    assert max(map(len, pack_commands(commands))) < 200_000
    assert b"".join(pack_commands([])) == b""
