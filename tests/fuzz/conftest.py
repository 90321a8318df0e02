"""Let the tests, as the script, import the package ``hostile`` beside them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
