"""What pages and the API are told of schedules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from muster.agents.kernel.model.events import ScheduleCameDue, ScheduleDeclared, ScheduleRemoved
from muster.agents.kernel.model.schedules import ScheduleTerms
from muster.agents.live import schedule_view
from muster.messages import Task

Make = Callable[..., Any]

HOURLY = ScheduleTerms(cron="0 * * * *", tz="Europe/Berlin")


def test_schedules_are_sent_at_first_and_again_when_they_have_changed(desk: Make) -> None:
    here = desk()
    assert here.page.head(here.board, here.now)["schedules"] is None
    here.open()
    here.handle(ScheduleDeclared("job", HOURLY, 0.0))
    here.now += schedule_view.EVERY_S
    (row,) = here.change()["schedules"]["rows"]
    assert row[:3] == ["job", "0 * * * *", "Europe/Berlin"]
    assert row[4:] == ["-", "-", "0", "0", ""]
    here.now += schedule_view.EVERY_S
    assert "schedules" not in here.change()
    task = Task(id="job@1970-01-01T01:00:00+00:00")
    here.handle(ScheduleCameDue("job", 3600.0, (task,), (None,)))
    here.handle(ScheduleCameDue("job", 7200.0, failure="KeyError: 'x'", missed=2))
    here.now += schedule_view.EVERY_S
    (row,) = here.change()["schedules"]["rows"]
    assert row[4:] == [
        *("1970-01-01 02:00:00 CET", "open", "1", "2"),
        "1 due time without tasks: KeyError: 'x'",
    ]
    here.handle(ScheduleRemoved("job"))
    here.now += schedule_view.EVERY_S
    assert here.change()["schedules"] is None


async def test_the_api_lists_schedules(house: Make, client: Make) -> None:
    async with house() as here, client(here.manager) as web:
        assert (await web.get("/api/schedules")).json() == []
        here.manager.schedule("job", cron="0 * * * *", tz="Europe/Berlin", make="work")
        (told,) = (await web.get("/api/schedules")).json()
        assert (told["name"], told["cron"], told["active"]) == ("job", "0 * * * *", True)
        assert told["next_due"] > 0
