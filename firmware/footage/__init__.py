"""Security footage: sealed the moment it is encoded, erased before its 337th hour begins.

Knows:  minutes (epochs), public keys, ciphertext, its own ledger lines.
Never:  the small stream, a number about people, a key that opens footage, a picture after it was sealed.
Leaves: age files, manifests, ledger lines.
Clauses: 2, 5.1, 7.1(1) (apart from people flow), 7.1(3) (336 hours), 7.3(1) (encrypted, erased, accounted for).
"""
