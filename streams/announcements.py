"""Announcements of weights, with a signature if the settings name a key.

Invariant: `read_announcement` returns only what whoever holds the key has announced, byte for byte. The signature is
HMAC-SHA256 (RFC 2104) over the record's value, which names run, lineage, version, place and digests; it travels as a
header, so the message itself stays the same.
"""

import hashlib
import hmac

from streams.codec import DecodeError, decode, encode, header
from streams.messages import PolicyVersion
from streams.records import Record

SIGNATURE = "signature"
"""The header, in hexadecimal digits."""
_CONTEXT = b"rewardstream PolicyVersion\0"
"""Comes before the value, so that a signature is never one of something else under the same key."""


class SignatureError(DecodeError):
    """The announcement is not signed, or not with this key."""


def signature_headers(announcement: PolicyVersion, key: bytes | None) -> dict[str, str]:
    """The headers to write the announcement with; none without a key."""
    return {} if key is None else {SIGNATURE: _digest(encode(announcement), key)}


def read_announcement(record: Record, key: bytes | None) -> PolicyVersion:
    """Raises DecodeError; SignatureError, which is one, if there is a key and the record was not written with it."""
    message = decode(record.value, PolicyVersion)
    if key is None:
        return message
    found = header(record.headers, SIGNATURE)
    what = f"the announcement of version {message.version} of lineage {message.lineage}"
    if found is None:
        raise SignatureError(f"{what} is not signed, and weights.signing_key_file is set: give it to its learner too")
    if not hmac.compare_digest(found.encode(), _digest(record.value or b"", key).encode()):
        raise SignatureError(
            f"{what} is not signed with the key of weights.signing_key_file: its learner has another key, or it was "
            "changed, or somebody else wrote it"
        )
    return message


def _digest(value: bytes, key: bytes) -> str:
    return hmac.new(key, _CONTEXT + value, hashlib.sha256).hexdigest()
