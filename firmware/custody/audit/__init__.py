"""What an auditor can find out about a pole without trusting it: its ledger, its balance of minutes, its erasures.

Knows:  a copy of a ledger, checkpoints that others kept, names and hashes of stored minutes.
Never:  a private half of anything but the pole's own note key, a decrypted byte, a line changed.
Leaves: verdicts that name the line or the minute; signed certificates of erasure.
Clauses: 7.3(1)3 (recorded, carried, erased: accounted for), 7.1(3).
"""
