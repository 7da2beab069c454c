"""The package that ``docs/adding_a_model.md`` writes, file by file, as a user who follows the page has it."""

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs/adding_a_model.md"
MODEL = "their_recommenders.row_diffusion:RowDiffusion"
BLOCK = re.compile(r"```(?:python|yaml)\n(.*?)```", re.DOTALL)
NAME = re.compile(r"`(\w+/[\w.]+\.(?:py|yaml))`")


def files_of_page() -> dict[str, str]:
    """Return the files of the page by name; a block is the file that the text before it names last."""
    text, end, found = PAGE.read_text(encoding="utf-8"), 0, {}
    for block in BLOCK.finditer(text):
        names = NAME.findall(text[end : block.start()])
        end = block.end()
        if names:
            found[names[-1]] = block[1]
    return found


def write_package(folder: Path) -> Path:
    """Write the files of the page below a folder and return it."""
    for name, text in files_of_page().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder
