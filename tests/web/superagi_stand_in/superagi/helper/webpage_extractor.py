"""Stand-in for SuperAGI's module of this name; see README.md."""

import re
from html.parser import HTMLParser

import requests


class WebpageExtractor:
    def extract_with_bs4(self, url):
        try:
            response = requests.get(url, headers={"User-Agent": "stand-in"}, timeout=10)
        except Exception:  # noqa: BLE001 - as SuperAGI does
            return ""
        if response.status_code == 404:
            return "Error: 404. The stand-in says so too."
        collector = _Paragraphs()
        collector.feed(response.text)
        return re.sub(r"\s+", " ", " ".join(collector.found)).strip()


class _Paragraphs(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []
        self.inside = False

    def handle_starttag(self, tag, attrs):
        if tag in {"p", "h1", "h2"}:
            self.inside = True

    def handle_endtag(self, tag):
        if tag in {"p", "h1", "h2"}:
            self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.found.append(data.strip())
