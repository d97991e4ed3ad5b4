"""What tools print of imports is read right: a misread line would count as an edge that only codemill has."""

from __future__ import annotations

from benchmarks.import_agreement import json_objects, names_one_of, traced


def test_a_trace_of_tsc_gives_each_module_and_where_it_led():
    told = (
        "======== Resolving module './b' from '/r/a.ts'. ========\n"
        "Loading module as file / folder, candidate module location '/r/b'.\n"
        "======== Module name './b' was successfully resolved to '/r/b.ts'. ========\n"
        "======== Resolving module 'shop' from '/r/c.ts'. ========\n"
        "======== Module name 'shop' was successfully resolved to '/r/shop/i.ts' with Package ID 's/i.ts@1'. ========\n"
        "======== Resolving module 'other' from '/r/c.ts'. ========\n"
        "======== Module name 'other' was not resolved. ========\n"
        "/r/a.ts\n"
    )
    assert traced(told) == [
        ("/r/a.ts", "./b", "/r/b.ts"),
        ("/r/c.ts", "shop", "/r/shop/i.ts"),
        ("/r/c.ts", "other", ""),
    ]


def test_objects_that_go_list_prints_in_a_row_are_read_one_by_one():
    assert list(json_objects('{"Dir": "a"}\n{\n "Dir": "b"\n}\n')) == [{"Dir": "a"}, {"Dir": "b"}]
    assert list(json_objects("")) == []


def test_a_type_in_a_comment_is_not_named():
    assert names_one_of("class A { B b; }", ("B",))
    assert not names_one_of("/** {@link B} */ class A { BB b; } // B", ("B",))
