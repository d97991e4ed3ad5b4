"""Options of the docstring and generate jobs that would have no effect or corrupt a file are refused."""

from __future__ import annotations

import pytest

from jobs import docstring, generate
from jobs.options import all_options
from model.errors import ConfigError


def test_a_nested_file_keeps_one_documentation_of_each_definition():
    options = docstring.Options(input=("in",), output="out", nest=True, samples=2, keep=2, temperature=0.8)
    with pytest.raises(ConfigError, match="a definition can have only one docstring; use --keep 1"):
        docstring.build_work(all_options(options))


@pytest.mark.parametrize("what", ["body", "file"])
def test_a_language_for_code_that_has_one_is_refused(what):
    options = generate.Options(input=("in",), output="out", what=what, language="python")
    with pytest.raises(ConfigError, match="code takes the language of its file"):
        generate.build_work(all_options(options))
