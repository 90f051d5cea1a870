"""Which pictures may be smeared, by what the decoder gives and in which order."""

from __future__ import annotations

from types import SimpleNamespace

from scnet_edge.video.damage import DOUBT_S, Damage


def touched(damage: Damage, pts: int, *, key: bool = False, corrupt: bool = False) -> bool:
    frame = SimpleNamespace(pts=pts, key_frame=key, is_corrupt=corrupt)
    return damage.touches(frame, pts / 25)  # type: ignore[arg-type]


def test_a_key_frame_that_was_decoded_before_the_damage_ends_no_doubt() -> None:
    damage = Damage()
    for pts in (0, 3, 1, 2):
        damage.pass_on(pts)
    assert not touched(damage, 0, key=True)
    damage.pass_on(6)  # a key frame, shown behind those that come now
    damage.note(0.16)  # the packet of 4 is missing
    damage.pass_on(5)
    assert not touched(damage, 3), "it was decoded before"
    assert touched(damage, 5)
    assert not touched(damage, 6, key=True)
    damage.pass_on(7)
    assert touched(damage, 7), "it may be made from the picture that is missing"
    assert not touched(damage, 9, key=True)
    assert not touched(damage, 10)


def test_a_torn_picture_makes_those_behind_it_doubtful() -> None:
    damage = Damage()
    for pts in (0, 1, 2):
        damage.pass_on(pts)
    assert not touched(damage, 0, key=True)
    assert touched(damage, 1, corrupt=True)
    assert touched(damage, 2)
    assert not touched(damage, 2 + round(25 * (DOUBT_S + 1)))
