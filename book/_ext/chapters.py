"""Which pages of the book are chapters, for the extensions beside this file."""

from sphinx.environment import BuildEnvironment


def chapters(env: BuildEnvironment) -> dict[str, int]:
    """The numbered notebooks in the order of the book, with their numbers.

    Numbers are given after all pages are read: ask for them when links are resolved, or later.
    """
    numbers = {name: found[""][0] for name, found in env.toc_secnumbers.items() if found.get("")}
    ours = [name for name in numbers if env.doc2path(name).endswith(".ipynb")]
    return {name: numbers[name] for name in sorted(ours, key=numbers.get)}
