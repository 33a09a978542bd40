"""Has the tests of this suite find its kernels."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
