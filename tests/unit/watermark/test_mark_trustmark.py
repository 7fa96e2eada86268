"""TrustMark behind our protocols, with stand-in networks of the same signature that carry bits.

Real weights are a download and were not measured here; see docs/how-to/read-other-marks.md.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from guard.cli.main import app
from typer.testing import CliRunner

from guard import Guard
from guard.assemble import build_mark_readers, build_verifier, build_watermark, resolve_policy
from guard.errors import (
    DetectorUnavailable,
    KeyInvalid,
    MarkRejected,
    PolicyInvalid,
    SettingsInvalid,
)
from guard.image.decode import decode
from guard.image.encode import encode as encoded
from guard.policy.model import Policy, WatermarkSettings
from guard.provenance.keys import create_development_keys
from guard.provenance.trust import TrustList
from guard.settings import Settings
from guard.testing import WatermarkContract, sample_picture
from guard.types import Pixels, Released, VerdictName
from guard.verify.suspect import Verifier
from guard.watermark import trustmark_watermark
from guard.watermark.assurance import recoded
from guard.watermark.trustmark import TrustMarkReader
from guard.watermark.trustmark_code import SCHEMAS, encode, schema_named
from guard.watermark.trustmark_models import TrustMarkModels, available
from guard.watermark.trustmark_watermark import TrustMarkWatermark, count_patterns, read
from tests.support.tiny_onnx import Graph
from tests.support.tiny_trustmark import decoder, encoder, write_models

SECRET, OTHER = b"a secret for tests, 32 bytes now", b"another secret for tests, 32 too"
PAYLOAD = bytes.fromhex("0123456789abcdef")
DATA = np.random.default_rng(5).integers(0, 2, 75, dtype=np.uint8)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models(tmp_path_factory.mktemp("trustmark"))


@pytest.fixture(scope="module")
def mark(models: Path) -> TrustMarkWatermark:
    return TrustMarkWatermark(models, SECRET, wished=("crop90-jpeg75", "webp50"))


def _foreign(models: Path, pixels: Pixels, schema: str = "BCH_5", variant: str = "Q") -> Pixels:
    """A picture as somebody else marks it with TrustMark."""
    kind = schema_named(schema)
    bits = encode(DATA[: kind.data_bits], kind)
    return TrustMarkModels(models, variant).marked(pixels, bits)


# -- others' marks ------------------------------------------------------------------------------


@pytest.mark.parametrize("schema", [one.name for one in SCHEMAS])
def test_others_marks_are_labels(models: Path, schema: str) -> None:
    labels = TrustMarkReader(models).read(_foreign(models, sample_picture(1), schema))
    (label,) = (one for one in labels if one["method"] == "trustmark-Q")
    payload = "".join(map(str, DATA[: schema_named(schema).data_bits]))
    assert label["kind"] == "watermark"
    assert (label["name"], label["schema"], label["payload"]) == ("TrustMark", schema, payload)
    assert int(label["message"], 16) == int(payload, 2)
    version = schema_named(schema).version
    assert label["soft_binding"] == {
        "alg": "com.adobe.trustmark.Q",
        "value": f"{version}*{payload}",
    }
    assert label["corrected"] == 0
    assert label["chance_if_coins"] < 1e-5
    assert len(label["decoder_sha256"]) == 64
    assert "proves nothing" in label["proves"]


def test_the_other_variant_looks_at_the_central_square(models: Path) -> None:
    pixels = sample_picture(2, 300, 520)
    marked = _foreign(models, pixels, variant="P")
    assert np.array_equal(marked[:, :100], pixels[:, :100])
    methods = [label["method"] for label in TrustMarkReader(models).read(marked)]
    assert methods == ["trustmark-P"]


@pytest.mark.parametrize("shape", [(700, 200), (200, 701), (300, 301), (64, 64)])
def test_long_pictures_are_marked_in_their_middle(models: Path, shape: tuple[int, int]) -> None:
    marked = _foreign(models, sample_picture(3, *shape))
    assert marked.shape == (*shape, 3)
    labels = TrustMarkReader(models).read(marked)
    assert "trustmark-Q" in [label["method"] for label in labels]


def test_unmarked_pictures_have_no_label(models: Path) -> None:
    reader = TrustMarkReader(models)
    for seed in range(12):
        assert reader.read(sample_picture(seed)) == ()
    assert reader.read(np.zeros((31, 500, 3), np.uint8)) == ()


def test_what_is_mended_too_often_by_chance_is_not_told(models: Path) -> None:
    """Four wrong bits of BCH_5 decode, and so do too many pictures without a mark."""
    kind = schema_named("BCH_5")
    networks = TrustMarkModels(models, "Q")
    for wrong, told in ((3, True), (4, False)):
        bits = encode(DATA[:61], kind)
        bits[:wrong] ^= 1
        labels = TrustMarkReader(models).read(networks.marked(sample_picture(4), bits))
        assert bool([one for one in labels if one["method"] == "trustmark-Q"]) is told


def test_verify_says_label_only(models: Path, mark: TrustMarkWatermark) -> None:
    verifier = Verifier(TrustList(), mark, None, readers=[TrustMarkReader(models)])
    report = verifier.examine(_png(_foreign(models, sample_picture(5))))
    assert report.verdict is VerdictName.LABEL_ONLY
    assert report.watermark is None
    assert "TrustMark" in [label["name"] for label in report.labels]
    assert verifier.examine(_png(sample_picture(5))).verdict is VerdictName.NOTHING_FOUND


def test_a_reader_that_fails_is_told_as_missing(mark: TrustMarkWatermark) -> None:
    class Broken:
        def read(self, pixels: Pixels) -> tuple[dict[str, object], ...]:
            raise RuntimeError("out of order")

    with pytest.raises(DetectorUnavailable, match="Broken, a reader of others' marks, failed"):
        Verifier(TrustList(), mark, None, readers=[Broken()]).examine(_png(sample_picture(6)))


def _png(pixels: Pixels) -> bytes:
    return encoded(pixels, "image/png")


# -- our marks ----------------------------------------------------------------------------------


class TestTrustMarkContract(WatermarkContract):
    folder: Path

    @pytest.fixture(autouse=True)
    def _folder(self, models: Path) -> None:
        type(self).folder = models

    def make(self) -> TrustMarkWatermark:
        return TrustMarkWatermark(self.folder, SECRET)

    def make_other(self) -> TrustMarkWatermark:
        return TrustMarkWatermark(self.folder, OTHER)


def test_says_what_it_survived(mark: TrustMarkWatermark) -> None:
    marked = mark.embed(sample_picture(1), PAYLOAD)
    assert "jpeg75" in marked.mark.survived
    assert "crop90-jpeg75" not in marked.mark.survived  # the stand-ins cannot bear a crop
    assert not marked.pixels.flags.writeable
    found = mark.detect(marked.pixels)
    assert found.key_id == mark.key_id
    assert found.p_value == pytest.approx(2**-36, rel=1e-6)


@pytest.mark.parametrize("strength", trustmark_watermark.STRENGTHS)
def test_strengths(models: Path, strength: str) -> None:
    one = TrustMarkWatermark(models, SECRET, strength=strength)
    marked = one.embed(sample_picture(2), PAYLOAD)
    assert one.detect(marked.pixels).payload == PAYLOAD.hex()
    assert (marked.mark.psnr_db < 35) is (strength == "robust")


def test_retired_keys_still_read(models: Path, mark: TrustMarkWatermark) -> None:
    marked = mark.embed(sample_picture(3), PAYLOAD).pixels
    later = TrustMarkWatermark(models, OTHER, retired=[SECRET])
    found = later.detect(marked)
    assert (found.payload, found.key_id) == (PAYLOAD.hex(), mark.key_id)
    assert found.p_value == pytest.approx(2 * 2**-36, rel=1e-6)
    assert later.key_id != mark.key_id


def test_ours_is_noise_to_others(models: Path, mark: TrustMarkWatermark) -> None:
    for seed in range(6):
        marked = mark.embed(sample_picture(seed), bytes([seed]) * 8).pixels
        assert TrustMarkReader(models).read(marked) == ()


def test_others_are_noise_to_us(models: Path, mark: TrustMarkWatermark) -> None:
    found = mark.detect(_foreign(models, sample_picture(4), "BCH_4"))
    assert (found.detected, found.payload) == (False, None)
    assert found.p_value > 1e-6


def test_without_room_it_is_rejected(models: Path, mark: TrustMarkWatermark) -> None:
    with pytest.raises(MarkRejected, match="small"):
        mark.embed(sample_picture(0, 63, 400), PAYLOAD)
    with pytest.raises(ValueError, match="8 bytes"):
        mark.embed(sample_picture(0), b"short")
    deaf = TrustMarkWatermark(models, SECRET, false_positive_rate=1e-12)
    with pytest.raises(MarkRejected, match="could not be read back"):
        deaf.embed(sample_picture(0), PAYLOAD)


# -- the p-value --------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_patterns_are_counted_never_too_few(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = np.round(rng.exponential(size=12), 2)
    for limit in (0.0, 0.3, 1.0, float(sizes.sum())):
        exact = sum(
            sum(chosen) <= limit + 1e-12
            for n in range(13)
            for chosen in itertools.combinations(sizes, n)
        )
        assert exact <= count_patterns(sizes, limit) <= 1.05 * exact + 1


def test_silent_bits_cost_a_factor_each() -> None:
    sizes = np.ones(100)
    sizes[:3] = 0.0
    assert count_patterns(sizes, 0.0) == 8.0
    assert count_patterns(np.zeros(100), 0.0) == 2.0**100


def test_wrong_bits_cost_what_they_would_by_chance() -> None:
    """A wrong bit that was faint costs a factor of two; five loud ones end the evidence."""
    stream = np.zeros(100, np.uint8)
    word = trustmark_watermark._word(PAYLOAD)
    rng = np.random.default_rng(0)
    clean = np.where(word == 1, 1.0, -1.0) * rng.uniform(2, 3, 100)
    faint, loud = clean.copy(), clean.copy()
    faint[7] *= -1e-3
    loud[[3, 20, 40, 60, 98]] *= -1.0
    assert read(clean.astype(np.float32), stream) == (PAYLOAD, 2**-36)
    assert read(faint.astype(np.float32), stream)[1] == pytest.approx(2 * 2**-36)
    payload, p_value = read(loud.astype(np.float32), stream)
    assert payload == PAYLOAD
    assert p_value > 1e-6
    loud[50] *= -1.0
    assert read(loud.astype(np.float32), stream)[0] != PAYLOAD


def test_the_hundredth_bit_counts() -> None:
    word = trustmark_watermark._word(PAYLOAD)
    logits = np.where(word == 1, 1.0, -1.0)
    logits[99] = 1.0
    payload, p_value = read(logits.astype(np.float32), np.zeros(100, np.uint8))
    assert payload == PAYLOAD
    assert p_value == pytest.approx(101 * 2**-36)


def test_p_values_are_honest_over_keys() -> None:
    """Fixed answers of a decoder, however crooked; 4,000 streams: hardly one decodes at all."""
    rng, small = np.random.default_rng(9), 0
    for logits in (np.ones(100, np.float32), rng.normal(size=100).astype(np.float32)):
        for _ in range(2000):
            stream = rng.integers(0, 2, 100, dtype=np.uint8)
            small += read(logits, stream)[1] < 1e-3
    assert small <= 12  # of 4,000 at 1e-3


# -- weights ------------------------------------------------------------------------------------


def test_missing_weights_say_where_they_belong(tmp_path: Path) -> None:
    for make in (available, TrustMarkReader):
        with pytest.raises(DetectorUnavailable, match="no TrustMark models") as missing:
            make(tmp_path)
        assert "nothing is downloaded" in missing.value.hint
    write_models(tmp_path, "Q")
    with pytest.raises(DetectorUnavailable, match="no encoder_P"):
        TrustMarkWatermark(tmp_path, SECRET, strength="high-quality")
    with pytest.raises(DetectorUnavailable, match="cannot be read"):
        TrustMarkModels(tmp_path, "B").logits(sample_picture())
    assert available(tmp_path) == ("Q",)


def _other_graph(outputs: int, bad: float | None = None) -> bytes:
    """A decoder of another length, or one that answers no number."""
    return decoder(outputs=outputs) if bad is None else decoder(scale=bad)


@pytest.mark.parametrize(
    "data",
    [b"", b"no model", encoder(), _other_graph(99), _other_graph(100, float("nan"))],
    ids=["empty", "noise", "encoder", "99 bits", "nan"],
)
def test_what_is_no_decoder_is_told(tmp_path: Path, data: bytes) -> None:
    write_models(tmp_path, "Q")
    (tmp_path / "decoder_Q.onnx").write_bytes(data)
    with pytest.raises(DetectorUnavailable, match="is no TrustMark decoder"):
        TrustMarkReader(tmp_path).read(sample_picture())
    with pytest.raises(DetectorUnavailable):
        TrustMarkWatermark(tmp_path, SECRET).detect(sample_picture())


def _no_picture() -> bytes:
    graph = Graph({"image": [1, 3, 256, 256], "bits": [1, 100]}, {"out": [1, 1, 256, 256]})
    graph.node("ReduceMean", ["image"], "out", axes=[1], keepdims=1)
    return graph.model()


@pytest.mark.parametrize("data", [b"no model", decoder(), _no_picture()])
def test_what_is_no_encoder_is_told(tmp_path: Path, data: bytes) -> None:
    write_models(tmp_path, "Q")
    (tmp_path / "encoder_Q.onnx").write_bytes(data)
    with pytest.raises(DetectorUnavailable, match="is no TrustMark encoder"):
        TrustMarkWatermark(tmp_path, SECRET).embed(sample_picture(), PAYLOAD)


def test_a_size_that_the_file_fixes_counts(tmp_path: Path) -> None:
    """Exports differ in the decoder's side: 224, 245 and 256 are in use."""
    write_models(tmp_path, "Q")
    marked = _foreign(tmp_path, sample_picture(1))
    (tmp_path / "decoder_Q.onnx").write_bytes(decoder(224))
    assert [label["payload"] for label in TrustMarkReader(tmp_path).read(marked)] == [
        "".join(map(str, DATA[:61]))
    ]


# -- wiring -------------------------------------------------------------------------------------


def _settings(tmp_path: Path, models: Path | None) -> Settings:
    return Settings(home=tmp_path, trustmark_models=models)


def _policy() -> Policy:
    default = resolve_policy("default", Settings())
    marks = WatermarkSettings(method="trustmark")
    return default.model_copy(update={"watermark": marks})


def test_a_policy_may_mark_with_it(tmp_path: Path, models: Path) -> None:
    mark = build_watermark(_policy(), _settings(tmp_path, models))
    assert mark.method == "trustmark"
    marked = mark.embed(sample_picture(1), PAYLOAD)
    assert mark.detect(marked.pixels).payload == PAYLOAD.hex()


def test_a_policy_needs_the_folder(tmp_path: Path) -> None:
    with pytest.raises(PolicyInvalid, match="folder with its models") as missing:
        build_watermark(_policy(), _settings(tmp_path, None))
    assert "GUARD_TRUSTMARK_MODELS" in missing.value.hint
    with pytest.raises(DetectorUnavailable, match="no encoder_Q"):
        build_watermark(_policy(), _settings(tmp_path, tmp_path))


def test_readers_follow_the_setting(tmp_path: Path, models: Path) -> None:
    names = [
        [type(one).__name__ for one in build_mark_readers(_policy(), _settings(tmp_path, folder))]
        for folder in (None, models)
    ]
    assert names == [["PublicMessages"], ["PublicMessages", "TrustMarkReader"]]
    with pytest.raises(DetectorUnavailable, match="no TrustMark models"):
        build_mark_readers(_policy(), _settings(tmp_path, tmp_path / "nowhere"))


def test_doctor_opens_the_weights(
    tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = write_models(tmp_path / "broken", "Q")
    (broken / "decoder_Q.onnx").write_bytes(b"no model")
    monkeypatch.setenv("GUARD_HOME", str(tmp_path))
    for folder, right in ((models, True), (broken, False)):
        monkeypatch.setenv("GUARD_TRUSTMARK_MODELS", str(folder))
        result = CliRunner().invoke(app, ["doctor", "--json"])
        rows = [json.loads(line) for line in result.stdout.splitlines()]
        (row,) = (one for one in rows if one["check"].startswith("mark"))
        assert row["ok"] is right
        if not right:
            assert "is no TrustMark decoder" in row["error"]["message"]


def test_impossible_settings_are_refused(models: Path) -> None:
    with pytest.raises(KeyInvalid):
        TrustMarkWatermark(models, b"short")
    with pytest.raises(SettingsInvalid, match="strength"):
        TrustMarkWatermark(models, SECRET, strength="louder")
    with pytest.raises(SettingsInvalid, match="damage"):
        TrustMarkWatermark(models, SECRET, wished=["rain"])


def test_a_picture_that_lost_its_manifest_is_recovered_by_it(tmp_path: Path, models: Path) -> None:
    """Through the whole hallway: marked, recorded, recoded, and led back to its record."""
    settings, policy = _settings(tmp_path, models), _policy()
    create_development_keys(tmp_path)
    pixels = sample_picture(1)
    outcome = Guard.from_settings(policy, settings).protect(_png(pixels))
    assert isinstance(outcome, Released), outcome
    asset = decode(outcome.images[0].bytes)
    copy = recoded(asset.pixels, "jpeg", 80)
    report = build_verifier(policy, settings).examine(_png(copy))
    assert report.verdict is VerdictName.RECOVERED
    assert report.watermark is not None
    assert report.watermark["method"] == "trustmark"
    assert report.record is not None
    assert report.record["found_by"] == "watermark"
