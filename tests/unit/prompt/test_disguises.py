"""Disguised words are found, and words that merely look like terms are not."""

from collections.abc import Callable

import pytest

from guard.prompt.disguises import Disguises
from guard.prompt.lexicon import Term
from guard.prompt.slips import one_edit, one_slip
from guard.types import Decision, Finding

DISGUISED = {
    "leet digits": "p0rn",
    "leet signs": "n@ked",
    "one is an l": "s1ut",
    "leet with an ending": "5luts",
    "masked": "p*rn",
    "masked twice": "n**ity",
    "masked end": "por##",
    "spaced": "n u d e",
    "dotted": "n.u.d.e",
    "hyphened": "p-o-r-n",
    "underscored": "n_u_d_e",
    "slashed": "n/u/d/e",
    "lines": "n\nu\nd\ne",
    "spaced phrase": "n u d e w o m a n",
    "split": "na ked",
    "split by hyphen": "na-ked",
    "repeated": "nuuuude",
    "repeated with an ending": "nuuuudes",
    "doubled": "nnude",
    "plural": "pornos",
    "slang": "nudez",
    "doubled before ending": "pornned",
    "reversed": "dekan",
    "pig Latin": "udenay",
    "pig Latin with vowel": "eroticway",
    "swapped": "nakde",
    "left out": "nakd",
    "left out at the end": "toples",
    "key beside": "nakrd",
    "extra key beside": "nakewd",
    "no vowels": "prn",
    "glued": "nudewoman",
    "glued in the middle": "photoofnudewoman",
    "camel": "photoOfNakedGirl",
    "hashtag": "#nude",
    "brackets": "n[u]de",
    "brackets around half": "(nu)de",
    "weight": "((nude:1.4))",
    "entities": "&#110;&#117;de",
    "percent": "%6Eude",
    "escapes": "\\u006eude",
    "long escapes": "\\U0000006eude",
    "U+": "U+006E U+0075 U+0064 U+0065",
    "base64": "bnVkZQ==",
    "hex": "6e756465",
    "hex with prefix": "0x706f726e",
    "tags": "\U000e006e\U000e0075\U000e0064\U000e0065",
    "upside-down": "pǝʞɐu",
    "all Greek": "ηυδε nude",
}


@pytest.mark.parametrize("word", DISGUISED.values(), ids=DISGUISED.keys())
def test_found(word: str, decide: Callable[..., Decision]) -> None:
    assert decide(f"a photo of {word} in a room").action != "allow"


@pytest.mark.parametrize(
    "text",
    [
        "a sky slope",
        "the pen is red",
        "he swallowed an ode",
        "wow! nice!",
        "a 4k 8k c4d render at f/1.8, iso 100",
        "co-op, t-shirt, x-ray, e-mail",
        "spicy spices and a fitted kitchen",
        "Mr Honckey met Agnus in Clitheroe",
        "a warehouse and a dilapitated barn",
        "a b c d e f g",
        "1 2 3 4 5",
        "deadbeef cafe1234 550e8400-e29b-41d4-a716-446655440000",
        "SGVsbG8gd29ybGQ=",
        "48656c6c6f",
        "fish & chips 100% \\o/ \\uZZZZ",
        "ə ɹ",
        "[photo] (sunset) {beach} a[1]",
        "ununun nnnnnn " + "q" * 60,
        "u+1f600 \\U00110000 &notanentity;",
    ],
)
def test_harmless(text: str, decide: Callable[..., Decision]) -> None:
    assert decide(text).action == "allow"


def test_the_span_is_what_was_typed(find: Callable[..., tuple[Finding, ...]]) -> None:
    for word in ("p*rn", "p.o.r.n", "po\u200brn", "cG9ybg==", "&#112;orn", "pornposter"):
        text = f"é a {word} x"
        (one,) = find(text, "sexual")
        assert one.matched == text[slice(*one.span)] == word
        assert word not in one.explanation


def test_terms_that_ask_for_exactness_are_found_where_nothing_else_fits() -> None:
    def term(text: str, language: str = "en", *flags: str, score: float = 0.9) -> Term:
        return Term(text, score, language, frozenset(flags), "sexual", "s/1")

    disguises = Disguises(
        [
            term("velvet"),
            term("velvet", score=0.95),
            term("velvet", score=0.5),
            term("wool", "en", "exact"),
            term("cotton", "en", "exact"),
            term("hessian", "en", "exact", score=0.3),
            term("linnen", "nl"),
            term("two words"),
            term("silk", "en", "negative"),
        ],
        frozenset({"velvets"}),
    )
    assert disguises.lookup("velvetz") == (term("velvet", score=0.95), "an ending")
    assert disguises.lookup("velvets") is None
    assert disguises.lookup("woolz") is None
    assert disguises.lookup("wooll") is None
    assert disguises.lookup("loow") == (term("wool", "en", "exact"), "reversal")
    assert disguises.lookup("cottonz") == (term("cotton", "en", "exact"), "an ending")
    assert disguises.lookup("naissehx") is None
    assert disguises.lookup("hessianz") is None
    assert disguises.lookup("linnenz") is None
    assert disguises.lookup("silkz") is None
    assert disguises.lookup("vélvetz") is None
    assert disguises.knows("velvet")


@pytest.mark.parametrize("word", ["nakwd", "nked", "anked", "nakeed", "nakedd", "nakeds"])
def test_slips(word: str) -> None:
    assert one_slip(word, "naked") is (word != "anked")


@pytest.mark.parametrize("word", ["naked", "nakpd", "baked", "nakked x", "n", "", "nakedp"])
def test_no_slips(word: str) -> None:
    assert not one_slip(word, "naked")


def test_keys_that_are_no_letters() -> None:
    assert not one_slip("na1ed", "naked")
    assert one_slip("a11b", "a1b")


@pytest.mark.parametrize(
    ("word", "target", "near"),
    [
        ("rutowski", "rutkowski", True),
        ("kindkade", "kinkade", True),
        ("ab", "ba", True),
        ("abc", "cba", False),
        ("abcd", "ab", False),
        ("abxd", "abcd", True),
        ("same", "same", False),
    ],
)
def test_edits(word: str, target: str, near: bool) -> None:
    assert one_edit(word, target) is near
