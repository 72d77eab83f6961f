"""nano's shape: DreamLite's module classes, a few million parameters. Weights are in the folder beside this file.

Self-attention at half the latent grid is where the picture comes across from the reference beside it, so both levels
below the first have it; the first level has convolutions only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sidestream.models.components import Components

if TYPE_CHECKING:
    from diffusers import AutoencoderTiny
    from transformers import PreTrainedTokenizerBase

UNET: dict[str, Any] = {
    "in_channels": 16,
    "out_channels": 16,
    "sample_size": 32,
    "down_block_types": (
        "DreamLiteDownBlock2D",
        "DreamLiteCrossAttnDownBlock2D",
        "DreamLiteCrossAttnDownBlock2D",
    ),
    "up_block_types": (
        "DreamLiteCrossAttnUpBlock2D",
        "DreamLiteCrossAttnUpBlock2D",
        "DreamLiteUpBlock2D",
    ),
    "block_out_channels": (64, 128, 128),
    "layers_per_block": 1,
    "transformer_layers_per_block": (1, 2, 1),
    "reverse_transformer_layers_per_block": (1, 1, 1),
    "attention_head_dim": (1, 2, 2),
    "cross_attention_dim": 128,
    "encoder_hid_dim": 128,
    "encoder_hid_dim_type": "text_proj_rms",
    "addition_embed_type": "time",
    "addition_time_embed_dim": 64,
    "projection_class_embeddings_input_dim": 128,
    "use_linear_projection": True,
    "qk_norm": "rms_norm",
    "use_sep_conv": True,
    "ff_mult": 2,
    "num_kv_heads": 1,
    "norm_num_groups": 16,
}
VAE: dict[str, Any] = {
    "latent_channels": 16,
    "encoder_block_out_channels": (32, 32, 32, 32),
    "decoder_block_out_channels": (32, 32, 32, 32),
    "num_encoder_blocks": (0, 0, 0, 0),
    "num_decoder_blocks": (3, 3, 0, 0),
    "scaling_factor": 1.0,
    "shift_factor": 0.0,
}
TEXT: dict[str, Any] = {
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "tie_word_embeddings": True,
    "rope_parameters": {
        "rope_type": "default",
        "rope_theta": 5_000_000.0,
        "mrope_section": [6, 5, 5],
        "mrope_interleaved": True,
    },
}
VISION: dict[str, Any] = {
    "depth": 3,
    "hidden_size": 96,
    "intermediate_size": 192,
    "num_heads": 3,
    "out_hidden_size": 128,
    "patch_size": 16,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
    "num_position_embeddings": 64,
    "deepstack_visual_indexes": [0, 1, 2],
}
SCHEDULER: dict[str, Any] = {
    "num_train_timesteps": 1000,
    "shift": 3.0,
    "use_dynamic_shifting": True,
    "base_shift": 0.5,
    "max_shift": 1.15,
    "base_image_seq_len": 256,
    "max_image_seq_len": 4096,
}


def untrained(words: PreTrainedTokenizerBase, seed: int = 0) -> Components:
    """What training starts from, on the CPU in float32: the same seed gives the same weights."""
    import torch
    from diffusers import AutoencoderTiny, DreamLiteUNetModel
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    ids = words.get_vocab()
    config = Qwen3VLConfig(
        text_config={**TEXT, "vocab_size": len(words)},
        vision_config=VISION,
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet = DreamLiteUNetModel(**UNET)
        text_encoder = Qwen3VLForConditionalGeneration(config)
        vae = AutoencoderTiny(**VAE)
        _keep_scale(vae)
    return Components(unet, vae, text_encoder, words, SCHEDULER)


def _keep_scale(vae: AutoencoderTiny) -> None:
    """Signals as strong behind every layer as before it; the default lets them fade on their way."""
    from torch import nn

    for name, layer in vae.named_modules():
        if isinstance(layer, nn.Conv2d):
            residual = 0.2 if name.endswith("conv.4") else 2**0.5 if ".conv." in name else 1.0
            nn.init.normal_(layer.weight, std=residual * layer.weight[0].numel() ** -0.5)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    *_, last_bias = vae.decoder.parameters()
    nn.init.constant_(last_bias, 0.5)  # mid-grey
