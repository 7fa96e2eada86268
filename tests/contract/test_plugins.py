"""The built-in plug-ins keep the contracts that every plug-in keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from guard.classify.base import Detector
from guard.classify.opennsfw import OpenNsfwDetector
from guard.generate.base import Generator
from guard.generate.embedded import DemoGenerator
from guard.provenance.base import Signer
from guard.provenance.keys import load_signing_keys
from guard.provenance.sign import C2paSigner
from guard.testing import DetectorContract, GeneratorContract, SignerContract, WatermarkContract
from guard.types import GenerationRequest
from guard.watermark.base import Watermark
from guard.watermark.pilot_watermark import PilotWatermark
from tests.support.house import FakeGenerator, FixedDetector


class TestOpenNsfw(DetectorContract):
    def make(self) -> Detector:
        return OpenNsfwDetector()


class TestFixedDetector(DetectorContract):
    def make(self) -> Detector:
        return FixedDetector()


class TestFakeGenerator(GeneratorContract):
    def make(self) -> Generator:
        return FakeGenerator()


@pytest.mark.slow
class TestDemoGenerator(GeneratorContract):
    @pytest.fixture(autouse=True)
    def _needs_weights(self) -> None:
        from guard.generate.demo import weights_dir

        if not list(weights_dir().glob("unet/*.safetensors")):
            pytest.skip("the demo model's weights are not built: python -m datasets.demo_model")

    def make(self) -> Generator:
        return DemoGenerator()

    def request(self, **asked: object) -> GenerationRequest:
        return super().request(**{"steps": 2, **asked})


class TestPilotWatermark(WatermarkContract):
    def make(self) -> Watermark:
        return PilotWatermark(b"one secret of thirty-two bytes!!")

    def make_other(self) -> Watermark:
        return PilotWatermark(b"another secret of 32 bytes here!")


class TestC2paSigner(SignerContract):
    @pytest.fixture(autouse=True)
    def _keys(self, furnished_home: Path) -> None:
        self.home = furnished_home

    def make(self) -> Signer:
        return C2paSigner(load_signing_keys(self.home))
