"""The pure-Python stages of generation for one row: filter the input, build prompts, validate answers, choose among
samples, and filter the output.

They run in the row pool's processes (`transforms.row_pool`), to and from which a row is sent once. Nothing here depends
on the engine: `prepare` returns requests, and `validate` takes the completions of all requests of a row together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from model.engine.requests import Completion, Request
from model.errors import RecordError
from transforms import bounded
from transforms.duplicates.known_text import open_known_text
from transforms.filters.columns import Filtered, Names, filter_names
from transforms.filters.content import by_rules, filter_input
from transforms.generation.imported import imported_files
from transforms.generation.selection import choose_samples
from transforms.packing.lookup import GroupedCorpus
from transforms.rows.rejections import Rejection, stage_error
from transforms.rows.row import Row, derive_seed
from transforms.scanning import ContentFilter
from transforms.scanning.policy import VERBATIM_COPY
from transforms.tasks.base import Accepted, ContextTask, NestingTask, RejectedTarget, Task, TaskRequest, VerifiedTask
from transforms.verification.trials import Trial

FILTER_OUTPUT: Final = "filter_output"


@dataclass(frozen=True, slots=True)
class Prepared:
    """One row as prepared for the engine.

    Args:
        row: The row, its content redacted; None where the caller has it (`RowStages.prepare_light`).
        requests: The requests to submit, in order.
        rejected_targets: Targets for which no prompt could be built.
        rejection: Why the row as a whole is rejected, or None.
        counts: Findings of the input filter, counted by `found/TYPE/ACTION`.
    """

    row: Row | None
    requests: tuple[TaskRequest, ...] = ()
    rejected_targets: tuple[RejectedTarget, ...] = ()
    rejection: Rejection | None = None
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answers:
    """A row with the engine's results: per request and sample, the completion or the reason why there is none."""

    row: Row
    requests: tuple[TaskRequest, ...]
    samples: tuple[tuple[Completion | Rejection, ...], ...]
    tests: str | None = None  # that the row brings


@dataclass(frozen=True, slots=True)
class Judged:
    """Verdicts on a row's answers, per request and sample, and what is to be run for those that are accepted so far."""

    verdicts: tuple[tuple[Accepted | RejectedTarget, ...], ...]
    trials: tuple[tuple[Trial | None, ...], ...]


@dataclass(frozen=True, slots=True)
class Tried:
    """A row's answers with the verdicts on them after all that was to be run has been."""

    answers: Answers
    verdicts: tuple[tuple[Accepted | RejectedTarget, ...], ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """One kept answer: its request and sample, the accepted result, and its agreement with the other samples, by text
    and by behavior.
    """

    request: int
    sample: int
    accepted: Accepted
    agreement: float | None
    behavior: float | None = None


@dataclass(frozen=True, slots=True)
class Validated:
    """The outcome of a row's requests: each either has kept answers or is among the rejected.

    Args:
        kept: Answers that are kept, in request order.
        rejected: Targets without a kept answer.
        nested: The columns of the one row for the whole file, if nesting is enabled and an answer was kept.
        sample_fates: How many of the samples that are not kept were rejected, and how many were passed over.
    """

    kept: tuple[Kept, ...]
    rejected: tuple[RejectedTarget, ...]
    nested: Mapping[str, Any] | None = None
    sample_fates: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RowStages:
    """The stages that the row pool runs.

    Args:
        task: Chooses targets, builds prompts, validates answers.
        content_filter: Filters inputs and answers; None accepts everything.
        keep: Maximum number of distinct answers kept per target.
        nest: Whether a file becomes one row; the task must then be a `NestingTask`.
        context: Where the task's prompts get what files import; None for nowhere.
        known_text: Folder of an index of known text (`transforms.duplicates.known_text`). Depending on the policy,
            verbatim copies from other files are recorded in the answer's row or reject it. "" disables the search.
        answer_tokenizer: Decodes rejected answers so that they are kept, except those in which the filter finds
            something; "" keeps none.
    """

    task: Task
    content_filter: ContentFilter | None = None
    keep: int = 1
    nest: bool = False
    answer_tokenizer: str = ""
    known_text: str = ""
    context: GroupedCorpus | None = None

    def open(self) -> None:
        """Creates the scanner; tasks open their tokenizers on first use."""
        if self.content_filter is not None:
            self.content_filter.open()
        if self.known_text:
            open_known_text(self.known_text)

    def filter_names(self, names: Names) -> Filtered:
        """Scans and redacts texts of a column other than the content."""
        assert self.content_filter is not None
        return filter_names(self.content_filter, names)

    @bounded.for_one_row()
    def prepare(self, row: Row) -> Prepared:
        """Filters and redacts the row, then chooses its targets and builds their prompts."""
        filtered = filter_input(self.content_filter, row)
        if filtered.rejection is not None:
            return Prepared(row, rejection=filtered.rejection, counts=filtered.counts)
        return replace(self._ask(filtered.row), counts=filtered.counts)

    def prepare_light(self, row: Row) -> Prepared:
        """As `prepare`, without the row if it is the given one: the whole file needn't go back from a process."""
        prepared = self.prepare(row)
        return replace(prepared, row=None) if prepared.row is row else prepared

    @bounded.for_one_row()
    def validate(self, answers: Answers) -> Validated:
        """Validates all answers to a row's requests, chooses among them, and nests them if that is enabled."""
        return self._choose_all(Tried(answers, self._judge(answers)))

    @bounded.for_one_row()
    def judge(self, answers: Answers) -> Judged:
        """Validates all answers to a row's requests as far as nothing needs to be run, and says what is to be."""
        found = [
            [self._with_trial(answers, request, verdict) for verdict in row]
            for request, row in zip(answers.requests, self._judge(answers), strict=True)
        ]
        verdicts = tuple(tuple(verdict for verdict, _ in row) for row in found)
        return Judged(verdicts, tuple(tuple(trial for _, trial in row) for row in found))

    def choose(self, tried: Tried) -> Validated:
        """Chooses among a row's answers, and nests them if that is enabled."""
        verdicts = tuple(tuple(map(self._without_findings, row)) for row in tried.verdicts)
        return self._choose_all(replace(tried, verdicts=verdicts))

    def _judge(self, answers: Answers) -> tuple[tuple[Accepted | RejectedTarget, ...], ...]:
        return tuple(
            tuple(self._with_answer(self._verdict(answers.row, request, sample), sample) for sample in samples)
            for request, samples in zip(answers.requests, answers.samples, strict=True)
        )

    def _with_trial(
        self, answers: Answers, request: TaskRequest, verdict: Accepted | RejectedTarget
    ) -> tuple[Accepted | RejectedTarget, Trial | None]:
        """An answer with what is to be run for it; one for which that can't be made is rejected."""
        if isinstance(verdict, RejectedTarget) or not isinstance(self.task, VerifiedTask):
            return verdict, None
        is_compared = len(answers.samples[0]) > 1
        try:
            return verdict, self.task.trial(
                answers.row, request, verdict.columns, tests=answers.tests, is_compared=is_compared
            )
        except RecordError as error:
            rejection = Rejection("verify", error.reason, error.detail)
        except Exception as error:
            words = (self.task.name, request.target, answers.row.source)
            rejection = stage_error("verify", error, "task %s has no trial for %s of %s", *words)
        return RejectedTarget(target=request.target, rejection=rejection), None

    def _without_findings(self, verdict: Accepted | RejectedTarget) -> Accepted | RejectedTarget:
        """Drops what a program said about itself where the filter finds something in it."""
        found = verdict.columns["checks"].get("executed") if isinstance(verdict, Accepted) else None
        if not found or self.content_filter is None:
            return verdict
        findings = self.content_filter.filter_output("", found["detail"])
        if self.content_filter.output_reason(findings) is None:
            return verdict
        assert isinstance(verdict, Accepted)
        checks = {**verdict.columns["checks"], "executed": {**found, "detail": ""}}
        return replace(verdict, columns={**verdict.columns, "checks": checks})

    def _choose_all(self, tried: Tried) -> Validated:
        answers = tried.answers
        kept: list[Kept] = []
        rejected: list[RejectedTarget] = []
        fates: Counter[str] = Counter()
        for number, (samples, verdicts) in enumerate(zip(answers.samples, tried.verdicts, strict=True)):
            chosen = self._choose(number, verdicts, samples)
            refused = [verdict for verdict in verdicts if isinstance(verdict, RejectedTarget)]
            kept += chosen
            if not chosen:
                rejected.append(_most_frequent(refused))
            if len(samples) > 1:
                fates.update({"kept": len(chosen), "passed_over": len(samples) - len(chosen) - len(refused)})
                fates.update(verdict.rejection.reason for verdict in refused)
        if not (self.nest and kept):
            return Validated(tuple(map(_light, kept)), tuple(rejected), None, fates)
        return self._nested(answers, kept, rejected, fates)

    def _ask(self, row: Row) -> Prepared:
        try:
            asked = list(self._requests(row))
        except RecordError as error:
            return Prepared(row, rejection=Rejection("targets", error.reason, error.detail))
        except Exception as error:
            rejection = stage_error("targets", error, "task %s failed on %s", self.task.name, row.source)
            return Prepared(row, rejection=rejection)
        if not asked:
            return Prepared(row, rejection=Rejection("targets", "no_target", "the task found no target in the row"))
        requests = tuple(item for item in asked if isinstance(item, TaskRequest))
        return Prepared(row, requests, tuple(item for item in asked if isinstance(item, RejectedTarget)))

    def _requests(self, row: Row) -> Iterable[TaskRequest | RejectedTarget]:
        if self.context is None:
            return self.task.requests(row)
        assert isinstance(self.task, ContextTask), "context requires a task that supports it"
        return self.task.requests_with(row, imported_files(self.context, self.content_filter, row))

    def _verdict(self, row: Row, request: TaskRequest, sample: Completion | Rejection) -> Accepted | RejectedTarget:
        """Validates one answer and scans it in context: an answer that would have to be redacted is rejected."""
        if isinstance(sample, Rejection):
            return RejectedTarget(target=request.target, rejection=sample)
        try:
            verdict = self.task.accept(row, request, sample)
            if isinstance(verdict, RejectedTarget):
                return verdict
            if self.known_text:
                verdict = self._with_copies(row, request, verdict)
            if self.content_filter is None or isinstance(verdict, RejectedTarget):
                return verdict if isinstance(verdict, RejectedTarget) else _without_context(verdict)
            findings = self.content_filter.filter_output(*verdict.written, row.language, row.path)
        except RecordError as error:
            return RejectedTarget(target=request.target, rejection=Rejection("judge", error.reason, error.detail))
        except Exception as error:
            words = (self.task.name, request.target, row.source)
            rejection = stage_error("judge", error, "task %s failed to validate %s of %s", *words)
            return RejectedTarget(target=request.target, rejection=rejection)
        reason = self.content_filter.output_reason(findings)
        if reason is None:
            return _without_context(verdict)
        detail = by_rules(findings, ("redact", "drop"))
        return RejectedTarget(target=request.target, rejection=Rejection(FILTER_OUTPUT, reason, detail))

    def _with_copies(self, row: Row, request: TaskRequest, verdict: Accepted) -> Accepted | RejectedTarget:
        """Records the other files that contain the answer; rejects it if the policy says drop."""
        action = self.content_filter.policy.actions[VERBATIM_COPY] if self.content_filter is not None else "keep"
        own = {row.content_sha256, row.redacted_sha256}
        copies = open_known_text(self.known_text).copies_of(verdict.written[1], own) if action != "off" else []
        if copies and action == "drop":
            rejection = Rejection(FILTER_OUTPUT, VERBATIM_COPY, copies[0].told())
            return RejectedTarget(target=request.target, rejection=rejection)
        return replace(verdict, columns={**verdict.columns, "verbatim_copies": [copy.to_dict() for copy in copies]})

    def _with_answer(
        self, verdict: Accepted | RejectedTarget, sample: Completion | Rejection
    ) -> Accepted | RejectedTarget:
        """Adds the model's answer to a rejected target, for people to inspect."""
        if not self.answer_tokenizer or isinstance(verdict, Accepted) or isinstance(sample, Rejection):
            return verdict
        from transforms.tasks.shared import open_tokenizer

        text = open_tokenizer(self.answer_tokenizer).decode(sample.tokens)
        if self.content_filter is not None:
            if verdict.rejection.stage == FILTER_OUTPUT:
                return verdict
            findings = self.content_filter.filter_output("", text)
            if self.content_filter.output_reason(findings) is not None:
                return verdict
        return replace(verdict, answer=text)

    def _choose(
        self,
        number: int,
        verdicts: Sequence[Accepted | RejectedTarget],
        samples: Sequence[Completion | Rejection],
    ) -> list[Kept]:
        passed = [
            (index, verdict, sample.mean_logprob)
            for index, (verdict, sample) in enumerate(zip(verdicts, samples, strict=True))
            if isinstance(verdict, Accepted) and isinstance(sample, Completion)
        ]
        if not passed:
            return []
        texts, outputs = [v.written[1] for _, v, _ in passed], [v.outputs for _, v, _ in passed]
        chosen = choose_samples(texts, [score for *_, score in passed], self.keep, outputs)
        return [Kept(number, passed[c.index][0], passed[c.index][1], c.agreement, c.behavior) for c in chosen]

    def _nested(
        self, answers: Answers, kept: list[Kept], rejected: list[RejectedTarget], fates: Mapping[str, int]
    ) -> Validated:
        assert isinstance(self.task, NestingTask), "nesting requires a task that supports it"
        best = {item.request: item for item in reversed(kept)}  # one answer per target; the first is the best
        parts = [(answers.requests[i], best[i].accepted) for i in sorted(best)]
        try:
            columns = self.task.nest(answers.row, parts)
        except RecordError as error:
            rejection = Rejection("nest", error.reason, error.detail)
            refused = [RejectedTarget(target=request.target, rejection=rejection) for request, _ in parts]
            return Validated((), (*rejected, *refused), None, fates)
        if self.known_text:
            copies = [copy for _, accepted in parts for copy in accepted.columns["verbatim_copies"]]
            columns = {**columns, "verbatim_copies": copies}
        return Validated(tuple(_light(best[i]) for i in sorted(best)), tuple(rejected), columns, fates)


def sample_request(request: Request, sample: int) -> Request:
    """Returns the request for a further sample: the same prompt, another seed. Sample 0 is the request itself."""
    if sample == 0:
        return request
    seed = derive_seed(request.sampling.seed, "sample", sample)
    return replace(request, sampling=replace(request.sampling, seed=seed))


def _without_context(accepted: Accepted) -> Accepted:
    """Drops the file around the text: five thousand answers to one file must not hold it five thousand times."""
    return replace(accepted, written=("", accepted.written[1], ""))


def _light(kept: Kept) -> Kept:
    """Drops the texts that are no longer needed, so that they are not sent back."""
    return replace(kept, accepted=replace(kept.accepted, written=("", "", "")))


def _most_frequent(refused: Sequence[RejectedTarget]) -> RejectedTarget:
    """The rejection that represents a target whose samples were all rejected; ties go to the earliest."""
    reasons = Counter(item.rejection.reason for item in refused)
    return max(refused, key=lambda item: reasons[item.rejection.reason])
