"""The bundle: what leaves a pole in a case, how it is written and how it is judged.

Knows:  sealed minutes, their proofs, private halves still encrypted to both groups of officers.
Never:  a decrypted byte.
Leaves: one tar, or a refusal that names what is wrong with it.
Clauses: 7.2(1), 7.3(1)3.
"""
