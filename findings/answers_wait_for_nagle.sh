#!/usr/bin/env bash
# uvicorn 0.54.0 on Python 3.11's asyncio: Nagle's algorithm on connections of a socket that uvicorn itself bound.
#
# Guess: connections of an asyncio server have TCP_NODELAY, as asyncio's documentation says, so that an answer leaves at once.
# Seen:  asyncio sets it where the socket names its protocol (IPPROTO_TCP, 6). `uvicorn.Config.bind_socket()` makes the listening socket
#        without one (protocol 0), and accepted connections inherit that: TCP_NODELAY is 0 there and 1 where asyncio bound by host and
#        port. The same program has one or the other by how the socket was made.
# So:    a service of recommendations that binds first (several workers, a port of 0 that has to be told) sends head and body of an answer
#        as two small packets, of which the second may wait for the client's delayed acknowledgement: a p50 of 40 ms and more for
#        lists that take one. A socket made with proto=IPPROTO_TCP has none of it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check uvicorn==0.54.0
"$work/venv/bin/python" - <<'PYTHON_SCRIPT'
import asyncio
import socket
import sys
from importlib.metadata import version

import uvicorn


async def no_delay(**where):
    """TCP_NODELAY of a connection that an asyncio server has accepted."""
    found = asyncio.get_running_loop().create_future()

    async def accepted(reader, writer):
        connection = writer.get_extra_info("socket")
        found.set_result((connection.proto, connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)))
        writer.close()

    server = await asyncio.start_server(accepted, **where)
    _, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
    result = await found
    writer.close()
    server.close()
    return result


def bound(**given):
    """A listening socket with its protocol named."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM, **given)
    made.bind(("127.0.0.1", 0))
    return made


async def main():
    config = uvicorn.Config(app=None, host="127.0.0.1", port=0, log_level="critical")
    return {
        "asyncio, by host and port": await no_delay(host="127.0.0.1", port=0),
        "uvicorn's bind_socket": await no_delay(sock=config.bind_socket()),
        "a socket of proto=IPPROTO_TCP": await no_delay(sock=bound(proto=socket.IPPROTO_TCP)),
    }


print("uvicorn", version("uvicorn"), "Python", ".".join(map(str, sys.version_info[:2])))
assert version("uvicorn") == "0.54.0"
seen = asyncio.run(main())
for name, (protocol, value) in seen.items():
    print(f"{name}: protocol {protocol}, TCP_NODELAY {value}")
assert [bool(value) for _, value in seen.values()] == [True, False, True]
PYTHON_SCRIPT
echo "as written"
