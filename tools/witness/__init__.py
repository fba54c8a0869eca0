"""An outside witness: another organisation's program, which keeps what poles say of their ledgers and cosigns it.

It shares with the firmware only text forms and the tree of RFC 6962 (``firmware.ground``). See README.md beside this.
"""
