"""Answers to holes, by language: good ones, which must be kept, and bad ones with the reason to reject them.

The hole of a file stands between the marks `[[` and `]]`, with the original in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple


class Hole(NamedTuple):
    """A file with a hole, and answers to it; `bad` has pairs of reasons and answers, by `|`."""

    language: str
    path: str
    kind: str
    text: str
    good: Sequence[str]
    bad: Sequence[str]

    def parts(self) -> tuple[str, str, str]:
        """The text before the hole, the original, and the text behind it."""
        before, _, rest = self.text.partition("[[")
        original, _, after = rest.partition("]]")
        return before, original, after

    def answers(self) -> Iterator[tuple[str, str]]:
        """Each answer with the reason for which it is rejected; "" for a good one."""
        yield from ((answer, "") for answer in self.good)
        for line in self.bad:
            reason, _, answer = line.partition("|")
            yield answer, reason


def read_holes(path: Path) -> Iterator[tuple[Hole, bool, str]]:
    """Holes of a text file, each with an answer and whether it is good.

    `@@ hole LANGUAGE PATH KIND` stands over a file with a hole, `@@ good` or `@@ bad-FAULT` over an answer.
    """
    hole = None
    for part in path.read_text(encoding="utf-8").split("@@ ")[1:]:
        head, _, text = part.partition("\n")
        mark, *names = head.split()
        if mark == "hole":
            hole = Hole(*names, text, (), ())
        else:
            assert hole is not None
            yield hole, mark == "good", text.rstrip("\n")


FIRST = (
    Hole(
        "Python",
        "shop/cart.py",
        "statement",
        "from shop.tax import rate_of\n\n\ndef total(prices, country):\n    amount = sum(prices)\n"
        "    [[tax = amount * rate_of(country)]]\n    return amount + tax\n",
        (
            "tax = amount * rate_of(country)",
            "tax = rate_of(country) * amount",
            "tax = round(amount * rate_of(country), 2)",
            "# what the country asks for\n    tax = amount * rate_of(country)",
            "tax = 0",
            "tax = amount * rate_of(country) if amount else 0",
            "if amount < 0:\n        raise ValueError('I cannot tax a debt')\n    tax = amount * rate_of(country)",
            "tax = 0\n    for price in prices:\n        tax += price * rate_of(country)",
            "try:\n        tax = amount * rate_of(country)\n    except KeyError:\n        pass",
            "tax = sum(price * rate_of(country) for price in prices)",
            "amount = max(amount, 0)\n    tax = amount * rate_of(country)",
        ),
        (
            "trivial_middle|pass",
            "trivial_middle|...",
            "trivial_middle|raise NotImplementedError",
            "trivial_middle|raise NotImplementedError('TODO')",
            "comment_only|# compute the tax here",
            "comment_only|# first\n    # second",
            "prefix_echo|amount = sum(prices)\n    tax = 0",
            "prefix_echo|amount = sum(prices)",
            "prefix_echo|tax = 0\n\ndef total(prices, country):\n    amount = sum(prices)\n    tax = 0",
            "suffix_echo|tax = 0\n    return amount + tax",
            "talk_in_middle|# I'm sorry, I cannot help with that.\n    tax = 0",
            "talk_in_middle|Sure, here is the missing code:\n    tax = 0",
            "talk_in_middle|# As an AI language model, I would write\n    tax = 1",
        ),
    ),
    Hole(
        "Python",
        "shop/names.py",
        "expression",
        "NAMES = ['a']\n\n\ndef longest(names):\n    found = [[max(names, key=len)]]\n    return found or None\n",
        ("max(names)", "max(max(names), '')", "[]", "None", "{}", "()", "names[-1]", "sorted(names)[0]"),
        (
            "prefix_echo|found = max(names)",
            "talk_in_middle|I cannot tell what belongs here",
            "does_not_parse|max(names",
            "talk_in_middle|Here is the completed code: max(names)",
        ),
    ),
    Hole(
        "Java",
        "src/main/java/shop/Cart.java",
        "block",
        "package shop;\n\nclass Cart {\n  private int total;\n\n  int add(int price, int count) {\n"
        "    int before = total;\n    if (count > 0) [[{\n      total += price * count;\n    }]]\n"
        "    return total - before;\n  }\n}\n",
        (
            "{\n      total += price * count;\n    }",
            "{\n      total = total + count * price;\n    }",
            "{\n      for (int i = 0; i < count; i++) {\n        total += price;\n      }\n    }",
            "{\n      // all of them\n      total += price * count;\n    }",
            "{\n      total += Math.max(price, 0) * count;\n    }",
            "{ total += price * count; }",
            '{\n      throw new IllegalStateException("I cannot add " + count);\n    }',
            "{\n      add(price, count - 1);\n    }",
            "{\n      total = Math.addExact(total, price * count);\n    }",
            "{\n      return 0;\n    }",
        ),
        (
            "trivial_middle|{}",
            "trivial_middle|{\n    }",
            "trivial_middle|;",
            "trivial_middle|{ throw new UnsupportedOperationException(); }",
            "suffix_echo|{\n      total += price;\n    }\n    return total - before;\n",
            "comment_only|// add the price",
            "comment_only|/* add the price */",
            "talk_in_middle|/* I am unable to complete this. */ {\n      total += 1;\n    }",
            "talk_in_middle|// Certainly! Here is the code\n{\n      total += 1;\n    }",
            "does_not_parse|{\n      total += price;\n",
        ),
    ),
    Hole(
        "Kotlin",
        "src/main/kotlin/shop/Cart.kt",
        "multi_line",
        "package shop\n\nclass Cart {\n    private var total = 0\n\n    fun add(price: Int, count: Int): Int {\n"
        "        val before = total + count\n        [[total += price * count\n        check(total >= before)]]\n"
        "        return total - before\n    }\n}\n",
        (
            "total += price * count",
            "total += count * price\n        check(total >= 0)",
            "if (count > 0) {\n            total += price * count\n        }",
            "repeat(count) { total += price }",
            "require(count > 0)\n        total += price * count",
        ),
        (
            "trivial_middle|{}",
            'trivial_middle|TODO("Not yet implemented")',
            "trivial_middle|TODO()",
            "comment_only|// Adds what was bought.",
            "prefix_echo|val before = total + count\n        total += price",
            "talk_in_middle|// I can't see the rest of the class\n        total += 1",
        ),
    ),
    Hole(
        "Go",
        "store/store.go",
        "statement",
        'package store\n\nimport "errors"\n\nfunc (s *Store) Put(key string, value int) error {\n'
        '\tif key == "" {\n\t\treturn errors.New("no key")\n\t}\n\tbefore, found := s.items[key]\n'
        "\t[[s.items[key] = before + value]]\n\ts.log(found, before)\n\treturn nil\n}\n",
        (
            "s.items[key] = before + value",
            "s.items[key] += value",
            "if found {\n\t\ts.items[key] = before + value\n\t}",
            "// the sum of both\n\ts.items[key] = before + value",
            "s.mu.Lock()\n\tdefer s.mu.Unlock()\n\ts.items[key] = value",
            "value += before\n\ts.items[key] = value",
            'if value < 0 {\n\t\treturn errors.New("I cannot store less than nothing")\n\t}',
            "for i := 0; i < value; i++ {\n\t\ts.items[key]++\n\t}",
            "s.items[key] = max(before, value)",
            "delete(s.items, key)",
        ),
        (
            "trivial_middle|;",
            'trivial_middle|panic("not implemented")',
            'trivial_middle|panic("implement me")',
            "trivial_middle|{}",
            "comment_only|// TODO: add the value",
            "comment_only|/* the sum */",
            "prefix_echo|before, found := s.items[key]\n\ts.items[key] = before",
            "suffix_echo|s.items[key] = 1\n\ts.log(found, before)",
            "talk_in_middle|// Sorry, I don't know this type.\n\ts.items[key] = 1",
            "talk_in_middle|// The missing line is:\n\ts.items[key] = 1",
            "does_not_parse|s.items[key = 1",
        ),
    ),
    Hole(
        "Rust",
        "src/store.rs",
        "function_body",
        "use std::collections::HashMap;\n\nstruct Store {\n    items: HashMap<String, u32>,\n}\n\nimpl Store {\n"
        "    fn put(&mut self, key: &str, value: u32) -> Option<u32> [[{\n"
        "        let before = self.items.get(key).copied();\n"
        "        self.items.insert(key.to_string(), value);\n        before\n    }]]\n}\n",
        (
            "{\n        self.items.insert(key.to_string(), value)\n    }",
            "{ self.items.insert(key.into(), value) }",
            "{\n        let before = self.items.remove(key);\n        self.items.insert(key.to_owned(), value);\n"
            "        before\n    }",
            "{\n        // the value before\n        self.items.insert(key.to_string(), value)\n    }",
            "{\n        None\n    }",
            "{\n        if value == 0 {\n            return None;\n        }\n"
            "        self.items.insert(key.to_string(), value)\n    }",
            '{\n        self.items.insert(key.to_string(), value).or_else(|| panic!("I cannot store it"))\n    }',
            "{\n        let entry = self.items.entry(key.to_string()).or_insert(0);\n        *entry = value;\n"
            "        Some(*entry)\n    }",
            "{\n        match self.items.get_mut(key) {\n            Some(found) => Some(*found),\n"
            "            None => None,\n        }\n    }",
            "{\n        assert!(value > 0);\n        self.items.insert(key.to_string(), value)\n    }",
        ),
        (
            "trivial_middle|{}",
            "trivial_middle|{\n    }",
            "trivial_middle|{ todo!() }",
            "trivial_middle|{\n        unimplemented!()\n    }",
            'trivial_middle|{ todo!("not yet implemented") }',
            "trivial_middle|;",
            "comment_only|// stores the value",
            "comment_only|/* stores */",
            "talk_in_middle|// Unfortunately, I can't complete it.\n{ None }",
            "talk_in_middle|/* Sure! Here's the function body: */ { None }",
            "does_not_parse|{ None",
        ),
    ),
    Hole(
        "TypeScript",
        "src/store.ts",
        "single_line",
        'import { load } from "./load";\n\nexport async function priceOf(name: string): Promise<number> {\n'
        "  const item = await load(name);\n  [[if (!item) throw new Error(`no ${name}`);]]\n"
        "  return item.price * (1 + item.tax);\n}\n",
        (
            "if (!item) throw new Error(`no ${name}`);",
            "if (!item) return 0;",
            "if (item === undefined) throw new TypeError(name);",
            "console.log(item.price);",
            "item.price ??= 0; // of old files",
            "const { tax = 0 } = item;",
            'if (!item) throw new Error("I cannot find it");',
            "await item.refresh();",
            "item.tax = Math.max(item.tax, 0);",
            "if (!item) { return NaN; }",
        ),
        (
            "comment_only|// check the item",
            "comment_only|/* check */",
            "trivial_middle|{}",
            "trivial_middle|;",
            'trivial_middle|throw new Error("Not implemented");',
            "prefix_echo|const item = await load(name);",
            "suffix_echo|return item.price * (1 + item.tax);",
            "talk_in_middle|// I'm just an assistant and can't run this",
            "talk_in_middle|// Here is the missing line:",
            "does_not_parse|if (!item {",
        ),
    ),
    Hole(
        "C++",
        "src/store.cc",
        "statement",
        '#include "store.h"\n\nint Store::put(const std::string& key, int value) {\n  int before = items_[key];\n'
        "  [[items_[key] = before + value;]]\n  changed_.push_back(key);\n  return before;\n}\n",
        (
            "items_[key] = before + value;",
            "items_[key] += value;",
            "if (value > 0) {\n    items_[key] = value;\n  }",
            "// the sum\n  items_[key] = before + value;",
            "*slot(key) = value;",
            "std::lock_guard<std::mutex> lock(mutex_);\n  items_[key] = value;",
            "for (auto& item : items_) item.second += value;",
            'if (value < 0) throw std::invalid_argument("I cannot store it");',
            "items_.insert({key, value});",
            "assert(value > 0);\n  items_[key] = before + value;",
        ),
        (
            "trivial_middle|;",
            "trivial_middle|{}",
            'trivial_middle|throw std::runtime_error("not implemented");',
            "comment_only|// store the value",
            "comment_only|/* store the value */",
            "prefix_echo|int before = items_[key];\n  items_[key] = value;",
            "suffix_echo|items_[key] = 1;\n  changed_.push_back(key);",
            "talk_in_middle|// Please provide the header.\n  items_[key] = 1;",
            "talk_in_middle|// I cannot see Store.\n  items_[key] = 1;",
            "does_not_parse|items_[key = 1;",
        ),
    ),
    Hole(
        "C#",
        "src/Store.cs",
        "statement",
        "using System;\n\nclass Store\n{\n    int Put(string key, int value)\n    {\n        var before = Find(key);\n"
        "        [[items[key] = before + value;]]\n        Changed?.Invoke(this, key);\n"
        "        return before;\n    }\n}\n",
        (
            "items[key] = before + value;",
            "items[key] += value;",
            "if (value > 0) { items[key] = value; }",
            "lock (items)\n        {\n            items[key] = value;\n        }",
            "// the sum\n        items[key] = before + value;",
            'if (value < 0) throw new ArgumentException("I cannot store it");',
            "items.Add(key, value);",
            "foreach (var item in items) item.Value += value;",
            "items[key] = Math.Max(before, value);",
            "items.Remove(key);",
        ),
        (
            "trivial_middle|;",
            "trivial_middle|{ }",
            "trivial_middle|throw new NotImplementedException();",
            "comment_only|// store the value",
            "comment_only|/// <summary>Stores it.</summary>",
            "prefix_echo|var before = Find(key);\n        items[key] = 1;",
            "suffix_echo|items[key] = 1;\n        Changed?.Invoke(this, key);",
            "talk_in_middle|// I'd be happy to, but I can't.\n        items[key] = 1;",
            "talk_in_middle|// Sure, here is one\n        items[key] = 1;",
            "does_not_parse|items[key = 1;",
        ),
    ),
)

# Written after the judges, without looking at them.
SECOND = (
    Hole(
        "Python",
        "web/session.py",
        "function_body",
        "import json\nimport time\n\n\nclass Session:\n    def __init__(self, store, lifetime_s):\n"
        "        self.store = store\n        self.lifetime_s = lifetime_s\n\n    def load(self, key):\n"
        "        [[entry = self.store.get(key)\n        if entry is None or entry['until'] < time.time():\n"
        "            return None\n        return json.loads(entry['text'])]]\n\n    def drop(self, key):\n"
        "        self.store.pop(key, None)\n",
        (
            "return json.loads(self.store[key]['text'])",
            "text = self.store.get(key)\n        return json.loads(text) if text else None",
            "return None",
            "try:\n            return json.loads(self.store[key])\n        except (KeyError, ValueError):\n"
            "            return None",
            '"""Returns what is stored."""\n        return self.store.get(key)',
            "# Entries may be old.\n        entry = self.store.get(key)\n        return entry and json.loads(entry)",
            "with self.store.lock:\n            return json.loads(self.store[key])",
            "raise KeyError(f'I cannot find {key}')",
            "return next((json.loads(e['text']) for e in [self.store.get(key)] if e), None)",
            "if key not in self.store:\n            return\n        return json.loads(self.store[key])",
        ),
        (
            "|pass",
            "|...",
            "|raise NotImplementedError()",
            "|# TODO: load the session",
            "|# load it\n        pass",
            "|return None\n\n    def drop(self, key):\n        self.store.pop(key, None)",
            "|self.lifetime_s = lifetime_s\n\n    def load(self, key):\n        return None",
            "|I'm sorry, but I can't assist with that request.",
            "|# Certainly! Below is the implementation you asked for\n        return None",
            "|# As an AI, I can not access your store.\n        return None",
            "|```python\nreturn None\n```",
        ),
    ),
    Hole(
        "Java",
        "src/main/java/text/Words.java",
        "statement",
        "package text;\n\nimport java.util.ArrayList;\nimport java.util.List;\n\nfinal class Words {\n"
        "  static List<String> split(String line) {\n    List<String> words = new ArrayList<>();\n"
        '    [[for (String part : line.split(" ")) {\n      if (!part.isEmpty()) words.add(part);\n    }]]\n'
        "    return List.copyOf(words);\n  }\n}\n",
        (
            'for (String part : line.split(" ")) words.add(part);',
            "words.add(line);",
            'if (line == null) throw new NullPointerException("line");',
            'words.addAll(List.of(line.trim().split("\\\\s+")));',
            "int start = 0;\n    while (start < line.length()) {\n      words.add(line.substring(start++));\n    }",
            '// one word at a time\n    for (String part : line.split(" ")) words.add(part);',
            'System.out.println("Sure, here is " + line);',
            "line.chars().forEach(c -> words.add(String.valueOf((char) c)));",
            "try {\n      words.add(line);\n    } catch (RuntimeException e) {\n      words.clear();\n    }",
            "words.add(words.size(), line);",
        ),
        (
            "|;",
            "|{}",
            "|// split the line into words",
            "|/** Splits it. */",
            '|throw new UnsupportedOperationException("Not implemented yet");',
            "|List<String> words = new ArrayList<>();\n    words.add(line);",
            "|words.add(line);\n    return List.copyOf(words);",
            "|// I apologize, this can't be done.\n    words.add(line);",
            "|Here's the code that goes there:\n    words.add(line);",
            '|for (String part : line.split(" ") {',
        ),
    ),
    Hole(
        "Kotlin",
        "src/main/kotlin/text/Words.kt",
        "function_body",
        "package text\n\nobject Words {\n    private val seen = mutableSetOf<String>()\n\n"
        "    fun fresh(line: String): List<String> [[{\n        val words = line.split(' ')\n"
        "        return words.filter { seen.add(it) }\n    }]]\n\n    fun size() = seen.size\n}\n",
        (
            "{\n        return line.split(' ').filter { seen.add(it) }\n    }",
            "= line.split(' ').filter(seen::add)",
            "{\n        return emptyList()\n    }",
            "{\n        // only new ones\n        return line.split(' ') - seen\n    }",
            '{\n        error("I cannot read $line")\n    }',
        ),
        (
            "|{}",
            "|{ TODO() }",
            '|{\n        TODO("not implemented")\n    }',
            "|// returns the fresh words",
            "|{\n        return emptyList()\n    }\n\n    fun size() = seen.size",
            "|// I'm unable to see the caller.\n    { return emptyList() }",
        ),
    ),
    Hole(
        "Go",
        "text/words.go",
        "block",
        'package text\n\nimport "strings"\n\nfunc Words(line string) []string {\n\tvar words []string\n'
        '\tfor _, part := range strings.Split(line, " ") [[{\n\t\tif part != "" {\n'
        "\t\t\twords = append(words, part)\n\t\t}\n\t}]]\n\treturn clean(words, len(line))\n}\n",
        (
            "{\n\t\twords = append(words, part)\n\t}",
            "{\n\t\twords = append(words, strings.TrimSpace(part))\n\t}",
            '{\n\t\tif part == "" {\n\t\t\tcontinue\n\t\t}\n\t\twords = append(words, part)\n\t}',
            "{\n\t\t// all parts\n\t\twords = append(words, part)\n\t}",
            "{\n\t\tbreak\n\t}",
            '{\n\t\tswitch part {\n\t\tcase "a":\n\t\t\twords = nil\n\t\t}\n\t}',
            '{\n\t\tpanic("I cannot split " + part)\n\t}',
            "{\n\t\twords, part = append(words, part), line\n\t}",
            "{\n\t\tgo send(part)\n\t}",
            "{\n\t\tif len(part) > 0 && len(words) < 9 {\n\t\t\twords = append(words, part)\n\t\t}\n\t}",
        ),
        (
            "|{}",
            "|{\n\t}",
            '|{ panic("TODO") }',
            "|// add the word",
            "|{\n\t\twords = nil\n\t}\n\treturn clean(words, len(line))",
            "|// Sure! I will add it.\n\t{\n\t\twords = nil\n\t}",
            '|for _, part := range strings.Split(line, " ") {\n\t\twords = nil\n\t}',
            "|{\n\t\twords = nil\n",
            "|I can't complete this.",
            "|/* I do not know what belongs here */",
        ),
    ),
    Hole(
        "Rust",
        "src/words.rs",
        "statement",
        "pub fn words(line: &str) -> Vec<String> {\n    let mut found = Vec::new();\n"
        "    [[for part in line.split(' ') {\n        found.push(part.to_string());\n    }]]\n"
        "    found.sort_unstable();\n    found\n}\n",
        (
            "found.push(line.to_string());",
            "for part in line.split_whitespace() {\n        found.push(part.into());\n    }",
            "found.extend(line.split(' ').map(str::to_string));",
            "let mut rest = line;\n    while let Some((part, more)) = rest.split_once(' ') {\n"
            "        found.push(part.to_string());\n        rest = more;\n    }",
            "// by blanks\n    found.extend(line.split(' ').map(String::from));",
            'assert!(!line.is_empty(), "I cannot split nothing");',
            "if line.is_empty() {\n        return found;\n    }",
            'match line {\n        "" => return Vec::new(),\n        _ => found.push(line.to_owned()),\n    }',
            "found.reserve(line.len());",
            "line.split(',').for_each(|part| found.push(part.to_string()));",
        ),
        (
            "|;",
            "|{}",
            "|todo!();",
            "|unimplemented!()",
            "|// split by blanks",
            "|let mut found = Vec::new();\n    found.push(line.to_string());",
            "|found.push(line.to_string());\n    found.sort_unstable();",
            "|// I'm afraid I can't do that\n    found.push(line.to_string());",
            "|// Here is the corrected code:\n    found.push(line.to_string());",
            "|for part in line.split(' ') {",
        ),
    ),
    Hole(
        "JavaScript",
        "src/words.js",
        "multi_line",
        "export function words(line, limit) {\n  const found = new Set();\n"
        "  [[for (const part of line.split(' ')) {\n    found.add(part.trim());\n  }]]\n"
        "  return [...found].slice(0, limit);\n}\n",
        (
            "line.split(' ').forEach((part) => found.add(part));",
            "for (const part of line.split(' ')) found.add(part);",
            "if (!line) return [];",
            "/* by blanks */\n  line.split(' ').map((part) => found.add(part));",
            "found.add(line); // only one",
            "let start = 0;\n  while (start < line.length) {\n    found.add(line.slice(start++));\n  }",
            "throw new TypeError('I cannot split ' + line);",
            "const parts = line.match(/\\w+/g) ?? [];\n  parts.forEach(found.add, found);",
            "found.clear();",
            "limit = Math.min(limit, line.length);",
        ),
        (
            "|{}",
            "|;",
            "|// add the words",
            "|/* add\n   the words */",
            "|throw new Error('Not implemented');",
            "|const found = new Set();\n  found.add(line);",
            "|found.add(line);\n  return [...found].slice(0, limit);",
            "|// Of course, here you go:\n  found.add(line);",
            "|Unfortunately, I cannot see the rest of the file.",
            "|for (const part of line.split(' ') {",
        ),
    ),
    Hole(
        "C",
        "src/words.c",
        "function_body",
        "#include <string.h>\n\nint count_blanks(const char *line) [[{\n  int count = 0;\n"
        "  while (*line) {\n    count += *line++ == ' ';\n  }\n  return count;\n}]]\n\n"
        "int is_word(const char *text) { return !strchr(text, ' '); }\n",
        (
            "{\n  int count = 0;\n  for (; *line; line++)\n    if (*line == ' ') count++;\n  return count;\n}",
            "{\n  return 0;\n}",
            "{ return strchr(line, ' ') != NULL; }",
            "{\n  /* all of them */\n  size_t i, n = 0;\n"
            "  for (i = 0; line[i]; i++) n += line[i] == ' ';\n  return n;\n}",
            "{\n  const char *at = line;\n  int n = -1;\n  do {\n    n++;\n"
            "    at = strchr(at + 1, ' ');\n  } while (at);\n  return n;\n}",
        ),
        (
            "|{}",
            "|{\n}",
            "|;",
            "|/* counts the blanks */",
            "|// I would need more context.\n{ return 0; }",
            "|{\n  return 0;\n",
        ),
    ),
    Hole(
        "C++",
        "src/words.cc",
        "statement",
        "#include <vector>\n#include <string>\n\nstd::vector<std::string> Words(const std::string& line) {\n"
        "  std::vector<std::string> words;\n  [[words.emplace_back(line.substr(0, line.find(' ')));]]\n"
        "  words.shrink_to_fit();\n  return words;\n}\n",
        (
            "words.push_back(line);",
            "for (char c : line) words.emplace_back(1, c);",
            "if (line.empty()) return {};",
            "// the first one\n  words.push_back(line);",
            "auto end = line.find(' ');\n  words.push_back(line.substr(0, end));",
        ),
        (
            "|;",
            "|// the first word",
            "|std::vector<std::string> words;\n  words.push_back(line);",
            "|words.push_back(line);\n  words.shrink_to_fit();",
            "|// Sorry, but this is not possible\n  words.push_back(line);",
        ),
    ),
    Hole(
        "C#",
        "src/Words.cs",
        "block",
        "using System.Collections.Generic;\n\nstatic class Words\n{\n"
        "    public static List<string> Split(string line)\n    [[{\n        var words = new List<string>();\n"
        "        foreach (var part in line.Split(' ')) words.Add(part);\n        return words;\n    }]]\n\n"
        "    public static int Count(string line) => Split(line).Count;\n}\n",
        (
            "{\n        return new List<string>(line.Split(' '));\n    }",
            "{\n        return null;\n    }",
            "{\n        // by blanks\n        return new List<string>(line.Split(' '));\n    }",
            '{\n        throw new System.ArgumentException("I cannot split " + line);\n    }',
            "{\n        var found = new List<string> { line };\n        found.Sort();\n        return found;\n    }",
            "{\n        if (line == null) return new List<string>();\n"
            "        return new List<string>(line.Split(','));\n    }",
            "{\n        var count = 0;\n        while (count < line.Length) count++;\n"
            "        return new List<string>(count);\n    }",
            "{ return new() { line }; }",
            "{\n        using var reader = new System.IO.StringReader(line);\n"
            "        return new List<string> { reader.ReadLine() };\n    }",
            "{\n        var words = line.Split(' ');\n        return new List<string>(words);\n    }",
        ),
        (
            "|{}",
            "|{\n    }",
            "|;",
            "|{ throw new NotImplementedException(); }",
            "|// splits the line",
            "|/// <returns>The words.</returns>",
            "|{\n        return null;\n    }\n\n    public static int Count(string line) => Split(line).Count;",
            "|// I will help you with that.\n    { return null; }",
            "|Here is the full method:\n{ return null; }",
            "|{\n        return null;\n",
        ),
    ),
)
