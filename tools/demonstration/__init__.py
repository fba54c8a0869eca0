"""The demonstration: two poles on simulated streets, a broker, the officers' desk, the erasure.

Knows:  the production pole, the synthetic street, a broker on this machine.
Never:  a shortcut: what it shows is what the pole, the broker and the disk really hold.
Leaves: a screen, a contact sheet, an exit code that tells the truth.
"""
