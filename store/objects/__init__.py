"""Whole objects in the storage that machines share, a folder or a bucket; what they mean is outside."""
