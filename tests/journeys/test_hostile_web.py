"""What does a record that is no event of the web do to the rest? Nothing: a dead letter at most, and never a stop."""

import json

import pytest

from schemas.errors import Reason
from schemas.web_rows import SITE_ROW
from tests.journeys.visits import BASE, Browser, Watcher, event

HERE = {"visitor_id": "ann", "page": "/a", "view_id": "1"}


def changed(**changes: object) -> bytes:
    """A page view with other data; `...` removes a field."""
    data = {**HERE, **changes}
    return event("web.page_view", BASE, **{name: value for name, value in data.items() if value is not ...})


def raw(**changes: object) -> bytes:
    head = json.loads(changed())
    head.update(changes)
    return json.dumps(head).encode()


def null(name: str) -> bytes:
    head = json.loads(changed())
    head["data"][name] = None
    return json.dumps(head).encode()


LETTERS: dict[str, tuple[bytes | None, Reason]] = {
    "no value": (None, Reason.EMPTY),
    "nothing": (b"", Reason.EMPTY),
    "no JSON": (b"\x00\xff", Reason.NOT_JSON),
    "half of an event": (changed()[:-20], Reason.NOT_JSON),
    "no UTF-8": (changed().replace(b"/a", b"\xff\xfe"), Reason.NOT_JSON),
    "a number": (b"7", Reason.NOT_AN_EVENT),
    "a list": (b"[]", Reason.NOT_AN_EVENT),
    "an empty object": (b"{}", Reason.NOT_AN_EVENT),
    "deep": (b'{"type":"web.page_view","data":' + b"[" * 5000 + b"]" * 5000 + b"}", Reason.NOT_AN_EVENT),
    "no visitor": (changed(visitor_id=...), Reason.NOT_AN_EVENT),
    "an empty visitor": (changed(visitor_id=""), Reason.NOT_AN_EVENT),
    "a visitor of 201 letters": (changed(visitor_id="x" * 201), Reason.NOT_AN_EVENT),
    "a visitor that is null": (null("visitor_id"), Reason.NOT_AN_EVENT),
    "a visitor that is a number": (changed(visitor_id=7), Reason.NOT_AN_EVENT),
    "a visitor with a control character": (changed(visitor_id="a\x00b"), Reason.BAD_NAME),
    "a blank visitor": (changed(visitor_id="  "), Reason.BAD_NAME),
    "no page": (changed(page=...), Reason.NOT_AN_EVENT),
    "an empty page": (changed(page=""), Reason.NOT_AN_EVENT),
    "a page with a line break": (changed(page="/a\n"), Reason.BAD_NAME),
    "a page with the separator of rows": (changed(page="/a\x1fb"), Reason.BAD_NAME),
    "a page that means other pages": (changed(page="\x1eforged"), Reason.BAD_NAME),
    "a page of 201 letters": (changed(page="/" * 201), Reason.NOT_AN_EVENT),
    "no view": (changed(view_id=...), Reason.NOT_AN_EVENT),
    "a bot that is a word": (changed(bot="yes"), Reason.NOT_AN_EVENT),
    "no time": (raw(time=None), Reason.NOT_AN_EVENT),
    "a time without a zone": (raw(time="2026-03-02T09:00:00"), Reason.TIME_OUT_OF_RANGE),
    "a time before there was a web": (raw(time="1988-03-02T09:00:00Z"), Reason.TIME_OUT_OF_RANGE),
    "a time after us": (raw(time="2199-03-02T09:00:00Z"), Reason.TIME_OUT_OF_RANGE),
    "an empty id": (raw(id=""), Reason.NOT_AN_EVENT),
    "a click of 10 million pixels": (
        event("web.click", BASE, **HERE, x=10_000_000, y=0), Reason.NOT_AN_EVENT),
    "a click on an unknown kind of thing": (
        event("web.click", BASE, **HERE, x=1, y=0, target="<script>"), Reason.NOT_AN_EVENT),
    "a search with -1 hits": (event("web.search", BASE, **HERE, hits=-1), Reason.NOT_AN_EVENT),
    "a search for a book": (event("web.search", BASE, **HERE, term="x" * 101), Reason.NOT_AN_EVENT),
    "an error of an unknown kind": (event("web.error", BASE, **HERE, kind="?"), Reason.NOT_AN_EVENT),
    "a link without a visitor": (event("identity.linked", BASE, customer_id="c"), Reason.NOT_AN_EVENT),
    "a link to a control character": (
        event("identity.linked", BASE, visitor_id="ann", customer_id="\x1f"), Reason.BAD_NAME),
    "a proof by saying so": (
        event("identity.linked", BASE, visitor_id="ann", customer_id="c", proof="ip"), Reason.NOT_AN_EVENT),
    "an offer of a separator": (
        event("intervention.shown", BASE, visitor_id="ann", kind="a\x1fb"), Reason.BAD_NAME),
    "an offer on a page with a tab": (
        event("intervention.shown", BASE, visitor_id="ann", kind="a", page="a\tb"), Reason.BAD_NAME),
    "a contact of a call": (event("contact.queued", BASE, contact_id="1", queue="a"), Reason.WRONG_TOPIC),
    "an agent": (event("agent.state", BASE, agent_id="1", state="break"), Reason.WRONG_TOPIC),
    "a megabyte": (changed(junk="x" * 1_000_000), Reason.TOO_LARGE),
}  # fmt: skip


@pytest.mark.parametrize("name", LETTERS)
def test_a_record_that_is_of_no_use_is_a_dead_letter_and_changes_nothing(name: str) -> None:
    value, reason = LETTERS[name]
    fine = Browser("ben").view(1, "/b").events
    watcher = Watcher().feed([fine[0], value, *Browser("eve").view(2, "/b").events])  # type: ignore[list-item]
    watcher.settle()
    assert [(letter.reason, letter.topic, letter.offset) for letter in watcher.letters] == [
        (reason, "web", 2)
    ]
    assert watcher.count(SITE_ROW) == {"sessions": 2, "visitors": 2, "views": 2}
    assert watcher.fold.truth.dead_letters == {reason: 1}


def test_an_unknown_type_is_passed_over_and_counted() -> None:
    watcher = Watcher().feed([event("web.scrolled", BASE, **HERE)]).settle()
    assert (watcher.letters, watcher.fold.truth.ignored) == ([], 1)


STRANGE = {
    "text from right to left": changed(page="/\u05d0\u05d1"),
    "a name of one emoji": changed(visitor_id="\U0001f600"),
    "two lone surrogates": changed().replace(b'"/a"', b'"/\\ud83d\\ude00"'),
    "a script as a page": changed(page="<script>alert(1)</script>"),
    "a customer like a row": event("identity.linked", BASE, visitor_id="ann", customer_id="p|w|m"),
    "a flag nobody raised": event("intervention.accepted", BASE, visitor_id="ann", kind="x", flag_id="f00"),
    "a contact of a visitor nobody saw": Browser("nobody").contacted(0).events[0],
    "a reason with a separator": Browser().contacted(0, reason="a\x1fb").events[0],
    "a leave of a page nobody saw": Browser().leave(0).events[0],
    "a ping before any view": Browser().ping(0).events[0],
    "a heartbeat": event("pipeline.heartbeat", BASE, sequence=1),
    "an id of 200 letters": raw(id="x" * 200),
}


@pytest.mark.parametrize("name", STRANGE)
def test_what_is_strange_but_allowed_is_taken_and_restored(name: str) -> None:
    watcher = Watcher().feed([STRANGE[name], *Browser("ben").view(1, "/b").link(2).events])
    before = watcher.settle().told()
    assert not watcher.letters
    watcher.restart().settle()
    assert watcher.told() == before
    assert watcher.at(200_000).fold.visitors == 0
