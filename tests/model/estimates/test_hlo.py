"""Parsing of HLO text, on a program small enough to add up by hand."""

from __future__ import annotations

from model.estimates.hlo import estimated_cycles, loop_copies, step_cycles

# A loop of known trip count (10) inside one of unknown trip count, in which one of two branches is taken.
PROGRAM = """\
HloModule jit_burst, is_scheduled=true

%moves (param: bf16[64,2048]) -> bf16[2048,64] {
  %param = bf16[64,2048]{1,0} parameter(0)
  ROOT %transpose = bf16[2048,64]{1,0} transpose(%param), dimensions={1,0}
}

%adds (param: bf16[64,2048]) -> bf16[64,2048] {
  %param.1 = bf16[64,2048]{1,0} parameter(0)
  ROOT %add = bf16[64,2048]{1,0} add(%param.1, %param.1)
}

%inner_body (carry: (s32[], f32[8])) -> (s32[], f32[8]) {
  %fusion.1 = bf16[64,2048]{1,0} fusion(%x), kind=kLoop, calls=%adds, backend_config={"estimated_cycles":"7"}
  ROOT %tuple.1 = (s32[], f32[8]{0}) tuple(%a, %b)
}

%cheap (p: f32[8]) -> f32[8] {
  ROOT %fusion.2 = f32[8]{0} fusion(%p), kind=kLoop, calls=%adds, backend_config={"estimated_cycles":"1"}
}

%dear (p: f32[8]) -> f32[8] {
  %copy.9 = f32[1024,1024]{1,0} copy(%p)
  ROOT %fusion.3 = f32[8]{0} fusion(%p), kind=kLoop, calls=%adds, backend_config={"estimated_cycles":"1000"}
}

%outer_body (carry: (s32[], f32[8])) -> (s32[], f32[8]) {
  %copy.1 = bf16[64,1,2048,256]{3,2,1,0:T(8,128)(2,1)} copy(%cache)
  %copy.2 = bf16[64,1,2048,256]{3,2,1,0:T(8,128)(2,1)S(1)} copy(%cache)
  %copy.3 = bf16[8,8]{1,0} copy(%small)
  %start.1 = (bf16[64,2048,64]{2,1,0:S(1)}, bf16[64,2048,64]{2,1,0}, u32[]{:S(2)}) copy-start(%cache)
  %start.2 = (bf16[64,2048,64]{2,1,0}, bf16[64,2048,64]{2,1,0}, u32[]{:S(2)}) copy-start(%cache)
  %moved = bf16[2048,64,32]{2,1,0} fusion(%cache), kind=kLoop, calls=%moves, backend_config={"estimated_cycles":"50"}
  %summed = bf16[2048,64,32]{2,1,0} fusion(%cache), kind=kLoop, calls=%adds, backend_config={"estimated_cycles":"50"}
  %while.1 = (s32[], f32[8]{0}) while(%t), condition=%c, body=%inner_body, \
backend_config={"known_trip_count":{"n":"10"}}
  %branch = f32[8]{0} conditional(%i, %p, %q), branch_computations={%cheap, %dear}
  ROOT %tuple.2 = (s32[], f32[8]{0}) tuple(%a, %b)
}

ENTRY %main (arg: f32[8]) -> f32[8] {
  %before = f32[1024,1024,4]{2,1,0} copy(%arg)
  %while.2 = (s32[], f32[8]{0}) while(%t), condition=%c, body=%outer_body
  ROOT %fusion.4 = f32[8]{0} fusion(%w), kind=kLoop, calls=%adds, backend_config={"estimated_cycles":"3"}
}
"""


def test_cycles_are_multiplied_by_known_trip_counts_and_the_most_expensive_branch_counts() -> None:
    assert estimated_cycles(PROGRAM) == 50 + 50 + 10 * 7 + 1000 + 3


def test_a_step_is_one_iteration_of_the_loop_of_unknown_count_by_its_cheapest_branch() -> None:
    assert step_cycles(PROGRAM) == 50 + 50 + 10 * 7 + 1


def test_large_copies_in_loops_are_found_and_prefetches_and_copies_outside_are_not() -> None:
    mib = 1 << 20
    assert loop_copies(PROGRAM, 4 * mib) == [
        ("copy.1", 64 * mib),
        ("copy.9", 4 * mib),
        ("moved", 8 * mib),
        ("start.2", 16 * mib),
    ]


def test_a_smaller_bound_finds_smaller_copies() -> None:
    assert ("copy.3", 128) in loop_copies(PROGRAM, 100)
