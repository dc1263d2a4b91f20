-- ../mysql has the same tables, columns and indexes by the same version.

-- +goose Up
-- What was asked of the conversion, in JSON; NULL where a program wrote the job
-- that knows of none.
ALTER TABLE jobs ADD COLUMN options TEXT;

-- +goose Down
ALTER TABLE jobs DROP COLUMN options;
