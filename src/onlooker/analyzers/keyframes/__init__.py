"""Keyframes: the picture that shows each shot best, a contact sheet and a thumbnail sprite."""

PLUGIN = "onlooker.analyzers.keyframes.analyzer:Keyframes"
