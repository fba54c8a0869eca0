"""Keys: officers' age key files and their words, poles' public keys.

Knows:  private halves for as long as one is made or used, never on a pole; public keys.
Never:  a case, footage.
Leaves: key files, verdicts on signatures.
Clauses: 7.3(1)1, 7.3(1)3.
"""
