package ledger

import "sync"

// changes tells, within this process, that some job has changed.
type changes struct {
	mu   sync.Mutex
	next chan struct{} // closed at the next change
}

// Changed returns a channel that is closed at the next change of any job that
// is made through this Ledger. A change by another process does not show: who
// has to see those too looks again from time to time. Take the channel before
// reading a job, so that no change falls between.
func (l *Ledger) Changed() <-chan struct{} {
	l.changes.mu.Lock()
	defer l.changes.mu.Unlock()
	return l.changes.next
}

// tell wakes whoever waits for a change.
func (l *Ledger) tell() {
	l.changes.mu.Lock()
	defer l.changes.mu.Unlock()
	close(l.changes.next)
	l.changes.next = make(chan struct{})
}
