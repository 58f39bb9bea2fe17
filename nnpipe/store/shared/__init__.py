"""Stores that several machines share: a local one as cache, and objects in a bucket or a folder behind it."""
