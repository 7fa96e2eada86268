"""The parts of the pipeline, untrained, and how they are put together and saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from datasets.demo_model import latents, tokens

TEXT_WIDTH: Final = 128
UNET_CHANNELS: Final = (32, 64, 96)
#: From the picture (512 px) down to the latent grid (16): five halvings.
VAE_CHANNELS: Final = (8, 16, 32, 48, 64, 96)


def build_text_encoder(tokenizer: Any) -> Any:
    """A two-layer CLIP text model of 128 dimensions."""
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=TEXT_WIDTH,
        projection_dim=TEXT_WIDTH,
        intermediate_size=4 * TEXT_WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=tokens.MAX_TOKENS,
        hidden_act="gelu",
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModel(config)


def build_unet() -> Any:
    """Three levels, one layer each, cross-attention on the two lower ones.

    The caption also reaches every block through the time embedding (``addition_embed_type``):
    what stands where is a matter of the whole caption, not of single words.
    """
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=latents.GRID,
        in_channels=latents.CHANNELS,
        out_channels=latents.CHANNELS,
        block_out_channels=UNET_CHANNELS,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=4,
        # With one channel a group the norm would erase what time and caption add to it.
        norm_num_groups=4,
        addition_embed_type="text",
        addition_embed_type_num_heads=4,
    )


def build_vae() -> Any:
    """A decoder that widens from 8 channels at 512 px to 96 at the latent grid."""
    from diffusers import AutoencoderKL

    levels = len(VAE_CHANNELS)
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        latent_channels=latents.CHANNELS,
        block_out_channels=VAE_CHANNELS,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        layers_per_block=1,
        # One group: with eight channels in eight groups the last norm would erase the
        # colour of flat areas.
        norm_num_groups=1,
        sample_size=latents.GRID * 2 ** (levels - 1),
        scaling_factor=1.0,
        use_quant_conv=False,
        use_post_quant_conv=False,
        mid_block_add_attention=False,
    )


def build_scheduler() -> Any:
    """DDIM over a cosine schedule that ends in pure noise, v-prediction.

    Zero terminal SNR and trailing steps: Lin et al., "Common Diffusion Noise Schedules and
    Sample Steps are Flawed" (2023).
    """
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=True,
        steps_offset=1,
    )


def save_pipeline(folder: Path, parts: dict[str, Any]) -> None:
    """Write a StableDiffusionPipeline of ``parts``, its weights in float16.

    ``parts``: tokenizer, text_encoder, unet, vae, scheduler, in float32. The configurations
    go on saying float32, so that every part opens in the one precision that CPUs like.
    """
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline(
        **parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False
    )
    pipeline.save_pretrained(folder, safe_serialization=True)
    for path in folder.rglob("*.safetensors"):
        _halve(path)


def _halve(path: Path) -> None:
    from safetensors.torch import load_file, save_file

    halves = {name: tensor.half().contiguous() for name, tensor in load_file(path).items()}
    save_file(halves, path, metadata={"format": "pt"})
    path.chmod(0o644)
