"""A BLIP of a few thousand weights that captions in a language of its own.

Its words are random, but they depend on the pixels, the weights and the token limit, so a
path that loses one of these shows. It takes the same way through the code as the real one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "[ENC]")
WORDS = (
    "a", "the", "of", "in", "on", "with", "near", "under", "two", "three", "red", "green", "blue",
    "small", "large", "old", "dog", "cat", "boat", "tree", "house", "river", "road", "hill", "man",
    "woman", "child", "bird", "horse", "train", "bridge", "table", "lamp", "sky", "snow", "sand",
    "running", "standing", "sleeping", "wooden", "##s", "##ed", "##ing", ",", ".",
)  # fmt: skip
IMAGE_SIZE = 32


def make_tiny_blip(folder: Path, *, seed: int = 0) -> Path:
    """Save the model, its picture settings and its tokenizer in `folder`, and return it.

    Another `seed` gives another model, which finds other words. Needs torch and transformers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _save_tokenizer(folder)
    _save_preprocessor(folder)
    _save_model(folder, seed)
    return folder


def _save_tokenizer(folder: Path) -> None:
    from tokenizers import (  # noqa: PLC0415 - an extra, as torch is
        Tokenizer,
        decoders,
        normalizers,
        pre_tokenizers,
        processors,
    )  # fmt: skip
    from tokenizers.models import WordPiece  # noqa: PLC0415

    vocabulary = {token: number for number, token in enumerate((*SPECIAL, *WORDS))}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")],
    )
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in vocabulary))
    _write(folder / "tokenizer_config.json", {
        "tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 64,
        "cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "unk_token": "[UNK]",
        "mask_token": "[MASK]",
    })  # fmt: skip


def _save_preprocessor(folder: Path) -> None:
    _write(folder / "preprocessor_config.json", {
        "image_processor_type": "BlipImageProcessor", "processor_class": "BlipProcessor",
        "do_normalize": True, "do_rescale": True, "do_resize": True, "do_convert_rgb": True,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
        "resample": 3, "rescale_factor": 1 / 255,
        "size": {"height": IMAGE_SIZE, "width": IMAGE_SIZE},
    })  # fmt: skip


def _save_model(folder: Path, seed: int) -> None:
    import torch  # noqa: PLC0415
    from transformers import BlipConfig, BlipForConditionalGeneration  # noqa: PLC0415

    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    text = {
        **shape, "num_attention_heads": 2, "encoder_hidden_size": 32, "projection_dim": 32,
        "max_position_embeddings": 64, "vocab_size": len(SPECIAL) + len(WORDS),
        "bos_token_id": 5, "sep_token_id": 3, "pad_token_id": 0, "eos_token_id": 3,
    }  # fmt: skip
    vision = {**shape, "num_attention_heads": 4, "image_size": IMAGE_SIZE, "patch_size": 8}
    model = BlipForConditionalGeneration(BlipConfig(text_config=text, vision_config=vision))
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.copy_(_weights(name, weight, random))
    model.save_pretrained(folder)


def _weights(name: str, like: Any, random: Any) -> Any:
    """Seeded weights, larger than training starts with: else all pictures get the same words."""
    import torch  # noqa: PLC0415

    drawn = torch.randn(like.shape, generator=random)
    if "norm" in name.lower() and name.endswith("weight"):
        return 1 + drawn / 10
    if name.endswith("predictions.bias"):
        drawn[: len(SPECIAL)] = -200.0  # no special token but the one that ends a caption
        drawn[SPECIAL.index("[SEP]")] = -5.0
    if name.endswith("bias"):
        return drawn / 10
    chooses = "crossattention" in name and ("query" in name or "key" in name)
    scale = 3.0 if chooses else 8.0 if "position_embeddings" in name else 1.5
    return drawn * scale / like.shape[-1] ** 0.5


def _write(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=2) + "\n")
