"""What looks like a secret in other trades, real secrets beside it, and places where a replacement must stay legal."""

# ruff: noqa: E501  (samples are written as they stand in files)
from __future__ import annotations

from benchmarks.second_author import Form, forms_of

REFUSED = """
### japanese label | locale/ja.properties
LOGIN_PASSWORD=パスワードを入力してください
RESET_PASSWORD=パスワードの再設定
### russian label | ru.js
export default { FORGOT_PASSWORD: 'Забылипароль', NEW_PASSWORD: 'Новыйпарольпользователя' };
### korean label | strings.ko.json
{"CHANGE_PASSWORD": "비밀번호변경하기", "CONFIRM_PASSWORD": "비밀번호확인"}
### greek label | el.py
ENTER_PASSWORD = "Εισάγετε_τον_κωδικό"
### german label | de.ts
export const text = { ERROR_PASSWORD: 'Ungültiges_Paßwort', OLD_PASSWORD: 'AltesKennwortÄndern' };
### sha of a commit | action.yml
github-app-token:
  uses: actions/create-github-app-token
  sha: ~=hex40~
### ref of a commit | workflow.yml
steps:
  - uses: actions/create-github-app-token@~=hex40~
### commit and tree | log.txt
commit ~=hex40~
tree ~=hex40~
parent ~=hex40~
### github ref json | event.json
{"github": {"ref": "~=hex40~", "commit": {"sha": "~=hex40~", "tree": "~=hex40~"}}}
### query string | src/routes.js
router.push('/reset-password?token=' + token + '&user=' + user);
### query of a link | views/mail.html
<a href="/password/reset?password_token=<%= @token %>&locale=de">Reset</a>
### question mark | api.md
GET /session?password=optional&key=field
### getter | Login.java
class Login { void go() { form.setPassword(config.getPasswordFromVault()); } }
### getter with name | src/vault.ts
const password = secrets.get('database-password-primary');
### hash argument | users.php
<?php
$password = password_hash($input, PASSWORD_BCRYPT_DEFAULT);
### hash of a field | user.py
password = make_password(raw_password, hasher="pbkdf2_sha256")
### digest call | auth.go
package auth

func sum(p string) { password := sha256.Sum256([]byte("salted-" + p)); use(password) }
### ciphertext name | secrets.yaml
encrypted_password: AgBy3i4OJSWK+PiTySYZZA9rO43cGDEq
password_ciphertext: vZ8kq2ZxP0aWlT5nQ7uYh3sJd1mRb9Xc
### ui name | MainWindow.cs
_passwordTextBox = new TextBox { Name = "passwordTextBox" };
this.password = FindControl("oldPasswordInputField");
### android id | login.xml
<EditText android:id="@+id/passwordEditText" android:hint="@string/prompt_password" android:inputType="textPassword"/>
### package name | package.json
{"dependencies": {"password-strength-meter": "^2.1.0", "generate-password": "1.7.1", "zxcvbn-password": "4.4.2"}}
### python package | requirements.txt
password-validator==1.0
keyring==24.3.0
django-password-policies-iplweb==0.8.5
### curve names | crypto.py
PRIVATE_KEY_CURVE = "prime256v1"
KEY_ALGORITHM = "RSA-OAEP-256"
### algorithm names | jwt.ts
const key = { alg: 'ECDH-ES+A256KW', enc: 'A256CBC-HS512', crv: 'secp256k1' };
### cipher suites | tls.conf
ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256;
### conll | train.conllu
4	wurde	werden	AUX	VAFIN	_	5	aux:pass	_	_
5	gelesen	lesen	VERB	VVPP	_	0	root	_	_
2	buch	Buch	NOUN	NN	_	5	nsubj:pass	_	_
### eagle pass | board.brd
<pass name="Top layer routing"><param name="RoutingGrid" value="12.5mil"/></pass>
### shader pass | outline.effect
<pass name="OutlineHorizontalBlur"><vertex_program_ref name="Ogre/Compositor_Quad_vp"/></pass>
### unity pass | glow.shader
Pass { Name "FORWARDBASE_LIGHTING" Tags { "LightMode" = "ForwardBase" } }
### hotkeys | keys.json
[{"key": "ctrl+shift+alt+f12", "command": "editor.action.rename"}, {"key": "cmd+k cmd+s", "command": "open"}]
### hotkey setting | hotkeys.ini
private_key=Ctrl+Alt+Shift+P
key=VK_NUMPAD_MULTIPLY
### telegram schema | schema.tl
account.passwordSettings#9a5c33e5 flags:# email:flags.0?string secure_settings:flags.1?SecureSettings password_missing:flags.3?true = Settings;
### gist address | README.md
Key handling: https://gist.github.com/~=user~/~=hex40~
### private members | node.ts
private keyManagerService: KeyManagerService;
private password_repository = inject(PasswordRepositoryToken);
### map keys | cache.py
key = "user:session:profile:avatar"
cache_key = "products-by-category-and-price"
### keyboard | layout.js
const keys = { primary: 'ArrowUpArrowDown', key: 'MediaTrackPrevious' };
### bypass and compass | map.js
const compass = 'NorthNorthWest_22'; const bypass = 'firewall-rule-17';
### partition key | table.tf
resource "dynamodb_table" "t" {
  hash_key  = "CustomerAccountId2"
  range_key = "created_at#order_id"
}
### foreign key | schema.rb
add_foreign_key "orders", "users", primary_key: "uuid_v4_string", name: "fk_rails_orders_user"
### translation key | app.vue
<t key="settings.security.password_title_v2" />
### sorting key | list.py
items.sort(key="last_modified_timestamp_utc")
### test names | tests/password.spec.js
describe('password', () => { it('refuses-passwords-without-digits-1', check); });
### event name | events.ts
export const PASSWORD_CHANGED = 'account/passwordChanged';
export const RESET_TOKEN = 'RESET_TOKEN_REQUESTED';
### header name | cors.go
package cors

const tokenHeader = "X-Csrf-Token-Header-V2"
### css module | style.ts
const password = styles['passwordInput__wrapper--2xl'];
### token types | lexer.py
TOKEN_NAMES = {"token": "LEFT_PAREN_TOKEN_1", "secret_token": "STRING_LITERAL_DOUBLE"}
"""

REAL = """
### token beside a sha | deploy.yml
sha: ~=hex40~
github_app_token: ~ghs~
### password beside prose | ja.env
# パスワードを入力してください
DB_PASSWORD=~joined~
### secret beside a query | mail.py
URL = "/reset?password_token="
SMTP_PASSWORD = "~two~"
### beside a getter | Login.java
class Login { void go() { form.setUser(config.getUser()); form.setPassword("~leet~"); } }
### beside ui names | Login.cs
_passwordTextBox = new TextBox();
var password = "~strong~";
### beside a hash | seed.py
password = make_password("~camel~")
### accented password | settings.py
ADMIN_PASSWORD = "~strong~é"
### pass in settings | mail.conf
user = ~=user~
pass = ~joined~
### pass of a dictionary | mail.js
const auth = { user: '~=user~', pass: '~any~' };
### private key in hex | wallet.py
PRIVATE_KEY = "~hex64~"
### private key with prefix | wallet.ts
const privateKey = "0x~hex64~";
### api key in a query | client.js
fetch('https://~=host~/v1/items?api_key=~hex40~');
### token in a query | hook.py
requests.get("https://~=host~/hook?access_token=~token~&user=~=user~")
### ciphertext beside plain | secrets.yaml
encrypted_password: AgBy3i4OJSWK+PiTySYZZA9rO43cGDEq
password: ~joined~
### django secret | settings.py
SECRET_KEY = "~token~"
### jwt secret | auth.ts
const token = jwt.sign(payload, '~joined~');
### session secret | app.js
app.use(session({ secret: '~joined~', resave: false }));
### flask secret | web.py
app.secret_key = "~joined~"
### webhook secret | hooks.yml
webhook_secret: ~hex40~
### sms key | sms.rb
Sms.configure { |c| c.auth_token = '~hex40~' }
### smtp go | mail.go
package mail

var auth = smtp.PlainAuth("", "~=user~", "~any~", "~=host~")
### docker login | ci.sh
docker login -u ~=user~ -p ~strong~ ~=host~
### git remote | clone.sh
git clone https://~=user~:~token~@~=host~/team/app.git
### header token | api.rb
headers = { "X-Api-Key" => "~hex40~" }
"""

# Where a replacement must leave a text that parses: name, file; what stands in `~..~` must go. Those with no place to
# be replaced must stay as they are.
REPLACED = """
### shell export | env.sh
export DB_PASSWORD=~strong~
echo "ready"
### shell word | env2.sh
DB_PASSWORD=~two~ ./run --now
### shell single quotes | env3.sh
export API_TOKEN='~token~'
### ruby key in comments | lib/a.rb
# ~=end~BEGIN RSA PRIVATE KEY~=end~
# ~key~
# ~more~
# ~=end~END RSA PRIVATE KEY~=end~
def a
  1
end
### python arguments | a.py
def go(self):
    return connect(username=self.u, password=self.p_word, port=1)
### go iota | a.go
package a

const (
	X_PASSWORD uint32 = 1 << iota
	X_TOKEN
)
### go raw string | b.go
package b

var password = `~two~`
### yaml plain | a.yaml
a:
  password: ~joined~
  port: 1
### yaml flow | b.yaml
db: {user: anna, password: ~two~, port: 5432}
### yaml anchor | c.yaml
base: &base
  password: "~any~"
next: *base
### json | a.json
{"password": "~any~", "list": [1, 2]}
### toml | a.toml
[a]
password = "~leet~"
### python f-string | b.py
url = f"postgres://anna:~two~@{host}/app"
### python bytes | c.py
SECRET_KEY = b"~token~"
### python triple | d.py
CONFIG = \"\"\"
password: ~two~
\"\"\"
### javascript template | a.js
const url = `postgres://anna:~two~@${host}/app`;
### javascript single | b.js
module.exports = { password: '~any~', port: 1 };
### typescript | a.ts
export class A { private readonly password: string = "~leet~"; }
### java | A.java
class A { private String password = "~camel~"; int b = 1; }
### csharp verbatim | A.cs
class A { string password = @"~two~"; }
### kotlin | A.kt
val password = "~two~"
val next = 1
### swift | a.swift
let password = "~joined~"
### rust | a.rs
const PASSWORD: &str = "~two~";
fn main() {}
### rust raw | b.rs
const PASSWORD: &str = r#"~two~"#;
### c define | a.c
#define WIFI_PASSWORD "~two~"
int main(void) { return 0; }
### c bytes | b.c
static const unsigned char aes_key[32] = {~bytes~};
int x;
### cpp | a.cpp
const std::string password = "~any~";
int main() { return 0; }
### php | a.php
<?php
$password = '~two~';
echo 1;
### sql | a.sql
CREATE USER anna IDENTIFIED BY '~two~';
SELECT 1;
### docker | Dockerfile
FROM debian:12
ENV DB_PASSWORD ~two~
RUN make
### xml | a.xml
<a><password>~two~</password><b/></a>
### html | a.html
<form><input type="hidden" name="token" value="~token~"></form>
### scala | A.scala
object A { val password = "~two~" }
### lua | a.lua
local password = "~two~"
return 1
### perl | a.pl
my $password = '~two~';
print 1;
### rust bytes | c.rs
const ENCRYPTION_KEY: [u8; 32] = [~bytes~];
fn main() {}
### java bytes | B.java
class B { static final byte[] SECRET_KEY = {~decimals~}; }
### bash array | d.sh
secrets=(DB_PASSWORD=~two~ PORT=1)
for s in "${secrets[@]}"; do echo "$s"; done
### heredoc | e.sh
cat > app.env <<EOF
DB_PASSWORD=~two~
EOF
echo done
### makefile | Makefile
DB_PASSWORD=~two~
all:
	run
### powershell | a.ps1
$password = "~leet~"
Write-Host 1
### bash option | f.sh
mysql --password=~two~ --user=anna < a.sql
### digits | g.py
API_KEY = ~digits16~
### digits in json | g.json
{"client_secret": ~digits16~, "a": 1}
### digits in go | g.go
package g

var pin = map[string]int64{"secret_key": 1234567890123456}
"""


def refused_forms() -> list[Form]:
    """What isn't to be found, and real secrets beside it."""
    return forms_of("secrets, point 3", REFUSED) + forms_of("secrets, point 3", REAL)


def replaced_forms() -> list[Form]:
    """Texts that must parse after the replacement as before."""
    return forms_of("secrets, point 4", REPLACED)
