"""How many faces are in frames of real clips, and where: found by looking at the frames.

``SEEN``: clip, seconds from its start, points (fractions of the picture) inside the faces that anybody would call one,
and points inside what may be called one or not (turned away, cut off, out of focus). ``None`` instead of the latter: a
dark or blurred crowd; what is found besides the sure ones is not judged there.
"""

from __future__ import annotations

Points = tuple[tuple[float, float], ...]

SEEN: list[tuple[str, float, Points, Points | None]] = [
    ("clips/tv_whitehouse_performance.mp4", 0.4, ((0.852, 0.21), (0.097, 0.562)), ()),
    ("clips/tv_whitehouse_performance.mp4", 1.0, ((0.56, 0.55),), None),
    ("clips/tv_whitehouse_performance.mp4", 2.0, (), None),
    ("clips/tv_whitehouse_performance.mp4", 3.0, ((0.321, 0.3),), ()),
    ("clips/tv_whitehouse_performance.mp4", 4.0, ((0.385, 0.23),), ()),
    ("clips/tv_whitehouse_performance.mp4", 5.0, ((0.395, 0.22),), ()),
    ("clips/tv_whitehouse_performance.mp4", 6.0, ((0.378, 0.25),), ()),
    ("clips/tv_whitehouse_performance.mp4", 6.6, ((0.49, 0.26),), ()),
    ("clips/tv_whitehouse_performance.mp4", 8.0, ((0.128, 0.267), (0.303, 0.358), (0.553, 0.256), (0.653, 0.37)), None),
    ("clips/tv_whitehouse_performance.mp4", 8.8, ((0.109, 0.29), (0.315, 0.358), (0.553, 0.278), (0.66, 0.37)), None),
    ("clips/film_chaplin.mp4", 0.0, (), ()),
    ("clips/film_chaplin.mp4", 1.0, ((0.327, 0.233),), ()),
    ("clips/film_chaplin.mp4", 2.0, ((0.253, 0.221), (0.446, 0.245)), ()),
    ("clips/film_chaplin.mp4", 3.0, ((0.247, 0.211), (0.54, 0.234)), ()),
    ("clips/film_chaplin.mp4", 4.0, ((0.558, 0.209),), ()),
    ("clips/film_chaplin.mp4", 5.0, ((0.584, 0.176),), ((0.228, 0.21),)),
    ("clips/film_chaplin.mp4", 6.0, ((0.265, 0.209), (0.596, 0.188)), ()),
    ("clips/film_chaplin.mp4", 7.0, ((0.266, 0.209), (0.583, 0.175)), ()),
    ("clips/film_chaplin.mp4", 8.0, ((0.321, 0.221), (0.583, 0.177)), ()),
    ("clips/film_chaplin.mp4", 9.0, ((0.259, 0.211),), ((0.572, 0.188),)),
    ("clips/preview_classroom.mp4", 0.2, ((0.158, 0.598), (0.278, 0.504), (0.496, 0.508), (0.66, 0.609)), ()),
    ("clips/preview_classroom.mp4", 1.2, ((0.161, 0.598), (0.279, 0.504), (0.497, 0.508), (0.652, 0.621)), ()),
    ("clips/preview_classroom.mp4", 2.2, ((0.163, 0.598), (0.283, 0.505), (0.497, 0.507), (0.665, 0.628)), ()),
    ("clips/preview_face-demographics-walking.mp4", 0.2, ((0.558, 0.479), (0.685, 0.427)), ()),
    ("clips/preview_face-demographics-walking.mp4", 1.0, ((0.503, 0.474), (0.649, 0.416)), ()),
    ("clips/preview_face-demographics-walking.mp4", 2.0, ((0.436, 0.494), (0.634, 0.404)), ()),
    ("clips/preview_head-pose-face-detection-female-and-male.mp4", 0.4, ((0.16, 0.437), (0.722, 0.358)), ()),
    ("clips/preview_head-pose-face-detection-female-and-male.mp4", 1.0, ((0.141, 0.46), (0.697, 0.369)), ()),
    ("clips/preview_head-pose-face-detection-female-and-male.mp4", 3.0, ((0.14, 0.46), (0.691, 0.38)), ()),
    ("clips/action_ucf101_apply_eye_makeup.avi", 1.0, ((0.83, 0.35),), ()),
    ("clips/action_ucf101_apply_eye_makeup.avi", 3.0, ((0.83, 0.36),), ()),
    ("clips/action_ucf101_apply_eye_makeup.avi", 5.0, ((0.82, 0.38),), ()),
    ("clips/action_arm_wrestling.mp4", 1.0, ((0.091, 0.304), (0.508, 0.069)), ((0.371, 0.071), (0.597, 0.014))),
    ("clips/action_arm_wrestling.mp4", 5.0, ((0.222, 0.229),), ((0.477, 0.053), (0.597, 0.044))),
    ("clips/action_exercise_kth_like.avi", 5.0, ((0.258, 0.461), (0.501, 0.47), (0.684, 0.471)), ()),
    ("clips/action_exercise_kth_like.avi", 15.0, ((0.265, 0.462), (0.491, 0.471), (0.708, 0.472)), ()),
    ("clips/action_exercise_kth_like.avi", 25.0, ((0.253, 0.461), (0.476, 0.469), (0.682, 0.472)), ()),
    ("clips/action_exercise_kth_like.avi", 35.0, ((0.26, 0.454), (0.471, 0.462), (0.67, 0.47)), ()),
    ("clips/preview_people-detection.mp4", 0.4, (), ((0.02, 0.25),)),
    ("clips/preview_people-detection.mp4", 1.4, (), ()),
    ("clips/talking_face_signer_blue.mp4", 2.0, ((0.56, 0.366),), ()),
    ("clips/talking_face_signer_blue.mp4", 5.0, ((0.537, 0.332),), ()),
    ("clips/talking_face_man_suit.mp4", 2.0, ((0.554, 0.338),), ()),
    ("clips/talking_face_man_suit.mp4", 5.0, ((0.548, 0.332),), ()),
    ("clips/talking_face_aoc_512.mp4", 2.0, ((0.559, 0.522),), ()),
    ("clips/talking_face_aoc_512.mp4", 5.0, ((0.547, 0.528),), ()),
    ("clips/carphone.mp4", 1.0, ((0.459, 0.472),), ()),
    ("clips/carphone.mp4", 3.0, ((0.353, 0.457),), ()),
    ("clips/walk.mkv", 0.4, ((0.478, 0.288),), ()),
    ("clips/walk.mkv", 2.0, ((0.459, 0.295),), ()),
    ("clips/book.mkv", 0.4, ((0.472, 0.279),), ()),
    ("clips/book.mkv", 2.0, ((0.472, 0.279),), ()),
    ("clips/help.mkv", 1.0, ((0.534, 0.246),), ()),
    ("clips/eat.mkv", 1.0, ((0.478, 0.296),), ()),
    ("grid_av/bbaf2n.mpg", 1.6, ((0.428, 0.597),), ()),
    ("grid_av/brbk7n.mpg", 1.6, ((0.478, 0.629),), ()),
    ("grid_av/lbax4n.mpg", 1.6, ((0.528, 0.551),), ()),
    ("grid_av/lbbc2a.mpg", 1.6, ((0.528, 0.645),), ()),
    ("grid_av/lrwp9a.mpg", 1.6, ((0.522, 0.613),), ()),
    ("grid_av/lwbsza.mpg", 1.6, ((0.453, 0.621),), ()),
    ("grid_av/pwij3p.mpg", 1.6, ((0.515, 0.59),), ()),
]

FACELESS = ("clips/traffic_highway.avi", "clips/traffic_overhead_audio.avi")
"""Clips without any face."""
