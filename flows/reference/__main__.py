"""python -m flows.reference > docs/configuration.md"""

import sys

from flows.reference.page import configuration_page

sys.stdout.write(configuration_page())
