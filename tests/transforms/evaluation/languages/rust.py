"""Rust."""

from __future__ import annotations

from typing import Final

from tests.transforms.evaluation.languages import Language

LANGUAGE: Final = Language(
    name="Rust",
    head="use std::collections::HashMap;\nuse std::cmp::*;\n",
    function="pub fn NAME(n: i32) -> i32 {\nBODY\n}\n",
    main="fn main() {\nLINES}\n",
    assertion="    assert_eq!(CALL, WANT);\n",
    report='    println!("TEST-I...{}", if CALL == WANT { "PASSED" } else { "FAILED" });\n',
    bodies={
        "sum": "    (1..=n).sum()",
        "factorial": "    (2..=n).product()",
        "fibonacci": "    (0..n).fold((0, 1), |(a, b), _| (b, a + b)).0",
        "divisor": "    let (mut a, mut b) = (n, 36);\n    while b != 0 { let r = a % b; a = b; b = r; }\n    a",
        "digits": "    n.to_string().chars().map(|c| c.to_digit(10).unwrap() as i32).sum()",
        "prime": "    if n > 1 && (2..n).all(|d| n % d != 0) { 1 } else { 0 }",
        "steps": "    let (mut m, mut s) = (n, 0);\n"
        "    while m != 1 { m = if m % 2 == 0 { m / 2 } else { 3 * m + 1 }; s += 1; }\n    s",
        "divisors": "    (1..=n).filter(|d| n % d == 0).count() as i32",
        "power": "    (0..n).fold(1, |p, _| p * 3 % 1000)",
        "reversed": "    n.to_string().chars().rev().collect::<String>().parse().unwrap()",
    },
    passing={
        "talks": '    println!("so far");\n    eprintln!("so far");\n    NAME_inner(n)',
        "catches": '    let _ = std::panic::catch_unwind(|| panic!("own"));\n    NAME_inner(n)',
        "runs a thread": "    std::thread::spawn(move || NAME_inner(n)).join().unwrap()",
    },
    failing={
        "wrong": "    NAME_inner(n) + 1",
        "wrong once": "    if n == LAST { -1 } else { NAME_inner(n) }",
        "throws": '    panic!("no")',
        "loops": "    loop {}",
        "does not compile": '    "no"',
        "prints the markers": '    print!("MARKERS");\n    -1',
        "exits early": '    print!("MARKERS");\n    std::process::exit(0)',
    },
)
