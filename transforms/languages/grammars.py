"""Which nodes of a grammar are expressions, statements, bodies, comments.

Covers the fifteen grammars used to find spans; `transforms.languages.table` maps languages to them. Each kind of span
is defined by a list of node types or, if the position in the tree matters (a string is a docstring only as the first
statement of a body), by a tree-sitter query that captures `@x`. A test compiles every query against its grammar.
"""

from __future__ import annotations

from typing import Final

from transforms.languages.lookup import find_language

SYNTAX_KINDS: Final = (
    "expression",
    "argument_list",
    "statement",
    "block",
    "function_body",
    "class_body",
    "docstring",
    "comment",
)

_JAVASCRIPT: Final[dict[str, str]] = {
    "expression": "call_expression member_expression binary_expression new_expression ternary_expression array object "
    "arrow_function await_expression subscript_expression assignment_expression template_string unary_expression",
    "argument_list": "arguments",
    "statement": "expression_statement lexical_declaration variable_declaration return_statement if_statement "
    "for_statement for_in_statement while_statement do_statement try_statement throw_statement switch_statement "
    "import_statement",
    "block": "statement_block switch_body",
    "function_body": "(function_declaration body: (_) @x) (function_expression body: (_) @x) "
    "(method_definition body: (_) @x) (arrow_function body: (statement_block) @x) "
    "(generator_function_declaration body: (_) @x)",
    "class_body": "class_body",
    "docstring": "comment",
    "comment": "comment",
}
_TYPESCRIPT: Final = {
    **_JAVASCRIPT,
    "class_body": "class_body interface_body enum_body",
    "expression": _JAVASCRIPT["expression"] + " as_expression",
}
_C: Final[dict[str, str]] = {
    "expression": "call_expression binary_expression field_expression subscript_expression assignment_expression "
    "conditional_expression cast_expression unary_expression pointer_expression parenthesized_expression",
    "argument_list": "argument_list",
    "statement": "expression_statement declaration return_statement if_statement for_statement while_statement "
    "do_statement switch_statement goto_statement preproc_include preproc_def",
    "block": "compound_statement",
    "function_body": "(function_definition body: (compound_statement) @x)",
    "class_body": "field_declaration_list enumerator_list",
    "docstring": "comment",
    "comment": "comment",
}

# grammar -> kind of span -> node types, or a query that captures @x
SPAN_NODES: Final[dict[str, dict[str, str]]] = {
    "python": {
        "expression": "call attribute binary_operator boolean_operator comparison_operator not_operator unary_operator "
        "subscript list dictionary set tuple lambda conditional_expression list_comprehension dictionary_comprehension "
        "set_comprehension generator_expression await",
        "argument_list": "argument_list",
        "statement": "(module (_) @x) (block (_) @x)",
        "block": "block",
        "function_body": "(function_definition body: (block) @x)",
        "class_body": "(class_definition body: (block) @x)",
        "docstring": "(module . (comment)* . (string) @x) (function_definition body: (block . (string) @x)) "
        "(class_definition body: (block . (string) @x))",
        "comment": "comment",
    },
    "javascript": _JAVASCRIPT,
    "typescript": _TYPESCRIPT,
    "tsx": _TYPESCRIPT,
    "java": {
        "expression": "method_invocation field_access binary_expression assignment_expression ternary_expression "
        "object_creation_expression array_access cast_expression lambda_expression unary_expression "
        "instanceof_expression parenthesized_expression",
        "argument_list": "argument_list",
        "statement": "expression_statement local_variable_declaration return_statement if_statement for_statement "
        "enhanced_for_statement while_statement do_statement try_statement throw_statement field_declaration "
        "import_declaration switch_expression",
        "block": "block switch_block",
        "function_body": "(method_declaration body: (block) @x) (constructor_declaration body: (constructor_body) @x)",
        "class_body": "class_body interface_body enum_body",
        "docstring": "block_comment",
        "comment": "line_comment block_comment",
    },
    "kotlin": {
        "expression": "call_expression navigation_expression additive_expression multiplicative_expression "
        "comparison_expression equality_expression conjunction_expression disjunction_expression elvis_expression "
        "indexing_expression as_expression infix_expression prefix_expression lambda_literal",
        "argument_list": "value_arguments",
        "statement": "(statements (_) @x) (property_declaration) @x (import_header) @x",
        "block": "statements",
        "function_body": "function_body",
        "class_body": "class_body enum_class_body",
        "docstring": "multiline_comment",
        "comment": "line_comment multiline_comment",
    },
    "go": {
        "expression": "call_expression selector_expression binary_expression unary_expression index_expression "
        "composite_literal slice_expression type_assertion_expression func_literal parenthesized_expression",
        "argument_list": "argument_list",
        "statement": "(statement_list (_) @x) [(const_declaration)(var_declaration)(import_spec)] @x",
        "block": "block",
        "function_body": "(function_declaration body: (block) @x) (method_declaration body: (block) @x) "
        "(func_literal body: (block) @x)",
        "class_body": "field_declaration_list interface_type",
        "docstring": "comment",
        "comment": "comment",
    },
    "rust": {
        "expression": "call_expression field_expression binary_expression unary_expression reference_expression "
        "index_expression macro_invocation closure_expression struct_expression try_expression await_expression "
        "type_cast_expression match_expression if_expression tuple_expression array_expression",
        "argument_list": "arguments",
        "statement": "let_declaration expression_statement use_declaration const_item static_item macro_invocation",
        "block": "block match_block",
        "function_body": "(function_item body: (block) @x)",
        "class_body": "(impl_item body: (_) @x) (trait_item body: (_) @x) (struct_item body: (_) @x) "
        "(enum_item body: (_) @x)",
        "docstring": "line_comment block_comment",
        "comment": "line_comment block_comment",
    },
    "c": _C,
    "cpp": {
        **_C,
        "expression": _C["expression"] + " lambda_expression new_expression delete_expression",
        "statement": _C["statement"] + " throw_statement try_statement using_declaration for_range_loop",
    },
    "csharp": {
        "expression": "invocation_expression member_access_expression binary_expression assignment_expression "
        "object_creation_expression conditional_expression element_access_expression cast_expression "
        "lambda_expression await_expression prefix_unary_expression interpolated_string_expression",
        "argument_list": "argument_list",
        "statement": "local_declaration_statement expression_statement return_statement if_statement for_statement "
        "foreach_statement while_statement try_statement throw_statement using_statement field_declaration "
        "using_directive switch_statement",
        "block": "block switch_body",
        "function_body": "(method_declaration body: (block) @x) (constructor_declaration body: (block) @x) "
        "(local_function_statement body: (block) @x)",
        "class_body": "(class_declaration body: (_) @x) (struct_declaration body: (_) @x) "
        "(interface_declaration body: (_) @x) (enum_declaration body: (_) @x)",
        "docstring": "comment",
        "comment": "comment",
    },
    "php": {
        "expression": "function_call_expression member_call_expression member_access_expression binary_expression "
        "assignment_expression conditional_expression object_creation_expression subscript_expression "
        "scoped_call_expression array_creation_expression cast_expression unary_op_expression",
        "argument_list": "arguments",
        "statement": "expression_statement return_statement if_statement for_statement foreach_statement "
        "while_statement try_statement echo_statement switch_statement namespace_use_declaration property_declaration",
        "block": "compound_statement",
        "function_body": "(function_definition body: (_) @x) (method_declaration body: (_) @x)",
        "class_body": "declaration_list",
        "docstring": "comment",
        "comment": "comment",
    },
    "ruby": {
        "expression": "call binary element_reference assignment conditional array hash unary string_array lambda",
        "argument_list": "argument_list",
        "statement": "(body_statement (_) @x) (program (_) @x) (then (_) @x)",
        "block": "body_statement block_body then",
        "function_body": "(method body: (_) @x) (singleton_method body: (_) @x)",
        "class_body": "(class body: (_) @x) (module body: (_) @x)",
        "docstring": "comment",
        "comment": "comment",
    },
    "scala": {
        "expression": "call_expression field_expression infix_expression prefix_expression instance_expression "
        "lambda_expression if_expression match_expression tuple_expression generic_function",
        "argument_list": "arguments",
        "statement": "(block (_) @x) (indented_block (_) @x) (template_body (_) @x) (import_declaration) @x",
        "block": "block indented_block case_block",
        "function_body": "(function_definition body: (_) @x)",
        "class_body": "template_body enum_body",
        "docstring": "block_comment",
        "comment": "comment block_comment",
    },
    "bash": {
        "expression": "command_substitution test_command string pipeline expansion arithmetic_expansion concatenation",
        "argument_list": "(command argument: (_) @x)",
        "statement": "command variable_assignment if_statement for_statement while_statement case_statement "
        "declaration_command pipeline list redirected_statement",
        "block": "do_group compound_statement",
        "function_body": "(function_definition body: (compound_statement) @x)",
        "class_body": "",
        "docstring": "",
        "comment": "comment",
    },
    "sql": {
        "expression": "binary_expression invocation field case between_expression subquery cast",
        "argument_list": "column_definitions list",
        "statement": "statement",
        "block": "select_expression where from group_by order_by",
        "function_body": "function_body",
        "class_body": "",
        "docstring": "",
        "comment": "comment marginalia",
    },
}

# Which comments are docstrings: how their text starts.
DOC_OPENERS: Final[dict[str, tuple[bytes, ...]]] = {
    "javascript": (b"/**",),
    "typescript": (b"/**",),
    "tsx": (b"/**",),
    "java": (b"/**",),
    "kotlin": (b"/**",),
    "scala": (b"/**",),
    "php": (b"/**",),
    "c": (b"/**", b"///", b"/*!"),
    "cpp": (b"/**", b"///", b"/*!"),
    "csharp": (b"///", b"/**"),
    "rust": (b"///", b"//!", b"/**"),
    "go": (b"// ",),
    "ruby": (b"# ", b"=begin"),
}


def grammar_name(language: str, path: str = "") -> str | None:
    """Returns the grammar for a file's spans, by the corpus's name of its language, else by its path; None without one.

    >>> grammar_name("C++"), grammar_name("", "src/a.tsx"), grammar_name("cobol")
    ('cpp', 'tsx', None)
    """
    found = find_language(language, path)
    return found.reader if found is not None and found.reader in SPAN_NODES else None


def query_source(grammar: str, kind: str) -> str:
    """Returns the tree-sitter query that captures all nodes of a kind as `@x`; "" if the language has none."""
    spec = SPAN_NODES[grammar][kind]
    if not spec or spec.startswith("("):
        return spec
    return "[" + "".join(f"({name})" for name in spec.split()) + "] @x"
