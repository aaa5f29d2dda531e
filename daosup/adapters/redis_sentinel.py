"""Which server the sentinels take for the master.

Invariant: all sentinels are asked at once and the one that most of them name is taken, so neither a sentinel that hangs
nor one that was cut off from the others decides. That the server takes itself for the master is for the caller to see:
sentinels know it a moment later than servers do.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Optional

from daosup.adapters.redis_address import RedisAddress
from daosup.adapters.redis_connection import FAILURES, Command, Connection, Refusal, explained
from daosup.errors import UnavailableError

#: How long the slower sentinels are waited for after the first has answered.
GRACE_S = 0.3
#: A sentinel that is silent for so long is not waited for at all.
PATIENCE_S = 1.0

Answer = tuple[str, int]


async def master_by_sentinels(
    address: RedisAddress, addresses_of: Callable[[str], Awaitable[list[str]]]
) -> tuple[str, int]:
    """Host and port of the master.

    Args:
        address: With sentinels and the name of the service.
        addresses_of: Looks a name up.

    Raises:
        UnavailableError: If no sentinel named one in time; with what each of them said.
    """
    tasks = [asyncio.ensure_future(_ask(address, sentinel, addresses_of)) for sentinel in address.sentinels]
    said: dict[str, str] = {}
    votes: Counter[Answer] = Counter()
    waiting = set(tasks)
    try:
        patience_s = PATIENCE_S
        loop = asyncio.get_running_loop()
        until_s = loop.time() + patience_s
        while waiting and loop.time() < until_s:
            done, waiting = await asyncio.wait(
                waiting, timeout=until_s - loop.time(), return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                answer = task.result()
                if isinstance(answer, str):
                    said[answer] = answer
                else:
                    votes[answer] += 1
                    until_s = min(until_s, loop.time() + GRACE_S)
            if votes and 2 * votes.most_common(1)[0][1] > len(tasks):
                break
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    if not votes:
        silent = [f"{len(waiting)} did not answer"] if waiting else []
        raise UnavailableError(
            f"no sentinel of {address} names a master ({'; '.join([*said, *silent])[:300]}); "
            "check sentinels and sentinel_service in [redis]"
        )
    return votes.most_common(1)[0][0]


async def _ask(
    address: RedisAddress, sentinel: tuple[str, int], addresses_of: Callable[[str], Awaitable[list[str]]]
) -> Answer | str:
    """What one sentinel says: host and port, or in words why not."""
    where = f"{sentinel[0]}:{sentinel[1]}"
    connection: Optional[Connection] = None
    try:
        server = address.of_sentinel(*sentinel)
        connection = Connection(server, (await addresses_of(server.host))[0])
        await connection.connect()
        command: Command = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", address.sentinel_service)
        (reply,) = await connection.exchange([command])
        if reply is None:
            return f"{where} knows no service {address.sentinel_service}"
        if isinstance(reply, Refusal):
            return f"{where} refused: {reply.text}"
        host, port = (word.decode() for word in reply)
        return host, int(port)
    except (*FAILURES, UnavailableError) as error:
        return explained(error, server) if connection is not None else f"{where}: {error}"
    finally:
        if connection is not None:
            await connection.close()
