"""Captions: ours against the original image scanner's way, over BLIP base with random weights.

The arithmetic, and so the speed, is that of the real model: full size, weights from a fixed seed,
and the word that ends a caption so unlikely that every caption has exactly 20 tokens. The other way
takes one picture at a time: open, processor, `generate` with its key/value cache, decode; float32.
The sides take turns over the same files; the figure of a side is the median of its turns.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import caption_quality
from bench.corpus import distinct, photos
from bench.report import Report
from caseframe.vision.blip import BlipDescriber, BlipOptions, set_up_libraries
from caseframe.vision.missing import missing_extra
from caseframe.vision.store import ModelStore

TOKENS = 20
BATCH = 8
TURNS = 5
THREADS = 2
_END = 102  # the number of [SEP] in BERT's vocabulary
_SIDES = (
    ("BLIP in float32", "BLIP", "float32", 1.0),
    ("BLIP", "BLIP", "auto", 1.5),
    ("BLIP_QUANTIZED", "BLIP_QUANTIZED", "auto", 2.0),
)


def bench(report: Report) -> None:
    """Print rates with ratios, the time to the first caption, and memory."""
    if (reason := missing_extra()) is not None:
        report.line("captions", f"not measured: {reason}")
        return
    with (
        full_size_model() as folder,
        tempfile.TemporaryDirectory(prefix="bench-captions-") as place,
    ):
        files = _files(Path(place))
        report.heading(
            f"Captions of {TOKENS} tokens, BLIP base with random weights, {len(files)} pictures a "
            f"turn, {THREADS} threads, median of {TURNS} turns"
        )
        _rates(report, folder, files)
        for title, name, precision, _ in _SIDES:
            _fresh(report, title, folder, name, precision, files)
    caption_quality.bench(report)


def _files(place: Path) -> list[Path]:
    data = photos()
    made = []
    for number in range(BATCH):
        path = place / f"{number}.jpg"
        path.write_bytes(distinct(data[number % len(data)], number))
        made.append(path)
    return made


@contextmanager
def full_size_model() -> Iterator[Path]:
    """The folder of an installed full-size model."""
    set_up_libraries()  # for both sides, which share one process
    with tempfile.TemporaryDirectory(prefix="bench-blip-") as place:
        _save_model(Path(place) / "made")
        yield (
            ModelStore(Path(place) / "models").import_folder(Path(place) / "made", "random").folder
        )


def _save_model(folder: Path) -> None:
    import torch  # noqa: PLC0415
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers  # noqa: PLC0415
    from transformers import (  # noqa: PLC0415
        BertTokenizerFast,
        BlipConfig,
        BlipForConditionalGeneration,
        BlipImageProcessor,
        BlipProcessor,
    )

    torch.manual_seed(7)
    text = {"num_attention_heads": 12, "sep_token_id": _END}
    model = BlipForConditionalGeneration(BlipConfig(text_config=text, vision_config={}))
    with torch.no_grad():
        for weights in model.parameters():
            if weights.ndim > 1:  # the configuration's own start is so small that all is alike
                weights.normal_(0, 0.03)
        model.text_decoder.cls.predictions.bias[_END] = -1e4
    model.save_pretrained(folder)
    words = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": _END}
    # As in the real vocabulary, the token that starts a caption is not a word.
    words |= {f"w{n}": n for n in range(3, model.config.text_config.bos_token_id) if n != _END}
    tokenizer = Tokenizer(models.WordPiece(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer, tokenizer.decoder = (
        pre_tokenizers.BertPreTokenizer(),
        decoders.WordPiece(),
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    fast = BertTokenizerFast(vocab=words)
    BlipProcessor(BlipImageProcessor(), fast).save_pretrained(folder / "processor")


class Usual:
    """The original image scanner's way."""

    def __init__(self, folder: Path) -> None:
        from transformers import BlipForConditionalGeneration, BlipProcessor  # noqa: PLC0415

        self._model = BlipForConditionalGeneration.from_pretrained(folder).eval()
        self._processor = BlipProcessor.from_pretrained(folder.parents[1] / "made" / "processor")

    def __call__(self, files: list[Path]) -> list[str]:
        """A caption for each file."""
        return [self._one(file) for file in files]

    def _one(self, file: Path) -> str:
        import torch  # noqa: PLC0415
        from PIL import Image  # noqa: PLC0415

        with torch.inference_mode(), Image.open(file) as image:
            inputs = self._processor(images=image.convert("RGB"), return_tensors="pt")
            words = self._model.generate(**inputs, max_new_tokens=TOKENS)
        assert words.shape[1] == TOKENS + 1
        said: str = self._processor.decode(words[0], skip_special_tokens=True)
        return said


def _ours(folder: Path, name: str, precision: str) -> Callable[[list[Path]], list[str]]:
    describer = BlipDescriber(
        BlipOptions(
            folder, name=name, device="cpu", precision=precision, threads=THREADS, batch=BATCH
        )
    )
    describer.load()
    return lambda files: describer.describe([describer.prepare(f.read_bytes()) for f in files])


def _rates(report: Report, folder: Path, files: list[Path]) -> None:
    sides: dict[str, Callable[[list[Path]], list[str]]] = {"the original way": Usual(folder)}
    sides |= {title: _ours(folder, name, precision) for title, name, precision, _ in _SIDES}
    said = {title: side(files) for title, side in sides.items()}  # and the kernels are warm
    seconds: dict[str, list[float]] = {title: [] for title in sides}
    for _ in range(TURNS):
        for title, side in sides.items():
            began = time.perf_counter()
            side(files)
            seconds[title].append(time.perf_counter() - began)
    rates = {title: len(files) / statistics.median(taken) for title, taken in seconds.items()}
    usual = rates["the original way"]
    report.line("the original way", f"{usual:.2f} pictures/s")
    for title, _name, _precision, aim in _SIDES:
        report.gain(f"{title} against the original way", rates[title], usual, at_least=aim,
                    unit="pictures/s")  # fmt: skip
    for title, *_ in _SIDES:
        same = sum(a == b for a, b in zip(said[title], said["the original way"], strict=True))
        report.line(f"{title}: the same words", f"{same} of {len(files)} captions (random weights)")


def _fresh(
    report: Report, title: str, folder: Path, name: str, precision: str, files: list[Path]
) -> None:
    """A process of its own: seconds to the first caption, peak memory over three batches."""
    command = [sys.executable, "-m", "bench.captions", str(folder), name, precision]
    began = time.perf_counter()
    child = subprocess.Popen(
        [*command, *map(str, files)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    assert child.stdout is not None
    child.stdout.readline()
    first = time.perf_counter() - began
    told = json.loads(child.communicate()[0])
    assert child.returncode == 0
    report.limit(f"{title}: start to the first caption", first, at_most=10, unit="s")
    report.limit(
        f"{title}: peak memory, weights {told['weights_mb']:.0f} MB",
        told["peak_mb"],
        at_most=round(1.3 * told["weights_mb"] + 1000),
        unit="MB",
    )


def _alone(folder: str, name: str, precision: str, *files: str) -> None:
    """Runs in the fresh process."""
    describer = BlipDescriber(
        BlipOptions(Path(folder), name=name, device="cpu", precision=precision, batch=BATCH)
    )
    data = [Path(file).read_bytes() for file in files]
    print(describer.describe([describer.prepare(data[0])])[0], flush=True)
    for _ in range(3):
        describer.describe([describer.prepare(one) for one in data])
    # Not getrusage: its peak is passed on from the process that started this one.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    peak = int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1024 / 1e6
    weights = (Path(folder) / "model.safetensors").stat().st_size / 4e6
    bytes_each = {"float32": 4, "bfloat16": 2, "float16": 2}[describer.place.precision]
    bytes_each = 1 if name == "BLIP_QUANTIZED" else bytes_each
    print(json.dumps({"peak_mb": peak, "weights_mb": weights * bytes_each}))


if __name__ == "__main__":
    _alone(*sys.argv[1:])
