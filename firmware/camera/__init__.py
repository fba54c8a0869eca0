"""The camera: one lens, two streams that never meet again.

Knows:  slots of fixed memory, who holds each one, when it was overwritten, whether the lamp is on.
Never:  what is in a picture; a file, a key, a network address, a detector, an encoder.
Leaves: leases: small frames for people flow only, main frames or packets for footage only.
Clauses: 2, 5.1, 7.1(1) (the fork into two types), 5.1(1), 5.2(1) (overwritten at once, nothing kept),
         6.1(2), 7.1(2) (the lamp burns whenever a picture can exist).
"""
