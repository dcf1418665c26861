-- What the model wrote, where text is a cleaned copy; and why a view was not looked at.
ALTER TABLE caption ADD COLUMN raw TEXT NOT NULL DEFAULT '';
ALTER TABLE caption ADD COLUMN skipped TEXT NOT NULL DEFAULT '';
CREATE INDEX caption_skipped ON caption (model, prompt) WHERE skipped <> '';

-- Another prompt is another job. Until now there was one.
ALTER TABLE job ADD COLUMN prompt TEXT NOT NULL DEFAULT '';
UPDATE job SET prompt = 'Describe this image in detail.'
    WHERE stage IN ('full', 'halves', 'quarters', 'ninths');
-- Over 0: somebody waits for it. Under 0: much like another photo, so that it adds few words.
ALTER TABLE job ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
DROP INDEX job_of_photo;
CREATE UNIQUE INDEX job_of_photo ON job (photo_id, stage, model, prompt) WHERE photo_id IS NOT NULL;
DROP INDEX job_next;
CREATE INDEX job_next
    ON job (state, stage, model, prompt, strikes, priority DESC, recency DESC);
CREATE INDEX job_preferred ON job (priority DESC, recency DESC)
    WHERE state = 'waiting' AND priority > 0;

-- A 64-bit difference hash of the picture: tells bursts and copies.
ALTER TABLE photo ADD COLUMN dhash INTEGER;
CREATE INDEX photo_by_dhash ON photo (dhash);
CREATE INDEX photo_by_time ON photo (taken_at);
