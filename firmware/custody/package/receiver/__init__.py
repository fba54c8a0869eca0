"""What a receiver runs: written so that it stands alone, and copied into each package as one Python file and one page.

Knows:  nothing of the rest of the firmware; the standard library of Python 3.8.
Never:  a library to install, a network, a private key.
Leaves: ``verify.py`` and ``verify.html``.
Clauses: 7.3(1)3 (whoever receives a package can judge it without us).
"""
