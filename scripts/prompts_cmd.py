"""`howdah prompts`: what the models are told, and how to change it."""

from pathlib import Path
from typing import Annotated

import typer

from howdah.scripts import flags, output
from howdah.scripts.session import Session

app: typer.Typer = typer.Typer(help="Show the prompts, and copy them to change them.", no_args_is_help=True)


@app.command("list")
def list_prompts(as_json: flags.Json = False) -> int:
    """List the prompts, their variables, and the file that each comes from."""
    from howdah.chains.prompts import VARIABLES, source

    session = Session(as_json=as_json)
    found = [(name, sorted(VARIABLES[name]), source(name, folder=session.settings.prompts).path) for name in VARIABLES]
    if as_json:
        rows = [{"name": name, "variables": takes, "path": str(path) if path else None} for name, takes, path in found]
        output.put_json({"prompts": rows})
        return 0
    for name, takes, path in found:
        where = output.escape(str(path)) if path else "[dim]Howdah's own[/]"
        output.OUT.print(f"[bold]{name:<13}[/] {', '.join(takes):<18} {where}")
    for stray in _strays(session.settings.prompts):
        output.warn(f"{stray} is not the name of a prompt, and is not used")
    return 0


def _strays(folder: Path | None) -> list[Path]:
    """Files that look like prompts and are none: a name was misspelt."""
    from howdah.chains.prompts import VARIABLES

    return sorted(path for path in folder.glob("*.md") if path.stem not in VARIABLES) if folder else []


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(help="Its name.", show_default=False)], as_json: flags.Json = False
) -> int:
    """Print a prompt as it is used."""
    from howdah.chains.prompts import load_prompt, source

    session = Session(as_json=as_json)
    load_prompt(name, folder=session.settings.prompts)  # says what is wrong with it
    text, path = source(name, folder=session.settings.prompts)
    if as_json:
        output.put_json({"name": name, "path": str(path) if path else None, "text": text})
    else:
        output.put_text(text)
    return 0


@app.command("copy")
def copy(
    folder: Annotated[Path, typer.Argument(help="Where to; made where it is not there.", show_default=False)],
    as_json: flags.Json = False,
) -> int:
    """Copy Howdah's prompts into a folder, to be changed there; files that are there already stay."""
    from howdah.chains.prompts import VARIABLES, source

    folder.mkdir(parents=True, exist_ok=True)
    copied = [name for name in VARIABLES if not (folder / f"{name}.md").exists()]
    for name in copied:
        (folder / f"{name}.md").write_text(source(name).text, encoding="utf-8")
    kept = [name for name in VARIABLES if name not in copied]
    if as_json:
        output.put_json({"folder": str(folder), "copied": copied, "kept": kept})
        return 0
    for name in kept:
        output.note(f"{folder / name}.md is there already and stays as it is")
    output.OUT.print(output.Text(f"Copied {output.plural(len(copied), 'prompt')} to {folder}"))
    output.note(f"Use them by: export HOWDAH_PROMPTS={folder.resolve()}")
    return 0


if __name__ == "__main__":
    from howdah.scripts.main import run

    run("prompts")
