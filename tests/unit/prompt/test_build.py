"""The shipped lists are what their scripts make of their sources."""

import os
from pathlib import Path

import pytest

from datasets.lexicons import build

ROOT = Path(__file__).parents[3]
SOURCES = Path(os.environ.get("GENGUARD_SHARED", ROOT.parent / "shared")) / "data" / "lexicons"
needs_sources = pytest.mark.skipif(
    not SOURCES.is_dir(), reason=f"LOUD SKIP: no lexicon sources under {SOURCES}"
)


@needs_sources
def test_the_same_sources_give_the_shipped_bytes() -> None:
    made = build.build(SOURCES)
    shipped = {path.name for path in build.SHIPPED.glob("*.tsv")}
    assert set(made) == shipped
    stale = [n for n, text in made.items() if (build.SHIPPED / n).read_text("utf-8") != text]
    assert stale == [], "run python -m datasets.lexicons.build"


def test_a_term_that_its_source_lacks_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "terms.tsv").write_text("sexual\t0.9\ten\t\tsneakyprompt\tvelvet\n")
    (tmp_path / "sneakyprompt-nsfw.txt").write_text("linen\n")
    monkeypatch.setattr(build, "CURATED", tmp_path)
    with pytest.raises(build.SourceChanged, match="velvet"):
        build.term_lists(tmp_path)
