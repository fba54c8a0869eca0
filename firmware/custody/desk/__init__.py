"""The desk: what becomes of a bundle at the office, with a key of each group. Never on a pole.

Knows:  one opened bundle at a time.
Never:  a frame encoded again, a picture kept of an attempt that failed.
Leaves: films and their papers.
Clauses: 7.2(1), 7.2(2), 7.3(1)3.
"""
