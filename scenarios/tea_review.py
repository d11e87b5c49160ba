"""The Tea Review, a small website that the scenario `web_research` serves and scrapes."""

from __future__ import annotations

import html
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from typing_extensions import override

from ..agents.runtime.ports import LOOPBACK

ARTICLES = Path(__file__).with_name("pages")
LINKS_A_PAGE = 3

ROBOTS = """\
User-agent: *
Disallow: /subscribers/
"""

PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title} | The Tea Review</title>
<meta name="author" content="{author}">
<meta property="article:published_time" content="{date}T06:00:00Z">
<script>window.visits = (window.visits || 0) + 1;</script>
<style>body {{ font-family: serif }} aside {{ float: right }}</style>
</head>
<body>
<header><a href="/">The Tea Review</a><p>News from the hills, every Wednesday</p></header>
<nav><a href="/">Home</a> <a href="/about">About us</a>
<a href="/subscribers/archive">Archive</a></nav>
<main>
<article>
<h1>{title}</h1>
<p class="byline">By {author}, <time datetime="{date}">{date}</time></p>
{paragraphs}
</article>
</main>
<aside><h2>Read next</h2><ul>{related}</ul>
<p>Subscribe now, and get the first month for nothing!</p></aside>
<footer><p>&copy; The Tea Review. All rights reserved. <a href="/imprint">Imprint</a></p></footer>
</body>
</html>
"""


@dataclass(frozen=True, slots=True)
class Article:
    """An article of the website.

    Args:
        slug: its name in the URL of its page.
        title: its title.
        author: its author.
        date: its date of publication, as YYYY-MM-DD.
        paragraphs: its text.
    """

    slug: str
    title: str
    author: str
    date: str
    paragraphs: tuple[str, ...]


def read_articles() -> list[Article]:
    """The articles of the website, the newest first."""
    articles = [_read(path) for path in ARTICLES.glob("*.txt")]
    return sorted(articles, key=lambda article: article.date, reverse=True)


def _read(path: Path) -> Article:
    head, _, text = path.read_text(encoding="utf-8").partition("\n\n")
    title, author, date = head.splitlines()
    return Article(path.stem, title, author, date, tuple(text.strip().split("\n\n")))


def render(article: Article, others: list[Article]) -> str:
    """The page of an article, with the header, navigation and footer of a real one."""
    related = "".join(
        f'<li><a href="/{other.slug}">{html.escape(other.title)}</a></li>' for other in others
    )
    paragraphs = "\n".join(f"<p>{html.escape(each)}</p>" for each in article.paragraphs)
    return PAGE.format(
        title=html.escape(article.title),
        author=html.escape(article.author),
        date=article.date,
        paragraphs=paragraphs,
        related=related,
    )


class TeaReview:
    """The website; a context manager that serves it on a free loopback port."""

    def __init__(self) -> None:
        self.articles = read_articles()
        self._pages = {"/robots.txt": ("text/plain", ROBOTS)}
        for number, article in enumerate(self.articles):
            around = [*self.articles[number + 1 :], *self.articles[:number]][:LINKS_A_PAGE]
            self._pages[f"/{article.slug}"] = ("text/html", render(article, around))
        self._server: ThreadingHTTPServer | None = None

    def __enter__(self) -> TeaReview:
        pages = self._pages

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path not in pages:
                    self.send_error(404)
                    return
                kind, text = pages[self.path]
                body = text.encode("utf-8")
                self.send_response(200)
                self.send_header("Content-Type", f"{kind}; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            @override
            def log_message(self, format: str, *args: object) -> None:
                """Log nothing: the scenario reports what happens."""

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Answer)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *reason: object) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def address_of(self, article: Article) -> str:
        """The URL of an article's page, while the website is served."""
        assert self._server is not None, "the website is only served within its `with` block"
        return f"http://{LOOPBACK}:{self._server.server_port}/{article.slug}"
