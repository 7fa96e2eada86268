"""Builds ``policies/lexicons/*.tsv`` from the named sources and the curated files beside this.

Run ``python -m datasets.lexicons.build [--shared DIR] [--out DIR]``. The same sources always
give the same bytes; ``tests/unit/prompt/test_build.py`` holds the shipped files to that. Licences
and what was taken from where: DATA_CARD.md.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator
from pathlib import Path

from datasets.lexicons.names import Person, artists, people
from guard.prompt.tokens import canonical

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CURATED = HERE / "curated"
TERM_FILES = ("terms.tsv", "languages.tsv")
SHIPPED = ROOT / "policies" / "lexicons"


class SourceChanged(Exception):
    """A source no longer holds what the curated files select from it."""


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--out", type=Path, default=SHIPPED)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name, text in build(args.shared / "data" / "lexicons").items():
        (args.out / name).write_text(text, encoding="utf-8")
        print(f"{name}: {text.count(chr(10)) - 1:,} entries")


def build(sources: Path) -> dict[str, str]:
    """All term and name lists as {file name: text}. Raises SourceChanged."""
    files = {f"{name}.tsv": rows for name, rows in term_lists(sources).items()}
    files["artists.tsv"] = name_rows(artists(sources))
    files["people.tsv"] = name_rows(people(sources))
    return {name: _with_head(name.removesuffix(".tsv"), rows) for name, rows in files.items()}


def _with_head(name: str, rows: list[str]) -> str:
    body = "\n".join(rows) + "\n"
    version = hashlib.sha256(body.encode()).hexdigest()[:8]
    return f"# genguard list {name}, built by datasets/lexicons/build.py, version {version}\n{body}"


# -- terms -------------------------------------------------------------------------------


def term_lists(sources: Path) -> dict[str, list[str]]:
    """Rows ``term, score, language, flags`` of each term list, sorted by term."""
    best: dict[str, dict[tuple[str, str], tuple[float, str, str]]] = {}
    for name, score, language, flags, source, terms in _curated_rows():
        known = _source_terms(sources, source, language)
        for term in (one.strip() for one in terms.split(",")):
            if known is not None and term.lower() not in known:
                raise SourceChanged(f"{source} ({language}) has no '{term}'")
            text = term if "infix" in flags else canonical(term)
            key = (text, "negative" if "negative" in flags else "")
            entries = best.setdefault(name, {})
            if key not in entries or float(score) > entries[key][0]:
                entries[key] = (float(score), language, flags)
    return {
        name: [f"{text}\t{s:g}\t{lang}\t{f}" for (text, _), (s, lang, f) in sorted(entries.items())]
        for name, entries in sorted(best.items())
    }


def _curated_rows() -> Iterator[list[str]]:
    for file in TERM_FILES:
        for line in (CURATED / file).read_text(encoding="utf-8").splitlines():
            if line and not line.startswith("#"):
                yield line.split("\t")


def _source_terms(sources: Path, source: str, language: str) -> set[str] | None:
    if source == "own":
        return None
    path = sources / ("ldnoobw/" + language if source == "ldnoobw" else "sneakyprompt-nsfw.txt")
    return {line.strip().lower() for line in path.read_text(encoding="utf-8").splitlines()}


# -- names -------------------------------------------------------------------------------


def name_rows(found: dict[str, Person]) -> list[str]:
    """Rows ``name, kind, born, died, occupation, flags``, sorted by name."""
    return [
        "\t".join(
            (
                name,
                one.kind,
                str(one.born or ""),
                str(one.died or ""),
                one.occupation,
                " ".join(sorted(one.flags)),
            )
        )
        for name, one in sorted(found.items())
    ]


if __name__ == "__main__":
    main()
