"""`caseframe models` as people run it: in a process of its own, against a hub on this machine."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import Cli
from tests.support.cli import Ran
from tests.support.hub import Hub
from tests.support.volume import volume

Models = Callable[..., Ran]
NEEDED = ("config.json", "preprocessor_config.json", "tokenizer.json", "model.safetensors")


@pytest.fixture
def models(cli: Cli, tmp_path: Path, tiny_hub: Hub) -> Models:
    def run(*arguments: str | Path, **environ: str) -> Ran:
        given = {
            "CASEFRAME_MODELS_DIR": str(tmp_path / "models"),
            "CASEFRAME_MODELS_URL": tiny_hub.url,
        }
        return cli("models", *arguments, cwd=tmp_path, **(given | environ))

    return run


def states(models: Models) -> dict[str, str]:
    return {entry["name"]: entry["state"] for entry in models("list", "--json").json}


def refused(done: Ran, status: int, *words: str) -> None:
    assert done.status == status
    assert done.out == ""
    assert [word for word in words if word not in done.err] == []
    last = done.err.splitlines()[-1]
    assert last.startswith("caseframe: ")


def test_the_life_of_an_imported_model(models: Models, tiny: Path, tmp_path: Path) -> None:
    assert states(models) == {"blip-base": "not installed", "blip-large": "not installed"}
    assert not (tmp_path / "models").exists()
    done = models("import", tiny, "--name", "mine", "--json")
    assert (done.status, done.err) == (0, "")
    assert done.json["name"] == "mine"
    assert {file["name"] for file in done.json["files"]} >= set(NEEDED)
    assert states(models)["mine"] == "installed"
    assert done.json["digest"] == models("verify", "BLIP", "--json").json["digest"]
    assert models("verify").out == "mine: all 6 files are right\n"
    assert models("remove", "BLIP", "--json").json == {"removed": "mine"}
    assert "mine" not in states(models)
    refused(models("remove", "mine"), 1, "mine is not installed")
    nothing = models("verify")
    assert (nothing.status, nothing.err) == (0, "")
    assert nothing.out.startswith("No captioning model is installed in ")
    assert nothing.out.endswith("; run: caseframe models pull BLIP\n")


def test_the_list_for_people(models: Models, tiny: Path) -> None:
    models("import", tiny, "--name", "mine")
    lines = models("list").out.splitlines()
    assert len(lines) == 3
    assert "caseframe models pull blip-base" in lines[0]
    assert lines[2].startswith("mine")
    assert "installed" in lines[2]


def test_pulling_the_large_model_from_a_mirror(models: Models, tiny_hub: Hub) -> None:
    """Its digests are those that the hub states; the base model's are known, see below."""
    done = models("pull", "blip-large")
    assert (done.status, done.out.split()[0]) == (0, "blip-large")
    assert "model.safetensors: 0.2 MB" in done.err
    large = next(e for e in models("list", "--json").json if e["name"] == "blip-large")
    assert large["licence"] == "BSD-3-Clause"
    assert large["source"] == "Salesforce/blip-image-captioning-large"
    assert len(tiny_hub.asked) == len(NEEDED)
    assert models("pull", "BLIP", CASEFRAME_BLIP_MODEL="blip-large").status == 0
    assert len(tiny_hub.asked) == len(NEEDED)


def test_files_that_are_not_the_known_ones_are_not_installed(models: Models, tiny_hub: Hub) -> None:
    for name in ("BLIP", "blip-base"):
        refused(models("pull", name), 1, "config.json", "4563", "nothing is installed")
    tiny_hub.files["config.json"] = b"{}".ljust(4563)
    refused(models("pull", "BLIP"), 1, "config.json", "wrong checksum", "nothing is installed")
    assert states(models)["blip-base"] == "not installed"


def test_interrupted_then_resumed(models: Models, tiny_hub: Hub) -> None:
    tiny_hub.status["model.safetensors"] = 503
    refused(models("pull", "blip-large"), 1, "answers 503", "models_url")
    assert states(models)["blip-large"] == "not installed"
    tiny_hub.status.clear()
    assert models("pull", "blip-large").status == 0
    assert [path for path, _ in tiny_hub.asked].count("/store/config.json") == 1


def test_a_hub_without_the_model_and_no_hub(models: Models, tiny_hub: Hub) -> None:
    tiny_hub.files.clear()
    refused(models("pull", "blip-large"), 1, "404", "models_url")
    refused(models("pull", CASEFRAME_MODELS_URL="ftp://example.org"), 2, "models_url")


def test_a_damaged_model_names_the_command_that_mends_it(
    models: Models, tiny: Path, tmp_path: Path
) -> None:
    models("import", tiny, "--name", "mine")
    weights = tmp_path / "models" / "mine" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    assert states(models)["mine"] == "damaged"
    for arguments in (("verify",), ("verify", "mine"), ("verify", "BLIP")):
        refused(models(*arguments), 1, "wrong checksum", "caseframe models remove mine")
    assert models("remove", "mine").status == 0


@pytest.mark.parametrize(
    ("arguments", "status", "word"),
    [
        (("pull", "nope"), 2, "blip-base, blip-large"),
        (("pull", "../x"), 2, "cannot be pulled"),
        (("verify", "BLIP"), 1, "caseframe models pull BLIP"),
        (("verify", "blip-base"), 1, "caseframe models pull blip-base"),
        (("verify", "UP"), 2, "cannot be the name"),
        (("remove", "UP"), 2, "cannot be the name"),
        (("import", "nowhere", "--name", "mine"), 2, "nowhere is not a folder"),
        (("import", ".", "--name", "Mine"), 2, "cannot be the name"),
        (("import", ".", "--name", "mine"), 1, "config.json is missing"),
        (("import", ".", "--name", "blip-base"), 1, "this is not blip-base"),
    ],
)
def test_what_cannot_be_done(
    models: Models, arguments: tuple[str, ...], status: int, word: str
) -> None:
    refused(models(*arguments), status, word)


@pytest.mark.parametrize("arguments", [("import", "."), ("nope",), ("remove",), ()])
def test_wrong_usage(models: Models, arguments: tuple[str, ...]) -> None:
    assert models(*arguments).status == 2


@pytest.mark.parametrize("how", ["pull", "import"])
def test_a_full_disk_leaves_nothing_half(
    models: Models, tiny: Path, tmp_path: Path, how: str
) -> None:
    with volume(tmp_path / "small", "128k") as small:
        where = {"CASEFRAME_MODELS_DIR": str(small / "models")}
        name = "blip-large" if how == "pull" else "mine"
        words = ("pull", name) if how == "pull" else ("import", tiny, "--name", name)
        refused(models(*words, **where), 1, "no space is left", "make room")
        assert not (small / "models" / name).exists()
        subprocess.run(["mount", "-o", "remount,size=2m", str(small)], check=True)
        assert models(*words, **where).status == 0
        assert models("verify", name, **where).status == 0


def test_a_full_disk_is_told_before_a_gigabyte_is_fetched(
    models: Models, tiny_hub: Hub, tmp_path: Path
) -> None:
    with volume(tmp_path / "small", "1m") as small:
        where = {"CASEFRAME_MODELS_DIR": str(small / "models")}
        refused(models("pull", "blip-base", **where), 1, "no space is left for blip-base", "2.0 GB")
    assert tiny_hub.asked == []


def test_a_folder_that_cannot_be_written_is_one_line(models: Models, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    where = {"CASEFRAME_MODELS_DIR": str(tmp_path / "file" / "models")}
    refused(models("pull", "blip-large", **where), 1, "cannot be written")
    assert models("list", **where).status == 0


def test_what_was_never_installed_is_not_called_removed(models: Models, tiny_hub: Hub) -> None:
    tiny_hub.status["model.safetensors"] = 503
    refused(models("pull", "blip-large"), 1, "answers 503")
    removed = models("remove", "blip-large")
    assert removed.out == "blip-large was not installed; its unfinished files are removed\n"
    refused(models("remove", "blip-large"), 1, "nothing was removed")


def test_a_folder_that_is_no_model_says_what_one_is(models: Models, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused(
        models("import", tmp_path / "empty", "--name", "nope"), 1,
        "nope is not installed: config.json is missing; import a folder with a whole BLIP",
        "caseframe models pull BLIP",
    )  # fmt: skip


def test_importing_takes_the_names_that_pulling_takes(models: Models, tiny: Path) -> None:
    done = models("import", tiny, "--name", "BLIP")
    refused(done, 1, "this is not blip-base", "--name OTHER-NAME")
