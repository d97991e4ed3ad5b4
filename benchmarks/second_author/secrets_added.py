"""Secrets in places that scanners forget: nested quotes, headers, keys in pieces, settings of other tools."""

from __future__ import annotations

from benchmarks.second_author import Form, forms_of

# A block's first and last lines are put together here, so that no scanner takes this file for a key.
DASHES = "-" * 5


def _block(kind: str, end: str = "") -> str:
    return f"{DASHES}{end or 'BEGIN'} {kind}{DASHES}"


ADDED = f"""
### json in a string | src/client.js
const body = '{{"user": "~=user~", "access_token": "~token~"}}';
### escaped json | Api.java
class Api {{ String body = "{{\\"client\\":\\"web\\",\\"api_key\\":\\"~hex40~\\"}}"; }}
### json in python | tests/fixtures.py
RESPONSE = '{{"token_type": "bearer", "refresh_token": "~b64~"}}'
### json in curl | call.sh
curl -X POST https://~=host~/api -d '{{"secret_key": "~token~", "amount": 10}}'
### basic in a list | headers.yml
headers:
  Authorization:
    - Basic ~basic~
### basic in an array | src/proxy.ts
const headers = ["Authorization", "Basic ~basic~"];
### basic compared | server/auth.go
package server

func allowed(r *Request) bool {{ return r.Header.Get("Authorization") == "Basic ~basic~" }}
### basic in an assertion | tests/test_auth.py
def test_header(client):
    assert client.headers["Authorization"] == "Basic ~basic~"
### jwk unquoted | src/keys.js
const key = {{
  kty: 'EC',
  crv: 'P-256',
  x: '~=b64~',
  y: '~=b64~',
  d: '~b64~',
}};
### jwk unquoted oct | src/session.ts
export const key = {{
  kty: "oct",
  alg: "HS256",
  k: "~b64~",
}};
### byte array go | crypto/key.go
package crypto

var privateKey = []byte{{~bytes~}}
### byte array c | firmware/aes.c
static const uint8_t aes_key[32] = {{~bytes~}};
### byte array java | Keys.java
class Keys {{ static final byte[] SECRET_KEY = {{~decimals~}}; }}
### byte array python | sign.py
signing_key = bytes([~decimals~])
### byte array rust | src/key.rs
const ENCRYPTION_KEY: [u8; 32] = [~bytes~];
### pem in string pieces | src/tls.py
KEY = (
    "{_block("RSA PRIVATE KEY")}\\n"
    "~key~\\n"
    "~more~\\n"
    "{_block("RSA PRIVATE KEY", "END")}\\n"
)
### pem joined by plus | src/Tls.java
class Tls {{
  static final String KEY = "{_block("PRIVATE KEY")}\\n"
      + "~key~\\n"
      + "~more~\\n"
      + "{_block("PRIVATE KEY", "END")}";
}}
### pem in an array | src/sign.js
const pem = [
  '{_block("EC PRIVATE KEY")}',
  '~key~',
  '~more~',
  '{_block("EC PRIVATE KEY", "END")}',
].join('\\n');
### pem in hash comments | lib/notes.rb
# {_block("RSA PRIVATE KEY")}
# ~key~
# ~more~
# {_block("RSA PRIVATE KEY", "END")}
def sign; end
### pem in slashes | cmd/main.go
package main

// {_block("PRIVATE KEY")}
// ~key~
// ~more~
// {_block("PRIVATE KEY", "END")}
func main() {{}}
### pem in a block comment | src/main.c
/*
 * {_block("RSA PRIVATE KEY")}
 * ~key~
 * ~more~
 * {_block("RSA PRIVATE KEY", "END")}
 */
int main(void) {{ return 0; }}
### pem on one line | .env
TLS_KEY="{_block("PRIVATE KEY")}\\n~key~\\n~more~\\n{_block("PRIVATE KEY", "END")}\\n"
### pem in yaml | secrets.yml
tls:
  key: |
    {_block("EC PRIVATE KEY")}
    ~key~
    ~more~
    {_block("EC PRIVATE KEY", "END")}
### ssh2 encrypted | keys/id.txt
---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----
Comment: "rsa-key"
~key~
~more~
---- END SSH2 ENCRYPTED PRIVATE KEY ----
### openssh | keys/deploy
{_block("OPENSSH PRIVATE KEY")}
~key~
~more~
{_block("OPENSSH PRIVATE KEY", "END")}
### dockerfile env password | Dockerfile
FROM debian:12
ENV DB_PASSWORD ~two~
### dockerfile env token | app/Dockerfile
FROM node:20
ENV API_TOKEN ~token~
RUN make
### dockerfile env secret key | web/Dockerfile
FROM python:3.12
ENV DJANGO_SECRET_KEY ~b64~
### dockerfile arg | ci/Dockerfile
FROM golang:1.22
ARG DEPLOY_TOKEN=~hex40~
### csh token | profile.csh
setenv AUTH_TOKEN ~token~
### csh secret | login.csh
setenv CLIENT_SECRET ~hex64~
### csh api key | build.csh
setenv SERVICE_API_KEY "~hex40~"
### plist password | Config.plist
<plist><dict>
  <key>Password</key>
  <string>~any~</string>
</dict></plist>
### plist api key | App/Info.plist
<plist version="1.0"><dict>
	<key>ApiKey</key>
	<string>~hex40~</string>
</dict></plist>
### plist one line | Secrets.plist
<dict><key>client_secret</key><string>~token~</string></dict>
### chpasswd | setup.sh
echo "~=user~:~any~" | chpasswd
### chpasswd root | image.sh
RUN echo 'root:~two~' | sudo chpasswd
### passwd stdin | users.sh
echo "~any~" | passwd --stdin ~=user~
### htpasswd | web.sh
htpasswd -bc /etc/nginx/users ~=user~ ~any~
### sshpass | push.sh
sshpass -p '~two~' scp dump.sql ~=user~@~=host~:/srv/
### useradd openssl | provision.sh
useradd -m -p $(openssl passwd -1 ~any~) ~=user~
### connect cookie | tests/session.test.js
request.set('Cookie', 'connect.sid=~cookie~');
### connect cookie in a header | requests.http
GET https://~=host~/profile
Cookie: theme=dark; connect.sid=~cookie~
### cookie in curl | try.sh
curl -b "connect.sid=~cookie~" https://~=host~/me
### digits under api key | settings.py
API_KEY = "~digits16~"
### digits under secret | config.yml
client_secret: "~digits16~"
### digits under token | src/bot.js
const accessToken = '~digits16~';
### bearer | requests.sh
curl -H "Authorization: Bearer ~token~" https://~=host~/v1/items
### aws style secret | config.toml
secret_access_key = "~token~"
"""

HARMLESS = f"""
### json of a schema | src/schema.js
const body = '{{"type": "object", "properties": {{"access_token": {{"type": "string"}}}}}}';
### json placeholder | docs/api.md
`{{"access_token": "YOUR_ACCESS_TOKEN", "user": "anna"}}`
### json variable | call.sh
curl -d '{{"api_key": "'"$API_KEY"'"}}' https://~=host~/api
### basic in prose | README.md
- Basic knowledge of compilers
- Basic authentication is disabled
### basic variable | src/client.py
headers = {{"Authorization": f"Basic {{credentials}}"}}
### basic type | Auth.java
class Auth {{ boolean basic(String h) {{ return h.startsWith("Basic "); }} }}
### public jwk | src/keys.js
const key = {{
  kty: 'EC',
  crv: 'P-256',
  x: '~=b64~',
  y: '~=b64~',
}};
### bytes of an image | icon.c
static const uint8_t icon_bits[32] = {{~=bytes~}};
### bytes of a digest test | hash_test.go
package hash

var expectedDigest = []byte{{~=bytes~}}
### table of bytes | crc.c
static const uint8_t crc_table[] = {{~=bytes~}};
### public key | keys.py
KEY = (
    "{_block("PUBLIC KEY")}\\n"
    "~=key~\\n"
    "~=more~\\n"
    "{_block("PUBLIC KEY", "END")}\\n"
)
### certificate in comments | lib/ca.rb
# {_block("CERTIFICATE")}
# ~=key~
# ~=more~
# {_block("CERTIFICATE", "END")}
### header alone | src/pem.go
package pem

const begin = "{_block("RSA PRIVATE KEY")}"
### pem in prose | docs/keys.md
The file begins with `{_block("PRIVATE KEY")}` and ends with `{_block("PRIVATE KEY", "END")}`.
### pem placeholder | values.yaml
key: |
  {_block("PRIVATE KEY")}
  ...
  {_block("PRIVATE KEY", "END")}
### regex of pem | scan.py
PATTERN = r"{_block("(RSA|EC) PRIVATE KEY")}[\\s\\S]+?{_block("(RSA|EC) PRIVATE KEY", "END")}"
### env path | Dockerfile
FROM debian:12
ENV PATH /usr/local/bin:/usr/bin
ENV LANG C.UTF-8
### env variable | web/Dockerfile
FROM debian:12
ARG TOKEN
ENV API_TOKEN $TOKEN
### env key name | ops/Dockerfile
FROM debian:12
ENV KEYBOARD_LAYOUT pc105
ENV TOKENIZERS_PARALLELISM false
### csh editor | login.csh
setenv EDITOR vim
setenv PASSWORD_STORE_DIR $HOME/.password-store
### plist names | Info.plist
<dict><key>CFBundleName</key><string>Calculator</string>
<key>NSFaceIDUsageDescription</key><string>Unlock the password list</string></dict>
### plist variable | App.plist
<dict><key>ApiKey</key><string>$(API_KEY)</string></dict>
### chpasswd variable | user.sh
echo "$USER:$PASSWORD" | chpasswd
### chpasswd file | users.sh
chpasswd < /srv/users.txt
### passwd prompt | root.sh
passwd --stdin root < "$1"
### sshpass variable | push.sh
sshpass -p "$PASS" ssh "$HOST" uptime
### cookie name | src/app.js
app.use(session({{ name: 'connect.sid', secret: process.env.SESSION_SECRET, resave: false }}));
### cookie placeholder | docs/http.md
Cookie: connect.sid=s%3A...
### digits of an id | data.json
{{"order": "~=digits16~", "tracking": "~=digits16~"}}
### digits of time | bench.py
KEYFRAME_TIMES = [1609459200000000000, 1609459260000000000]
### token count | model.py
MAX_TOKENS = 1000000000000000
TOKEN_LIMIT_NS = 9007199254740991
### bearer variable | api.ts
const headers = {{ Authorization: `Bearer ${{token}}` }};
### bearer placeholder | docs/use.md
curl -H "Authorization: Bearer <token>" https://~=host~/v1/items
### checksum | package.lock
"sha256": "~=hex64~"
### integrity | lock.json
{{"resolved": "left", "integrity": "sha256-~=b64~="}}
### public key name | keys.json
{{"public_key": "~=b64~", "fingerprint": "~=hex40~"}}
"""


def added_forms() -> list[Form]:
    """What is to be found in these places, and what isn't."""
    return forms_of("secrets, point 2", ADDED) + forms_of("secrets, point 2", HARMLESS)
