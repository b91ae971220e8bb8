"""Print the reference of the Python package as Markdown: every public name, its signature and its docstring.

Reads the source with griffe and runs none of it. Called by `cargo xtask docs` with the folder that holds the package.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import griffe

if TYPE_CHECKING:
    from collections.abc import Iterator

LINE = 100
KINDS = griffe.DocstringSectionKind
TITLES = {KINDS.parameters: "Parameters:", KINDS.raises: "Raises:", KINDS.returns: "Returns:", KINDS.yields: "Yields:"}
NAMED_BY_TYPE = {KINDS.raises}
MODULES = ("hubkey", "hubkey.auth", "hubkey.hub")


def public(module: griffe.Module) -> Iterator[tuple[str, griffe.Object]]:
    """The names that the module exports, in the order of its `__all__`, or of its source where it has none."""
    names = module.exports or [name for name, member in module.members.items() if is_own(name, member)]
    for name in names:
        member = module[str(name)]
        if not member.is_module:
            yield str(name), member.final_target if member.is_alias else member


def is_own(name: str, member: griffe.Object | griffe.Alias) -> bool:
    """Whether the module itself makes this function or class, under a public name."""
    return not name.startswith("_") and not member.is_alias and (member.is_function or member.is_class)


def signature(name: str, item: griffe.Object) -> str:
    """One line, or one line for each parameter where that is too long."""
    # `**unknown: NoReturn` takes nothing: it is there for a better message.
    shown = [one for one in item.parameters if one.name not in ("self", "cls") and str(one.annotation) != "NoReturn"]
    parts, kinds = [], griffe.ParameterKind
    for one in shown:
        if one.kind is kinds.keyword_only and "*" not in parts and not any(part.startswith("*") for part in parts):
            parts.append("*")
        stars = {kinds.var_positional: "*", kinds.var_keyword: "**"}.get(one.kind, "")
        text = stars + one.name + (f": {one.annotation}" if one.annotation else "")
        if one.default is not None and not stars:
            text += f" = {one.default}" if one.annotation else f"={one.default}"
        parts.append(text)
    result = f" -> {item.returns}" if item.returns else ""
    word = "async def" if "async" in item.labels else "def"
    line = f"{word} {name}({', '.join(parts)}){result}"
    if len(line) > LINE:
        line = f"{word} {name}(\n" + "".join(f"    {part},\n" for part in parts) + f"){result}"
    return line


def text_of(item: griffe.Object) -> str:
    """The docstring, with its sections as lists."""
    if not item.docstring:
        return ""
    blocks = []
    for section in item.docstring.parse("google", warnings=False):
        if section.kind is KINDS.text:
            blocks.append(section.value)
        elif section.kind in TITLES:
            listed = [one for one in section.value if str(one.annotation) != "NoReturn"]
            rows = [row(section.kind, one) for one in listed]
            blocks.append(f"{TITLES[section.kind]}\n\n" + "\n".join(rows))
        else:
            msg = f"{item.path}: a section of the kind {section.kind.value} is not known here"
            raise SystemExit(msg)
    return "\n\n".join(blocks)


def row(kind: griffe.DocstringSectionKind, one: griffe.DocstringElement) -> str:
    """One line of a list: a parameter, an exception or a result."""
    name = one.annotation if kind in NAMED_BY_TYPE else one.name
    text = " ".join(one.description.split())
    return f"- `{name}`: {text}" if name else f"- {text}"


def members(item: griffe.Class, exported: set[str]) -> Iterator[tuple[str, griffe.Object]]:
    """What the class offers, and its bases that have no entry of their own."""
    seen = set()
    for owner in [item, *(base for base in item.mro() if base.path not in exported)]:
        for name, member in owner.members.items():
            if name not in seen and not name.startswith("_") and not member.is_alias and member.docstring:
                seen.add(name)
                yield name, member


def entry(name: str, item: griffe.Object, level: int, exported: set[str]) -> Iterator[str]:
    """The blocks of one name: heading, signature, docstring, and those of its members."""
    yield f"{'#' * level} `{name}`"
    short = name.rsplit(".", 1)[-1]
    if item.is_function:
        yield f"```python\n{signature(short, item)}\n```"
    elif item.is_class:
        bases = ", ".join(str(base) for base in item.bases)
        yield f"```python\nclass {short}{f'({bases})' if bases else ''}\n```"
    elif item.annotation:
        yield f"```python\n{short}: {item.annotation}\n```"
    if text := text_of(item):
        yield text
    if item.is_class:
        for member, below in members(item, exported):
            yield from entry(f"{name}.{member}", below, level + 1, exported)


def main(folder: str) -> None:
    """Print the reference of the package in this folder."""
    package = griffe.load("hubkey", search_paths=[folder], resolve_aliases=True)
    modules = {path: package[path.removeprefix("hubkey.")] if "." in path else package for path in MODULES}
    exported = {item.path for module in modules.values() for _, item in public(module)}
    blocks = []
    for path, module in modules.items():
        blocks += [f"## `{path}`", text_of(module)]
        for name, item in public(module):
            blocks += entry(name if path == "hubkey" else f"{path.removeprefix('hubkey.')}.{name}", item, 3, exported)
    sys.stdout.write("\n\n".join(block for block in blocks if block) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
