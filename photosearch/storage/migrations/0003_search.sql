-- What other programs wrote into the file: a rating, 0 for none, and the place's names.
ALTER TABLE photo ADD COLUMN stars INTEGER NOT NULL DEFAULT 0;
ALTER TABLE photo ADD COLUMN place TEXT NOT NULL DEFAULT '';
-- Whether the camera wrote when it was taken; else that is the file's time.
ALTER TABLE photo ADD COLUMN dated INTEGER NOT NULL DEFAULT 0;
-- Files that were scanned before are scanned again, for these.
UPDATE job SET state = 'waiting', strikes = 0, reason = '' WHERE stage = 'scan' AND state = 'done';
