"""What is said, and when: voice activity and transcription."""

PLUGIN = "onlooker.analyzers.speech.analyzer:Speech"
