"""The shipped lists are what their scripts make of their sources."""

import os
from collections import Counter
from pathlib import Path

import pytest

from datasets.lexicons import build, extract_packages, names, readers
from datasets.lexicons.readers import Record
from guard.policy.load import load_policy
from guard.prompt.lexicon import NAME_LISTS, Name, Term, load_list
from guard.prompt.names import counts
from guard.prompt.tokens import canonical
from guard.prompt.wordsets import word_list

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


# -- what the shipped lists must hold -----------------------------------------------------------

CORE = ("sexual", "nudity", "minors", "violence", "hate", "self-harm")
LANGUAGES = word_list(
    "en de fr es it pt nl pl cs sv da no fi hu ro el tr ru uk ar fa he hi bn th ja zh ko vi id fil"
)
YEAR = 2026


def _effective(name: str, rule_id: str) -> int:
    rule = next(one for one in load_policy("default").prompt_rules if one.id == rule_id)
    assert name in rule.lists
    return sum(
        counts(entry, rule.model_copy(update={"occupations": ()}), YEAR)
        for entry in load_list(name)
        if isinstance(entry, Name)
    )


def test_the_default_policy_protects_enough_artists_and_public_figures() -> None:
    assert _effective("artists", "artist-style") >= 15_000
    assert _effective("people", "real-person") >= 20_000


def test_most_figures_have_a_year_of_birth_and_nearly_all_an_occupation() -> None:
    people = [entry for entry in load_list("people") if isinstance(entry, Name)]
    assert sum(one.born is not None for one in people) >= 0.6 * len(people)
    assert all(one.occupation for one in people)


@pytest.mark.parametrize("name", CORE)
def test_every_language_has_terms_of_its_own_in_every_core_list(name: str) -> None:
    counted = Counter(entry.language for entry in load_list(name) if isinstance(entry, Term))
    assert [one for one in LANGUAGES if counted[one] < 3] == []
    assert counted["mul"] == 0


def test_entries_are_sorted_unique_and_canonical() -> None:
    for path in sorted(build.SHIPPED.glob("*.tsv")):
        rows = [line.split("\t") for line in path.read_text("utf-8").splitlines()[1:]]
        texts = [row[0] for row in rows]
        assert texts == sorted(texts), path.name
        if path.stem in NAME_LISTS:
            assert len(set(texts)) == len(texts), path.name
        free = [row[0] for row in rows if "infix" not in row[-1]][::37]
        assert free == [canonical(text) for text in free], path.name


def test_the_lists_stay_small() -> None:
    assert sum(path.stat().st_size for path in build.SHIPPED.iterdir()) <= 6_000_000


@pytest.mark.parametrize(
    "phrase", ["summer rain", "grace hill", "art deco", "the rock", "young thug", "will power"]
)
def test_everyday_phrases_are_no_names(phrase: str) -> None:
    assert names.is_phrase(phrase) or phrase in {"art deco"}
    listed = {entry.text for name in NAME_LISTS for entry in load_list(name)}
    assert phrase not in listed


@pytest.mark.parametrize("name", ["will smith", "tiger woods", "greg rutkowski", "taylor swift"])
def test_figures_known_by_everyday_words_stay(name: str) -> None:
    assert any(entry.text == name for one in NAME_LISTS for entry in load_list(one))


@pytest.mark.parametrize("word", ["born", "barn", "kind", "cono", "pica", "nina", "negro"])
def test_harmless_words_of_big_languages_are_no_foreign_terms(word: str) -> None:
    foreign = {
        entry.text
        for name in CORE
        for entry in load_list(name)
        if isinstance(entry, Term) and entry.language != "en"
    }
    assert word not in foreign


# -- how sources are merged ---------------------------------------------------------------------


def test_of_two_namesakes_the_later_one_counts() -> None:
    merge = names._Merge("artist")
    merge.add("tate", [Record("Ada Quillfeather", 1790, 1860)])
    merge.add("moma", [Record("Ada Quillfeather", 1950, None)])
    found = merge.found["ada quillfeather"]
    assert (found.born, found.died) == (1950, None)
    merge.add("moma", [Record("Ada Quillfeather", 1790, 1860)])
    assert (found.born, found.died) == (1950, None)


def test_what_one_source_does_not_know_another_adds() -> None:
    merge = names._Merge("person")
    merge.add("pantheon", [Record("Bo Quillfeather", 1900, None, "")])
    merge.years([Record("Bo Quillfeather", 1901, 1970, "poet"), Record("Not Listed", 1, 2)])
    found = merge.found["bo quillfeather"]
    assert (found.born, found.died, found.occupation) == (1900, 1970, "poet")
    assert "not listed" not in merge.found


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("Edith Quill, Jr.", "Edith Quill Jr"),
        ("Jean-Luc O'Quill", "Jean-Luc O'Quill"),
        ("Marisol (Marisol Quillfeather)", ""),
        ("Quill & Sons", ""),
        ("Quill Studio", ""),
        ("Unknown Artist", ""),
        ("T. Quill", ""),
        ("QUILL AND FEATHER", ""),
        ("Quill, Augusta, Maine", ""),
    ],
)
def test_firms_groups_and_initials_are_no_persons(written: str, kept: str) -> None:
    assert readers._personal(written) == kept


def test_extracts_come_out_sorted_once_each(tmp_path: Path) -> None:
    path = tmp_path / "people.tsv"
    given = [Record("Zoe Quill", 1950), Record("Ada Quill", 1900, 1980, "poet")]
    readers.write_records(path, "a source", [*given, given[0]])
    assert list(readers.records(path)) == [given[1], given[0]]


def test_a_player_list_is_read_without_running_it(tmp_path: Path) -> None:
    path = tmp_path / "data.py"
    path.write_text("x = boom()\nplayers = [[1, 'Quill', 'Ada', 'Ada Quill', True]]\n")
    assert list(extract_packages.nba_players(path)) == [
        Record("Ada Quill", None, None, "basketball player")
    ]
