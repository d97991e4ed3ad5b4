"""Reads the optimized HLO text of a compiled TPU program: its estimated cycles, and the copies in its loops.

    computation   name {  instructions, one per line: name = shape opcode(operands), attributes, backend_config={...} }
    shape         dtype[dimensions]{layout}; `S(1)` in a layout means memory on the chip, no `S` means HBM

The compiler writes `estimated_cycles` next to scheduled instructions and `known_trip_count` next to loops.
`cost_analysis()` counts a loop's body only once, so cycles are summed from the text instead. A handwritten kernel
(Pallas) has no estimate and counts as zero. Doesn't import JAX.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) (?:\(.*\) -> .*)?\{$")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?([\w.\-]+) = (.*)$")
_OPCODE = re.compile(r"(?:^|[\s)}])([a-z][\w\-]*)\(")
_CYCLES = re.compile(r'"estimated_cycles":"?(\d+)')
_TRIPS = re.compile(r'"known_trip_count":\{"n":"?(\d+)')
_BODY = re.compile(r"\bbody=%?([\w.\-]+)")
_CALLED = re.compile(r"\b(?:to_apply|calls|true_computation|false_computation)=%?([\w.\-]+)")
_BRANCHES = re.compile(r"\bbranch_computations=\{([^}]*)\}")
_SHAPE = re.compile(r"\b(pred|[suf]\d+|bf16|f8\w+|s4|u4)\[([\d,]*)\](\{[^}]*\})?")
_WIDTHS = {"pred": 1, "bf16": 2, "s4": 0.5, "u4": 0.5}


@dataclass(frozen=True)
class _Instruction:
    name: str
    opcode: str
    text: str


def parse_hlo(text: str) -> tuple[str, dict[str, list[_Instruction]]]:
    """The entry computation's name, and each computation's instructions."""
    computations: dict[str, list[_Instruction]] = {}
    entry, current = "", []
    for line in text.splitlines():
        if match := _COMPUTATION.match(line):
            current = computations[match[2]] = []
            entry = match[2] if match[1] else entry
        elif match := _INSTRUCTION.match(line):
            opcode = _OPCODE.search(match[2])
            if opcode:
                current.append(_Instruction(match[1], opcode[1], match[2]))
    assert entry, "no entry computation in the HLO text"
    return entry, computations


def estimated_cycles(text: str) -> int:
    """Sums the instructions' estimated cycles times the trip counts of the loops around them.

    A loop with unknown trip count, such as the burst of decode steps, counts once. Of a conditional, the most expensive
    branch counts.
    """
    entry, computations = parse_hlo(text)
    return _cycles(computations, entry, max)


def step_cycles(text: str) -> int:
    """Estimated cycles of one iteration of the entry's loops with unknown trip count, with the cheapest branches; 0
    without such a loop.

    For a burst of decode steps this is one greedy step, without the burst's work before and after its loop.
    """
    entry, computations = parse_hlo(text)
    loops = [one for one in computations[entry] if one.opcode == "while" and not _TRIPS.search(one.text)]
    return sum(_cycles(computations, _body(loop), min) for loop in loops)


def _cycles(computations: dict[str, list[_Instruction]], name: str, of_branches: Callable[[Iterable[int]], int]) -> int:
    total = 0
    for instruction in computations.get(name, ()):
        own = _CYCLES.search(instruction.text)
        total += int(own[1]) if own else 0
        inside = [_cycles(computations, callee, of_branches) for callee in _called(instruction)]
        if instruction.opcode == "while":
            trips = _TRIPS.search(instruction.text)
            total += sum(inside) * (int(trips[1]) if trips else 1)
        elif inside:
            total += of_branches(inside) if instruction.opcode == "conditional" else sum(inside)
    return total


def _called(instruction: _Instruction) -> list[str]:
    """The computations whose instructions run when this one does; a fusion's are part of its own cycles."""
    if instruction.opcode == "while":
        return [_body(instruction)]
    return _callees(instruction) if instruction.opcode in ("call", "conditional") else []


def _body(loop: _Instruction) -> str:
    match = _BODY.search(loop.text)
    assert match, loop.text
    return match[1]


def loop_copies(text: str, min_bytes: int) -> list[tuple[str, int]]:
    """Copies of at least `min_bytes` from HBM to HBM in loop bodies and the computations that they call: names and
    bytes.

    A fusion that only moves data counts as well. Copies to or from memory on the chip are prefetches, which is how
    weights and caches are read, and don't count.
    """
    _, computations = parse_hlo(text)
    everything = [instruction for instructions in computations.values() for instruction in instructions]
    bodies = [_body(instruction) for instruction in everything if instruction.opcode == "while"]
    found: dict[str, int] = {}
    seen: set[str] = set()
    while bodies:
        name = bodies.pop()
        if name in seen:
            continue
        seen.add(name)
        for instruction in computations.get(name, ()):
            if instruction.opcode in ("call", "conditional"):
                bodies += _callees(instruction)
            elif _is_copy(instruction, computations) and (size := _hbm_bytes(instruction)) >= min_bytes:
                found[instruction.name] = size
    return sorted(found.items())


_MOVES = {"parameter", "copy", "bitcast", "transpose", "reshape", "tuple", "get-tuple-element"}


def _is_copy(instruction: _Instruction, computations: dict[str, list[_Instruction]]) -> bool:
    if instruction.opcode != "fusion":
        return instruction.opcode in ("copy", "copy-start")
    inside = {part.opcode for name in _callees(instruction) for part in computations.get(name, ())}
    return inside <= _MOVES and bool(inside & {"copy", "transpose"})


def _hbm_bytes(instruction: _Instruction) -> int:
    """Bytes that a copy writes; 0 if it writes to, or is known to read from, memory on the chip."""
    shapes = list(_SHAPE.finditer(instruction.text.split(f" {instruction.opcode}(")[0]))
    if instruction.opcode == "copy-start":  # (destination, source, context)
        shapes = shapes[:2]
    if not shapes or any("S(" in (shape[3] or "") for shape in shapes):
        return 0
    return _num_bytes(shapes[0])


def _callees(instruction: _Instruction) -> list[str]:
    names = _CALLED.findall(instruction.text)
    if branches := _BRANCHES.search(instruction.text):
        names += [name.strip().lstrip("%") for name in branches[1].split(",")]
    return names


def _num_bytes(shape: re.Match[str]) -> int:
    kind, dimensions = shape[1], shape[2]
    width = _WIDTHS.get(kind)
    if width is None:
        width = 1 if kind.startswith("f8") else int(kind[1:]) / 8
    count = 1
    for dimension in filter(None, dimensions.split(",")):
        count *= int(dimension)
    return int(count * width)
