"""How good the captions are: needs the real weights, and for scores the COCO captions.

CASEFRAME_BENCH_COCO_CAPTIONS names an annotation file (captions_val2014.json or its like),
CASEFRAME_BENCH_COCO_IMAGES the folder of its pictures, CASEFRAME_BENCH_COCO_COUNT how many to take
(1000). CIDEr and BLEU-4 come from pycocoevalcap, the tool that papers report by; it needs Java.
"""

from __future__ import annotations

import json
import os
import time
from collections import defaultdict
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.corpus import photos
from bench.report import Report
from caseframe.domain.errors import CaseframeError
from caseframe.settings import load_settings
from caseframe.vision.blip import BlipDescriber, BlipOptions
from caseframe.vision.store import ModelStore

_SHOWN = 10


def bench(report: Report) -> None:
    """Print captions of the sample photographs, and scores where there is something to compare."""
    settings = load_settings()
    report.heading("Captions by real weights")
    try:
        model = ModelStore(settings.models_dir).installed_for("BLIP", settings.blip_model)
    except CaseframeError as error:
        report.line("not measured", str(error))
        return
    for name in ("BLIP", "BLIP_QUANTIZED"):
        describer = BlipDescriber(BlipOptions(model.folder, name=name))
        _photographs(report, describer)
        _scores(report, describer)


def _photographs(report: Report, describer: BlipDescriber) -> None:
    data = photos()
    describer.load()
    began = time.perf_counter()
    said = describer.describe([describer.prepare(one) for one in data])
    rate = len(data) / (time.perf_counter() - began)
    identity = describer.identity
    report.line(f"{identity.name}, {identity.model}", f"{rate:.2f} pictures/s over {len(data)}")
    for number, text in enumerate(said[:_SHOWN]):
        report.line(f"  photograph {number + 1}", text)


def _scores(report: Report, describer: BlipDescriber) -> None:
    captions = os.environ.get("CASEFRAME_BENCH_COCO_CAPTIONS")
    images = os.environ.get("CASEFRAME_BENCH_COCO_IMAGES")
    if captions is None or images is None:
        report.line("CIDEr, BLEU-4", "not measured: set CASEFRAME_BENCH_COCO_CAPTIONS and _IMAGES")
        return
    if find_spec("pycocoevalcap") is None:
        report.line("CIDEr, BLEU-4", "not measured: pip install pycocoevalcap (it needs Java)")
        return
    count = int(os.environ.get("CASEFRAME_BENCH_COCO_COUNT", "1000"))
    wanted, said = _caption_coco(describer, Path(captions), Path(images), count)
    tool = "pycocoevalcap"
    bleu4 = import_module(f"{tool}.bleu.bleu").Bleu(4)
    consensus = import_module(f"{tool}.cider.cider").Cider()
    tokenizer = import_module(f"{tool}.tokenizer.ptbtokenizer").PTBTokenizer()
    references, results = tokenizer.tokenize(wanted), tokenizer.tokenize(said)
    cider, _ = consensus.compute_score(references, results)
    bleu, _ = bleu4.compute_score(references, results)
    name = describer.identity.name
    report.line(f"{name}: CIDEr over {len(said)} pictures", f"{100 * cider:.1f}")
    report.line(f"{name}: BLEU-4 over {len(said)} pictures", f"{100 * bleu[3]:.1f}")


def _caption_coco(
    describer: BlipDescriber, captions: Path, images: Path, count: int
) -> tuple[dict[int, Any], dict[int, Any]]:
    """References and our captions by image id, in the form that pycocoevalcap takes."""
    known = json.loads(captions.read_bytes())
    wanted = defaultdict(list)
    for note in known["annotations"]:
        wanted[note["image_id"]].append({"caption": note["caption"]})
    said: dict[int, Any] = {}
    chosen = sorted(known["images"], key=lambda image: int(image["id"]))[:count]
    for start in range(0, len(chosen), describer.batch):
        part = chosen[start : start + describer.batch]
        prepared = [describer.prepare((images / image["file_name"]).read_bytes()) for image in part]
        for image, text in zip(part, describer.describe(prepared), strict=True):
            said[image["id"]] = [{"caption": text}]
    return {number: wanted[number] for number in said}, said
