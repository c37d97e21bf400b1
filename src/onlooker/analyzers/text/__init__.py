"""Text on screen: captions, titles, slides and what is written in the scene."""

PLUGIN = "onlooker.analyzers.text.analyzer:Text"
