"""The messages between the pool and its processes: a frame is four bytes of length (big-endian) and MessagePack.

Invariant: a frame is at most MAX_FRAME bytes, so that neither side can make the other allocate without bound.
"""

import struct
from typing import Any

import msgspec

from streams.messages import Question, Status
from streams.wide_integers import decoder, pack
from workers.sandbox.base import Isolation
from workers.verifiers.base import Verdict

LENGTH = struct.Struct(">I")
MAX_FRAME = 16 * 2**20
"""Twice the largest record that the broker takes (broker.max_message_bytes)."""


class Job(msgspec.Struct, frozen=True):
    verifier: str
    question: Question
    response: str


class Start(msgspec.Struct, frozen=True):
    """The first frame that a process receives."""

    settings: str
    """RtvSettings as JSON."""


class Ready(msgspec.Struct, frozen=True):
    """The first frame that a process sends: its imports are done, its verifiers configured."""

    versions: dict[str, str]
    """Versions of the verifiers, by name, for verdicts on processes that die before they answer."""
    sandboxed: tuple[str, ...] = ()
    """Names of the verifiers that have the sandbox's time budget."""
    isolation: Isolation | None = None
    """Isolation of the programs that they run; None if no verifier runs programs."""


class Reply(msgspec.Struct, frozen=True):
    """A verdict, sent by a process."""

    score: float | None
    status: Status
    why: str
    scorer: str
    version: str
    seconds: float
    details: dict[str, Any] = {}
    spent: bool = False
    """The process ends after this reply: its memory is used up."""


_starts = decoder(Start)
_jobs = decoder(Job)
_readies = decoder(Ready)
_replies = decoder(Reply)


def frame(message: msgspec.Struct) -> bytes:
    """Encodes a message with its length. Raises ValueError if it is larger than MAX_FRAME."""
    body = pack(message)
    if len(body) > MAX_FRAME:
        raise ValueError(f"{type(message).__name__} of {len(body)} bytes is larger than a frame ({MAX_FRAME})")
    return LENGTH.pack(len(body)) + body


def body_length(header: bytes) -> int:
    """Decodes the length of a frame's body. Raises ValueError if it is larger than MAX_FRAME."""
    (length,) = LENGTH.unpack(header)
    if length > MAX_FRAME:
        raise ValueError(f"a frame of {length} bytes is larger than {MAX_FRAME}")
    return int(length)


def decode_start(body: bytes) -> Start:
    return _starts.decode(body)


def decode_job(body: bytes) -> Job:
    return _jobs.decode(body)


def decode_ready(body: bytes) -> Ready:
    return _readies.decode(body)


def decode_reply(body: bytes) -> Reply:
    return _replies.decode(body)


def verdict_of(reply: Reply) -> Verdict:
    return Verdict(
        reply.score, reply.status, reply.why, reply.scorer, reply.version, reply.seconds, details=dict(reply.details)
    )
