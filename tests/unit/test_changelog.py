"""The notes in changelog.d/ have names that `make changelog` accepts."""

import re
import tomllib

from foundry_tasks.contract.environment_variables import REPOSITORY

FOLDER = REPOSITORY / "changelog.d"
SETTINGS = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["towncrier"]
KINDS = [kind["directory"] for kind in SETTINGS["type"]]


def test_a_note_has_a_kind_in_its_name_and_is_one_paragraph():
    for note in set(FOLDER.iterdir()) - {FOLDER / "README.md"}:
        assert re.fullmatch(rf"\+[a-z0-9-]+\.({'|'.join(KINDS)})\.md", note.name), (
            f"{note.name}: see changelog.d/README.md"
        )
        text = note.read_text()
        assert text.strip(), note.name
        assert "\n\n" not in text.strip(), note.name
        assert not re.search(r"^(#|[-*] )", text, re.MULTILINE), note.name


def test_the_page_of_notes_names_every_kind():
    assert [kind for kind in KINDS if f"`{kind}`" not in (FOLDER / "README.md").read_text()] == []


def test_notes_go_below_the_heading_of_what_is_not_released():
    assert (REPOSITORY / SETTINGS["filename"]).read_text().count(SETTINGS["start_string"]) == 1
    assert REPOSITORY / SETTINGS["directory"] == FOLDER
