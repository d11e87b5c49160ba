"""Stand-in for SuperAGI's module of this name; see README.md."""


class SearxSearchTool:
    max_token_limit = 600

    def __init__(self, llm):
        self.llm = llm

    def summarise_result(self, query, snippets):
        if "die at once" in query or "die at once" in str(snippets):
            raise SystemExit("the stand-in dies, as it was told")
        prompt = f"Summarize the following text `{snippets}` to answer the query: `{query}`"
        messages = [{"role": "system", "content": prompt}]
        result = self.llm.chat_completion(messages, max_tokens=self.max_token_limit)
        return result["content"]
