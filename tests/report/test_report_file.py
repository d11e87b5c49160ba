"""The report as a file, whose ending says in which format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from muster.agents.report.file import check_report_file, write_report
from muster.agents.report.html import render_html
from muster.agents.report.markdown import render_markdown
from muster.agents.report.model import RunReport
from muster.agents.report.text import render_text
from muster.messages import InvalidInput

Make = Callable[..., Any]
DIAGRAM = "sequenceDiagram\n    A->>B: hello"


def test_the_ending_says_in_which_format(
    run_report: Make, task_report: Make, tmp_path: Path
) -> None:
    report = run_report([task_report(1)])

    def written(name: str) -> str:
        write_report(report, tmp_path / name, DIAGRAM)
        return (tmp_path / name).read_text(encoding="utf-8")

    assert written("a.html") == render_html(report, DIAGRAM)
    assert written("b.MD") == render_markdown(report, DIAGRAM)
    assert written("c.txt") == render_text(report) + "\n"
    assert RunReport.model_validate_json(written("d.json")) == report


@pytest.mark.parametrize("name", ["report.pdf", "report", ".html"])
def test_an_unknown_ending_is_told_with_those_there_are(
    run_report: Make, tmp_path: Path, name: str
) -> None:
    for attempt in (check_report_file, lambda path: write_report(run_report([]), path)):
        with pytest.raises(InvalidInput, match=r"one of \.html, \.md, \.json, \.txt$"):
            attempt(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["missing/report.html", "folder.html"])
def test_where_it_can_not_be_written_is_told_before_the_work_begins(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(InvalidInput, match="the report can't be written to"):
        check_report_file(tmp_path / name)


def test_no_file_is_fine() -> None:
    check_report_file(None)
