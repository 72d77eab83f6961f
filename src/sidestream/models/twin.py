"""The released model's exact shapes, for random weights: what benchmarks use where the weights cannot be had."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sidestream.models.components import Components

if TYPE_CHECKING:
    import torch
    from diffusers import DreamLiteUNetModel
    from transformers import Qwen3VLConfig

TEXT: dict[str, Any] = {
    "vocab_size": 151_936,
    "hidden_size": 2048,
    "intermediate_size": 6144,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "tie_word_embeddings": True,
    "rope_parameters": {
        "rope_type": "default",
        "rope_theta": 5_000_000.0,
        "mrope_section": [24, 20, 20],
        "mrope_interleaved": True,
    },
}
VISION: dict[str, Any] = {
    "depth": 24,
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_heads": 16,
    "out_hidden_size": 2048,
    "patch_size": 16,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
    "num_position_embeddings": 2304,
    "deepstack_visual_indexes": [5, 11, 17],
}
UNET: dict[str, Any] = {
    "in_channels": 4,
    "out_channels": 4,
    "sample_size": 128,
    "block_out_channels": (256, 512, 896),
    "layers_per_block": 2,
    "transformer_layers_per_block": (1, 2, 4),
    "attention_head_dim": (4, 8, 14),
    "cross_attention_dim": 2304,
    "encoder_hid_dim": 2048,
    "encoder_hid_dim_type": "text_proj_rms",
    "addition_embed_type": "time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 512,
    "use_linear_projection": True,
    "qk_norm": "rms_norm",
    "use_sep_conv": True,
    "ff_mult": 3,
    "num_kv_heads": 1,
}
SCHEDULER: dict[str, Any] = {
    "shift": 3.0,
    "use_dynamic_shifting": True,
    "base_shift": 0.5,
    "max_shift": 1.15,
    "base_image_seq_len": 256,
    "max_image_seq_len": 4096,
}


def components(device: torch.device, dtype: torch.dtype) -> Components:
    """Built where it will run, so that no second copy is ever in memory."""
    import torch
    from diffusers import AutoencoderTiny
    from transformers import Qwen3VLForConditionalGeneration

    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with device:
            parts = Components(
                unet(),
                AutoencoderTiny(),
                Qwen3VLForConditionalGeneration(text_encoder_config()),
                None,
                SCHEDULER,
            )
    finally:
        torch.set_default_dtype(before)
    return parts.to(device, dtype)


def unet() -> DreamLiteUNetModel:
    """389,968,388 parameters."""
    from diffusers import DreamLiteUNetModel

    return DreamLiteUNetModel(**UNET)


def text_encoder_config() -> Qwen3VLConfig:
    """Qwen3-VL-2B: 2,127,532,032 parameters."""
    from transformers import Qwen3VLConfig

    return Qwen3VLConfig(text_config=TEXT, vision_config=VISION, tie_word_embeddings=True)
