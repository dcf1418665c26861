"""From words to photos: analysis, queries, the index and refinement."""
