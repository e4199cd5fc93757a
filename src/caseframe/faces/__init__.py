"""Faces in pictures: boxes, five landmarks, and a descriptor that tells people apart."""

from caseframe.faces.analyser import Face, FaceAnalyser
from caseframe.faces.packages import FacesUnavailable, missing

__all__ = ["Face", "FaceAnalyser", "FacesUnavailable", "missing"]
