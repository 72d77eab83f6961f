"""nano before it is trained: the final classes at a provisional size, with seeded random weights.

Random weights at default scale barely react to their inputs, so that every test of isolation would pass
by accident; the gains below make prompt, picture, conditioning and seed each move pixels by 8 levels or more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sidestream.models.components import Components

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedTokenizerBase

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)

CORPUS = (
    "Describe the key features of the input image (color, shape, size, texture, objects, background), then"
    " explain how the user's text instruction should alter or modify the image. Generate a new image that"
    " meets the user's requirements while maintaining consistency with the original input where appropriate.",
    "[Edit]: A diptych with two side-by-side images of the same scene. Compared to the right side, the left"
    " one has",
    "system\n user\n assistant\n make it turn this into transfer to style as painted with colors",
    "oil painting watercolor pencil sketch anime cel shading 3d render ray-traced lighting van gogh",
    "ukiyo-e woodblock print comic book halftone night sunset black and white warm cold invert",
    "vibrant vivid soft edges fine line work clean bold outlines flat swirling brushstrokes",
)

UNET: dict[str, Any] = {
    "in_channels": 12,
    "out_channels": 12,
    "sample_size": 32,
    "block_out_channels": (32, 64, 128),
    "layers_per_block": 1,
    "transformer_layers_per_block": (1, 1, 2),
    "attention_head_dim": (1, 2, 4),
    "cross_attention_dim": 128,
    "encoder_hid_dim": 128,
    "encoder_hid_dim_type": "text_proj_rms",
    "addition_embed_type": "time",
    "addition_time_embed_dim": 64,
    "projection_class_embeddings_input_dim": 128,
    "use_linear_projection": True,
    "qk_norm": "rms_norm",
    "use_sep_conv": True,
    "ff_mult": 3,
    "num_kv_heads": 1,
    "norm_num_groups": 16,
}
VAE: dict[str, Any] = {
    "latent_channels": 12,
    "encoder_block_out_channels": (16, 16, 16, 16),
    "decoder_block_out_channels": (16, 16, 16, 16),
    "num_encoder_blocks": (0, 1, 1, 2),
    "num_decoder_blocks": (2, 1, 1, 0),
    "scaling_factor": 1.0,
    "shift_factor": 0.0,
}
TEXT: dict[str, Any] = {
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_hidden_layers": 4,
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
    "depth": 4,
    "hidden_size": 96,
    "intermediate_size": 256,
    "num_heads": 3,
    "out_hidden_size": 128,
    "patch_size": 16,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
    "num_position_embeddings": 256,
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
# What random weights need so that the picture stays in range and every input reaches it.
GAINS = {
    "attn2.norm_q.weight": 4.0,  # look at few tokens: an average over all would hide the prompt
    "attn2.to_out.0.weight": 16.0,
    "conv_out.weight": 3.0,
    "conv.4.weight": 0.4,  # the last of each residual branch of the autoencoder
    "encoder.layers.8.weight": 6.0,
    "decoder.layers.12.weight": 0.6,
}


def components(seed: int = 0) -> Components:
    """Builds nano on the CPU in float32: the same seed gives the same weights."""
    import torch
    from diffusers import AutoencoderTiny, DreamLiteUNetModel
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    words = tokenizer()
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
        vae = AutoencoderTiny(**VAE)
        text_encoder = Qwen3VLForConditionalGeneration(config)
        for module in (unet, vae, text_encoder):
            _scale(module)
            module.eval().requires_grad_(False)
        vae.get_parameter("decoder.layers.12.bias").fill_(0.5)  # mid-grey
    return Components(unet, vae, text_encoder, words, SCHEDULER)


def tokenizer() -> PreTrainedTokenizerBase:
    """A byte-level tokenizer with Qwen's special tokens, so that any Unicode text has ids."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1024,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(CORPUS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        additional_special_tokens=list(SPECIAL_TOKENS[3:]),
    )


def _scale(module: nn.Module) -> None:
    """Unit-variance weights everywhere, so that signals neither die nor explode on their way; then `GAINS`."""
    from torch import nn

    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.Conv3d):
            nn.init.normal_(layer.weight, std=layer.weight[0].numel() ** -0.5)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.Embedding):
            nn.init.normal_(layer.weight)
    for name, weight in module.named_parameters():
        for ending, gain in GAINS.items():
            if name.endswith(ending):
                weight.data.mul_(gain)
