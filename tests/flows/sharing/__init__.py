"""The loop on a storage that machines share: a bucket on a real server of S3, or a folder."""
