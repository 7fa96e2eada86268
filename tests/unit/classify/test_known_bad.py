"""Known pictures are found by fingerprint, before any detector looks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from guard.classify import known_bad
from guard.classify.bank_files import BankEntry, BankFile
from guard.classify.known_bad import Bank, KnownBadDetector, open_bank
from guard.classify.screen import Classifier
from guard.errors import AuditUnavailable, DetectorUnavailable, InvalidRequest
from guard.image.fingerprint import fingerprint
from guard.policy.decide import decide_output
from guard.policy.model import KnownBad, OutputRule, Policy
from guard.settings import Settings
from guard.store.engine import Store, open_store
from guard.types import Action, Score
from tests.support.house import FixedDetector, picture

HEX = "acecf3355e3125c8e24e2f30e0d4ec4f8482b878b3c34cdbdf063278db275992"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_store(f"sqlite:///{tmp_path}/audit.sqlite3", create=True)
    yield made
    made.close()


@pytest.fixture
def bank(store: Store, tmp_path: Path) -> Bank:
    return Bank("main", lambda: store, tmp_path / "index")


def scene(seed: int = 0, side: int = 256) -> np.ndarray:
    """Smooth blobs: PDQ finds enough in them."""
    from PIL import Image

    small = np.random.default_rng(seed).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC))


def entry(pixels: np.ndarray, label: str = "") -> BankEntry:
    return BankEntry(bytes.fromhex(fingerprint(pixels).bits), label)


def policy(**fields: object) -> Policy:
    known = {"id": "known", "category": "known", "bank": "main", "message": "Known."} | fields
    nsfw = OutputRule(id="n", category="nsfw", detectors=("opennsfw",), block=0.8, message="No.")
    return Policy(name="p", known_bad=(KnownBad(**known),), output_rules=(nsfw,))


def test_a_known_picture_is_found_in_any_position(bank: Bank) -> None:
    bank.add([entry(scene(1), "one"), entry(scene(2), "two")], "dana")
    detector = KnownBadDetector(bank)
    for shown in (scene(1), scene(1)[:, ::-1], np.rot90(scene(1)), scene(1)[::2, ::2]):
        match = detector.match(np.ascontiguousarray(shown))
        assert match is not None
        assert (match.entry.label, match.distance <= 20) == ("one", True)
    assert detector.score(scene(1)) == {"known-bad": 1.0}
    far = detector.score(scene(3))["known-bad"]
    assert 0.4 < far < 1 - 60 / 256


def test_a_flat_picture_is_near_to_nothing(bank: Bank) -> None:
    flat = np.full((64, 64, 3), 7, np.uint8)
    bank.add([entry(flat)], "dana")
    assert KnownBadDetector(bank).score(flat) == {"known-bad": 0.0}


def test_what_is_taken_off_is_found_no_longer(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_bad, "TAKEN_OFF", 2)
    entries = [entry(scene(n), str(n)) for n in range(6)]
    bank.add(entries, "dana")
    detector = KnownBadDetector(bank)
    before = detector.model_digest
    assert detector.score(scene(0)) == {"known-bad": 1.0}
    assert bank.remove(entries[:5], "eve").changed == 5
    match = detector.match(scene(0))
    assert match is not None
    assert match.entry.label == "5"
    bank.remove(entries, "eve")
    assert detector.score(scene(0)) == {"known-bad": 0.0}
    assert detector.model_digest != before
    assert bank.add(entries[:1], "dana").changed == 1
    assert detector.score(scene(0)) == {"known-bad": 1.0}


def test_an_entry_is_on_a_bank_once(bank: Bank) -> None:
    one = entry(scene(1))
    first = bank.add([one, one], "dana")
    again = bank.add([one], "dana")
    assert (first.changed, first.same, again.changed, again.same) == (1, 1, 0, 1)
    with pytest.raises(InvalidRequest, match="name of who"):
        bank.add([one], " ")


def test_a_bank_that_is_not_there_fails_closed(bank: Bank, tmp_path: Path) -> None:
    detector = KnownBadDetector(bank)
    for use in (
        detector.prepare,
        lambda: detector.score(scene()),
        lambda: detector.score(np.zeros((64, 64, 3), np.uint8)),
        lambda: detector.model_digest,
    ):
        with pytest.raises(DetectorUnavailable, match="no bank 'main'") as caught:
            use()
        assert "guard lists import" in caught.value.hint
    gone = open_bank("main", f"sqlite:///{tmp_path}/none.sqlite3", tmp_path, 1.0)
    with pytest.raises(AuditUnavailable):
        KnownBadDetector(gone).prepare()
    with pytest.raises(DetectorUnavailable, match="known-bad:main"):
        Classifier(policy(), [FixedDetector()])


def test_the_policy_s_banks_are_built_in(store: Store, tmp_path: Path) -> None:
    from guard.assemble import build_classifier

    settings = Settings(home=tmp_path)
    classifier = build_classifier(policy(), settings)
    assert [one.id for one in classifier.detectors] == ["opennsfw", "known-bad:main"]
    Bank("main", lambda: store).add([entry(scene(1))], "dana")
    (score,) = classifier.score(scene(1))
    assert (score.detector, score.value, score.threshold) == ("known-bad:main", 1.0, 1 - 31 / 256)


class Loud(FixedDetector):
    """Must not be asked."""

    def score(self, pixels: np.ndarray) -> dict[str, float]:
        raise AssertionError("asked")


def test_a_known_picture_is_blocked_before_anybody_looks(bank: Bank) -> None:
    bank.add([entry(scene(1))], "dana")
    chosen = policy(message="A known picture.")
    scores = Classifier(chosen, [Loud(), KnownBadDetector(bank)]).score(scene(1))
    decision = decide_output(chosen, scores)
    assert (decision.action, decision.rules) == (Action.BLOCK, ("known",))
    assert [(one.code, one.message) for one in decision.reasons] == [("known", "A known picture.")]
    calm = Classifier(chosen, [FixedDetector(), KnownBadDetector(bank)])
    assert [one.detector for one in calm.score(scene(2))] == ["known-bad:main", "opennsfw"]
    assert decide_output(chosen, calm.score(scene(2))).action is Action.ALLOW
    mixed = calm.score_all([scene(2), scene(1), scene(3)])
    assert [len(one) for one in mixed] == [2, 1, 2]


def test_the_distance_is_the_policy_s() -> None:
    for bits, acts in ((0, True), (10, True), (11, False)):
        score = Score("known-bad", 1 - bits / 256, 0, "known-bad:main", "")
        calm = Score("nsfw", 0.0, 0, "opennsfw", "")
        decision = decide_output(policy(max_distance=10), [score, calm])
        assert (decision.action is Action.BLOCK) is acts


def test_a_bank_that_said_nothing_is_no_answer() -> None:
    with pytest.raises(DetectorUnavailable, match="known-bad:main"):
        decide_output(policy(), [Score("nsfw", 0.0, 0, "opennsfw", "")])


def test_a_known_picture_may_be_of_a_sensitive_category() -> None:
    chosen = Policy.model_validate(
        policy().model_dump() | {"sensitive": {"categories": ("known",)}}
    )
    decision = decide_output(chosen, [Score("known-bad", 1.0, 0, "known-bad:main", "")])
    assert decision.sensitive


# -- files ----------------------------------------------------------------------------------


def read(folder: Path, text: str | bytes) -> tuple[list[BankEntry], int]:
    path = folder / "list.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    file = BankFile(path)
    return list(file.entries()), file.others


BITS = bytes.fromhex(HEX)


@pytest.mark.parametrize(
    ("text", "entries", "others"),
    [
        (f"{HEX}\n", [BankEntry(BITS)], 0),
        (f"# a list\n\n{HEX.upper()}\r\n", [BankEntry(BITS)], 0),
        (f"{HEX},28807,2020-07-31T18:47:52+0000,tag_a tag_b\n",
         [BankEntry(BITS, "28807", "tag_a tag_b")], 0),
        (f"pdq {HEX}\nvideo_md5 0123\nraw_text some words\n", [BankEntry(BITS)], 2),
        (f"hash,type,id,tags\n{HEX},pdq,7,x\nabc,md5,8,y\n", [BankEntry(BITS, "7", "x")], 1),
        (f"indicator_type,indicator\nHASH_PDQ,{HEX}\nHASH_MD5,00\n", [BankEntry(BITS)], 1),
        (f"\ufeffsignal,note\n{HEX},\"a, b\"\n", [BankEntry(BITS, "", "a, b")], 0),
        ("", [], 0),
        ("# nothing\n", [], 0),
    ],
)  # fmt: skip
def test_forms_of_lists(tmp_path: Path, text: str, entries: list[BankEntry], others: int) -> None:
    assert read(tmp_path, text) == (entries, others)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (f"{HEX}\n{HEX[:-1]}\n", "2"),
        (f"{HEX}0\n", "1"),
        ("d41d8cd98f00b204e9800998ecf8427e\n", "1"),
        (f"hash,type\n{HEX},pdq\n,pdq\n", "3"),
        (f"hash,type\n{HEX[:-1]}g,\n", "2"),
        (b"\xff\xfe\n", "1"),
        (f"{HEX}\n{'x' * 20_001}\n", "2"),
        ("pdq nothing\n", "1"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, text: str | bytes, place: str) -> None:
    with pytest.raises(InvalidRequest, match=rf"list\.csv:{place}:"):
        read(tmp_path, text)


def test_nothing_of_a_broken_file_is_taken(bank: Bank, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(f"{HEX}\nbroken\n")
    with pytest.raises(InvalidRequest):
        bank.add(BankFile(path).entries(), "dana")
    with pytest.raises(DetectorUnavailable):
        bank.version()
    with pytest.raises(InvalidRequest, match="cannot be read"):
        list(BankFile(tmp_path / "none").entries())


def test_pictures_of_the_house_are_far_apart() -> None:
    assert fingerprint(picture()).bits != fingerprint(scene()).bits
