"""TLS and mutual TLS, with certificates made here."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image
from tests import makers
from tests.support.certificates import Authority
from tests.support.vision import Colours, running
from tests.support.web import clean_settings

from caseframe.cli.captions import vision_access
from caseframe.domain.errors import UsageError, VisionAway
from caseframe.stages.caption import CaptionStage
from caseframe.stages.stage import StageContext, StageUnavailable, VisionAccess
from caseframe.tls import TlsFiles, client_credentials, server_credentials
from caseframe.vision.client import VisionClient

PICTURE = makers.encoded(Image.new("RGB", (4, 4), (9, 8, 7)), "BMP")


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return Authority.make(tmp_path, "ours")


def describe(address: str, tls: TlsFiles | None) -> str:
    with VisionClient(address, tls=tls, patience=0.3) as client:
        return client.describe(PICTURE, "FACTS")


def test_tls_serves_those_who_trust_its_authority(ours: Authority, tmp_path: Path) -> None:
    cert, key = ours.issue("service")
    other = Authority.make(tmp_path, "other")
    with running({"FACTS": Colours()}, tls=TlsFiles(None, cert, key)) as served:
        assert describe(served.address, TlsFiles(ours.file)) == "FACTS sees 9 8 7"
        for wrong in (None, TlsFiles(other.file)):
            with pytest.raises(VisionAway):
                describe(served.address, wrong)
        assert describe(served.address, TlsFiles(ours.file)) == "FACTS sees 9 8 7"


def test_mutual_tls_serves_clients_of_its_authority_only(ours: Authority, tmp_path: Path) -> None:
    cert, key = ours.issue("service")
    other = Authority.make(tmp_path, "other")
    with running({"FACTS": Colours()}, tls=TlsFiles(ours.file, cert, key)) as served:
        known = TlsFiles(ours.file, *ours.issue("client"))
        assert describe(served.address, known) == "FACTS sees 9 8 7"
        for unknown in (TlsFiles(ours.file), TlsFiles(ours.file, *other.issue("stranger"))):
            with pytest.raises(VisionAway):
                describe(served.address, unknown)
        assert describe(served.address, known) == "FACTS sees 9 8 7"


def test_files_that_are_missing_are_named_with_their_setting(
    ours: Authority, tmp_path: Path
) -> None:
    cert, key = ours.issue("service")
    gone = tmp_path / "gone.pem"
    for files, setting in (
        (TlsFiles(gone, cert, key), "vision_tls_ca"),
        (TlsFiles(None, gone, key), "vision_tls_cert"),
        (TlsFiles(None, cert, gone), "vision_tls_key"),
    ):
        with pytest.raises(UsageError, match=f"{setting}: .*gone.pem cannot be read"):
            server_credentials(files)
        with pytest.raises(UsageError, match=f"{setting}: .*gone.pem cannot be read"):
            client_credentials(files)


def test_a_certificate_and_its_key_go_together(ours: Authority) -> None:
    cert, key = ours.issue("service")
    for half in (TlsFiles(ours.file, cert), TlsFiles(ours.file, None, key)):
        with pytest.raises(UsageError, match="both vision_tls_cert and vision_tls_key"):
            server_credentials(half)
        with pytest.raises(UsageError, match="go together"):
            client_credentials(half)


def prepared(tmp_path: Path, address: str, tls: TlsFiles) -> CaptionStage:
    access = VisionAccess(address, "FACTS", 30, tls.ca, tls.cert, tls.key)
    stage = CaptionStage()
    stage.prepare(StageContext(tmp_path, access))
    return stage


def test_captions_go_over_tls_by_the_same_rule(ours: Authority, tmp_path: Path) -> None:
    """A certificate alone is enough to want it: no picture goes over a plain channel then."""
    cert, key = ours.issue("service")
    with running({"FACTS": Colours()}) as plain:
        assert prepared(tmp_path, plain.address, TlsFiles()).model
        wanted = TlsFiles(None, cert, key), TlsFiles(ours.file)
        with ThreadPoolExecutor() as threads:  # each of them waits for the service to come
            asked = [threads.submit(prepared, tmp_path, plain.address, files) for files in wanted]
        for one in asked:
            assert isinstance(one.exception(), StageUnavailable)
    with running({"FACTS": Colours()}, tls=TlsFiles(None, cert, key)) as served:
        assert prepared(tmp_path, served.address, TlsFiles(ours.file)).model


def test_the_rule_is_any_of_the_three(ours: Authority) -> None:
    assert TlsFiles(setting="jobs_tls").wanted is None
    for files in (TlsFiles(ours.file), TlsFiles(None, ours.file), TlsFiles(key=ours.file)):
        assert files.wanted == files


def test_a_service_of_our_own_is_on_this_machine_and_without_tls(
    ours: Authority, tmp_path: Path
) -> None:
    given = {"vision_tls_ca": ours.file, "describe_with": "BLIP"}
    settings = clean_settings(tmp_path, **given)
    assert vision_access(settings).ca is None
    named = clean_settings(tmp_path, vision_address="vision:50051", **given)
    assert vision_access(named).ca == ours.file
