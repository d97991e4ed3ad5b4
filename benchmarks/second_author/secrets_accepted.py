"""Secrets as people write them, and what stands in the same places without being one."""

# ruff: noqa: E501  (samples are written as they stand in files)
from __future__ import annotations

from benchmarks.second_author import Form, forms_of

ACCEPTED = """
### yaml long word | deploy/app.yml
service:
  user: ~=user~
  password: ~long~
### yaml quoted two words | config/settings.yaml
smtp:
  host: ~=host~
  password: "~two~"
### capitalized yaml | conf/site.yml
Login: ~=user~
Password: "~long~"
### json config | config.json
{"database": {"user": "~=user~", "password": "~any~"}, "port": 5432}
### json capital | appsettings.json
{
  "Mail": {
    "UserName": "~=user~",
    "Password": "~two~"
  }
}
### env root password | .env
MYSQL_ROOT_PASSWORD=~long~
MYSQL_DATABASE=shop
### env joined | production.env
APP_DB_PASSWORD=~joined~
### compose list | docker-compose.yml
services:
  db:
    image: postgres:14
    environment:
      - POSTGRES_USER=~=user~
      - POSTGRES_PASSWORD=~two~
### compose map | docker-compose.override.yml
services:
  db:
    environment:
      MYSQL_PASSWORD: ~keyboard~
### java test | src/test/java/LoginTest.java
class LoginTest {
    private static final String testPassword = "~camel~";
}
### java argument by setter | src/main/java/Pool.java
class Pool {
    void open(Source source) {
        source.setUser("~=user~");
        source.setPassword("~any~");
    }
}
### properties | src/main/resources/application.properties
spring.datasource.username=~=user~
spring.datasource.password=~year~
### ini | setup.ini
[mail]
passwd = ~keyboard~
### python constant | settings.py
DB_HOST = "~=host~"
DB_PASSWORD = "~joined~"
### python dict | app/config.py
DATABASES = {"default": {"USER": "~=user~", "PASSWORD": "~long~"}}
### javascript | src/auth.js
const adminPassword = '~joined~';
### typescript object | src/db.ts
export const options = { host: "~=host~", user: "~=user~", password: "~two~" };
### go struct | internal/store.go
package store

var options = Options{
	Addr:     "~=host~:6379",
	Password: "~any~",
}
### csharp | Data/Context.cs
var settings = new Settings { UserName = "~=user~", Password = "~leet~" };
### xml element | config/web.xml
<datasource>
  <username>~=user~</username>
  <password>~two~</password>
</datasource>
### xml attribute | conf/context.xml
<Resource name="jdbc/shop" username="~=user~" password="~any~" url="jdbc:postgresql://~=host~/shop"/>
### php array | config/database.php
<?php
return ['host' => '~=host~', 'username' => '~=user~', 'password' => '~long~'];
### php define | wp-config.php
<?php
define('DB_USER', '~=user~');
define('DB_PASSWORD', '~year~');
### ruby hash | lib/client.rb
Client.new(host: '~=host~', user: '~=user~', password: '~joined~')
### terraform | main.tf
resource "db_instance" "main" {
  username = "~=user~"
  password = "~two~"
}
### toml | pyproject.local.toml
[upload]
username = "~=user~"
password = "~leet~"
### short in env | .env.production
DB_USER=~=user~
DB_PASSWORD=~short~
### short in yaml | values.yaml
redis:
  password: ~short~
### docker run | run.sh
docker run -d -e MYSQL_USER=~=user~ -e MYSQL_PASSWORD=~short~ mysql:8
### keyword arguments | sync.py
connection = connect(user="~=user~", password="~short~")
### keyword arguments of a host | backup.py
client = ftplib.FTP("~=host~", user="~=user~", passwd="~two~")
### postgres stock word | worker/config.py
DATABASE_URL = "postgres://~=user~:~stock~@~=host~/app"
### mysql stock word | app.env
DATABASE_URL=mysql://~=user~:~stock~@~=host~:3306/shop
### amqp stock word | src/queue.js
const url = 'amqp://~=user~:~stock~@~=host~:5672/';
### redis url | cache.rb
Redis.new(url: "redis://:~two~@~=host~:6379/0")
### mongo url | server.ts
mongoose.connect("mongodb://~=user~:~long~@~=host~/chat");
### sql | sql/users.sql
CREATE USER '~=user~'@'%' IDENTIFIED BY '~two~';
### postgres role | init.sql
ALTER ROLE ~=user~ WITH PASSWORD '~any~';
### kotlin | src/Main.kt
val keystorePassword = "~two~"
### gradle | build.gradle
signingConfigs { release { keyAlias 'upload'
        keyPassword '~long~'
        storePassword '~joined~' } }
### powershell | provision.ps1
$adminPassword = "~leet~"
### mysql client | dump.sh
mysqldump -u ~=user~ -p~strong~ shop > shop.sql
### curl user | fetch.sh
curl -u ~=user~:~any~ https://~=host~/export.csv
"""

HARMLESS = """
### stock word quoted | tests/test_login.py
def test_login(client):
    client.post("/login", data={"username": "admin", "password": "password"})
### placeholder | config.example.yml
password: your_password_here
### angle placeholder | README.md
Set `password: <your password>` in `config.yml`.
### shell variable | docker-compose.yml
services:
  db:
    environment:
      POSTGRES_PASSWORD: ${POSTGRES_PASSWORD}
### default of a variable | docker-compose.dev.yml
services:
  db:
    environment:
      POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:?is required}
### helm template | templates/secret.yaml
data:
  password: {{ .Values.redis.password | b64enc }}
### label | src/Login.tsx
const labels = { username: "Username", password: "Passwort", submit: "Anmelden" };
### prompt | src/cli.py
password = getpass.getpass("Password for the vault: ")
### message | src/errors.ts
export const errors = { password: "must contain a digit", passwordRepeat: "does not match" };
### attribute | app/models.py
self.password = user.password
### call | app/session.go
package app

func open() { password := os.Getenv("DB_PASSWORD"); connect(password) }
### type | api/openapi.yaml
properties:
  password:
    type: string
    format: password
### scalar type | schema.graphql
input Login {
  user: String!
  password: String!
}
### validation rule | app/Requests/Login.php
<?php
return ['email' => 'required|email', 'password' => 'required|min:8|confirmed'];
### identifier of a field | src/form.js
const fields = { user: 'userField', password: 'passwordField' };
### short word in code | src/check.js
if (password === "otter") { reject(); }
### column name | db/schema.sql
CREATE TABLE users (name TEXT, password VARCHAR(64) NOT NULL);
### local url | README.md
DATABASE_URL=postgres://postgres:postgres@localhost:5432/dev
### placeholder host | docs/setup.md
Use `postgres://user:password@host:5432/dbname`.
### example host | tests/test_url.py
URL = "https://user:pass@example.com/path"
### variable in url | src/db.js
const url = `postgres://${user}:${password}@${host}/app`;
### empty | .env.example
DB_PASSWORD=
MYSQL_ROOT_PASSWORD=changeme
### masked | docs/log.txt
login user=anna password=********
### file | compose.yml
services:
  db:
    environment:
      POSTGRES_PASSWORD_FILE: /run/secrets/db_password
### vault path | deploy.yml
password: vault:secret/data/shop#password
### ansible lookup | play.yml
- name: Create the user
  user:
    password: "{{ lookup('vars', 'admin_password') }}"
### secret manager | main.tf
resource "db_instance" "main" {
  password = var.db_password
}
### github secrets | .github/workflows/ci.yml
env:
  DB_PASSWORD: ${{ secrets.DB_PASSWORD }}
### documentation | src/user.py
def login(name, password):
    \"\"\"Sign in.

    password: the password as the user typed it
    \"\"\"
### translation | locale/de.yml
de:
  password: Kennwort
  forgot_password: "Kennwort vergessen?"
### css class | src/login.css
.password-field { color: red; }
### html input | login.html
<label for="password">Password</label><input id="password" type="password" name="password" placeholder="At least eight letters">
### enum | Fields.java
enum Field { USER("user"), PASSWORD("password"); Field(String name) {} }
### flag | main.go
package main

var password = flag.String("password", "", "password of the database")
### argparse | tool.py
parser.add_argument("--password", help="password to connect with", default=None)
### null | settings.json
{"user": "anna", "password": null, "passwordRequired": true, "passwordPolicy": "strict"}
### selector | tests/login.spec.ts
await page.fill('input[name="password"]', process.env.PASSWORD!);
### xpath | tests/login.py
driver.find_element(By.ID, "password").send_keys(password)
### regex | src/strength.js
const password = /^(?=.*[A-Z])(?=.*\\d).{8,}$/;
### hint | app.properties
password.hint=Use letters and digits
password.encoder=bcrypt
"""


def accepted_forms() -> list[Form]:
    """What is to be found under passwords' names, and what isn't."""
    return forms_of("secrets, point 1", ACCEPTED) + forms_of("secrets, point 1", HARMLESS)
