"""Scraping and summarizing with SuperAGI's tools, which run in their own environment."""
