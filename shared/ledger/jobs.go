package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/options"
)

// How long a job may rest in a state before reconcile looks after it.
const (
	publishWithin = time.Minute      // received, and its event not yet published
	restWithin    = 15 * time.Minute // queued, or ended and its owner not yet told
	leaseGrace    = 15 * time.Second // after a lease has run out
)

const jobColumns = `id, owner, name, state, progress, error, source, bytes, run, attempts, trace, created_at, updated_at, ended_at, options`

// CreateJob stores a new job in state received, now. ID, Owner, Name, Source,
// Bytes, Trace and Options are the caller's; the stored job is returned, also where it
// was stored before. fail.Exists if the id is another job's: nothing refers to
// Source then. After fail.Unavailable the job may be there.
func (l *Ledger) CreateJob(ctx context.Context, j job.Job) (job.Job, error) {
	now := l.now()
	j.State, j.Progress, j.Error, j.Run, j.Attempts, j.Results = job.Received, 0, "", 0, 0, nil
	j.CreatedAt, j.UpdatedAt, j.EndedAt = at(now), at(now), time.Time{}
	asked, err := json.Marshal(j.Options)
	if err != nil {
		return job.Job{}, fail.Wrap(fail.Internal, err, "write the options of job %s", j.ID)
	}
	return read(ctx, l.db, "create job "+j.ID, func(ctx context.Context, x execer) (job.Job, error) {
		_, err := x.ExecContext(ctx, `INSERT INTO jobs (`+jobColumns+`, holder, lease_until, due_at)
			VALUES (?, ?, ?, ?, 0, '', ?, ?, 0, 0, ?, ?, ?, 0, ?, '', 0, ?)`,
			j.ID, j.Owner, j.Name, j.State, j.Source, j.Bytes, j.Trace, now, now, string(asked), now+publishWithin.Milliseconds())
		if !duplicate(err) {
			return j, err
		}
		there, err := readJob(ctx, x, j.ID)
		if err == nil && (there.Owner != j.Owner || there.Source != j.Source) {
			err = fail.New(fail.Exists, "There is a job with this id already.")
		}
		return there, err
	})
}

// Queued notes that the broker has taken the job's event. A job that is
// already further on, or gone, is left alone.
func (l *Ledger) Queued(ctx context.Context, id string) error {
	defer l.tell()
	now := l.now()
	_, err := l.db.change(ctx, "note job "+id+" as queued",
		`UPDATE jobs SET state = ?, updated_at = ?, due_at = ? WHERE id = ? AND state = ?`,
		job.Queued, now, now+restWithin.Milliseconds(), id, job.Received)
	return err
}

// Job reads one job with its results; fail.NotFound where there is none.
func (l *Ledger) Job(ctx context.Context, id string) (job.Job, error) {
	return read(ctx, l.db, "read job "+id, func(ctx context.Context, x execer) (job.Job, error) {
		return readJob(ctx, x, id)
	})
}

func readJob(ctx context.Context, x execer, id string) (job.Job, error) {
	jobs, err := readJobs(ctx, x, `WHERE id = ?`, id)
	if err != nil {
		return job.Job{}, err
	}
	if len(jobs) == 0 {
		return job.Job{}, fail.New(fail.NotFound, "There is no such job.")
	}
	return jobs[0], nil
}

// JobFilter says which jobs are listed; what is empty lets all through.
type JobFilter struct {
	Owner string // id of a user
	State job.State
}

// Jobs returns the jobs that the filter lets through, newest first, at most
// limit of them; before, unless empty, is the id of the last job of the page
// before.
func (l *Ledger) Jobs(ctx context.Context, f JobFilter, before string, limit int) ([]job.Job, error) {
	where, args := `WHERE 1 = 1`, []any{}
	for _, c := range []struct{ condition, value string }{
		{` AND owner = ?`, f.Owner}, {` AND state = ?`, string(f.State)}, {` AND id < ?`, before},
	} {
		if c.value != "" {
			where, args = where+c.condition, append(args, c.value)
		}
	}
	args = append(args, limit)
	return read(ctx, l.db, "list jobs", func(ctx context.Context, x execer) ([]job.Job, error) {
		return readJobs(ctx, x, where+` ORDER BY id DESC LIMIT ?`, args...)
	})
}

// Result finds a result by its blob id, and its job; fail.NotFound where no
// job has it.
func (l *Ledger) Result(ctx context.Context, fid string) (j job.Job, r job.Result, err error) {
	err = l.db.do(ctx, "find result "+fid, func(ctx context.Context, x execer) (err error) {
		j, r, err = readResult(ctx, x, fid)
		return err
	})
	return j, r, err
}

func readResult(ctx context.Context, x execer, fid string) (job.Job, job.Result, error) {
	var id string
	err := x.QueryRowContext(ctx, `SELECT job_id FROM results WHERE fid = ?`, fid).Scan(&id)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return job.Job{}, job.Result{}, err
	}
	if err == nil {
		j, err := readJob(ctx, x, id)
		if err != nil {
			return job.Job{}, job.Result{}, err
		}
		for _, r := range j.Results {
			if r.FID == fid {
				return j, r, nil
			}
		}
	}
	return job.Job{}, job.Result{}, fail.New(fail.NotFound, "There is no such file.")
}

// DeleteJob removes a job with all that belongs to it and returns it as it
// was: its blobs are the caller's to delete. fail.NotFound where there is none.
func (l *Ledger) DeleteJob(ctx context.Context, id string) (job.Job, error) {
	defer l.tell()
	var j job.Job
	err := l.db.tx(ctx, "delete job "+id, func(ctx context.Context, tx execer) (err error) {
		// A change locks the job, so that no result comes in after it is read.
		if _, err := changed(ctx, tx, `UPDATE jobs SET due_at = 0 WHERE id = ?`, id); err != nil {
			return err
		}
		if j, err = readJob(ctx, tx, id); err != nil {
			return err
		}
		for _, q := range []string{
			`DELETE FROM jobs WHERE id = ?`, `DELETE FROM results WHERE job_id = ?`, `DELETE FROM notices WHERE job_id = ?`,
			`DELETE FROM dead_letters WHERE job_id = ?`,
		} {
			if _, err := tx.ExecContext(ctx, q, id); err != nil {
				return err
			}
		}
		return nil
	})
	return j, err
}

// Retry begins a new run of a failed job: it is received again, and dead
// letters of the run before are gone. fail.Exists unless the job has failed,
// fail.NotFound where there is none.
func (l *Ledger) Retry(ctx context.Context, id string) (job.Job, error) {
	defer l.tell()
	now := l.now()
	var j job.Job
	err := l.db.tx(ctx, "retry job "+id, func(ctx context.Context, tx execer) error {
		n, err := changed(ctx, tx, `UPDATE jobs SET state = ?, progress = 0, error = '', run = run + 1, attempts = 0,
			holder = '', lease_until = 0, ended_at = 0, updated_at = ?, due_at = ? WHERE id = ? AND state = ?`,
			job.Received, now, now+publishWithin.Milliseconds(), id, job.Failed)
		if err != nil {
			return err
		}
		if j, err = readJob(ctx, tx, id); err != nil {
			return err
		}
		if n == 0 {
			return fail.New(fail.Exists, "Only a failed job can be retried; this one is %s.", j.State)
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM dead_letters WHERE job_id = ?`, id)
		return err
	})
	return j, err
}

// readJobs reads the jobs that tail selects, each with its results.
func readJobs(ctx context.Context, x execer, tail string, args ...any) (jobs []job.Job, err error) {
	rows, err := x.QueryContext(ctx, `SELECT `+jobColumns+` FROM jobs `+tail, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	index := map[string]int{}
	for rows.Next() {
		var (
			j                       job.Job
			created, updated, ended int64
			asked                   sql.NullString // NULL of a program that knows no options
		)
		if err := rows.Scan(&j.ID, &j.Owner, &j.Name, &j.State, &j.Progress, &j.Error, &j.Source, &j.Bytes,
			&j.Run, &j.Attempts, &j.Trace, &created, &updated, &ended, &asked); err != nil {
			return nil, err
		}
		if err := readOptions(asked, &j.Options); err != nil {
			return nil, fail.Wrap(fail.Internal, err, "read the options of job %s", j.ID)
		}
		j.CreatedAt, j.UpdatedAt, j.EndedAt = at(created), at(updated), at(ended)
		index[j.ID] = len(jobs)
		jobs = append(jobs, j)
	}
	if err := rows.Err(); err != nil || len(jobs) == 0 {
		return jobs, err
	}
	return jobs, readResults(ctx, x, jobs, index)
}

// readOptions reads what CreateJob wrote; what a newer program asked for, and
// this one does not know, is left out.
func readOptions(asked sql.NullString, to *options.Options) error {
	if !asked.Valid {
		return nil
	}
	return json.Unmarshal([]byte(asked.String), to)
}

func readResults(ctx context.Context, x execer, jobs []job.Job, index map[string]int) (err error) {
	ids := make([]any, 0, len(jobs))
	for _, j := range jobs {
		if j.State == job.Done {
			ids = append(ids, j.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	rows, err := x.QueryContext(ctx, `SELECT job_id, fid, name, format, bytes, duration_ms FROM results
		WHERE job_id IN (`+marks(len(ids))+`) ORDER BY job_id, position`, ids...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var (
			id string
			r  job.Result
			ms int64
		)
		if err := rows.Scan(&id, &r.FID, &r.Name, &r.Format, &r.Bytes, &ms); err != nil {
			return err
		}
		r.Duration = time.Duration(ms) * time.Millisecond
		jobs[index[id]].Results = append(jobs[index[id]].Results, r)
	}
	return rows.Err()
}

func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?, ", n), ", ") }
