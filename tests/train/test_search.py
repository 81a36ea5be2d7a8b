"""What may be varied, as it is written."""

import pytest

from mien.errors import OptionError
from mien.train.recipes import cnn4
from mien.train.search import DEFAULT, Choice, Range, as_text, draw, parse


def test_ranges_and_choices_are_read():
    recipe = cnn4()
    assert parse("optim.learning_rate=0.02..0.3:log", recipe) == Range(
        field="optim.learning_rate", low=0.02, high=0.3, log=True
    )
    assert parse("epochs=2..9", recipe) == Range(field="epochs", low=2, high=9, whole=True)
    assert parse("augment.rotation=0..25", recipe) == Range(
        field="augment.rotation", low=0, high=25
    )
    assert parse("optim.schedule=linear,cosine", recipe) == Choice(
        field="optim.schedule", values=("linear", "cosine")
    )
    assert parse("model.widths=16,32,64,128;32,64,96,96", recipe) == Choice(
        field="model.widths", values=("16,32,64,128", "32,64,96,96")
    )
    assert len({parse(text, recipe).field for text in DEFAULT}) == len(DEFAULT)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("augment.erase", "write it as"),
        ("augment.erase=", "write it as"),
        ("augment.erase=0.5..0.1", "below the second"),
        ("augment.erase=0..0.5:log", "begins above 0"),
        ("augment.erase=a..b", "not numbers"),
        ("augment.erase=0..nan", "below the second"),
        ("augment.erase=0..2", "erase"),
        ("optim.schedule=linear", "two different values"),
        ("optim.schedule=linear,linear", "two different values"),
        ("optim.schedule=linear,square", "square"),
        ("optim.nothing=1..2", "no field"),
    ],
)
def test_what_cannot_be_searched_is_refused(text: str, said: str):
    with pytest.raises(OptionError, match=said):
        parse(text, cnn4())


def test_a_drawn_recipe_has_the_suggested_values():
    dimensions = (
        parse("epochs=2..9", cnn4()),
        parse("optim.learning_rate=0.01..0.1", cnn4()),
        parse("model.widths=16,32,64,128;32,64,96,96", cnn4()),
    )
    values = {"epochs": 7, "optim.learning_rate": 0.0625, "model.widths": "32,64,96,96"}
    drawn = draw(dimensions, cnn4(), lambda one: values[one.field])
    assert (drawn.epochs, drawn.optim.learning_rate) == (7, 0.0625)
    assert drawn.model.widths == (32, 64, 96, 96)
    assert drawn.augment == cnn4().augment


def test_numbers_are_written_so_that_they_come_back():
    assert [as_text(value) for value in (3, 3.0, 0.1, "a")] == ["3", "3", "0.1", "a"]
    assert float(as_text(1 / 3)) == 1 / 3
