"""docs/extend.md shows the files of tests/recipes, word for word."""

import pytest
from extend_page import HEADINGS, RECIPES, commands, recipe_files, section, shown_files


def test_every_recipe_has_a_section():
    assert {path.name for path in RECIPES.iterdir()} == set(HEADINGS)


@pytest.mark.parametrize("recipe", HEADINGS)
def test_the_page_shows_the_files_of_a_recipe(recipe):
    files = recipe_files(recipe)
    assert shown_files(recipe) == {name: content for name, content in files.items() if content}
    for name, content in files.items():
        assert content or f"the empty file `{name}`" in section(recipe)


@pytest.mark.parametrize("recipe", HEADINGS)
def test_the_page_says_what_to_type(recipe):
    assert any(command[:3] == ["snakemake", "--cores", "all"] for command in commands(recipe))
