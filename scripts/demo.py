"""`make demo`: load Howdah's own documentation, ask it three questions, say what to try next."""

import os
import re
import subprocess
import sys
from pathlib import Path

HOWDAH = Path(sys.executable).with_name("howdah")
DOCS = Path(__file__).resolve().parent.parent / "docs"
QUESTIONS = (
    "Where does Howdah keep my data, and how do I delete it?",
    "How do I use my own PostgreSQL server?",
    "What happens when no passage answers the question?",
)
# The demo is the same on every machine: no server, key or setting of the user's reaches it.
USERS_OWN = re.compile(r"(HOWDAH|PG|LANGSMITH|LANGCHAIN)_?.*|DATABASE_URL|.*_API_KEY")


def main() -> int:
    home = Path(os.environ["HOWDAH_HOME"])
    home.mkdir(parents=True, exist_ok=True)
    env = {name: value for name, value in os.environ.items() if not USERS_OWN.fullmatch(name)}
    env["HOWDAH_HOME"] = str(home)
    for arguments in (["ingest", str(DOCS)], *(["ask", question] for question in QUESTIONS)):
        print(f"\n$ howdah {arguments[0]} {shown(arguments[1])}", flush=True)
        # Run in the demo's own folder, where no .env lies.
        failed = subprocess.run([HOWDAH, *arguments], cwd=home, env=env, check=False).returncode
        if failed:
            return failed
    print(next_steps(home))
    return 0


def shown(argument: str) -> str:
    return "docs" if argument == str(DOCS) else f'"{argument}"'


def next_steps(home: Path) -> str:
    return f"""
Next:
  source .venv/bin/activate
  howdah ask --in PATH "a question about your own documents"
  howdah chat
  howdah --help
The demo's data is in {home} (HOWDAH_HOME); yours will be elsewhere. To talk to the demo again:
  HOWDAH_HOME={home} howdah chat"""


if __name__ == "__main__":
    sys.exit(main())
