"""Tables after some shrinkings, drawn by hypothesis."""

from hypothesis import strategies as st

from mnv3lib.search.shrinking import keeps_structure, shrink, width_grid, width_groups, with_width


def shrunk_at_random(data, spec, most=6):
    """A table after some legal shrinkings."""
    grid = width_grid(spec)
    for _ in range(data.draw(st.integers(1, most), label="times")):
        choices = [
            (group, width)
            for group in width_groups(spec)
            for width in grid[group.index]
            if width < group.width and keeps_structure(spec, with_width(spec, group, width))
        ]
        if choices:
            spec = shrink(spec, *data.draw(st.sampled_from(choices), label="shrinking"))
    return spec
