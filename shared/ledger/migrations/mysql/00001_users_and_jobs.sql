-- For MySQL 8 and MariaDB. Times are UTC in milliseconds since 1970; 0 means
-- never. Flags are 0 or 1. ../sqlite has the same tables, columns and indexes by
-- the same version.
--
-- Every statement here commits by itself, so a migration may be cut off between
-- any two: each has to do nothing where it has been done before. The collation
-- compares as SQLite does, by code point.

-- +goose NO TRANSACTION

-- +goose Up
CREATE TABLE IF NOT EXISTS users (
    id            VARCHAR(36)  NOT NULL PRIMARY KEY,
    email         VARCHAR(254) NOT NULL,
    password_hash VARCHAR(255) NOT NULL,
    admin         SMALLINT     NOT NULL,
    created_at    BIGINT       NOT NULL,
    UNIQUE INDEX users_email (email)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS login_failures (
    id        VARCHAR(36) NOT NULL PRIMARY KEY,
    account   VARCHAR(64) NOT NULL, -- a hash of the email address
    address   VARCHAR(64) NOT NULL, -- where the attempt came from
    failed_at BIGINT      NOT NULL,
    INDEX login_failures_who (account, address, failed_at),
    INDEX login_failures_age (failed_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS jobs (
    id          VARCHAR(36)  NOT NULL PRIMARY KEY,
    owner       VARCHAR(36)  NOT NULL,
    name        VARCHAR(500) NOT NULL,
    state       VARCHAR(16)  NOT NULL,
    progress    SMALLINT     NOT NULL,
    error       TEXT         NOT NULL,
    source      VARCHAR(36)  NOT NULL,
    bytes       BIGINT       NOT NULL,
    run         INTEGER      NOT NULL,
    attempts    INTEGER      NOT NULL,
    trace       VARCHAR(64)  NOT NULL,
    holder      VARCHAR(36)  NOT NULL, -- the delivery that converts it; '' for none
    lease_until BIGINT       NOT NULL,
    due_at      BIGINT       NOT NULL, -- when reconcile looks after it if nothing has happened
    created_at  BIGINT       NOT NULL,
    updated_at  BIGINT       NOT NULL,
    ended_at    BIGINT       NOT NULL,
    INDEX jobs_owner (owner, id),
    INDEX jobs_due (due_at),
    INDEX jobs_age (created_at),
    INDEX jobs_source (source)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS results (
    fid         VARCHAR(36)  NOT NULL PRIMARY KEY,
    job_id      VARCHAR(36)  NOT NULL,
    position    INTEGER      NOT NULL,
    name        VARCHAR(510) NOT NULL,
    format      VARCHAR(16)  NOT NULL,
    bytes       BIGINT       NOT NULL,
    duration_ms BIGINT       NOT NULL,
    INDEX results_job (job_id, position)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- One row for each outcome of each run of a job: the mail that tells its owner.
CREATE TABLE IF NOT EXISTS notices (
    job_id      VARCHAR(36) NOT NULL,
    run         INTEGER     NOT NULL,
    outcome     VARCHAR(16) NOT NULL,
    holder      VARCHAR(36) NOT NULL,
    lease_until BIGINT      NOT NULL,
    closed_at   BIGINT      NOT NULL, -- sent, or refused for good
    refused     SMALLINT    NOT NULL,
    PRIMARY KEY (job_id, run, outcome)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- +goose Down
DROP TABLE IF EXISTS notices;
DROP TABLE IF EXISTS results;
DROP TABLE IF EXISTS jobs;
DROP TABLE IF EXISTS login_failures;
DROP TABLE IF EXISTS users;
