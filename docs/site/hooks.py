"""MkDocs hooks: pages from outside docs/, and links that leave docs/."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
OUTSIDE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/README.md": "benchmarking.md",
}
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for source, page in OUTSIDE.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite links of the repository as links of the site; a link to a file that is not a page becomes plain text."""
    here = page.file.src_uri
    origin = {made: source for source, made in OUTSIDE.items()}.get(here, f"docs/{here}")

    def on_site(found: re.Match[str]) -> str:
        image_mark, label, link, anchor = found.groups()
        if "://" in link:
            return found[0]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(origin), link))
        inside = OUTSIDE.get(target) or (target.removeprefix("docs/") if target.startswith("docs/") else None)
        if inside is None:
            return label if (ROOT / target).exists() else found[0]  # a broken link is kept, so that the build fails
        return f"{image_mark}[{label}]({posixpath.relpath(inside, posixpath.dirname(here) or '.')}{anchor or ''})"

    return _LINK.sub(on_site, markdown)
