"""Write schemas and examples anew."""

from __future__ import annotations

from tools.contracts import FOLDER, files

if __name__ == "__main__":
    for name, text in files().items():
        (FOLDER / name).write_bytes(text)
        print(name)
