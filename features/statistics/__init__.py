"""Figures of many values that come in batches and are not kept; what is made of them is outside."""
