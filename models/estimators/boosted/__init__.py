"""Boosted trees for tables by CatBoost, and what categories of many values say of the classes; no texts."""
