"""Writes representation.txt, mapping.json and representation.json.

Two submissions that differ only in layout, comments, docstrings and the names
their authors chose have the same representation.
"""

import ast
import json
import os
import sys
import tempfile
from pathlib import Path

from normalize import normalize

# Increase this when a change here changes the representation of any submission.
VERSION = 1


def main(slug, source, target):
    source, target = Path(source), Path(target)
    name = f"{slug.replace('-', '_')}.py"
    try:
        tree = ast.parse((source / name).read_bytes(), filename=name)
        text, mapping = normalize(tree)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as problem:
        # A submission that cannot be parsed has no representation; an empty one
        # would equal that of all other broken submissions.
        sys.exit(f"{name} has no representation: {problem}")
    write(target / "representation.txt", text)
    write(target / "mapping.json", json.dumps(mapping, indent=2) + "\n")
    write(target / "representation.json", json.dumps({"version": VERSION}) + "\n")


def write(path, text):
    # The file is renamed into place, so a link left there by the submission is
    # replaced, not followed.
    descriptor, draft = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogatepass") as file:
        file.write(text)
    os.chmod(draft, 0o644)
    os.replace(draft, path)


if __name__ == "__main__":
    main(*sys.argv[1:])
