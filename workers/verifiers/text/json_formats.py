"""The formats of JSON Schema, each by its own standard.

Invariant: a text has a format exactly if the grammar of its RFC says so. jsonschema's own checkers are not asked: those
whose packages are missing say yes to everything, and others are looser than their standards (an email is any text with
an `@`, a duration may be `P1Y2`). Every check takes linear time.
"""

import ipaddress
import re
import unicodedata
from collections.abc import Callable
from datetime import date

import idna
from jsonschema import FormatChecker

from workers.verifiers.text.ecma_pattern import EcmaPatternError, compile_ecma

MAX_TEXT = 10_000
"""Characters; a longer text has no format that names one thing."""

# RFC 3339
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}\Z", re.ASCII)
_TIME = re.compile(
    r"([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)(?:\.\d+)?(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))\Z", re.ASCII
)
_DURATION = re.compile(
    r"P(?!\Z)(?:\d+W|(?:\d+Y(?:\d+M(?:\d+D)?)?|\d+M(?:\d+D)?|\d+D)?"
    r"(?:T(?=\d)(?:\d+H(?:\d+M(?:\d+S)?)?|\d+M(?:\d+S)?|\d+S))?)\Z",
    re.ASCII,
)
# RFC 5321, with the local part of RFC 6531 for idn-email
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]"
_LOCAL = re.compile(rf'(?:{_ATOM}+(?:\.{_ATOM}+)*|"(?:[ !#-\[\]-~]|\\[ -~])*")\Z')
_IDN_ATOM = r"(?:[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]|[^\x00-\x7f])"
_IDN_LOCAL = re.compile(rf'(?:{_IDN_ATOM}+(?:\.{_IDN_ATOM}+)*|"(?:[ !#-\[\]-~]|[^\x00-\x7f]|\\[ -~])*")\Z')
_MAX_LOCAL, _MAX_HOST = 64, 253
# RFC 1123
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\Z")
_FROM_RIGHT = ("R", "AL", "AN")
_DOTS = re.compile("[.\u3002\uff0e\uff61]")
# RFC 3986, and 3987 with characters beyond ASCII
_IUNRESERVED = "\xa0-\ud7ff\uf900-\ufdcf\ufdf0-\uffef\U00010000-\U0001fffd\U00020000-\U000dfffd\U000e1000-\U000efffd"
_IPRIVATE = "\ue000-\uf8ff\U000f0000-\U000ffffd\U00100000-\U0010fffd"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*\Z")
_SPLIT = re.compile(r"(?:([^:/?#]+):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?\Z", re.DOTALL)
_PORT = re.compile(r"[0-9]*\Z")
_IP_FUTURE = re.compile(r"[vV][0-9A-Fa-f]+\.[A-Za-z0-9._~!$&'()*+,;=:-]+\Z")
# RFC 6570
_VARIABLE = r"(?:[A-Za-z0-9_]|%[0-9A-Fa-f]{2})+(?:\.(?:[A-Za-z0-9_]|%[0-9A-Fa-f]{2})+)*(?::[1-9]\d{0,3}|\*)?"
_EXPRESSION = re.compile(rf"\{{[+#./;?&=,!@|]?{_VARIABLE}(?:,{_VARIABLE})*\}}")
_TEMPLATE_LITERAL = re.compile(rf"(?:[!#$&-;=?-\[\]_a-z~{_IUNRESERVED}{_IPRIVATE}]|%[0-9A-Fa-f]{{2}})*\Z")
# RFC 6901, and draft-handrews-relative-json-pointer
_POINTER = re.compile(r"(?:/(?:[^~/]|~[01])*)*\Z")
_RELATIVE = re.compile(r"(?:0|[1-9][0-9]*)(?:#|((?:/(?:[^~/]|~[01])*)*))\Z")
# RFC 9562
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\Z")
_IPV4 = re.compile(r"(?:(?:0|[1-9]\d{0,2})\.){3}(?:0|[1-9]\d{0,2})\Z", re.ASCII)


def is_date(text: str) -> bool:
    try:
        return _DATE.match(text) is not None and bool(date.fromisoformat(text))
    except ValueError:
        return text.startswith("0000-") and is_date(f"0400-{text[5:]}")  # year 0 is a leap year of RFC 3339


def is_time(text: str) -> bool:
    """A leap second is the last one of a day in UTC."""
    match = _TIME.match(text)
    if match is None or match[3] != "60":
        return match is not None
    minutes = int(match[1]) * 60 + int(match[2])
    if match[4]:
        minutes -= (1 if match[4] == "+" else -1) * (int(match[5]) * 60 + int(match[6]))
    return minutes % (24 * 60) == 24 * 60 - 1


def is_date_time(text: str) -> bool:
    return len(text) > 10 and text[10] in "Tt" and is_date(text[:10]) and is_time(text[11:])


def is_duration(text: str) -> bool:
    return _DURATION.match(text) is not None


def is_hostname(text: str) -> bool:
    labels = text.split(".")
    return len(text) <= _MAX_HOST and all(_LABEL.match(label) and _is_a_label(label) for label in labels)


def _is_a_label(label: str) -> bool:
    """Whether a label in the form `xn--...` decodes; any other with `--` there is reserved (RFC 5891)."""
    if label[2:4] != "--":
        return True
    return label[:2].casefold() == "xn" and _is_idn_label(label)


def _is_idn_label(label: str) -> bool:
    try:
        idna.encode(label)
    except (idna.IDNAError, UnicodeError):
        return False
    return True


def is_idn_hostname(text: str) -> bool:
    labels = _DOTS.split(text)
    if len(text) > _MAX_HOST or not all(map(_is_any_label, labels)):
        return False
    from_right = any(unicodedata.bidirectional(character) in _FROM_RIGHT for character in text)
    return not from_right or all(map(_keeps_bidi_rule, labels))


def _is_any_label(label: str) -> bool:
    if label.isascii():
        return _LABEL.match(label) is not None and _is_a_label(label)
    return _is_idn_label(label)


def _keeps_bidi_rule(label: str) -> bool:
    """RFC 5893: in a domain with a label from right to left, every label keeps the rule."""
    try:
        return bool(idna.check_bidi(label, check_ltr=True))
    except idna.IDNAError:
        return False


def is_email(text: str) -> bool:
    return _is_mailbox(text, _LOCAL, is_hostname)


def is_idn_email(text: str) -> bool:
    return _is_mailbox(text, _IDN_LOCAL, is_idn_hostname)


def _is_mailbox(text: str, local: re.Pattern[str], is_host: Callable[[str], bool]) -> bool:
    name, at, host = text.rpartition("@")
    if not at or len(name.encode()) > _MAX_LOCAL or local.match(name) is None:
        return False
    if host.startswith("[") and host.endswith("]"):
        address = host[1:-1]
        return is_ipv6(address[5:]) if address[:5].casefold() == "ipv6:" else is_ipv4(address)
    return is_host(unicodedata.normalize("NFC", host))


def is_ipv4(text: str) -> bool:
    return _IPV4.match(text) is not None and all(int(part) < 256 for part in text.split("."))


def is_ipv6(text: str) -> bool:
    if not text.isascii() or "%" in text or not set(text) <= set("0123456789abcdefABCDEF:."):
        return False
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def is_uri(text: str) -> bool:
    return _is_reference(text, "", "", absolute=True)


def is_uri_reference(text: str) -> bool:
    return _is_reference(text, "", "", absolute=False)


def is_iri(text: str) -> bool:
    return _is_reference(text, _IUNRESERVED, _IPRIVATE, absolute=True)


def is_iri_reference(text: str) -> bool:
    return _is_reference(text, _IUNRESERVED, _IPRIVATE, absolute=False)


def _is_reference(text: str, more: str, private: str, *, absolute: bool) -> bool:
    match = _SPLIT.match(text)
    assert match is not None  # it divides any text
    scheme, authority, path, query, fragment = match.groups()
    if scheme is None:
        first = path.partition("/")[0]
        if absolute or ":" in first or text.startswith(":"):
            return False
    elif not _SCHEME.match(scheme):
        return False
    if authority is None and path.startswith("//"):
        return False
    return (
        (authority is None or _is_authority(authority, more))
        and _of(path, ":@/", more)
        and (query is None or _of(query, ":@/?", more + private))
        and (fragment is None or _of(fragment, ":@/?", more))
    )


def _is_authority(text: str, more: str) -> bool:
    user, at, rest = text.rpartition("@")
    if at and not _of(user, ":", more):
        return False
    if rest.startswith("["):
        host, bracket, port = rest[1:].partition("]")
        address = is_ipv6(host) or _IP_FUTURE.match(host) is not None
        return bool(bracket) and address and (not port or (port[0] == ":" and bool(_PORT.match(port[1:]))))
    host, _, port = rest.partition(":")
    return _of(host, "", more) and _PORT.match(port) is not None


def _of(text: str, extra: str, more: str) -> bool:
    """Unreserved characters, sub-delimiters, percent-encoded bytes, and those that are named."""
    return re.match(rf"(?:[A-Za-z0-9._~!$&'()*+,;={re.escape(extra)}{more}-]|%[0-9A-Fa-f]{{2}})*\Z", text) is not None


def is_uri_template(text: str) -> bool:
    return _TEMPLATE_LITERAL.match(_EXPRESSION.sub("", text)) is not None


def is_json_pointer(text: str) -> bool:
    return _POINTER.match(text) is not None


def is_relative_json_pointer(text: str) -> bool:
    return _RELATIVE.match(text) is not None


def is_uuid(text: str) -> bool:
    return _UUID.match(text) is not None


def is_regex(text: str) -> bool:
    try:
        compile_ecma(text)
    except EcmaPatternError:
        return False
    return True


def _is_draft_3_time(text: str) -> bool:
    return re.match(r"(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\Z", text, re.ASCII) is not None


FORMATS: dict[str, Callable[[str], bool]] = {
    "date": is_date,
    "time": is_time,
    "date-time": is_date_time,
    "duration": is_duration,
    "email": is_email,
    "idn-email": is_idn_email,
    "hostname": is_hostname,
    "idn-hostname": is_idn_hostname,
    "ipv4": is_ipv4,
    "ipv6": is_ipv6,
    "uri": is_uri,
    "uri-reference": is_uri_reference,
    "iri": is_iri,
    "iri-reference": is_iri_reference,
    "uri-template": is_uri_template,
    "json-pointer": is_json_pointer,
    "relative-json-pointer": is_relative_json_pointer,
    "uuid": is_uuid,
    "regex": is_regex,
}
DRAFT_3 = FORMATS | {"time": _is_draft_3_time, "ip-address": is_ipv4, "host-name": is_hostname}


def format_checker(formats: dict[str, Callable[[str], bool]]) -> FormatChecker:
    """Formats that are not listed say nothing, as the standard has it."""
    checker = FormatChecker(formats=())
    for name, check in formats.items():
        checker.checks(name)(_of_texts(check))
    return checker


def _of_texts(check: Callable[[str], bool]) -> Callable[[object], bool]:
    return lambda value: not isinstance(value, str) or (len(value) <= MAX_TEXT and check(value))
