"""Printed pages: an HTML template of this house and facts become one file that any browser prints.

Knows:  the templates beside the modules that use them.
Never:  a fact put into a page unescaped, a page with a hole where a fact should be, anything fetched from outside.
Leaves: HTML text, all of it in one file.
Clauses: 4.2(1) (what is said on paper is what is in force), 7.3(1)2.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_HOUSE: Final = Path(__file__).parent


def render(template: str, facts: dict[str, object]) -> str:
    """Return ``template`` (a path below this house, for instance ``papers/morning.html``) filled with ``facts``.

    Raises jinja2.UndefinedError for a fact that the template names and ``facts`` lacks.
    """
    pages = Environment(
        loader=FileSystemLoader(_HOUSE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return pages.get_template(template).render(facts)
