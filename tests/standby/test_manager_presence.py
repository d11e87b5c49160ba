"""Each way of losing a manager, and what a member does about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import pytest
from muster.agents.kernel.delivery.manager_presence import (
    ManagerPresence,
    Move,
    Reason,
    Seen,
    Welcomed,
)
from muster.messages import ManagerReplaced, Welcome

WELCOME = Welcome(
    manager="boss", worker="Ada", session="s", worker_session="a", heartbeat_s=2, lost_after_s=10
)
UNTIL_S = 30.0
BLOCKED_S = 12.0

Event: TypeAlias = Callable[[ManagerPresence, float], object]


def welcomed_by(sender: str, **changes: object) -> Event:
    welcome = WELCOME.model_copy(update={"worker_call": 1, **changes})

    def arrive(presence: ManagerPresence, now: float) -> None:
        if presence.judge(sender, welcome, now) is not Welcomed.NOTHING:
            presence.begin(sender, welcome, now)

    return arrive


def told(sender: str, *, leads: bool, manager: str = "boss") -> Event:
    message = ManagerReplaced(manager=manager, leads=leads)
    return lambda presence, _: presence.told_replaced(sender, message)


def sign_of_loss(presence: ManagerPresence, now: float) -> None:
    presence.may_be_gone(now)


@dataclass(frozen=True)
class Case:
    """What happens to a member that joined at 0 s, and when it asks, or gives its connection up.

    Args:
        events: what happens, by the time in seconds.
        heard_until: when the manager last sends it something; it does so each half second.
        link_until: when anything last comes through the link.
        other_ticket_at: when its ticket file gets another ticket.
        over_nats: whether its connection repairs itself, so that only a ticket leads elsewhere.
        blocked_until: when its own loop runs again after 12 s.
        asks: when it asks to join again, and why; None if it never does.
        replaced: when it gives the connection up, and why; None if it never does.
    """

    events: dict[float, Event] = field(default_factory=dict[float, Event])
    heard_until: float = UNTIL_S
    link_until: float = UNTIL_S
    other_ticket_at: float = UNTIL_S
    over_nats: bool = False
    blocked_until: float = 0.0
    asks: tuple[float, Reason | None] | None = None
    replaced: tuple[float, Reason] | None = None


ENDS = {5.1: sign_of_loss}
HANDS_OVER = told("at boss", leads=False)
CASES = {
    "the manager answers": Case(),
    "there is another ticket, but the manager answers": Case(other_ticket_at=4.0),
    "it is silent": Case(
        heard_until=3.0, asks=(14.0, Reason.SILENT), replaced=(19.0, Reason.UNANSWERED)
    ),
    "it is silent, over NATS": Case(heard_until=3.0, over_nats=True, asks=(14.0, Reason.SILENT)),
    "it is silent, and there is another ticket": Case(
        heard_until=3.0, other_ticket_at=4.0, replaced=(10.0, Reason.OTHER_TICKET)
    ),
    "its direct connection ends, and there is another ticket": Case(
        ENDS, heard_until=5.0, other_ticket_at=5.3, replaced=(5.3, Reason.OTHER_TICKET)
    ),
    "its direct connection ends, and nobody answers": Case(
        ENDS, heard_until=5.0, asks=(5.7, Reason.MISSED), replaced=(7.2, Reason.UNANSWERED)
    ),
    "its direct connection ends over NATS, and another ticket comes late": Case(
        ENDS,
        heard_until=5.0,
        other_ticket_at=9.0,
        over_nats=True,
        asks=(5.7, Reason.MISSED),
        replaced=(9.0, Reason.OTHER_TICKET),
    ),
    "its direct connection ends, but it goes on sending": Case(ENDS),
    "another session is heard, but it goes on sending": Case(
        {5.1: sign_of_loss, 5.2: sign_of_loss, 7.1: sign_of_loss}
    ),
    "it hands over": Case(
        {5.0: HANDS_OVER},
        heard_until=5.0,
        asks=(5.0, None),
        replaced=(10.0, Reason.UNANSWERED),
    ),
    "it hands over, and the next one welcomes": Case(
        {5.0: HANDS_OVER, 5.2: welcomed_by("at next", session="n")}, asks=(5.0, None)
    ),
    "another one leads the run, and welcomes": Case(
        {5.0: told("at next", leads=True), 5.2: welcomed_by("at next", session="n")},
        asks=(5.0, None),
    ),
    "it says itself that it leads": Case({5.0: told("at boss", leads=True)}),
    "a manager of another run hands over": Case({5.0: told("at next", leads=False)}),
    "a manager of another run leads": Case({5.0: told("at next", leads=True, manager="other")}),
    "the member's own loop was blocked, and it is welcomed again": Case(
        {20.1: welcomed_by("at boss")}, blocked_until=20.0, asks=(20.0, Reason.BLOCKED)
    ),
    "the link is dead": Case(link_until=4.0, replaced=(16.0, Reason.LINK_DEAD)),
    "the link is dead, over NATS": Case(link_until=4.0, over_nats=True),
    "it is late, and welcomes again": Case(
        {**ENDS, 6.0: welcomed_by("at boss")}, 5.0, over_nats=True, asks=(5.7, Reason.MISSED)
    ),
}


class Member:
    """Plays one case: sees what it says, and notes when the member does what."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.presence = ManagerPresence("a", 1)
        self.now = 0.0
        self.asked: tuple[float, Reason | None] | None = None
        self.replaced: tuple[float, Reason | None] | None = None
        self.hellos = 0

    def play(self) -> None:
        events = sorted(self.case.events.items())
        welcomed_by("at boss")(self.presence, 0.0)
        while self.now < UNTIL_S and self.replaced is None:
            step = self.presence.step(self.see(), self.now)
            self.hellos += step.move is Move.ASK and step.is_due
            if step.move is Move.ASK:
                self.asked = self.asked or (self.now, step.reason)
            if step.move is Move.REPLACE:
                self.replaced = (self.now, step.reason)
            wakes_at = self.now + step.pause_s
            if events and events[0][0] <= wakes_at:
                self.now, event = events.pop(0)
                event(self.presence, self.now)
            else:
                self.now = wakes_at
            if self.now > self.case.blocked_until - BLOCKED_S:
                self.now = max(self.now, self.case.blocked_until)

    def see(self) -> Seen:
        case, now = self.case, self.now
        is_blocked = case.blocked_until - BLOCKED_S < now <= case.blocked_until
        heard_at = case.blocked_until - BLOCKED_S if is_blocked else min(now, case.heard_until)
        received_at = max(heard_at // 0.5 * 0.5, self.presence.welcomed_at)
        link_received_at = min(now, case.link_until)
        in_doubt = self.presence.is_in_doubt(received_at, link_received_at, now)
        has_other_ticket = in_doubt and now >= case.other_ticket_at
        can_dial_again = has_other_ticket or (in_doubt and not case.over_nats)
        return Seen(received_at, link_received_at, has_other_ticket, can_dial_again, self.late)

    def late(self, at: float) -> float:
        return BLOCKED_S if at < self.case.blocked_until <= self.now else 0.0


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_a_member_does_about_its_manager(case: Case) -> None:
    member = Member(case)
    member.play()
    for found, expected in ((member.asked, case.asks), (member.replaced, case.replaced)):
        assert (found and found[1]) == (expected and expected[1])
        if found is not None and expected is not None:
            # It looks for a ticket five times a second.
            assert expected[0] - 0.01 <= found[0] <= expected[0] + 0.21
    assert member.hellos <= UNTIL_S + 10


@pytest.mark.parametrize(
    ("sender", "changes", "means"),
    [
        pytest.param("at boss", {}, Welcomed.NOTHING, id="confirms the present conversation"),
        pytest.param("at boss", {"admission": 2}, Welcomed.AGAIN, id="admitted again"),
        pytest.param("at boss", {"admission": 0}, Welcomed.NOTHING, id="delayed"),
        pytest.param("at next", {"session": "n"}, Welcomed.ANOTHER, id="another manager"),
        pytest.param("at boss", {"session": "n"}, Welcomed.ANOTHER, id="restarted at its address"),
        pytest.param("at next", {"worker_call": 7}, Welcomed.NOTHING, id="of another call"),
        pytest.param("at next", {"worker_session": "b"}, Welcomed.NOTHING, id="for another start"),
    ],
)
def test_what_a_welcome_means(sender: str, changes: dict[str, object], means: Welcomed) -> None:
    presence = ManagerPresence("a", 1)
    first = WELCOME.model_copy(update={"worker_call": 1, "admission": 1})
    assert presence.judge("at boss", first, 0.0) is Welcomed.AGAIN
    presence.begin("at boss", first, 0.0)
    assert presence.judge(sender, first.model_copy(update=changes), 1.0) is means


def test_frames_of_another_session_make_a_member_ask_sooner_but_not_without_end() -> None:
    presence, hellos = ManagerPresence("a", 1), 0
    seen = Seen(0.0, 0.0, has_other_ticket=False, can_dial_again=False, late_since=lambda _: 0.0)
    for frame in range(10_000):
        presence.may_be_gone(frame / 1000)
        hellos += presence.step(seen, frame / 1000).is_due
    assert 90 <= hellos <= 101
