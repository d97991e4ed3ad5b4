# ruff: noqa: E501 - a line of code reads best unbroken
"""The words pass, key, token, private in other trades: nothing is reported where they name no secret. Each line has a
near miss that is a secret."""

from __future__ import annotations

import random

import pytest

from transforms.scanning import RuleSet, Scanner, load_rules
from transforms.scanning.validators.recipes import fill

NOTHING = {
    "dev.conllu": [
        "2\twas\tbe\tAUX\tVBD\t_\t3\taux:pass\t3:aux:pass\t_\n",
        "5\tthey\tthey\tPRON\tPRP\tCase=Nom\t7\tnsubj:pass\t7:nsubj:pass\tDiscourse=elaboration-additional:44->42:0\n",
    ],
    "board.brd": ['<pass name="Optimize1" refer="Default" active="yes">\n'],
    "shader.xml": ['<pass name="Blur9tap">\n', '<pass id="Shadow2x" order="7">\n'],
    "vlcrc": ["global-key-set-bookmark9=\nglobal-key-set-bookmark10=\n"],
    "scheme.tl": ["payments.form#{hex:8} password_missing:flags.3?true bot_id:int = payments.Form;\n"],
    "http.cs": ["// after https://gist.github.com/define-private-public/{hex:32}\n", "// see /reset_password?user=abc1234x\n"],
    "a.json": [
        '{{"NextToken": "{b64:48}"}}\n', '{{"LockToken": "{uuid}"}}\n', '{{"S3Key": "{digit:12}-Entities{digit:9}x"}}\n',
        '{{"KeySpec": "ECC_NIST_P256"}}\n', '{{"privateKeyAlgorithm": "secp256r1"}}\n', '{{"AWS::IAM::AccessKey": "{hex:16}"}}\n',
        '{{"id": "to-retrieve-a-key-policy-{digit:13}"}}\n', '{{"passwordCiphertext": "{b64:48}"}}\n', '{{"encryptedPassword": "{b64:48}"}}\n',
        '{{"arn": "arn:aws:secretsmanager:us-west-2:123456789012:secret:MyTestSecret-a1b2c3"}}\n',
    ],
    "form.html": ['<input type="password" name="password_login" id="password4" tabindex="2">\n'],
    "View.cs": ['var p = FindName("_passwordTextBox2");\n', 'this.password = "passwordTextBox1";\n', 'Key = "Org.Acme.Login.Key2";\n'],
    "a.py": ['token = tokens["a:b"]\n', 'get_password("service-7x")\n', "key = md5_key('part7a' + name)\n", 'PASSWORD_HOST = "db1:5432"\n', 'secret = "db1.acme:5432"\n'],
    "socket.js": ["c.write('Sec-WebSocket-Key: {b64:22}==\\r\\n')\n", "headers: {{ 'Lock-Token': 'urn:uuid:{uuid}' }}\n"],
    "cert.kt": [" * Public Key: {hex:40}\n", 'key = "abcdefghijklmnopqrstuvwxyz_0123456789"\n'],
    "field.rb": ['<input type="hidden" name="authenticity_token" value="#{{Rack::Token.token(env[0])}}" />\n'],
    "short.md": ["export SESSION_SECRET={hex:7}...snip...{hex:9}\n"],
    "list.sh": ['token="${{cask_path##*/}}"\n', 'API_TOKEN="${{ARGS[1]#*:}}"\n', "echo -n 'user:password' | base64\n"],
    "a.go": ['Options map[string]string `protobuf:"bytes,2" protobuf_key:"bytes,1,opt,name=key,proto3"`\n'],
    "README.md": ["Values: `BASIC_AUTH | SASL_SCRAM_256_AUTH | SERVER_ROOT_CA`\n", "a user of the state is uniquely identified by `PTransform2`\n"],
    "zh.po": ["DB_PASSWORD: \u8bf7\u8f93\u5165\u6570\u636e\u5e93\u7684\u5bc6\u7801\uff0c\u7136\u540e\u70b9\u51fb\u201c\u786e\u5b9a\u201d\n", 'password = "\u041f\u0430\u0440\u043e\u043b\u044c \u0431\u0430\u0437\u044b"\n'],
    "refs.txt": ["github ref {hex:40}\n", "github tree: {hex:40}\n", "https://github.com/a/b/commit sha {hex:40}\n"],
}  # fmt: skip
SOMETHING = {
    "a.xml": ['<pass value="{alnum:8}7x"/>\n', '<password name="password">{alnum:6}7!{lower:3}</password>\n', '<Pass encoding="base64">{alnum:14}7=</Pass>\n'],
    "a.json": ['{{"clientToken": "{alnum:30}7"}}\n', '{{"statuspage_token": "{uuid}"}}\n', '{{"accessKey": "{alnum:30}7"}}\n'],
    "form.html": ['<input name="password" value="Tr{alnum:6}7!">\n'],
    "cert.kt": [' * privateKey: "{hex:40}"\n'],
    "run.sh": ["TOKEN=${{API_TOKEN:-{alnum:30}7}}\n", "deploy --token {alnum:30}7\n", "export SECRET_KEY=private-{uuid}\n"],
    "a.py": ['set_password("7{alnum:5}4!x")\n', 'password = "Tr{alnum:5}7\u00e9!"\n'],
    "a.txt": ["gh_token {hex:40}\n", "| password | Tr{alnum:5}7!x |\n"],
}  # fmt: skip


@pytest.fixture(scope="module")
def scanner() -> Scanner:
    return Scanner(RuleSet(tuple(rule for rule in load_rules().rules if rule.family.startswith("secrets"))))


@pytest.mark.parametrize(("path", "form"), [(path, form) for path, forms in NOTHING.items() for form in forms])
def test_a_word_of_another_trade_names_no_secret(scanner, path, form):
    for seed in range(5):
        text = fill(form, random.Random(seed)).replace("}}", "}")
        assert [(f.rule, text[f.start : f.end]) for f in scanner.scan(text, path=path)] == []


@pytest.mark.parametrize(("path", "form"), [(path, form) for path, forms in SOMETHING.items() for form in forms])
def test_a_secret_in_nearly_the_same_place_is_found(scanner, path, form):
    for seed in range(5):
        text = fill(form, random.Random(seed)).replace("}}", "}")
        assert scanner.scan(text, path=path), text
