-- ../mysql has the same tables, columns and indexes by the same version.

-- +goose Up
-- Who may not log in; a program that knows of none makes accounts that may.
ALTER TABLE users ADD COLUMN disabled SMALLINT NOT NULL DEFAULT 0;

-- Events that the broker could not deliver, one row for each event and
-- subscriber.
CREATE TABLE dead_letters (
    id         VARCHAR(36)   NOT NULL PRIMARY KEY,
    same       VARCHAR(64)   NOT NULL, -- a hash of what makes two of them the same
    job_id     VARCHAR(36)   NOT NULL, -- '' for an event of no job
    event_id   VARCHAR(255)  NOT NULL,
    type       VARCHAR(255)  NOT NULL,
    source     VARCHAR(255)  NOT NULL,
    subscriber VARCHAR(1000) NOT NULL,
    status     INTEGER       NOT NULL,
    answer     TEXT          NOT NULL,
    event      TEXT          NOT NULL, -- in JSON; '' where it was too large to keep
    times      INTEGER       NOT NULL,
    first_at   BIGINT        NOT NULL,
    last_at    BIGINT        NOT NULL
);
CREATE UNIQUE INDEX dead_letters_same ON dead_letters (same);
CREATE INDEX dead_letters_job ON dead_letters (job_id);
CREATE INDEX dead_letters_age ON dead_letters (last_at);

-- +goose Down
DROP TABLE dead_letters;
ALTER TABLE users DROP COLUMN disabled;
