"""The process of one participant: ``python -m scalespan.bridges.run.coupled ORDER``."""

import logging
import os
import sys
from pathlib import Path

from .order import Order
from .participant import main

if __name__ == "__main__":
    logging.basicConfig(format="%(asctime)s  %(levelname)-7s  %(name)s: %(message)s")  # into log.txt, as all else
    logging.getLogger("scalespan").setLevel(logging.INFO)
    logging.captureWarnings(True)
    status = main(Order.read(Path(sys.argv[1])))
    sys.stdout.flush()
    sys.stderr.flush()
    if status:
        os._exit(status)
