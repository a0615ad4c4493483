"""Finds the constructs that a solution uses, for tags.json."""

import ast

TAGS = {
    ast.AsyncFunctionDef: "construct:async",
    ast.BoolOp: "construct:boolean",
    ast.ClassDef: "construct:class",
    ast.Compare: "construct:comparison",
    ast.Dict: "construct:dictionary",
    ast.DictComp: "construct:dictionary-comprehension",
    ast.For: "construct:for-loop",
    ast.FunctionDef: "construct:function",
    ast.GeneratorExp: "construct:generator-expression",
    ast.If: "construct:if",
    ast.IfExp: "construct:conditional-expression",
    ast.Import: "construct:import",
    ast.ImportFrom: "construct:import",
    ast.JoinedStr: "construct:f-string",
    ast.Lambda: "construct:lambda",
    ast.List: "construct:list",
    ast.ListComp: "construct:list-comprehension",
    ast.Match: "construct:match",
    ast.Raise: "construct:raise",
    ast.Return: "construct:return",
    ast.Set: "construct:set",
    ast.SetComp: "construct:set-comprehension",
    ast.Try: "construct:try",
    ast.Tuple: "construct:tuple",
    ast.While: "construct:while-loop",
    ast.With: "construct:with",
    ast.Yield: "construct:generator",
}


def tags_of(tree):
    return {TAGS[type(node)] for node in ast.walk(tree) if type(node) in TAGS}
