"""Edits skills files: merges one into another, and forgets workers and types."""

from __future__ import annotations

from collections.abc import Mapping

from ...messages import UnknownName
from ..kernel.matching.scorecards.scorecard_file import SkillsFile, TypeSection, WorkerSection


def merge_skills(known: SkillsFile, added: SkillsFile) -> SkillsFile:
    """Merge two skills files.

    For each worker and type, the one with more results counts; of equal ones, the added one. The
    results are not summed, since both may count the same ones. What is common to all workers comes
    from the file with more results.

    Args:
        known: what is known.
        added: what is added to it.
    """
    workers = dict(known.workers)
    for name, section in added.workers.items():
        former = workers.get(name)
        workers[name] = section if former is None else _merge_worker(former, section)
    first, second = (added, known) if _all_results(added) > _all_results(known) else (known, added)
    return known.model_copy(update={"shared": first.shared or second.shared, "workers": workers})


def forget_skills(
    known: SkillsFile, worker: str | None = None, task_type: str | None = None
) -> SkillsFile:
    """Remove what is known of a worker, of a type, or of a worker's type; without either, all.

    Args:
        known: what is known.
        worker: the worker's name; None for all workers.
        task_type: the type, or the name of a skill; None for all.

    Raises:
        UnknownName: nothing is known of it; the message lists what there is.
    """
    if worker is None and task_type is None:
        return SkillsFile()
    if worker is not None and worker not in known.workers:
        raise UnknownName("worker with skills", worker, known.workers)
    chosen = known.workers if worker is None else {worker: known.workers[worker]}
    workers = dict(known.workers)
    if task_type is None:
        for name in chosen:
            del workers[name]
        return known.model_copy(update={"workers": workers})
    names = {
        each: None for section in chosen.values() for each in (*section.types, *section.skills)
    }
    if task_type not in names:
        raise UnknownName("type with results", task_type, names)
    for name, section in chosen.items():
        kept_types = _without(section.types, task_type)
        kept_skills = _without(section.skills, task_type)
        workers[name] = section.model_copy(update={"types": kept_types, "skills": kept_skills})
    return known.model_copy(update={"workers": workers})


def _merge_worker(known: WorkerSection, added: WorkerSection) -> WorkerSection:
    base = added if _results(added) >= _results(known) else known
    types = _merge_sections(known.types, added.types)
    skills = _merge_sections(known.skills, added.skills)
    return base.model_copy(update={"types": types, "skills": skills})


def _merge_sections(
    known: Mapping[str, TypeSection], added: Mapping[str, TypeSection]
) -> dict[str, TypeSection]:
    merged = dict(known)
    for name, section in added.items():
        former = merged.get(name)
        if former is None or section.results >= former.results:
            merged[name] = section
    return merged


def _results(worker: WorkerSection) -> int:
    return sum(section.results for section in worker.types.values())


def _all_results(skills: SkillsFile) -> int:
    return sum(map(_results, skills.workers.values()))


def _without(sections: Mapping[str, TypeSection], name: str) -> dict[str, TypeSection]:
    return {each: section for each, section in sections.items() if each != name}
