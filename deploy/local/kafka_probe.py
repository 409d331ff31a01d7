"""Ask a Kafka broker whether it serves, with the few bytes of its protocol that this takes.

Needs no client library and no event loop, so that starting a server and looking for one
(`chevet doctor`) stay plain code.

Source: Apache Kafka protocol guide, "Metadata", "SaslHandshake" and "SaslAuthenticate".
"""

import socket
import ssl
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

METADATA: Final = (3, 1)
"""API key and version: version 1 is the oldest with a controller, and Kafka 4 still answers it."""

SASL_HANDSHAKE: Final = (17, 1)
SASL_AUTHENTICATE: Final = (36, 0)
REPLY_BYTES_MAX: Final = 1 << 20
CORRELATION_ID: Final = b"chvt"
TLS_ALERT: Final = b"\x15\x03"
"""How a TLS server's answer to plain text begins: record type and major version."""

NO_TOPICS: Final = struct.pack(">i", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SaslPlainOverTls:
    """What a client of a secured broker needs."""

    ca_file: Path
    username: str
    password: str


class NotKafkaError(OSError):
    """Something answers at this address, but not as a Kafka broker would."""


def count_live_brokers(
    host: str, port: int, *, timeout_s: float = 2.0, security: SaslPlainOverTls | None = None
) -> int:
    """Return how many brokers the cluster counts as live: 0 while it is still starting.

    Raises
    ------
    OSError
        Nothing answers, the answer is not Kafka's (`NotKafkaError`), or the log-in is refused.
    """
    with socket.create_connection((host, port), timeout=timeout_s) as connection:
        if security is None:
            return _count_brokers(connection)
        context = ssl.create_default_context(cafile=str(security.ca_file))
        with context.wrap_socket(connection, server_hostname=host) as secured:
            _log_in(secured, security)
            return _count_brokers(secured)


def _count_brokers(connection: socket.socket) -> int:
    reply = _ask(connection, METADATA, NO_TOPICS)
    return _first_field(">i", reply)


def _log_in(connection: socket.socket, security: SaslPlainOverTls) -> None:
    token = f"\0{security.username}\0{security.password}".encode()
    steps = (
        ("SASL mechanism PLAIN", SASL_HANDSHAKE, _string("PLAIN")),
        ("SASL log-in", SASL_AUTHENTICATE, struct.pack(">i", len(token)) + token),
    )
    for what, api, body in steps:
        if error_code := _first_field(">h", _ask(connection, api, body)):
            raise PermissionError(f"{what} refused with error code {error_code}")


def _ask(connection: socket.socket, api: tuple[int, int], body: bytes) -> bytes:
    """Send one request; return its reply without the correlation id."""
    header = struct.pack(">hh", *api) + CORRELATION_ID + _string("chevet-probe")
    connection.sendall(struct.pack(">i", len(header) + len(body)) + header + body)
    length = _receive(connection, 4)
    if length.startswith(TLS_ALERT):
        raise NotKafkaError("it wants TLS")
    n_bytes = _first_field(">i", length)
    if not len(CORRELATION_ID) <= n_bytes <= REPLY_BYTES_MAX:
        raise NotKafkaError(f"a reply of {n_bytes} bytes is not Kafka's")
    reply = _receive(connection, n_bytes)
    if not reply.startswith(CORRELATION_ID):
        raise NotKafkaError("the reply does not belong to the request")
    return reply[len(CORRELATION_ID) :]


def _first_field(form: str, message: bytes) -> int:
    try:
        return int(struct.unpack_from(form, message)[0])
    except struct.error as error:
        raise NotKafkaError(f"a message of {len(message)} bytes is not Kafka's") from error


def _receive(connection: socket.socket, n_bytes: int) -> bytes:
    received = bytearray()
    while len(received) < n_bytes:
        chunk = connection.recv(n_bytes - len(received))
        if not chunk:
            raise NotKafkaError(f"the connection was closed after {len(received)} bytes")
        received += chunk
    return bytes(received)


def _string(text: str) -> bytes:
    return struct.pack(">h", len(text)) + text.encode("ascii")
