"""BLIP itself, on a tiny model: words follow pixels, weights and settings, and nothing else."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from tests.support.models import require_torch, tiny_blip

from caseframe.domain.errors import ModelUnavailable
from caseframe.vision.blip import BlipDescriber, BlipOptions
from caseframe.vision.describer import Describer
from caseframe.vision.device import choose
from caseframe.vision.store import ModelStore

KINDS = [("BLIP", "float32"), ("BLIP", "bfloat16"), ("BLIP_QUANTIZED", "float32"),
         ("BLIP_QUANTIZED", "bfloat16")]  # fmt: skip
Pictures = list[npt.NDArray[np.uint8]]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ModelStore:
    root = tmp_path_factory.mktemp("blip")
    made = ModelStore(root / "models")
    for seed in (0, 1):
        made.import_folder(tiny_blip(root / f"tiny-{seed}", seed=seed), f"tiny-{seed}")
    return made


@pytest.fixture(scope="module")
def options(store: ModelStore) -> BlipOptions:
    folder = store.find("tiny-0").folder
    return BlipOptions(folder, device="cpu", precision="float32", threads=1)


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    """Twenty that differ, as `prepare` makes them."""
    random = np.random.default_rng(7)
    colours = random.integers(0, 256, (20, 1, 1, 3))
    noise = random.normal(0, 40, (20, 32, 32, 3))
    return list(np.clip(colours + noise, 0, 255).astype(np.uint8))


def described(options: BlipOptions, pictures: Pictures, **changed: Any) -> list[str]:
    describer: Describer = BlipDescriber(replace(options, **changed))
    return describer.describe(pictures)


def reference(options: BlipOptions, pictures: Pictures, **how: Any) -> list[str]:
    """What transformers says, one picture at a time, the way its documentation shows."""
    from transformers import BlipForConditionalGeneration, BlipProcessor  # noqa: PLC0415

    model = BlipForConditionalGeneration.from_pretrained(options.folder, local_files_only=True)
    processor = BlipProcessor.from_pretrained(options.folder, local_files_only=True)
    said = []
    for picture in pictures:
        inputs = processor(images=Image.fromarray(picture), return_tensors="pt")
        words = model.generate(**inputs, max_new_tokens=20, **how)
        said.append(processor.decode(words[0], skip_special_tokens=True))
    return said


@pytest.mark.parametrize("beams", [1, 3])
def test_words_are_those_of_transformers(
    options: BlipOptions, pictures: Pictures, beams: int
) -> None:
    expected = reference(options, pictures, num_beams=beams)
    assert described(options, pictures, beams=beams) == expected
    assert len(set(expected)) > 10


def test_a_caption_depends_on_the_pixels(options: BlipOptions, pictures: Pictures) -> None:
    said = described(options, pictures)
    assert len(set(said)) > len(said) / 2
    grey = [np.full((32, 32, 3), 128, np.uint8)] * 2
    assert len(set(described(options, grey))) == 1


def test_a_caption_depends_on_the_model(
    options: BlipOptions, pictures: Pictures, store: ModelStore
) -> None:
    other = described(options, pictures, folder=store.find("tiny-1").folder)
    assert sum(a != b for a, b in zip(described(options, pictures), other, strict=True)) > 10


def test_a_caption_depends_on_the_token_limit(options: BlipOptions, pictures: Pictures) -> None:
    long = described(options, pictures, max_tokens=20)
    for tokens in (1, 3, 7):
        short = described(options, pictures, max_tokens=tokens)
        assert all(len(s.split()) <= tokens for s in short)
        assert any(len(s) < len(whole) for s, whole in zip(short, long, strict=True))


def test_a_token_limit_beyond_what_the_model_has_places_for(
    options: BlipOptions, pictures: Pictures
) -> None:
    assert len(described(options, pictures[:2], max_tokens=512)) == 2


@pytest.mark.parametrize(("name", "precision"), KINDS)
def test_batching_changes_no_caption(
    options: BlipOptions, pictures: Pictures, name: str, precision: str
) -> None:
    describer = BlipDescriber(replace(options, name=name, precision=precision))
    alone = [describer.describe([picture])[0] for picture in pictures]
    random = np.random.default_rng(0)
    for size in (2, 3, 7, 8, 9, 20):
        chosen = random.permutation(20)[:size]
        said = describer.describe([pictures[number] for number in chosen])
        assert said == [alone[number] for number in chosen]
    twins = describer.describe([pictures[4]] * 5)
    assert twins == [alone[4]] * 5


@pytest.mark.parametrize(("name", "precision"), KINDS)
def test_batching_changes_no_number(
    options: BlipOptions, pictures: Pictures, name: str, precision: str
) -> None:
    """Bit for bit: the scores of all words, for each picture alone and among others."""
    require_torch()
    import torch  # noqa: PLC0415

    describer = BlipDescriber(replace(options, name=name, precision=precision))
    describer.load()
    scores: list[Any] = []
    loaded = describer._model
    assert loaded is not None
    loaded._model.text_decoder.cls.register_forward_hook(
        lambda _module, _given, found: scores.append(found[:, 0].clone())
    )

    def first_scores(chosen: Sequence[int]) -> Any:
        scores.clear()
        describer.describe([pictures[number] for number in chosen])
        return scores[0][: len(chosen)]

    whole = first_scores(range(8))
    for chosen in ([0], [5], [3, 1], [7, 6, 5, 4, 3, 2, 1, 0], [2, 2, 2]):
        assert torch.equal(first_scores(chosen), whole[chosen])


def test_beams_change_no_caption_by_batching(options: BlipOptions, pictures: Pictures) -> None:
    describer = BlipDescriber(replace(options, beams=2))
    alone = [describer.describe([picture])[0] for picture in pictures[:5]]
    assert describer.describe(pictures[:5]) == alone


def weights_of(describer: BlipDescriber) -> int:
    """Bytes of weights in memory, the packed ones by their shape."""
    describer.load()
    loaded = describer._model
    assert loaded is not None
    model = loaded._model
    plain = {t.data_ptr(): t.nbytes for t in (*model.parameters(), *model.buffers())}
    packed = [
        m.inputs * m.outputs for m in model.modules() if getattr(m, "_packed", None) is not None
    ]
    return int(sum(plain.values()) + sum(packed))


def test_quantising_changes_size_and_keeps_the_interface(
    options: BlipOptions, pictures: Pictures
) -> None:
    plain = BlipDescriber(options)
    small: Describer = BlipDescriber(replace(options, name="BLIP_QUANTIZED"))
    assert isinstance(small, BlipDescriber)
    assert weights_of(small) < 0.5 * weights_of(plain)
    said, other = plain.describe(pictures), small.describe(pictures)
    assert len(other) == len(said)
    same = (a.split()[0] == b.split()[0] for a, b in zip(said, other, strict=True))
    assert sum(same) > len(said) / 2
    assert small.identity.name == "BLIP_QUANTIZED"
    assert small.identity.digest != plain.identity.digest
    assert BlipDescriber(replace(options, name="BLIP_QUANTIZED", beams=2)).describe(pictures[:1])


def test_eight_bits_without_the_cpu_kernel_say_nearly_the_same(options: BlipOptions) -> None:
    require_torch()
    import torch  # noqa: PLC0415

    from caseframe.vision.quantize import Int8Linear  # noqa: PLC0415

    random = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(48, 32, generator=random), torch.randn(48, generator=random)
    x = torch.randn(5, 3, 32, generator=random)
    x[0, 0] = 0
    exact = torch.nn.functional.linear(x, weight, bias)
    for on_cpu in (True, False):
        for given in (bias, None):
            layer = Int8Linear(weight, given, on_cpu=on_cpu)
            error = (layer(x) - (exact if given is not None else exact - bias)).abs().max()
            assert error < 0.03 * exact.abs().max()


@pytest.mark.parametrize("kind", ["float32", "bfloat16", "float16"])
def test_rows_become_eight_bits_within_half_a_step(kind: str) -> None:
    require_torch()
    import torch  # noqa: PLC0415

    from caseframe.vision.quantize import _rows  # noqa: PLC0415

    random = torch.Generator().manual_seed(0)
    for size in (1e-3, 1.0, 10.0, 3000.0):
        x = (torch.randn(500, 64, generator=random) * size).to(getattr(torch, kind))
        x[0] = 0
        values, scale = _rows(x)
        assert values.dtype is torch.uint8
        assert (values[0] == 128).all()  # the zero point
        assert 1 <= values.min() <= values.max() <= 255
        wrong = ((values.float() - 128) * scale.float() - x.float()).abs()
        assert (wrong <= 0.8 * scale.float()).all()


def test_identity_covers_what_words_depend_on(options: BlipOptions, store: ModelStore) -> None:
    plain = BlipDescriber(options).identity
    assert (plain.name, plain.model) == ("BLIP", "tiny-0")
    assert plain.revision == store.find("tiny-0").revision
    changes: list[dict[str, Any]] = [
        {"name": "BLIP_QUANTIZED"}, {"precision": "bfloat16"}, {"max_tokens": 21}, {"beams": 2},
        {"folder": store.find("tiny-1").folder},
    ]  # fmt: skip
    digests = {BlipDescriber(replace(options, **change)).identity.digest for change in changes}
    assert len({plain.digest, *digests}) == 1 + len(changes)
    assert BlipDescriber(replace(options, batch=3, threads=2)).identity == plain


def test_the_vocabulary_alone_is_enough(
    options: BlipOptions, pictures: Pictures, tmp_path: Path
) -> None:
    copied = Path(shutil.copytree(options.folder, tmp_path / "in"))
    (copied / "tokenizer.json").unlink()
    folder = ModelStore(tmp_path / "models").import_folder(copied, "words").folder
    assert described(options, pictures, folder=folder) == described(options, pictures)


def rewritten(options: BlipOptions, root: Path, change: Any) -> BlipOptions:
    """The tiny model with its tensors changed by `change`."""
    from safetensors.torch import load_file, save_file  # noqa: PLC0415

    copied = Path(shutil.copytree(options.folder, root / "in"))
    tensors = load_file(copied / "model.safetensors")
    change(tensors)
    save_file(tensors, copied / "model.safetensors")
    return replace(options, folder=ModelStore(root / "models").import_folder(copied, "x").folder)


@pytest.mark.parametrize("kind", KINDS[::2])
@pytest.mark.parametrize("case", ["lacks", "more", "shape", "numbers"])
def test_weights_that_do_not_fit_are_never_filled_up(
    options: BlipOptions, tmp_path: Path, case: str, kind: tuple[str, str]
) -> None:
    name = "vision_model.encoder.layers.0.mlp.fc1.weight"

    def change(tensors: dict[str, Any]) -> None:
        tensor = tensors.pop(name)
        if case == "more":
            tensors |= {name: tensor, "text_encoder.extra": tensor.clone()}
        elif case == "shape":
            tensors[name] = tensor[:-1].contiguous()
        elif case == "numbers":
            tensors[name] = tensor.int()

    changed = rewritten(options, tmp_path, change)
    named = "text_encoder.extra" if case == "more" else name
    with pytest.raises(ModelUnavailable, match=f"model x cannot be used.*{named}.*models remove x"):
        BlipDescriber(replace(changed, name=kind[0])).load()


def test_other_names_of_shared_weights_are_let_be(
    options: BlipOptions, pictures: Pictures, tmp_path: Path
) -> None:
    import torch  # noqa: PLC0415

    def change(tensors: dict[str, Any]) -> None:
        words = tensors["text_decoder.bert.embeddings.word_embeddings.weight"]
        tensors["text_decoder.cls.predictions.decoder.weight"] = words.clone()
        tensors["text_decoder.bert.embeddings.position_ids"] = torch.arange(64)

    changed = rewritten(options, tmp_path, change)
    assert BlipDescriber(changed).describe(pictures) == described(options, pictures)


def test_half_precision_weights_are_taken(
    options: BlipOptions, pictures: Pictures, tmp_path: Path
) -> None:
    def change(tensors: dict[str, Any]) -> None:
        tensors.update({name: tensor.half() for name, tensor in tensors.items()})

    changed = rewritten(options, tmp_path, change)
    same = zip(BlipDescriber(changed).describe(pictures), described(options, pictures), strict=True)
    assert sum(a == b for a, b in same) > 15


def test_a_configuration_that_transformers_refuses(options: BlipOptions, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(options.folder, tmp_path / "in"))
    config = json.loads((copied / "config.json").read_text())
    config["text_config"]["hidden_size"] = "wide"
    (copied / "config.json").write_text(json.dumps(config))
    folder = ModelStore(tmp_path / "models").import_folder(copied, "x").folder
    with pytest.raises(ModelUnavailable, match="model x cannot be used: it cannot be loaded"):
        BlipDescriber(replace(options, folder=folder)).load()


def test_a_folder_that_is_no_installed_model(options: BlipOptions, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="caseframe models remove"):
        BlipDescriber(replace(options, folder=tmp_path))


def test_a_gpu_that_is_not_there(options: BlipOptions) -> None:
    require_torch()
    import torch  # noqa: PLC0415

    count = torch.cuda.device_count()
    describer = BlipDescriber(replace(options, device=f"cuda:{count}"))
    with pytest.raises(ModelUnavailable, match="vision_device"):
        describer.load()


def test_the_device_is_found_by_itself() -> None:
    require_torch()
    import torch  # noqa: PLC0415

    place = choose("auto", "auto")
    assert place.on_cpu == (not torch.cuda.is_available())
    assert place.precision in {"float32", "bfloat16", "float16"}
    assert choose("cpu", "float32").precision == "float32"
    assert choose("cpu", "auto").precision in {"float32", "bfloat16"}


def test_an_empty_batch_needs_nothing(options: BlipOptions) -> None:
    assert BlipDescriber(options).describe([]) == []


def test_loading_twice_loads_once(options: BlipOptions) -> None:
    describer = BlipDescriber(options)
    describer.load()
    first = describer._model
    describer.load()
    assert describer._model is first


def test_prepare_goes_to_another_process_without_torch(options: BlipOptions) -> None:
    data = pickle.dumps(BlipDescriber(options).prepare)
    code = (
        "import pickle, sys; p = pickle.loads(sys.stdin.buffer.read())\n"
        "sys.exit(1 if 'torch' in sys.modules or p.side != 32 else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], input=data, check=False)
    assert done.returncode == 0


def test_nothing_reaches_for_a_network(options: BlipOptions, pictures: Pictures) -> None:
    """In a process in which every connection attempt ends it."""
    code = f"""
import socket, sys, os
def refuse(*_): os._exit(7)
socket.socket.connect = refuse
socket.getaddrinfo = refuse
from pathlib import Path
import numpy as np
from caseframe.vision.blip import BlipDescriber, BlipOptions
d = BlipDescriber(BlipOptions(Path({str(options.folder)!r}), device="cpu", beams=2))
print(len(d.describe([np.zeros((32, 32, 3), np.uint8)])))
"""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "TRANSFORMERS_"))}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, check=False, env=kept
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"1\n", b"")
