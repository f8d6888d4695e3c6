"""Labelled rows, stored once each and corrected by newer ones; files and refused rows are outside."""
