"""The source tree as the project tests read it."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("retrieval", "chains", "prompts", "scripts")
NOT_OURS = {"build", "dist", "node_modules", "__pycache__"}


def files(*suffixes: str, under: Path = ROOT) -> Iterator[Path]:
    """Every file of ours, without what is hidden, generated or seen a second time through howdah/'s symlinks."""
    for path in sorted(under.iterdir()):
        if path.name.startswith(".") or path.name in NOT_OURS or path.name.endswith(".egg-info"):
            continue
        if path.is_dir() and not path.is_symlink():
            yield from files(*suffixes, under=path)
        elif path.is_file() and (not suffixes or path.suffix in suffixes):
            yield path


def room(name: str) -> list[Path]:
    return list(files(".py", under=ROOT / name))


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def module_name(path: Path) -> str:
    """`howdah.retrieval.loaders` for retrieval/loaders/__init__.py."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    inside = parts if parts[0] == "howdah" else ("howdah", *parts)
    return ".".join(inside[:-1] if inside[-1] == "__init__" else inside)


def imports(path: Path) -> set[str]:
    """Every module that `path` imports anywhere, dotted and absolute; `from a import b` counts as `a.b`."""
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    found: set[str] = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            found |= {f"{source}.{alias.name}" for alias in node.names}
    return found


def imported_rooms(path: Path) -> set[str]:
    """The rooms that `path` reaches; a name taken from the package itself counts as the room `howdah`."""
    inside = [name.split(".") for name in imports(path) if name.split(".")[0] == "howdah"]
    return {parts[1] if len(parts) > 1 and parts[1] in ROOMS else "howdah" for parts in inside}
