"""Messages between the guard and its workers: a length of 4 bytes, then the body."""

import struct
from typing import IO

_HEADER = struct.Struct(">I")


def send(pipe: IO[bytes], body: bytes) -> None:
    """Write one message; raises OSError when nobody reads."""
    pipe.write(_HEADER.pack(len(body)) + body)
    pipe.flush()


def receive(pipe: IO[bytes]) -> bytes:
    """Read one message; raises EOFError when the other side went away."""
    (length,) = _HEADER.unpack(_exactly(pipe, _HEADER.size))
    return _exactly(pipe, length)


def _exactly(pipe: IO[bytes], length: int) -> bytes:
    data = pipe.read(length)
    if len(data) < length:
        raise EOFError
    return data
