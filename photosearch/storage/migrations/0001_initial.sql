-- Ids are never used again (AUTOINCREMENT): a late answer about a removed file must not be taken for
-- one about a new file.
-- Paths are BLOBs (os.fsencode): file names need not be valid Unicode.
CREATE TABLE folder (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    path BLOB NOT NULL UNIQUE,
    -- Offline, not deleted: the drive may return.
    online INTEGER NOT NULL DEFAULT 1,
    problem TEXT NOT NULL DEFAULT ''
);

-- A photo is its content. It stays when its last file goes, so that a restored file has its captions.
CREATE TABLE photo (
    id INTEGER PRIMARY KEY,
    sha256 BLOB NOT NULL UNIQUE,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    format TEXT NOT NULL,
    taken_at REAL NOT NULL,
    camera TEXT NOT NULL
);

CREATE TABLE file (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    folder_id INTEGER NOT NULL REFERENCES folder (id) ON DELETE CASCADE,
    path BLOB NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    photo_id INTEGER REFERENCES photo (id)
);
CREATE INDEX file_of_folder ON file (folder_id);
CREATE INDEX file_of_photo ON file (photo_id);

CREATE TABLE caption (
    id INTEGER PRIMARY KEY,
    photo_id INTEGER NOT NULL REFERENCES photo (id) ON DELETE CASCADE,
    view TEXT NOT NULL,
    model TEXT NOT NULL,
    prompt TEXT NOT NULL,
    text TEXT NOT NULL,
    tags TEXT NOT NULL DEFAULT '',
    created_at REAL NOT NULL,
    UNIQUE (photo_id, view, model, prompt)
);

-- The scan stage works on files, every later stage on photos.
CREATE TABLE job (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    stage TEXT NOT NULL,
    file_id INTEGER REFERENCES file (id) ON DELETE CASCADE,
    photo_id INTEGER REFERENCES photo (id) ON DELETE CASCADE,
    model TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL DEFAULT 'waiting',
    -- Counts up with each lease: only the answer to the last one counts.
    lease INTEGER NOT NULL DEFAULT 0,
    recency REAL NOT NULL,
    strikes INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '',
    changed_at REAL NOT NULL,
    CHECK ((file_id IS NULL) <> (photo_id IS NULL))
);
CREATE UNIQUE INDEX job_of_file ON job (file_id, stage) WHERE file_id IS NOT NULL;
CREATE UNIQUE INDEX job_of_photo ON job (photo_id, stage, model) WHERE photo_id IS NOT NULL;
CREATE INDEX job_next ON job (state, stage, model, strikes, recency DESC);

-- Photos whose index document is older than what stands here.
CREATE TABLE unindexed (
    revision INTEGER PRIMARY KEY AUTOINCREMENT,
    photo_id INTEGER NOT NULL UNIQUE
);

-- What processes tell each other: control flags and progress.
CREATE TABLE state (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
