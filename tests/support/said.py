"""What the code can say: every text that it hands to a report, found in its syntax trees and not in its prose.

A text is followed from where it enters a value of the domain (``Gate(reason=...)``, ``raise EvidenceError(...)``)
back to constants: through names, conditionals, f-strings, tuples, local lists, and functions of the same or an
imported module. What only a run can know (a number, a name) is a hole, written ``{}``.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOLE = "{}"
DEPTH = 12
"""Of names and calls that are followed; deeper is a hole."""


@dataclass
class Module:
    """One parsed file: its constants, functions, and what it imports from which of our files."""

    path: Path
    tree: ast.Module
    names: dict[str, list[ast.expr]] = field(default_factory=dict)
    functions: dict[str, ast.FunctionDef] = field(default_factory=dict)
    imported: dict[str, tuple[Path, str]] = field(default_factory=dict)


@cache
def module(path: Path) -> Module:
    made = Module(path, ast.parse(path.read_text(encoding="utf-8")))
    for node in made.tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name):
                    made.names.setdefault(target.id, []).append(node.value)
        if isinstance(node, ast.ImportFrom) and node.module:
            made.imported |= {each.asname or each.name: found for each in node.names if (found := _file(node, each))}
    made.functions = {node.name: node for node in ast.walk(made.tree) if isinstance(node, ast.FunctionDef)}
    return made


def _file(node: ast.ImportFrom, name: ast.alias) -> tuple[Path, str] | None:
    """Where an imported name of ours is: (file, name), or (file, "") for a module."""
    for root in (ROOT, ROOT / "plugins"):
        base = root.joinpath(*str(node.module).split("."))
        for file, inner in ((base / f"{name.name}.py", ""), (base.with_suffix(".py"), name.name)):
            if file.is_file():
                return file, inner
    return None


@dataclass
class Reader:
    """Reads the texts of expressions within one function of one module."""

    module: Module
    function: ast.FunctionDef | None
    depth: int = 0

    def texts(self, node: ast.expr) -> set[str]:
        """Every text that the expression can be; of a collection every text that can be in it."""
        if self.depth > DEPTH:
            return {HOLE}
        match node:
            case ast.Constant(value=str(text)):
                return {text}
            case ast.JoinedStr(values=parts):
                return self._joined([self._part(part) for part in parts])
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return self._added(left, right)
            case ast.IfExp(body=body, orelse=other):
                return self.texts(body) | self.texts(other)
            case ast.BoolOp(values=values) | ast.Tuple(elts=values) | ast.List(elts=values) | ast.Set(elts=values):
                return set().union(*(self.texts(value) for value in values))
            case ast.Starred(value=value) | ast.NamedExpr(value=value):
                return self.texts(value)
            case ast.GeneratorExp(elt=value) | ast.ListComp(elt=value) | ast.SetComp(elt=value):
                return self.texts(value)
            case ast.Dict(values=values):
                return set().union(*(self.texts(value) for value in values))
            case ast.Subscript(value=value):
                return self.texts(value)
            case ast.Name(id=name):
                return self._named(name)
            case ast.Call():
                return self._called(node)
        return {HOLE}

    def _part(self, part: ast.expr) -> set[str]:
        return self.texts(part.value) if isinstance(part, ast.FormattedValue) else self.texts(part)

    def _joined(self, parts: list[set[str]]) -> set[str]:
        """Every combination; a part that can be very much is a hole."""
        kept = [part if 0 < len(part) <= 8 else {HOLE} for part in parts]
        return {"".join(combination) for combination in product(*kept)}

    def _added(self, left: ast.expr, right: ast.expr) -> set[str]:
        """Text after text, or tuple after tuple."""
        if self._is_many(left) or self._is_many(right):
            return self.texts(left) | self.texts(right)
        return self._joined([self.texts(left), self.texts(right)])

    def _is_many(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Tuple | ast.List | ast.GeneratorExp | ast.ListComp):
            return True
        if isinstance(node, ast.Name):
            return any(self._is_many(value) for value in self._values(node.id))
        if isinstance(node, ast.BinOp):
            return self._is_many(node.left) or self._is_many(node.right)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("tuple", "list"):
            return True
        return isinstance(node, ast.Call) and not isinstance(node.func, ast.Attribute)

    def _values(self, name: str) -> list[ast.expr]:
        """What a name is given in this function, else in this module."""
        if self.function is not None:
            local = [value for target, value in _bindings(self.function) if target == name]
            if local:
                return local
            if name in _parameters(self.function):
                return []
        return self.module.names.get(name, [])

    def _named(self, name: str) -> set[str]:
        values = self._values(name)
        if not values and self.function is not None and name in _parameters(self.function):
            return self._given(self.function, name)
        if not values and name in self.module.imported:
            file, inner = self.module.imported[name]
            return Reader(module(file), None, self.depth + 1)._named(inner) if inner else {HOLE}
        deeper = Reader(self.module, self.function, self.depth + 1)
        return set().union(*(deeper.texts(value) for value in values)) if values else {HOLE}

    def _given(self, function: ast.FunctionDef, name: str) -> set[str]:
        """What the calls in this module give as that parameter."""
        position = _parameters(function).index(name)
        found: set[str] = set()
        for caller, node in _nodes(self.module.tree, None):
            if not isinstance(node, ast.Call) or not _calls(node, function):
                continue
            method = isinstance(node.func, ast.Attribute)
            given = dict(enumerate(node.args, start=1 if method else 0))
            value = next((each.value for each in node.keywords if each.arg == name), given.get(position))
            if value is not None:
                found |= Reader(self.module, caller, self.depth + 1).texts(value)
        return found or {HOLE}

    def _called(self, call: ast.Call) -> set[str]:
        match call.func:
            case ast.Name(id="tuple" | "list" | "sorted" | "set"):
                return self.texts(call.args[0]) if call.args else set()
            case ast.Attribute(value=ast.Constant(value=str(glue)), attr="join"):
                return self.texts(call.args[0]) if glue == "; " else {HOLE}
            case ast.Attribute(value=ast.Name(id="dict"), attr="fromkeys"):
                return self.texts(call.args[0])
            case ast.Attribute(value=value, attr="rstrip" | "removesuffix" | "strip"):
                return self.texts(value)
            case ast.Name(id=name):
                return self._returned(self.module, name)
            case ast.Attribute(value=ast.Name(id="self"), attr=name):
                return self._returned(self.module, name)
            case ast.Attribute(value=ast.Name(id=name), attr=inner) if name in self.module.imported:
                return self._returned(module(self.module.imported[name][0]), inner)
        return {HOLE}

    def _returned(self, home: Module, name: str) -> set[str]:
        if name in home.imported:
            file, inner = home.imported[name]
            return self._returned(module(file), inner) if inner else {HOLE}
        function = home.functions.get(name)
        if function is None:
            return {HOLE}
        inside = Reader(home, function, self.depth + 1)
        answers = [node.value for node in ast.walk(function) if isinstance(node, ast.Return | ast.Yield) and node.value]
        return set().union(*(inside.texts(answer) for answer in answers)) if answers else {HOLE}


def _parameters(function: ast.FunctionDef) -> list[str]:
    return [each.arg for each in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]


def _calls(node: ast.Call, function: ast.FunctionDef) -> bool:
    match node.func:
        case ast.Name(id=name) | ast.Attribute(value=ast.Name(id="self"), attr=name):
            return name == function.name
    return False


def _bindings(function: ast.FunctionDef) -> Iterator[tuple[str, ast.expr]]:
    """Names and what they are given: by assignment, by ``+=``, by ``.append``."""
    for node in ast.walk(function):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield name, value
            case ast.AugAssign(target=ast.Name(id=name), value=value):
                yield name, value
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="append"), args=[value]):
                yield name, value
            case ast.NamedExpr(target=ast.Name(id=name), value=value):
                yield name, value


def texts_of(files: list[Path], keywords: frozenset[str], errors: frozenset[str], calls: frozenset[str]) -> set[str]:
    """Every text of those files that is given as one of `keywords`, raised as one of `errors`, the last
    argument of a method among `calls`, or an argument of a function among them."""
    found: set[str] = set()
    for file in files:
        made = module(file)
        for function, node in _nodes(made.tree, None):
            reader = Reader(made, function)
            for value in _handed_over(node, keywords, errors, calls):
                found |= reader.texts(value)
    return {text for text in found if text.replace(HOLE, "").strip(" :;,.()")}


def _nodes(node: ast.AST, function: ast.FunctionDef | None) -> Iterator[tuple[ast.FunctionDef | None, ast.AST]]:
    for child in ast.iter_child_nodes(node):
        yield function, child
        yield from _nodes(child, child if isinstance(child, ast.FunctionDef) else function)


def _handed_over(
    node: ast.AST, keywords: frozenset[str], errors: frozenset[str], calls: frozenset[str]
) -> Iterator[ast.expr]:
    match node:
        case ast.Raise(exc=ast.Call(func=ast.Name(id=name), args=[value, *_])) if name in errors:
            yield value
        case ast.Call(func=ast.Attribute(value=ast.Attribute(attr=owner), attr="append"), args=[value]) if (
            f"{owner}.append" in calls
        ):
            yield value
        case ast.Call(func=ast.Attribute(attr=name), args=[*_, value]) if name in calls:
            yield value
        case ast.Call(func=ast.Name(id=name), args=values) if name in calls:
            yield from values
        case ast.Call(keywords=given):
            yield from (each.value for each in given if each.arg in keywords)
