"""Generate: code from what describes it - a body from its signature, a file from its heading, code from an instruction.

    body     a FIM hole (or a chat turn) where a function's body is; its documentation stays: only documented functions
             unless told otherwise
    file     the rest of a file after its path and its heading comment or docstring
    prompt   the row's content is an instruction; the answer is the code in its first fence, or all of it

Verified: it parses (Python's own `compile` for whole files, syntax trees elsewhere; nothing is run), a body stays a
body (the function ends where the answer ends, so name and signature are kept), it is no copy of the original and no
placeholder, it is not cut off. The original is kept to compare with.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import pyarrow as pa

from model.engine.api import Completion, Request, Sampling
from model.errors import ConfigError, RecordError
from model.tokenizer import Tokenizer
from transforms import checks
from transforms.chat import Turn, chat_prompt, chat_stop_ids, fenced_code
from transforms.documentation.bodies import BODY_LANGUAGES, BodyHole, body_hole, is_placeholder
from transforms.fim.formats import fim_prompt, fim_stop_ids, path_line_text, strip_final_separator
from transforms.fim.grammars import SPAN_NODES, grammar_name
from transforms.fim.syntax import Source, parse
from transforms.fim.windows import fit_window
from transforms.rows import Rejection, Row, derive_seed
from transforms.symbols import Symbol, find_symbols
from transforms.tasks.base import Accepted, RejectedTarget, TaskRequest
from transforms.tasks.shared import FIM_CONTROL_TOKENS, byte_to_char, fit_code, open_tokenizer, read_source, rejected

What = Literal["body", "file", "prompt"]
WHATS: Final = ("body", "file", "prompt")

# verdict -> reason, in the order in which they are asked
REASONS: Final = {
    "not_empty": "empty_code",
    "not_cut_off": "cut_off",
    "not_placeholder": "placeholder_body",
    "parses": "does_not_parse",
    "keeps_signature": "signature_changed",
    "not_a_copy": "copy_of_original",
}
CHECKS_TYPE: Final = pa.struct(
    [
        *[pa.field(name, pa.bool_()) for name in REASONS],  # null: it can't be told, or doesn't apply
        pa.field("edit_similarity", pa.float32()),  # null: there is no original
        pa.field("mean_logprob", pa.float32(), nullable=False),
    ]
)
RESULT_SCHEMA: Final = pa.schema(
    [
        pa.field("symbol_name", pa.large_string()),  # null: not a function's body
        pa.field("code_start", pa.int64()),  # characters of content that the code takes the place of
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
    """What `accept` needs again: where the code goes (bytes of the content), and of which function."""

    symbol: Symbol | None
    start: int
    end: int
    is_windowed: bool


@dataclass(frozen=True, kw_only=True)
class GenerateTask:
    """Writes code, see `transforms.tasks.base.Task`. All fields are semantic: they change rows.

    Args:
        tokenizer: Where the model's vocabulary lies (file, checkpoint folder or shipped model's name).
        what: `body`, `file` or `prompt`.
        is_chat: Whether the model is an instruction model.
        only_documented: Bodies: only of functions with documentation.
        max_functions: Bodies of one file, at most; those beyond are rejected as `too_many_functions`.
        reject_copies: Whether code that equals the original up to blanks is rejected.
        language: Prompts: the language of the code that is wanted, or "".
        job_seed, max_prompt_tokens, max_new_tokens, temperature, top_k, top_p, min_score: As for every generating task.
    """

    tokenizer: str
    what: What = "body"
    is_chat: bool = False
    only_documented: bool = True
    max_functions: int = 10_000
    reject_copies: bool = True
    language: str = ""
    job_seed: int = 0
    max_prompt_tokens: int = 1024
    max_new_tokens: int = 512
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_score: float = float("-inf")

    name = "generate"
    template_version = "generate-1"

    def __post_init__(self) -> None:
        if self.what not in WHATS:
            raise ConfigError(f"what is {self.what!r}; it can be {', '.join(WHATS)}")

    @property
    def result_schema(self) -> pa.Schema:
        """The columns of one generated piece of code."""
        return RESULT_SCHEMA

    def requests(self, row: Row) -> Iterator[TaskRequest | RejectedTarget]:
        """Finds what the row describes and asks for the code.

        Raises:
            RecordError: `unsupported_language`, `unparsable`, `no_function`, `no_heading`.
        """
        if self.what == "prompt":
            return iter([self._prompt_request(row)])
        if self.what == "file":
            return iter([self._file_request(row)])
        source = read_source(row, BODY_LANGUAGES)
        functions = [s for s in find_symbols(source) if s.kind in ("function", "method")]
        wanted = [s for s in functions if s.doc is not None or not self.only_documented]
        if not wanted:
            documented = "documented " if self.only_documented else ""
            raise RecordError("no_function", f"there is no {documented}function with a body")
        return (self._body_request(row, source, symbol, number) for number, symbol in enumerate(wanted))

    def accept(self, row: Row, request: TaskRequest, completion: Completion) -> Accepted | RejectedTarget:
        """Judges one answer."""
        target: GenerateTarget = request.payload
        tokenizer = open_tokenizer(self.tokenizer)
        written = tokenizer.decode(strip_final_separator(tokenizer, completion.tokens))
        data = row.content.encode()
        original = None if self.what == "prompt" else data[target.start : target.end].decode()
        try:
            code = self._code(row, target, written)
        except RecordError as error:
            return rejected(request, error.reason, error.detail)
        verdicts = self._verdicts(row, data, target, code, original, completion)
        required = [check for check in REASONS if check != "not_a_copy" or self.reject_copies]
        for check in required:
            if verdicts[check] is False:
                return rejected(request, REASONS[check], f"{len(completion.tokens)} tokens were generated")
        if completion.mean_logprob < self.min_score:
            detail = f"mean log-probability is {completion.mean_logprob:.3f}, the least is {self.min_score}"
            return rejected(request, "unlikely", detail)
        is_prompt = self.what == "prompt"
        before, after = ("", "") if is_prompt else (data[: target.start].decode(), data[target.end :].decode())
        return Accepted(
            written=(before, code, after),
            columns={
                "symbol_name": target.symbol.qualified_name if target.symbol is not None else None,
                "code_start": None if is_prompt else byte_to_char(data, target.start),
                "code_end": None if is_prompt else byte_to_char(data, target.end),
                "description": self._description(row, data, target),
                "original_code": original,
                "generated_code": code,
                "generated_language": self.language if is_prompt else grammar_name(row.language, row.path),
                "is_windowed": target.is_windowed,
                "checks": {
                    **verdicts,
                    "edit_similarity": None if original is None else checks.edit_similarity(code, original),
                    "mean_logprob": completion.mean_logprob,
                },
            },
        )

    # --- asking --------------------------------------------------------------------------------------

    def _body_request(self, row: Row, source: Source, symbol: Symbol, number: int) -> TaskRequest | RejectedTarget:
        name = f"body:{symbol.qualified_name}:{symbol.start}"
        if number >= self.max_functions:
            detail = f"the file has more than {self.max_functions} functions; raise --max_functions"
            return RejectedTarget(target=name, rejection=Rejection("targets", "too_many_functions", detail))
        try:
            hole = body_hole(source, symbol)
            if is_placeholder(source.data[hole.start : hole.end].decode()):
                raise RecordError("no_body", "the original is a placeholder itself")
            prompt, is_windowed = self._body_prompt(source, symbol, hole)
        except RecordError as error:
            return RejectedTarget(target=name, rejection=Rejection("targets", error.reason, error.detail))
        return self._request(row, name, prompt, GenerateTarget(symbol, hole.start, hole.end, is_windowed))

    def _body_prompt(self, source: Source, symbol: Symbol, hole: BodyHole) -> tuple[list[int], bool]:
        tokenizer = open_tokenizer(self.tokenizer)
        if not self.is_chat:
            return self._fim_prompt(tokenizer, source.data, hole.start, hole.end)
        start = source.data.rfind(b"\n", 0, symbol.start) + 1
        signature = source.data[start : hole.start].decode()

        def build(code: str) -> list[int]:
            return chat_prompt(tokenizer, [Turn("user", _BODY_WORDS.format(language=source.grammar, code=code))])

        return fit_code(signature, build, self.max_prompt_tokens)

    def _file_request(self, row: Row) -> TaskRequest | RejectedTarget:
        source = read_source(row, tuple(SPAN_NODES))
        end = _heading_end(source)
        if end == 0 or not source.data[end:].strip():
            raise RecordError("no_heading", "the file doesn't begin with a comment or docstring that describes it")
        tokenizer = open_tokenizer(self.tokenizer)
        heading = source.data[:end].decode()
        if self.is_chat:

            def build(code: str) -> list[int]:
                words = _FILE_WORDS.format(path=row.path or "below", language=source.grammar, code=code)
                return chat_prompt(tokenizer, [Turn("user", words)])

            prompt, is_windowed = fit_code(heading, build, self.max_prompt_tokens)
        else:
            lead = path_line_text(row.path) if row.path else ""
            prompt, is_windowed = self._fim_prompt(tokenizer, (lead + heading).encode())
        return self._request(row, "file", prompt, GenerateTarget(None, end, len(source.data), is_windowed))

    def _prompt_request(self, row: Row) -> TaskRequest | RejectedTarget:
        tokenizer = open_tokenizer(self.tokenizer)
        if self.is_chat:
            prompt = chat_prompt(tokenizer, [Turn("user", row.content)])
        else:
            prompt = [tokenizer.bos, *tokenizer.encode(row.content)]
        if len(prompt) > self.max_prompt_tokens:
            detail = (
                f"the prompt has {len(prompt)} tokens, the limit is {self.max_prompt_tokens}; raise --max_prompt_tokens"
            )
            return RejectedTarget(target="prompt", rejection=Rejection("targets", "prompt_too_long", detail))
        return self._request(row, "prompt", prompt, GenerateTarget(None, 0, 0, False))

    def _fim_prompt(
        self, tokenizer: Tokenizer, data: bytes, start: int | None = None, end: int | None = None
    ) -> tuple[list[int], bool]:
        text = data.decode()
        first = len(text) if start is None else byte_to_char(data, start)
        last = len(text) if end is None else byte_to_char(data, end)
        window = fit_window(tokenizer, text, first, last, self.max_prompt_tokens - FIM_CONTROL_TOKENS)
        return fim_prompt(tokenizer, "psm", window.prefix_ids, window.suffix_ids), window.is_windowed

    def _request(self, row: Row, name: str, prompt: list[int], target: GenerateTarget) -> TaskRequest:
        tokenizer = open_tokenizer(self.tokenizer)
        is_plain = self.what == "prompt" and not self.is_chat
        return TaskRequest(
            target=name,
            request=Request(
                prompt=tuple(prompt),
                max_new_tokens=self.max_new_tokens,
                stop_ids=chat_stop_ids(tokenizer) if self.is_chat else fim_stop_ids(tokenizer),
                sampling=Sampling(
                    temperature=self.temperature,
                    top_k=self.top_k,
                    top_p=self.top_p,
                    seed=derive_seed(self.job_seed, row.content_sha256, "generate", name),
                ),
            ),
            payload=target,
            prompt_format="chat" if self.is_chat else "plain" if is_plain else "psm",
        )

    # --- judging -------------------------------------------------------------------------------------

    def _code(self, row: Row, target: GenerateTarget, written: str) -> str:
        """The code in an answer: a FIM middle as it is; a chat answer's fence, and of a whole function its body."""
        if not self.is_chat:
            return written if self.what != "body" else written.rstrip()
        grammar = self.language or grammar_name(row.language, row.path) or ""
        code = fenced_code(written, grammar)
        if code is None:
            code = written
        if self.what == "body":
            return _body_of_answer(code, grammar, target)
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
        completion: Completion,
    ) -> dict[str, bool | None]:
        changed = (
            code if self.what == "prompt" else (data[: target.start] + code.encode() + data[target.end :]).decode()
        )
        return {
            "not_empty": bool(code.strip()),
            "not_cut_off": completion.finish_reason != "length",
            "not_placeholder": not is_placeholder(code) if self.what == "body" else None,
            "parses": self._parses(row, changed),
            "keeps_signature": _stays_a_body(row, target, code) if target.symbol is not None else None,
            "not_a_copy": None if original is None else " ".join(code.split()) != " ".join(original.split()),
        }

    def _parses(self, row: Row, changed: str) -> bool | None:
        if self.what != "prompt":
            return checks.parses(changed, row.content, row.language, row.path)
        if self.language == "python":
            return checks.compiles(changed)
        errors = checks.num_errors(changed, self.language) if self.language in SPAN_NODES else None
        return None if errors is None else errors == 0

    def _description(self, row: Row, data: bytes, target: GenerateTarget) -> str:
        if self.what == "prompt":
            return row.content
        start = 0
        if target.symbol is not None:
            first = min(target.symbol.start, target.symbol.doc[0] if target.symbol.doc else target.symbol.start)
            start = data.rfind(b"\n", 0, first) + 1
        return data[start : target.start].decode()


def _heading_end(source: Source) -> int:
    """Where the file's heading ends: its leading comments, and Python's module docstring; 0 where it has neither."""
    end = 0
    for child in source.tree.root_node.named_children:
        is_comment = "comment" in child.type or child.type in ("hash_bang_line", "shebang")
        is_string = source.grammar == "python" and source.data[child.start_byte : child.start_byte + 1] in (b'"', b"'")
        if not is_comment and not is_string:
            break
        end = child.end_byte
        if is_string:
            break
    return end + len(source.data[end:]) - len(source.data[end:].lstrip(b"\r\n")) if end else 0


def _stays_a_body(row: Row, target: GenerateTarget, code: str) -> bool | None:
    """Whether the function, with the new body, is still there by name and signature and ends where the answer ends."""
    assert target.symbol is not None
    grammar = grammar_name(row.language, row.path)
    assert grammar is not None
    data = row.content.encode()
    body = code.encode()
    source = parse(data[: target.start] + body + data[target.end :], grammar)
    if source is None:
        return None
    grown = len(body) - (target.end - target.start)
    same_place = [s for s in find_symbols(source) if s.start == target.symbol.start and s.name == target.symbol.name]
    # Blanks at the answer's end may or may not belong to the body.
    slack = len(body) - len(body.rstrip())
    return any(
        s.parameters == target.symbol.parameters
        and s.kind == target.symbol.kind
        and target.symbol.end + grown - slack <= s.end <= target.symbol.end + grown
        for s in same_place
    )


def _body_of_answer(code: str, grammar: str, target: GenerateTarget) -> str:
    """The body of the function of that name in a chat answer.

    Raises:
        RecordError: `no_such_function`, `signature_changed`.
    """
    assert target.symbol is not None
    source = parse(code.encode(), grammar) if grammar in BODY_LANGUAGES else None
    found = [s for s in find_symbols(source) if s.name == target.symbol.name] if source is not None else []
    if source is None or not found:
        raise RecordError("no_such_function", f"the answer holds no function {target.symbol.name} that parses")
    if found[0].parameters != target.symbol.parameters and found[0].parameters[1:] != target.symbol.parameters:
        raise RecordError("signature_changed", "the answer's function has other parameters")
    hole = body_hole(source, found[0])
    body = source.data[hole.start : hole.end].decode()
    return _indented(body, found[0].indent, target.symbol.indent) if grammar == "python" else body


def _indented(body: str, old: str, new: str) -> str:
    first, *rest = body.split("\n")
    return "\n".join([first, *[new + line.removeprefix(old) if line.strip() else line for line in rest]])
