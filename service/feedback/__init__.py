"""Labels that arrive by request: checked one by one, durable before they are acknowledged."""
