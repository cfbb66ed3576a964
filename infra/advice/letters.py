"""A dead letter as values of JSON, for the command line and the page. Pure.

Invariant: every letter has them, whatever its record contains: bytes that do not decode are shown as bytes.
"""

from datetime import UTC, datetime
from typing import Any

import msgspec

from streams.codec import DecodeError, decode_by_schema
from streams.dead_letters import DeadLetter

_HEX_BYTES = 4096
"""Bytes that are shown of a value that does not decode: its beginning tells what wrote it."""


def letter_fields(letter: DeadLetter) -> dict[str, Any]:
    """Returns where the letter came from, and why it was set aside."""
    return {
        "id": letter.id,
        "stage": letter.stage,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "attempts": letter.attempts,
        "error": letter.error_class,
        "reason": letter.reason,
        "first_failed_at": datetime.fromtimestamp(letter.first_failed_at, UTC).isoformat(),
        "bytes": len(letter.record.value or b""),
    }


def letter_content(letter: DeadLetter) -> dict[str, Any]:
    """Returns its key, its own headers, and its value as far as it decodes."""
    record = letter.record
    headers = {
        name: (value or b"").decode("utf-8", "replace") for name, value in record.headers if "dead_letter." not in name
    }
    try:
        body: Any = msgspec.to_builtins(decode_by_schema(record.value, record.headers), enc_hook=repr)
    except DecodeError as error:
        body = {"does_not_decode": str(error), "hex": (record.value or b"")[:_HEX_BYTES].hex()}
    return {"key": (record.key or b"").decode("utf-8", "replace"), "headers": headers, "body": body}
