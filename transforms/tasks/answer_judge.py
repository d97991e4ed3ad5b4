"""Judges the answers of a user's own task (`transforms.tasks.annotate`) by the checks of its task file.

What an answer says of its target is judged by `transforms.tasks.contents`.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from transforms import checks
from transforms.bodies.placeholders import is_placeholder
from transforms.languages.grammars import grammar_name
from transforms.languages.parsing import parses
from transforms.talk import is_refusal
from transforms.tasks import answer_texts, contents, patterns, schemas
from transforms.tasks.task_file import AnnotationSpec, AnswerSpec
from transforms.tasks.templates import render

REASONS: Final = {
    "not_empty": "empty_answer",
    "not_cut_off": "cut_off",
    "no_refusal": "refusal",
    "not_the_question": "repeats_the_prompt",
    "not_repeating": "repeats_itself",
    "right_form": "wrong_form",
    "length_in_bounds": "length_out_of_bounds",
    "parses": "does_not_parse",
    "mentions_name": "name_not_mentioned",
    "near_the_original": "too_far_from_original",
    "asserts": "asserts_nothing",
    "leaves_the_target": "redefines_target",
    "translates_the_target": "other_function",
    "changes_only_faults": "other_lines_changed",
    "quotes_the_code": "quotes_other_code",
    "has_the_code": "asks_for_code",
    "fields_differ": "repeats_the_question",
    "matches": "pattern_not_found",
    "no_unwanted_match": "unwanted_pattern",
    "not_a_copy": "copy_of_original",
}
# What an answer says of its target (`transforms.tasks.contents`).
CONTENT_CHECKS: Final = (
    "asserts", "leaves_the_target", "translates_the_target", "changes_only_faults", "quotes_the_code", "has_the_code",
    "fields_differ",
)  # fmt: skip
CHECKS_TYPE: Final = pa.struct(
    [
        *[pa.field(name, pa.bool_()) for name in REASONS],  # null: not applicable
        pa.field("mean_logprob", pa.float32(), nullable=False),
    ]
)


@dataclass(frozen=True)
class AnswerJudge:
    """The checks of a task file."""

    spec: AnnotationSpec

    def answer_language(self, language: str) -> str:
        """The language of an answer's code about a file of this language."""
        return _answer_language(self.spec.answer.language, language, tuple(self.spec.params.items()))

    def required(self, code: str | None) -> list[str]:
        """The checks that an answer must pass: all that apply to an answer of this kind."""
        spec, is_code = self.spec.answer, code is not None
        applies = {
            "parses": is_code,
            "mentions_name": spec.must_mention_name,
            "matches": bool(spec.must_match),
            "no_unwanted_match": bool(spec.must_not_match),
            "asserts": is_code and self.spec.verify == "tests",
            "leaves_the_target": is_code and self.spec.verify == "tests",
            "translates_the_target": is_code and self.spec.verify == "translation",
            "changes_only_faults": is_code and spec.only_faults,
            "quotes_the_code": bool(spec.quoted_field),
            "has_the_code": spec.kind in ("text", "json"),
            "fields_differ": bool(spec.distinct_fields),
            "near_the_original": bool(spec.min_edit_similarity),
            "not_a_copy": is_code or spec.kind == "text",
            "not_the_question": spec.kind in ("text", "line"),
            "not_repeating": spec.kind in ("text", "json"),
        }
        return [check for check in REASONS if applies.get(check, True)]

    def verdicts(
        self,
        name: str,
        answer: str,
        code: str | None,
        found: Any,
        language: str,
        original: str,
        *,
        is_whole: bool,
        prompt: str = "",
    ) -> dict[str, bool | None]:
        """Judges an answer; None where a check doesn't apply.

        Args:
            name: The target's qualified name; "" for a file.
            answer: The answer.
            code: The code in it, if it is of a kind that has code.
            found: Its JSON value, if it is JSON.
            language: The file's language.
            original: The target's own text.
            is_whole: Whether the answer wasn't cut off.
            prompt: What was asked.

        Raises:
            RecordError: A pattern or a schema of the task file costs too much.
        """
        spec = self.spec.answer
        name = name.split(".")[-1]
        right_form = True
        if spec.kind == "code":
            right_form = code is not None
        elif spec.kind == "json":
            right_form = schemas.is_valid("answer.schema", spec.schema or {}, found, len(answer))
            right_form = right_form and (not spec.code_field or code is not None)
        is_code = code is not None
        similarity = checks.edit_similarity(code or "", original) if spec.min_edit_similarity else 1.0
        unwanted = _matches(spec, "must_not_match", answer)
        written, is_test = self.answer_language(language), self.spec.verify == "tests" or spec.whole
        is_said = spec.kind in ("text", "json")
        spoken = [field for field in spec.distinct_fields if field != spec.quoted_field]
        prose = answer_texts.prose_of(answer, found, spoken) if is_said else [answer]
        return {
            "not_empty": any(c.isalnum() for c in answer) or answer.strip() in ("[]", "{}")
            if code is None
            else not is_placeholder(code, written) and (is_test or not contents.is_stub(code, written)),
            "not_cut_off": is_whole and (is_code or all(map(answer_texts.is_whole, prose))),
            "no_refusal": not any(map(self._refuses, prose)),
            "not_the_question": not answer_texts.repeats_question(answer, prompt, original)
            if spec.kind in ("text", "line")
            else None,
            "not_repeating": not answer_texts.goes_in_circles(prose, found) if is_said else None,
            "right_form": right_form,
            "length_in_bounds": spec.min_chars <= len(answer) <= spec.max_chars,
            "parses": None if code is None else parses(code, self.answer_language(language)),
            "mentions_name": self._mentions_name(code or "", name, language) if spec.must_mention_name else None,
            **self._contents(name, answer, code, found, language, original),
            "matches": _matches(spec, "must_match", answer),
            "no_unwanted_match": None if unwanted is None else not unwanted,
            "near_the_original": similarity >= spec.min_edit_similarity if spec.min_edit_similarity else None,
            "not_a_copy": self._is_own(answer, code, original),
        }

    def _refuses(self, text: str) -> bool:
        return is_refusal(text) and not (self.spec.answer.kind == "json" and answer_texts.asks_for_code(text))

    def _is_own(self, answer: str, code: str | None, original: str) -> bool | None:
        if code is not None:
            return " ".join(code.split()) != " ".join(original.split())
        return not answer_texts.is_copy(answer, original) if self.spec.answer.kind == "text" else None

    def _mentions_name(self, code: str, name: str, language: str) -> bool:
        if self.spec.verify == "tests":
            code = contents.code_alone(code, self.answer_language(language))
        return _names(code, name)

    def _contents(
        self, name: str, answer: str, code: str | None, found: Any, language: str, original: str
    ) -> dict[str, bool | None]:
        """The verdicts on what an answer says of its target; None where nothing is to be said."""
        spec, verify, written = self.spec.answer, self.spec.verify, self.answer_language(language)
        verdicts: dict[str, bool | None] = dict.fromkeys(CONTENT_CHECKS)
        if code is not None and verify == "tests":
            verdicts["asserts"] = contents.asserts(code, written)
            verdicts["leaves_the_target"] = not contents.redefines(code, written, name)
        if code is not None and verify == "translation":
            verdicts["translates_the_target"] = contents.defines_like(code, written, name)
        if code is not None and spec.only_faults:
            verdicts["changes_only_faults"] = contents.changes_only_faults(code, original, written)
        if spec.quoted_field:
            verdicts["quotes_the_code"] = answer_texts.quotes(found, spec.quoted_field, original)
        if spec.kind in ("text", "json"):
            verdicts["has_the_code"] = not any(
                map(answer_texts.asks_for_code, answer_texts.texts_of(found if found else answer))
            )
        if spec.distinct_fields:
            verdicts["fields_differ"] = answer_texts.fields_differ(found, spec.distinct_fields)
        return verdicts


@functools.lru_cache(maxsize=64)  # a rendering takes longer than the other checks of a short answer
def _answer_language(template: str, language: str, params: tuple[tuple[str, str], ...]) -> str:
    written = render(template, {"language": language, **dict(params)})
    return grammar_name(written) or language


def _matches(spec: AnswerSpec, key: str, answer: str) -> bool | None:
    """Whether the pattern under a key matches in the answer; None if there is no pattern. Raises RecordError."""
    pattern = getattr(spec, key)
    return patterns.matches(f"answer.{key}", pattern, answer) if pattern else None


def _names(code: str, name: str) -> bool:
    """Whether a name occurs in code as a separate word, in any case: capitalization differs between languages."""
    return re.search(rf"(?<![^\W_]){re.escape(name)}(?![^\W_])", code, re.I) is not None
