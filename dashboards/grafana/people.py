"""How are agents and teams used?"""

from dashboards.grafana.board import Board, Place, Row
from dashboards.grafana.panels import (
    ACT,
    AGENTS,
    CALM,
    CONTACTS,
    RATIO,
    SECONDS,
    WELL,
    Column,
    Line,
    Query,
    figure,
    lines,
    rows,
)
from dashboards.grafana.promql import SITE, now, per_queue, quotient, ratio, recorded, total, window
from dashboards.grafana.words import helps, says
from schemas.definitions import DEFINITIONS

_QUEUE = "{{queue}} · {{channel}}"
_TWICE = "An agent who serves several queues is in each of them: queues are never added up here."
_STATES = (
    Line("available$", WELL), Line("busy$", "#009e73"), Line("wrap_up$", "#e69f00"), Line("break$", CALM),
    Line("lost$", ACT),
)  # fmt: skip
_BUSY, _AVAILABLE = window("agent_busy_seconds"), window("agent_available_seconds")
_STAFFED = f"({_BUSY} + {_AVAILABLE})"
_HANDLED = window("handled_contacts")


def _team(states: str) -> str:
    return f'{recorded("team_agents")}{{{SITE}, team=~"$team", state=~"{states}"}}'


_TEAM_COLUMNS = tuple(
    Column(DEFINITIONS[state].label_en.capitalize(), f"max by (team) ({_team(state)})", AGENTS)
    for state in ("available", "busy", "wrap_up", "break", "lost")
)


def _mean(*parts: str) -> str:
    """Seconds a handled contact, queue by queue."""
    seconds = " + ".join(window(f"{part}_seconds") for part in parts)
    return per_queue(ratio(f"({seconds})", _HANDLED))


_COLUMNS = (
    Column("Handled", per_queue(_HANDLED)),
    Column("AHT", _mean("talk", "hold", "wrap_up"), SECONDS, 0),
    Column("Talk", _mean("talk"), SECONDS, 0),
    Column("Hold", _mean("hold"), SECONDS, 0),
    Column("Wrap-up", _mean("wrap_up"), SECONDS, 0),
    Column("Occupancy", per_queue(ratio(_BUSY, _STAFFED)), RATIO, 1),
    Column("n: staffed time", per_queue(_STAFFED), SECONDS, 0),
    Column("CPH", per_queue(f"3600 * {ratio(_HANDLED, _STAFFED)}"), CONTACTS, 1),
    Column("Declined", per_queue(window("declined_contacts"))),
    Column("Transferred out", per_queue(window("transferred_out_contacts"))),
)

BOARD = Board(
    uid="queuelight-agents",
    title="Queuelight · Agents and teams",
    question="How are agents and teams used? Occupancy, the parts of the handling time, contacts rung and not taken.",
    variables=("site", "team", "channel", "queue", "window"),
    rows=(
        Row("Now", (
            Place(figure("Agents", helps("agents"), AGENTS, [Query(f"{recorded('agents')}{{{SITE}}}", "{{state}}")],
                         trend=False), 12, 5),
            Place(figure("Available by queue", helps("queue_agents"), AGENTS,
                         [Query(per_queue(now("queue_agents", 'state="available"')), _QUEUE)], trend=False), 12, 5),
        )),
        Row("Teams", (
            Place(rows("Teams", helps("team_agents"), ("team",), _TEAM_COLUMNS), 10, 9),
            Place(lines("Agents at work", helps("team_agents", more="Busy or in wrap-up."), AGENTS,
                        [Query(f"sum by (team) ({_team('busy|wrap_up')})", "{{team}}")]), 14, 9),
            Place(lines("Agents of the site", helps("agents"), AGENTS,
                        [Query(f"{recorded('agents')}{{{SITE}}}", "{{state}}")], _STATES), 24),
        )),
        Row("Occupancy", (
            Place(lines("Occupancy", says("occupancy", more=_TWICE), RATIO,
                        [Query(per_queue(ratio(_BUSY, _STAFFED)), _QUEUE),
                         Query(per_queue(_STAFFED), f"n: staffed time {_QUEUE}")],
                        (Line("^n: ", only_in_legend=True, unit=SECONDS),), most=1)),
            Place(lines("Contacts per hour", says("cph", more=_TWICE), CONTACTS,
                        [Query(per_queue(f"3600 * {ratio(_HANDLED, _STAFFED)}"), _QUEUE)])),
        )),
        Row("Handling", (
            Place(lines("Parts of the handling time",
                        says("aht_s", "att_s", "hold_s", "acw_s", more="The selected queues together; the parts add "
                             "up to the average handling time."), SECONDS,
                        [Query(quotient(f"{part}_seconds", by="handled_contacts"), name)
                         for part, name in (("talk", "talk"), ("hold", "hold"), ("wrap_up", "wrap-up"))]
                        + [Query(total(_HANDLED), "n handled")],
                        (Line("^talk$", WELL), Line("^hold$", "#cc79a7"), Line("^wrap-up$", "#e69f00"),
                         Line("^n ", only_in_legend=True, unit=CONTACTS)), stacked=True)),
            Place(lines("Declined", says("declined"), CONTACTS,
                        [Query(per_queue(window("declined_contacts")), _QUEUE)])),
            Place(rows("Queues", says("aht_s", "occupancy", "cph", "declined", more=_TWICE), ("queue", "channel"),
                       _COLUMNS), 24, 9),
        )),
    ),
)  # fmt: skip
