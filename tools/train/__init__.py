"""The recipe of the models: data, training, quantisation, manifest. Never part of an image.

Knows:  pictures in a folder that is handed to it, the synthetic street.
Never:  imported by the firmware; a picture copied into the project.
Leaves: ``.tflite`` files and lines for ``models/MANIFEST.toml``.
Clauses: 4.2(2), 6.1(4) (the only outputs are boxes that die with the slice, and classes of closed lists).
"""
