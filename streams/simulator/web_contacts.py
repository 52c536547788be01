"""What does the contact centre send of a contact that comes from the web site, or from somebody who never was there?

The life of one contact as `ContactFold` knows it: queued, answered or abandoned, ended, wrapped up. Refuses to know
agents: those of `streams.simulator.Simulation` are busy with its own contacts.
"""

from datetime import UTC, datetime

import schemas.events as e
from schemas.topics import CALLS, CHATS
from streams.simulator.agenda import Dice
from streams.simulator.web_browser import SOURCE, Dated
from streams.simulator.web_truth import TrueContact

_ABANDONS = 0.06
_WAIT_S, _FORM_WAIT_S, _TALK_S, _WRAP_S = 40.0, 1500.0, 260.0, 30.0


def life_of(contact: TrueContact, channel: e.Channel, dice: Dice) -> list[Dated]:
    """The events of one contact, in time order."""
    topic = CHATS if channel == "chat" else CALLS
    key, reference = contact.contact_id, e.ContactRef(contact.contact_id, "1")
    by_agent = e.ByAgent(contact.contact_id, "1")
    finished = e.Finished(contact.contact_id, "1")
    events: list[Dated] = []

    def put(at_ms: int, made: e.ContactEvent) -> None:
        events.append(Dated(at_ms, len(events), (topic, key, made)))

    at_ms = contact.at_ms
    queued = e.Queued(
        contact_id=key, segment_id="1", queue=contact.queue, channel=channel, customer_id=contact.customer_id,
        reason=contact.reason,
    )  # fmt: skip
    put(at_ms, e.ContactQueued(id=f"{key}-0", source=SOURCE, time=_time(at_ms), subject=key, data=queued))
    at_ms += dice.exponential(_FORM_WAIT_S if channel == "form" else _WAIT_S)
    if channel != "form" and dice.chance(_ABANDONS):
        put(
            at_ms,
            e.ContactAbandoned(id=f"{key}-1", source=SOURCE, time=_time(at_ms), subject=key, data=reference),
        )
        return events
    put(at_ms, e.ContactAnswered(id=f"{key}-1", source=SOURCE, time=_time(at_ms), subject=key, data=by_agent))
    at_ms += dice.lognormal(_TALK_S, 0.7)
    put(at_ms, e.ContactEnded(id=f"{key}-2", source=SOURCE, time=_time(at_ms), subject=key, data=finished))
    at_ms += dice.exponential(_WRAP_S)
    put(at_ms, e.ContactWrapped(id=f"{key}-3", source=SOURCE, time=_time(at_ms), subject=key, data=finished))
    return events


def _time(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)
