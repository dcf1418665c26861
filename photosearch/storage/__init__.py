"""SQLite, the truth: folders, files, photos, jobs and captions."""
