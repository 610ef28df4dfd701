"""What is shown to a person stands on one line."""

import pickle

from gbench.errors import DataError, FetchError, unknown


def test_words_of_libraries_are_put_on_one_line() -> None:
    error = DataError("set.db: cannot be read (first line\n  second line\r\n\u2028third)")
    assert str(error) == "set.db: cannot be read (first line second line third)"


def test_a_sentence_keeps_its_spaces_and_survives_another_process() -> None:
    error = FetchError("a  file.cif: gone")
    assert str(pickle.loads(pickle.dumps(error))) == "a  file.cif: gone"


def test_names_that_are_close_are_suggested_and_others_listed() -> None:
    assert str(unknown("fold", "x", ["one", "two"])) == "no fold 'x'; known: one, two"
    assert str(unknown("model", "megnt", ["megnet"], "gbench models list")).startswith(
        "no model 'megnt'; did you mean 'megnet'? `gbench models list` shows all 1"
    )
