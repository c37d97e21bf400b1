"""One vector for each face track, by which people are told apart."""

PLUGIN = "onlooker.analyzers.face_vectors.analyzer:FaceVectors"
"""The analyzer ``face_vectors``; see README.md."""
