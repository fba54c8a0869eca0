"""The office: officers, recipients, holds, cases, media, as a fold over the acts that officers signed.

Knows:  acts, whose key signed them, what the ledger tells.
Never:  a private half, a picture, a person's name: officers are account codes.
Leaves: what is in force now, and for every act a verdict before it is done.
Clauses: 4.2(3), 5.1(1), 7.1(4), 7.2(1), 7.3(1)2.
"""
