"""`docs/skills.schema.json` describes skills files; whoever changes them renews it:

MUSTER_RENEW_SKILLS_SCHEMA=1 pytest tests/skills/test_skills_schema.py
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import jsonschema
from muster.agents.skills.skills_file import skills_schema

from .conftest import run

SCHEMA_FILE = Path(__file__).parents[2] / "docs" / "skills.schema.json"


def test_the_documented_schema_is_that_of_the_files() -> None:
    if os.environ.get("MUSTER_RENEW_SKILLS_SCHEMA"):
        SCHEMA_FILE.write_text(json.dumps(skills_schema(), indent=2) + "\n", encoding="utf-8")
    assert json.loads(SCHEMA_FILE.read_text(encoding="utf-8")) == skills_schema()


def test_what_a_manager_exports_is_valid_by_the_schema() -> None:
    schema = skills_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    content = json.loads(json.dumps(run().export_skills()))
    validator.validate(content)
    assert list(validator.iter_errors({**content, "owner": "me"}))
    assert list(validator.iter_errors({**content, "version": 2}))
    assert list(validator.iter_errors({"workers": {}}))
