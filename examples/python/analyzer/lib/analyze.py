"""Writes analysis.json and tags.json for one submission.

The rules are in rules.py, the tags in tags.py. Both read only the syntax tree;
the submission is never run.
"""

import ast
import json
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

from rules import Comment, comments_on
from tags import tags_of

# The order in which a student reads the comments.
TYPES = ["essential", "actionable", "informative", "celebratory"]


def main(slug, source, target):
    source, target = Path(source), Path(target)
    name = f"{slug.replace('-', '_')}.py"
    tree, problem = parse(source / name)
    comments = [problem] if problem else list(comments_on(tree))
    if not comments:
        comments = [Comment("python.general.nothing_to_add", "celebratory")]
    comments.sort(key=lambda comment: (TYPES.index(comment.type), comment.params.get("line", 0)))
    write(target / "analysis.json", {"summary": summary(comments), "comments": [vars(c) for c in comments]})
    write(target / "tags.json", {"tags": sorted(tags_of(tree)) if tree else []})


def parse(path):
    """Returns the syntax tree of a file, or a comment that says why there is none."""
    try:
        return ast.parse(path.read_bytes(), filename=path.name), None
    except FileNotFoundError:
        return None, Comment("python.general.no_solution", "essential", {"file": path.name})
    except SyntaxError as problem:
        line = problem.lineno or 0
        return None, Comment("python.general.syntax_error", "essential", {"line": line, "reason": problem.msg})
    except (ValueError, RecursionError, MemoryError) as problem:
        return None, Comment("python.general.syntax_error", "essential", {"line": 0, "reason": str(problem)})


def summary(comments):
    """Returns a line for the head of the page."""
    count = Counter(comment.type for comment in comments)
    if count["essential"]:
        return f"Before this solution is done, {things(count['essential'])} must change."
    if count["actionable"]:
        return f"This solution works towards its goal; {things(count['actionable'])} could be better."
    if count["informative"]:
        return f"This solution looks good; {things(count['informative'])} may be of interest."
    return "This solution looks good."


def things(count):
    return "one thing" if count == 1 else f"{count} things"


def write(path, value):
    # The file is renamed into place, so a link left there by the submission is
    # replaced, not followed.
    descriptor, draft = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2)
        file.write("\n")
    os.chmod(draft, 0o644)
    os.replace(draft, path)


if __name__ == "__main__":
    main(*sys.argv[1:])
