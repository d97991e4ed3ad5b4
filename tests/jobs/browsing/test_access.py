"""Who may ask the server of `codemill browse`."""

from __future__ import annotations

import http.client
import socket
from urllib.parse import parse_qs, urlsplit

import pytest

from jobs.browsing.access import Access

pytest.importorskip("duckdb", reason="the extra browse is not installed")


def ask(address: str, path: str = "/", method: str = "GET", **headers: str) -> tuple[int, dict[str, str], str]:
    """Status, headers and text of the answer; with the cookie unless another is given."""
    parts = urlsplit(address)
    token = parse_qs(parts.query)["token"][0]
    connection = http.client.HTTPConnection("127.0.0.1", parts.port, timeout=60)
    sent = {"Cookie": f"codemill_browse_{parts.port}={token}"} | {
        key.replace("_", "-"): headers[key] for key in headers
    }
    connection.request(method, path, headers=sent)
    answer = connection.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read().decode()
    connection.close()
    return found


def test_the_token_becomes_a_cookie_and_leaves_the_address(address):
    parts = urlsplit(address)
    status, headers, _ = ask(address, f"/?{parts.query}&table=rejected", Cookie="")
    assert status == 303 and headers["Location"] == "/?table=rejected"
    assert "HttpOnly" in headers["Set-Cookie"] and "SameSite=Lax" in headers["Set-Cookie"]
    assert ask(address)[0] == 200


@pytest.mark.parametrize(
    "cookie", ["", "codemill_browse_1=x", "codemill_browse_{port}=wrong", "codemill_browse_{port}="]
)
def test_without_the_token_nothing_is_shown(address, cookie):
    for path in ("/", "/row?table=kept&number=0", "/style.css", "/?token=wrong", "/?token="):
        status, _, text = ask(address, path, Cookie=cookie.format(port=urlsplit(address).port))
        assert status == 403 and "src/file" not in text


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "", "127.0.0.1.nip.io:{port}"]
)
def test_a_name_that_is_bound_to_this_address_is_refused(address, host):
    assert ask(address, Host=host.format(port=urlsplit(address).port))[0] in (400, 421)


def test_other_sites_can_link_here_and_nothing_more(address):
    for mode, dest in (("no-cors", "image"), ("cors", "empty"), ("navigate", "iframe"), ("no-cors", "script")):
        answer = ask(address, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode=mode, Sec_Fetch_Dest=dest)
        assert answer[0] == 403
    link = ask(address, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate", Sec_Fetch_Dest="document")
    assert link[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_can_be_changed(address, method):
    assert ask(address, method=method)[0] == 405


def test_every_answer_forbids_scripts_frames_and_copies(address):
    for path, cookie in (("/", None), ("/nothing", None), ("/", ""), ("/?where=x", None)):
        _, headers, _ = ask(address, path, **({} if cookie is None else {"Cookie": cookie}))
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self';")
        assert headers["X-Frame-Options"] == "DENY" and headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_it_listens_on_the_loopback_address_alone(address):
    port = urlsplit(address).port
    others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), port, socket.AF_INET)}
    for host in others - {"127.0.0.1"} | {"127.0.0.2"}:  # each of which answers where it listens on all addresses
        with socket.socket() as client:
            client.settimeout(5)
            assert client.connect_ex((host, port)) != 0


@pytest.mark.parametrize(
    "path",
    ["/?where=nonsense", "/?table=sqlite_master", "/?start=x", "/?" + "&".join(["where=a=b"] * 30), "/?sort=nothing"],
)
def test_an_address_that_makes_no_sense_is_an_answer_with_one_line(address, path):
    status, _, text = ask(address, path)
    assert status == 400 and 'role="alert"' in text and "Traceback" not in text


def test_a_number_of_thousands_of_digits_is_no_row_number(address):
    status, _, text = ask(address, f"/row?number={'1' * 5000}")
    assert status == 404 and "is no row number" in text


def test_bytes_that_are_no_text_in_the_cookie_are_a_wrong_token(address):
    cookie = f"codemill_browse_{urlsplit(address).port}=\xff\xfe"  # sent as Latin-1
    assert ask(address, Cookie=cookie)[0] == 403


def test_what_is_no_request_leaves_nothing_in_the_terminal(address, server_errors):
    with socket.create_connection(("127.0.0.1", urlsplit(address).port), timeout=60) as client:
        client.sendall(b"GET /?\xff HTTP/1.1\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.") and ask(address)[0] == 200
    assert server_errors.read_text() == ""


def test_each_server_has_a_token_of_its_own():
    assert Access(1).token != Access(1).token and not Access(1).has_token(None) and not Access(1).has_token("")
