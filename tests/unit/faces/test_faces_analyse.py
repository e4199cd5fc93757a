"""What is found in pictures, and that the numbers are dlib's."""

from __future__ import annotations

import cv2
import dlib
import numpy as np
import numpy.typing as npt
import pytest

from caseframe.faces.analyser import Face, FaceAnalyser
from caseframe.faces.packages import DESCRIPTOR_FILE, models_folder

Pixels = npt.NDArray[np.uint8]

# Seen in the portrait: the corners of the eyes (outer, inner; right side of the picture first) and
# the base of the nose.
_FACE = (166, 64, 271, 169)
_EYES_AND_NOSE = ((255, 104), (237, 105), (195, 101), (212, 103), (224, 134))
_CHIPS = 100


def turned(picture: Pixels, degrees: float) -> Pixels:
    """The picture turned about its middle, black where nothing is."""
    rows, columns = picture.shape[:2]
    turn = cv2.getRotationMatrix2D((columns / 2, rows / 2), degrees, 1.0)
    result: Pixels = cv2.warpAffine(picture, turn, (columns, rows))
    return result


def apart(one: Face, other: Face) -> float:
    """Euclidean distance of two descriptors."""
    return float(np.linalg.norm(np.subtract(one.descriptor, other.descriptor)))


def test_finds_the_one_face_of_the_portrait(analyser: FaceAnalyser, portrait: Pixels) -> None:
    (face,) = analyser.analyse(portrait)
    found = (face.x, face.y, face.x + face.width, face.y + face.height)
    assert np.abs(np.subtract(found, _FACE)).max() <= 4
    assert np.abs(np.subtract(face.landmarks, _EYES_AND_NOSE)).max() <= 2
    assert face.score > 0.5
    assert len(face.descriptor) == 128


def test_is_deterministic(analyser: FaceAnalyser, portrait: Pixels) -> None:
    assert analyser.analyse(portrait) == analyser.analyse(portrait.copy())


def test_accepts_a_picture_that_is_a_view_of_another(
    analyser: FaceAnalyser, portrait: Pixels
) -> None:
    mirrored = portrait[:, ::-1]
    assert analyser.analyse(mirrored) == analyser.analyse(np.ascontiguousarray(mirrored))


def test_finds_several_faces_best_first(analyser: FaceAnalyser, portrait: Pixels) -> None:
    head = portrait[:260, 60:380]
    row = np.hstack([head, head[:, ::-1], head])
    faces = analyser.analyse(row)
    assert len(faces) == 3
    scores = [face.score for face in faces]
    assert scores == sorted(scores, reverse=True)
    assert {face.x // head.shape[1] for face in faces} == {0, 1, 2}


@pytest.mark.parametrize("factor", [0.5, 1.5, 6.0])
def test_finds_the_face_at_any_size(
    analyser: FaceAnalyser, portrait: Pixels, factor: float
) -> None:
    (usual,) = analyser.analyse(portrait)
    resized = cv2.resize(portrait, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    (face,) = analyser.analyse(resized.astype(np.uint8))
    middle = np.array([face.x + face.width / 2, face.y + face.height / 2]) / factor
    expected = [usual.x + usual.width / 2, usual.y + usual.height / 2]
    assert np.abs(middle - expected).max() <= 15
    assert np.abs(np.divide(face.landmarks, factor) - usual.landmarks).max() <= 6
    assert apart(face, usual) < 0.35


@pytest.mark.parametrize("side", [40, 50, 62, 78, 90, 100, 110, 120, 130, 145, 180, 220])
def test_no_size_falls_between_the_two_searches(
    analyser: FaceAnalyser, portrait: Pixels, side: int
) -> None:
    (usual,) = analyser.analyse(portrait)
    factor = side / usual.width
    head = cv2.resize(portrait[:280, 60:390], None, fx=factor, fy=factor)
    picture = np.full((640, 800, 3), 100, np.uint8)
    rows, columns = head.shape[:2]
    picture[20 : 20 + rows, 70 : 70 + columns] = head
    (face,) = analyser.analyse(picture)
    assert side / 1.6 < face.width < side * 1.6


@pytest.mark.parametrize("degrees", [-15, 15])
def test_a_tilted_face_is_the_same_person(
    analyser: FaceAnalyser, portrait: Pixels, degrees: float
) -> None:
    (usual,) = analyser.analyse(portrait)
    (face,) = analyser.analyse(turned(portrait, degrees))
    assert apart(face, usual) < 0.4


def test_a_box_stays_within_the_picture(analyser: FaceAnalyser, portrait: Pixels) -> None:
    cut = portrait[70:300, 190:420]
    for face in analyser.analyse(cut):
        assert face.x >= 0
        assert face.y >= 0
        assert face.x + face.width <= cut.shape[1]
        assert face.y + face.height <= cut.shape[0]


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 3000), (3000, 1), (39, 39), (40, 40), (41, 6000), (6000, 41), (480, 640)]
)
def test_nothing_in_a_blank_picture_of_any_shape(
    analyser: FaceAnalyser, shape: tuple[int, int]
) -> None:
    for grey in (0, 128, 255):
        assert analyser.analyse(np.full((*shape, 3), grey, np.uint8)) == []


def test_nothing_in_noise_or_a_pattern(analyser: FaceAnalyser) -> None:
    noise = np.random.default_rng(7).integers(0, 256, (480, 640, 3), np.uint8)
    smooth = cv2.GaussianBlur(noise, (0, 0), 6)
    ramp = np.broadcast_to(np.arange(640, dtype=np.uint16)[None, :, None] % 256, (480, 640, 3))
    for picture in (noise, smooth, ramp):
        assert analyser.analyse(np.ascontiguousarray(picture, np.uint8)) == []


@pytest.mark.parametrize("shape", [(3000, 4000), (400, 12_000), (4000, 900)])
def test_a_big_picture_is_searched_at_a_bounded_size(
    analyser: FaceAnalyser, shape: tuple[int, int]
) -> None:
    searched = analyser._detector.find(np.zeros((*shape, 3), np.uint8)).picture
    assert searched.shape[0] * searched.shape[1] <= 1.02 * 1024 * 1024
    assert searched.shape[1] / searched.shape[0] == pytest.approx(shape[1] / shape[0], rel=0.01)


def test_a_small_face_in_a_big_picture_has_its_place_there(
    analyser: FaceAnalyser, portrait: Pixels
) -> None:
    (usual,) = analyser.analyse(portrait)
    wide = np.full((1500, 2200, 3), 90, np.uint8)
    wide[700:1212, 1300:1812] = portrait
    (face,) = analyser.analyse(wide)
    moved = np.add(usual.landmarks, (1300, 700))
    assert np.abs(np.subtract(face.landmarks, moved)).max() <= 5
    assert apart(face, usual) < 0.3


def test_descriptors_are_those_of_dlib(analyser: FaceAnalyser, portrait: Pixels) -> None:
    encoder = dlib.face_recognition_model_v1(str(models_folder() / DESCRIPTOR_FILE))
    chips = different_chips(portrait)
    assert len({chip.tobytes() for chip in chips}) == _CHIPS
    distances = [
        np.linalg.norm(np.array(encoder.compute_face_descriptor(chip)) - analyser.describe(chip))
        for chip in chips
    ]
    assert max(distances) < 1e-4


def test_the_whole_way_agrees_with_dlib(analyser: FaceAnalyser, portrait: Pixels) -> None:
    """Landmarks, chip and descriptor of a found face against dlib's own calls on the picture."""
    (face,) = analyser.analyse(portrait)
    encoder = dlib.face_recognition_model_v1(str(models_folder() / DESCRIPTOR_FILE))
    points = [dlib.point(round(x), round(y)) for x, y in face.landmarks]
    box = dlib.rectangle(face.x, face.y, face.x + face.width, face.y + face.height)
    shape = dlib.full_object_detection(box, points)
    expected = np.array(encoder.compute_face_descriptor(portrait, shape))
    assert np.linalg.norm(expected - face.descriptor) < 0.01


def different_chips(portrait: Pixels) -> list[Pixels]:
    """Chips of the portrait's face, moved, turned, scaled, lit and mirrored at random."""
    random = np.random.default_rng(3)
    chips: list[Pixels] = []
    for _ in range(_CHIPS):
        turn = cv2.getRotationMatrix2D(
            (225 + random.uniform(-30, 30), 115 + random.uniform(-30, 30)),
            random.uniform(-40, 40),
            random.uniform(0.6, 1.4),
        )
        turn[:, 2] += 75 - np.array([225, 115])
        chip = cv2.warpAffine(portrait, turn, (150, 150)) * random.uniform(0.4, 1.2)
        chip = np.clip(chip, 0, 255).astype(np.uint8)
        chips.append(np.ascontiguousarray(chip[:, :: random.choice([1, -1])]))
    return chips
