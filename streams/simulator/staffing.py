"""How many agents does a plan need per queue, and how many events a second will it make?

Expected values only: nothing here happens.
"""

from math import ceil

from streams.simulator.plan import Plan
from streams.site import Site

_SKEW = 0.6
"""Queue i gets contacts in proportion to 1 / (i + 3) ** _SKEW: a few large queues, many small ones."""
_ANSWERED = 0.93


def channels(site: Site, plan: Plan) -> list[str]:
    """Channel of each queue that gets contacts, in the site's order."""
    return [policy.channel for policy in site.queues.values()][: plan.queues]


def weights(count: int) -> list[float]:
    """Each queue's share of the contacts; they add up to 1."""
    raw = [1.0 / (i + 3) ** _SKEW for i in range(count)]
    return [w / sum(raw) for w in raw]


def agents_per_queue(site: Site, plan: Plan) -> list[int]:
    """Agents at home in each queue at the busiest hour: at least one, unless `plan.agents` forbids that."""
    kinds = channels(site, plan)
    if not kinds:
        return []
    erlangs = [
        plan.contacts_per_s * plan.peak() * share * work_s(plan, kind)
        for share, kind in zip(weights(len(kinds)), kinds, strict=True)
    ]
    present = plan.break_every_s / (plan.break_every_s + plan.break_s)
    total = plan.agents or max(len(kinds), ceil(sum(erlangs) / (plan.load * present)))
    return _shared_out(total, erlangs)


def work_s(plan: Plan, channel: str) -> float:
    """Seconds of one agent's time that a contact takes."""
    if channel != "chat":
        per_answer = plan.ring_s + plan.talk_s + plan.hold_share * plan.hold_s + plan.wrap_s
        return _ANSWERED * per_answer * (1 + plan.transfer_share)
    length_s = plan.ring_s + 2 * (plan.chat_turns + 1) * plan.chat_think_s + 30 + plan.wrap_s
    return _ANSWERED * length_s * (1 + plan.transfer_share) / plan.chat_capacity


def events_per_s(site: Site, plan: Plan) -> float:
    """Events per second to expect, averaged over a day, from contacts and agents' heartbeats."""
    kinds = channels(site, plan)
    shares = weights(len(kinds))
    chat = sum(share for share, kind in zip(shares, kinds, strict=True) if kind == "chat")
    per_contact = chat * _events_per_chat(plan) + (1 - chat) * _events_per_call(plan)
    on_duty = sum(agents_per_queue(site, plan)) / plan.peak()
    busy = plan.contacts_per_s * sum(s * work_s(plan, kind) for s, kind in zip(shares, kinds, strict=True))
    idle = max(0.0, on_duty - busy)
    return plan.contacts_per_s * per_contact + idle * 0.7 / plan.heartbeat_s


def with_events_per_s(site: Site, plan: Plan, wanted: float) -> Plan:
    """The plan at the rate of contacts that makes about so many events per second, averaged over a day."""
    for _ in range(12):
        plan = plan.at_rate(plan.contacts_per_s * wanted / events_per_s(site, plan))
    return plan


def _events_per_call(plan: Plan) -> float:
    answered = 5 + 3 + 2 * plan.hold_share + 2 * plan.decline_share
    return (_ANSWERED * answered + (1 - _ANSWERED) * 2.3) * (1 + plan.transfer_share)


def _events_per_chat(plan: Plan) -> float:
    messages = 2.2 * (plan.chat_turns + 1)
    answered = 5 + 2.6 + messages
    return (_ANSWERED * answered + (1 - _ANSWERED) * 3.5) * (1 + plan.transfer_share) + 3 * plan.bot_share


def _shared_out(total: int, wanted: list[float]) -> list[int]:
    """Largest remainders, after one each where that is possible."""
    least = 1 if total >= len(wanted) else 0
    spare = total - least * len(wanted)
    exact = [spare * w / sum(wanted) for w in wanted]
    counts = [int(x) for x in exact]
    by_remainder = sorted(range(len(wanted)), key=lambda i: counts[i] - exact[i])
    for i in by_remainder[: spare - sum(counts)]:
        counts[i] += 1
    return [least + count for count in counts]
