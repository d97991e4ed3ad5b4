"""Generate: code from a description - a body from its signature, a file from its heading, code from an instruction.

    body     a FIM hole (or a chat turn) at a function's body; its documentation stays: only documented functions
             by default. A base model without infilling tokens goes on with what stands before it; its body ends with
             the first line that is indented no more than the function
    file     the rest of a file after its path and its heading comment or docstring
    prompt   the row's content is an instruction; the answer is the code in its first fence, or all of it
    chat     the row's content is a conversation (a column `messages`): the model's next turn; if the conversation
             ends with a model turn, that turn is removed and serves as the original

Checks: the code parses (Python's own `compile` for complete files, syntax trees elsewhere), a body stays a body
(`transforms.bodies`), and the code is in the requested language, is not a copy of the original, not a
placeholder, and not cut off. Nothing is executed, but where that is asked for (`verify`): then it must also compile, or
pass the tests that its row brings. The original is kept for comparison.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import pyarrow as pa

from model.engine.requests import Completion
from model.errors import ConfigError, RecordError
from model.tokenizer import Tokenizer
from transforms import checks
from transforms.bodies.answers import body_of_answer
from transforms.bodies.holes import BODY_LANGUAGES, BodyHole, body_hole, heading_end
from transforms.bodies.judge import CONTRADICTIONS, judge_body
from transforms.bodies.placeholders import is_placeholder
from transforms.fim.formats import fim_stop_ids, path_line_text, strip_final_separator
from transforms.languages.faults import first_fault
from transforms.languages.grammars import SPAN_NODES, grammar_name
from transforms.languages.parsing import parses
from transforms.languages.syntax import Source
from transforms.rows.rejections import Rejection
from transforms.rows.row import Row, derive_seed
from transforms.symbols import Symbol, find_symbols
from transforms.talk import is_chatter
from transforms.tasks.base import Accepted, RejectedTarget, TaskRequest
from transforms.tasks.chat import Turn, chat_prompt, chat_stop_ids, fences, is_blank, read_turns
from transforms.tasks.infill_forms import PromptForm, body_by_margin, form_of_hole, hole_prompt
from transforms.tasks.settings import GenerateSettings
from transforms.tasks.shared import (
    byte_to_char,
    check_control,
    code_of_answer,
    continuation_prompt,
    failed_check,
    fit_code,
    open_tokenizer,
    read_source,
    rejected,
    request_of,
    unlikely,
    with_fault,
)
from transforms.tasks.trials import Place, language_of, trial_of_code
from transforms.verification.evidence import EVIDENCE, with_evidence
from transforms.verification.trials import Trial

# Prose without a fence around code parses in these languages.
PROSE_PARSES: Final = ("bash", "php", "ruby", "sql")

# verdict -> reason, in the order in which they are checked
REASONS: Final = {
    "not_empty": "empty_code",
    "not_cut_off": "cut_off",
    "not_placeholder": "placeholder_body",
    "awaits_in_async": CONTRADICTIONS["awaits_in_async"],  # before `parses`: Python's compiler refuses it too
    "parses": "does_not_parse",
    "keeps_signature": "signature_changed",
    **CONTRADICTIONS,
    "not_a_copy": "copy_of_original",
}
CHECKS_TYPE: Final = pa.struct(
    [
        *[pa.field(name, pa.bool_()) for name in REASONS],  # null: undecidable, or not applicable
        pa.field("edit_similarity", pa.float32()),  # null: there is no original
        pa.field("mean_logprob", pa.float32(), nullable=False),
    ]
)
RESULT_SCHEMA: Final = pa.schema(
    [
        pa.field("symbol_name", pa.large_string()),  # null: not a function's body
        pa.field("code_start", pa.int64()),  # the range of content that the code replaces, in characters
        pa.field("code_end", pa.int64()),
        pa.field("description", pa.large_string(), nullable=False),  # signature and documentation, heading, instruction
        pa.field("original_code", pa.large_string()),
        pa.field("generated_code", pa.large_string(), nullable=False),
        pa.field("generated_language", pa.string()),
        pa.field("is_windowed", pa.bool_(), nullable=False),
        pa.field("checks", CHECKS_TYPE, nullable=False),
    ]
)
_BODY_WORDS: Final = (
    "Complete the body of the following {language} function as its documentation says. Answer with the whole function "
    "in one code block.\n\n```{language}\n{code}\n```"
)
_FILE_WORDS: Final = (
    "Write the file {path} that begins as follows. Answer with the whole file in one code block.\n\n```{language}\n"
    "{code}\n```"
)


@dataclass(frozen=True, slots=True)
class GenerateTarget:
    """The data of a target that `accept` needs: the range that the code replaces (bytes of the content) and its
    function; for a conversation, the last user turn and the original answer, or None.
    """

    symbol: Symbol | None
    start: int
    end: int
    is_windowed: bool
    asked: str = ""
    answered: str | None = None


@dataclass(frozen=True, kw_only=True)
class GenerateTask(GenerateSettings):
    """Generates code; see `transforms.tasks.base.Task`. All fields affect the output.

    Args:
        tokenizer: The model's vocabulary: a file, a checkpoint folder or a built-in model's name.
        is_chat: Whether the model is instruction-tuned.
        job_seed: Seeds sampling.
    """

    tokenizer: str
    is_chat: bool = False
    job_seed: int = 0

    name = "generate"
    template_version = "generate-5"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.what == "chat" and not self.is_chat:
            raise ConfigError(
                "conversations need an instruction-tuned model (codegemma-7b-it); or use --prompt chat to try anyway"
            )
        if self.language and grammar_name(self.language) is None:
            raise ConfigError(
                f"--language {self.language}: no parser for it, so nothing can be checked; "
                f"languages are {', '.join(SPAN_NODES)}"
            )

    @property
    def result_schema(self) -> pa.Schema:
        """The columns of one generated piece of code, with what compiling or running it showed, if that is done."""
        return RESULT_SCHEMA if self.verify == "parse" else with_evidence(RESULT_SCHEMA, EVIDENCE[self.verify])

    def requests(self, row: Row) -> Iterator[TaskRequest | RejectedTarget]:
        """Finds the row's descriptions and builds prompts for the code.

        Raises:
            RecordError: `unsupported_language`, `unparsable`, `no_function`, `no_heading`, `bad_turns`,
                `empty_instruction`, `unknown_language`.
        """
        if self._is_free:
            return iter([self._prompt_request(row)])
        if self.what == "file":
            return iter([self._file_request(row)])
        source = read_source(row, BODY_LANGUAGES)
        functions = [s for s in find_symbols(source) if s.kind in ("function", "method")]
        wanted = [s for s in functions if s.doc is not None or not self.only_documented]
        if not wanted:
            documented = "documented " if self.only_documented else ""
            raise RecordError("no_function", f"the file has no {documented}function with a body")
        return (self._body_request(row, source, symbol, number) for number, symbol in enumerate(wanted))

    def accept(self, row: Row, request: TaskRequest, completion: Completion) -> Accepted | RejectedTarget:
        """Validates one answer."""
        target: GenerateTarget = request.payload
        tokenizer = open_tokenizer(self.tokenizer)
        written = tokenizer.decode(strip_final_separator(tokenizer, completion.tokens))
        data = row.content.encode()
        grammar = self._grammar(row, written)
        try:
            if target.symbol is not None and self._form() == "prefix":
                written, has_ended = body_by_margin(written, _margin(data, target.symbol.start))
                completion = replace(completion, finish_reason="stop_text") if has_ended else completion
            code = self._code(row, target, written, grammar)
            check_control(self.tokenizer, completion.tokens, code, row.content)
        except RecordError as error:
            return rejected(request, error.reason, error.detail)
        original = target.answered if self._is_free else data[target.start : target.end].decode()
        if original is not None and self._is_free:
            original = next((code for _, code in fences(original)), original)
        verdicts = self._verdicts(row, data, target, code, original, grammar, completion)
        if failed := failed_check(verdicts, REASONS, self._required(target, original)):
            reason, detail = failed
            detail = detail or f"{len(completion.tokens)} tokens were generated"
            if reason == REASONS["parses"]:
                detail = with_fault(self._fault(row, data, target, code, grammar), detail)
            return rejected(request, reason, detail)
        if refused := unlikely(request, completion, self.min_score):
            return refused
        before, after = ("", "") if self._is_free else (data[: target.start].decode(), data[target.end :].decode())
        return Accepted(
            written=(before, code, after),
            columns={
                "symbol_name": target.symbol.qualified_name if target.symbol is not None else None,
                "code_start": None if self._is_free else byte_to_char(data, target.start),
                "code_end": None if self._is_free else byte_to_char(data, target.end),
                "description": self._description(row, data, target),
                "original_code": original,
                "generated_code": code,
                "generated_language": grammar or None,
                "is_windowed": target.is_windowed,
                "checks": {
                    **verdicts,
                    "edit_similarity": None if original is None else checks.edit_similarity(code, original),
                    "mean_logprob": completion.mean_logprob,
                },
            },
        )

    def trial(
        self, row: Row, request: TaskRequest, columns: Mapping[str, Any], *, tests: str | None, is_compared: bool
    ) -> Trial:
        """Compiles the code in its place and, with `verify` "run", runs the row's tests on it, and calls it with
        generated inputs where samples are to be compared.
        """
        target: GenerateTarget = request.payload
        place = Place(language=language_of(columns["generated_language"] or ""))
        if not self._is_free:
            data = row.content.encode()
            place = replace(
                place,
                before=data[: target.start].decode(),
                kept=data[target.start : target.end].decode(),
                after=data[target.end :].decode(),
            )
        if target.symbol is not None:
            place = replace(place, start=byte_to_char(data, target.symbol.start), name=target.symbol.qualified_name)
        return trial_of_code(
            place,
            columns["generated_code"],
            path=row.path,
            tests=tests,
            settings=self,
            seed=derive_seed(self.job_seed, row.content_sha256, request.target, "inputs") if is_compared else None,
        )

    def distinct_texts(self, row: Row, columns: Mapping[str, Any]) -> tuple[str, str]:
        """The description and the code."""
        return columns["description"], columns["generated_code"]

    # --- prompts -------------------------------------------------------------------------------------

    def _body_request(self, row: Row, source: Source, symbol: Symbol, number: int) -> TaskRequest | RejectedTarget:
        name = f"body:{symbol.qualified_name}:{symbol.start}"
        if number >= self.max_functions:
            detail = f"the file has more than {self.max_functions} functions; raise --max_functions"
            return RejectedTarget(target=name, rejection=Rejection("targets", "too_many_functions", detail))
        try:
            hole = body_hole(source, symbol)
            if is_placeholder(source.data[hole.start : hole.end].decode(), source.grammar):
                raise RecordError("no_body", "the original body is itself a placeholder")
            prompt, is_windowed = self._body_prompt(source, symbol, hole)
        except RecordError as error:
            return RejectedTarget(target=name, rejection=Rejection("targets", error.reason, error.detail))
        return self._request(row, name, prompt, GenerateTarget(symbol, hole.start, hole.end, is_windowed))

    def _body_prompt(self, source: Source, symbol: Symbol, hole: BodyHole) -> tuple[list[int], bool]:
        tokenizer = open_tokenizer(self.tokenizer)
        if not self.is_chat:
            first = min(symbol.start, symbol.doc[0] if symbol.doc is not None else symbol.start)
            return self._hole_prompt(tokenizer, source.data, hole.start, hole.end, first)
        start = source.data.rfind(b"\n", 0, symbol.start) + 1
        signature = source.data[start : hole.start].decode()

        def build(code: str) -> list[int]:
            return chat_prompt(tokenizer, [Turn("user", _BODY_WORDS.format(language=source.grammar, code=code))])

        return fit_code(signature, build, self.max_prompt_tokens, least_lines=signature.count("\n") + 1)

    def _file_request(self, row: Row) -> TaskRequest | RejectedTarget:
        source = read_source(row, tuple(SPAN_NODES))
        end = heading_end(source)
        if end == 0 or not source.data[end:].strip():
            raise RecordError("no_heading", "the file does not start with a comment or docstring that describes it")
        tokenizer = open_tokenizer(self.tokenizer)
        heading = source.data[:end].decode()
        if self.is_chat:

            def build(code: str) -> list[int]:
                words = _FILE_WORDS.format(path=row.path or "below", language=source.grammar, code=code)
                return chat_prompt(tokenizer, [Turn("user", words)])

            prompt, is_windowed = fit_code(heading, build, self.max_prompt_tokens, least_lines=heading.count("\n") + 1)
        else:
            lead = path_line_text(row.path) if row.path else ""
            prompt, is_windowed = self._hole_prompt(tokenizer, (lead + heading).encode())
        return self._request(row, "file", prompt, GenerateTarget(None, end, len(source.data), is_windowed))

    def _prompt_request(self, row: Row) -> TaskRequest | RejectedTarget:
        tokenizer = open_tokenizer(self.tokenizer)
        turns, answered = [Turn("user", row.content)], None
        if self.what == "chat":
            turns = read_turns(row.content)
            if len(turns) > 1 and turns[-1].role == "model":
                answered = turns.pop().text
        if not turns or is_blank(turns[-1].text):
            raise RecordError("empty_instruction", "the instruction has no visible character")
        if not (self.is_chat or self._named_grammar(row)):  # a base model's answer has no fence that could name one
            raise RecordError("unknown_language", "nothing says which language to check the answer against")
        prompt = chat_prompt(tokenizer, turns) if self.is_chat else continuation_prompt(tokenizer, row.content)
        if len(prompt) > self.max_prompt_tokens:
            detail = (
                f"the prompt has {len(prompt)} tokens, the limit is {self.max_prompt_tokens}; raise --max_prompt_tokens"
            )
            return RejectedTarget(target=self.what, rejection=Rejection("targets", "prompt_too_long", detail))
        return self._request(row, self.what, prompt, GenerateTarget(None, 0, 0, False, turns[-1].text, answered))

    def _hole_prompt(
        self, tokenizer: Tokenizer, data: bytes, start: int | None = None, end: int | None = None, first: int = 0
    ) -> tuple[list[int], bool]:
        """The prompt for a hole (bytes; the end of the file by default) whose description starts at `first`."""
        text = data.decode()
        begin, after = (len(text) if place is None else byte_to_char(data, place) for place in (start, end))
        needed = (byte_to_char(data, first), begin)
        prompt, _, is_windowed = hole_prompt(tokenizer, text, (begin, after), needed, self.max_prompt_tokens)
        return prompt, is_windowed

    def _request(self, row: Row, name: str, prompt: list[int], target: GenerateTarget) -> TaskRequest:
        tokenizer = open_tokenizer(self.tokenizer)
        return TaskRequest(
            target=name,
            request=request_of(
                self,
                prompt,
                stop_ids=chat_stop_ids(tokenizer) if self.is_chat else fim_stop_ids(tokenizer),
                seed=derive_seed(self.job_seed, row.content_sha256, "generate", name),
            ),
            payload=target,
            prompt_format=self._form(),
        )

    def _form(self) -> PromptForm | Literal["plain"]:
        if self.is_chat:
            return "chat"
        return "plain" if self._is_free else form_of_hole(open_tokenizer(self.tokenizer))

    # --- validation ----------------------------------------------------------------------------------

    @property
    def _is_free(self) -> bool:
        """Whether the row is a request for code rather than code."""
        return self.what in ("prompt", "chat")

    def _grammar(self, row: Row, written: str) -> str:
        """The language that the answer should be in; "" if it is not specified."""
        if not self._is_free:
            return grammar_name(row.language, row.path) or ""
        named = self._named_grammar(row)
        return named or next((found for name, _ in fences(written) if name and (found := grammar_name(name))), "")

    def _named_grammar(self, row: Row) -> str | None:
        """The language that the user or the row asks for; None if neither names one that can be checked."""
        return grammar_name(self.language) or grammar_name(row.language)

    def _code(self, row: Row, target: GenerateTarget, written: str, grammar: str) -> str:
        """Extracts the code of an answer: a FIM middle as it is; in a chat answer the fence, or the body of a full
        function.

        Raises:
            RecordError: `other_language`, `no_code`, `unknown_language`, and those of `body_of_answer`.
        """
        if not self.is_chat:
            return written if self.what != "body" else written.rstrip()
        code = code_of_answer(written, grammar, joined=target.symbol is not None)
        if code is None and (grammar in PROSE_PARSES or is_chatter(written)):
            raise RecordError("no_code", "the answer has no fenced code block, so code can't be told apart from prose")
        if code is None and not grammar and written.strip():
            raise RecordError(
                "no_code", "the answer has no fenced code block, and --language is not set to check it against"
            )
        if not grammar and written.strip():
            raise RecordError(
                "unknown_language",
                "neither --language nor the code fence says which language to check the answer against",
            )
        code = written if code is None else code
        if target.symbol is not None:
            return body_of_answer(code, grammar, target.symbol, read_source(row, BODY_LANGUAGES))
        heading = row.content.encode()[: target.start].decode().strip()
        if self.what == "file" and code.lstrip().startswith(heading):
            return code.lstrip()[len(heading) :]
        return code

    def _verdicts(
        self,
        row: Row,
        data: bytes,
        target: GenerateTarget,
        code: str,
        original: str | None,
        grammar: str,
        completion: Completion,
    ) -> dict[str, bool | None]:
        verdicts: dict[str, bool | None] = {
            "not_empty": bool(code.strip()),
            "not_cut_off": completion.finish_reason != "length",
            "not_placeholder": not is_placeholder(code, grammar),
            **dict.fromkeys(("parses", "keeps_signature", *CONTRADICTIONS)),
            "not_a_copy": None if original is None else " ".join(code.split()) != " ".join(original.split()),
        }
        if target.symbol is not None:
            source, hole = read_source(row, BODY_LANGUAGES), BodyHole(target.start, target.end)
            verdicts |= judge_body(source, target.symbol, hole, code)
        elif grammar:
            verdicts["parses"] = parses(data[: target.start].decode() + code, grammar)
        return verdicts

    def _fault(self, row: Row, data: bytes, target: GenerateTarget, code: str, grammar: str) -> str:
        before = data[: target.start].decode()
        if target.symbol is None:
            return first_fault(before + code, grammar)
        hole = len(before), len(before) + len(data[target.start : target.end].decode())
        changed = before + code + row.content[hole[1] :]
        return first_fault(changed, row.language, row.path, original=row.content, hole=hole)

    def _required(self, target: GenerateTarget, original: str | None) -> list[str]:
        """The checks that this answer must pass: all, except those that have nothing to compare it with."""
        absent = dict.fromkeys(("keeps_signature", *CONTRADICTIONS), target.symbol is None)
        absent |= {"not_a_copy": original is None or not self.reject_copies}
        return [check for check in REASONS if not absent.get(check)]

    def _description(self, row: Row, data: bytes, target: GenerateTarget) -> str:
        if self._is_free:
            return target.asked
        start = 0
        if target.symbol is not None:
            first = min(target.symbol.start, target.symbol.doc[0] if target.symbol.doc else target.symbol.start)
            start = data.rfind(b"\n", 0, first) + 1
        return data[start : target.start].decode()


def _margin(data: bytes, place: int) -> str:
    """The indentation of the line in which a place stands."""
    line = data[data.rfind(b"\n", 0, place) + 1 :]
    return line[: len(line) - len(line.lstrip(b" \t"))].decode()
