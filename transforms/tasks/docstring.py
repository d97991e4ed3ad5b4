"""Docstring: finds symbols, has the model write their documentation, and keeps what agrees with the code.

Base models get a FIM prompt with the hole at the documentation's place, in the language's own form; those without
infilling tokens go on with the text before it, if the definition stands there (`transforms.tasks.infill_forms`), and
end where they close the documentation. Instruction-tuned
models get a chat turn with the definition and are asked for the text alone. In both cases the answer is parsed into
plain text, its claims are checked against the symbol (`transforms.documentation.verify`), and it is spliced into the
file, whose code must stay the same (`transforms.documentation.splice`). An answer that would change the code is never
accepted.

A definition longer than the context is reduced: in a FIM prompt to the whole lines nearest the hole, in a chat prompt
to its first lines. In both cases the prompt includes the signature, or the target is rejected as `prompt_too_long`.
`is_windowed` marks reduced definitions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa

from model.engine.requests import Completion
from model.engine.stopping import StopTexts
from model.errors import ConfigError, RecordError
from model.tokenizer import Tokenizer
from transforms import checks
from transforms.documentation.answers import documentation_of
from transforms.documentation.facts import PythonStyle
from transforms.documentation.forms import (
    DOCUMENTED_LANGUAGES,
    Hole,
    as_raw,
    cut_hole,
    lay_out,
    own_words,
    read_answer,
    without_delimiters,
    write_answer,
)
from transforms.documentation.reading import read_facts
from transforms.documentation.splice import is_code_unchanged, is_same_code, splice
from transforms.documentation.verify import REASONS, REQUIRED, DocBounds, explain, verify
from transforms.fim.formats import fim_stop_ids, strip_final_separator
from transforms.languages.syntax import Source
from transforms.rows.rejections import Rejection
from transforms.rows.row import Row, derive_seed
from transforms.symbols import Symbol, find_symbols
from transforms.tasks.base import Accepted, RejectedTarget, TaskRequest
from transforms.tasks.chat import Turn, chat_prompt, chat_stop_ids
from transforms.tasks.infill_forms import PromptForm, hole_prompt
from transforms.tasks.settings import DocstringSettings
from transforms.tasks.shared import (
    byte_to_char,
    check_control,
    fit_code,
    open_tokenizer,
    read_source,
    rejected,
    request_of,
    unlikely,
)

SYMBOL_KINDS: Final = ("module", "class", "function", "method")

CHECKS_TYPE: Final = pa.struct(
    [
        pa.field("right_form", pa.bool_(), nullable=False),
        pa.field("code_unchanged", pa.bool_(), nullable=False),
        *[pa.field(name, pa.bool_()) for name in REASONS],  # null: not decidable from the syntax alone
        pa.field("likely_enough", pa.bool_(), nullable=False),
        pa.field("edit_similarity", pa.float32()),  # null: there was no documentation
        pa.field("mean_logprob", pa.float32(), nullable=False),
    ]
)
RESULT_SCHEMA: Final = pa.schema(
    [
        pa.field("symbol_kind", pa.string(), nullable=False),
        pa.field("symbol_name", pa.large_string(), nullable=False),
        pa.field("symbol_start", pa.int64(), nullable=False),  # characters of content
        pa.field("symbol_end", pa.int64(), nullable=False),
        pa.field("code", pa.large_string(), nullable=False),  # the definition without its documentation
        pa.field("code_documented", pa.large_string(), nullable=False),
        pa.field("original_documentation", pa.large_string()),
        pa.field("documentation", pa.large_string(), nullable=False),  # as it is in code_documented
        pa.field("documentation_text", pa.large_string(), nullable=False),  # without delimiters and line markers
        pa.field("form", pa.string(), nullable=False),
        pa.field("is_windowed", pa.bool_(), nullable=False),
        pa.field("ended_by", pa.string(), nullable=False),
        pa.field("checks", CHECKS_TYPE, nullable=False),
    ]
)

_NESTED_COLUMNS: Final = (
    "symbol_kind",
    "symbol_name",
    "original_documentation",
    "documentation",
    "documentation_text",
    "checks",
)
NESTED_SCHEMA: Final = pa.schema(
    [
        pa.field("content_documented", pa.large_string(), nullable=False),
        pa.field("documented", pa.list_(pa.struct([RESULT_SCHEMA.field(n) for n in _NESTED_COLUMNS])), nullable=False),
    ]
)

_INSTRUCTIONS: Final = (
    "Write the documentation comment of the following {language} {kind} `{name}`. Describe what it does, its "
    "parameters, its result and what it raises{style}. Answer with the text of the documentation alone, without the "
    "code.\n\n```{language}\n{code}\n```"
)
_STYLE_WORDS: Final[dict[PythonStyle | None, str]] = {
    None: "",
    "google": ", in Google style",
    "numpy": ", in NumPy style",
    "rest": ", in reST style",
}


@dataclass(frozen=True, kw_only=True)
class DocstringTask(DocstringSettings):
    """Writes documentation; see `transforms.tasks.base.Task`. All fields affect the output.

    Args:
        tokenizer: The model's vocabulary: a file, a checkpoint folder or a built-in model's name.
        is_chat: Whether the model is instruction-tuned.
        job_seed: Seeds sampling.
        bounds: Bounds on the text's length.
    """

    tokenizer: str
    is_chat: bool = False
    job_seed: int = 0
    bounds: DocBounds = field(default_factory=DocBounds)

    name = "docstring"
    template_version = "docstring-4"

    def __post_init__(self) -> None:
        super().__post_init__()
        unknown = sorted(set(self.kinds) - set(SYMBOL_KINDS))
        if unknown or not self.kinds:
            raise ConfigError(f"unknown kind of symbol {', '.join(unknown)}; kinds are {', '.join(SYMBOL_KINDS)}")

    @property
    def result_schema(self) -> pa.Schema:
        """The columns of one documented symbol."""
        return RESULT_SCHEMA

    def requests(self, row: Row) -> Iterator[TaskRequest | RejectedTarget]:
        """Finds the row's symbols and builds prompts for their documentation.

        Raises:
            RecordError: `unsupported_language`, `unparsable`, `no_symbol`.
        """
        source = read_source(row, DOCUMENTED_LANGUAGES)
        wanted = [
            symbol
            for symbol in find_symbols(source)
            if symbol.kind in self.kinds and (self.targets == "all" or symbol.doc is None)
        ]
        if not wanted:
            raise RecordError("no_symbol", f"no symbol of the kinds {', '.join(self.kinds)} to document")
        return (self._request(row, source, symbol, number) for number, symbol in enumerate(wanted))

    def accept(self, row: Row, request: TaskRequest, completion: Completion) -> Accepted | RejectedTarget:
        """Reads one answer, checks it against the symbol, and splices it in."""
        symbol, is_windowed = request.payload
        source = read_source(row, DOCUMENTED_LANGUAGES)
        hole, answer, ended_by = self._answer(source, symbol, cut_hole(source, symbol), completion)
        try:
            check_control(self.tokenizer, completion.tokens, answer, row.content)
            text = read_answer(hole, answer)
        except RecordError as error:
            return rejected(request, error.reason, error.detail)
        facts = read_facts(text, source.grammar)
        style = self._style(source)
        verdicts = verify(
            symbol,
            facts,
            source.grammar,
            body=_code_of_body(source, symbol),
            header=source.data[symbol.start : symbol.body_start].decode(),
            written=own_words(hole, text),
            was_cut=ended_by == "length",
            style=style,
            bounds=self.bounds,
        )
        for check, reason in REASONS.items():
            if verdicts[check] is False:
                why = explain(check, symbol, facts, style=style, bounds=self.bounds)
                length = f"{len(completion.tokens)} tokens were generated, ended by {ended_by}"
                return rejected(request, reason, f"{why}; {length}" if why else length)
        assert None not in [verdicts[check] for check in REQUIRED], "a required check is always decided"
        if refused := unlikely(request, completion, self.min_score):
            return refused
        if not is_code_unchanged(source, symbol, hole, answer):
            return rejected(request, "code_changed", "inserting this answer changes the file's code")
        original = source.data[slice(*symbol.doc)].decode() if symbol.doc is not None else None
        return Accepted(
            written=(hole.before.decode(), f"{hole.opener}{answer}{hole.closer}", hole.after.decode()),
            columns={
                **_texts(source, symbol, hole, answer),
                "original_documentation": original,
                "documentation_text": text,
                "form": hole.form,
                "is_windowed": is_windowed,
                "ended_by": ended_by,
                "checks": {
                    "right_form": True,
                    "code_unchanged": True,
                    **verdicts,
                    "likely_enough": True,
                    "edit_similarity": None
                    if original is None
                    else checks.edit_similarity(f"{hole.opener.strip()}{answer}{hole.closer.strip()}", original),
                    "mean_logprob": completion.mean_logprob,
                },
            },
        )

    def distinct_texts(self, row: Row, columns: Mapping[str, Any]) -> tuple[str, str]:
        """The definition and the text of its documentation."""
        return columns["code"], columns["documentation_text"]

    @property
    def nested_schema(self) -> pa.Schema:
        """The columns of a file with all of its new documentation."""
        return NESTED_SCHEMA

    def nest(self, row: Row, kept: Sequence[tuple[TaskRequest, Accepted]]) -> dict[str, Any]:
        """Inserts all kept documentation into the file.

        Raises:
            RecordError: `code_changed`: with all of it inserted, the code isn't the same.
        """
        source = read_source(row, DOCUMENTED_LANGUAGES)
        data = source.data
        holes = [(cut_hole(source, request.payload[0]), accepted.written[1]) for request, accepted in kept]
        # From the file's end. The sort is stable: of two at one place, the module's stays the first.
        holes.sort(key=lambda item: len(item[0].before))
        for hole, text in reversed(holes):
            data = data[: len(hole.before)] + text.encode() + data[len(source.data) - len(hole.after) :]
        if not is_same_code(source.data, data, source.grammar):
            raise RecordError("code_changed", f"inserting {len(kept)} pieces of documentation changes the code")
        documented = [{name: accepted.columns[name] for name in _NESTED_COLUMNS} for _, accepted in kept]
        return {"content_documented": data.decode(), "documented": documented}

    def _request(self, row: Row, source: Source, symbol: Symbol, number: int) -> TaskRequest | RejectedTarget:
        name = f"{symbol.kind}:{symbol.qualified_name}:{symbol.start}"
        if number >= self.max_symbols:
            detail = f"the file has more than {self.max_symbols} symbols; raise --max_symbols"
            return RejectedTarget(target=name, rejection=Rejection("targets", "too_many_symbols", detail))
        tokenizer = open_tokenizer(self.tokenizer)
        try:
            hole = cut_hole(source, symbol)
            if self.is_chat:
                form: PromptForm = "chat"
                prompt, is_windowed = self._chat_prompt(tokenizer, source, symbol, hole)
            else:
                prompt, form, is_windowed = self._hole_prompt(tokenizer, source, symbol, hole)
        except RecordError as error:
            return RejectedTarget(target=name, rejection=Rejection("targets", error.reason, error.detail))
        stop_ids = chat_stop_ids(tokenizer) if self.is_chat else fim_stop_ids(tokenizer)
        return TaskRequest(
            target=name,
            request=request_of(
                self,
                prompt,
                stop_ids=stop_ids,
                seed=derive_seed(self.job_seed, row.content_sha256, "docstring", name),
                stop_texts=StopTexts((hole.terminator,), tokenizer) if form == "prefix" and hole.terminator else None,
            ),
            payload=(symbol, is_windowed),
            prompt_format=form,
        )

    def _style(self, source: Source) -> PythonStyle | None:
        """The one style that is allowed; None if any is, or if the language has no styles."""
        return None if self.style == "any" or source.grammar != "python" else self.style

    def _hole_prompt(
        self, tokenizer: Tokenizer, source: Source, symbol: Symbol, hole: Hole
    ) -> tuple[list[int], PromptForm, bool]:
        prefix = hole.before.decode() + hole.opener
        text, at = prefix + hole.closer + hole.after.decode(), len(prefix)
        needed = (at, at)
        if symbol.kind != "module" and source.grammar == "python":  # the signature is before the hole
            needed = (byte_to_char(source.data, symbol.start), at)
        elif symbol.kind != "module":
            begin = symbol.doc[1] if symbol.doc is not None else symbol.insert_at
            signature = source.data[begin : symbol.body_start].decode()
            needed = (at, at + len(hole.closer) + len(signature))
        return hole_prompt(tokenizer, text, (at, at), needed, self.max_prompt_tokens)

    def _chat_prompt(self, tokenizer: Tokenizer, source: Source, symbol: Symbol, hole: Hole) -> tuple[list[int], bool]:
        """The definition without its documentation; its last lines are omitted if it doesn't fit."""
        style = _STYLE_WORDS[self._style(source)]

        def build(code: str) -> list[int]:
            words = _INSTRUCTIONS.format(
                language=source.grammar, kind=symbol.kind, name=symbol.name, code=code, style=style
            )
            return chat_prompt(tokenizer, [Turn("user", words)])

        is_module = symbol.kind == "module"
        least_lines = 1 if is_module else source.data.count(b"\n", symbol.start, symbol.body_start) + 1
        return fit_code(_definition(source, symbol, hole), build, self.max_prompt_tokens, least_lines=least_lines)

    def _answer(self, source: Source, symbol: Symbol, hole: Hole, completion: Completion) -> tuple[Hole, str, str]:
        """Returns the hole in the form that this answer needs, the text between opener and closer, and what ended the
        text: the finish reason, or the form's closer.
        """
        tokenizer = open_tokenizer(self.tokenizer)
        written = tokenizer.decode(strip_final_separator(tokenizer, completion.tokens))
        if self.is_chat:
            found = documentation_of(source, symbol, written)
            text = without_delimiters(found)
            answer = write_answer(hole, text)
            return as_raw(hole, answer, is_text=text == found.strip()), answer, completion.finish_reason
        ended_by: str = completion.finish_reason
        if hole.terminator and hole.terminator in written:
            written, ended_by = written.split(hole.terminator, 1)[0], "closer"
        if hole.form == "block":
            written = written.rstrip(" \t*")
        written = lay_out(hole, written.rstrip("\r\n") if hole.form != "docstring" else written)
        return as_raw(hole, written, is_text=False), written, ended_by


def _texts(source: Source, symbol: Symbol, hole: Hole, answer: str) -> dict[str, Any]:
    """The definition before and after, from the start of its first line."""
    grown = len(splice(hole, answer)) - len(source.data)
    start = min(symbol.start, symbol.doc[0] if symbol.doc is not None else symbol.start, len(hole.before))
    start = source.data.rfind(b"\n", 0, start) + 1
    documented = splice(hole, answer)[start : symbol.end + grown]
    return {
        "symbol_kind": symbol.kind,
        "symbol_name": symbol.qualified_name,
        "symbol_start": byte_to_char(source.data, symbol.start),
        "symbol_end": byte_to_char(source.data, symbol.end),
        "code": _definition(source, symbol, hole),
        "code_documented": documented.decode(),
        "documentation": f"{hole.opener.strip()}{_joint(hole)}{answer}{hole.closer.rstrip()}",
    }


def _joint(hole: Hole) -> str:
    """The space that `strip` removed from the end of the opener."""
    return hole.opener[len(hole.opener.rstrip()) :] if hole.opener[-1:] == " " else ""


def _definition(source: Source, symbol: Symbol, hole: Hole) -> str:
    """The definition from the start of its first line, without its documentation."""
    if symbol.doc is None:
        return source.data[source.data.rfind(b"\n", 0, symbol.start) + 1 : symbol.end].decode()
    without = hole.before + hole.after
    shrunk = len(source.data) - len(without)
    start = min(symbol.start, len(hole.before))
    start = without.rfind(b"\n", 0, start) + 1
    return without[start : symbol.end - shrunk].decode()


def _code_of_body(source: Source, symbol: Symbol) -> str:
    """The body without its documentation."""
    start, end = symbol.body_start, symbol.body_end
    if symbol.doc is not None and start <= symbol.doc[0] < end:
        return (source.data[start : symbol.doc[0]] + source.data[symbol.doc[1] : end]).decode()
    return source.data[start:end].decode()
