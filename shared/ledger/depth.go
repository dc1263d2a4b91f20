package ledger

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/job"
)

// Depth is how many of something there are.
type Depth struct {
	Count  int
	Oldest time.Time // since when nothing has happened to one of them; zero for none
}

// Depths counts what the ledger keeps that somebody may wait for.
type Depths struct {
	Jobs    map[job.State]Depth // every state; of converting jobs the oldest sign of life
	Notices Depth               // outcomes that no mail has told of yet, since the job ended
	Letters Depth               // dead letters, since the first arrived
}

// Depths counts, in one look for each kind.
func (l *Ledger) Depths(ctx context.Context) (Depths, error) {
	return read(ctx, l.db, "count jobs", func(ctx context.Context, x execer) (Depths, error) {
		d := Depths{Jobs: map[job.State]Depth{}}
		for _, s := range job.States() {
			d.Jobs[s] = Depth{}
		}
		err := errors.Join(
			depthsOf(ctx, x, d.Jobs),
			depth(ctx, x, &d.Notices, `SELECT COUNT(*), MIN(j.ended_at) FROM notices n JOIN jobs j ON j.id = n.job_id AND j.run = n.run WHERE n.closed_at = 0`),
			depth(ctx, x, &d.Letters, `SELECT COUNT(*), MIN(first_at) FROM dead_letters`),
		)
		return d, err
	})
}

func depthsOf(ctx context.Context, x execer, to map[job.State]Depth) (err error) {
	rows, err := x.QueryContext(ctx, `SELECT state, COUNT(*), MIN(updated_at) FROM jobs GROUP BY state`)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var (
			s      job.State
			n      int
			oldest int64
		)
		if err := rows.Scan(&s, &n, &oldest); err != nil {
			return err
		}
		to[s] = Depth{Count: n, Oldest: at(oldest)}
	}
	return rows.Err()
}

func depth(ctx context.Context, x execer, to *Depth, query string) error {
	var oldest sql.NullInt64
	err := x.QueryRowContext(ctx, query).Scan(&to.Count, &oldest)
	to.Oldest = at(oldest.Int64)
	return err
}
