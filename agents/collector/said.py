"""What is told of JSON that is not as expected? The sentence of the decoder, and the path of the field."""

import re

_PLACE = re.compile(r" - at `\$\.?(.*?)`$")
_MISSING = re.compile(r"missing required field `([^`]+)`")
_LONGEST = 300


def where_wrong(error: object) -> tuple[str, str]:
    """(what is wrong, the path of the field, such as "events[0].at"); "" is the whole."""
    text = "nested deeper than any event" if isinstance(error, RecursionError) else str(error)
    place = _PLACE.search(text)
    field = place[1] if place else ""
    if place:
        text = text[: place.start()]
    if missing := _MISSING.search(text):
        field = f"{field}.{missing[1]}" if field else missing[1]
    return text[:_LONGEST], field[:_LONGEST]
