"""Names count where they mean a person or ask for a style, and only whose the rule means."""

from collections.abc import Callable

import pytest

from guard.policy.model import PromptRule
from guard.prompt.lexicon import Name, load_list
from guard.prompt.names import counts
from guard.types import Action, Finding

Find = Callable[..., tuple[Finding, ...]]


@pytest.mark.parametrize(
    "text",
    [
        "a castle in the style of Greg Rutkowski",
        "a castle by greg rutkowski",
        "a castle, greg rutkowski, 8k",
        "a castle by Monet and greg rutowski",
        "a castle by monet, artgerm and wlop",
        "Greg Rutkowski style castle",
        "greg rutkowski's style",
        "castle, trending on artstation with greg rutkowski light",
        "a cat inspired by picasso",
        "gr3g rutk0wski style castle",
        "GREG RUTKOWSKI STYLE",
        "a castle by greg-rutkowski",
        "castle by ((greg rutkowski:1.3))",
    ],
)
def test_styles(text: str, find: Find) -> None:
    assert find(text, "artist-style")


@pytest.mark.parametrize(
    "text",
    [
        "a castle in the style of Rembrandt",
        "water lilies by claude monet",
        "Andy Warhol walking down a street in New York",
        "a Picasso triggerfish",
        "the Dali museum",
        "a bosch drill on a bench",
        "grant wood for the stove",
        "a hopper full of grain",
        "art in a plain style",
        "artists by a river",
        "a wlop of mud",
    ],
)
def test_no_styles(text: str, find: Find) -> None:
    assert not find(text, "artist-style")


def test_people_and_places_named_after_them(find: Find) -> None:
    assert find("taylor swift on a stage", "real-person")
    assert find("Beyoncé on a stage", "real-person")
    assert find("taylor swfit on a stage", "real-person")[0].score == 0.9
    for text in (
        "the Paris Hilton hotel",
        "Benjamin Franklin bridge",
        "Keanu Reeves's museum",
        "a swift over a lake",
    ):
        assert not find(text, "real-person")


def test_a_film_by_someone_does_not_show_them(find: Find) -> None:
    assert not find("a scene by Steven Spielberg, horror", "real-person")
    assert find("Steven Spielberg in a chair", "real-person")


def test_politicians_by_occupation(find: Find) -> None:
    assert find("Angela Merkel in a garden", "politician")
    assert not find("Keanu Reeves in a garden", "politician")
    assert not find("Otto von Bismarck in a garden", "politician")


@pytest.mark.parametrize(
    ("born", "died", "within", "expected"),
    [
        (1900, 1955, 70, False),
        (1900, 1957, 70, True),
        (1850, None, 70, False),
        (1870, None, 70, True),
        (None, None, 70, True),
        (1500, 1550, None, True),
    ],
)
def test_who_died_long_ago(
    born: int | None, died: int | None, within: int | None, expected: bool
) -> None:
    name = Name("a b", "artist", born, died, "painter", single=False, list="artists", source="s")
    rule = PromptRule(
        id="r",
        category="r",
        lists=("artists",),
        action=Action.BLOCK,
        message="m",
        died_within_years=within,
    )
    assert counts(name, rule, 2026) is expected
    singers = rule.model_copy(update={"occupations": ("Singer",)})
    assert not counts(name, singers, 2026)


def test_floors_of_the_shipped_lists() -> None:
    """At least 1,500 artists and 5,000 public figures act under the default policy."""
    from guard.policy.load import load_policy

    policy = load_policy("default")
    rules = {rule.id: rule for rule in policy.prompt_rules}
    artists = [n for n in load_list("artists") if isinstance(n, Name)]
    people = [n for n in load_list("people") if isinstance(n, Name)]
    assert sum(counts(n, rules["artist-style"], 2026) for n in artists) >= 1_500
    assert sum(counts(n, rules["real-person"], 2026) for n in people) >= 5_000
    assert sum(counts(n, rules["politician"], 2026) for n in people) >= 500


@pytest.mark.parametrize("name", ["gregrutkowski", "GregRutkowski", "#gregrutkowski"])
def test_names_glued_together(name: str, find: Callable[..., tuple[Finding, ...]]) -> None:
    (found,) = find(f"a castle in the style of {name}", "artist-style")
    assert found.term == "greg rutkowski"
    assert found.explanation.endswith("behind glued words")


def test_short_names_glued_together_are_words(find: Callable[..., tuple[Finding, ...]]) -> None:
    assert not find("a picture by annlee", "artist-style")
