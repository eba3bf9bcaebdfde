"""Live video: ingest gives samples, the packager makes HLS of them; neither knows the other."""
