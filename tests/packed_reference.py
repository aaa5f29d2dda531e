"""Packed frames as they are written down, as plainly as can be: to compare with what the product makes."""

from __future__ import annotations

import numpy as np

BLOCK_ELEMENTS = 4096


def unpacked(packed: bytes, element_bytes: int) -> bytes:
    """The frame in a packed one."""
    return unshuffled(lz4_decoded(packed), element_bytes)


def lz4_decoded(block: bytes) -> bytes:
    """What is in one block of LZ4: literals, and copies of what came before."""
    decoded = bytearray()
    at = 0

    def length(first: int) -> int:
        nonlocal at
        total = first
        more = 255 if first == 15 else 0
        while more == 255:
            more = block[at]
            at += 1
            total += more
        return total

    while at < len(block):
        token = block[at]
        at += 1
        literals = length(token >> 4)
        decoded += block[at : at + literals]
        at += literals
        if at == len(block):
            break
        offset = int.from_bytes(block[at : at + 2], "little")
        at += 2
        for _ in range(4 + length(token & 15)):
            decoded.append(decoded[-offset])
    return bytes(decoded)


def shuffled(frame: bytes, element_bytes: int) -> bytes:
    """The bits of a frame, block by block: bit 0 of all elements, bit 1 of all, and so on."""
    return b"".join(
        np.packbits(bits.T, bitorder="little").tobytes() + rest for bits, rest in _blocks(frame, element_bytes)
    ) + _behind(frame, element_bytes)


def unshuffled(raw: bytes, element_bytes: int) -> bytes:
    """Its inverse."""
    whole = b""
    for bits, rest in _blocks(raw, element_bytes):
        turned = bits.reshape(element_bytes * 8, -1).T
        whole += np.packbits(turned, bitorder="little").tobytes() + rest
    return whole + _behind(raw, element_bytes)


def _blocks(raw: bytes, element_bytes: int) -> list[tuple[np.ndarray, bytes]]:
    """Of each block the bits of its elements, a row for each, as far as they come in eights; and the rest."""
    blocks = []
    block_bytes = BLOCK_ELEMENTS * element_bytes
    end = len(raw) // element_bytes * element_bytes
    for at in range(0, end, block_bytes):
        block = raw[at : min(at + block_bytes, end)]
        in_eights = len(block) // element_bytes // 8 * 8 * element_bytes
        bits = np.unpackbits(np.frombuffer(block[:in_eights], "uint8"), bitorder="little")
        blocks.append((bits.reshape(-1, element_bytes * 8), block[in_eights:]))
    return blocks


def _behind(raw: bytes, element_bytes: int) -> bytes:
    return raw[len(raw) // element_bytes * element_bytes :]
