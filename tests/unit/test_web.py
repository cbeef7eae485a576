import gzip
import ipaddress
import socket
import threading
import time
import tracemalloc
import zlib
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from howdah.retrieval.errors import InvalidInput, LoadError
from howdah.retrieval.loaders import WebLoader, addresses
from howdah.retrieval.loaders.file import read
from howdah.retrieval.loaders.web import Web, fetch, is_url

PAGE = b"<!doctype html><html><head><title>Terms</title></head><body><h1>Terms</h1><p>Two years of warranty.</p></body></html>"


class Site:
    """What the server answers: a path's (status, headers, body); a list of them is gone through, its last one stays."""

    def __init__(self):
        self.answers, self.asked = {}, []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                site.asked.append((self.path, dict(self.headers)))
                answer = site.answers.get(self.path, (404, {}, b"nothing"))
                if isinstance(answer, list):
                    answer = answer.pop(0) if len(answer) > 1 else answer[0]
                if callable(answer):
                    answer(self)
                    return
                status, headers, body = answer
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def paths(self):
        return [path for path, _ in self.asked]


@pytest.fixture
def site():
    site = Site()
    yield site
    site.server.shutdown()
    site.server.server_close()
    site.thread.join()


@pytest.fixture
def slept():
    return []


@pytest.fixture
def web(slept):
    return Web(allow_private=True, seconds=5, megabytes=1, sleep=slept.append)


def html(body=PAGE, **headers):
    return 200, {"Content-Type": "text/html", **headers}, body


def refused(web, url):
    with pytest.raises(LoadError) as caught:
        web.fetch(url)
    return str(caught.value)


def test_a_page_is_read_like_a_file_and_says_where_it_came_from(site, web):
    site.answers["/a/terms"] = html(ETag='"1"', **{"Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"})
    page = web.fetch(f"{site.url}/a/terms#warranty")
    found = read(page.file)
    assert (found.title, found.media_type) == ("Terms", "text/html")
    assert "Two years of warranty." in found.text
    assert page.file.source == f"{site.url}/a/terms"
    assert (page.metadata["etag"], page.metadata["last_modified"]) == ('"1"', "Mon, 01 Jan 2024 00:00:00 GMT")
    agent = dict(site.asked)["/a/terms"]["User-Agent"]
    assert agent.startswith("howdah/")
    assert dict(site.asked)["/a/terms"]["Host"] == site.url.removeprefix("http://")


def test_what_it_is_follows_from_what_it_holds(site, web):
    site.answers["/guide"] = (200, {"Content-Type": "text/markdown; charset=utf-8"}, "# Führer\n\nText".encode())
    site.answers["/"] = (200, {"Content-Type": "text/plain"}, b"words")
    site.answers["/x.pdf"] = html()
    assert [(h.level, h.title) for h in read(web.fetch(f"{site.url}/guide").file).headings] == [(1, "Führer")]
    assert read(web.fetch(site.url).file).title == "127.0.0.1"
    assert read(web.fetch(f"{site.url}/x.pdf").file).media_type == "text/html"


@pytest.mark.parametrize(
    ("content_type", "body", "text"),
    [
        ("text/plain; charset=windows-1251", "Привет, мир".encode("cp1251"), "Привет, мир"),
        ("text/plain; charset=iso-8859-1", "„Grüße“ €".encode("cp1252"), "„Grüße“ €"),
        ("text/plain; charset=iso-8859-1", "Grüße 日本".encode(), "Grüße 日本"),
        ("text/plain; charset=us-ascii", "Grüße".encode("utf-16"), "Grüße"),
        ('text/plain; charset="no-such"', "Grüße".encode(), "Grüße"),
        ("text/plain; charset=utf-8", "Die schöne Frau hätte Geld.".encode("cp1252"), "Die schöne Frau hätte Geld."),
    ],
)  # fmt: skip
def test_a_wrong_charset_gives_way_to_the_bytes(site, web, content_type, body, text):
    site.answers["/t"] = (200, {"Content-Type": content_type}, body)
    assert read(web.fetch(f"{site.url}/t").file).text == text


def test_a_pdf_that_is_called_text_stays_as_it_is(site, web):
    body = b"%PDF-1.4\n\xe2\xe3\xcf\xd3\n"
    site.answers["/t"] = (200, {"Content-Type": "text/plain; charset=latin-1"}, body)
    assert web.fetch(f"{site.url}/t").file.data == body


def test_packed_pages_are_unpacked_and_bombs_are_not(site, web):
    site.answers["/z"] = html(gzip.compress(PAGE), **{"Content-Encoding": "gzip"})
    site.answers["/d"] = html(zlib.compress(PAGE), **{"Content-Encoding": "deflate"})
    site.answers["/bomb"] = html(gzip.compress(bytes(300_000_000), 9), **{"Content-Encoding": "gzip"})
    site.answers["/br"] = html(b"x", **{"Content-Encoding": "br"})
    site.answers["/cut"] = html(gzip.compress(PAGE)[:-20], **{"Content-Encoding": "gzip"})
    assert web.fetch(f"{site.url}/z").file.data == web.fetch(f"{site.url}/d").file.data == PAGE
    tracemalloc.start()
    assert "is larger than 1 MB; " in refused(web, f"{site.url}/bomb")
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()
    assert "came packed as 'br'; " in refused(web, f"{site.url}/br")
    assert "came damaged on the way; " in refused(web, f"{site.url}/cut")


def endless(handler):
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b"x" * 65_536)
    except OSError:
        pass


def drip(handler):
    try:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        while True:
            handler.wfile.write(b"y")
            time.sleep(0.1)
    except OSError:
        pass


def test_an_endless_page_and_a_large_one_are_cut_off(site, web):
    site.answers["/endless"] = endless
    site.answers["/large"] = (200, {"Content-Length": "2000000"}, b"")
    assert "is larger than 1 MB; " in refused(web, f"{site.url}/endless")
    assert "is larger than 1 MB; " in refused(web, f"{site.url}/large")


def test_a_page_that_comes_byte_by_byte_is_cut_off_in_time(site):
    site.answers["/drip"] = drip
    began = time.monotonic()
    reason = refused(Web(allow_private=True, seconds=0.5), f"{site.url}/drip")
    assert "its site did not answer in full within 0.5 s; " in reason
    assert time.monotonic() - began < 3


def test_redirects_are_followed_a_few_times(site, web):
    site.answers["/old"] = (301, {"Location": "/new#part"}, b"")
    site.answers["/new"] = html()
    site.answers["/loop"] = (302, {"Location": "loop"}, b"")
    site.answers["/file"] = (302, {"Location": "file:///etc/passwd"}, b"")
    site.answers["/user"] = (302, {"Location": site.url.replace("//", "//me:secret@")}, b"")
    page = web.fetch(f"{site.url}/old")
    assert (page.file.source, page.url) == (f"{site.url}/old", f"{site.url}/new")
    assert "redirects more than 5 times; " in refused(web, f"{site.url}/loop")
    assert site.paths().count("/loop") == 6
    assert "leads to 'file:/etc/passwd', which is no http or https address" in refused(web, f"{site.url}/file")
    assert "secret" not in refused(web, f"{site.url}/user")


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "0177.1", "127.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"],
)
def test_this_machine_is_refused_however_it_is_written(site, host):
    site.answers["/"] = html()
    reason = refused(Web(), f"http://{host}:{site.server.server_port}/")
    assert "which is not a public address; " in reason
    assert site.asked == []


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True), ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True), ("1.1.1.1", True),
        ("10.0.0.1", False), ("172.16.3.4", False), ("192.168.1.1", False), ("169.254.169.254", False),
        ("100.64.0.1", False), ("0.0.0.0", False), ("255.255.255.255", False), ("224.0.0.1", False), ("240.0.0.1", False),
        ("192.0.2.1", False), ("198.18.0.1", False), ("fe80::1", False), ("fc00::1", False), ("ff02::1", False), ("::", False),
        ("fec0::1", False), ("2002:7f00:1::", False), ("2001:0:4136:e378:8000:63bf:3fff:fdd2", False),
        ("64:ff9b::7f00:1", False), ("64:ff9b::5db8:d70e", True), ("64:ff9b:1::1", False), ("::ffff:10.0.0.1", False),
        ("::ffff:93.184.215.14", True), ("::127.0.0.1", False),
    ],
)  # fmt: skip
def test_which_addresses_are_public(address, public):
    assert addresses.is_public(ipaddress.ip_address(address)) is public


def test_a_redirect_into_the_private_network_is_refused(site, monkeypatch):
    monkeypatch.setattr(addresses, "is_public", lambda address: str(address) == "127.0.0.1")
    site.answers["/"] = (302, {"Location": f"http://127.0.0.2:{site.server.server_port}/secret"}, b"")
    assert "leads to 127.0.0.2, which is not a public address" in refused(Web(robots=False), site.url)
    assert site.paths() == ["/"]


def test_a_name_is_resolved_once_and_what_was_checked_is_connected_to(site, monkeypatch):
    """A name server that gives a public address to the check and a private one to the connection gains nothing."""
    asked = []
    real = socket.getaddrinfo

    def rebinding(host, port, *args, **options):
        if host == "rebind.test":
            asked.append(host)
            return real("127.0.0.1" if len(asked) == 1 else "127.0.0.2", port, *args, **options)
        return real(host, port, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    monkeypatch.setattr(addresses, "is_public", lambda address: str(address) == "127.0.0.1")
    site.answers["/"] = html()
    page = Web(robots=False).fetch(f"http://rebind.test:{site.server.server_port}/")
    assert page.file.data == PAGE
    assert len(asked) == 1
    assert site.asked[0][1]["Host"] == f"rebind.test:{site.server.server_port}"


def test_robots_txt_is_kept_to(site, web, slept):
    site.answers["/robots.txt"] = (
        200, {}, b"User-agent: *\nDisallow: /\n\nUser-agent: howdah\nDisallow: /private\nDisallow: /*.cgi$\nCrawl-delay: 7\n",
    )  # fmt: skip
    site.answers["/public"] = html()
    site.answers["/hop"] = (302, {"Location": "/private/x"}, b"")
    web.fetch(f"{site.url}/public")
    web.fetch(f"{site.url}/public")
    assert slept == [pytest.approx(7, abs=0.5)]
    for path in ("/private/x", "/run.cgi", "/hop"):
        assert f"{site.url}/robots.txt does not allow programs to read it; " in refused(web, site.url + path)
    assert site.paths() == ["/robots.txt", "/public", "/public", "/hop"]
    anyway = Web(allow_private=True, robots=False)
    assert "404 Not Found" in refused(anyway, f"{site.url}/private/x")


def test_a_site_that_cannot_give_its_robots_txt_is_not_read(site, web):
    site.answers["/robots.txt"] = (503, {}, b"")
    site.answers["/"] = html()
    reason = refused(web, f"{site.url}/")
    assert reason.startswith(
        f"{site.url}/: {site.url}/robots.txt answered 503, and before it is read nothing else may be; "
    )
    assert "/" not in site.paths()
    site.answers["/robots.txt"] = (403, {}, b"")
    assert web.fetch(f"{site.url}/").file.data == PAGE


def test_what_passes_is_tried_again_when_the_site_says(site, web, slept):
    soon = formatdate(time.time() + 20, usegmt=True)
    site.answers["/busy"] = [
        (429, {"Retry-After": "3"}, b""),
        (503, {"Retry-After": soon}, b""),
        (500, {}, b""),
        html(),
    ]
    assert web.fetch(f"{site.url}/busy").file.data == PAGE
    assert slept == [3, pytest.approx(20, abs=2), 4]
    site.answers["/down"] = (502, {}, b"")
    assert "its site answered 502 Bad Gateway; " in refused(web, f"{site.url}/down")
    assert site.paths().count("/down") == 4
    site.answers["/later"] = (429, {"Retry-After": "86400"}, b"")
    assert "its site asks to come back in 86,400 s; " in refused(web, f"{site.url}/later")


def test_a_connection_that_breaks_is_tried_again(site, web, slept):
    def broken(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")

    site.answers["/"] = [broken, html()]
    assert web.fetch(f"{site.url}/").file.data == PAGE
    assert slept == [1]


def test_what_cannot_be_had_is_one_sentence(site, web):
    site.answers["/empty"] = html(b"")
    site.answers["/login"] = (401, {}, b"")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    assert "404 Not Found; check the address, or load it again later" in refused(web, f"{site.url}/none")
    assert "401 Unauthorized; save it from a browser that is logged in" in refused(web, f"{site.url}/login")
    assert refused(web, f"{site.url}/empty").endswith(": is empty (0 bytes)")
    assert "cannot be fetched: " in refused(web, f"http://127.0.0.1:{port}/")
    assert "cannot be fetched: " in refused(web, "http://no-such-host.invalid/")
    assert "cannot be fetched: " in refused(web, f"http://{'a' * 70}.example/")
    assert "is no web address: " in refused(web, "http://[::1/")
    assert "which is no http or https address" in refused(web, "ftp://example.org/a")
    assert "holds a user name" in refused(web, "https://me:secret@example.org/")
    assert "secret" not in refused(web, "https://me:secret@example.org/")


def test_offline_fetches_nothing(site):
    site.answers["/"] = html()
    web = Web(allow_private=True, offline=True)
    assert refused(web, site.url) == f"{site.url}: is on the web, and this run is offline; give a saved copy of it"
    assert site.asked == []


def test_a_certificate_that_is_not_trusted_is_refused(site, web):
    assert "cannot be fetched: " in refused(web, site.url.replace("http:", "https:"))


def test_langchain_documents_come_one_a_page_and_failures_are_told(site, web):
    site.answers["/a"] = html()
    failures = []
    loader = WebLoader(f"{site.url}/none", f"{site.url}/a", web=web, on_error=failures.append)
    [document] = loader.load()
    assert document.metadata["source"] == f"{site.url}/a"
    assert (document.metadata["title"], document.metadata["media_type"]) == ("Terms", "text/html")
    assert [error.source for error in failures] == [f"{site.url}/none"]
    with pytest.raises(LoadError):
        WebLoader(f"{site.url}/none", web=web).load()


def test_a_page_alone_is_a_file_for_read(site, web):
    site.answers["/a"] = html()
    assert fetch(f"{site.url}/a", web=web).source == f"{site.url}/a"
    with pytest.raises(LoadError, match="not a public address"):
        fetch(f"{site.url}/a")


def test_addresses_are_told_from_paths():
    assert [is_url(given) for given in ("https://a.b", "HTTP://a", "http:/a", "./https://a", "a.md", None)] == [
        True, True, False, False, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize("wrong", [{"seconds": 0}, {"megabytes": 0}, {"attempts": 0}])
def test_limits_must_be_positive(wrong):
    with pytest.raises(InvalidInput, match="must be positive, got "):
        Web(**wrong)


def test_the_proxies_of_the_environment_are_not_used(site, web, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    site.answers["/"] = html()
    assert web.fetch(f"{site.url}/").file.data == PAGE
