"""The film that the tests of the whole pole use too."""

from tests.whole.conftest import long_film

__all__ = ["long_film"]
