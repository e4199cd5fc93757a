"""The models that Caseframe knows by name: where they come from, and what their files must be.

A digest is written here only where it was found in two independent published lists of the files at
that revision. Where it is None, `download.py` holds the file against the digest that the hub states
for the pinned revision, and the digest is recorded at installation and held from then on.
"""

from __future__ import annotations

from dataclasses import dataclass

PICKLE = "pytorch_model.bin"
"""The one pickle that is ever opened, by a reader that executes nothing, to be converted."""
WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class PinnedFile:
    """A file at a fixed revision. Size in bytes, digest in hex; None where it is not known."""

    name: str
    size: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class PinnedModel:
    """A model that `caseframe models pull` can fetch."""

    name: str
    title: str
    source: str
    """Repository on the model hub."""
    revision: str
    """Git commit of that repository."""
    licence: str
    """SPDX identifier."""
    files: tuple[PinnedFile, ...]

    @property
    def size(self) -> int | None:
        """Bytes to fetch; None where a size is not known."""
        sizes = [file.size for file in self.files]
        return None if None in sizes else sum(size for size in sizes if size is not None)


BLIP_BASE = PinnedModel(
    name="blip-base",
    title="BLIP, image captioning, base (ViT-B/16, 224 million weights)",
    source="Salesforce/blip-image-captioning-base",
    revision="82a37760796d32b1411fe092ab5d4e227313294b",
    licence="BSD-3-Clause",
    files=(
        PinnedFile(
            "config.json",
            4563,
            "f7846f82f4e2c4a2ccbab9ae8b0e44873540a271a76a1288effd078180c13a82",
        ),
        PinnedFile(
            "preprocessor_config.json",
            287,
            "065c10ec97edc5081fbd9655b3d9d25e2647ea6d5dab873325e88eed12d80a7d",
        ),
        PinnedFile(
            "special_tokens_map.json",
            125,
            "b6d346be366a7d1d48332dbc9fdf3bf8960b5d879522b7799ddba59e76237ee3",
        ),
        PinnedFile(
            "tokenizer.json",
            711396,
            "d241a60d5e8f04cc1b2b3e9ef7a4921b27bf526d9f6050ab90f9267a1f9e5c66",
        ),
        PinnedFile(
            "tokenizer_config.json",
            506,
            "5c7f96096284c55e539eff95f4451c19efc34258ddb975a4400d052b77301e5e",
        ),
        PinnedFile(
            "vocab.txt",
            231508,
            "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
        ),
        # This revision holds no safetensors.
        PinnedFile(
            PICKLE,
            989820849,
            "d6638651a5526cc2ede56f2b5104d6851b0755816d220e5e046870430180c767",
        ),
    ),
)

BLIP_LARGE = PinnedModel(
    name="blip-large",
    title="BLIP, image captioning, large (ViT-L/16)",
    source="Salesforce/blip-image-captioning-large",
    revision="2227ac38c9f16105cb0412e7cab4759978a8fd90",
    licence="BSD-3-Clause",
    files=(
        PinnedFile("config.json"),
        PinnedFile("preprocessor_config.json"),
        PinnedFile("tokenizer.json"),
        PinnedFile(WEIGHTS),
    ),
)

KNOWN: dict[str, PinnedModel] = {model.name: model for model in (BLIP_BASE, BLIP_LARGE)}
"""By name, in the order in which BLIP takes them."""
