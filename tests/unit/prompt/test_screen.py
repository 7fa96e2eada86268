"""The screener as a whole: policies' own tests, languages, negative prompts, hostile text."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.errors import PolicyInvalid
from guard.policy.evaluate import evaluate
from guard.policy.load import available_policies, load_policy
from guard.policy.model import Policy, PromptRule
from guard.prompt import lexicon
from guard.prompt.screen import PolicyScreener
from guard.types import MAX_PROMPT_CHARS, Action, Decision, Finding

BENIGN = {
    "fr": "Une petite maison au bord de la mer avec des volets bleus, con un chat",
    "de": "Ein dicker Hund läuft durch den Schnee, dick verschneite Dächer bei Nacht und Nebel",
    "es": "Un perro negro corre por la playa, una piña colada en la mesa",
    "it": "Una vecchia fattoria in Toscana, un piatto di fichi e prosciutto",
    "pt": "Um barco de pesca na praia ao pôr do sol, pinto amarelo no quintal",
    "nl": "Een molen bij de dijk met tulpen in het voorjaar",
    "sv": "Slut på dagen, en röd stuga vid sjön och en båt",
    "no": "En fjord i Norge om vinteren med nordlys",
    "da": "En gammel fiskekutter i havnen, god fart over vandet",
    "fi": "Punainen mökki järven rannalla kesäyönä",
    "pl": "Stary zamek na wzgórzu w jesiennej mgle",
    "cs": "Pražský hrad v zimě, most přes řeku",
    "hu": "Egy öreg ház a Balaton partján, naplemente",
    "ro": "Un castel vechi în Carpați, ceață de dimineață",
    "tr": "İstanbul boğazında gün batımı, martılar ve vapur",
    "ru": "Старый дом у реки, кот смотрит на снег",
    "uk": "Стара хата біля ставка, соняшники",
    "el": "Ένα μικρό λευκό σπίτι με μπλε πόρτα",
    "he": "בית ישן ליד הים בשקיעה",
    "ar": "بيت قديم على شاطئ البحر عند الغروب",
    "fa": "خانه‌ای قدیمی در کنار رودخانه",
    "hi": "नदी के किनारे एक पुराना घर",
    "bn": "নদীর ধারে একটি পুরনো বাড়ি",
    "th": "ประภาคารริมทะเลและเรือโป๊ะ",
    "ja": "裸足で浜辺を歩く人、カップヌードルと牛乳",
    "zh": "海边的老房子，一杯牛奶，女性健康",
    "ko": "아무것도 보지 못하고 자지 않는 부엉이",
    "vi": "Ngôi nhà cũ bên bờ sông lúc hoàng hôn",
    "id": "Rumah tua di tepi sungai saat matahari terbenam",
}
NUDE = {
    "fr": "une femme nue",
    "de": "eine nackte Frau",
    "es": "una mujer desnuda",
    "it": "una donna nuda",
    "pt": "uma mulher nua",
    "nl": "een naakte vrouw",
    "sv": "en naken kvinna",
    "pl": "naga kobieta",
    "tr": "çıplak kadın",
    "ru": "голая женщина",
    "el": "γυμνή γυναίκα",
    "he": "אישה עירומה",
    "ar": "امرأة عارية",
    "hi": "नंगी औरत",
    "th": "ผู้หญิงเปลือยกาย",
    "ja": "ヌードの女性",
    "zh": "一个裸体女人",
    "ko": "누드를 그린",
}
SCREENER = PolicyScreener(load_policy("default"), year=2026)
Decide = Callable[..., Decision]
Find = Callable[..., tuple[Finding, ...]]


@pytest.mark.parametrize("name", available_policies())
def test_every_policy_passes_its_own_tests(name: str) -> None:
    policy = load_policy(name)
    tally = evaluate(policy, name, PolicyScreener(policy).screen)
    assert [(one.line, one.explanation) for one in tally.results if one.status == "failed"] == []
    assert tally.total >= 40


@pytest.mark.parametrize("text", BENIGN.values(), ids=BENIGN.keys())
def test_ordinary_text_of_many_languages(text: str, decide: Decide) -> None:
    assert decide(text).action == "allow"


@pytest.mark.parametrize("text", NUDE.values(), ids=NUDE.keys())
def test_terms_of_many_languages(text: str, decide: Decide) -> None:
    assert decide(text).action != "allow"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a 12 year old", True),
        ("a twelve-year-old", True),
        ("age: 9", True),
        ("aged nine", True),
        ("15yo", True),
        ("une fille de 12 ans", True),
        ("12歳", True),
        ("a 21 year old", False),
        ("a 2012 yard sale", False),
        ("3 years of drought", False),
        ("one yonder, aged wood", False),
        ("18 years old", False),
    ],
)
def test_ages(text: str, found: bool, find: Find) -> None:
    assert bool(find(text, "minors")) is found


def test_negative_prompts(decide: Decide, find: Find) -> None:
    assert decide("a woman", "nude, porn, gore, child").action == "allow"
    assert decide("a woman", "(porn:-1.5)").action == "block"
    assert decide("a woman", "(porn:1.5)").action == "allow"
    assert decide("a woman", "clothes").action == "allow"
    assert decide("Taylor Swift", "clothes").action == "block"
    (one,) = find("Taylor Swift", "nudity", "no clothes on")[:1]
    assert one.explanation.endswith("in the negative prompt")
    assert one.matched == "clothes on"


def test_findings_explain_themselves(find: Find) -> None:
    (one,) = find("A  Nüde statue", "nudity")
    assert (one.span, one.matched, one.category) == ((3, 7), "Nüde", "nudity")
    assert one.source.startswith("nudity/")
    assert one.explanation == "a term of the list 'nudity'"
    assert one.score == 0.8


def test_longer_findings_cover_shorter_ones(find: Find) -> None:
    assert [one.matched for one in find("a nude model", "nudity")] == ["nude model"]


def test_findings_are_ordered(screener: PolicyScreener) -> None:
    found = screener.screen("porn, nude, gore and Taylor Swift", negative_prompt="clothes")
    assert [one.span for one in found] == sorted(one.span for one in found)


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("nude pink nail polish", "allow"),
        ("a nude woman with nail polish", "flag"),
        ("nude, lipstick", "flag"),
        ("a woman, nude", "flag"),
        ("a naked bike ride", "allow"),
        ("a coal tit", "allow"),
    ],
)
def test_company(text: str, action: str, decide: Decide) -> None:
    assert decide(text).action == action


def test_a_policys_own_allowances(policy: Policy) -> None:
    own = policy.model_copy(
        update={"allow_contexts": ("nude descending a staircase", " "), "allow_terms": ("Gore",)}
    )
    screener = PolicyScreener(own)
    assert not screener.screen("Nude descending a staircase")
    assert not screener.screen("a gore map")
    assert screener.screen("nude descending the stairs")


def test_unknown_lists_are_refused() -> None:
    rule = PromptRule(id="x", category="x", lists=("nonsuch",), action=Action.FLAG, message="m")
    with pytest.raises(PolicyInvalid, match="nonsuch"):
        PolicyScreener(Policy(name="p", prompt_rules=(rule,)))


def test_a_damaged_list_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    from pathlib import Path

    folder = Path(str(tmp_path))
    (folder / "broken.tsv").write_text("# version 1\nterm\tnot a number\ten\t\n")
    monkeypatch.setattr(lexicon, "folder", lambda: folder)
    monkeypatch.setattr(lexicon, "available_lists", lambda: ("broken",))
    with pytest.raises(PolicyInvalid, match="damaged"):
        lexicon.load_list("broken")


def test_a_policy_without_prompt_rules_finds_nothing() -> None:
    assert PolicyScreener(Policy(name="p")).screen("porn") == ()


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300), st.text(max_size=60))
def test_never_raises_and_spans_hold(text: str, negative: str) -> None:
    for one in SCREENER.screen(text, negative_prompt=negative):
        source = negative if one.explanation.endswith("negative prompt") else text
        assert one.matched == source[slice(*one.span)] != ""
        assert 0.0 < one.score <= 1.0


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="nude p*o.r-n[]()&#;%\\ux1230:=\u202e\u200bɐǝ裸体🇳", max_size=120))
def test_never_raises_on_text_made_to_break_it(text: str) -> None:
    SCREENER.screen(text, negative_prompt=text)


@pytest.mark.parametrize(
    "unit",
    ["a", "a ", "a.", "nude ", "(((", "n*", "&#", "%41", "\\u0041", "bnVk", "6e", "裸", "🇳", "z9"],
)
def test_long_hostile_text_is_quick(unit: str, screener: PolicyScreener) -> None:
    import time

    text = (unit * MAX_PROMPT_CHARS)[:MAX_PROMPT_CHARS]
    start = time.process_time()
    screener.screen(text)
    assert time.process_time() - start < 5.0


def test_the_longest_text_is_read_to_its_end(screener: PolicyScreener) -> None:
    text = "a " * (MAX_PROMPT_CHARS // 2 - 2) + "porn"
    assert screener.screen(text)


@pytest.mark.parametrize("text", ["🍆💦", "🍆 💦", "🍆  💦", "🍆🏽 💦", "dinner 🍆 💦 tonight"])
def test_emoji_that_belong_together(text: str, screener: PolicyScreener) -> None:
    found = [one for one in screener.screen(text) if one.category == "sexual"]
    assert [one.term for one in found] == ["🍆💦"]
    start, end = found[0].span
    assert text[start] == "🍆"
    assert text[end - 1] == "💦"


def test_emoji_far_apart_are_two_things(screener: PolicyScreener) -> None:
    prompt = "🍆 in a kitchen, 💦 from a fountain"
    assert not [one for one in screener.screen(prompt) if one.term == "🍆💦"]
