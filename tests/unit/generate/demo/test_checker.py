import numpy as np
import pytest

from datasets.demo_model import checker, shapes, style, world

GRID = shapes.pixel_grid(256)


def picture(scene: world.Scene, seed: int = 0) -> np.ndarray:
    drawn = style.styled(scene, style.spots_of(scene, np.random.default_rng(seed)), GRID)
    return ((drawn.transpose(1, 2, 0) + 1.0) * 127.5).round().clip(0, 255).astype(np.uint8)


def scenes(count: int) -> list[world.Scene]:
    rng = np.random.default_rng(7)
    return [world.random_scene(rng, test=bool(i % 2)) for i in range(count)]


@pytest.mark.parametrize("word", world.COLOURS)
def test_every_colour_is_named_even_when_a_little_off(word: str) -> None:
    exact = np.array(world.PALETTE[word])
    for shift in ((0, 0, 0), (5, 0, -5), (-5, 3, 3)):
        assert checker.colour_name((exact + shift).clip(0, 255)) == word


def test_ground_truth_is_right() -> None:
    for i, scene in enumerate(scenes(60)):
        told = checker.verdict(checker.look(picture(scene, i)), scene)
        assert all(told.values()), (scene, told)


def test_a_caption_of_another_scene_is_wrong() -> None:
    many = scenes(60)
    for scene, other in zip(many, many[1:] + many[:1], strict=True):
        assert not all(checker.verdict(checker.look(picture(scene)), other).values())


def test_each_attribute_is_judged_by_itself() -> None:
    heart, star = world.Thing("heart", "red"), world.Thing("star", "blue")
    seen = checker.look(picture(world.Scene((heart, star), "yellow", relation="above")))
    near = {
        "relation": world.Scene((heart, star), "yellow", relation="left"),
        "shape": world.Scene((heart, world.Thing("ring", "blue")), "yellow", relation="above"),
        "colour": world.Scene((heart, world.Thing("star", "cyan")), "yellow", relation="above"),
        "background": world.Scene((heart, star), "orange", relation="above"),
    }
    for attribute, scene in near.items():
        told = checker.verdict(seen, scene)
        assert [name for name, fine in told.items() if not fine] == [attribute]


def test_swapped_colours_are_not_forgiven() -> None:
    drawn = world.Scene((world.Thing("heart", "red"), world.Thing("star", "blue")), "white")
    asked = world.Scene((world.Thing("heart", "blue"), world.Thing("star", "red")), "white")
    assert not all(checker.verdict(checker.look(picture(drawn)), asked).values())


@pytest.mark.parametrize("size", ["small", "large"])
def test_a_wrong_size_is_noticed(size: str) -> None:
    for shape in shapes.SHAPES:
        thing = world.Thing(shape, "green")
        seen = checker.look(picture(world.Scene((thing,), "white")))
        told = checker.verdict(seen, world.Scene((thing,), "white", size=size))
        assert [name for name, fine in told.items() if not fine] == ["size"]


def test_a_wrong_place_is_noticed() -> None:
    thing = world.Thing("cross", "green")
    seen = checker.look(picture(world.Scene((thing,), "white", place="left")))
    told = checker.verdict(seen, world.Scene((thing,), "white", place="right"))
    assert [name for name, fine in told.items() if not fine] == ["place"]


def test_an_empty_frame_and_noise_show_nothing_asked_for() -> None:
    scene = world.Scene((world.Thing("circle", "red"),), "white")
    flat = np.full((128, 128, 3), 248, np.uint8)
    told = checker.verdict(checker.look(flat), scene)
    assert told == {
        "count": False,
        "background": True,
        "shape": False,
        "colour": False,
    }
    noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    assert not all(checker.verdict(checker.look(noise), scene).values())
