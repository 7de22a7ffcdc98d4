# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs in a pod and tries to reach others, with real packets: all at once, each for some seconds.

Its only argument is JSON, {name: [address, port]}, of name servers by port 53; it gives {name: "open" or why not}."""

import json
import socket
import sys
from concurrent.futures import ThreadPoolExecutor

SECONDS = 4


def tried(target: list) -> str:
    address, port = target
    try:
        if port == 53:
            return asked(address)
        socket.create_connection((address, port), SECONDS).close()
    except OSError as error:
        return str(error)
    return "open"


def asked(address: str) -> str:
    """Ask a name server something, by UDP and by TCP: one of both is no way to live."""
    name = b"".join(bytes([len(part)]) + part for part in (b"kubernetes", b"default", b"svc", b"cluster", b"local"))
    query = b"\1\2\1\0\0\1\0\0\0\0\0\0" + name + b"\0\0\1\0\1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.settimeout(SECONDS)
        one.connect((address, 53))
        one.send(query)
        one.recv(512)
    with socket.create_connection((address, 53), SECONDS) as other:
        other.sendall(len(query).to_bytes(2, "big") + query)
        other.recv(512)
    return "open"


if __name__ == "__main__":
    targets = json.loads(sys.argv[1])
    with ThreadPoolExecutor(len(targets)) as pool:
        print(json.dumps(dict(zip(targets, pool.map(tried, targets.values()), strict=True))))
