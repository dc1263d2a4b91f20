-- For MySQL 8 and MariaDB. ../sqlite has the same tables, columns and indexes by
-- the same version.
--
-- It does nothing where it has been done before, as it may be cut off before
-- its version is noted. MySQL has no ADD COLUMN IF NOT EXISTS.

-- +goose NO TRANSACTION

-- +goose Up
-- What was asked of the conversion, in JSON; NULL where a program wrote the job
-- that knows of none.
SET @add = (SELECT IF(COUNT(*) = 0, 'ALTER TABLE jobs ADD COLUMN options TEXT NULL', 'DO 0')
    FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = 'jobs' AND column_name = 'options');
PREPARE add_options FROM @add;
EXECUTE add_options;
DEALLOCATE PREPARE add_options;

-- +goose Down
ALTER TABLE jobs DROP COLUMN options;
