"""The package: what an investigator receives, and can play and judge without anything of ours. At the desk only.

Knows:  one opened bundle and its case, for as long as the package is made.
Never:  a frame encoded again, a plain copy left on the desk's disk unless it was asked for, a name of a person.
Leaves: one age file to the recipient's own key, papers to print.
Clauses: 7.2(1) (what the document asks for), 7.2(2), 7.3(1)2 (to a registered body only), 7.3(1)3 (carried encrypted).
"""
