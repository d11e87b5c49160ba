"""Throws bytes at the decoders and the seal: random ones, and good ones that were damaged.

Nothing but a message or a `DecodeError` may come of it. Prints how many inputs a second went in
and how much memory the process took at most; ends with 1, and the input, if anything else came.

    python tests/fuzz/decode_anything.py --count 1000000 --seed 7
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable

import msgpack
import zstandard
from muster.agents.kernel.delivery.frame_seal import Outgoing
from muster.agents.kernel.discovery import (
    HEAD_BYTES,
    DiscoveryCodec,
    DiscoveryKind,
    Greeting,
    LaneAddress,
    Question,
    pack_greeting,
    read_greeting,
    read_head,
)
from muster.agents.kernel.security.client_seal import ClientSeal
from muster.agents.kernel.security.connection_keys import Exchange
from muster.agents.kernel.security.identity import Identity
from muster.agents.kernel.security.manager_seal import ManagerSeal
from muster.agents.kernel.security.sealed_frame import HEADER_BYTES, FrameKind
from muster.agents.kernel.security.unsealed import Unsealed
from muster.agents.kernel.security.workspace_secret import WorkspaceSecret
from muster.messages import (
    DecodeError,
    Hello,
    ManagerReply,
    PriorityTask,
    Task,
    TaskAssignment,
    TaskResult,
    decode_message,
    encode_message,
)
from muster.messages.frame import (
    MAGIC,
    Datagram,
    Frame,
    Section,
    Segment,
    decode_frame,
    decode_letter,
    encode_frame,
    encode_letter,
)

MESSAGES = [
    encode_message(message)
    for message in (
        TaskAssignment(
            task=Task(id=7, description="Count", type="count", data={"rows": [1, 2.5, b"x", None]}),
            inputs={1: "one", "two": [2]},
            timeout=30.0,
        ),
        TaskAssignment(task=PriorityTask(id="seven", description="d", priority=3)),
        TaskResult(task_id=7, worker="Asha", success=False, error_message="ValueError: no"),
        Hello(name="Asha", skill_level=8, specialties=("tea",), session="s1"),
        ManagerReply(number=7, value=["one", "two"]),
    )
]
LETTERS = [
    encode_letter(Datagram(tuple(MESSAGES[:2]))),
    encode_letter(Segment("a:b", 12, 7, tuple(MESSAGES))),
]
FRAMES = [
    encode_frame(Frame("12D3KooW", tuple(Section("Asha", letter) for letter in LETTERS * times)))
    for times in (0, 1, 9)
]
SECRET = WorkspaceSecret(bytes(range(32)))
MANAGER = ManagerSeal(SECRET, "estate", Identity(b"managers session".ljust(32)), max_senders=4)
ADMITTED = ClientSeal(SECRET, "estate", Identity(b"admitted session".ljust(32)), max_senders=4)
ASKING = ClientSeal(SECRET, "estate", Identity(b"session of asker".ljust(32)), max_senders=4)
SEALS = (MANAGER, ADMITTED, ASKING, Unsealed(manages=True), Unsealed(manages=False))


def sealed_seeds() -> list[bytes]:
    """Every kind of sealed frame, each of them good."""
    seeds: list[bytes] = []
    for client in (ADMITTED, ASKING):
        seeds.append(client.wrap(Outgoing(FRAMES[1], None), 0.0).frame)
        MANAGER.unwrap(seeds[-1], 0.0)
        challenge = MANAGER.collect()
        assert challenge is not None
        seeds.append(challenge.frame)
    # The other goes on asking: only one challenge reaches its client.
    ADMITTED.unwrap(seeds[1], 0.0)
    for frame in FRAMES:
        seeds += [seal.wrap(Outgoing(frame, None), 0.0).frame for seal in (MANAGER, ADMITTED)]
    return seeds


SEALED = sealed_seeds()
GREETING = Greeting(b"greets everybody", sealed=True)
QUESTION = Question(b"asks for a place", "Asha")
IDENTITY = Identity(b"somebody".ljust(32))
EXCHANGE = Exchange(b"exchange".ljust(32))
TALKS = (DiscoveryCodec(SECRET, "estate", IDENTITY), DiscoveryCodec(None, "estate"))
CONNECTION_REQUEST = TALKS[0].connection_request(b"asks for a wire.", "12D3KooWAsha", EXCHANGE)
DISCOVERY = [
    pack_greeting(GREETING),
    *(talk.pack_question(GREETING, QUESTION) for talk in TALKS),
    *(
        talk.pack_answer(GREETING, QUESTION, LaneAddress("estate", "12D3KooW", 9001))
        for talk in TALKS
    ),
    *(talk.pack_connection_request(GREETING, CONNECTION_REQUEST) for talk in TALKS),
    *(
        talk.pack_connection_reply(GREETING, CONNECTION_REQUEST, talk.connection_reply(EXCHANGE))
        for talk in TALKS
    ),
]
SEEDS = MESSAGES + LETTERS + FRAMES + SEALED + DISCOVERY
TELLING = bytes([0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, *range(0xC0, 0xE0), 0xFF])


def invent(chance: random.Random) -> bytes:
    """Bytes that nobody sent: noise, telling noise, invented values, or good bytes damaged."""
    way = chance.randrange(10)
    if way == 0:
        return chance.randbytes(chance.randrange(200))
    if way == 1:
        return bytes(chance.choices(TELLING, k=chance.randrange(60)))
    if way == 2:
        value = invent_value(chance, 4)
        return msgpack.packb([chance.choice(["TaskResult", "Hello", 0, 1, "s"]), value])
    if way == 3:
        return dress(chance, zstandard.compress(bytes(chance.choices(TELLING, k=300))))
    data = bytearray(chance.choice(SEEDS))
    for _ in range(chance.choice([1, 1, 1, 2, 4])):
        damage(chance, data)
    return bytes(data) if chance.random() < 0.7 else dress(chance, bytes(data))


def invent_value(chance: random.Random, levels: int) -> object:
    """A value of any shape that msgpack has."""
    way = chance.randrange(9 if levels else 7)
    if way == 7:
        return [invent_value(chance, levels - 1) for _ in range(chance.randrange(4))]
    if way == 8:
        names = ["task_id", "worker", "success", "name", "session", "output", 7, b"b", None]
        return {
            chance.choice(names): invent_value(chance, levels - 1)
            for _ in range(chance.randrange(5))
        }
    return chance.choice(
        [
            None,
            chance.random() < 0.5,
            chance.randint(-(2**63), 2**64 - 1),
            chance.randrange(5),
            chance.choice([0.0, -1.5, float("nan"), float("inf")]),
            chance.choice(["", " ", "Asha", "x" * 300]),
            chance.randbytes(chance.randrange(9)),
            msgpack.ExtType(chance.randrange(128), b"x"),
            msgpack.Timestamp(chance.randrange(-(2**62), 2**62), 0),
        ]
    )


def damage(chance: random.Random, data: bytearray) -> None:
    """Do one thing to good bytes that makes them, most likely, bad."""
    if not data:
        data += chance.randbytes(4)
        return
    place = chance.randrange(len(data))
    match chance.randrange(6):
        case 0:
            data[place] ^= 1 << chance.randrange(8)
        case 1:
            data[place] = chance.choice(TELLING)
        case 2:
            del data[place:]
        case 3:
            del data[place : place + chance.randint(1, 8)]
        case 4:
            data[place:place] = bytes(chance.choices(TELLING, k=chance.randint(1, 8)))
        case _:
            data[place:place] = chance.choice(SEEDS)[: chance.randrange(60)]


def dress(chance: random.Random, data: bytes) -> bytes:
    """Give bytes the header of a frame, plain or sealed."""
    if chance.random() < 0.3:
        header = bytearray(chance.choice(SEALED)[:HEADER_BYTES])
        header[3] = chance.choice([0, *FrameKind, 6, 255])
        return bytes(header) + data
    return MAGIC + bytes((1, chance.choice([0, 1, 1, 1, 2]))) + data


def decode_all(data: bytes) -> str:
    """Put bytes through every decoder, each as far down as it goes; tells how far that was."""
    reached = "nothing"
    for seal in SEALS:
        inside = attempt(lambda data, seal=seal: seal.unwrap(data, 0.0), data)
        while seal.collect() is not None:
            pass
        if inside is not None and inside.frame is not data:
            reached = "an opened seal"
            attempt(decode_frame, inside.frame)
    for kind in DiscoveryKind:
        if attempt(lambda data, kind=kind: read_head(data[:HEAD_BYTES], kind), data) is not None:
            reached = "the head of a word at the door"
    for body in (data, data[HEAD_BYTES:]):
        attempt(read_greeting, body)
        for talk in TALKS:
            for read in (
                lambda body, talk=talk: talk.read_question(GREETING, body),
                lambda body, talk=talk: talk.read_answer(GREETING, QUESTION, body),
                lambda body, talk=talk: talk.read_connection_request(GREETING, body),
                lambda body, talk=talk: talk.read_connection_reply(
                    GREETING, CONNECTION_REQUEST, body
                ),
            ):
                if attempt(read, body) is not None:
                    reached = "a word at the door"
    for reader in (decode_message, decode_letter, decode_frame):
        found = attempt(reader, data)
        if found is None:
            continue
        reached = type(found).__name__
        letters = [found]
        if isinstance(found, Frame):
            letters = [attempt(decode_letter, section.letter) for section in found.sections]
        for letter in letters:
            for message in getattr(letter, "messages", ()):
                attempt(decode_message, message)
    return reached


def attempt(reader: Callable[[bytes], object], data: bytes) -> object | None:
    """What a decoder makes of the bytes, or None if it refuses them as it should."""
    try:
        return reader(data)
    except DecodeError as refusal:
        str(refusal)
        return None


def main() -> int:
    """Run as the arguments say; 0 if all went well."""
    parser = argparse.ArgumentParser(description="Throw bytes at the decoders.")
    parser.add_argument("--count", type=int, default=100_000, help="how many inputs")
    parser.add_argument("--seed", type=int, default=0, help="the same seed, the same inputs")
    asked = parser.parse_args()
    chance = random.Random(asked.seed)
    reached: Counter[str] = Counter()
    began = time.perf_counter()
    for number in range(asked.count):
        data = invent(chance)
        try:
            reached[decode_all(data)] += 1
        except Exception as fault:  # noqa: BLE001 - it is what is looked for
            print(f"input {number} of seed {asked.seed} raised {fault!r}: {data.hex()}")
            return 1
    took_s = time.perf_counter() - began
    # Linux tells kilobytes, macOS bytes.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak_mb = peak / (1024 * 1024 if sys.platform == "darwin" else 1024)
    print(f"{asked.count:,} inputs, {asked.count / took_s:,.0f} a second, peak {peak_mb:.0f} MB")
    print(", ".join(f"{name} {count:,}" for name, count in reached.most_common()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
