"""The environment of the tests, set before Django reads its settings (pytest loads this file as a plugin first).

A shop of its own in a temporary folder, without a data folder and without throttling.
"""

import os
import tempfile

os.environ["HABERDASH_VAR"] = tempfile.mkdtemp(prefix="haberdash-tests-")
for _name, _value in {
    "DATA": "", "WEIGHTS": "", "SEARCH_RATE": "", "WRITE_RATE": "", "THREADS": "2", "DEBUG": "", "DEMO_LIMIT": "0",
}.items():  # fmt: skip
    os.environ[f"HABERDASH_{_name}"] = _value
