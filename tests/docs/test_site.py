"""The site of `docs/` builds without a warning, is complete, and needs no other host."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import FunctionType

import pytest
import yaml
from pages_kit import PAGES, ROOT, text_of

from fallbackio import errors


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as in a release; links and anchors that lead nowhere end the build."""
    work = tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "docs", work / "docs")
    for name in ("mkdocs.yml", "mkdocs_griffe.py"):
        shutil.copy(ROOT / name, work)
    built = subprocess.run(  # noqa: S603 - our own command
        [str(Path(sys.executable).with_name("zensical")), "build", "--strict"],
        cwd=work,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "NO_COLOR": "1"},
        text=True,
        capture_output=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return work / "site"


def test_every_page_is_built(site: Path) -> None:
    """Each source is a page of the site."""
    names = {Path(page).relative_to("docs").with_suffix("") for page in PAGES if page != "README.md"}
    homes = {site if name.name == "index" else site / name for name in names}
    assert {str(home) for home in homes if not (home / "index.html").is_file()} == set()


def test_no_other_host_is_asked(site: Path) -> None:
    """Reading the site fetches nothing from elsewhere: no font, script, style or picture."""
    for page in site.rglob("*.html"):
        html = page.read_text(encoding="utf-8")
        loaded = re.findall(
            r'<(?:script|link|img|iframe|source)\b[^>]*?(?:src|href)="?(https?:[^"> ]+)', html
        )
        assert loaded == [], page
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert re.findall(r"url\(\"?https?:[^)]*|@import[^;]*https?:[^;]*", styles) == []


@pytest.mark.parametrize(
    "module", ["", ".breaker", ".drill", ".errors", ".events", ".observe", ".simulator", ".testing", ".web"]
)
def test_every_public_name_is_explained(site: Path, module: str) -> None:
    """The page of names has all of them, with their docstrings."""
    html = (site / "api" / "index.html").read_text(encoding="utf-8")
    shown = set(re.findall(r'id="([\w.]+)"', html))
    public = importlib.import_module(f"fallbackio{module}")
    ours = {
        name
        for name, thing in ((name, getattr(public, name)) for name in public.__all__)
        if isinstance(thing, type | FunctionType) and thing.__module__.startswith("fallbackio")
    }

    if module:
        missing = {name for name in ours if f"fallbackio{module}.{name}" not in shown}
        assert missing <= {"scenarios"}  # a function that the page's maker takes for the folder of its name
    else:  # errors have a part of their own
        assert {name for name in ours if f"fallbackio.{name}" not in shown} <= set(errors.__all__)


def test_every_page_is_in_the_navigation() -> None:
    """A page that nobody can find from the others is lost."""

    def leaves(node: object) -> set[str]:
        if isinstance(node, dict | list):
            return set().union(
                *(leaves(part) for part in (node.values() if isinstance(node, dict) else node))
            )
        return {str(node)}

    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    assert {f"docs/{name}" for name in leaves(config["nav"])} == set(PAGES) - {"README.md"}


def test_the_readmes_links_lead_somewhere() -> None:
    """Each file that the README names exists; the site's own build looks after the other pages."""
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", text_of("README.md"))
    assert len(targets) >= 5
    assert [target for target in targets if not (ROOT / target).is_file()] == []
