package api

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
)

// User is an account. Password is one that was made for it, and else empty.
type User struct {
	ID        string    `json:"id"`
	Email     string    `json:"email"`
	Admin     bool      `json:"admin"`
	Disabled  bool      `json:"disabled"`
	CreatedAt time.Time `json:"created_at"`
	Password  string    `json:"password,omitempty"`
}

// Letter is a dead letter; Status is nil where its subscriber gave no answer.
type Letter struct {
	ID         string          `json:"id"`
	Job        *string         `json:"job"`
	EventID    string          `json:"event_id"`
	Type       string          `json:"type"`
	Source     string          `json:"source"`
	Subscriber string          `json:"subscriber"`
	Status     *int            `json:"status"`
	Answer     string          `json:"answer"`
	Times      int             `json:"times"`
	FirstAt    time.Time       `json:"first_at"`
	LastAt     time.Time       `json:"last_at"`
	Event      json.RawMessage `json:"event"`
}

// Depth is how many of something there are, and for how long nothing has
// happened to one of them.
type Depth struct {
	Count            int  `json:"count"`
	OldestAgeSeconds *int `json:"oldest_age_seconds"` // nil for none
}

// Store says whether a store can be used.
type Store struct {
	Usable bool   `json:"usable"`
	Detail string `json:"detail"` // why not
}

// Status is how things stand. What only the ledger knows is nil where that
// cannot be used.
type Status struct {
	Stores  map[string]Store    `json:"stores"`
	Jobs    map[job.State]Depth `json:"jobs"`
	Notices *Depth              `json:"notices"`
	Letters *Depth              `json:"deadletters"`
}

// Session is what a password was traded for.
type Session struct {
	Token   string
	Expires time.Time
}

// Login trades a password for a token. It does not change the client.
func (c *Client) Login(ctx context.Context, email, password string) (Session, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	began := time.Now()
	r, err := c.request(ctx, "", http.MethodPost, "/login", nil)
	if err != nil {
		return Session{}, err
	}
	r.SetBasicAuth(email, password)
	r.Header.Set("Accept", "application/json")
	resp, err := c.send(r)
	if err != nil {
		return Session{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Token     string `json:"access_token"`
		ExpiresIn int    `json:"expires_in"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Token == "" {
		return Session{}, fail.New(fail.Internal, "%s does not answer as Audio-Alchemist does.", c.Address())
	}
	return Session{Token: answer.Token, Expires: began.Add(time.Duration(answer.ExpiresIn) * time.Second)}, nil
}

// Validate reports whether the token is one that is taken.
func (c *Client) Validate(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/validate", nil, nil)
}

// maxPage is the longest page that is asked for.
const maxPage = 100

// pages reads a list, page after page, until it has limit things or all; limit
// is 0 for all.
func pages[T any](ctx context.Context, c *Client, path string, q url.Values, field string, limit int) ([]T, error) {
	size := maxPage
	if limit > 0 {
		size = min(limit, maxPage)
	}
	q.Set("limit", strconv.Itoa(size))
	all := []T{}
	for next := path + "?" + q.Encode(); ; {
		var page map[string]json.RawMessage
		if err := c.call(ctx, http.MethodGet, next, nil, &page); err != nil {
			return nil, err
		}
		var (
			some []T
			more *string
		)
		if json.Unmarshal(page[field], &some) != nil || json.Unmarshal(page["next"], &more) != nil {
			return nil, fail.New(fail.Internal, "%s does not answer as Audio-Alchemist does.", c.Address())
		}
		all = append(all, some...)
		if limit > 0 && len(all) >= limit {
			return all[:limit], nil
		}
		if more == nil {
			return all, nil
		}
		next = *more
	}
}

// Users lists all accounts by their address.
func (c *Client) Users(ctx context.Context) ([]User, error) {
	return pages[User](ctx, c, "/users", url.Values{}, "users", 0)
}

// UserID finds the id of the account with the address. An address never is
// part of a path, which servers write into logs.
func (c *Client) UserID(ctx context.Context, email string) (string, error) {
	found, err := pages[User](ctx, c, "/users", url.Values{"email": {email}}, "users", 1)
	if err == nil && len(found) == 0 {
		err = fail.New(fail.NotFound, "There is no account with the address %s.", email)
	}
	if err != nil {
		return "", err
	}
	return found[0].ID, nil
}

// AddUser makes an account; an empty password lets the server make one.
func (c *Client) AddUser(ctx context.Context, email, password string, admin bool) (User, error) {
	in := map[string]any{"email": email, "admin": admin}
	if password != "" {
		in["password"] = password
	}
	var u User
	err := c.call(ctx, http.MethodPost, "/users", in, &u)
	return u, err
}

// ChangeUser sets one property of an account, "admin" or "disabled".
func (c *Client) ChangeUser(ctx context.Context, id, property string, value bool) (User, error) {
	var u User
	err := c.call(ctx, http.MethodPatch, "/users/"+url.PathEscape(id), map[string]bool{property: value}, &u)
	return u, err
}

// SetPassword gives an account another password; an empty one lets the server
// make one.
func (c *Client) SetPassword(ctx context.Context, id, password string) (User, error) {
	in := map[string]string{}
	if password != "" {
		in["password"] = password
	}
	var u User
	err := c.call(ctx, http.MethodPut, "/users/"+url.PathEscape(id)+"/password", in, &u)
	return u, err
}

// Jobs lists jobs, the newest first: those that the query all, user and state
// lets through, at most limit, 0 for no limit.
func (c *Client) Jobs(ctx context.Context, q url.Values, limit int) ([]job.View, error) {
	return pages[job.View](ctx, c, "/jobs", q, "jobs", limit)
}

func jobPath(id string) string { return "/jobs/" + url.PathEscape(id) }

// Job reads one job.
func (c *Client) Job(ctx context.Context, id string) (job.View, error) {
	var j job.View
	err := c.call(ctx, http.MethodGet, jobPath(id), nil, &j)
	return j, err
}

// Retry begins a new run of a failed job.
func (c *Client) Retry(ctx context.Context, id string) (job.View, error) {
	var j job.View
	err := c.call(ctx, http.MethodPost, jobPath(id)+"/retry", nil, &j)
	return j, err
}

// Delete removes a job with its files.
func (c *Client) Delete(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, jobPath(id), nil, nil)
}

// Letters lists all dead letters, the newest first.
func (c *Client) Letters(ctx context.Context) ([]Letter, error) {
	return pages[Letter](ctx, c, "/deadletters", url.Values{}, "deadletters", 0)
}

// Replay does again what the event of a dead letter asked for.
func (c *Client) Replay(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodPost, "/deadletters/"+url.PathEscape(id)+"/replay", nil, nil)
}

// Drop forgets a dead letter.
func (c *Client) Drop(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, "/deadletters/"+url.PathEscape(id), nil, nil)
}

// Status asks how things stand.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var s Status
	err := c.call(ctx, http.MethodGet, "/status", nil, &s)
	return s, err
}

// Ready asks whether the server that answers at the address can take requests;
// it is fail.Unavailable where it cannot. Where all functions are in one process
// it names them, and speaks for all; else for the gateway alone, or for nobody
// where nobody answers.
func (c *Client) Ready(ctx context.Context) (functions []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	r, err := c.request(ctx, "", http.MethodGet, "/readyz", nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, c.unreachable(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if names := resp.Header.Get("Alchemist-Functions"); names != "" {
		functions = strings.Split(names, ", ")
	}
	if resp.StatusCode/100 != 2 {
		return functions, problem(resp)
	}
	return functions, nil
}
