"""From picture files to upright RGB images, crops, thumbnails and metadata."""
