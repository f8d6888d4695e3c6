"""Pages as Evidently writes them, with a library that is quickly read."""

from __future__ import annotations

import json
from typing import Any

LIBRARY = """
window.drawDashboard = (page, graphs, root) => {
  document.getElementById(root).textContent = JSON.stringify([page, [...graphs]]);
};
"""


def evidently_page(page: Any, graphs: dict[str, Any], *, library: str = LIBRARY) -> str:
    """The page, of these values."""
    return f"""
    <!DOCTYPE html>
    <html lang="en">
    <head>
        <meta charset="UTF-8">
        <style>.material-icons {{ font-size: 24px; }}</style>
        <script>
    var metric_0a1b = {json.dumps(page)};
    var additional_graphs_metric_0a1b = {json.dumps(graphs)};
</script>
    </head>
    <body>
    <div id="root_metric_0a1b">
    </div>
    <script>var global = globalThis</script>
    <script>{library}</script>

    <script>
    window.drawDashboard(metric_0a1b,
        new Map(Object.entries(additional_graphs_metric_0a1b)),
        "root_metric_0a1b"
    );
    </script>

    </body>
    </html>
"""
