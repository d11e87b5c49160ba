"""Prints a command that the README names: the code block after the comment `<!-- NAME -->`."""

import re
import sys
from pathlib import Path

page, name = sys.argv[1:]
text = Path(page).read_text(encoding="utf-8")
block = re.search(rf"<!-- {re.escape(name)} -->\s*```sh\n(.*?)```", text, re.DOTALL)
if block is None:
    sys.exit(f"{page} has no command marked <!-- {name} -->")
sys.stdout.write(block[1])
