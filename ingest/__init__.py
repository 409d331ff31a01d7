"""The contract between the edge and the processors: records, topics, codecs, clients."""
