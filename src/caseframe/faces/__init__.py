"""Faces in pictures: boxes, five landmarks, and a descriptor that tells people apart.

`packages.missing()` is cheap to ask; `analyser.FaceAnalyser` loads the models.
"""
