-- Times are UTC in milliseconds since 1970; 0 means never. Flags are 0 or 1.
-- ../mysql has the same tables, columns and indexes by the same version.

-- +goose Up
CREATE TABLE users (
    id            VARCHAR(36)  NOT NULL PRIMARY KEY,
    email         VARCHAR(254) NOT NULL,
    password_hash VARCHAR(255) NOT NULL,
    admin         SMALLINT     NOT NULL,
    created_at    BIGINT       NOT NULL
);
CREATE UNIQUE INDEX users_email ON users (email);

CREATE TABLE login_failures (
    id        VARCHAR(36) NOT NULL PRIMARY KEY,
    account   VARCHAR(64) NOT NULL, -- a hash of the email address
    address   VARCHAR(64) NOT NULL, -- where the attempt came from
    failed_at BIGINT      NOT NULL
);
CREATE INDEX login_failures_who ON login_failures (account, address, failed_at);
CREATE INDEX login_failures_age ON login_failures (failed_at);

CREATE TABLE jobs (
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
    ended_at    BIGINT       NOT NULL
);
CREATE INDEX jobs_owner ON jobs (owner, id);
CREATE INDEX jobs_due ON jobs (due_at);
CREATE INDEX jobs_age ON jobs (created_at);
CREATE INDEX jobs_source ON jobs (source);

CREATE TABLE results (
    fid         VARCHAR(36)  NOT NULL PRIMARY KEY,
    job_id      VARCHAR(36)  NOT NULL,
    position    INTEGER      NOT NULL,
    name        VARCHAR(510) NOT NULL,
    format      VARCHAR(16)  NOT NULL,
    bytes       BIGINT       NOT NULL,
    duration_ms BIGINT       NOT NULL
);
CREATE INDEX results_job ON results (job_id, position);

-- One row for each outcome of each run of a job: the mail that tells its owner.
CREATE TABLE notices (
    job_id      VARCHAR(36) NOT NULL,
    run         INTEGER     NOT NULL,
    outcome     VARCHAR(16) NOT NULL,
    holder      VARCHAR(36) NOT NULL,
    lease_until BIGINT      NOT NULL,
    closed_at   BIGINT      NOT NULL, -- sent, or refused for good
    refused     SMALLINT    NOT NULL,
    PRIMARY KEY (job_id, run, outcome)
);

-- +goose Down
DROP TABLE notices;
DROP TABLE results;
DROP TABLE jobs;
DROP TABLE login_failures;
DROP TABLE users;
