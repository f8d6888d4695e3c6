"""A history played through the loop under policies, beside other ways; nothing that serves or is stored."""
