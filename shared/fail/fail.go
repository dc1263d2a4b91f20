// Package fail gives every error one of a few kinds, chosen once, at the edge
// that knows it. A kind decides the HTTP status (see package web) and whether
// the broker retries; the wrapped cause is for the log only.
package fail

import (
	"errors"
	"fmt"
	"time"
)

// Kind says what sort of failure an error is. The zero Kind is Internal.
type Kind int

// The kinds, with the HTTP status that package web gives each of them.
const (
	Internal     Kind = iota // 500: a defect of ours
	Invalid                  // 400: the request cannot be right, however often it is sent
	Unauthorized             // 401: no identity, or one that does not verify
	Forbidden                // 403: a known identity that may not do this
	NotFound                 // 404: there is no such thing, or not for this identity
	Exists                   // 409: in conflict with what is there
	TooLarge                 // 413: over a size limit
	Unsupported              // 415: a media type that is not taken
	NoSuchRange              // 416: a range that the content does not have
	RateLimited              // 429: too often; see RetryAfter
	Unavailable              // 503: a passing fault; the same request may succeed later
)

var kindNames = [...]string{
	"internal", "invalid", "unauthorized", "forbidden", "not found",
	"exists", "too large", "unsupported", "no such range", "rate limited", "unavailable",
}

// String names the kind in lower case, as logs show it.
func (k Kind) String() string {
	if k < 0 || int(k) >= len(kindNames) {
		return "unknown"
	}
	return kindNames[k]
}

// Error is a failure with a kind. Msg of an error made by New is fit for
// clients; Msg of one made by Wrap names the operation, for operators.
type Error struct {
	Kind       Kind
	Msg        string
	RetryAfter time.Duration // for RateLimited and Unavailable; zero when unknown
	Err        error         // the cause; nil for errors made by New
}

// Error returns the message and the whole chain of causes: for logs.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Msg
	}
	return e.Msg + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// New makes an error of the kind whose message may be shown to the client.
func New(kind Kind, format string, args ...any) error {
	return &Error{Kind: kind, Msg: fmt.Sprintf(format, args...)}
}

// Wrap gives err a kind and says which operation failed, as in
// fail.Wrap(fail.Unavailable, err, "open video %s", id). A nil err stays nil.
func Wrap(kind Kind, err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &Error{Kind: kind, Msg: fmt.Sprintf(format, args...), Err: err}
}

// Later makes an error that may pass by itself after the given time:
// kind is RateLimited or Unavailable, the message may be shown to the client.
func Later(kind Kind, after time.Duration, format string, args ...any) error {
	return &Error{Kind: kind, Msg: fmt.Sprintf(format, args...), RetryAfter: after}
}

// KindOf returns the kind of the outermost Error in the chain; Internal for
// an error that has none, and for nil.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// Is reports whether err is not nil and of the kind.
func Is(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }

// Detail returns the text that a client may see: the message of the first
// error in the chain that New or Later made, of the same kind as the whole;
// otherwise a general sentence for the kind.
func Detail(err error) string {
	kind := KindOf(err)
	for e := err; e != nil; e = errors.Unwrap(e) {
		//nolint:errorlint // the loop is the unwrapping
		if f, ok := e.(*Error); ok && f.Err == nil && f.Kind == kind && kind != Internal {
			return f.Msg
		}
	}
	return general[kind]
}

// RetryAfter returns how long the client should wait before it tries again;
// zero when nobody knows.
func RetryAfter(err error) time.Duration {
	for e := err; e != nil; e = errors.Unwrap(e) {
		//nolint:errorlint // the loop is the unwrapping
		if f, ok := e.(*Error); ok && f.RetryAfter > 0 {
			return f.RetryAfter
		}
	}
	return 0
}

var general = map[Kind]string{
	Internal:     "Something went wrong on our side.",
	Invalid:      "The request is not valid.",
	Unauthorized: "Log in first.",
	Forbidden:    "This account may not do that.",
	NotFound:     "There is nothing here.",
	Exists:       "It is in conflict with what is already there.",
	TooLarge:     "It is too large.",
	Unsupported:  "This media type is not taken.",
	NoSuchRange:  "The content does not have this range.",
	RateLimited:  "Too many requests; wait a little.",
	Unavailable:  "The service cannot do this right now; try again in a moment.",
}
