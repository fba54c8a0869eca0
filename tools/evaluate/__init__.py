"""Measures a detector on streets whose truth is known.

Knows:  our own model contract, through the firmware's own loader and decoder.
Never:  trained on what it measures: its seeds are held out of training.
Leaves: a table.
Clauses: 4.2(2), 6.1(3) (what the city may believe of a count).
"""
