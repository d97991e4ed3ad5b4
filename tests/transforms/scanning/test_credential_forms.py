# ruff: noqa: E501 - a form reads best on its line
"""The forms of credentials in settings, scripts and code, each with a value created at run time; and the same forms with
placeholders for a credential, which must not be reported."""

from __future__ import annotations

import base64
import random
import re

import pytest

from transforms.scanning import RuleSet, Scanner, load_rules
from transforms.scanning.validators.recipes import fill

FORMS = {
    "config.yml": ["db:\n  password: PW\n", "db_password: 'PW'\n", "apiToken: KEY\n", "env:\n- {name: DB_PASS, value: PW}\n"],
    "compose.yml": ["    environment:\n      - MYSQL_ROOT_PASSWORD=PW\n", "      POSTGRES_PASSWORD: PW\n"],
    "ci.yml": ["    - docker login -u ci -p PW $REGISTRY\n", '- name: API_KEY\n  value: "KEY"\n', "stringData:\n  password: PW\n"],
    "app.ini": ["[db]\npassword = PW\n", "secret_key=KEY\n", "host1 ansible_user=u ansible_password=PW\n"],
    "app.properties": ["spring.datasource.password=PW\n", "jwt.secret=KEY\n", "aws.secretKey : KEY\n"],
    ".env": ["DB_PASSWORD=PW\n", "export API_TOKEN='KEY'\n", "DB_PASSWORD=whiteduke\n", "SIGNER=B64\n"],
    "app.conf": ['password = "correct horse battery staple"\n', "requirepass PW\n", "bindpw: PW\n", '    psk="PW"\n', "set imap_pass = \"PW\"\n"],
    "web.xml": ["<password>PW</password>\n", '<add key="ApiSecret" value="KEY"/>\n', "<password>\n    PW\n</password>\n",
                '<property name="connection.password">PW</property>\n', '<user username="admin" password="PW" roles="x"/>\n'],
    "app.json": ['{"password": "PW"}\n', '{"clientSecret":"KEY"}\n', '{"name": "DB_PASSWORD", "value": "PW"}\n', '{"auth": "BASIC"}\n'],
    "run.sh": ["export PGPASSWORD='PW'\n", "mysql -u root -pPW app\n", "sshpass -p 'PW' ssh a@b\n", "redis-cli -a PW ping\n",
               "curl -u admin:PW https://ci/\n", "curl -H 'Authorization: Bearer KEY' https://x\n", 'curl -H "X-Api-Key: KEY" https://x\n'],
    "Dockerfile": ["ENV DB_PASSWORD PW\n", "ARG GITHUB_TOKEN=KEY\n", "ENV SECRET_KEY KEY\n", "ENV DB_PASSWORD MADEUP\n", "RUN echo 'root:MADEUP' | chpasswd\n"],
    "login.csh": ["setenv API_TOKEN KEY\n", "setenv DB_PASSWORD MADEUP\n"],
    "config.fish": ["set -gx API_TOKEN KEY\n", "set -gx DB_PASSWORD PW\n"],
    "httpd.conf": ["SetEnv DB_PASSWORD PW\n", "fastcgi_param APP_SECRET KEY;\n"],
    "Info.plist": ["<key>ApiSecret</key>\n<string>KEY</string>\n", "<key>password</key>\n\t<string>MADEUP</string>\n"],
    "core-site.xml": ["<property>\n  <name>db.password</name>\n  <value>PW</value>\n</property>\n"],
    "setup.sh": ["echo 'root:PW' | chpasswd\n", 'echo "app:MADEUP" | sudo chpasswd\n', "chpasswd <<< 'root:PW'\n", "chpasswd <<EOF\nroot:PW\nEOF\n",
                 "echo PW | sudo -S reboot\n", "echo 'PW' | passwd --stdin root\n", "echo PW | docker login -u ci --password-stdin\n",
                 "htpasswd -cb /etc/htpasswd app PW\n", "net user app PW /add\n", "docker run -e MYSQL_ROOT_PASSWORD=MADEUP mysql\n",
                 "helm install app --set auth.password=PW\n", "heroku config:set API_SECRET=KEY\n", "export DB_PASSWORD=MADEUP\n"],
    "ks.cfg": ["rootpw --plaintext PW\n", "d-i passwd/root-password password PW\n", "mysql-server mysql-server/root_password password MADEUP\n"],
    "user-data.yml": ["chpasswd:\n  list: |\n    root:PW\n", "password: MADEUP\n", "db:\n  password: 'MADEUP'  \n", "MYSQL_ROOT_PASSWORD: MADEUP\n"],
    "app2.properties": ["spring.datasource.password=MADEUP\n"],
    "app2.json": ['{"password": "MADEUP"}\n', '{"user": "app", "password": "SHORT"}\n'],
    "b.py": ['testPassword = "letMeMADEUP"\n', "connect(user='app', password='SHORT')\n", 'PASSWORD = "open MADEUP"\n', 'api_secret = "DIGITS"\n',
             'h = ["Authorization", "Basic BASIC"]\n', 'if h == "Basic BASIC":\n    pass\n', 'url = "postgres://app:secret@db.acme.io/app"\n'],
    "jwk.js": ["const jwk = {\n  kty: 'EC',\n  d: 'KEY-KEY',\n}\n"],
    "notes.http": ["Cookie: connect.sid=s%3AKEY.KEY\n", "Cookie: a=b; PHPSESSID=KEY\n"],
    "main.tf": ['  password = "PW"\n', 'variable "db_password" {\n  type    = string\n  default = "PW"\n}\n'],
    "wp.php": ["define('DB_PASSWORD', 'PW');\n", "'password' => env('DB_PASSWORD', 'PW'),\n", "$db['password'] = 'PW';\n",
               "$c = mysqli_connect('localhost', 'root', 'PW', 'app');\n"],
    "A.java": ['ds.setPassword("PW");\n', 'props.put("mail.smtp.password", "PW");\n', 'DriverManager.getConnection(url, "app", "PW");\n'],
    "a.cs": ['var c = "Server=s;Database=d;User Id=u;Password=PW;";\n', 'new NetworkCredential("user", "PW")\n'],
    "a.py": ["connect(host='x', password='PW')\n", "os.environ['API_KEY'] = 'KEY'\n", "p = os.getenv('DB_PASSWORD') or 'PW'\n",
             "requests.get(url, auth=('admin', 'PW'))\n", "HTTPBasicAuth('admin', 'PW')\n", "password: str = 'PW'\n"],
    "a.js": ["password: process.env.DB_PASSWORD || 'PW',\n", "const apiKey = `KEY`;\n", "headers: { Authorization: 'Basic BASIC' }\n"],
    "a.go": ['password := "PW"\n', 'os.Setenv("SECRET", "KEY")\n'],
    "a.c": ['#define WIFI_PASSWORD "PW"\n', 'char passwd[] = "PW";\n'],
    "a.gradle": ['storePassword "PW"\n', 'password "PW"\n'],
    "a.sql": ["CREATE USER u IDENTIFIED BY 'PW';\n", "ALTER ROLE x WITH PASSWORD 'PW';\n"],
    ".npmrc": ["//registry.acme.io/:_authToken=KEY\n", "_auth=BASIC\n"],
    ".netrc": ["machine api.acme.io\nlogin me\npassword PW\n"],
    ".pgpass": ["db1.acme.io:5432:app:svc:PW\n"],
    ".htpasswd": ["app:{SHA}HASH=\n"],
    "config/master.key": ["HEX"],
    "src/db.ts": ['export const o = { host: "h", password: "MADEUP" };\n'],
    "flow.yml": ["db: {user: anna, password: MADEUP, port: 1}\n"],
    "web2.xml": ["<a><password>MADEUP</password></a>\n"],
    "run2.sh": ["secrets=(DB_PASSWORD=MADEUP PORT=1)\n", "mysql --password=MADEUP --user=anna < a.sql\n", "DB_PASSWORD=MADEUP ./run\n"],
    "app.gradle": ["keyPassword 'MADEUP'\n"],
    "Setter.java": ['pool.setPassword("MADEUP");\n'],
    ".env.local": ["DB_PASSWORD=copper.MADEUP\n"],
    "number.json": ['{"client_secret": DIGITS, "a": 1}\n'],
    "number.go": ["var apiKey = DIGITS\n"],
    "keys.c": ["static const uint8_t aes_key[32] = {BYTES};\n"],
    "Keys.java": ["static final byte[] SECRET_KEY = new byte[] { BYTES };\n"],
    "keys.rs": ["const ENCRYPTION_KEY: [u8; 32] = [BYTES];\n"],
    "keys.py": ["signing_key = bytes([\n    BYTES,\n])\n"],
    "keys.go": ["var privateKey = []byte{BYTES}\n"],
    "keys.js": ["const key = new Uint8Array([BYTES]);\n"],
    "notes.txt": ["https://user:WORD@host.acme.io/x\n", "jdbc:oracle:thin:scott/WORD@//db1:1521/x\n", "the password for master:WORD\n"],
}  # fmt: skip
SAME = {
    "config.yml": ["password: ${DB_PASSWORD}\n", "password: changeme\n", "token_type: bearer\n", "passwordField: passwordInput1\n"],
    "app.ini": ["password =\n", "password_file = /run/secrets/db1\n", "token_ttl = 3600s\n"],
    ".env": ["DB_PASSWORD=<your password>\n", "DB_PASSWORD=\n", "SECRET_NAME=prod-db-2\n", "GIT_SHA=4a7d1ed414474e4033ac29ccb8653d9b\n"],
    "app.conf": ["password = enter your password here\n", "requirepass foobared\n", 'password = "the token of the user"\n'],
    "nsswitch.conf": ["passwd:         files\n"],
    "run.sh": ["mysql -u root -p$PASSWORD app\n", "docker run -p 8080:80 app\n", "sshpass -p \"$PW\" ssh a@b\n"],
    "main.tf": ['variable "db_password" {\n  type = string\n}\n', 'variable "key_name" {\n  default = "deployer"\n}\n'],
    "wp.php": ["define('DB_PASSWORD', getenv('DB_PASSWORD'));\n", "'password' => env('DB_PASSWORD', ''),\n"],
    "A.java": ['getConnection(url, "root", "password");\n', "ds.setPassword(config.getPassword());\n", 'login("index.html", "text/html");\n'],
    "a.py": ["auth=('user', 'pass')\n", "password = getpass.getpass('Password for %s: ' % user)\n", 'key = "VS%0.fCOMN2TOOLS" % version\n',
             "splituser('user[:passwd]@host[:port]') == ('user[:passwd]', 'host[:port]')\n"],
    "a.c": ['#define PASSWORD_FILE "etc/passwd"\n', "#define TOKEN_ID 17\n"],
    "a.js": ["password: process.env.DB_PASSWORD || '',\n", "const token = await getToken(user2);\n"],
    ".pgpass": ["# hostname:5432:database:username:$PASSWORD\n"],
    "config/public.txt": ["HEX"],
    "Dockerfile": ["ENV SECRET_KEY $SECRET\n", "ENV KEY_TYPE ed25519\n", "ENV DB_PASSWORD changeme\n", "RUN echo \"root:$PW\" | chpasswd\n"],
    "Info.plist": ["<key>passwordField</key>\n<string>NSSecureTextField</string>\n", "<key>Token</key>\n<string>$(API_TOKEN)</string>\n"],
    "i18n/de.yml": ["password: Kennwort\n", "password: Zugangswort\n"],
    "config/locales/fr.yml": ["password: Sesame ouvert\n"],
    "b.yml": ["password: required\n", "password: string\n", "password: dbAdminUser\n", "password: *anchor\n", "password: !vault x\n"],
    "b.py": ['password = "required"\n', 'PASSWORD = "passwordField"\n', '"password": "string"\n', 'password = "Enter your word"\n', 'password="aaaaaaaa"\n',
             'url = "https://user:password@db.acme.io/x"\n', 'url = "postgres://app:secret@localhost/app"\n', 'url = "https://app:pass@example.com"\n'],
    "b.json": ['{"type": "object", "password": "undefined"}\n', '{"error": {"password": "mismatch"}}\n'],
    "c.js": ["const o = { password: 'required|min:8|confirmed' };\n", "const o = {password: hazelnutValue, port: 1};\n"],
    "c.java": ['pool.setPassword("serviceUmbrella", 1);\n'],
    "c.c": ["static const uint8_t aes_key[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};\n", "uint8_t icon_bits[32] = {BYTES};\n",
            "static const uint8_t public_key[32] = {BYTES};\n", "uint8_t key_hash[32] = {BYTES};\n", "int key_codes[16] = {37, 38, 39, 40, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76};\n"],
    "c.yml": ["db: {user: anna, password: required, port: 1}\n", "db: {password: ${DB_PASSWORD}, port: 1}\n"],
    "c.sh": ["tool --password=prompt --user=anna\n", "export PASSWORD=password DB=x\n"],
    "labels/app.ts": ['export const o = { password: "Zugangswort" };\n'],
    ".env.sample": ["DB_PASSWORD=form.label.password\n", "DB_PASSWORD=db.acme.io\n"],
    "c.go": ["const maxTokens = 9007199254740991\n", "var keyTime = 1609459200000000000\n"],
    "b.sh": ["echo $PW | sudo -S reboot\n", "net user app /add\n", "docker run -e TOKEN_TYPE=bearer x\n", "docker run -e PASSWORD=$PW x\n"],
    "id_rsa.txt": ["-----BEGIN RSA PRIVATE KEY-----\nyour private key goes here\n-----END RSA PRIVATE KEY-----\n"],
}  # fmt: skip

_FIELD = re.compile(r"(?<![A-Z_])(?:BASIC|B64|BYTES|DIGITS|HASH|HEX|KEY|MADEUP|PW|SHORT|WORD)(?![A-Z_])")


@pytest.fixture(scope="module")
def scanner() -> Scanner:
    families = ("secrets.generic", "secrets.places", "secrets.formats")
    return Scanner(RuleSet(tuple(rule for rule in load_rules().rules if rule.family in families)))


def filled(form: str, seed: int) -> tuple[str, list[str]]:
    """The form with its values, and the values."""
    rng = random.Random(seed)
    password = fill("Tr{alnum:5}7!{lower:3}", rng)
    basic = base64.b64encode(f"svc:{password}".encode()).decode()
    makers = {
        "BYTES": ", ".join(f"0x{byte:02x}" for byte in random.Random(seed).randbytes(32)),
        "BASIC": basic, "B64": fill("aB3{b64:40}", rng), "KEY": fill("{alnum:30}7x", rng), "HASH": fill("{b64:26}9", rng),
        "HEX": fill("{hex:31}7", rng), "WORD": fill("{alnum:8}7xQ", rng), "PW": password,
        "MADEUP": rng.choice(["shovelgrass", "marigoldtree", "Winterberry"]), "SHORT": "mar" + "gold", "DIGITS": fill("9{digit:17}3", rng),
    }  # fmt: skip
    used = set(_FIELD.findall(form))
    return _FIELD.sub(lambda field: makers[field.group()], form), [makers[field] for field in sorted(used)]


@pytest.mark.parametrize(("path", "form"), [(path, form) for path, forms in FORMS.items() for form in forms])
def test_a_credential_is_found_in_the_form_and_covered_whole(scanner, path, form):
    for seed in range(3):
        text, values = filled(form, seed)
        findings = scanner.scan(text, path=path)
        assert findings, text
        for value in values:
            covered = [f for f in findings if f.start <= text.index(value) and text.index(value) + len(value) <= f.end]
            assert covered or any(value.startswith(text[f.start : f.end]) for f in findings), (text, findings)


MANY_USERS = [
    "chpasswd <<EOF\nroot:PW\nweb-1:KEY\n\napp:MADEUP\nEOF\nrm x:y\n",
    "chpasswd <<-'END'\n\troot:$PW\n\tapp:<yours>\n\tweb:KEY\nEND\n",
    "chpasswd <<< 'root:PW\nweb:KEY'\nmake:all\n",
    "chpasswd <<< $'root:PW\\nweb:KEY\\n'\n",
    "chpasswd <<< root:PW\nmake:marigold1\n",
    "chpasswd:\n  expire: false\n  list: |\n    root:PW\n    web:KEY\n    app:MADEUP\nother:\n  a: b\n",
    "chpasswd:\n  list:\n    - 'root:PW'\n    - 'web:KEY'\n",
    "echo -e 'root:PW\\nweb:KEY\\n' | sudo chpasswd\n",
    "printf '%s\\n' 'root:PW' \"web:KEY\" | chpasswd\n",
    'printf "root:PW\\n" | chpasswd\n',
    'echo "root:PW\nweb:KEY" | chpasswd\n',
]


@pytest.mark.parametrize("form", MANY_USERS)
def test_each_user_of_a_list_of_passwords_loses_the_password_and_nothing_else(form):
    rules = [rule for rule in load_rules().rules if rule.id in ("chpasswd-lines", "piped-user-password")]
    for seed in range(3):
        text, values = filled(form.replace("$PW", "$VARIABLE"), seed)
        found = [text[f.start : f.end] for f in Scanner(RuleSet(tuple(rules))).scan(text, path="setup.sh")]
        assert sorted(found) == sorted(values)


def test_a_pipe_of_another_line_makes_no_password():
    assert Scanner(load_rules()).scan("echo host:portname\nls\ncat users.txt | chpasswd\n", path="a.sh") == []


@pytest.mark.parametrize(("path", "form"), [(path, form) for path, forms in SAME.items() for form in forms])
def test_a_placeholder_for_a_credential_is_not_reported(scanner, path, form):
    text, _ = filled(form, 5)
    assert [(f.rule, text[f.start : f.end]) for f in scanner.scan(text, path=path)] == []


def test_a_default_password_is_one_where_the_host_is_real(scanner):
    for word in ("changeme", "changeit"):
        assert scanner.scan(f"URL=mysql://root:{word}@cache.acme.io:3306/shop\n", path="app.env")
        assert not scanner.scan(f"URL=mysql://root:{word}@localhost:3306/shop\n", path="app.env")


def test_a_settings_file_s_rules_ask_for_its_path(scanner):
    assert scanner.scan("DB_PASSWORD=whiteduke\n", path="deploy/.env.local")
    assert scanner.scan("DB_PASSWORD=whiteduke\n", path="src/app.py", language="python") == []
