"""`howdah eval`: how good retrieval and answers are, with intervals, and whether they got worse."""

import typer

from howdah.scripts import eval_answers, eval_corpora, eval_make, eval_retrieval

app: typer.Typer = typer.Typer(
    help="Measure how good retrieval and answers are, and gate CI by it.", no_args_is_help=True
)
app.command("retrieval")(eval_retrieval.command)
app.command("answers")(eval_answers.command)
app.command("make")(eval_make.command)
app.command("corpora")(eval_corpora.command)


if __name__ == "__main__":
    from howdah.scripts.main import run

    run("eval")
