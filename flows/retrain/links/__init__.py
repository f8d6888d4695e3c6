"""Links of a chain that a challenger of their own makes: what answers there, and what takes its place."""
