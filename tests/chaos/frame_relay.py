"""Passes Ethernet frames between two interfaces, and loses some of them and delays the rest.

It stands where a bridge would stand. Kernels without netem have no other way to do this to TCP.

    python frame_relay.py ONE OTHER --loss 0.1 --delay-s 0.05 --seed 1
"""

from __future__ import annotations

import argparse
import collections
import json
import random
import select
import signal
import socket
import sys
import time

_EVERY_PROTOCOL = 3
_SOL_PACKET = 263
_PACKET_VNET_HDR = 15
"""Keeps with each frame what the kernel has left undone, such as its checksum."""
_PACKET_OUTGOING = 4
_MAX_FRAME = 70_000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("interfaces", nargs=2)
    parser.add_argument("--loss", type=float, required=True)
    parser.add_argument("--delay-s", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    sockets = [_open(each) for each in options.interfaces]
    late: collections.deque[tuple[float, socket.socket, bytes]] = collections.deque()
    counts = {"lost": 0, "passed": 0}

    def end(*_: object) -> None:
        print(json.dumps(counts))
        sys.stdout.flush()
        sys.exit()

    signal.signal(signal.SIGINT, end)
    while True:
        wait_s = max(0.0, late[0][0] - time.monotonic()) if late else 1.0
        for ready in select.select(sockets, [], [], wait_s)[0]:
            frame, (_, _, kind, *_) = ready.recvfrom(_MAX_FRAME)
            if kind == _PACKET_OUTGOING:
                continue
            other = sockets[1 - sockets.index(ready)]
            if chance.random() < options.loss:
                counts["lost"] += 1
            else:
                late.append((time.monotonic() + options.delay_s, other, frame))
        while late and late[0][0] <= time.monotonic():
            _, other, frame = late.popleft()
            counts["passed"] += 1
            try:
                other.send(frame)
            except OSError:
                counts["lost"] += 1


def _open(interface: str) -> socket.socket:
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_EVERY_PROTOCOL))
    opened.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
    opened.bind((interface, _EVERY_PROTOCOL))
    return opened


if __name__ == "__main__":
    main()
