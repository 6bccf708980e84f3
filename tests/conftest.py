"""Settings of all tests."""

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

collect_ignore = ["recipes"]
"""Files of the recipes of docs/extend.md, which the project does not have: tests/workflow/test_extend.py adds them."""


def pytest_collection_modifyitems(items):
    """Tests that run the workflow come first: the longest shall not be left to one worker at the end."""
    items.sort(key=lambda item: "workflow" not in item.path.parts)
