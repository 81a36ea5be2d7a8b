"""What needs a file that is neither ours to give nor on every machine is left uncollected."""

import os

collect_ignore = [] if "MIEN_YUNET" in os.environ else ["test_yunet_file.py"]
