"""Normalizes a syntax tree: replaces names that the author chose, and removes docstrings."""

import ast

# The fields that hold the name of a definition, an argument, a handler or a pattern.
NAME_FIELDS = {
    ast.FunctionDef: "name",
    ast.AsyncFunctionDef: "name",
    ast.ClassDef: "name",
    ast.Name: "id",
    ast.arg: "arg",
    ast.keyword: "arg",
    ast.ExceptHandler: "name",
    ast.MatchAs: "name",
    ast.MatchStar: "name",
    ast.MatchMapping: "rest",
    ast.alias: "asname",
}
# Nodes that only use a name; the others bind it.
USES = (ast.keyword,)


def normalize(tree):
    """Returns the normalized source, and the name of each placeholder."""
    drop_docstrings(tree)
    renamer = Renamer(chosen_names(tree), chosen_attributes(tree))
    tree = ast.fix_missing_locations(renamer.visit(tree))
    return ast.unparse(tree) + "\n", {stand_in: name for name, stand_in in renamer.stand_ins.items()}


def drop_docstrings(tree):
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if ast.get_docstring(node, clean=False) is not None:
            rest = node.body[1:]
            # Only a module's body may be empty.
            node.body = rest if rest or isinstance(node, ast.Module) else [ast.Pass()]


def chosen_names(tree):
    """Returns the names that the submission binds, not those of the language and of libraries."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Global, ast.Nonlocal)):
            names.update(node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            continue
        elif type(node) in NAME_FIELDS and not isinstance(node, USES):
            names.add(getattr(node, NAME_FIELDS[type(node)]))
    return {name for name in names if name and not is_magic(name)}


def chosen_attributes(tree):
    """Returns the attributes that the submission sets, or defines in a class."""
    attributes = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    names = {node.attr for node in attributes if isinstance(node.ctx, ast.Store)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for item in node.body:
                names |= chosen_names(item) if isinstance(item, (ast.Assign, ast.AnnAssign)) else set()
                if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    names.add(item.name)
    return {name for name in names if not is_magic(name)}


def is_magic(name):
    return name.startswith("__") and name.endswith("__")


class Renamer(ast.NodeTransformer):
    """Replaces names by placeholders, numbered in order of appearance in all scopes."""

    def __init__(self, names, attributes):
        self.names, self.attributes = names, attributes
        self.stand_ins = {}

    def stand_in(self, name):
        return self.stand_ins.setdefault(name, f"PLACEHOLDER_{len(self.stand_ins)}")

    def visit(self, node):
        field = NAME_FIELDS.get(type(node))
        if field and getattr(node, field) in self.names:
            setattr(node, field, self.stand_in(getattr(node, field)))
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            node.names = [self.stand_in(name) for name in node.names]
        node = self.generic_visit(node)
        # Its object comes first in the source, so it has been replaced already.
        if isinstance(node, ast.Attribute) and node.attr in self.attributes:
            node.attr = self.stand_in(node.attr)
        return node
