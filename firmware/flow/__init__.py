"""People flow: a slice of the street becomes whole numbers, a minute of them becomes one record.

Knows:  counts of one instant, histograms of such counts, the rule under which a minute may be told.
Never:  storage, cryptography, an encoder, a path, an identity, the footage house.
Leaves: :mod:`firmware.flow.record` values.
Clauses: 6.1(3), 6.1(4), 6.2(1), 6.2(2), 6.2(3).
"""
