"""Damage, as disks, people and attackers do it: bytes in, other bytes out, by a seeded generator.

Each damage is a function of the bytes, the generator and the length of a record; what is done to a whole
file (missing, a folder, a pipe in its place) is `REPLACED`.
"""

from __future__ import annotations

import os
import random
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

BLOCK = 4096


def truncated(data: bytes, rng: random.Random, node: int) -> bytes:
    return data[: rng.randrange(len(data))]


def truncated_at_a_node(data: bytes, rng: random.Random, node: int) -> bytes:
    return data[: -node * rng.randint(1, max(1, len(data) // node - 1))]


def one_bit(data: bytes, rng: random.Random, node: int) -> bytes:
    return flipped(data, rng.randrange(8 * len(data)))


def many_bits(data: bytes, rng: random.Random, node: int) -> bytes:
    for _ in range(rng.randint(2, 64)):
        data = one_bit(data, rng, node)
    return data


def a_zeroed_block(data: bytes, rng: random.Random, node: int) -> bytes:
    start = BLOCK * rng.randrange(len(data) // BLOCK + 1)
    return (data[:start] + bytes(BLOCK) + data[start + BLOCK :])[: len(data)]


def a_block_of_noise(data: bytes, rng: random.Random, node: int) -> bytes:
    start = BLOCK * rng.randrange(len(data) // BLOCK + 1)
    return (data[:start] + rng.randbytes(BLOCK) + data[start + BLOCK :])[: len(data)]


def a_block_of_another_place(data: bytes, rng: random.Random, node: int) -> bytes:
    source, target = (BLOCK * rng.randrange(max(1, len(data) // BLOCK)) for _ in range(2))
    return data[:target] + data[source : source + BLOCK] + data[target + BLOCK :]


def another_header(data: bytes, rng: random.Random, node: int) -> bytes:
    position = rng.randrange(min(100, len(data)))
    return data[:position] + rng.randbytes(rng.randint(1, 8)) + data[position + 8 :]


def more_at_the_end(data: bytes, rng: random.Random, node: int) -> bytes:
    return data + data[-node * rng.randint(1, 9) :]


def empty(data: bytes, rng: random.Random, node: int) -> bytes:
    return b""


def a_text(data: bytes, rng: random.Random, node: int) -> bytes:
    return b"This is no index, but a text that somebody saved here.\n" * rng.randint(1, 99)


DAMAGES: list[Callable[[bytes, random.Random, int], bytes]] = [
    *(truncated, truncated_at_a_node, one_bit, many_bits, a_zeroed_block, a_block_of_noise),
    *(a_block_of_another_place, another_header, more_at_the_end, empty, a_text),
]


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def damaged(data: bytes, rng: random.Random, node: int, *, number: int) -> tuple[str, bytes]:
    """The name of a damage, each in its turn, and the bytes after it, which are others than before."""
    while True:
        damage = DAMAGES[number % len(DAMAGES)]
        for _ in range(5):  # a block that was zero, or the same byte drawn again, is no damage
            changed = damage(data, rng, node)
            if changed != data:
                return damage.__name__, changed
        number += 1  # a small file has no block to be exchanged


def crafted_annoy(data: bytes, dimension: int) -> bytes:
    """An Annoy file of the right length whose every split points far outside of it: Annoy itself crashes."""
    node = 12 + 4 * dimension
    changed = bytearray(data)
    for start in range(0, len(data), node):
        (count,) = struct.unpack_from("<i", data, start)
        if count > 1:
            struct.pack_into("<2i", changed, start + 4, 1 << 30, 1 << 30)
    return bytes(changed)


def missing(path: Path) -> None:
    path.unlink()


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def unreadable_name(path: Path) -> None:
    path.rename(path.with_name(path.name + ".old"))


REPLACED: list[Callable[[Path], None]] = [missing, a_folder, a_pipe, a_link_to_itself, unreadable_name]


def clear(path: Path) -> None:
    """Take away whatever is at a path."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
