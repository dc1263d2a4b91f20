package api

import (
	"context"
	"sync"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// tokens is what requests are authorized by, and how another is come by.
type tokens struct {
	renew func(context.Context) (string, error) // nil for never

	mu  sync.Mutex
	now string

	turn    sync.Mutex // of who renews
	refused string     // the token in whose place there is none
	why     error
}

func (t *tokens) current() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.now
}

func (t *tokens) set(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now = token
}

// Authorize has requests go out with the token. Where one is answered 401
// nevertheless, renew is asked for another and that request alone is repeated,
// once; the error of renew becomes its error. renew may take as long as it
// likes, as it may ask a person, and is never called twice at once; nil leaves
// a 401 as it is. Not to be called while requests are under way.
func (c *Client) Authorize(token string, renew func(context.Context) (string, error)) {
	c.tokens.set(token)
	c.tokens.renew = renew
}

// authorized does what is one request with the current token, and once more
// with another where that is not taken. A 401 says that nothing was done.
func (c *Client) authorized(ctx context.Context, do func(token string) error) error {
	used := c.tokens.current()
	err := do(used)
	if used == "" || c.tokens.renew == nil || !fail.Is(err, fail.Unauthorized) {
		return err
	}
	token, err := c.tokens.instead(ctx, used)
	if err != nil {
		return err
	}
	return do(token)
}

// instead returns a token in place of one that is not taken. Requests that
// were refused together are given the same; where a login was refused too,
// none tries another.
func (t *tokens) instead(ctx context.Context, used string) (string, error) {
	t.turn.Lock()
	defer t.turn.Unlock()
	if now := t.current(); now != used {
		return now, nil
	}
	if t.refused == used {
		return "", t.why
	}
	token, err := t.renew(ctx)
	if err != nil {
		if !fail.Is(err, fail.Unavailable) {
			t.refused, t.why = used, err
		}
		return "", err
	}
	t.set(token)
	return token, nil
}
