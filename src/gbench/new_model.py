"""A model to begin with: the folder that ``gbench models new`` writes."""

from pathlib import Path

from gbench.errors import CardError, StorageError
from gbench.registry import model_names
from gbench.storage import unwritable

TEMPLATE = Path(__file__).parent / "template" / "my_model"
FILES = ("card.yaml", "model.py", "test_model.py")


def write_new_model(name: str, out: Path) -> Path:
    """The folder ``out/name`` with a card, a working model and its test.

    Raises:
        CardError: a name that is taken, or that Python cannot import.
        StorageError: the folder is there already, or cannot be written.
    """
    if not name.isidentifier() or not name.isascii() or not name.strip("_")[:1].isalpha():
        raise CardError(f"{name!r} cannot be the name of a model; begin with a letter and use letters, digits and _")
    if name in model_names():
        raise CardError(f"there is a model {name!r} already; `gbench models show {name}` says what it is")
    folder = out / name
    if folder.exists():
        raise StorageError(f"{folder} is there already; choose another name, or another place with --out")
    try:
        folder.mkdir(parents=True)
        for file in FILES:
            text = (TEMPLATE / file).read_text(encoding="utf-8")
            (folder / file).write_text(_renamed(text, name), encoding="utf-8")
    except OSError as error:
        raise unwritable(folder, error, "with --out choose") from error
    return folder


def _renamed(text: str, name: str) -> str:
    words = name.strip("_").split("_")
    camel = "".join(word[:1].upper() + word[1:] for word in words)
    # names that the template imports or defines are taken
    camel = f"{camel}Model" if camel in ("Edges", "Messages", "Stack", "Tensor") else camel
    title = " ".join(words)
    return text.replace("my_model", name).replace("MyModel", camel).replace("My model", title[:1].upper() + title[1:])
