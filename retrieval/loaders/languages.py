"""The programming languages whose definitions are found, and how each one's grammar calls them."""

from dataclasses import dataclass
from pathlib import PurePath

_VALUE = "(variable_declarator value: [(arrow_function) (function_expression) (generator_function)])"
_JAVASCRIPT = (
    "(function_declaration)",
    "(generator_function_declaration)",
    "(class_declaration)",
    "(method_definition)",
    f"(lexical_declaration {_VALUE})",
    f"(variable_declaration {_VALUE})",
)
_TYPESCRIPT = (
    *_JAVASCRIPT,
    "(abstract_class_declaration)",
    "(interface_declaration)",
    "(enum_declaration)",
    "(type_alias_declaration)",
    "(internal_module)",
)
_C = (
    "(function_definition)",
    "(struct_specifier body: (_))",
    "(union_specifier body: (_))",
    "(enum_specifier body: (_))",
    "(preproc_function_def)",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Language:
    """A grammar: the package's module, the function in it that gives it, and queries for the nodes of definitions."""

    name: str
    module: str
    definitions: tuple[str, ...]
    factory: str = "language"


_ALL = (
    Language(
        name="python",
        module="tree_sitter_python",
        definitions=(
            "(function_definition)",
            "(class_definition)",
        ),
    ),
    Language(name="javascript", module="tree_sitter_javascript", definitions=_JAVASCRIPT),
    Language(
        name="typescript", module="tree_sitter_typescript", definitions=_TYPESCRIPT, factory="language_typescript"
    ),
    Language(name="tsx", module="tree_sitter_typescript", definitions=_TYPESCRIPT, factory="language_tsx"),
    Language(
        name="go",
        module="tree_sitter_go",
        definitions=(
            "(function_declaration)",
            "(method_declaration)",
            "(type_declaration)",
        ),
    ),
    Language(name="c", module="tree_sitter_c", definitions=_C),
    Language(
        name="cpp",
        module="tree_sitter_cpp",
        definitions=(
            *_C,
            "(class_specifier body: (_))",
            "(namespace_definition)",
        ),
    ),
    Language(
        name="java",
        module="tree_sitter_java",
        definitions=(
            "(class_declaration)",
            "(interface_declaration)",
            "(enum_declaration)",
            "(record_declaration)",
            "(annotation_type_declaration)",
            "(method_declaration)",
            "(constructor_declaration)",
        ),
    ),
    Language(
        name="rust",
        module="tree_sitter_rust",
        definitions=(
            "(function_item)",
            "(struct_item)",
            "(enum_item)",
            "(union_item)",
            "(trait_item)",
            "(impl_item)",
            "(mod_item)",
            "(macro_definition)",
        ),
    ),
    Language(
        name="ruby",
        module="tree_sitter_ruby",
        definitions=(
            "(class)",
            "(module)",
            "(method)",
            "(singleton_method)",
            "(singleton_class)",
        ),
    ),
    Language(
        name="csharp",
        module="tree_sitter_c_sharp",
        definitions=(
            "(class_declaration)",
            "(struct_declaration)",
            "(interface_declaration)",
            "(enum_declaration)",
            "(record_declaration)",
            "(method_declaration)",
            "(constructor_declaration)",
            "(namespace_declaration)",
        ),
    ),
    Language(
        name="php",
        module="tree_sitter_php",
        definitions=(
            "(function_definition)",
            "(class_declaration)",
            "(interface_declaration)",
            "(trait_declaration)",
            "(enum_declaration)",
            "(method_declaration)",
        ),
        factory="language_php",
    ),
    Language(name="bash", module="tree_sitter_bash", definitions=("(function_definition)",)),
)
_BY_NAME = {language.name: language for language in _ALL}
_SUFFIXES = {
    "python": (".py", ".pyi", ".pyw"),
    "javascript": (".js", ".mjs", ".cjs", ".jsx"),
    "typescript": (".ts", ".mts", ".cts"),
    "tsx": (".tsx",),
    "go": (".go",),
    "c": (".c",),
    "cpp": (".cc", ".cpp", ".cxx", ".h", ".hh", ".hpp", ".hxx", ".ipp"),
    "java": (".java",),
    "rust": (".rs",),
    "ruby": (".rb", ".rake", ".gemspec"),
    "csharp": (".cs",),
    "php": (".php",),
    "bash": (".sh", ".bash"),
}
_OF_SUFFIX = {suffix: _BY_NAME[name] for name, suffixes in _SUFFIXES.items() for suffix in suffixes}
_OF_PROGRAM = {"python": "python", "node": "javascript", "ruby": "ruby", "php": "php"}
_OF_PROGRAM |= dict.fromkeys(("bash", "sh", "dash", "ksh", "zsh"), "bash")


def language_of(name: PurePath, text: str) -> Language | None:
    """By the ending of the name; without an ending by a first line such as "#!/usr/bin/env python3"."""
    suffix = name.suffix.lower()
    if suffix or not text.startswith("#!"):
        return _OF_SUFFIX.get(suffix)
    words = (PurePath(word).name for word in text[2:200].split("\n", 1)[0].split() if not word.startswith("-"))
    program = next((word.rstrip("0123456789.") for word in words if word != "env"), "")
    return _BY_NAME.get(_OF_PROGRAM.get(program, ""))
