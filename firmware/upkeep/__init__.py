"""Upkeep: what a maintainer sets and sees.

Knows:  pole.toml, states of the systems, counters, fingerprints of officers' keys.
Never:  a picture, a count of people, a key, a case.
Leaves: status.json, written anew every minute; tables for a terminal.
Clauses: 5.1 (each system is managed by itself), 1 (out-of-law settings are refused).
"""
