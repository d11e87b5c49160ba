"""Stand-in for SuperAGI's module of this name; see README.md."""

from superagi.helper.webpage_extractor import WebpageExtractor


class WebScraperTool:
    def execute(self, tool_input):
        print("SuperAGI prints as it pleases")
        content = WebpageExtractor().extract_with_bs4(tool_input["website_url"])
        return " ".join(content.split(" ")[:600])
