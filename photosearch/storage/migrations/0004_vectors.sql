-- What CLIP makes of whole photos: unit vectors of half floats, little-endian. A vector never
-- changes: other weights are another model.
CREATE TABLE vector (
    id INTEGER PRIMARY KEY,
    photo_id INTEGER NOT NULL REFERENCES photo (id) ON DELETE CASCADE,
    model TEXT NOT NULL,
    vector BLOB NOT NULL,
    UNIQUE (model, photo_id)
);
-- Else each photo that goes would search all vectors.
CREATE INDEX vector_of_photo ON vector (photo_id);
