"""Custody: who may open footage, what is handed out, and what becomes of it at the office.

Knows:  officers' public keys, document numbers, minutes, sealed chunks, the ledger; at the desk also private halves.
Never:  a private half on a pole, a picture on a pole, people flow, a network.
Leaves: bundles, which stay openable by both groups of officers together, and at the desk one film a camera.
Clauses: 7.2(1) (only with a document), 7.2(2) (nothing else), 7.3(1)1-3.
"""
