"""Technical cues of the sound: silence, clipping, direct current, a missing channel."""

PLUGIN = "onlooker.analyzers.sound_quality.analyzer:SoundQuality"
