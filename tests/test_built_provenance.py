"""Every notebook's page ends with a box that says where its numbers come from."""

import re

import pytest

from html_checks import read
from mnv3lib.measure.machine import processor_name

pytestmark = pytest.mark.book

EXECUTED = re.compile(r"Executed on \d{1,2} [A-Z][a-z]+ 20\d\d, \d\d:\d\d UTC, in [\d.]+ seconds\.")


def test_box_below_every_notebook_and_no_other_page(root, repository, page_name):
    boxes = read(root / page_name).soup.select("article div.admonition.provenance")
    notebook = (repository / page_name).with_suffix(".ipynb").is_file()
    assert len(boxes) == notebook
    if notebook:
        text = " ".join(boxes[0].get_text(" ").split())
        assert EXECUTED.search(text)
        assert f"On {processor_name()}" in text
        assert re.search(r"With python 3\.\S+, torch \S+", text)
        assert not re.search(r"(?<!\w)/\w+/", text), "a path of the machine"
        after = boxes[0].find_all_next(["p", "h2", "table", "figure"])
        inside = boxes[0].find_all(["p", "h2", "table", "figure"])
        article = boxes[0].find_parent("article")
        assert [tag for tag in after if tag in inside or article in tag.parents] == inside
