"""Two small MCP servers for the scenario `tool_workers`: one has tea, the other books sales.

`python -m muster.scenarios.tea_tools stock` knows how much tea there is, and weighs it out;
`… ledger` quotes prices and books sales.
"""

# The SDK reads annotations as they are, so they must not be texts.
import sys

STOCK_GRAMS = {"silver tips": 400, "first flush": 900}
CENTS_PER_GRAM = {"silver tips": 90, "first flush": 12}


def serve_stock() -> None:
    """Serve the stock over stdin and stdout."""
    from mcp.server.fastmcp import FastMCP  # noqa: PLC0415 - an extra

    server, left = FastMCP("stock", log_level="ERROR"), dict(STOCK_GRAMS)

    def find(tea: str) -> int:
        """How many grams of a tea there are."""
        if tea not in left:
            raise ValueError(f"there is no tea {tea!r}; there are {', '.join(sorted(left))}")
        return left[tea]

    def weigh_out(tea: str, grams: int) -> int:
        """Weigh out some tea; gives how many grams are left."""
        if grams > find(tea):
            raise ValueError(f"only {left[tea]} g of {tea} are left")
        left[tea] -= grams
        return left[tea]

    server.add_tool(find)
    server.add_tool(weigh_out)
    server.run()


def serve_ledger() -> None:
    """Serve the ledger over stdin and stdout."""
    from mcp.server.fastmcp import FastMCP  # noqa: PLC0415 - an extra

    server = FastMCP("ledger", log_level="ERROR")
    sales: list[str] = []

    def quote(tea: str, grams: int) -> int:
        """What some grams of a tea cost, in cents."""
        return grams * CENTS_PER_GRAM[tea]

    def book(customer: str, cents: int) -> int:
        """Book a sale; gives its number."""
        sales.append(f"{customer}: {cents}")
        return len(sales)

    server.add_tool(quote)
    server.add_tool(book)
    server.run()


if __name__ == "__main__":
    {"stock": serve_stock, "ledger": serve_ledger}[sys.argv[1]]()
