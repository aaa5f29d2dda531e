"""JSON piece by piece, for what holds up everything else if it is written at once.

Invariant: the pieces together are what ``json.dumps`` makes without blanks. A list of many is written item by item,
and all else at once but for the lists within; so what is large because of its lists comes in small pieces.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

#: Shorter lists are written at once.
MANY = 20
_encode = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


def json_pieces(value: object) -> Iterator[str]:
    """Write ``value``; it may be changed meanwhile, and is then written as it was or as it is.

    Raises:
        ValueError: If there is a number in it that JSON does not have.
        TypeError: If there is something else in it that JSON does not have.
    """
    if isinstance(value, dict) and all(isinstance(name, str) for name in value):
        before = "{"
        for name, each in list(value.items()):
            yield f"{before}{_encode(name)}:"
            yield from json_pieces(each)
            before = ","
        yield "}" if before == "," else "{}"
    elif isinstance(value, (list, tuple)) and len(value) >= MANY:
        before = "["
        for each in list(value):
            yield before + _encode(each)
            before = ","
        yield "]"
    else:
        yield _encode(value)
