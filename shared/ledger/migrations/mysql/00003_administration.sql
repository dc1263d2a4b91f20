-- For MySQL 8 and MariaDB. ../sqlite has the same tables, columns and indexes by
-- the same version.
--
-- Each statement does nothing where it has been done before, as the migration
-- may be cut off between any two, or before its version is noted.

-- +goose NO TRANSACTION

-- +goose Up
-- Who may not log in; a program that knows of none makes accounts that may.
SET @add = (SELECT IF(COUNT(*) = 0, 'ALTER TABLE users ADD COLUMN disabled SMALLINT NOT NULL DEFAULT 0', 'DO 0')
    FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = 'users' AND column_name = 'disabled');
PREPARE add_disabled FROM @add;
EXECUTE add_disabled;
DEALLOCATE PREPARE add_disabled;

-- Events that the broker could not deliver, one row for each event and
-- subscriber.
CREATE TABLE IF NOT EXISTS dead_letters (
    id         VARCHAR(36)   NOT NULL PRIMARY KEY,
    same       VARCHAR(64)   NOT NULL, -- a hash of what makes two of them the same
    job_id     VARCHAR(36)   NOT NULL, -- '' for an event of no job
    event_id   VARCHAR(255)  NOT NULL,
    type       VARCHAR(255)  NOT NULL,
    source     VARCHAR(255)  NOT NULL,
    subscriber VARCHAR(1000) NOT NULL,
    status     INTEGER       NOT NULL,
    answer     TEXT          NOT NULL,
    event      MEDIUMTEXT    NOT NULL, -- in JSON; '' where it was too large to keep
    times      INTEGER       NOT NULL,
    first_at   BIGINT        NOT NULL,
    last_at    BIGINT        NOT NULL,
    UNIQUE INDEX dead_letters_same (same),
    INDEX dead_letters_job (job_id),
    INDEX dead_letters_age (last_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- +goose Down
DROP TABLE IF EXISTS dead_letters;
ALTER TABLE users DROP COLUMN disabled;
