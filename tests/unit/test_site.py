"""The site's pages, and its check of links."""

import runpy
from pathlib import Path

import pytest

from foundry_tasks.contract.environment_variables import REPOSITORY

BUILD = runpy.run_path(str(REPOSITORY / "docs" / "site" / "build.py"))
INDEX = (REPOSITORY / "docs" / "README.md").read_text()


def test_the_navigation_has_every_page_once():
    pages = [page for section in BUILD["sections"](INDEX).values() for page in section]
    there = {*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")} - {REPOSITORY / "docs" / "README.md"}
    assert sorted(pages) == sorted(str(path.relative_to(REPOSITORY)) for path in there)


def test_the_site_starts_with_the_readme():
    assert next(iter(BUILD["sections"](INDEX).values()))[0] == "README.md"


def test_pages_keep_the_places_that_they_have_in_the_repository(tmp_path):
    BUILD["lay_out"](tmp_path / "pages")
    laid = {str(path.relative_to(tmp_path / "pages")) for path in (tmp_path / "pages").rglob("*")}
    assert {"README.md", "LICENSE", "docs/architecture.md", "docs/images/growth.svg"} <= laid
    assert not any(path.startswith("docs/site") for path in laid)


@pytest.fixture
def html(tmp_path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "site.css").touch()
    (tmp_path / "index.html").write_text('<link rel="stylesheet" href="site.css"><h1 id="top">Start</h1>')
    return tmp_path


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('<a href="../index.html#top">start</a> <a href="#here" id="here">here</a>', None),
        ('<a href="https://example.org/">elsewhere</a> <img src="data:image/png;base64,AA==">', None),
        ('<a href="gone.html">gone</a>', "docs/page.html: no file at gone.html"),
        ('<a href="..">start</a>', "docs/page.html: no file at .."),
        ('<img src="gone.png">', "docs/page.html: no file at gone.png"),
        ('<a href="../index.html#gone">gone</a>', "docs/page.html: no anchor at ../index.html#gone"),
        ('<script src="https://example.org/a.js"></script>', "docs/page.html loads https://example.org/a.js"),
        ('<link rel="stylesheet" href="//example.org/a.css">', "docs/page.html loads //example.org/a.css"),
    ],
)
def test_a_broken_link_and_what_comes_from_a_server_are_found(html, body, fault):
    (html / "docs" / "page.html").write_text(body)
    assert list(BUILD["faults"](html)) == ([fault] if fault else [])
