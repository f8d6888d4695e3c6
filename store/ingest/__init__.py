"""Labelled files into the store, and refused rows tried again; what a row is checked by is outside."""
