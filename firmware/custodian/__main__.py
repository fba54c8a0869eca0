"""``python -m firmware.custodian``: the same as ``pole-custodian``.

Knows:  nothing.
Never:  anything of its own.
Leaves: see the package.
Clauses: 7.2(1).
"""

from firmware.custodian import main

main()
