"""The grammars of programming languages: where each is found, and which of its nodes define something.

One row a grammar.  A definition is what a reader would look for by name: a class, a function, a type.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Node

# What belongs to the definition right below it.
COMMENTS = {"comment", "line_comment", "block_comment", "attribute_item", "decorator"}
# What holds a definition, and begins before it.
WRAPPERS = {"decorated_definition", "export_statement", "template_declaration", "type_declaration"}

# In JavaScript a function may be any name's value: the field that holds it.
VALUES = {
    "assignment_expression": "right",
    "field_definition": "value",
    "pair": "value",
    "public_field_definition": "value",
    "variable_declarator": "value",
}
FUNCTIONS = {"arrow_function", "function_expression", "generator_function", "class"}


@dataclass(frozen=True, slots=True)
class Grammar:
    """Module and function that give the language; definitions, each with the field that holds its name."""

    module: str
    function: str
    definitions: Mapping[str, str]

    def name(self, node: Node) -> str:
        """The name that a node gives to what it defines; "" where it defines nothing."""
        if not _is_defining(node):
            return ""
        named = node.child_by_field_name(self.definitions[node.type])
        while named is not None:  # in C the name stands inside pointers, arrays and parameters
            inner = named.child_by_field_name("declarator")
            if inner is None:
                break
            named = inner
        if named is None or named.text is None:
            return ""
        return _receiver(node) + named.text.decode("utf-8", "replace")


def _is_defining(node: Node) -> bool:
    """Whether a struct has a body, and a name is given to a function rather than to any other value."""
    if node.type.endswith("_specifier"):
        return node.child_by_field_name("body") is not None
    if field := VALUES.get(node.type):
        value = node.child_by_field_name(field)
        return value is not None and value.type in FUNCTIONS
    return True


def _receiver(node: Node) -> str:
    """The type that a method in Go belongs to, with a full stop."""
    receiver = node.child_by_field_name("receiver")
    if receiver is None or receiver.text is None:
        return ""
    words = receiver.text.decode("utf-8", "replace").strip("() ").partition("[")[0].split()
    return words[-1].lstrip("*") + "." if words else ""


def _named(*types: str, **others: str) -> dict[str, str]:
    return dict.fromkeys(types, "name") | others


_JAVASCRIPT = _named(
    "class_declaration",
    "class",
    "function_declaration",
    "generator_function_declaration",
    "method_definition",
    "variable_declarator",
    assignment_expression="left",
    pair="key",
    field_definition="property",
)
_TYPESCRIPT = _JAVASCRIPT | _named(
    "abstract_class_declaration",
    "enum_declaration",
    "function_signature",
    "interface_declaration",
    "internal_module",
    "module",
    "public_field_definition",
    "type_alias_declaration",
)
_C = _named(
    "enum_specifier",
    "preproc_function_def",
    "struct_specifier",
    "union_specifier",
    function_definition="declarator",
    type_definition="declarator",
)

GRAMMARS = {
    "c": Grammar("tree_sitter_c", "language", _C),
    "cpp": Grammar(
        "tree_sitter_cpp",
        "language",
        _C | _named("class_specifier", "concept_definition", "namespace_definition"),
    ),
    "go": Grammar(
        "tree_sitter_go",
        "language",
        _named("function_declaration", "method_declaration", "type_spec"),
    ),
    "java": Grammar(
        "tree_sitter_java",
        "language",
        _named(
            "annotation_type_declaration",
            "class_declaration",
            "compact_constructor_declaration",
            "constructor_declaration",
            "enum_declaration",
            "interface_declaration",
            "method_declaration",
            "record_declaration",
        ),
    ),
    "javascript": Grammar("tree_sitter_javascript", "language", _JAVASCRIPT),
    "python": Grammar("tree_sitter_python", "language", _named("class_definition", "function_definition")),
    "rust": Grammar(
        "tree_sitter_rust",
        "language",
        _named(
            "enum_item",
            "function_item",
            "macro_definition",
            "mod_item",
            "struct_item",
            "trait_item",
            "union_item",
            impl_item="type",
        ),
    ),
    "tsx": Grammar("tree_sitter_typescript", "language_tsx", _TYPESCRIPT),
    "typescript": Grammar("tree_sitter_typescript", "language_typescript", _TYPESCRIPT),
}
