"""Language models as workers, behind any address that is compatible with OpenAI's."""
