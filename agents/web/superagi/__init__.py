"""Scraping and summarizing by SuperAGI's tools, in an environment of their own."""
