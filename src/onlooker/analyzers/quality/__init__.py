"""Technical cues of the picture: black, frozen, colour bars, flicker, blur, exposure, camera trouble, letterbox."""

PLUGIN = "onlooker.analyzers.quality.analyzer:Quality"
