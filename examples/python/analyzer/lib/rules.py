"""The analyzer's rules. A rule takes a syntax tree and yields comments."""

import ast
from dataclasses import dataclass, field


@dataclass
class Comment:
    """A comment, as in analysis.json. The platform has its text."""

    comment: str
    type: str
    params: dict = field(default_factory=dict)


RULES = []


def rule(function):
    RULES.append(function)
    return function


def comments_on(tree):
    for check in RULES:
        yield from check(tree)


FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def nodes(tree, *kinds):
    return (node for node in ast.walk(tree) if isinstance(node, kinds))


@rule
def wildcard_import(tree):
    for node in nodes(tree, ast.ImportFrom):
        if any(alias.name == "*" for alias in node.names):
            yield Comment(
                "python.general.wildcard_import", "essential", {"line": node.lineno, "module": node.module or "."}
            )


@rule
def mutable_default(tree):
    """A default value is made once, and shared by all calls."""
    literals = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
    for function in nodes(tree, *FUNCTIONS):
        arguments = function.args
        positional = arguments.posonlyargs + arguments.args
        defaults = list(zip(reversed(positional), reversed(arguments.defaults)))
        defaults += zip(arguments.kwonlyargs, arguments.kw_defaults)
        for argument, default in defaults:
            made = isinstance(default, ast.Call) and name_of(default.func) in {"list", "dict", "set"}
            if made or isinstance(default, literals):
                yield Comment(
                    "python.general.mutable_default",
                    "essential",
                    {"line": default.lineno, "function": function.name, "argument": argument.arg},
                )


@rule
def bare_except(tree):
    for node in nodes(tree, ast.ExceptHandler):
        if node.type is None:
            yield Comment("python.general.bare_except", "actionable", {"line": node.lineno})


@rule
def compared_to_constant(tree):
    """Suggests `is None`, and the value itself instead of a comparison to True or False."""
    for node in nodes(tree, ast.Compare):
        for operator, *sides in zip(node.ops, [node.left, *node.comparators], node.comparators):
            if not isinstance(operator, (ast.Eq, ast.NotEq)):
                continue
            for side in sides:
                if isinstance(side, ast.Constant) and any(side.value is it for it in (None, True, False)):
                    yield Comment(
                        "python.general.compared_to_constant",
                        "actionable",
                        {"line": node.lineno, "constant": repr(side.value)},
                    )


@rule
def unused_import(tree):
    used = {node.id for node in nodes(tree, ast.Name)} | exported(tree)
    for node in nodes(tree, ast.Import, ast.ImportFrom):
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            continue
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            if name != "*" and name not in used:
                yield Comment("python.general.unused_import", "actionable", {"line": node.lineno, "name": name})


def exported(tree):
    """Returns the names in __all__, which other modules use."""
    for node in nodes(tree, ast.Assign):
        if any(name_of(target) == "__all__" for target in node.targets):
            return {item.value for item in nodes(node.value, ast.Constant) if isinstance(item.value, str)}
    return set()


@rule
def shadowed_builtin(tree):
    builtins = {"dict", "filter", "id", "input", "list", "map", "max", "min", "set", "str", "sum", "type"}
    for function in nodes(tree, *FUNCTIONS):
        for name in nodes(function, ast.arg):
            if name.arg in builtins:
                yield Comment("python.general.shadowed_builtin", "actionable", {"line": name.lineno, "name": name.arg})
        for name in nodes(function, ast.Name):
            if isinstance(name.ctx, ast.Store) and name.id in builtins:
                yield Comment("python.general.shadowed_builtin", "actionable", {"line": name.lineno, "name": name.id})


@rule
def index_loop(tree):
    """Suggests enumerate instead of `for i in range(len(items))`."""
    for node in nodes(tree, ast.For, ast.comprehension):
        call = node.iter
        if not (isinstance(call, ast.Call) and name_of(call.func) == "range" and len(call.args) == 1):
            continue
        inner = call.args[0]
        if isinstance(inner, ast.Call) and name_of(inner.func) == "len":
            yield Comment("python.general.index_loop", "informative", {"line": call.lineno})


@rule
def missing_docstring(tree):
    for function in tree.body:
        if isinstance(function, FUNCTIONS) and not function.name.startswith("_") and not ast.get_docstring(function):
            yield Comment(
                "python.general.missing_docstring", "informative", {"line": function.lineno, "name": function.name}
            )


def name_of(node):
    return node.id if isinstance(node, ast.Name) else None
