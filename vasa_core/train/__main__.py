"""`python -m vasa_core.train NAME ...`: each training by its name; without a name, which there are."""

from __future__ import annotations

import ast
import runpy
import sys
from pathlib import Path

HERE = Path(__file__).parent


def trainings() -> dict[str, str]:
    """The trainings and what each says of itself in its first sentence, without importing any."""
    modules = {path.stem: ast.parse(path.read_text()) for path in sorted(HERE.glob("*.py")) if path.stem != "__main__"}
    runnable = {
        name: ast.get_docstring(tree) or ""
        for name, tree in modules.items()
        if any(isinstance(part, ast.FunctionDef) and part.name == "main" for part in tree.body)
    }
    return {name: said.split("\n\n")[0].replace("\n", " ") for name, said in runnable.items()}


def main() -> None:
    """Runs the training named first, with the options that follow."""
    known = trainings()
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print("python -m vasa_core.train NAME [options]; NAME --help tells the options\n")
        print("\n".join(f"{name:12}  {said}" for name, said in known.items()))
        return
    name = sys.argv.pop(1)
    if name not in known:
        sys.exit(f"There is no training named {name}: take one of {', '.join(known)}.")
    runpy.run_module(f"vasa_core.train.{name}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
