from pathlib import Path

import pytest

from photosearch.domain import Field
from photosearch.search.help import QUERY_HELP
from photosearch.search.query import parse

README = Path(__file__).parents[2] / "README.md"


def test_the_readme_tells_the_query_language_as_the_app_does():
    rows = [f"| `{example}` | {meaning} |" for example, meaning in QUERY_HELP]
    assert "\n".join(rows).replace("cat|dog", r"cat\|dog") in README.read_text(encoding="utf-8")


@pytest.mark.parametrize(("example", "meaning"), QUERY_HELP)
def test_every_example_is_understood(example, meaning):
    query = parse(example)
    assert query
    assert not any(
        clause.phrase and ":" in clause.text and clause.field is None for clause in query.clauses
    ), "a field that makes no sense"
    assert meaning


def test_every_field_is_told():
    told = {clause.field for example, _ in QUERY_HELP for clause in parse(example).clauses}
    assert told >= set(Field)
