"""Prompts show what a file imports as training rows do, and never what they ask for."""

from __future__ import annotations

import pytest

from model.engine.requests import Completion
from model.errors import ConfigError
from transforms.fim.spans import Recipe, Span
from transforms.packing.context import RepositoryContext
from transforms.packing.documents import DocumentRecipe, SourceFile, make_document
from transforms.packing.tokens import TextTokens
from transforms.rows.row import Row, SourceRef, content_sha256
from transforms.tasks.base import RejectedTarget, TaskRequest
from transforms.tasks.infill import InfillTask
from transforms.tasks.middles.context import choose_blocks

CART = (
    "from shop.money import Price\nfrom shop.tax import rate_of\n\n\nclass Cart:\n    def add(self, amount):\n"
    "        self.prices.append(Price(amount))\n\n    def taxes(self, country):\n        rate = rate_of(country)\n"
    "        return [price.times(rate) for price in self.prices]\n"
)
TAX = "RATES = {'DE': 0.19}\n\n\ndef rate_of(country):\n    return RATES.get(country, 0.2)\n"
MONEY = "class Price:\n    def __init__(self, amount):\n        self.amount = amount\n"


def file_of(path: str, content: str) -> SourceFile:
    return SourceFile("org/shop", path, "python", content, content_sha256(content))


def row_of(content: str = CART, path: str = "shop/cart.py") -> Row:
    sha = content_sha256(content)
    return Row(SourceRef("c", 0, 0), content, sha, sha, path=path, repo_name="org/shop", language="python")


def span_of(text: str, content: str = CART, kind: str = "statement") -> Span:
    start = content.index(text)
    return Span(kind, start, start + len(text))


IMPORTED = (file_of("shop/tax.py", TAX), file_of("shop/money.py", MONEY))
RATE = "rate = rate_of(country)"


@pytest.fixture(scope="module")
def task(small_vocabulary) -> InfillTask:
    return InfillTask(tokenizer=small_vocabulary, fim_format="psm", max_prompt_tokens=2048, context="repo")


def paths_of(task, span, imported=IMPORTED, row=None, room=1000):
    blocks = choose_blocks(task.tokenizer, row or row_of(), span, imported, room)
    return [document.file.path for document in blocks.documents], blocks.left_out


def test_the_prompt_is_that_of_a_training_row(task, small_tokenizer):
    spans = Recipe(mix={"statement": 1.0})
    recipes = (DocumentRecipe(fim_rate=1.0, spm_rate=0.0, spans=spans, job_seed=seed) for seed in range(100))
    documents = (make_document(small_tokenizer, file_of("shop/cart.py", CART), recipe) for recipe in recipes)
    document = next(one for one in documents if one.span == span_of(RATE))
    context = RepositoryContext(small_tokenizer, path_line=True)
    for file in IMPORTED:
        context.add(file, TextTokens(small_tokenizer, file.content))
    expected = [small_tokenizer.bos]
    for found in context.before(document, [file.path for file in IMPORTED], frozenset(), 1000):
        expected += [*found.ids.tolist(), small_tokenizer.file_separator]
    expected += document.ids.tolist()[: len(document.ids) - document.middle_tokens]
    request = task.request_for(row_of(), document.span, IMPORTED)
    assert isinstance(request, TaskRequest)
    assert list(request.request.prompt) == expected
    assert [file.path for file in request.context.files] == ["shop/money.py", "shop/tax.py"]
    assert {file.content_sha256 for file in request.context.files} == {file.content_sha256 for file in IMPORTED}


def test_without_imported_files_the_prompt_has_the_path_alone(task, small_tokenizer):
    request = task.request_for(row_of(), span_of(RATE))
    assert request.context.files == () and request.payload.has_path_line
    assert small_tokenizer.file_separator not in request.request.prompt


@pytest.mark.parametrize("room", [0, 30, 60, 200])
def test_blocks_take_no_more_than_their_room_and_prompts_no_more_than_theirs(room, task):
    blocks = choose_blocks(task.tokenizer, row_of(), span_of(RATE), IMPORTED, room)
    assert blocks.tokens <= room
    long = row_of(CART + "".join(f"\n\ndef f{n}(tax, money):\n    return tax + money * {n}\n" for n in range(300)))
    small = InfillTask(
        tokenizer=task.tokenizer, fim_format="psm", max_prompt_tokens=300, context="repo", context_tokens=max(1, room)
    )
    assert len(small.request_for(long, span_of(RATE), IMPORTED).request.prompt) <= 300


def test_other_files_give_way_to_the_line_around_the_middle(task):
    line = "value = [" + ", ".join(f"rate_of({n})" for n in range(30)) + "]"
    content = f"from shop.tax import rate_of\n{line}\n"
    row, span = row_of(content), span_of("rate_of(7)", content, "expression")
    lone = InfillTask(tokenizer=task.tokenizer, fim_format="psm", max_prompt_tokens=2048)
    needed = len(lone.request_for(row, span).request.prompt)
    tight = InfillTask(
        tokenizer=task.tokenizer, fim_format="psm", max_prompt_tokens=needed + 20, context="repo", context_tokens=90
    )
    request = tight.request_for(row, span, IMPORTED[:1])
    assert not isinstance(request, RejectedTarget)
    assert len(request.request.prompt) <= needed + 20


def test_signatures_are_those_that_the_rest_of_the_file_uses(task):
    body = "".join(f"    total = total * {n} + country\n" for n in range(200))
    large = file_of("shop/tax.py", f"def rate_of(country):\n{body}\n\ndef other(country):\n{body}")
    blocks = choose_blocks(task.tokenizer, row_of(), span_of("Price(amount)"), [large], 1000)
    (document,) = blocks.documents
    assert document.role == "signatures"
    assert "rate_of" in document.text and "other" not in document.text
    hidden = CART.replace("import rate_of", "import *")
    blocks = choose_blocks(task.tokenizer, row_of(hidden), span_of(RATE, hidden), [large], 1000)
    assert not blocks.documents, "the name stands in the middle alone"


LEAKS = [
    ("another copy of the file", "shop/cart2.py", CART),
    ("a changed copy", "old/cart.py", CART.replace("self.prices", "self.items")),
    ("the middle", "shop/tax.py", f"{TAX}\n\ndef f(country):\n    {RATE}\n    return rate\n"),
    ("the middle, otherwise indented", "shop/tax.py", f"{TAX}\n\nif True:\n        rate  =  rate_of( country )\n"),
]


@pytest.mark.parametrize(("name", "path", "content"), LEAKS, ids=[name for name, *_ in LEAKS])
def test_what_has_the_middle_is_left_out(name, path, content, task):
    assert paths_of(task, span_of(RATE), [file_of(path, content), IMPORTED[1]]) == (["shop/money.py"], 1)


def test_lines_that_make_up_half_of_the_middle_are_left_out(task):
    middle = "rate = rate_of(country)\n        return [price.times(rate) for price in self.prices]"
    other = "class Basket:\n    def taxes(self, rate):\n        return [price.times(rate) for price in self.prices]\n"
    assert paths_of(task, span_of(middle), [file_of("shop/basket.py", other)]) == ([], 1)


def test_a_file_that_only_the_middle_imports_is_left_out(task):
    imported = "from shop.tax import rate_of"
    assert paths_of(task, span_of(imported, kind="single_line")) == (["shop/money.py"], 1)
    assert paths_of(task, span_of("shop.tax", kind="random_chars")) == (["shop/money.py"], 1)


def test_a_middle_that_is_a_name_leaves_its_definition_in_the_prompt(task):
    assert paths_of(task, span_of("rate_of(country)", kind="expression"))[1] == 1, "the definition's own first line"
    assert paths_of(task, span_of("(country)\n", kind="argument_list")) == (["shop/money.py", "shop/tax.py"], 0)


def test_names_in_the_context_are_known(task, small_tokenizer):
    def unknown(imported):
        request = task.request_for(row_of(), span_of(RATE), imported)
        tokens = tuple(small_tokenizer.encode("rate = RATES[country]"))
        completion = Completion(tokens=tokens, finish_reason="stop", stop_id=1, mean_logprob=-0.5, prompt_tokens=9)
        return task.accept(row_of(), request, completion).columns["checks"]["unknown_names"]

    assert (unknown(()), unknown(IMPORTED)) == (1, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"context_tokens": 9}, "--context_tokens 9 belongs to --context repo"),
        ({"context": "repo", "fim_format": "chat"}, "--context repo needs a model with infilling tokens"),
        ({"context": "repo", "max_prompt_tokens": 100, "context_tokens": 76}, "context_tokens is 76, the limit is 75"),
        ({"context": "all"}, "context is 'all', expected one of none, repo"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        InfillTask(tokenizer="unused", **options)
