"""`atomic-manifest demo`: the main job on real data, from ingestion to proof."""
