#!/bin/sh
# Makes /scalespan/python, run inside the Debian of apt.txt: Debian's Python, DOLFINx and MPI, and from PyPI what pyproject.toml asks for.
# A package that Debian already brings in a sufficient version (NumPy, SciPy) stays Debian's: DOLFINx and petsc4py were compiled against it.
set -eu
lists=$(dirname "$0")

/usr/bin/python3 -m venv --system-site-packages /scalespan/python
/usr/bin/python3 "$lists/requirements.py" "$lists/../pyproject.toml" >/tmp/scalespan-requirements.$$
trap 'rm -f /tmp/scalespan-requirements.$$' EXIT
/scalespan/python/bin/pip install --progress-bar off --requirement /tmp/scalespan-requirements.$$

# scalespan itself comes from the checkout that is entered: `enter` installs each into a folder of its own.
echo 'import os, site; site.addsitedir(os.environ.get("SCALESPAN_SITE", "/scalespan/site"))' \
    >"$(/scalespan/python/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/scalespan.pth"
