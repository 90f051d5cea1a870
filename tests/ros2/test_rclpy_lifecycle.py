"""The node's states, over a stand-in that makes transitions as rclpy does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from stand_in import Answer, arrived
from wire import image, wall

from scnet_edge.errors import EngineGone

OUTPUTS = {"mask", "cracks", "detections", "overlay/compressed"}


def test_an_unconfigured_node_holds_nothing(make: Callable[..., Any]) -> None:
    node = make()
    assert node.state == "unconfigured"
    assert node.publishers_made.keys() == {"/diagnostics"}
    assert not node.subscriptions_made
    assert node.trigger_shutdown() is Answer.SUCCESS
    assert node.state == "finalized"


def test_an_inactive_node_has_its_engine_and_takes_no_image(make: Callable[..., Any]) -> None:
    node = make()
    assert node.trigger_configure() is Answer.SUCCESS
    assert node.state == "inactive"
    assert node.publishers_made.keys() == {"/diagnostics", *OUTPUTS}
    assert not node.subscriptions_made
    assert not node.timers
    assert segmenting() == 0


def test_deactivating_answers_the_image_in_work_and_then_publishes_no_more(
    start: Callable[..., Any],
) -> None:
    node = start()
    take = node.subscriptions_made["image"][1]
    take(image(wall()))
    arrived(node.publishers_made["mask"])
    for _ in range(50):
        take(image(wall()))
    assert node.trigger_deactivate() is Answer.SUCCESS
    assert node.state == "inactive"
    assert not node.subscriptions_made
    assert not node.timers
    assert segmenting() == 0
    mask, core = node.publishers_made["mask"], node._core
    assert core.processed == len(mask.published) == len(node.publishers_made["cracks"].published)
    assert core.processed + core.dropped == 51
    before = len(mask.published)
    mask.publish(mask.published[0])
    assert len(mask.published) == before


def test_it_can_be_activated_again(start: Callable[..., Any]) -> None:
    node = start()
    node.trigger_deactivate()
    assert node.trigger_activate() is Answer.SUCCESS
    assert node.state == "active"
    node.subscriptions_made["image"][1](image(wall()))
    [mask] = arrived(node.publishers_made["mask"])
    assert str(mask.header) == str(image(wall()).header)


def test_cleaning_up_releases_the_engine_and_parameters_are_read_anew(
    start: Callable[..., Any],
) -> None:
    node = start()
    closed = note_closing(node)
    node.trigger_deactivate()
    assert not closed
    assert node.trigger_cleanup() is Answer.SUCCESS
    assert node.state == "unconfigured"
    assert closed
    assert node.publishers_made.keys() == {"/diagnostics"}
    node.parameters["compressed"] = True
    assert node.start()
    assert "image/compressed" in node.subscriptions_made


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_shutdown_frees_all_from_every_state(make: Callable[..., Any], steps: int) -> None:
    node = make()
    for step in (node.trigger_configure, node.trigger_activate)[:steps]:
        assert step() is Answer.SUCCESS
    closed = note_closing(node) if steps else [True]
    assert node.trigger_shutdown() is Answer.SUCCESS
    assert node.state == "finalized"
    assert closed
    assert segmenting() == 0
    assert node.publishers_made.keys() == {"/diagnostics"}
    assert not node.subscriptions_made


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"bundle": ""}, "parameter bundle: expected a folder"),
        ({"bundle": "/nowhere"}, "/nowhere"),
        ({"input_reliability": "sometimes"}, "input_reliability: expected one of"),
        ({"distance_m": -1.0}, "distance_m: expected a number above 0"),
    ],
)
def test_what_is_wrong_is_one_line_and_leaves_it_unconfigured(
    make: Callable[..., Any], bundle: str, wrong: dict[str, Any], line: str
) -> None:
    node = make(**wrong)
    assert not node.start()
    assert node.state == "unconfigured"
    [error] = node.errors
    assert line in error
    assert "\n" not in error
    node.parameters.update(bundle=bundle, input_reliability="reliable", distance_m=0.0)
    assert node.start()
    assert node.state == "active"


def test_a_bug_is_told_with_its_place_and_frees_all(
    make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception that is no refusal makes an ERROR of the transition; rclpy does not log it."""
    node = make()
    closed: list[list[bool]] = []

    def broken(*args: object) -> Any:
        closed.append(note_closing(node))
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(node, "create_lifecycle_publisher", broken)
    assert node.trigger_configure() is Answer.ERROR
    assert node.state == "unconfigured"
    assert closed == [[True]]
    [told] = node.errors
    assert "ZeroDivisionError: a bug" in told
    monkeypatch.undo()
    assert node.start()


def test_main_starts_the_node_and_frees_it(module: Callable[..., Any]) -> None:
    seen: list[Any] = []

    def spin(node: Any) -> None:
        node.subscriptions_made["image"][1](image(wall()))
        arrived(node.publishers_made["mask"])
        seen.append((node, node.state))
        raise KeyboardInterrupt

    module(spin=spin).main()
    [(node, state)] = seen
    assert state == "active"
    assert node.destroyed
    assert segmenting() == 0


def test_main_leaves_the_states_to_others_where_asked(module: Callable[..., Any]) -> None:
    seen: list[str] = []
    module(spin=lambda node: seen.append(node.state), autostart=False).main()
    assert seen == ["unconfigured"]


def test_main_ends_with_1_where_it_cannot_start(module: Callable[..., Any]) -> None:
    with pytest.raises(SystemExit) as ended:
        module(bundle="/nowhere", spin=lambda node: pytest.fail("it spins")).main()
    assert ended.value.code == 1
    node = module(distance_m=1)  # a whole number, which ROS does not take for a float
    with pytest.raises(SystemExit) as ended:
        node.main()
    assert ended.value.code == 1
    assert node.logged == ["Trying to set parameter 'distance_m'"]


def test_main_ends_with_1_where_the_engine_is_gone(module: Callable[..., Any]) -> None:
    def spin(node: Any) -> None:
        def crash(*args: object) -> Any:
            raise EngineGone("the engine crashed 3 times")

        node._core.image = crash
        node.subscriptions_made["image"][1](image(wall()))
        node._worker.join(60)
        assert node.errors == ["the engine crashed 3 times"]

    with pytest.raises(SystemExit) as ended:
        module(spin=spin).main()
    assert ended.value.code == 1


def note_closing(node: Any) -> list[bool]:
    """Return a list that holds an entry as soon as the node has closed its pipeline."""
    pipeline, closed = node._pipeline, []
    close = pipeline.close

    def noting() -> None:
        closed.append(True)
        close()

    pipeline.close = noting
    return closed


def segmenting() -> int:
    """Return how many threads segment."""
    return sum(thread.name == "segment" for thread in threading.enumerate())
