"""What a video is about: keywords, and topics of a list."""

PLUGIN = "onlooker.analyzers.topics.analyzer:Topics"
