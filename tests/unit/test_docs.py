"""What is generated from the code is what the code says."""

from pathlib import Path

from benchmarks.growth_page import growth_markdown
from benchmarks.record import benchmarks_markdown
from foundry_tasks.features import FEATURES, feature_table_markdown

REPOSITORY = Path(__file__).parents[2]


def test_the_feature_table_is_current_run_make_docs():
    assert (REPOSITORY / "docs" / "features.md").read_text() == f"# Features\n\n{feature_table_markdown()}"


def test_the_benchmarks_page_is_what_was_measured_run_make_docs():
    assert (REPOSITORY / "docs" / "benchmarks.md").read_text() == benchmarks_markdown()


def test_the_growth_page_is_what_was_measured_run_make_docs():
    assert (REPOSITORY / "docs" / "growth.md").read_text() == growth_markdown()


def test_there_are_at_least_sixty_features_each_with_a_line_of_documentation():
    assert len(FEATURES) >= 60
    assert all(feature.doc and "\n" not in feature.doc for feature in FEATURES)
