"""Whether gbench still learns as well and runs as fast as when the references were stored."""
