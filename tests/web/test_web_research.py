"""The scenario `web_research`, over real Ceylon and its own website."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from muster.agents import RunReport
from muster.agents.diagram import check_diagram, find_diagrams
from muster.agents.kernel.trace import TraceLog
from muster.agents.trace.follow import follow
from muster.messages import InvalidInput
from muster.scenarios.tea_review import TeaReview, read_articles
from muster.scenarios.web_research import WebResearch


@pytest.fixture(scope="module")
def log() -> TraceLog:
    return TraceLog()


@pytest.fixture(scope="module")
def played(log: TraceLog) -> tuple[WebResearch, RunReport]:
    import asyncio

    scenario = WebResearch()
    return scenario, asyncio.run(scenario.play(seen=lambda manager: follow(manager, log)))


@pytest.mark.slow
@pytest.mark.ceylon
def test_the_run_goes_as_the_diagram_shows(
    played: tuple[WebResearch, RunReport], log: TraceLog
) -> None:
    del played
    (found,) = find_diagrams(sys.modules[WebResearch.__module__].__doc__ or "", "web_research")
    verdict = check_diagram(found.diagram, log.trace())
    assert verdict.holds, verdict.mismatch
    assert verdict.messages == 2 * 25 + 6


@pytest.mark.slow
@pytest.mark.ceylon
def test_twelve_pages_are_scraped_and_summarized_by_their_specialists(
    played: tuple[WebResearch, RunReport],
) -> None:
    _, report = played
    assert report.success_rate == 1.0
    done = {(task.type, task.worker) for task in report.tasks}
    assert done == {
        ("scrape_page", "Wren"),
        ("summarize_text", "Iris"),
        ("compile_digest", "Otto"),
    }
    assert [task.type for task in report.tasks].count("scrape_page") == 12


@pytest.mark.slow
@pytest.mark.ceylon
def test_each_page_is_told_as_it_was_written(played: tuple[WebResearch, RunReport]) -> None:
    scenario, report = played
    pages = {task.id: task.output for task in report.tasks if task.type == "scrape_page"}
    for article in scenario.site.articles:
        page = pages[f"page {article.slug}"]
        assert (page["title"], page["author"], page["date"], page["language"]) == (
            article.title,
            article.author,
            article.date,
            "en",
        )
        told = " ".join(page["text"].split())
        assert all(" ".join(each.split()) in told for each in article.paragraphs)
        assert "Subscribe now" not in told
        assert len(page["links"]) == 7


@pytest.mark.slow
@pytest.mark.ceylon
def test_the_digest_has_a_part_for_each_page(
    played: tuple[WebResearch, RunReport], tmp_path: Path
) -> None:
    scenario, report = played
    digest = scenario.conclusion(report)
    assert digest.startswith("# Digest of 12 pages\n\n## ")
    for article in scenario.site.articles:
        assert f"## {article.title}\n\n" in digest
    assert digest.count("written by extraction") == 12
    into_file = WebResearch(arguments=[str(tmp_path / "digest.md")])
    assert into_file.conclusion(report) == f"the digest is in {tmp_path}/digest.md"
    assert (tmp_path / "digest.md").read_text(encoding="utf-8") == digest


def test_the_review_has_twelve_articles_the_newest_first() -> None:
    dates = [article.date for article in read_articles()]
    assert len(dates) == 12
    assert dates == sorted(dates, reverse=True)


def test_the_review_is_gone_when_the_scenario_is_over() -> None:
    with TeaReview() as site:
        assert site.address_of(site.articles[0]).startswith("http://127.0.0.1:")
    with pytest.raises(AssertionError, match="only served within its `with` block"):
        site.address_of(site.articles[0])


async def test_worker_processes_are_refused_with_the_reason() -> None:
    with pytest.raises(InvalidInput, match="its workers share one fetcher"):
        await WebResearch().play(processes=True)
    with pytest.raises(InvalidInput, match="takes one file, not 2"):
        WebResearch(arguments=["a", "b"])
