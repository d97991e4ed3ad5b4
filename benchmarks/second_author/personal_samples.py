"""Personal data where it stands in code, data and prose, and what ordinary code has that looks like it."""

from __future__ import annotations

from benchmarks.second_author import Form, forms_of
from benchmarks.second_author.identities import COUNTRIES

EMAIL = """
### python author | setup.py
setup(name="boats", author="~=person~", author_email="~email~")
### comment | main.c
/* Written by ~=person~ <~email~> */
### package author | package.json
{"name": "boats", "author": "~=person~ <~email~>"}
### prose | README.md
Questions? Write to ~email~ or open an issue.
### csv | people.csv
name,mail,town
~=person~,~email~,Gent
### mail link | index.html
<a href="mailto:~email~">Contact</a>
### constant | notify.go
package notify

const recipient = "~email~"
### signed off | change.patch
Signed-off-by: ~=person~ <~email~>
### yaml list | owners.yml
owners:
  - ~email~
### log | app.log
2021-03-04 12:00:01 INFO user ~email~ signed in
### sql | seed.sql
INSERT INTO users VALUES (1, '~email~');
### json lines | people.jsonl
{"id": 7, "contact": "~email~"}
### latex author | paper.tex
\\author{~=person~ \\texttt{~email~}}
### ruby string | user.rb
User.create!(email: '~email~')
### end of a sentence | notes.txt
Ask ~email~.
### pgf macro | shapes.tex
\\makeatletter\\pgf@name \\pgf@x=1pt \\tikz@path.style
### kotlin label | Main.kt
list.forEach loop@{ if (it == 0) return@loop.also { } }
### kotlin label with a dot | Use.kt
return@forEach.let { this@Main.run() }
### scala pattern | Match.scala
case all@Some.Inner(x) => all
case n@model.Node(_, _) => n
### haskell | List.hs
f whole@(x:xs) = g rest@Data.Map.empty
### ruby variable | user.rb
puts "a#{@user.name}"; x=y@z.w rescue nil
### razor | Index.cshtml
<p>total@Model.Total</p> <a href="x@Url.Action">go</a>
### nix | default.nix
args@{ lib, ... }: lib.makeOverridable inputs@self.packages.x86
### decorator | views.py
@app.route("/a")
def a(): return b@c.T
### matrix product | fit.py
y = x@w.T + a@b.inverse
### npm version | install.md
npm install left@1.2.3 boats@latest.next @scope/pkg@2.0.0
### image scale | Assets.swift
let image = "icon@2x.png"; let other = "logo@3x.jpg"
### git remote | clone.sh
git clone git@git.company.org:team/app.git
### swift attribute | View.swift
var x: Int { get }; @State.Value var y = z@w
### assembler | start.s
ldr r0, =table@GOTOFF.lo
call memcpy@plt.sec
### objective-c | a.m
NSArray *a = @[@"x",@"y"]; id b = c@d.e;
### css | a.css
a{color:red}@media.print{b{c:d}}
### vue | a.vue
<button type="button"@click.prevent="go">Go</button>
### perl | a.pl
my ($x,@rest)=f(); print "total: $n@list.join";
### elixir | a.ex
def f(map), do: map@attribute.key
### template | mail.txt
Write to {{user}}@{{domain}}.com or user@example.com.
"""

IP = """
### config | hosts.yml
server: ~ipv4~
### log | access.log
~ipv4~ - - [04/Mar/2021:12:00:01 +0000] "GET / HTTP/1.1" 200 12
### python | net.py
HOST = "~ipv4~"
### url | call.sh
curl http://~ipv4~:8080/health
### comment | fw.go
// allow ~ipv4~ (office)
package fw
### csv | visits.csv
time,ip,page
12:01,~ipv4~,/a
### json | a.json
{"client_ip": "~ipv4~"}
### v6 config | a.conf
listen = ~ipv6~
### v6 quoted | b.js
const peer = "~ipv6~";
### v6 url | c.txt
http://[~ipv6~]:80/
### hosts file | hosts
~ipv4~ build.internal
### ssh | go.sh
ssh root@~ipv4~
### terraform | a.tf
cidr_blocks = ["~ipv4~/32"]
### sql | a.sql
INSERT INTO visits VALUES ('~ipv4~', 3);
### env | .env
DB_HOST=~ipv4~
### private | a.yml
server: 192.168.1.20
gateway: 10.0.0.1
### loopback | b.py
HOST = "127.0.0.1"; ANY = "0.0.0.0"; MASK = "255.255.255.0"
### documentation | c.md
Connect to 192.0.2.44 or 203.0.113.7 or 198.51.100.9.
### version | a.csproj
<Version>4.8.31.2</Version><FileVersion>6.1.7601.17514</FileVersion>
### assembly | AssemblyInfo.cs
[assembly: AssemblyVersion("2.5.14.88")]
### oid | oid.py
OID = "1.3.6.1.4.1.311.21.20"; SHORT = "2.5.4.3"
### section | spec.txt
See section 4.12.7.31 of the specification.
### package version | requirements.txt
boats==3.14.15.92
### chrome | agents.txt
Mozilla/5.0 Chrome/91.0.4472.114 Safari/537.36
### v6 loopback | a.go
package a

var local = []string{"::1", "::", "fe80::1", "2001:db8::7"}
### cpp scopes | a.cpp
int x = ab::cd::ef(); std::a::b();
### times | a.txt
12:30:45:10 00:01:02:03 at 1:2:3
### svg path | a.svg
<path d="M1.2.3.4 5.6.7.8L9.1.2.3"/>
### user agent version | ua.json
{"version": "86.0.4240.198", "build": "10.0.19041.610"}
### dll | a.rc
FILEVERSION 12.0.7601.1
"""

CARD = """
### json | pay.json
{"card_number": "~card~"}
### python | pay.py
card = "~card~"
### spaced | pay.md
Paid with ~cards~ on Monday.
### csv | orders.csv
order,credit_card,total
7,~card~,9.99
### sql | orders.sql
INSERT INTO payments (card_no, cvv) VALUES ('~card~', 123);
### yaml | a.yml
creditCard: "~cards~"
### java | Pay.java
class Pay { String number = "~card~"; }
### go | pay.go
package pay

var CardNumber = "~card~"
### ruby | pay.rb
Card.new(number: '~card~', cvc: '123')
### log | pay.log
2021-03-04 charge card=~card~ ok
### json lines | pay.jsonl
{"pan": "~card~", "amount": 3}
### spaced quoted | pay.ts
const card = '~cards~';
### xml | pay.xml
<CardNumber>~card~</CardNumber>
### bare column | cards.csv
id,number
1,~card~
2,~card~
### prose | mail.txt
My card is ~card~, valid until 04/27.
### kicad wires | board.sch
Wire Wire Line
	~=luhn4~
Wire Wire Line
	~=luhn4~
### kicad points | b.kicad_sch
(wire (pts (xy ~=four~ ~=four~) (xy ~=four~ ~=four~)))
### svg path | a.svg
<path d="M ~=luhn4~ L ~=luhn4~ Z"/>
### matrix | m.txt
~=luhn4~
~=luhn4~
~=luhn4~
### points of a polygon | a.html
<polygon points="~=luhn4~"/>
### snowflake | ids.json
{"id": ~=luhn16~, "guild_id": "~=luhn16~"}
### time in microseconds | t.json
{"ts": 1609459200123456, "end": 1609459260123452}
### float | f.py
X = 0.4539123456789012; Y = 1.5214123456789013e-7
### hash part | h.txt
sha1 a4539578763621486bcd4716258050958645ef01
### hexadecimal | a.c
uint64_t k = 0x4539578763621486ULL;
### test numbers | test_cards.py
VISA = "4242424242424242"; OTHER = "4111111111111111"
### long digits | n.py
P = 45395787636214864716258050958645453957876362148647162580509586
### uuid | u.txt
45395787-6362-4486-8716-258050958645
### gcode | a.gcode
G1 X4539 Y5787 E6362 F1486
### years | y.csv
from,to,a,b
1998,2001,2004,2007
### data table | lut.c
static const int t[] = { 4539, 5787, 6362, 1486, 4716, 2580, 5095, 8645 };
### sequence of ids | a.sql
SELECT * FROM t WHERE a IN (4539578763621486);
"""

NAMES = """
### javadoc | A.java
/**
 * A list.
 * @author ~person~
 */
class A {}
### copyright | a.py
# Copyright (c) 2019 ~person~
# All rights reserved.
### copyright sign | a.c
/* Copyright © 2015-2018, ~person~. */
int x;
### created by | A.swift
//  Created by ~person~ on 3/4/19.
import UIKit
### author dunder | b.py
__author__ = "~person~"
### signed off | a.patch
Signed-off-by: ~person~ <someone@users.noreply.company.com>
### written by | a.el
;; Written by ~person~
### author colon | a.R
# Author: ~person~
### maintainer | Dockerfile
LABEL maintainer="~person~"
### german | a.pas
// Autor: ~person~
### french | a.f90
! Auteur : ~person~
### spanish | a.m
% Autor: ~person~
### package author | package.json
{"name": "x", "author": "~person~"}
### gemspec | x.gemspec
Gem::Specification.new { |s| s.authors = ["~person~"] }
### thanks | CHANGES.md
- Faster start (thanks to ~person~)
### firm | a.go
// Copyright 2019 Acme Software Inc.
package a
### authors | b.go
// Copyright 2015 The Boats Authors. All rights reserved.
package b
### template | A.java
/**
 * @author ${user}
 */
class A {}
### tool | c.py
# Created by the release script on Monday
### automatic | d.ts
// Author: automatically generated
### foundation | e.c
/* Copyright (C) 2001 Free Software Foundation, Inc. */
int x;
### variable | f.py
author = request.user
author_name = Author.objects.first()
### classes | G.java
class Point Extends { Green Light = New Value; }
### headings | h.md
## Getting Started
#### Quick Start
Author Guide
### button | i.tsx
<Button title="Save Changes" author={Author Name} />
### project | j.rs
// Copyright the Tokio Contributors
### university | k.c
/* Copyright (c) 1990 Regents of the University of California. */
int x;
### by function | l.py
# sorted by Value Then Key, written by Writer.write
### title case | m.js
const label = "Created By Default User";
### company ltd | n.cs
// Copyright (c) 2020 Contoso Ltd. All rights reserved.
"""

OTHER = """
### birth json | a.json
{"date_of_birth": "~birth~"}
### birth csv | a.csv
name,dob,town
Kay,~birth~,Bath
### birth german | b.yml
geburtsdatum: ~birth~
### passport json | b.json
{"passport_number": "~passport~"}
### passport prose | b.txt
Passport no. ~passport~
### passport german | c.py
reisepass_nr = "~passport~"
### coordinates json | d.json
{"home": {"lat": ~lat~, "lng": ~lon~}}
### coordinates python | d.py
home_latitude, home_longitude = ~lat~, ~lon~
### coordinates pair | d.txt
Meet at ~lat~, ~lon~ please.
### mac json | e.json
{"mac_address": "~mac~"}
### mac log | e.log
lease for ~mac~ given
### mac config | e.conf
hwaddr=~mac~
### release date | CHANGES.md
## 2.1.0 - 2019-03-04
### date constant | f.py
START = "1975-04-12"; EPOCH = "1970-01-01"
### empty macs | g.c
const char *a = "00:00:00:00:00:00", *b = "ff:ff:ff:ff:ff:ff";
### fingerprint | g.txt
SHA1 Fingerprint=A4:3C:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:12:34
### matrix of floats | h.py
M = [[48.137154, 11.576124], [0.5, 0.25]]
### vertices | h.obj
v 48.137154 11.576124 0.000000
### transform | h.svg
<g transform="matrix(48.137154,11.576124,0,1,0,0)"/>
### passport library | i.js
const passport = require('passport'); passport.use('local1234567', s);
### street names in code | i.py
street = address.street; Street = "Main"
### hex bytes | j.txt
00-11-22-33 44:55:66
### dob column type | k.sql
CREATE TABLE p (dob DATE, passport_number VARCHAR(9));
### latitude bounds | l.js
const MAX_LAT = 85.051129; const bounds = [-180, -85.051129, 180, 85.051129];
"""

_PHONE_WORDS = {"DE": "Telefon", "FR": "Tél.", "ES": "Teléfono", "IT": "Telefono", "NL": "Telefoonnummer",
                "GB": "Phone", "US": "Phone", "BR": "Telefone", "JP": "電話", "KR": "전화",
                "IN": "Mobile", "PL": "Telefon"}  # fmt: skip
_ID_WORDS = {"DE": "Steuer-ID", "FR": "numéro de sécurité sociale", "ES": "DNI", "IT": "codice fiscale", "NL": "BSN",
             "GB": "National Insurance number", "US": "SSN", "BR": "CPF", "JP": "マイナンバー", "KR": "주민등록번호",
             "IN": "Aadhaar", "PL": "PESEL"}  # fmt: skip
_NUMBERS = """
### versions | a.txt
boats 20.04.1 2021.03.12 v030.1234567 build 0171
### timestamps | a.json
{"t": 1609459200, "u": 16094592001, "d": "20210304120001"}
### part numbers | a.csv
part,stock
030-1234567,4
06-62341234,9
### isbn | a.md
ISBN 978-3-16-148410-0, ISSN 2049-3630
### fsf address | COPYING.h
/* 51 Franklin Street, Fifth Floor, Boston, MA 02110-1301, USA. */
### unicode | names.txt
0399 0308 0301 ; 03B9 0308 0301
### ranges | a.py
for i in range(100000000, 999999999): pass
A = [601234123, 512456126, 912345678]
### hex dump | b.txt
0040 4521 0012 3411 0161 4960 1234 0207
### svg numbers | a.svg
<path d="M601 234 456 L512 345 678 01 43 36 75 50"/>
### kicad | b.sch
Text Label 6012 3345 0 60 ~ 0
$Sheet S 4150 6801 1234 9600
### order ids | c.json
{"order": "20345678901", "sku": "123456789", "ref": "12345678Z9"}
### constants | d.c
#define BAUD 115200
#define CLOCK 16000000
static const long big = 123456789012L;
### bench table | e.md
| 100 000 | 250 000 | 06 12 | 01 22 33 44 55 66 |
### uuids | f.txt
6ba7b810-9dad-11d1-80b4-00c04fd430c8
### checksums | g.txt
5d41402abc4b2a76b9719d911017c592  87654321 12345678
### error codes | h.go
package h

const E = 010123456; var codes = []int{2103456781, 5839603062}
### dates | i.txt
12-03-2021 2021/03/12 10:20:30 03-04-2021
### serials | j.yml
serial: 77040916855123
firmware: 531210-13041
### bank words | k.txt
GB12 register; DE10-Nano; FR4 board; IT8712F; NL80211 driver; ES2015 and ES6; PL011 uart
### account names | l.py
ACCOUNT = "ES2020MODULES"; NAME = "NL80211_CMD_GET_WIPHY1"
"""


def _phones() -> list[Form]:
    forms = []
    for country in COUNTRIES:
        place = f"~tel{country}~"
        for name, path, text in (
            ("prose", "contact.md", f"{_PHONE_WORDS[country]}: {place}\n"),
            ("suffixed", "people.json", f'{{"phone_home": "{place}"}}\n'),
            ("column", "people.csv", f"name,phone,town\nKay,{place},Bath\n"),
            ("international", "about.py", f'OFFICE = "~int{country}~"\n'),
            ("alone", "data.yml", f'kay: "{place}"\n'),
        ):
            forms.append(Form("phone", f"{country} {name}", path, text))
    return forms


def _ids() -> list[Form]:
    forms = []
    for country in COUNTRIES:
        place = f"~id{country}~"
        for name, path, text in (
            ("prose", "form.md", f"{_ID_WORDS[country]}: {place}\n"),
            ("generic", "people.json", f'{{"national_id": "{place}"}}\n'),
            ("column", "people.csv", f"name,tax_id,town\nKay,{place},Bath\n"),
            ("argument", "seed.py", f'Person(name="Kay", id_number="{place}")\n'),
        ):
            forms.append(Form("national id", f"{country} {name}", path, text))
    return forms


def _accounts() -> list[Form]:
    forms = []
    for country in ["DE", "FR", "ES", "IT", "NL", "GB", "BR", "PL"]:
        place = f"~iban{country}~"
        for name, path, text in (
            ("json", "pay.json", f'{{"iban": "{place}"}}\n'),
            ("prose", "invoice.txt", f"Please pay to {place} by Monday.\n"),
            ("bare", "pay.py", f'ACCOUNT = "{place}"\n'),
        ):
            forms.append(Form("iban", f"{country} {name}", path, text))
    return forms


def _addresses() -> list[Form]:
    forms = []
    for country in COUNTRIES:
        place = f"~home{country}~"
        for name, path, text in (
            ("json", "people.json", f'{{"address": "{place}"}}\n'),
            ("prose", "visit.md", f"Visit us: {place}\n"),
        ):
            forms.append(Form("other personal", f"{country} address {name}", path, text))
    return forms


def personal_forms() -> list[Form]:
    """All forms of personal data; ordinary numbers stand with each kind of number."""
    numbers = [form for kind in ("phone", "national id", "iban") for form in forms_of(kind, _NUMBERS)]
    listed = (("e-mail", EMAIL), ("IP address", IP), ("card", CARD), ("name", NAMES), ("other personal", OTHER))
    return [
        *(form for kind, text in listed for form in forms_of(kind, text)),
        *_phones(), *_ids(), *_accounts(), *_addresses(), *numbers,
    ]  # fmt: skip
