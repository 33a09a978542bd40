"""The documentation site: one command builds it, every link in it leads somewhere, and it needs no network."""

from __future__ import annotations

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import tvm_mutate

pytest.importorskip("mkdocs", reason="the site needs mkdocs: pip install 'tvm-mutate[docs]'")

ROOT = Path(__file__).resolve().parents[1]


class Page(HTMLParser):
    """The links, anchors and loaded files of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.loaded: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        self.loaded += [values[name] for name in ("src", "href") if name in values and tag in ("script", "img", "link")]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Page]:
    """The pages of the site by their path; strict, so that a warning of mkdocs is an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    return {str(path): Page(path) for path in folder.rglob("*.html")}


def test_every_link_within_the_site_leads_to_a_file_and_an_anchor(site: dict[str, Page]):
    broken, checked = [], 0
    for path, page in site.items():
        for link in (*page.links, *page.loaded):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or path.endswith("404.html"):
                continue
            checked += 1
            target = (Path(path).parent / unquote(parts.path)).resolve() if parts.path else Path(path)
            target = target / "index.html" if target.is_dir() else target
            anchor = unquote(parts.fragment)
            if not target.is_file() or (anchor and anchor not in site[str(target)].anchors):
                broken.append(f"{Path(path).name}: {link}")
    assert checked > 100
    assert not broken


def test_a_page_loads_nothing_from_the_network(site: dict[str, Page]):
    assert [link for page in site.values() for link in page.loaded if urlsplit(link).netloc] == []


def test_every_document_is_a_page(site: dict[str, Page]):
    documents = {path.stem for path in (ROOT / "docs").glob("*.md")}
    others = {"index", "contributing", "changelog", "measurements", "404"}
    assert {Path(path).stem for path in site} == documents | others


def test_the_page_of_the_python_interface_has_the_public_names_and_no_others(site: dict[str, Page]):
    (page,) = [page for path, page in site.items() if Path(path).name == "api.html"]
    documented = {name for name in page.anchors if name.startswith("tvm_mutate.") and name.count(".") == 1}
    assert documented == {f"tvm_mutate.{name}" for name in tvm_mutate.__all__}
