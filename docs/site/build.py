"""Build the site of all pages into .site/html, and check its links. `make docs` runs it in an environment of its own.

Pages keep the places that they have in the repository, so a link that works there works on the site. The navigation is
the index of docs/README.md; the pages of the API come from the docstrings of the package.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
SITE = REPOSITORY / ".site"
INDEX = DOCS / "README.md"


def lay_out(pages: Path) -> None:
    """Copy every page, and what pages show or link to, into the empty folder `pages`."""
    shutil.rmtree(pages, ignore_errors=True)
    shutil.copytree(DOCS, pages / "docs", ignore=shutil.ignore_patterns("site"))
    for path in (*REPOSITORY.glob("*.md"), REPOSITORY / "LICENSE"):
        shutil.copy(path, pages)
    for name in ("site.css", "iframe-worker.js"):
        shutil.copy(DOCS / "site" / name, pages)


def sections(index: str) -> dict[str, list[str]]:
    """Section of the index → its pages as paths from the repository's root.

    index: the Markdown of docs/README.md. A row with a bold first cell begins a section, and every other row begins with
    the link to a page. The pages beside a linked README of a folder follow it.
    """
    found: dict[str, list[str]] = {}
    for cell in re.findall(r"^\| ([^|]+) \|", index, re.MULTILINE):
        if title := re.fullmatch(r"\*\*(.+)\*\*", cell):
            pages = found[title[1]] = []
        elif link := re.fullmatch(r"\[.+\]\((.+\.md)\)", cell):
            page = (DOCS / link[1]).resolve()
            beside = sorted(page.parent.glob("*.md")) if page.name == "README.md" and page.parent != REPOSITORY else []
            pages += [str(one.relative_to(REPOSITORY)) for one in (page, *(other for other in beside if other != page))]
    return found


def navigation(index: str) -> str:
    """The index as a line of the configuration, below README.md as the start page."""
    parts = [
        '{ "%s" = [%s] }' % (title, ", ".join(f'"{page}"' for page in pages))  # noqa: UP031 - braces are TOML's
        for title, pages in sections(index).items()
    ]
    return f"nav = [{', '.join(parts)}]"


class _Page(HTMLParser):
    """What a built page links to, what it loads, and its anchors."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif "src" in given:
            self.loaded.append(given["src"])
        elif tag == "link" and given.get("rel") in {"stylesheet", "icon"}:
            self.loaded.append(given["href"])


def faults(html: Path) -> Iterator[str]:
    """Links and anchors that lead nowhere, and what a page would load from a server, one line each.

    html: the folder of the built site. 404.html is left out: a server shows it at any address.
    """
    pages = {path: _Page(path) for path in sorted(html.rglob("*.html")) if path != html / "404.html"}
    for path, page in pages.items():
        for link in dict.fromkeys((*page.links, *page.loaded)):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                if link in page.loaded and parts.scheme != "data":
                    yield f"{path.relative_to(html)} loads {link}"
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                yield f"{path.relative_to(html)}: no file at {link}"
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                yield f"{path.relative_to(html)}: no anchor at {link}"


def main() -> int:
    """Exit code 0, or 1 after the faults were printed."""
    lay_out(SITE / "pages")
    settings = (DOCS / "site" / "zensical.toml").read_text().replace("nav = []", navigation(INDEX.read_text()), 1)
    (SITE / "zensical.toml").write_text(settings)
    shutil.rmtree(SITE / "html", ignore_errors=True)
    zensical = Path(sys.executable).parent / "zensical"
    built = subprocess.run(  # noqa: S603 - a program of this environment
        [zensical, "build", "--strict", "--clean", "--config-file", SITE / "zensical.toml"],
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode:
        sys.stderr.write(built.stdout + built.stderr.partition("Traceback")[0])
        return 1
    found = list(faults(SITE / "html"))
    sys.stdout.writelines(f"{fault}\n" for fault in found)
    if not found:
        sys.stdout.write(f"the site: {SITE / 'html' / 'index.html'}\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
