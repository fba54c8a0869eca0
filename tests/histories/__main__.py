"""``python -m tests.histories SEED STEPS [FIRST_WORLD]``."""

from tests.histories.play import main

main()
