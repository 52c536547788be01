"""When is an agent here, and what does the agent's client say? Shifts, breaks, heartbeats, clients that die.

Refuses to know which contact an agent gets: it only says that one has a free hand.
"""

from functools import partial
from math import ceil

from schemas.events import State
from streams.simulator.actors import Agent
from streams.simulator.agenda import Agenda, Dice
from streams.simulator.outbox import Outbox
from streams.simulator.plan import Incident, Plan
from streams.simulator.record import STATES
from streams.simulator.wiring import AgentHook

_STATE_NUMBER = {state: number for number, state in enumerate(STATES)}
_SIGN_ON_S = 600.0
_AWAY_AFTER_DEATH_S = (1800.0, 5400.0)
_PAUSE_AFTER_DECLINE_S = (20.0, 120.0)


class Staff:
    """All agents. `when_free` is called when one can take another contact."""

    def __init__(
        self, plan: Plan, dice: Dice, agenda: Agenda, outbox: Outbox, homes: list[list[Agent]]
    ) -> None:
        self.when_free: AgentHook
        self.keep_signs = True
        self._plan = plan
        self._dice = dice
        self._agenda = agenda
        self._outbox = outbox
        self._homes = homes
        self._heartbeat_s = plan.heartbeat_s

    def limit_silence(self, agent_lost_ms: int) -> None:
        """Have heartbeats come often enough that only a dead client is taken for lost."""
        self._heartbeat_s = min(self._heartbeat_s, 0.6 * agent_lost_ms / 1000)

    def open(self, now_ms: int) -> None:
        """Plan the first death of each client."""
        for home in self._homes:
            for agent in home:
                self._plan_death(agent, now_ms)

    def staff_for(self, level: float, within_s: float | None, now_ms: int) -> None:
        """Bring so much (0-1) of each queue's staff on duty, at least one agent, spread over some minutes."""
        spread_s = _SIGN_ON_S if within_s is None else within_s
        for home in self._homes:
            wanted = ceil(len(home) * level - 1e-9) or 1
            for rank, agent in enumerate(home):
                if agent.on_duty != (rank < wanted):
                    change = partial(self._set_duty, agent, rank < wanted)
                    self._agenda.at(now_ms + self._dice.between(0.0, spread_s), change)

    def strike(self, incident: Incident, now_ms: int) -> None:
        """Let the incident's share of agents leave their queues, and come back when it is over."""
        for home in self._homes:
            if not home or (incident.queues and home[0].lines[0].name not in incident.queues):
                continue
            for agent in home[: round(len(home) * incident.staff_leaves)]:
                self._set_away(agent, True, now_ms)
                self._agenda.at(now_ms + int(incident.lasts_s * 1000), partial(self._set_away, agent, False))

    def settle(self, agent: Agent, now_ms: int) -> None:
        """After anything changed for an agent: rest if it is time, tell the state, take the next contact."""
        if agent.ringing + agent.contacts + agent.wrapping == 0 and not agent.dead:
            self._rest(agent, now_ms)
        self.show(agent, now_ms)
        here = agent.on_duty and not agent.away and not agent.dead
        if here and agent.resting == "available" and now_ms < agent.break_at_ms:
            self.when_free(agent, now_ms)
        else:
            unlist(agent)

    def pause(self, agent: Agent, now_ms: int) -> None:
        """An agent who lets it ring is sent on a short break."""
        agent.break_at_ms = now_ms
        agent.break_ms = self._dice.between(*_PAUSE_AFTER_DECLINE_S)
        self.settle(agent, now_ms)

    def show(self, agent: Agent, now_ms: int) -> None:
        """Send the agent's state if it differs from what was sent last."""
        state: State = "busy" if agent.contacts else "wrap_up" if agent.wrapping else agent.resting
        if agent.dead or (state == agent.shown_state and agent.contacts == agent.shown_contacts):
            return
        agent.shown_state = state
        agent.shown_contacts = agent.contacts
        agent.since_ms = now_ms
        self._sign(agent, now_ms)
        if not agent.beating and state != "offline":
            agent.beating = True
            self._plan_beat(agent, now_ms)

    def _sign(self, agent: Agent, now_ms: int) -> None:
        agent.last_sign_ms = now_ms
        self._outbox.sign(now_ms, agent)
        if self.keep_signs:
            signs = agent.signs
            signs.at_ms.append(now_ms)
            signs.states.append(_STATE_NUMBER[agent.shown_state])
            signs.contacts.append(agent.shown_contacts)

    def _rest(self, agent: Agent, now_ms: int) -> None:
        if not agent.on_duty or agent.away:
            agent.resting = "offline"
            agent.breaks += 1
        elif agent.resting == "offline":
            agent.resting = "available"
            self._plan_break(agent, now_ms)
        elif agent.resting == "available" and now_ms >= agent.break_at_ms:
            agent.resting = "break"
            agent.breaks += 1
            self._agenda.at(now_ms + agent.break_ms, partial(self._end_break, agent, agent.breaks))

    def _plan_break(self, agent: Agent, now_ms: int) -> None:
        agent.break_at_ms = now_ms + self._dice.exponential(self._plan.break_every_s)
        agent.break_ms = self._dice.lognormal(self._plan.break_s, 0.4)

    def _end_break(self, agent: Agent, number: int, now_ms: int) -> None:
        if agent.breaks != number or agent.dead:
            return
        agent.resting = "available"
        self._plan_break(agent, now_ms)
        self.settle(agent, now_ms)

    def _set_duty(self, agent: Agent, on_duty: bool, now_ms: int) -> None:
        agent.on_duty = on_duty
        self.settle(agent, now_ms)

    def _set_away(self, agent: Agent, away: bool, now_ms: int) -> None:
        agent.away = away
        self.settle(agent, now_ms)

    def _plan_beat(self, agent: Agent, now_ms: int) -> None:
        gap_ms = self._dice.between(0.8 * self._heartbeat_s, 1.2 * self._heartbeat_s)
        beat_ms = max(now_ms, agent.last_sign_ms + gap_ms)
        self._agenda.at(beat_ms, partial(self._beat, agent, agent.last_sign_ms))

    def _beat(self, agent: Agent, seen_ms: int, now_ms: int) -> None:
        if agent.dead or agent.shown_state == "offline":
            agent.beating = False
            return
        if agent.last_sign_ms == seen_ms:
            self.settle(agent, now_ms)
            if agent.last_sign_ms == seen_ms:
                self._sign(agent, now_ms)
        self._plan_beat(agent, now_ms)

    def _plan_death(self, agent: Agent, now_ms: int) -> None:
        if self._plan.client_deaths_per_day > 0:
            wait_ms = self._dice.exponential(86_400 / self._plan.client_deaths_per_day)
            self._agenda.at(now_ms + wait_ms, partial(self._die, agent))

    def _die(self, agent: Agent, now_ms: int) -> None:
        if agent.shown_state == "offline":
            self._plan_death(agent, now_ms)
            return
        agent.dead = True
        unlist(agent)
        self._agenda.at(now_ms + self._dice.between(*_AWAY_AFTER_DEATH_S), partial(self._log_in_again, agent))

    def _log_in_again(self, agent: Agent, now_ms: int) -> None:
        agent.dead = False
        agent.resting = "offline"
        agent.breaks += 1
        agent.shown_contacts = -1
        self._plan_death(agent, now_ms)
        self.settle(agent, now_ms)


def unlist(agent: Agent) -> None:
    """Take the agent out of the lines' lists of who is free."""
    for line in agent.lines:
        line.free.pop(agent, None)


def enlist(agent: Agent) -> None:
    """Put the agent at the end of the lines' lists of who is free."""
    for line in agent.lines:
        line.free[agent] = None
