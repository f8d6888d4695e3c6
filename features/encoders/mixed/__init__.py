"""Records of texts beside numbers, categories and dates: texts in buckets, or as weighted terms."""
