"""Which page is this URL? Its key: the path in words, without query, fragment, and whatever names a person or a thing.

What looks like an id, an e-mail address, a phone number or a date becomes `{id}`, `{email}`, `{phone}`, `{date}`; the
rules of a site say the rest. The key of a key is that key. Refuses to know what pages are for (`streams.journeys`).
"""

import re
from functools import lru_cache
from unicodedata import category, normalize

from msgspec import Struct

from schemas.events import MAX_NAME

MOST_READ = 4096
"""Characters of a URL that are looked at."""
MOST_SEGMENTS = 12
LONGEST_SEGMENT = 60
MORE = "{more}"
"""Stands for what is beyond the bounds of a key."""
LONG = "{long}"
VALUE = "{value}"
_MOST_ROUNDS = 6
_NOTHING_YET = "\n"

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|//")
_PERCENT = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_CUT = re.compile(r"[?#]")
_SPACES = re.compile(r"\s+")
_KEPT = re.compile(r"\{[a-z]{1,20}\}(?:\.[a-z0-9]{1,5})?")
_ENDING = re.compile(r"(.+)(\.[A-Za-z][A-Za-z0-9]{0,4})")
_DATE = re.compile(
    r"(?:19|20)\d\d(?:[-_./年]?(?:0?[1-9]|1[0-2])(?:[-_./月]?(?:0?[1-9]|[12]\d|3[01])日?)|"
    r"[-_./年](?:0?[1-9]|1[0-2])月?)(?:T[\d:.+Z-]*)?",
    re.IGNORECASE,
)
_PHONE = re.compile(r"\+\d[\d() .-]{7,20}\d|\(?0\d{0,4}[() .-]+\d{1,4}[) .-]+\d{3,4}|0\d{9,10}")
_NUMBER = re.compile(r"[+-]?\d[\d.,:_-]*")
_UUID = re.compile(r"\{?[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\}?", re.IGNORECASE)
_HEX = re.compile(r"(?:0x)?[0-9a-f]{8,}", re.IGNORECASE)
_BASE64ISH = re.compile(r"[A-Za-z0-9_+=~-]{16,}")
_TOKEN = re.compile(r"[^\W_]+")
_LONG_DIGITS = re.compile(r"\d{4,}")
_YEAR = re.compile(r"(?:19|20)\d\d")
_CODE = re.compile(r"[a-z]{1,3}\d{3,}|\d{3,}[a-z]{1,3}", re.IGNORECASE)
_CHANGES = re.compile(r"(?<=\d)(?=[a-z])|(?<=[a-z])(?=\d)", re.IGNORECASE)
_REDACTED_EMAIL = re.compile(r"[^\s@]+@[^\s@]+")
_DIGITS = re.compile(r"\d+")


class PageRule(Struct, frozen=True):
    """Paths that are one page. In `match`, ``*`` is one segment and a last ``**`` all that follow; see `page_key`."""

    match: str
    page: str


class PageRules(Struct, frozen=True):
    """How the URLs of a site become keys.

    `hosts`: its host names; a key begins with the host where there are several. `rules`: the first that fits says the
    key of the path.
    """

    hosts: tuple[str, ...] = ()
    rules: tuple[PageRule, ...] = ()


NO_RULES = PageRules()


def page_key(url: str, rules: PageRules = NO_RULES) -> str:
    """The key of a URL, of a path, or of a key: at most `MAX_NAME` characters, in small letters, none of control.

    Never raises; "/" where nothing is left of the URL.
    """
    key, before = _key(url[:MOST_READ], rules), _NOTHING_YET
    for _ in range(_MOST_ROUNDS):
        if key == before:
            break
        key, before = _key(key, rules), key
    return key


def host_of(url: str) -> str:
    """The host of a URL, in small letters and without user and port; "" where it names none."""
    scheme = _SCHEME.match(url.strip()[:MOST_READ])
    if scheme is None:
        return ""
    authority = re.split(r"[/?#\\]", url.strip()[scheme.end() : MOST_READ], maxsplit=1)[0]
    place = authority.rpartition("@")[2]
    if place.startswith("["):
        return place.partition("]")[0].lower() + "]"
    return place.partition(":")[0].lower().rstrip(".")


def redacted(text: str, most: int, *, digits: int = 1) -> str:
    """A text without e-mail addresses and numbers of at least `digits` digits, in small letters, on one line.

    At most `most` characters; "" where nothing is left.
    """
    text = _shown(_SPACES.sub(" ", normalize("NFKC", text[:MOST_READ]))).casefold()
    text = _DIGITS.sub(lambda m: m[0] if len(m[0]) < digits else "#", _REDACTED_EMAIL.sub("{email}", text))
    return _SPACES.sub(" ", text).strip()[:most].strip()


# --- from a URL to segments -------------------------------------------------------------------------------------------


def _key(url: str, rules: PageRules) -> str:
    host, path = _divided(url.strip(), rules)
    segments = _segments(path)
    prefix = host if len(rules.hosts) > 1 else ""
    said = _said(segments, rules)
    return _bounded(prefix, [_templated(each) for each in segments] if said is None else said)


def _divided(url: str, rules: PageRules) -> tuple[str, str]:
    """Host and path; a key that begins with one of the hosts is divided likewise."""
    scheme = _SCHEME.match(url)
    if scheme is not None:
        rest = url[scheme.end() :]
        end = re.search(r"[/?#\\]", rest)
        return host_of(url), rest[end.start() :] if end else ""
    head, slash, path = url.partition("/")
    if head and head.lower() in rules.hosts:
        return head.lower(), slash + path
    return "", url


def _segments(path: str) -> list[str]:
    """What stands between slashes, decoded, without what says nothing."""
    before = _NOTHING_YET
    for _ in range(_MOST_ROUNDS):
        if path == before:
            break
        before = path
        path = _CUT.split(path, maxsplit=1)[0]
        path = _shown(normalize("NFKC", _PERCENT.sub(_decoded, path)))
    out: list[str] = []
    for each in path.replace("\\", "/").split("/"):
        segment = _SPACES.sub("-", each.partition(";")[0].strip())
        if segment == "..":
            del out[-1:]
        elif segment not in ("", "."):
            out.append(segment)
    return out


def _decoded(encoded: re.Match[str]) -> str:
    return bytes.fromhex(encoded[0].replace("%", "")).decode("utf-8", "replace")


def _shown(text: str) -> str:
    """Without what is not shown or turns the direction of writing: control, format and private characters."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if (kind := category(c))[0] != "C" and kind not in ("Zl", "Zp") else "" for c in text)


# --- from segments to a key -------------------------------------------------------------------------------------------


def _said(segments: list[str], rules: PageRules) -> list[str] | None:
    """What the first rule that fits says, as segments."""
    if not rules.rules:
        return None
    folded = [_folded(each) for each in segments]
    for rule in rules.rules:
        if _fits(folded, _pattern(rule.match)):
            return list(_pattern(rule.page))
    return None


@lru_cache(maxsize=4096)
def _pattern(text: str) -> tuple[str, ...]:
    return tuple(_folded(each) for each in text.split("/") if each)


def _fits(segments: list[str], pattern: tuple[str, ...]) -> bool:
    if pattern and pattern[-1] == "**":
        pattern = pattern[:-1]
        segments = segments[: len(pattern)]
    return len(segments) == len(pattern) and all(
        wanted in ("*", seen) for wanted, seen in zip(pattern, segments, strict=True)
    )


def _folded(segment: str) -> str:
    return normalize("NFKC", segment.casefold())


def _templated(segment: str) -> str:
    """A segment as it stands in a key: itself in small letters, or what kind of thing it names."""
    if _KEPT.fullmatch(segment):
        return segment
    ending = None if "@" in segment else _ENDING.fullmatch(segment)
    if ending and (kind := _kind(ending[1])):
        return kind + ending[2].lower()
    if kind := _kind(segment):
        return kind
    if len(segment) > LONGEST_SEGMENT:
        return LONG
    return _folded(segment)


def _kind(segment: str) -> str:
    """`{id}`, `{email}`, `{phone}`, `{date}`, `{user}`, `{value}`; "" for a word."""
    if "@" in segment:
        name, _, host = segment.rpartition("@")
        return "{email}" if name and host else "{user}"
    if "=" in segment.rstrip("="):
        return VALUE
    if _DATE.fullmatch(segment):
        return "{date}"
    if _PHONE.fullmatch(segment):
        return "{phone}"
    if _NUMBER.fullmatch(segment) or _UUID.fullmatch(segment) or _HEX.fullmatch(segment):
        return "{id}"
    return "{id}" if _is_random(segment) or _has_number(segment) else ""


def _is_random(segment: str) -> bool:
    """Long, and of letters in both cases with digits, or without a break: nobody reads that."""
    if not _BASE64ISH.fullmatch(segment):
        return False
    mixed = segment.lower() != segment != segment.upper() and any(c.isdigit() for c in segment)
    return mixed or (len(segment) >= 32 and not re.search(r"[-_~]", segment))


def _has_number(segment: str) -> bool:
    """A part of it is a number of an order, a member, an article ..."""
    parts: list[str] = _TOKEN.findall(segment)
    has_word = any(len(part) >= 4 and part.isalpha() for part in parts)
    for part in parts:
        if _LONG_DIGITS.search(part) and not (has_word and _YEAR.fullmatch(part)):
            return True
        if _CODE.fullmatch(part):
            return True
        if len(part) >= 5 and len(_CHANGES.findall(part)) >= 2 and sum(c.isdigit() for c in part) >= 2:
            return True
    return False


def _bounded(prefix: str, segments: list[str]) -> str:
    kept = [each for each in segments if each != MORE]
    cut = len(kept) < len(segments) or len(kept) > MOST_SEGMENTS
    kept = kept[:MOST_SEGMENTS]
    room = MAX_NAME - len(prefix[:MAX_NAME]) - len(MORE) - 1
    while kept and sum(len(each) + 1 for each in kept) > room:
        kept.pop()
        cut = True
    return prefix[: MAX_NAME - len(MORE) - 1] + "/" + "/".join([*kept, MORE] if cut else kept)
