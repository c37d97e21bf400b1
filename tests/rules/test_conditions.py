"""Each condition on drawn observations: when it holds, and when it must not."""

from __future__ import annotations

import pytest

from rules.making import ended, events, fact, moving, rules, standing, walk


def test_presence_begins_with_the_first_sight_and_ends_with_the_last():
    assert ended(rules("{object: {label: person}}"), walk("t1", standing(0.3), 2, 6)) == [(2.0, 5.8)]


def test_boxes_without_a_track_never_count():
    assert ended(rules("{object: {label: person}}"), walk(None, standing(0.3), 2, 6)) == []


def test_another_class_another_zone_and_a_low_score_do_not_count():
    seen = walk("t1", standing(0.3), 2, 6)
    assert ended(rules("{object: {label: [dog, cat]}}"), seen) == []
    assert ended(rules("{object: {zone: left}}"), walk("t1", standing(0.7), 2, 6)) == []
    assert ended(rules("{object: {zone: left}}"), seen) == [(2.0, 5.8)]
    assert ended(rules("{object: {score: 0.95}}"), seen) == []


def test_a_label_that_flickers_is_the_one_most_often_seen():
    seen = walk("t1", standing(0.3), 0, 4)
    seen[7] = walk("t1", standing(0.3), 1.4, 1.6, label="dog")[0]
    assert ended(rules("{object: {label: person}}"), seen) == [(0.0, 3.8)]
    assert ended(rules("{object: {label: dog}}"), seen) == []


def test_dwelling_needs_its_time_and_forgives_a_short_leave():
    rule = rules("{object: {zone: left, lasts: 5s}}")
    assert ended(rule, walk("t1", standing(0.3), 0, 4)) == []
    assert ended(rule, walk("t1", standing(0.3), 0, 8)) == [(5.0, 7.8)]
    out = walk("t1", lambda t: (0.7 if 3 <= t < 4 else 0.3, 0.8), 0, 8)
    assert ended(rule, out) == [(5.0, 7.8)]
    long_out = walk("t1", lambda t: (0.7 if 2 <= t < 5 else 0.3, 0.8), 0, 9)
    assert ended(rule, long_out) == []


def test_crowding_counts_who_is_there_at_once_with_hysteresis():
    rule = rules("{object: {label: person, at_least: 3, until_below: 2}}")
    two = walk("t1", standing(0.2), 0, 20) + walk("t2", standing(0.4), 0, 12)
    assert ended(rule, two) == []
    made = ended(rule, two + walk("t3", standing(0.6), 5, 8))
    assert made == [(5.0, pytest.approx(13.3, abs=0.3))]


def test_speed_in_the_picture_and_on_calibrated_ground():
    fast = walk("t1", moving(0.1, 0.2), 0, 4)
    slow = walk("t1", moving(0.1, 0.05), 0, 4)
    assert len(ended(rules("{object: {faster: 0.12 widths/s}}"), fast)) == 1
    assert ended(rules("{object: {faster: 0.12 widths/s}}"), slow) == []
    assert len(ended(rules("{object: {slower: 0.12 widths/s}}"), slow)) == 1


def cross(**more):
    return rules("{crosses: {line: mid" + "".join(f", {k}: {v}" for k, v in more.items()) + "}}")


def directions(rule, seen):
    return [e.data["direction"] for e in events(rule, seen) if e.state == "new"]


def test_a_crossing_has_a_direction_and_counts_once():
    assert directions(cross(), walk("t1", moving(0.2, 0.1), 0, 6)) == ["in"]
    assert directions(cross(), walk("t1", moving(0.8, -0.1), 0, 6)) == ["out"]
    assert directions(cross(direction="out"), walk("t1", moving(0.2, 0.1), 0, 6)) == []
    (new, end) = events(cross(), walk("t1", moving(0.2, 0.1), 0, 6))
    assert (new.state, end.state) == ("new", "end")
    assert new.id == end.id
    assert new.start == end.start == end.end


def test_stopping_and_shaking_on_the_line_counts_once():
    def place(t):
        return (min(0.2 + 0.1 * t, 0.5) if t < 6 else 0.5 + 0.1 * (t - 6)) + 0.008 * (-1) ** round(5 * t), 0.8

    assert directions(cross(), walk("t1", place, 0, 9)) == ["in"]


def test_turning_back_on_the_line_does_not_count_and_going_back_counts_again():
    assert directions(cross(), walk("t1", lambda t: (0.5 - abs(t - 3) * 0.1, 0.8), 0, 6)) == []
    assert directions(cross(), walk("t1", lambda t: (0.7 - abs(t - 3) * 0.1, 0.8), 0, 6)) == ["in", "out"]


def test_a_track_that_gets_another_name_near_the_line_counts_once():
    path = moving(0.2, 0.1)
    for change in (2.6, 3.0, 3.4):
        seen = walk("t1", path, 0, change) + walk("t2", path, change, 6)
        assert directions(cross(), seen) == ["in"], change
        gap = walk("t1", path, 0, change) + walk("t2", path, change + 0.8, 6)
        assert directions(cross(), gap) == ["in"], change


def test_two_who_cross_together_are_two():
    seen = walk("t1", moving(0.2, 0.1, y=0.5), 0, 6) + walk("t2", moving(0.2, 0.1, y=0.9), 0, 6)
    assert directions(cross(), seen) == ["in", "in"]
    total = [e.data["total_in"] for e in events(cross(), seen) if e.state == "new"]
    assert total[-1] == 2


def test_who_goes_round_the_end_of_a_line_does_not_cross_it():
    file = rules("{crosses: {line: mid}}").model_copy(update={"lines": {}})
    short = rules("{crosses: {line: mid}}").lines["mid"].model_copy(update={"points": ((0.5, 0.0), (0.5, 0.4))})
    assert directions(file.model_copy(update={"lines": {"mid": short}}), walk("t1", moving(0.2, 0.1), 0, 6)) == []


def test_wrong_way():
    rule = rules("{wrong_way: {allowed: 0, distance: 0.1}}")
    assert ended(rule, walk("t1", moving(0.2, 0.1), 0, 5)) == []
    assert len(ended(rule, walk("t1", moving(0.8, -0.1), 0, 5))) == 1
    assert ended(rule, walk("t1", lambda t: (0.5 + 0.02 * (-1) ** round(5 * t), 0.8), 0, 5)) == []


def test_near_collision_only_of_those_who_would_meet():
    rule = rules("{near_collision: {label: car, time: 2s}}")
    meeting = walk("a", moving(0.1, 0.1), 0, 4, label="car") + walk("b", moving(0.9, -0.1), 0, 4, label="car")
    assert len(ended(rule, meeting)) == 1
    passing = walk("a", moving(0.1, 0.1, y=0.3), 0, 8, label="car") + walk("b", moving(0.9, -0.1), 0, 8, label="car")
    assert ended(rule, passing) == []
    behind = walk("a", moving(0.1, 0.1), 0, 6, label="car") + walk("b", moving(0.3, 0.1), 0, 6, label="car")
    assert ended(rule, behind) == []


def test_tailgating():
    rule = rules("{tailgating: {line: mid, direction: in, within: 2s}}")
    first = walk("t1", moving(0.2, 0.1), 0, 6)
    assert len(ended(rule, first + walk("t2", moving(0.1, 0.1), 0, 6))) == 1
    assert ended(rule, first + walk("t2", moving(0.2, 0.1, start=5), 5, 11)) == []


def test_left_behind_and_taken_away():
    bag = walk("bag", standing(0.3, 0.9), 0, 50, label="suitcase", size=0.05)
    stays, goes = walk("t1", standing(0.35, 0.9), 0, 50), walk("t1", moving(0.35, 0.1, 10), 10, 16)
    left = rules("{left: {what: left, lasts: 20s}}")
    assert ended(left, bag + stays) == []
    ((begin, _),) = ended(left, bag + walk("t1", standing(0.35, 0.9), 0, 10) + goes)
    assert 30 < begin < 36
    taken = rules("{left: {what: taken, lasts: 20s}}")
    assert len(ended(taken, bag)) == 1
    assert ended(taken, bag[:50]) == []


def test_restless_people_close_together_are_like_a_fight_and_calm_ones_are_not():
    rule = rules("{fight: {}}")

    def wild(x, phase):
        return lambda t: (x + 0.05 * (-1) ** (round(5 * t) + phase), 0.8 + 0.03 * (-1) ** round(10 * t / 3))

    assert len(ended(rule, walk("a", wild(0.45, 0), 0, 6) + walk("b", wild(0.5, 1), 0, 6))) == 1
    assert ended(rule, walk("a", standing(0.45), 0, 6) + walk("b", standing(0.5), 0, 6)) == []
    assert ended(rule, walk("a", moving(0.2, 0.1), 0, 6) + walk("b", moving(0.25, 0.1), 0, 6)) == []
    assert ended(rule, walk("a", wild(0.1, 0), 0, 6) + walk("b", wild(0.9, 1), 0, 6)) == []


def test_sounds_by_label_score_and_loudness():
    shout = fact("sound", 3, 5, label="shout", score=0.6, data={"loudest_lufs": -20.0})
    assert ended(rules("{sound: {label: shout}}"), [shout]) == [(3.0, 5.0)]
    assert ended(rules("{sound: {label: dog}}"), [shout]) == []
    assert ended(rules("{sound: {score: 0.7}}"), [shout]) == []
    assert ended(rules("{sound: {louder: -25}}"), [shout]) == [(3.0, 5.0)]
    assert ended(rules("{sound: {louder: -10}}"), [shout]) == []


@pytest.mark.parametrize(
    ("wanted", "said", "found"),
    [
        ("help", "Please HELP me", True),
        ("help", "helpless", False),
        ("help*", "helpless", True),
        ("fire alarm", "the fire  alarm rings", True),
        ("救命", "有人喊救命啊", True),
        ("救命", "没事", False),
        ("c++ (x)", "we write c++ (x) here", True),
    ],
)
def test_words_said_or_shown(wanted, said, found):
    rule = rules(f"{{words: {{any_of: ['{wanted}'], where: said}}}}")
    assert bool(ended(rule, [fact("speech", 1, 4, text=said, score=0.9)])) == found
    assert ended(rule, [fact("text", 1, 4, text=said, score=0.9)]) == []


def test_faces_known_unknown_and_by_name():
    ann = fact("identity", 1, 4, label="Ann", score=0.9, track="face-1")
    other = fact("identity", 6, 8, label="unknown-3", score=0.9, track="face-2")
    assert ended(rules("{face: {who: Ann}}"), [ann, other]) == [(1.0, 4.0)]
    assert ended(rules("{face: {who: known}}"), [ann, other]) == [(1.0, 4.0)]
    assert ended(rules("{face: {who: unknown}}"), [ann, other]) == [(6.0, 8.0)]


def test_falls_camera_trouble_motion_and_any_other_kind():
    fallen = fact("posture", 1, 9, label="fallen", score=0.8, track="t1")
    assert ended(rules("{fall: {stays: 5s}}"), [fallen]) == [(1.0, 9.0)]
    assert ended(rules("{fall: {stays: 10s}}"), [fallen]) == []
    covered = fact("cue", 2, 4, label="camera_covered", score=1.0)
    assert ended(rules("{camera: {}}"), [covered, fact("cue", 5, 6, label="letterbox", score=1.0)]) == [(2.0, 4.0)]
    still = rules("{not: {of: {motion: {}}, lasts: 10s}}")
    moved = [fact("motion", 0, 20, label="active", score=0.1), fact("motion", 25, 60, label="active", score=0.1)]
    assert ended(still, moved) == []
    assert ended(still, moved[:1]) == [(30.0, 60.0)]
    happy = fact("expression", 1, 3, label="happy", score=0.8)
    assert ended(rules("{observed: {kind: expression, label: happy}}"), [happy]) == [(1.0, 3.0)]


def test_a_fall_in_a_zone_is_found_where_the_person_stands():
    fallen = fact("posture", 2, 9, label="fallen", score=0.8, track="t1")
    rule = rules("{fall: {zone: left}}")
    assert len(ended(rule, [fallen, *walk("t1", standing(0.3), 0, 10)])) == 1
    assert ended(rule, [fallen, *walk("t1", standing(0.7), 0, 10)]) == []


def test_all_any_and_not():
    shout = fact("sound", 4, 6, label="shout", score=0.9)
    seen = walk("t1", standing(0.3), 2, 8)
    both = "{all: [{sound: {label: shout}}, {object: {label: person}}]}"
    assert ended(rules(both), [shout, *seen]) == [(4.0, 6.0)]
    assert ended(rules(both), [shout]) == []
    within = "{all: {of: [{sound: {label: shout}}, {object: {label: person}}], within: 5s}}"
    late = walk("t1", standing(0.3), 9, 10)
    assert ended(rules(both), [shout, *late]) == []
    assert len(ended(rules(within), [shout, *late])) == 1
    either = "{any: [{sound: {label: shout}}, {object: {label: person}}]}"
    assert ended(rules(either, per="camera"), [shout, *seen]) == [(2.0, 7.8)]
    absent = rules("{not: {of: {object: {label: person}}, lasts: 20s}}")
    assert ended(absent, seen) == [(pytest.approx(29.3, abs=0.1), 60.0)]


def test_the_same_track_where_it_is_asked_for():
    when = "{all: {of: [{object: {zone: left}}, {object: {faster: 0.05 widths/s}}], same_track: true}}"
    still, fast = walk("a", standing(0.2), 0, 5), walk("b", moving(0.6, 0.1), 0, 4)
    assert ended(rules(when), still + fast) == []
    assert len(ended(rules(when), walk("a", moving(0.05, 0.08), 0, 5))) == 1


def test_a_sequence_in_order_and_in_time():
    when = "{sequence: {steps: [{sound: {label: glass}}, {object: {label: person}}], within: 10s}}"
    glass = fact("sound", 4, 5, label="glass", score=0.9)
    assert ended(rules(when), [glass, *walk("t1", standing(0.3), 8, 12)]) == [(8.0, 8.0)]
    assert ended(rules(when), [glass, *walk("t1", standing(0.3), 2, 12)]) == []
    assert ended(rules(when), [glass, *walk("t1", standing(0.3), 18, 22)]) == []
