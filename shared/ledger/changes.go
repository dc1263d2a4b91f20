package ledger

import "sync"

// changes tells, within this process, that a job has changed.
type changes struct {
	mu      sync.Mutex
	waiting map[string]chan struct{} // by the id of the job; closed at its next change
}

// Changed returns a channel that is closed at the next change of the job that
// is made through this Ledger. A change by another process does not show: who
// has to see those too looks again from time to time. Take the channel before
// reading the job, so that no change falls between.
func (l *Ledger) Changed(id string) <-chan struct{} {
	l.changes.mu.Lock()
	defer l.changes.mu.Unlock()
	c, ok := l.changes.waiting[id]
	if !ok {
		c = make(chan struct{})
		l.changes.waiting[id] = c
	}
	return c
}

// tell wakes whoever waits for a change of the job.
func (l *Ledger) tell(id string) {
	l.changes.mu.Lock()
	defer l.changes.mu.Unlock()
	if c, ok := l.changes.waiting[id]; ok {
		close(c)
		delete(l.changes.waiting, id)
	}
}
